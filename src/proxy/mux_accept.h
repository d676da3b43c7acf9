/* What flows to the name v1.mux.cool reach: the serving end of a mux carrier. */
#ifndef GARENNE_PROXY_MUX_ACCEPT_H
#define GARENNE_PROXY_MUX_ACCEPT_H

#include "flow/outbound.h"

/** For core->mux_acceptor. Gives, or NULL. */
struct outbound *mux_accept_new(struct core *c);

#endif
