/*
 * Shadowsocks inbound, classic AEAD and 2022, one user or several. A stranger,
 * a recording or a clock that is off gets what a busy server gives: nothing, until
 * the handshake time is over. The log says which it was.
 */
#ifndef GARENNE_PROXY_IN_SS_H
#define GARENNE_PROXY_IN_SS_H

#include "flow/inbound.h"

/** Borrows both. Gives, or NULL when memory is out. */
struct inbound *in_ss_new(struct core *c, const struct conf_inbound *conf);

#endif
