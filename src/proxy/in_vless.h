/* VLESS inbound: users, fallbacks, commands TCP, UDP, mux and reverse. */
#ifndef GARENNE_PROXY_IN_VLESS_H
#define GARENNE_PROXY_IN_VLESS_H

#include "flow/inbound.h"

/** Borrows both. Gives, or NULL when memory is out. */
struct inbound *in_vless_new(struct core *c, const struct conf_inbound *conf);

#endif
