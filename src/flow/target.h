/*
 * targetStrategy: an outbound that wants its flows' targets as addresses. The
 * name is looked up here before the outbound gets the flow, so that the far end
 * has nothing to resolve. What Use... cannot find goes on by its name, Force...
 * fails the flow. Of several addresses the first counts.
 *
 * freedom dials by itself and tries them all, so it does this on its own, unless
 * another outbound dials for it.
 */
#ifndef GARENNE_FLOW_TARGET_H
#define GARENNE_FLOW_TARGET_H

#include "flow/flow.h"

/** True when @f->out wants an address and it has to be asked for: takes @f, which comes back by
 * dispatch_open or fails. False: nothing to do. */
bool target_resolve(struct flow *f);
/** The other way: @f->target is what the user asked for again, as for another outbound. */
void target_restore(struct flow *f);
/** What the user asked for. */
const struct addr *target_asked(const struct flow *f);

#endif
