/* Where a tunnel's connections and packets go. */
#ifndef GARENNE_PROXY_TUNNEL_TARGET_H
#define GARENNE_PROXY_TUNNEL_TARGET_H

#include "conf/inbound.h"

/* What is known of a connection or packet. */
struct tunnel_arrival {
	struct ipport local;	/* where it came in; family 0: a unix socket */
	struct ipport original; /* where it was going before it was redirected; family 0: unknown */
	const char *sni;	/* "" without TLS */
};

/** The fixed target: what the port map or the configuration says, loopback of the accepted family
 * by default. */
struct addr tunnel_fixed(const struct conf_in_tunnel *conf, const struct ipport *local);

/**
 * 0 and *@out; -ERR_LOOP: it was going to the inbound itself; -ERR_UNSUPPORTED: nobody knows.
 * @in tells the ports and address that the inbound listens on.
 */
int tunnel_target(struct addr *out, const struct conf_inbound *in,
		  const struct tunnel_arrival *arrival);

#endif
