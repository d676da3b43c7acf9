/*
 * UDP on the device: one association per endpoint of a client, whoever answers it is heard (full
 * cone). Datagrams come and go in trains of equal size where the kernel can do that, and in
 * fragments where they are longer than the MTU.
 *
 * An association may also be the other way round: of the outbound, from an address that belongs to
 * somebody far away; then packets to that endpoint are for it.
 */
#ifndef GARENNE_VPN_TUN_UDP_H
#define GARENNE_VPN_TUN_UDP_H

#include "flow/inbound.h"
#include "net/dgram.h"
#include "proto/ippkt.h"
#include "vpn/pktlink.h"

enum {
	TUN_UDP_ASSOCS = 16384,
	TUN_UDP_TRAIN = 64, /* datagrams in one packet for the kernel */
};

struct icmpmsg_quote;
struct tun_udp;

/** Borrows @link. Gives, or NULL. */
struct tun_udp *tun_udp_new(struct loop *l, struct pktlink *link);
/** Takes NULL too; associations must be closed. */
void tun_udp_free(struct tun_udp *u);
/** New associations become flows of @in; NULL: none are made any more. */
void tun_udp_listen(struct tun_udp *u, struct inbound *in);
/** A packet of UDP, whole, whose sums are right; takes @pkt. @piece not 0: the payload is several
 * datagrams of that size, the last one shorter. */
void tun_udp_input(struct tun_udp *u, const struct ippkt *ip, struct buf *pkt, uint16_t piece);
/** An error about a datagram of the outbound: its flow hears that it came back, and datagrams are
 * cut for a smaller MTU. */
void tun_udp_error(struct tun_udp *u, const struct icmpmsg_quote *q);
/** An association of the outbound: sends from @from, or from another port when @from speaks
 * with @to already, to @to unless a packet says better. Gives; NULL when there is no room. */
struct dgram *tun_udp_open(struct tun_udp *u, const struct ipport *from, const struct ipport *to);

#endif
