/* Shadowsocks outbound, classic AEAD and 2022 with key chains, TCP and UDP. */
#ifndef GARENNE_PROXY_OUT_SS_H
#define GARENNE_PROXY_OUT_SS_H

#include "conf/outbound.h"
#include "flow/outbound.h"

/** Borrows both. Gives, or NULL with a line logged. */
struct outbound *out_ss_new(struct core *c, const struct conf_outbound *conf);

#endif
