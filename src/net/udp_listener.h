/*
 * A UDP socket that serves: it tells for each packet where the packet was sent,
 * and answers leave from there, also on a host with many addresses.
 *
 * With tproxy the destination is the original one, before the firewall took the
 * packet in. An answer must then come from a foreign address and port: it
 * leaves through a socket that is bound to it. Those are few, kept while they
 * are used, and what arrives on one is a packet like any other.
 */
#ifndef GARENNE_NET_UDP_LISTENER_H
#define GARENNE_NET_UDP_LISTENER_H

#include "base/addr.h"
#include "base/buf.h"
#include "net/loop.h"
#include "net/sock.h"

enum {
	UDP_LISTENER_FOREIGN = 256,	  /* sockets bound to foreign addresses */
	UDP_LISTENER_FOREIGN_IDLE_S = 60, /* and how long an unused one lives */
};

struct udp_listener;

struct udp_listener_user {
	/* Takes @pkt. @to: where the client sent it, for udp_listener_send. May close @l. */
	void (*on_packet)(struct udp_listener_user *u, struct udp_listener *l,
			  const struct ipport *from, const struct ipport *to, struct buf *pkt);
};

struct udp_listener_spec {
	struct ipport at;		 /* no address: all; port 0: any free one */
	const struct conf_sockopt *opts; /* NULL: defaults; borrowed while the listener lives */
};

/** Gives; NULL and @why on failure. Borrows @user. */
struct udp_listener *udp_listener_new(struct loop *l, const struct udp_listener_spec *spec,
				      struct udp_listener_user *user, char why[NET_WHY_MAX]);
/** Takes @pkt, sends it from @from (a packet's @to; NULL: the kernel's choice) to @to. */
void udp_listener_send(struct udp_listener *l, const struct ipport *from, const struct ipport *to,
		       struct buf *pkt);
/** Where it listens, with the real port. */
struct ipport udp_listener_at(const struct udp_listener *l);
/** Takes NULL too. Never calls back. */
void udp_listener_close(struct udp_listener *l);

#endif
