/*
 * The TCP side of a TUN: a table of connections by their four numbers, what is bounded across all
 * of them, and the packets that belong to none. Any address and any port is "here": a SYN becomes
 * a connection whose fate its owner decides, before it is answered.
 */
#ifndef GARENNE_VPN_TCP_STACK_H
#define GARENNE_VPN_TCP_STACK_H

#include "proto/icmpmsg.h"
#include "vpn/pktlink.h"
#include "vpn/tcp_conn.h"

enum {
	TCP_STACK_CONNS = 65536,	 /* connections and tombstones */
	TCP_STACK_PENDING = 8192,	 /* SYNs without an answer */
	TCP_STACK_PENDING_SOURCE = 2048, /* of them, from one address (and its neighbours in a
					    table of counters) */
	TCP_STACK_RX = 256 << 20, /* received and not read: beyond it segments are dropped */
	TCP_STACK_TX = 256 << 20, /* taken and not acknowledged: beyond half of it a connection is
				     given less */
};

struct tcp_stack;

struct tcp_stack_user {
	/* A new connection, PENDING; takes it: ends in a close of its stream. */
	void (*on_syn)(struct tcp_stack_user *u, struct tcp_conn *c);
};

/** Borrows both. @user NULL: no connection comes in. Gives; NULL when memory is out. */
struct tcp_stack *tcp_stack_new(struct loop *l, struct pktlink *link, struct tcp_stack_user *user);
/** Takes NULL too. Ends all connections; streams of users must be closed before. */
void tcp_stack_free(struct tcp_stack *st);
/** Sets or takes away who hears of new connections. */
void tcp_stack_listen(struct tcp_stack *st, struct tcp_stack_user *user);

/** A packet of TCP, not a fragment, whose sums are right. Takes @pkt, which begins with the IP
 * header and is nobody else's. */
void tcp_stack_input(struct tcp_stack *st, const struct ippkt *ip, struct buf *pkt);

/** An error about a segment of ours: a smaller MTU is obeyed, a connection that is being opened
 * fails. What was never sent is not believed (RFC 5927). */
void tcp_stack_error(struct tcp_stack *st, const struct icmpmsg_quote *q);

/**
 * Opens a connection from @local to @remote, which the link leads to. Gives it, OPENING; @user is
 * told once, not from inside. NULL when the four numbers are in use (try another port) or a bound
 * was hit.
 */
struct tcp_conn *tcp_stack_connect(struct tcp_stack *st, const struct ipport *local,
				   const struct ipport *remote, struct tcp_conn_user *user);
size_t tcp_stack_count(const struct tcp_stack *st);

/* ---- for connections ---- */

struct loop *tcp_stack_loop(const struct tcp_stack *st);
struct pktlink *tcp_stack_link(const struct tcp_stack *st);
/** So much is buffered that each may have little / that nothing more is taken in. */
bool tcp_stack_crowded(const struct tcp_stack *st);
bool tcp_stack_full(const struct tcp_stack *st);
/** Changes of what is buffered. */
void tcp_stack_account(struct tcp_stack *st, ssize_t rx, ssize_t tx);
/** Off the table: packets do not find it any more. */
void tcp_stack_untable(struct tcp_stack *st, struct tcp_conn *c);
/** Off everything. */
void tcp_stack_forget(struct tcp_stack *st, struct tcp_conn *c);
/** It is not PENDING any more. */
void tcp_stack_decided(struct tcp_stack *st, struct tcp_conn *c);
void tcp_stack_time(struct tcp_stack *st, struct tcp_conn *c, bool on);
/** tcp_conn_expire in @ms. */
void tcp_stack_wane(struct tcp_stack *st, struct tcp_conn *c, unsigned ms);
/** tcp_conn_flush before the loop sleeps. */
void tcp_stack_dirty(struct tcp_stack *st, struct tcp_conn *c);
/** An answer to @packet, which is whole from its IP header on. */
void tcp_stack_send_reset(struct tcp_stack *st, struct span packet);
void tcp_stack_send_error(struct tcp_stack *st, enum icmpmsg_error what, struct span packet);
/** A segment without payload to the peer of @c. */
void tcp_stack_send_bare(struct tcp_stack *st, const struct tcp_conn *c, uint8_t flags,
			 uint32_t seq, uint32_t ack);

#endif
