/*
 * The outbound that lets new nodes of a mesh fetch their files: whatever address a
 * flow is for, it ends here, says one request (proto/joinmsg.h) and hears the
 * answer. UDP fails. Ours alone.
 */
#ifndef GARENNE_PROXY_OUT_JOIN_H
#define GARENNE_PROXY_OUT_JOIN_H

#include "conf/outbound.h"
#include "flow/outbound.h"

/** Borrows both. Gives, or NULL when memory is out. */
struct outbound *out_join_new(struct core *c, const struct conf_outbound *conf);

#endif
