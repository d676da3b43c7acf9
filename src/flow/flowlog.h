/*
 * The lines that tell a flow's story: the access line when it is routed, in the
 * words that users of Xray know, and one line of ours at its end.
 */
#ifndef GARENNE_FLOW_FLOWLOG_H
#define GARENNE_FLOW_FLOWLOG_H

#include "flow/flow.h"

/** "from 1.2.3.4:5 accepted tcp:host:80 [in -> out] email: x" */
void flowlog_accepted(const struct flow *f);
/** "from 1.2.3.4:5 rejected tcp:host:80 [in] reason" */
void flowlog_rejected(const struct flow *f, const char *why);
/** Who, from, to, rule, way of a UDP flow that nobody answers: its end may be minutes away. */
void flowlog_blocked(const struct flow *f);
/** Who, from, to, rule, way, bytes, time, reason. */
void flowlog_end(const struct flow *f, int err, bool in_side, const char *why);

#endif
