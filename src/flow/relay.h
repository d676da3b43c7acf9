/*
 * The only pump: couples two streams and moves bytes both ways until both
 * directions have ended, one of them breaks, or nothing moves for too long.
 *
 * Back-pressure: a direction reads only while it holds nothing unwritten, so a
 * slow reader stops its writer hop by hop and at most one read's worth
 * (STREAM_READ_MAX) waits here. Half-close: the end of one direction becomes a
 * shutdown of the other stream, and the opposite direction lives on.
 * A direction with a socket at both ends is joined by splice(2) through a pipe
 * that is borrowed only while bytes are under way.
 */
#ifndef GARENNE_FLOW_RELAY_H
#define GARENNE_FLOW_RELAY_H

#include "net/stream.h"

/*
 * Milliseconds without a byte after which the relay ends; 0 never. A direction that has ended
 * properly (the other side was told, and may well go on answering) leaves the flow its full
 * idle time. Where the end could not be told, or where the peer's end of sending is all that it
 * ever says, silence is how the flow ends, and the shorter limits hold.
 */
struct relay_limits {
	uint32_t idle;
	uint32_t up_only;   /* after the second stream (b) finished sending */
	uint32_t down_only; /* after the first stream (a) finished sending */
	bool a_half_close;  /* a and b understand half-close, saying and hearing it */
	bool b_half_close;
};

struct relay;

struct relay_user {
	/* Both streams are closed. @err 0: both directions ended; else the cause, with @why or
	 * NULL. @a_side tells where it came from. */
	void (*on_end)(struct relay_user *u, struct relay *r, int err, bool a_side,
		       const char *why);
};

struct splice_pipe;

struct pump {
	struct stream *from, *to;
	struct bufq held;	  /* read, not yet written */
	struct splice_pipe *pipe; /* borrowed while it holds bytes */
	uint64_t bytes;		  /* written to @to */
	bool eof;		  /* @from has finished */
	bool done;		  /* and all of it was passed on */
	bool told;		  /* and so was the end */
	bool whole;		  /* the end of @from was the end of both directions */
	bool splice;		  /* both ends have a socket for this direction */
	bool wide;		  /* @to takes more unsent bytes than usual */
};

struct relay {
	struct stream_user on_a, on_b;
	struct stream *a, *b;
	struct pump up, down; /* a to b, b to a */
	struct relay_limits limits;
	struct timer idle;
	struct relay_user *user;
};

/** Takes both streams and the bytes in @early, which a already sent. */
void relay_start(struct relay *r, struct stream *a, struct stream *b, struct bufq *early,
		 const struct relay_limits *limits, struct relay_user *user);
/** Closes both streams with @err and does not call back. */
void relay_abort(struct relay *r, int err);

#endif
