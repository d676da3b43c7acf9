/* VLESS outbound: TCP, UDP (XUDP, or packets for DNS and QUIC ports), mux, and a bridge's carrier. */
#ifndef GARENNE_PROXY_OUT_VLESS_H
#define GARENNE_PROXY_OUT_VLESS_H

#include "conf/outbound.h"
#include "flow/outbound.h"

/** Borrows both. Gives, or NULL with a line logged. */
struct outbound *out_vless_new(struct core *c, const struct conf_outbound *conf);

#endif
