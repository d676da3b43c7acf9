/*
 * A SOCKS 5 server as outbound: CONNECT for TCP; for UDP an association, whose
 * connection is held open as long as the flow lives. No step is sent before the
 * answer to the one before, as every server expects.
 */
#ifndef GARENNE_PROXY_OUT_SOCKS_H
#define GARENNE_PROXY_OUT_SOCKS_H

#include "conf/outbound.h"
#include "flow/outbound.h"

/** Borrows both. Gives, or NULL with a line logged. */
struct outbound *out_socks_new(struct core *c, const struct conf_outbound *conf);

#endif
