/*
 * The outbound that understands DNS: a flow of queries, datagrams or a stream,
 * each judged by rules and answered or forwarded by itself.
 */
#ifndef GARENNE_PROXY_OUT_DNS_H
#define GARENNE_PROXY_OUT_DNS_H

#include "conf/outbound.h"
#include "flow/outbound.h"

/** Borrows both. Gives, or NULL with lines logged. */
struct outbound *out_dns_new(struct core *c, const struct conf_outbound *conf);

#endif
