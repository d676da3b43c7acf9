/*
 * Inside of the mux: shared by mux.c (carrier, life and death, liveness),
 * mux_rx.c (frames in), mux_tx.c (frames out, whose turn it is), mux_stream.c and
 * mux_dgram.c (a session as seen by its user). Nobody else includes it.
 */
#ifndef GARENNE_PROXY_MUX_INT_H
#define GARENNE_PROXY_MUX_INT_H

#include "proto/muxcool.h"
#include "proto/muxext.h"
#include "proxy/mux.h"
#include "proxy/mux_window.h"

enum {
	/* What a session may hand to the scheduler before its user is told to wait. */
	MUX_TX_SESSION = STREAM_READ_MAX,
	/* What all sessions together may have waiting; beyond it each gets one buf at a time. */
	MUX_TX_TOTAL = 4 << 20,
	/* What may have left the scheduler and not yet the carrier. */
	MUX_TX_STAGE = STREAM_READ_MAX,
	/* A turn's worth of one session: what one read of the peer's carrier takes in, so that it
	 * can be handed on in one write. Quiet sessions come first anyway. */
	MUX_QUANTUM = STREAM_READ_MAX,
	/* UDP beyond this is dropped, oldest kept: a network would do the same. */
	MUX_TX_DGRAM = 256 << 10,
	/* Of small frames that wait: beyond it nobody is told of datagrams that came back. */
	MUX_TX_BOUNCES = 16 << 10,
	/* What a session may hold whose sender knows of no window, or not yet. */
	MUX_PARKED = 1 << 20,
	/* A reader that took nothing for this long has stopped. */
	MUX_STALL_MS = 1000,
	MUX_TICK_MS = 1000,
	MUX_PROBE_AFTER_MS = 2000, /* silence before a probe */
	MUX_DEAD_AFTER_MS = 5000,  /* silence of a peer known to answer probes */
	MUX_DEAD_BUSY_MS = 15000,  /* of one that has not answered yet, or while a full line takes more */
	MUX_PROBE_ID = 0xfffe,	   /* never given to a session */
	MUX_ID_LAST = 0xfff0,
	MUX_PAGES = 256,
	MUX_PAGE = 256,
};

struct mux_session {
	struct mux *m;
	uint16_t id;
	uint8_t net;
	bool is_dgram;
	bool user_gone; /* close() was called: only what is in tx keeps it alive */
	bool dead;	/* carrier lost or reset by us: err says why */
	int err;	/* what reads report after rx is empty; 0 while the peer may send */
	struct list all;

	/* to the peer */
	struct list turn; /* in one of the scheduler's lists, or lone */
	struct buf *head; /* the New frame, until it has left */
	struct bufq tx;
	int32_t deficit;
	bool want_fin, want_end, end_is_error;
	bool stalled;	  /* the user was refused and waits for room */
	uint64_t sent;	  /* payload bytes, for the credit of our own programs */
	uint64_t allowed; /* sum of what the peer lets us send; only if m->peer_ours */

	/* from the peer */
	struct bufq rx;
	struct mux_window window; /* only if m->peer_ours */
	uint64_t drained_ms; /* when the user last took something */

	struct mux_verdict *verdict;
	bool verdict_known;
	int verdict_err;
	struct ipport target; /* of UDP; family 0: a name */
	union {
		struct stream s;
		struct dgram d;
	};
};

struct mux {
	struct loop *loop;
	struct stream *carrier;
	struct stream_user on_carrier;
	struct mux_user *user;
	struct mux_config conf;
	bool peer_ours;	 /* HELLO was seen */
	uint32_t peer_caps; /* what it said there: MUXEXT_CAP_* */
	bool said_hello;
	size_t dgram_max; /* of a stock peer */
	uint32_t peer_window;
	bool ended;
	struct list sessions;
	size_t n_sessions, n_opened;
	uint16_t last_id;
	struct mux_session **pages[MUX_PAGES]; /* by id */

	/* in */
	struct bufq in;
	struct mux_session *rx_session; /* payload under way goes there; NULL: nowhere */
	size_t rx_left;
	uint16_t traced_id; /* the session with this id will be traced; 0: none */
	struct mux_session *rx_waits_for; /* the reader that the carrier waits for */
	uint64_t dry_since_us, dry_us; /* since when nothing is there to read, 0: something was; in all */

	/* out */
	struct list sparse, bulk;
	struct bufq control; /* small frames of ours: always first */
	struct bufq out;     /* framed, on its way into the carrier */
	size_t tx_total;
	struct defer flush;

	struct timer tick;
	uint64_t heard_ms, probed_ms;
	uint64_t asked_ms;     /* the first probe since something was heard */
	bool probing, answers; /* a probe is out; one was answered once */
	struct timer check;    /* on: mux_check waits for a sign of life */
	uint64_t drained_ms;   /* when the carrier last had room again after being full */
	uint32_t rtt_ms;
	struct garbage garbage;
};

/* mux.c */
/** What the carrier is asked for: bytes, unless a reader holds them up; room, if something waits. */
void mux_set_want(struct mux *m);
struct mux_session *mux_session_new(struct mux *m, uint16_t id, const struct mux_request *req);
struct mux_session *mux_session_find(const struct mux *m, uint16_t id);
/** Off the tables; the memory goes at the end of the turn. The user has closed it. */
void mux_session_drop(struct mux_session *s);
/** The carrier is lost: tells every session and the user. */
void mux_die(struct mux *m, int err, const char *why);

/* mux_rx.c */
/** The receiving side of a new session. */
void mux_rx_open(struct mux_session *s);
void mux_rx_ready(struct mux *m);
/** The user took bytes of @s: credit, and the carrier may go on. */
void mux_rx_drained(struct mux_session *s, size_t n);
/** @s does not hold the carrier up any longer. */
void mux_rx_resume(struct mux_session *s);
/** Looks for a reader that has stopped; from the tick. */
void mux_rx_check_stall(struct mux *m);

/* mux_tx.c */
void mux_tx_init(struct mux *m);
/** @s has something to send. */
void mux_tx_ask(struct mux_session *s);
void mux_tx_flush(struct mux *m);
/** Queues a frame without payload in front of everything. */
void mux_tx_control(struct mux *m, struct span frame);
/** Our own extension for session @id. */
void mux_tx_ext(struct mux *m, uint16_t id, const struct muxext *ext);
void mux_tx_end(struct mux *m, uint16_t id, bool error);
void mux_tx_forget(struct mux_session *s);

/* mux_stream.c, mux_dgram.c: what happens to a session, told to its user */
void mux_stream_init(struct mux_session *s);
void mux_stream_event(struct mux_session *s, unsigned events);
void mux_dgram_init(struct mux_session *s);
/** Takes @pkt. */
void mux_dgram_packet(struct mux_session *s, const struct addr *party, struct buf *pkt);
void mux_dgram_bounced(struct mux_session *s, const struct muxext *x);
void mux_dgram_ended(struct mux_session *s, int err);

#endif
