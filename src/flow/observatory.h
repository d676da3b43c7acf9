/*
 * The prober behind leastPing and leastLoad: asks for a URL through each outbound
 * whose tag begins with a selector, and writes what it learns to outbound->stats.
 *
 *   plain    one outbound after another, an interval between two probes; all at
 *            once, and an interval between two rounds, if concurrent. The last
 *            probe counts. The first round knows no pauses: before it, leastPing has
 *            nothing to choose from.
 *   burst    each outbound for itself: a probe at the start, then one per interval
 *            on average, at random moments. The last @sampling probes count. With a
 *            connectivity URL, a failure counts only if that URL answers straight
 *            from this host: else our own line is down.
 *
 * A probe runs on the home of its outbound, everything else on the first loop. An
 * outbound that says itself that it cannot work now (a portal without bridges)
 * is not asked; what was last measured stays.
 */
#ifndef GARENNE_FLOW_OBSERVATORY_H
#define GARENNE_FLOW_OBSERVATORY_H

#include "conf/routing.h"
#include "flow/core.h"

struct conf_tls;
struct observatory;

/** Borrows all; the outbounds of @c are complete. @tls as in probe_target_new. Gives, or NULL with
 * a line logged. */
struct observatory *observatory_new(struct core *c, const struct conf_observatory *conf,
				    const struct conf_tls *tls);
/** Begins to probe; on the first loop, or before the loops run. */
void observatory_start(struct observatory *ob);
/** No new probes; on the first loop, before the flows are ended. Takes NULL too. */
void observatory_stop(struct observatory *ob);
/** After the loops were freed, which end what is under way. Takes NULL too. */
void observatory_free(struct observatory *ob);

#endif
