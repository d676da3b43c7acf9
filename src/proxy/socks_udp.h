/*
 * A SOCKS 5 UDP association: a socket of its own for one client, for as long as
 * the client keeps its TCP connection. What the client sends becomes a flow;
 * when the flow has been forgotten (the idle limit of a question to a name
 * server is short), the next datagram begins another one.
 *
 *   socks_udp_new       a bound socket, to be announced
 *   socks_udp_start     takes the connection; from now on the association keeps itself
 *
 * Datagrams from anybody but the client are ignored: that is the other end of the
 * connection, or the address that the request said, and the first valid datagram
 * fixes which and the port.
 */
#ifndef GARENNE_PROXY_SOCKS_UDP_H
#define GARENNE_PROXY_SOCKS_UDP_H

#include "flow/inbound.h"

struct socks_udp;

/** Binds to @ip; *@bound gets where. @from: the address of the request, which may be none or any.
 * Copies @info. Gives; NULL with a line logged. */
struct socks_udp *socks_udp_new(struct inbound *in, struct loop *l, const struct conn_info *info,
				const struct addr *from, const struct ip *ip, struct ipport *bound);
/** Takes @u and @control. @user lives as long as the core. */
void socks_udp_start(struct socks_udp *u, struct stream *control, const char *user,
		     uint32_t level);
/** For one that was not started. Takes NULL too. */
void socks_udp_free(struct socks_udp *u);

#endif
