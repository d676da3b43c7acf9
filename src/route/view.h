/*
 * A flow as the rules of one pick see it: the attributes, and what is worked out
 * from them once and only if a rule wants it.
 */
#ifndef GARENNE_ROUTE_VIEW_H
#define GARENNE_ROUTE_VIEW_H

#include <stdbool.h>

#include "route/domkey.h"
#include "route/router.h"

struct route_view {
	const struct route_attrs *a;
	struct span tag, user; /* n == 0: none */
	uint32_t tag_hash, user_hash;
	const char *name; /* the target's, or the sniffed one; NULL none */
	const struct ip *ips;
	size_t n_ips;
	bool ips_wait; /* an IP condition on the target cannot be decided yet */
	bool has_key, has_process;
	const struct route_process *process;
	struct domkey key;
};

/** How far the target's addresses are visible. */
enum view_ips {
	VIEW_IPS_OWN = 0, /* only when the target is an address */
	VIEW_IPS_RESOLVED,
	VIEW_IPS_WAIT, /* as resolved, once they are */
};

/** Borrows @a while @v is in use. */
void view_init(struct route_view *v, const struct route_attrs *a, enum view_ips ips);
/** NULL when the flow has no name. */
const struct domkey *view_key(struct route_view *v);
/** NULL when unknown. */
const struct route_process *view_process(struct route_view *v);

#endif
