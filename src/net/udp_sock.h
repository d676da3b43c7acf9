/*
 * A UDP socket on a loop: what associations and listeners have in common.
 *
 * Reading and writing go in batches. What is sent in one turn of the loop leaves
 * at its end with few system calls (sendmmsg; runs of equal packets to one
 * place as one, by UDP_SEGMENT); what the kernel has joined on arrival
 * (UDP_GRO) is taken apart here. Packets that the kernel does not take wait in a
 * bounded queue; those that it refuses (no route, too long, a firewall) are
 * lost, as they would be further on. No error ends the socket; those that come
 * back by ICMP are told to an owner who wants to hear them.
 *
 * A socket of family 6 that is not v6only carries both families; addresses
 * outside this file never have the mapped form.
 */
#ifndef GARENNE_NET_UDP_SOCK_H
#define GARENNE_NET_UDP_SOCK_H

#include "base/addr.h"
#include "base/buf.h"
#include "net/loop.h"

enum {
	UDP_QUEUE_MAX = 512,	       /* packets that wait for the kernel */
	UDP_QUEUE_BYTES = 1024 * 1024, /* and their bytes */
};

struct udp_out;

/* Embedded by its owner, who sets on_packet and frees the memory at the end of a turn. */
struct udp_sock {
	/* Takes @pkt. @to: where the packet was sent; family 0 when the socket does not tell.
	 * May call udp_sock_fini. */
	void (*on_packet)(struct udp_sock *s, const struct ipport *from, const struct ipport *to,
			  struct buf *pkt);
	/* A packet to @to came back as an ICMP error: -ERR_REFUSED, -ERR_UNREACH, -ERR_BLOCKED (a
	 * firewall said so). NULL: not asked for. May call udp_sock_fini. */
	void (*on_bounce)(struct udp_sock *s, const struct ipport *to, int err);
	struct loop *loop;
	int fd;		  /* -1: over */
	struct ipport at; /* bound to */
	bool v6;
	bool segments; /* the kernel and the device can do UDP_SEGMENT */
	struct watch watch;
	struct defer flush;
	struct udp_out *out; /* the queue: @n entries from @first, room for @cap */
	unsigned first, n, cap;
	size_t bytes;
};

/** Takes @fd, a non-blocking socket, and reads from it. */
void udp_sock_init(struct udp_sock *s, struct loop *l, int fd);
/** Takes @pkt; it leaves at the end of the turn. @from (NULL or family 0: the kernel's choice) is
 * an address of this host, or any for a transparent socket. */
void udp_sock_send(struct udp_sock *s, const struct ip *from, const struct ipport *to,
		   struct buf *pkt);
/** Sends what the kernel takes now and closes. Harmless when over. */
void udp_sock_fini(struct udp_sock *s);

#endif
