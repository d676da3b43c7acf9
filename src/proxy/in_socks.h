/*
 * SOCKS 5, 4 and 4a, and HTTP proxying on the same port: the first byte of a
 * connection tells. As with Xray the success reply leaves before the target is
 * dialled, so that a client loses no round trip; with replyAfterConnect it waits
 * and carries the real outcome.
 */
#ifndef GARENNE_PROXY_IN_SOCKS_H
#define GARENNE_PROXY_IN_SOCKS_H

#include "conf/inbound.h"
#include "flow/inbound.h"

/** Borrows both. Gives, or NULL when memory is out. */
struct inbound *in_socks_new(struct core *c, const struct conf_inbound *conf);

#endif
