/*
 * The system's resolver as a c-ares channel on a loop: what resolv.conf and
 * /etc/hosts say. This file and its .c are the only ones that know c-ares;
 * configured servers are asked by dns_server.
 */
#ifndef GARENNE_NET_DNS_CHANNEL_H
#define GARENNE_NET_DNS_CHANNEL_H

#include <stdint.h>

#include "base/addr.h"
#include "net/loop.h"
#include "net/sock.h"

enum dns_status {
	DNS_OK = 0,
	DNS_NONE,   /* the name does not exist, or has no address of the family */
	DNS_FAILED, /* a server said that it cannot tell, talked nonsense or was not there */
	DNS_SILENT, /* no server answered */
	DNS_NOMEM,
	DNS_GONE, /* the channel was freed */
};

enum { DNS_ADDRS_MAX = 16 };

struct dns_answer {
	enum dns_status status;
	unsigned n;
	struct ip ip[DNS_ADDRS_MAX]; /* best first (RFC 6724) */
	uint32_t ttl;		     /* s; the smallest of the chain; 0 from the hosts file */
};

/* Embedded by the asker; must live until on_answer, which also comes when the channel goes. */
struct dns_question {
	/* May come from inside dns_ask and dns_channel_free; must not call either. */
	void (*on_answer)(struct dns_question *q, const struct dns_answer *a);
};

struct dns_channel_setup {
	const char *resolv_conf; /* NULL: the usual one */
	const struct ip *never;	 /* servers in it that are passed over; borrowed for the call */
	size_t n_never;
	const struct conf_sockopt *opts; /* for the sockets; borrowed */
};

struct dns_channel;

/** Gives; NULL on failure. */
struct dns_channel *dns_channel_new(struct loop *l, const struct dns_channel_setup *setup);
/** Asks for IPv4 and/or IPv6 addresses of @name. */
void dns_ask(struct dns_channel *c, struct dns_question *q, const char *name, bool v4, bool v6);
/** Takes NULL too. Questions under way get DNS_GONE. */
void dns_channel_free(struct dns_channel *c);

#endif
