/*
 * Connections to a proxy's server that are opened before they are needed
 * (testpre of VLESS): a flow that takes one has no TCP and TLS handshake to wait for.
 *
 * Each loop has its own few. They are kept while the outbound is in use: the first
 * flow that asks begins it, WARM_USED_MS after the last one they are let go. One that
 * has waited for WARM_AGE_MS is replaced by a fresh one. One whose server has closed it
 * or said anything is dropped, and others are opened only after a pause, which doubles
 * until one is of use again. None outlives a change of the network.
 *
 * One object per outbound, shared by all loops.
 */
#ifndef GARENNE_FLOW_WARM_H
#define GARENNE_FLOW_WARM_H

#include "flow/dialer.h"

struct warm;

enum {
	WARM_MAX = 64, /* per loop, whatever the file says */
	WARM_AGE_MS = 40000, /* servers wait a minute for the first words */
	WARM_USED_MS = 60000,
	WARM_PAUSE_MS = 2000, /* after a failure, doubled up to a minute */
};

/** @n in all, at least one per loop. Borrows @d and @server. Gives, or NULL. */
struct warm *warm_new(struct core *c, struct dialer *d, const struct addr *server, unsigned n);
/** Closes all. The loops do not run any more, or those of @w are at their end. Takes NULL too. */
void warm_free(struct warm *w);
/** Gives a connection as dialer_dial does, or NULL when none is ready; more are then opened. */
struct stream *warm_take(struct warm *w, struct loop *l);

#endif
