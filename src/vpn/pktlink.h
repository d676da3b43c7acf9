/*
 * Where IP packets go to: a TUN device, or another stack in a test. What the other side can do for
 * us (sums, cutting large packets up) is said here, and used per packet.
 */
#ifndef GARENNE_VPN_PKTLINK_H
#define GARENNE_VPN_PKTLINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum { PKTLINK_IOV_MAX = 72 };

/* One IP packet on its way out. */
struct pktout {
	struct iovec *iov; /* with one free element in front of it, for the link's own header */
	int n_iov;
	uint32_t len;	   /* of the whole packet */
	uint8_t family;
	uint16_t head;	   /* bytes of the IP header; 0 in @l4_head: nothing is left to do */
	uint16_t l4_head;  /* and of the one behind it */
	uint8_t sum_at;	   /* offset of its sum, which holds that of the pseudo header; 0: done */
	uint16_t gso_size; /* payload of each packet after cutting; 0: it is not cut */
	bool udp;
};

struct pktlink {
	uint16_t mtu;
	bool csum; /* sums may be left to it */
	bool tso;  /* TCP may be cut by it */
	bool uso;  /* and UDP */
	/* 0, or -ERR_*: dropped (no room, too long). Borrows the packet. */
	int (*send)(struct pktlink *l, const struct pktout *p);
};

#endif
