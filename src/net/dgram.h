/*
 * The other kind of carrier: packets with addresses. A UDP association, a UDP
 * session of a mux, the packets of VLESS or Shadowsocks, a SOCKS5 association.
 *
 * send() always takes the packet; when there is no room it is dropped, as a
 * network would. Packets come up through the user's on_packet. The address that
 * goes with a packet is always the remote party, never the user: towards an
 * outbound where it goes to or came from; towards an inbound whom the client
 * addressed, or who answers it. A name is allowed where the carrier can
 * express one.
 */
#ifndef GARENNE_NET_DGRAM_H
#define GARENNE_NET_DGRAM_H

#include "base/addr.h"
#include "base/buf.h"
#include "net/loop.h"

struct dgram;

struct dgram_user {
	/* Takes @pkt. @from has kind ADDR_NONE when the carrier does not say. */
	void (*on_packet)(struct dgram_user *u, struct dgram *d, const struct addr *from,
			  struct buf *pkt);
	/* The carrier ended (-ERR_*); close it. Not called after close. */
	void (*on_end)(struct dgram_user *u, struct dgram *d, int err);
	/* A packet to @to came back (-ERR_*): nobody listens there, or no way leads there. Others may
	 * well arrive. Optional. */
	void (*on_bounce)(struct dgram_user *u, struct dgram *d, const struct addr *to, int err);
};

struct dgram_ops {
	const char *name;
	/* Takes @pkt. @to of kind ADDR_NONE: the default target of the carrier. */
	void (*send)(struct dgram *d, const struct addr *to, struct buf *pkt);
	/* Consumes @d; never calls back. */
	void (*close)(struct dgram *d, int err);
	/* Tells whoever is behind @d that its packet to @to came back. Optional: most cannot. */
	void (*bounce)(struct dgram *d, const struct addr *to, int err);
};

struct dgram_wait;

struct dgram {
	const struct dgram_ops *ops;
	struct loop *loop;
	struct dgram_user *user;
	struct dgram_wait *wait; /* packets that came before the user; NULL: none */
	struct garbage garbage;
};

enum {
	DGRAM_MAX = 65507,
	/* What waits for a user: the first packets of a flow, while it is routed and opened. */
	DGRAM_WAIT_MAX = 16,
	DGRAM_WAIT_BYTES = 32768,
};

static inline void dgram_init(struct dgram *d, const struct dgram_ops *ops, struct loop *l)
{
	d->ops = ops;
	d->loop = l;
	d->user = NULL;
	d->wait = NULL;
	list_init(&d->garbage.node);
}

/** Packets that waited come from the loop, before any later one. */
void dgram_attach(struct dgram *d, struct dgram_user *u);
/** Frees what waits; for implementations that go without a dgram_close. */
void dgram_forget(struct dgram *d);

static inline void dgram_send(struct dgram *d, const struct addr *to, struct buf *pkt)
{
	d->ops->send(d, to, pkt);
}

static inline void dgram_close(struct dgram *d, int err)
{
	if (d) {
		dgram_forget(d);
		d->user = NULL;
		d->ops->close(d, err);
	}
}

static inline void dgram_bounce(struct dgram *d, const struct addr *to, int err)
{
	if (d->ops->bounce)
		d->ops->bounce(d, to, err);
}

/** Tells the user, if there is one yet, that a packet of his came back. */
static inline void dgram_bounced(struct dgram *d, const struct addr *to, int err)
{
	if (d->user && d->user->on_bounce)
		d->user->on_bounce(d->user, d, to, err);
}

/** Tells the user that the carrier has ended, after the packets that wait; while there is no user,
 * it waits, too. From the loop only. */
void dgram_ended(struct dgram *d, int err);
/** Takes @pkt up to the user; while there is none the first few wait and others are dropped. */
void dgram_deliver(struct dgram *d, const struct addr *from, struct buf *pkt);

#endif
