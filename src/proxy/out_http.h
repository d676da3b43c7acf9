/*
 * An HTTP proxy as outbound: CONNECT, TCP only. What arrives together with the
 * proxy's answer belongs to the target and is kept.
 */
#ifndef GARENNE_PROXY_OUT_HTTP_H
#define GARENNE_PROXY_OUT_HTTP_H

#include "conf/outbound.h"
#include "flow/outbound.h"

/** Borrows both. Gives, or NULL with a line logged. */
struct outbound *out_http_new(struct core *c, const struct conf_outbound *conf);

#endif
