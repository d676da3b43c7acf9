/*
 * Names to addresses without blocking: c-ares on the loop, one resolver per loop.
 *
 * Two sources exist. The *system* is /etc/hosts and the servers of resolv.conf,
 * with its search list; resolv.conf is read again when it changes, because the
 * machine moved to another network: then what was learned is forgotten and
 * what was asked is asked again. The *dns object* of the configuration is a
 * list of servers with a host table; without one the system stands in.
 *
 * Equal questions in flight are asked once. Answers are kept for their TTL, at
 * most RESOLVE_CACHE_MAX of them; a name that does not exist is remembered for
 * a few seconds, a server that did not answer for one.
 *
 * A domain strategy chooses: AsIs asks the system. UseX asks the dns object for
 * the families named, the second only if the first has none, and at last the
 * system as AsIs does; ForceX does without that last resort.
 *
 * The configured servers are asked by a door, if there is one (dns_door.h), else and
 * with "+local" directly from the loop's own sockets, marked like every other socket
 * of ours. With enableParallelQuery all that may know are asked at once and the first
 * good answer counts; with serveStale an answer that is over is given away once more
 * while it is asked anew.
 */
#ifndef GARENNE_NET_RESOLVE_H
#define GARENNE_NET_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "conf/dns.h"
#include "conf/stream.h"
#include "net/loop.h"

struct dns_door;
struct tls_ctx;

enum {
	RESOLVE_MAX = 16,	    /* addresses kept of one name */
	RESOLVE_CACHE_MAX = 4096,   /* names kept */
	RESOLVE_FLIGHT_MAX = 512,   /* questions in flight */
	RESOLVE_SERVERS_MAX = 16,   /* of the dns object; more are not asked */
	RESOLVE_TIMEOUT_MS = 10000, /* for a whole request, if the asker does not say */
};

/* What needs domain and address rules, which live elsewhere. All functions are optional; names come
 * in lower case, without a final dot. */
struct resolve_rules {
	/* The host table's answer for @name: up to @max addresses into @ip and their number; or 0
	 * and *@alias another name to go on with (borrowed until the next call); or 0 and *@alias
	 * untouched: no entry. Without it dns->hosts has no effect. */
	size_t (*hosts)(const struct resolve_rules *r, const char *name, struct ip *ip, size_t max,
			const char **alias);
	/* Is @name one of `domains` of dns->servers[@server]? Without it: no. */
	bool (*matches)(const struct resolve_rules *r, size_t server, const char *name);
	/* Is @ip what this server should answer (expectedIPs, unexpectedIPs)? Without it: yes. */
	bool (*accepts)(const struct resolve_rules *r, size_t server, const struct ip *ip);
};

/* All zero: the system only. Everything is borrowed. */
struct resolve_setup {
	const struct conf_dns *dns; /* NULL or not given: the system stands in */
	const struct resolve_rules *rules;
	const struct conf_sockopt *opts; /* for the resolver's own sockets */
	struct dns_door *door;		 /* for queries to servers; NULL: own sockets */
	struct tls_ctx *tls;		 /* for servers with HTTPS; NULL: these are not asked */
	const char *resolv_conf;	 /* NULL: /etc/resolv.conf */
	const struct ip *never;		 /* servers there that must not be asked: our own */
	size_t n_never;
};

struct resolver;

/** Gives; NULL when memory is out or c-ares fails. */
struct resolver *resolver_new(struct loop *l, const struct resolve_setup *setup);
/** Takes NULL too. Requests still under way are forgotten without a call. Not from a callback. */
void resolver_free(struct resolver *r);
/** Asks nobody any more, answers no new request but with failure: the loop is about to end. */
void resolver_stop(struct resolver *r);
/** The network changed: forgets every answer, reads resolv.conf, asks again what is under way. */
void resolver_refresh(struct resolver *r);

struct resolve_result {
	int err; /* 0, -ERR_RESOLVE (also when nobody answered), -ERR_LIMIT, -ERR_NOMEM */
	unsigned n;
	struct ip ip[RESOLVE_MAX]; /* best first */
	uint32_t ttl;		   /* seconds that the addresses are good for; 0 unknown */
	bool none;		   /* -ERR_RESOLVE because there are none, not for want of an answer */
	const char *why;	   /* on failure: "lookup nas.home: no such host" */
};

struct resolve_entry;

/* Embedded by the asker, who sets on_done; the rest is the resolver's. */
struct resolve_req {
	/* From the loop, never from inside resolve_start; the request is over and may be reused.
	 * Borrows @res for the call. */
	void (*on_done)(struct resolve_req *q, const struct resolve_result *res);
	struct resolver *resolver;
	struct resolve_entry *entry;
	struct list node;
	struct timer timer;
	enum conf_strategy strategy;
	unsigned step;
	int err;
	bool active;
};

/** Asks for @name (an address is its own answer). @timeout_ms 0: the default. on_done comes
 * exactly once, unless cancelled. */
void resolve_start(struct resolver *r, struct resolve_req *q, const char *name,
		   enum conf_strategy strategy, uint32_t timeout_ms);
/** on_done will not come. Harmless when nothing is under way. @q must be zeroed or used before. */
void resolve_cancel(struct resolve_req *q);
/** The answer from what is known already; false if a server would have to be asked. */
bool resolve_known(struct resolver *r, const char *name, enum conf_strategy strategy,
		   struct resolve_result *out);

#endif
