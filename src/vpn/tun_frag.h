/*
 * Packets that come in fragments: of UDP and ICMP, put together here, in bounds. Fragments that
 * overlap end their packet (RFC 5722): nobody honest makes them.
 */
#ifndef GARENNE_VPN_TUN_FRAG_H
#define GARENNE_VPN_TUN_FRAG_H

#include "base/buf.h"
#include "net/loop.h"
#include "proto/ippkt.h"

enum {
	TUN_FRAG_PACKETS = 256,	   /* being put together */
	TUN_FRAG_BYTES = 4 << 20,  /* held for them */
	TUN_FRAG_PIECES = 128,	   /* of one packet */
	TUN_FRAG_MS = 15000,	   /* for one packet to become whole */
};

struct tun_frag;

struct tun_frag *tun_frag_new(struct loop *l);
/** Takes NULL too. */
void tun_frag_free(struct tun_frag *g);
/** A fragment, described by @ip; takes @pkt. Gives the whole packet, with a header without options,
 * when it was the last one missing; else NULL. */
struct buf *tun_frag_input(struct tun_frag *g, const struct ippkt *ip, struct buf *pkt);

#endif
