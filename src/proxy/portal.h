/*
 * Portal: the public side of a reverse proxy. To the router it is an outbound.
 * A flow that reaches it is one of two things: a bridge that registers, whose
 * stream becomes a mux carrier of which we are the client, or a visitor, who
 * gets a session on the carrier with the least to do.
 *
 *   classic  registers by asking for the portal's domain, byte for byte
 *   VLESS    registers by command 4 of a user with "reverse"
 *
 * All carriers of a portal live on its home loop. States, each with since and
 * last error: NEVER (no bridge has come yet), UP, LOST. A visitor who comes just
 * after the last carrier was lost is held for a moment: bridges come back.
 */
#ifndef GARENNE_PROXY_PORTAL_H
#define GARENNE_PROXY_PORTAL_H

#include "conf/reverse.h"
#include "flow/outbound.h"

/** Borrows both. Gives, or NULL when memory is out. */
struct outbound *portal_new(struct core *c, const struct conf_portal *conf);
/** For users of VLESS with this reverse tag; the tag lives as long as the core. */
struct outbound *portal_new_vless(struct core *c, const char *tag);
/** Takes @f, whose stream is the carrier of a bridge that wants to serve @tag. */
void portal_register_vless(struct flow *f, const char *tag);

#endif
