/*
 * Datagrams on their way to the device. Those of one turn that follow each other with the same ends
 * and the same size leave as one packet, which the kernel cuts (or hands on whole to a receiver
 * that asks for it); a shorter one ends the train. Longer ones than the MTU leave in fragments.
 */
#ifndef GARENNE_VPN_UDP_TRAIN_H
#define GARENNE_VPN_UDP_TRAIN_H

#include "base/addr.h"
#include "base/buf.h"
#include "net/loop.h"
#include "vpn/pktlink.h"

struct udp_train;

/** Borrows @link. Gives, or NULL. */
struct udp_train *udp_train_new(struct loop *l, struct pktlink *link);
/** Takes NULL too; what waits is lost. */
void udp_train_free(struct udp_train *t);
/** Takes @payload. It leaves before the loop sleeps, or is dropped: no room, too long. @mtu: of the
 * way, when it is less than the link's; 0: it is not. */
void udp_train_send(struct udp_train *t, const struct ipport *from, const struct ipport *to,
		    uint16_t mtu, struct buf *payload);

#endif
