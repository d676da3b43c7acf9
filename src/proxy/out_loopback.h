/*
 * The outbound that is a way back to the rules: the flow is routed again as if
 * it had come in by the inbound that is named. A loop of rules ends at the
 * dispatcher's bound on how often a flow may come back.
 */
#ifndef GARENNE_PROXY_OUT_LOOPBACK_H
#define GARENNE_PROXY_OUT_LOOPBACK_H

#include "conf/outbound.h"
#include "flow/outbound.h"

/** Borrows both. Gives, or NULL when memory is out. */
struct outbound *out_loopback_new(struct core *c, const struct conf_outbound *conf);

#endif
