/*
 * For flows that must reach another loop and whose inbound side cannot move: a
 * session of a carrier, a client of a shared UDP socket. What they say is
 * carried over by a pipe between the loops.
 */
#ifndef GARENNE_FLOW_FERRY_H
#define GARENNE_FLOW_FERRY_H

#include "flow/flow.h"
#include "net/dgram.h"
#include "net/stream.h"

/** Takes @s, on its loop. Gives what stands for it on @to, or NULL (@s is closed). *@hook (may be
 * NULL) is replaced by one that may be called on @to and speaks to the old one where it lives. */
struct stream *ferry_stream(struct stream *s, struct loop *to, struct flow_hook **hook);
/** The same for datagrams. */
struct dgram *ferry_dgram(struct dgram *d, struct loop *to, struct flow_hook **hook);

#endif
