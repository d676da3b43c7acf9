/*
 * The client's end of a SOCKS 5 UDP association: datagrams with a header each, to
 * and from the server's relay, for as long as its TCP connection is open. What
 * does not come from the relay is ignored.
 */
#ifndef GARENNE_PROXY_SOCKS_RELAY_H
#define GARENNE_PROXY_SOCKS_RELAY_H

#include "net/dgram_udp.h"
#include "net/stream.h"

/** Takes @below and @control. @relay: where datagrams go. @target: of those without an address.
 * Gives; NULL (both closed) when memory is out. */
struct dgram *socks_relay_new(struct dgram *below, struct stream *control,
			      const struct addr *relay, const struct addr *target);

#endif
