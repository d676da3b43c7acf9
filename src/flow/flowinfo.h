/*
 * Flows as JSON, for the control socket: the same keys for those that live and
 * those that have ended.
 *
 *   id, state, net, from, to, user, in, out, rule {number, tag, file, line}, up, down, ms
 *   live:  seen (sniffed name), protocol
 *   ended: ago_ms, error, side ("client" or "far"), reason
 */
#ifndef GARENNE_FLOW_FLOWINFO_H
#define GARENNE_FLOW_FLOWINFO_H

#include <cjson/cJSON.h>

#include "flow/flow.h"
#include "flow/history.h"

/** On the flow's loop. Gives; NULL when memory is out. */
cJSON *flowinfo_live(const struct flow *f);
/** @now_ms of the entry's worker. Gives; NULL when memory is out. */
cJSON *flowinfo_ended(const struct history_entry *e, uint64_t now_ms);

#endif
