/*
 * The outbound that goes straight to the target. TCP: resolve, ask the final
 * rules for each address, dial, say a PROXY header if asked to, relay; a failure
 * is told at once and as it is. What the rules forbid is swallowed. UDP: one
 * socket per flow for all targets, so that whoever answers is heard.
 */
#ifndef GARENNE_PROXY_OUT_FREEDOM_H
#define GARENNE_PROXY_OUT_FREEDOM_H

#include "conf/outbound.h"
#include "flow/outbound.h"

/** Borrows both. Gives, or NULL with lines logged. */
struct outbound *out_freedom_new(struct core *c, const struct conf_outbound *conf);

#endif
