/*
 * A TUN device of Linux: packets in batches into buffers of the pool, packets out from where they
 * lie. With the virtio header in front of each packet the kernel hands over and takes TCP (and,
 * since 6.2, UDP) in pieces of up to 64 KiB, and leaves sums undone or does them: most of the speed
 * comes from there. A kernel that can do less is asked for less.
 *
 * The device exists as long as this object; addresses and routes are somebody else's business.
 */
#ifndef GARENNE_VPN_TUN_DEV_H
#define GARENNE_VPN_TUN_DEV_H

#include "base/buf.h"
#include "net/loop.h"
#include "vpn/pktlink.h"

enum {
	TUN_DEV_BATCH = 64, /* packets per turn of the loop */
	TUN_DEV_NAME = 16,  /* of the kernel's IFNAMSIZ */
};

/* What the kernel says about a packet beside its bytes. */
struct tun_rx {
	bool summed;	   /* its sum need not be looked at: right, or only of the pseudo header */
	bool udp_pieces;   /* datagrams of @gso_size bytes in one, the last may be shorter */
	uint16_t gso_size;
};

struct tun_dev_user {
	/* Takes @pkt, which begins with the IP header. */
	void (*on_packet)(struct tun_dev_user *u, struct buf *pkt, const struct tun_rx *rx);
};

struct tun_dev;

/** Opens, or makes, the device @name, as it is or will be configured with @mtu. Gives; NULL and
 * words in @why. Borrows @user. Nothing is read before tun_dev_start. */
struct tun_dev *tun_dev_new(struct loop *l, const char *name, uint16_t mtu,
			    struct tun_dev_user *user, char *why, size_t cap);
void tun_dev_start(struct tun_dev *d);
/** Takes NULL too. */
void tun_dev_free(struct tun_dev *d);
/** Where packets to the device go. */
struct pktlink *tun_dev_link(struct tun_dev *d);
/** The name that the kernel gave it. */
const char *tun_dev_name(const struct tun_dev *d);

#endif
