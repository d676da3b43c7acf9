/*
 * The router: which outbound a flow takes.
 *
 * Rules are compiled once. A pick goes through those that can match at all in
 * the order of the file and stops at the first whose conditions all hold; the
 * cost does not depend on how long the lists in a rule are, and little on how
 * many rules there are (index.h). Nothing here blocks: when a rule wants the
 * addresses of a name, the pick says so and is taken up again later.
 *
 *   struct route_pick p = {0};
 *   if (router_pick(r, &attrs, &p) == ROUTE_NEED_IPS) {
 *           ... resolve p.resolve, later: attrs.resolved = true, attrs.ips = ...
 *           router_pick(r, &attrs, &p);         // never ROUTE_NEED_IPS again
 *   }
 *
 * A router never changes; any number of threads may pick at the same time.
 */
#ifndef GARENNE_ROUTE_ROUTER_H
#define GARENNE_ROUTE_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/span.h"
#include "conf/routing.h"
#include "route/balancer.h"
#include "route/report.h"

struct lists;
struct router;

/* Owner of the local socket at the other end of a flow. */
struct route_process {
	int pid;
	const char *path; /* absolute path of the program; its last part is the name */
};

/* What the rules can see of a flow. Everything is borrowed for the call. */
struct route_attrs {
	const char *inbound_tag;     /* NULL or "": none */
	unsigned network;	     /* CONF_TCP or CONF_UDP */
	struct ipport source, local; /* family 0: none */
	const char *user;	     /* email; NULL or "": none */
	uint16_t vless_route;
	const struct addr *target;
	const char *sniffed_name; /* name for the rules alone (routeOnly); NULL none */
	const char *protocol;	  /* what the sniffer found, "tls"; NULL or "": nothing */

	/* Both optional; @ctx is theirs. @attr: value of an HTTP attribute by its
	 * lower-case name, p == NULL when absent; no function: a flow without attributes.
	 * @process: NULL when the owner is not local or unknown; asked at most once. */
	struct span (*attr)(void *ctx, const char *name);
	const struct route_process *(*process)(void *ctx);
	void *ctx;

	bool skip_resolve; /* flows of the resolver itself: never ROUTE_NEED_IPS */

	/* The answer to ROUTE_NEED_IPS; no addresses when the look-up failed. */
	bool resolved;
	const struct ip *ips;
	size_t n_ips;
};

enum route_verdict {
	ROUTE_NONE = 0, /* no rule: the default outbound */
	ROUTE_RULE,
	ROUTE_NEED_IPS, /* resolve @resolve, both families, and call again */
};

/* Zero-initialise before the first call for a flow. */
struct route_pick {
	enum route_verdict verdict;
	/* ROUTE_RULE only; number, tag and place in the files are in @rule */
	const struct conf_rule *rule;
	const char *outbound_tag;  /* NULL when @balancer is set */
	struct balancer *balancer; /* to be asked with the members of the moment; or NULL */
	/* ROUTE_NEED_IPS only; borrowed from the attributes */
	const char *resolve;
	/* where to go on; private */
	uint32_t next;
	bool second_pass;
};

/**
 * Compiles @conf, which is borrowed for the router's whole life, as are the
 * strings in it. @lists gives geo files and shares compiled lists; borrowed for
 * the call. @seed is random, for the balancers. NULL after an error was
 * reported; goes on after the first error to report them all.
 */
struct router *router_new(const struct conf_routing *conf, struct lists *lists, uint64_t seed,
			  struct route_report *report);
void router_free(struct router *r);

/** Returns p->verdict. @a must be the same when a pick is taken up, but for the answer. */
enum route_verdict router_pick(const struct router *r, const struct route_attrs *a,
			       struct route_pick *p);

/** By tag, or NULL. */
struct balancer *router_balancer(const struct router *r, const char *tag);
/** True when some rule asks for the process: else nobody need look for it. */
bool router_wants_process(const struct router *r);
/** Expressions that hit their limit and counted as "no match" since the start. */
uint64_t router_regexp_limits(const struct router *r);
/** Bytes held by the compiled rules and lists; a list shared by several counts each time. */
size_t router_memory(const struct router *r);

#endif
