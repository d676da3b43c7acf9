/*
 * The UDP side of a tunnel: a socket for each port, a flow for each client. The
 * client that was silent longest makes room for a new one when the table is
 * full.
 */
#ifndef GARENNE_PROXY_TUNNEL_UDP_H
#define GARENNE_PROXY_TUNNEL_UDP_H

#include "flow/inbound.h"

struct tunnel_udp;

/** Opens a socket for each port of @in, which is borrowed. Gives, or NULL with a line logged. */
struct tunnel_udp *tunnel_udp_start(struct inbound *in);
/** Closes the sockets; flows that are left find nobody to answer. Takes NULL too. */
void tunnel_udp_stop(struct tunnel_udp *u);

/* Clients at a time. */
enum { TUNNEL_UDP_CLIENTS = 8192 };

#endif
