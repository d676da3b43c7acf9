/*
 * lwIP as a TCP engine: the only file that sees it.
 *
 * lwIP keeps its connections in lists of the process and searches them for each packet. Here the
 * lists are empty: the connection that a call is about is found by our own table and is the only
 * element of the list while the call lasts. What lwIP calls back during that time only records
 * something in the connection; nothing is closed or written from there. All calls come from one
 * thread, however many stacks there are.
 *
 * Large segments: the engine is told a segment size that is a multiple of the peer's, so that up to
 * 64 KiB leave in one packet, which the link cuts. Data is sent from where it lies and received
 * where it arrived.
 */
#ifndef GARENNE_VPN_TCP_ENGINE_H
#define GARENNE_VPN_TCP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct ippkt;
struct tcp_conn;

enum { TCP_ENGINE_TICK_MS = 50 };

/** Once per process, more often is harmless. 0 or -ERR_*. */
int tcp_engine_init(void);

/* After each of these c->pcb may be NULL: the connection is over, c->err says why. */

/** The answer to the SYN in @syn (taken), which @ip describes. 0 or -ERR_NOMEM. */
int tcp_engine_accept(struct tcp_conn *c, const struct ippkt *ip, struct buf *syn);
/** A SYN of ours from c->local to c->remote. 0 or -ERR_NOMEM. */
int tcp_engine_connect(struct tcp_conn *c);
/** A segment that belongs to it; takes @pkt, which begins with the IP header. */
void tcp_engine_input(struct tcp_conn *c, const struct ippkt *ip, struct buf *pkt);
/** Moves what may be sent now from c->tx_wait to c->tx_sent, and sends it. */
void tcp_engine_push(struct tcp_conn *c);
/** @n more bytes may come. */
void tcp_engine_credit(struct tcp_conn *c, size_t n);
/** Sends the acknowledgement that was held back or is worth it now. */
void tcp_engine_ack(struct tcp_conn *c);
/** Sends the end; everything was pushed. */
void tcp_engine_shutdown(struct tcp_conn *c);
/** Is @seq the number of something under way? */
bool tcp_engine_sent(const struct tcp_conn *c, uint32_t seq);
/** Segments get at most @mss bytes from now on, those that are sent again as well where the link
 * cuts them. Larger than now: nothing. */
void tcp_engine_shrink(struct tcp_conn *c, size_t mss);
/** Resets the connection. */
void tcp_engine_abort(struct tcp_conn *c);
/** Does it wait for anything? */
bool tcp_engine_timed(const struct tcp_conn *c);
/** Runs its timers: every tick, and the slow ones every second. */
void tcp_engine_tick(struct tcp_conn *c, bool slow);
/** The largest window that the peer understands. */
size_t tcp_engine_window_max(const struct tcp_conn *c);
/** Broken assertions of lwIP so far: each was logged and has cost the connection that the call was
 * about. Any is a bug. */
unsigned long tcp_engine_faults(void);

#endif
