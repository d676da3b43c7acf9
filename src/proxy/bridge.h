/*
 * Bridge: the hidden side of a reverse proxy. It keeps carriers open to the
 * portal and serves the flows that the portal sends along them.
 *
 *   classic  a flow to the portal's domain with the bridge's tag, sent on its way
 *            by the ordinary rules of the file
 *   VLESS    command 4 by the outbound that has "reverse"
 *
 * States, each with since and last error: DIALING, CONNECTED (a carrier stands,
 * the portal has not spoken yet), UP. While there is no carrier a new attempt
 * starts every second or so beside those under way, so that the first moment
 * of a returning network is not missed by one that is waiting in vain. One
 * carrier more than needed is kept as a spare.
 */
#ifndef GARENNE_PROXY_BRIDGE_H
#define GARENNE_PROXY_BRIDGE_H

#include "conf/outbound.h"
#include "conf/reverse.h"
#include "flow/outbound.h"

struct bridge;

/** Borrows all. Gives, or NULL when memory is out. */
struct bridge *bridge_new(struct core *c, const struct conf_bridge *conf);
/** @out is the outbound made from @conf, which has a reverse tag. */
struct bridge *bridge_new_vless(struct core *c, const struct conf_outbound *conf,
				struct outbound *out);
/** Begins to dial; before the loops run. */
void bridge_start(struct bridge *b);
/** The loop that @b lives on. */
struct loop *bridge_loop(const struct bridge *b);
/** The network of this machine changed: what waits on the old one is given up, each carrier must
 * show that it still lives, and a new attempt starts at once if it is needed. On its loop. */
void bridge_network_changed(struct bridge *b);
/** Tag, domain, state with since and last error, carriers. On its loop. */
void bridge_describe(struct bridge *b, cJSON *into);
/** The loops are not running any more. Takes NULL too. */
void bridge_free(struct bridge *b);

#endif
