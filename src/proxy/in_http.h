/* An HTTP proxy for clients of our own; what it does is in proxy/http_front.h. */
#ifndef GARENNE_PROXY_IN_HTTP_H
#define GARENNE_PROXY_IN_HTTP_H

#include "conf/inbound.h"
#include "flow/inbound.h"

/** Borrows both. Gives, or NULL when memory is out. */
struct inbound *in_http_new(struct core *c, const struct conf_inbound *conf);

#endif
