/*
 * A TCP connection of the stack, as a stream.
 *
 *   PENDING   its SYN is kept and not answered; the owner decides (tcp_conn_accept, _refuse)
 *   OPENING   the SYN was answered, or ours was sent
 *   OPEN      bytes may move; halves may have ended
 *   DEAD      the engine knows it no more; the stream may still have bytes to read
 *
 * A connection whose stream was closed in order lives on until its bytes are delivered; one that
 * ended in TIME_WAIT stays in the table as a tombstone, which repeats the last acknowledgement and
 * gives way to a new SYN. Memory: what was received and not read is bounded by the window, which
 * starts small and grows with a reader that keeps up; what was taken for sending by TCP_CONN_TX.
 */
#ifndef GARENNE_VPN_TCP_CONN_H
#define GARENNE_VPN_TCP_CONN_H

#include "base/addr.h"
#include "net/stream.h"

struct ippkt;
struct tcp_conn;
struct tcp_pcb;
struct tcp_stack;
struct tcpseg;

enum {
	TCP_CONN_WND = 65535,	      /* receive window at first */
	TCP_CONN_WND_MAX = 1 << 20,   /* and at most */
	TCP_CONN_TX = 1 << 20,	      /* taken for sending and not acknowledged */
	TCP_CONN_TX_WAIT = 128 << 10, /* of it, not yet handed to the engine */
};

enum tcp_conn_state {
	TCP_CONN_PENDING = 0,
	TCP_CONN_OPENING,
	TCP_CONN_OPEN,
	TCP_CONN_DEAD,
};

struct tcp_conn_user {
	/* Told once: it is open (@err 0), or never will be: a PENDING one's client went away, the
	 * peer of tcp_stack_connect refused. From the loop; may close it. */
	void (*on_state)(struct tcp_conn_user *u, struct tcp_conn *c, int err);
	/* Its stream was closed. @c must not be touched any more. Optional. */
	void (*on_gone)(struct tcp_conn_user *u, struct tcp_conn *c);
};

struct tcp_conn {
	struct stream s;
	struct tcp_stack *st;
	struct tcp_conn *next; /* in the table's bucket */
	struct ipport local;   /* as the peer addresses it */
	struct ipport remote;  /* the peer */
	enum tcp_conn_state state;
	struct tcp_pcb *pcb;   /* NULL: PENDING or DEAD */
	struct list timed;     /* needs the engine's timers */
	struct list dirty;     /* to be looked at before the loop sleeps */
	struct list waning;    /* closed, or a tombstone: goes when its time is up */
	struct tcp_conn_user *user; /* NULL: nobody, or gone */
	struct buf *syn;       /* PENDING: the packet */
	struct bufq rx;	       /* received, not yet read */
	struct bufq tx_wait;   /* taken, not yet with the engine */
	struct bufq tx_sent;   /* referenced by the engine until acknowledged */
	uint64_t due_ms;       /* while on waning */
	uint32_t wnd;	       /* receive window in all: announced, and waiting in @rx */
	uint32_t owed;	       /* read, not yet credited to the peer */
	uint32_t unacked;      /* bytes received since the last acknowledgement went out */
	uint32_t seen;	       /* bytes received since the window last grew */
	uint32_t tomb_seq, tomb_ack;
	uint16_t mss;	       /* of the peer */
	int err;	       /* why it is DEAD; 0: it ended in order */
	bool in_table, tomb, told;
	bool dialed;	       /* by us: tcp_stack_connect */
	bool ack_due;	       /* an acknowledgement was held back */
	bool eof;	       /* the peer has finished sending */
	bool shut;	       /* we have, when @tx_wait is empty */
	bool fin_sent;
	bool closed;	       /* the stream is; nobody reads */
	bool gone;	       /* freed at the end of the turn */
};

/** Answers the SYN of a PENDING connection. */
void tcp_conn_accept(struct tcp_conn *c);
/** Tells the client of a PENDING connection what became of it: refused is a reset, unreachable an
 * ICMP error, a time-out nothing; one that is open is reset. Its stream is still to be closed. */
void tcp_conn_refuse(struct tcp_conn *c, int err);

static inline struct tcp_conn *tcp_conn_of(struct stream *s)
{
	return container_of(s, struct tcp_conn, s);
}

/* ---- for the stack ---- */

/** Gives a connection outside the table, or NULL. */
struct tcp_conn *tcp_conn_new(struct tcp_stack *st, const struct ipport *local,
			      const struct ipport *remote);
/** A packet for it. Takes @pkt, which begins with its IP header. */
void tcp_conn_input(struct tcp_conn *c, const struct ippkt *ip, const struct tcpseg *t,
		    struct buf *pkt);
/** What was put off: acknowledgements, window, sending, the end. Once per turn. */
void tcp_conn_flush(struct tcp_conn *c);
void tcp_conn_tick(struct tcp_conn *c, bool slow);
/** Its time on the waning list is up. */
void tcp_conn_expire(struct tcp_conn *c);
/** The stack goes away. */
void tcp_conn_drop(struct tcp_conn *c);

/* ---- for the engine, from inside of its calls: they only record ---- */

void tcp_conn_on_open(struct tcp_conn *c);
/** Takes @b. */
void tcp_conn_on_data(struct tcp_conn *c, struct buf *b);
void tcp_conn_on_eof(struct tcp_conn *c);
void tcp_conn_on_sent(struct tcp_conn *c, size_t n);

#endif
