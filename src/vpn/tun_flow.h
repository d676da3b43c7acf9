/*
 * What becomes of a connection that waits for its answer. A flow may be opened on another loop than
 * the device's; its verdict then comes back as a message, in order.
 */
#ifndef GARENNE_VPN_TUN_FLOW_H
#define GARENNE_VPN_TUN_FLOW_H

#include "flow/inbound.h"
#include "vpn/tcp_conn.h"

/** A flow for @c that came in by @in. Takes @c. @early: its SYN is answered at once. */
void tun_flow_start(struct inbound *in, struct tcp_conn *c, bool early);

#endif
