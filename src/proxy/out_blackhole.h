/*
 * The outbound that goes nowhere. TCP: the flow ends at once, or the client gets
 * a page that says 403 and a second to read it. UDP: packets vanish until the
 * flow's own idle limit ends it.
 */
#ifndef GARENNE_PROXY_OUT_BLACKHOLE_H
#define GARENNE_PROXY_OUT_BLACKHOLE_H

#include "conf/outbound.h"
#include "flow/outbound.h"

/** Borrows both. Gives, or NULL when memory is out. */
struct outbound *out_blackhole_new(struct core *c, const struct conf_outbound *conf);

#endif
