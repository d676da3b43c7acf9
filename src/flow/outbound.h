/*
 * Whatever ends flows. One object per tag, shared by all loops: open() runs on
 * the flow's loop and touches only what never changes or belongs to that loop.
 * An outbound whose carriers live on one loop says so in @home, and flows are
 * brought there first.
 */
#ifndef GARENNE_FLOW_OUTBOUND_H
#define GARENNE_FLOW_OUTBOUND_H

#include <cjson/cJSON.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/addr.h"
#include "flow/flow.h"

struct conf_outbound;
struct observe_stats;
struct renewal;

struct outbound_ops {
	const char *protocol;
	/* Takes the flow; ends in flow_connected*, flow_failed, or (if @f->opening was set) its
	 * cancel. May do so at once. */
	void (*open)(struct outbound *o, struct flow *f);
	/* Optional: false when a flow would fail now (a portal without bridges). Any thread. */
	bool (*alive)(const struct outbound *o);
	/* Optional: does a flow to @target only register something here (a bridge's carrier)? */
	bool (*registers)(const struct outbound *o, const struct flow *f);
	/* Optional: the network of this machine has changed; carriers may be dead. On @home. */
	void (*network_changed)(struct outbound *o);
	/* Optional: what there is to tell, as members of @into. On @o->home, if it has one. */
	void (*describe)(struct outbound *o, cJSON *into);
	/* Optional, absent is never: may a flow of echo exchanges (proto/echo.h) be opened here?
	 * Only if whoever ends it understands them. True also when open() finds out. Any thread. */
	bool (*echoes)(const struct outbound *o);
	/* Optional: as an inbound's (inbound.h). */
	struct renewal *(*renewal)(struct outbound *o, const struct conf_outbound *next);
	/* Stops all activity; the loops are not running any more. */
	void (*free)(struct outbound *o);
};

struct outbound {
	const struct outbound_ops *ops;
	const char *tag; /* "" when it has none; lives as long as the core */
	struct core *core;
	struct loop *home; /* NULL: any loop */
	enum conf_strategy target_strategy; /* how flows' targets are resolved before open() */
	size_t number; /* in the core's table, 1 is the first; 0: in none */
	struct observe_stats *stats; /* NULL: nobody probes it */
	/* Its server could not be reached: until then balancers pass it over. Any thread. */
	_Atomic uint64_t down_until_ms;
	atomic_bool told_no_echo;    /* the log has said that pings do not pass here */
};

#endif
