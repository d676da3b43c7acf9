/*
 * The outbound "tun": delivers flows into the device of the inbound "tun", from the addresses of
 * their originators, as if these were hosts behind it. Who listens there sees who it is.
 */
#ifndef GARENNE_VPN_OUT_TUN_H
#define GARENNE_VPN_OUT_TUN_H

#include "conf/outbound.h"
#include "flow/outbound.h"

/** Borrows both while it lives. Gives, or NULL. */
struct outbound *out_tun_new(struct core *c, const struct conf_outbound *conf);

#endif
