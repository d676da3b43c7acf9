/* The inbound "tun": whatever a host sends into the device becomes a flow. */
#ifndef GARENNE_VPN_IN_TUN_H
#define GARENNE_VPN_IN_TUN_H

#include "flow/inbound.h"

/** Borrows both while it lives. Gives, or NULL. */
struct inbound *in_tun_new(struct core *c, const struct conf_inbound *conf);

#endif
