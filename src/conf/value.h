/*
 * The small types that every part of the configuration is made of.
 *
 * All of them are read-only results: whoever holds the struct conf may read
 * them from any thread, nobody changes them. Memory belongs to the arena of the
 * struct conf. A string is never NULL; an absent one is "". A list that is
 * empty has n == 0, its pointer is then meaningless.
 */
#ifndef GARENNE_CONF_VALUE_H
#define GARENNE_CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/* Where something stands in the files, for messages at load and at run time:
 * "portal.json", 41, "routing.rules[2]". A default that nobody wrote has line 0. */
struct conf_at {
	const char *file;
	int line;
	const char *path;
};

struct conf_strs {
	const char *const *v;
	size_t n;
};

struct conf_port_range {
	uint16_t from, to; /* both belong to it */
};

/* @given tells an absent list (no condition) from one that is empty and so never matches. */
struct conf_ports {
	const struct conf_port_range *v;
	size_t n;
	bool given;
};

/** Is @port in the list, or is there no list? */
static inline bool conf_ports_has(const struct conf_ports *p, uint16_t port)
{
	if (!p->given)
		return true;
	for (size_t i = 0; i < p->n; i++)
		if (port >= p->v[i].from && port <= p->v[i].to)
			return true;
	return false;
}

/* A set of networks. As a condition, 0 means that none was given. */
enum {
	CONF_TCP = 1,
	CONF_UDP = 2,
};

/* Random choice between two bounds, both included; units are said by the user of it. */
struct conf_range {
	int32_t from, to;
};

/*
 * How a name becomes addresses. Use... falls back to the name itself when
 * nothing resolves, Force... fails. The order of the digits is the order of
 * preference; "IP" alone means both families, the system's order.
 */
enum conf_strategy {
	CONF_AS_IS = 0,
	CONF_USE_IP,
	CONF_USE_IP4,
	CONF_USE_IP6,
	CONF_USE_IP46,
	CONF_USE_IP64,
	CONF_FORCE_IP,
	CONF_FORCE_IP4,
	CONF_FORCE_IP6,
	CONF_FORCE_IP46,
	CONF_FORCE_IP64,
};

/* One user name and password of a SOCKS or HTTP proxy. */
struct conf_account {
	struct conf_at at;
	const char *user;
	const char *pass; /* secret */
};

/* Sniffing: which protocols may replace a flow's target by the name they show. */
enum {
	CONF_SNIFF_HTTP = 1,
	CONF_SNIFF_TLS = 2,
	CONF_SNIFF_QUIC = 4,
};

struct conf_sniff {
	struct conf_at at;
	bool enabled;
	bool metadata_only;		   /* never look at payload */
	bool route_only;		   /* the name serves the rules, the target stays */
	unsigned override;		   /* CONF_SNIFF_* */
	struct conf_strs domains_excluded; /* domain rules, as written */
	struct conf_strs ips_excluded;	   /* IP rules, as written */
};

#endif
