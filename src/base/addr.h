/*
 * Addresses as the whole program sees them.
 *
 * struct ip      an IPv4 or IPv6 address, or none; IPv4-mapped IPv6 never occurs,
 *                it is turned into IPv4 by every function that makes one
 * struct ipport  an address and a port: where a packet or connection really comes from
 * struct addr    a host (IP or domain name) and a port: what somebody asked for
 *
 * All are plain values, compared and copied freely; nothing is owned.
 */
#ifndef GARENNE_BASE_ADDR_H
#define GARENNE_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/span.h"

struct ip {
	uint8_t family; /* 0 none, 4, 6 */
	uint8_t b[16];	/* network order; IPv4 in the first four */
};

struct ipport {
	struct ip ip;
	uint16_t port;
};

enum addr_kind {
	ADDR_NONE = 0,
	ADDR_IP,
	ADDR_NAME,
};

enum { ADDR_NAME_MAX = 255 };

struct addr {
	uint8_t kind;
	uint16_t port;
	union {
		struct ip ip;
		char name[ADDR_NAME_MAX + 1]; /* NUL-terminated, spelt as received */
	};
};

/* A prefix; bits beyond @len are zero. */
struct prefix {
	struct ip ip;
	uint8_t len;
};

enum { ADDR_TEXT_MAX = ADDR_NAME_MAX + 10 }; /* "[v6]:65535" or "name:65535" and NUL */

struct ip ip_v4(const uint8_t b[4]);
/** IPv4-mapped input gives an IPv4 address. */
struct ip ip_v6(const uint8_t b[16]);
bool ip_eq(const struct ip *a, const struct ip *b);
/** True for 0.0.0.0 and ::. */
bool ip_is_any(const struct ip *a);
bool ip_is_loopback(const struct ip *a);
/** Parses "10.0.0.1", "::1" or "[::1]"; no port, no zone. 0 or -ERR_MALFORMED. */
int ip_parse(struct ip *out, struct span text);
/** Text form without brackets into @out (at least 46 bytes); returns @out. */
char *ip_text(const struct ip *a, char *out, size_t cap);

bool ipport_eq(const struct ipport *a, const struct ipport *b);
/** "10.0.0.1:80", "[::1]:80", or "-" for none; returns @out. */
char *ipport_text(const struct ipport *a, char *out, size_t cap);
int ipport_from_sockaddr(struct ipport *out, const struct sockaddr *sa);
/** Fills @out and returns its length in use. @a must hold an address. */
socklen_t ipport_to_sockaddr(const struct ipport *a, struct sockaddr_storage *out);

struct addr addr_from_ip(const struct ip *ip, uint16_t port);
static inline struct addr addr_from_ipport(const struct ipport *a)
{
	return addr_from_ip(&a->ip, a->port);
}

/**
 * Takes a host as it comes from a peer or a file: IP literals (also in
 * brackets) become IPs; anything else must be 1..255 bytes of [0-9A-Za-z._-].
 * Returns 0 or -ERR_MALFORMED; @out is untouched on failure.
 */
int addr_set_host(struct addr *out, struct span host, uint16_t port);
/** Splits "host:port" or "[v6]:port". 0 or -ERR_MALFORMED. */
int addr_parse(struct addr *out, struct span text);
bool addr_eq(const struct addr *a, const struct addr *b); /* names byte for byte */
/** "host:port" with brackets round IPv6; returns @out. */
char *addr_text(const struct addr *a, char *out, size_t cap);
/** Host only, without brackets; returns @out. */
char *addr_host_text(const struct addr *a, char *out, size_t cap);
/** The address as an ipport; false when it is a name or none. */
bool addr_to_ipport(const struct addr *a, struct ipport *out);

/** @len bits of @ip; host bits are cleared. 0, or -ERR_MALFORMED: no address, or @len too long. */
int prefix_set(struct prefix *out, const struct ip *ip, unsigned len);
/** Parses "10.0.0.0/8", "::1", ...; host bits are cleared. 0 or -ERR_MALFORMED. */
int prefix_parse(struct prefix *out, struct span text);
bool prefix_has(const struct prefix *p, const struct ip *ip);
/** @ip with the network bits of @to and its own host bits; both of one family. */
struct ip prefix_rebase(const struct prefix *to, const struct ip *ip);
/** "10.0.0.0/8" into @out (at least 50 bytes); returns @out. */
char *prefix_text(const struct prefix *p, char *out, size_t cap);
/** True when some address is in both. */
bool prefix_overlaps(const struct prefix *a, const struct prefix *b);
/** True for every address that is not globally reachable (RFC 6890 and multicast). */
bool ip_is_private(const struct ip *ip);
/** The table behind ip_is_private, also known as geoip:private; count in *@n. */
const struct prefix *ip_private_table(size_t *n);

#endif
