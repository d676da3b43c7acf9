/*
 * The serving end of a mux carrier: each session becomes a flow. Used by every
 * inbound (a carrier is a flow to the name v1.mux.cool) and by bridges.
 */
#ifndef GARENNE_PROXY_MUX_SERVE_H
#define GARENNE_PROXY_MUX_SERVE_H

#include "flow/core.h"
#include "proxy/mux.h"

struct mux_serve;

/* What the flows of a carrier have in common; strings live as long as the core. */
struct mux_serve_conf {
	struct core *core;
	const char *in_tag, *user;
	uint32_t level;
	enum flow_origin origin;
	const struct conf_sniff *sniff;
	struct ipport source, local; /* unless a session says better */
	struct ip twin;		     /* the source for targets of the other family, or 0 */
	bool addresses;		     /* sessions carry source and local address */
	bool udp_only;		     /* a TCP session ends the carrier */
	unsigned hops;
	const struct outbound *came_by; /* a bridge: the outbound that opened the carrier */
};

struct mux_serve_user {
	/* Optional: takes a session for itself (a bridge: the control session) and returns true. */
	bool (*on_session)(struct mux_serve_user *u, const struct mux_request *req,
			   struct stream *s, struct dgram *d);
	/* The carrier is gone; the mux_serve too. */
	void (*on_end)(struct mux_serve_user *u, int err, const char *why);
};

/** Takes @carrier and @early. @user may be NULL. Gives (it frees itself when the carrier ends), or
 * NULL when memory is out. */
struct mux_serve *mux_serve_start(struct stream *carrier, struct bufq *early,
				  const struct mux_serve_conf *conf, struct mux_serve_user *user);
struct mux *mux_serve_mux(struct mux_serve *v);
/** Ends the carrier and its flows; does not call back. */
void mux_serve_close(struct mux_serve *v, int err);

#endif
