/*
 * Balancers: one of several outbounds, chosen anew for each flow.
 *
 * Candidates are the members whose tag begins with one of the selectors at the
 * moment of the pick, because portals come and go. A member that is known to be
 * dead (a portal without a live worker) is no candidate in any strategy. An
 * outbound nobody has probed counts as alive for random and roundRobin, and is
 * passed over by leastPing and leastLoad, which have nothing to compare.
 *
 * Nothing alive: the fallback tag if there is one. Without it random and
 * roundRobin choose among the dead, so that the flow fails where it was meant to
 * go instead of leaving by the default outbound; the other two give nothing.
 *
 * Any loop may pick at any time; the only state is two atomic counters.
 */
#ifndef GARENNE_ROUTE_BALANCER_H
#define GARENNE_ROUTE_BALANCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/routing.h"
#include "route/observe.h"

struct balancer;
struct route_report;

/* An outbound as it is now. Borrowed for the call. */
struct balance_member {
	const char *tag;
	bool dead;			   /* known not to work, whatever a probe said */
	const struct observe_stats *stats; /* NULL: not observed */
};

/**
 * Borrows @conf for its whole life. @seed starts the random choices; two
 * balancers with one seed choose alike. NULL after an error was reported.
 */
struct balancer *balancer_new(const struct conf_balancer *conf, uint64_t seed,
			      struct route_report *report);
void balancer_free(struct balancer *b);
const struct conf_balancer *balancer_conf(const struct balancer *b);

/** True when an outbound of that tag is a candidate: others need not be among the members. */
bool balancer_selects(const struct balancer *b, const char *tag);
/**
 * The tag to use: that of a member, or the fallback tag; NULL when nothing can
 * be chosen, which is to be treated as if no rule had matched. @m is sorted by
 * tag (bytewise), which makes roundRobin and ties predictable.
 */
const char *balancer_pick(struct balancer *b, const struct balance_member *m, size_t n);

#endif
