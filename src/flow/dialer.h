/*
 * How a proxy outbound reaches its server: by a socket of its own or through
 * another outbound (proxySettings, dialerProxy), then the security of its
 * streamSettings. One object per outbound, shared by all loops.
 */
#ifndef GARENNE_FLOW_DIALER_H
#define GARENNE_FLOW_DIALER_H

#include "conf/outbound.h"
#include "flow/core.h"
#include "net/dgram_udp.h"
#include "net/stream.h"

struct dialer;
struct dial;

struct dial_user {
	/* Gives @s ready for use, or NULL with @err and a text (valid during the call). @d is gone. */
	void (*on_dialed)(struct dial_user *u, struct stream *s, int err, const char *why);
};

/** Borrows @o. Gives, or NULL with a line logged. */
struct dialer *dialer_new(struct core *c, const struct conf_outbound *o);
void dialer_free(struct dialer *d);
/** Opens a connection to @server on @l. @for_flow (may be NULL) gives sendThrough its origin.
 * Gives a handle for dial_cancel; calls back later, never from inside. NULL when memory is out. */
struct dial *dialer_dial(struct dialer *d, struct loop *l, const struct addr *server,
			 const struct flow *for_flow, struct dial_user *user);
/** Gives up without calling back. */
void dial_cancel(struct dial *d);
/**
 * Packets to a server: by a socket of its own, as @spec says, or through another outbound, which
 * resolves names itself and does not ask @spec->gate. @for_flow as above. Gives; NULL and @why. A
 * failure that shows later ends the carrier.
 */
struct dgram *dialer_dgram(struct dialer *d, struct loop *l, const struct dgram_udp_spec *spec,
			   const struct flow *for_flow, char why[NET_WHY_MAX]);
/** Does another outbound dial? */
bool dialer_is_through(const struct dialer *d);

#endif
