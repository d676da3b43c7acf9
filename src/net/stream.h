/*
 * The one kind of thing that carries bytes: a socket, TLS, a cipher layer, a mux
 * sub-stream, a pipe in memory. A layer holds the stream below it and is that
 * stream's user; to its own user it looks like any other stream.
 *
 * Contract
 *  - read() appends to the caller's queue: > 0 bytes moved, 0 nothing now,
 *    -ERR_EOF the peer has finished sending (the other direction may go on),
 *    -ERR_END it has ended both directions in order (all bytes were read; writes
 *    are in vain), any other -ERR_*: broken, close it.
 *  - write() takes bytes off the front of the caller's queue, as many as it
 *    can without unbounded buffering: > 0 taken, 0 none now, -ERR_* broken.
 *  - want() sets the interest. Not wanting READ is the back-pressure. Interest
 *    is level-triggered: while there is something to read (or room to write)
 *    and it is wanted, on_event comes again each turn. Broken and ended
 *    streams count as readable.
 *  - shutdown() says "we have finished sending" after all that write() took; a
 *    carrier that cannot say so answers false to can_half_close() and shutdown()
 *    does nothing.
 *  - close() consumes the stream and never calls back. With err 0 bytes that
 *    were taken are still delivered, for a bounded time; otherwise the peer
 *    sees a reset where the carrier can express it.
 *  - events come from the loop, never from inside one of these calls.
 *  - unwrap(): a layer whose work is done gives the stream below, in the state
 *    in which the layer's user would see it, and is gone; NULL while it is
 *    still needed. Whoever relays bulk asks now and then.
 */
#ifndef GARENNE_NET_STREAM_H
#define GARENNE_NET_STREAM_H

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "net/loop.h"

enum { STREAM_READ = 1, STREAM_WRITE = 2 };

/* What one read may bring at most: large enough to amortise a system call, small
 * enough that a turn of the loop stays short. */
enum { STREAM_READ_MAX = 4 * BUF_READ };

/* The same with the headers of those who frame it: what such a layer asks of the one below, so
 * that a helping of the sender is one of the receiver. */
enum { STREAM_READ_FRAMED = STREAM_READ_MAX + 256 };

struct stream;

struct stream_user {
	void (*on_event)(struct stream_user *u, struct stream *s, unsigned events);
};

struct stream_ops {
	const char *name;
	ssize_t (*read)(struct stream *s, struct bufq *into, size_t max);
	ssize_t (*write)(struct stream *s, struct bufq *from);
	void (*want)(struct stream *s, unsigned events);
	void (*shutdown)(struct stream *s);
	void (*close)(struct stream *s, int err);
	struct stream *(*unwrap)(struct stream *s); /* optional */
	/* optional: a socket to splice from (STREAM_READ) or to (STREAM_WRITE), or -1 */
	int (*fd)(struct stream *s, unsigned direction);
	/* optional: detach from the loop / attach to @to, for streams that can move */
	int (*move)(struct stream *s, struct loop *to);
	const char *(*why)(struct stream *s); /* optional: words for the last error */
	bool (*can_half_close)(struct stream *s); /* optional: NULL means yes */
};

/* Embedded at the start of every implementation. */
struct stream {
	const struct stream_ops *ops;
	struct loop *loop;
	struct stream_user *user;
	unsigned wanted; /* as last set by want() */
	unsigned ready;	 /* announced, not yet delivered */
	struct defer kick;
	struct garbage garbage;
};

/* For implementations. */

/** Sets the common part; the user comes later with stream_attach. */
void stream_init(struct stream *s, const struct stream_ops *ops, struct loop *l);
/** Announces readiness from a layer's own buffers: delivered from the loop, if still wanted. */
void stream_notify(struct stream *s, unsigned events);
/** Delivers now; only for callbacks that come straight from the loop. */
void stream_deliver(struct stream *s, unsigned events);
/** Detaches from user and loop and frees the memory at the end of the turn, by destroy. */
void stream_dispose(struct stream *s, void (*destroy)(struct garbage *g));
/** Moves the common part to another loop. */
void stream_rehome(struct stream *s, struct loop *to);

/* For users. */

static inline void stream_attach(struct stream *s, struct stream_user *u)
{
	s->user = u;
}

static inline ssize_t stream_read(struct stream *s, struct bufq *into, size_t max)
{
	return s->ops->read(s, into, max);
}

static inline ssize_t stream_write(struct stream *s, struct bufq *from)
{
	return s->ops->write(s, from);
}

static inline void stream_want(struct stream *s, unsigned events)
{
	s->ops->want(s, events);
}

static inline void stream_shutdown(struct stream *s)
{
	s->ops->shutdown(s);
}

/** Takes NULL too. */
void stream_close(struct stream *s, int err);
/** Text for the last error, or NULL. Valid until the stream is touched. */
const char *stream_why(struct stream *s);
/** The innermost stream that still has work to do; consumes @s, gives the result. */
struct stream *stream_unwrap(struct stream *s);
/** 0 when @s now belongs to @to (call in the old loop's thread, events off), or -ERR_UNSUPPORTED. */
int stream_move(struct stream *s, struct loop *to);
/** May the peer be told that we have finished sending, and still answer? */
bool stream_can_half_close(struct stream *s);
/** A socket with which the bytes of one direction may be exchanged past @s, or -1. @direction:
 * STREAM_READ or STREAM_WRITE; they may differ. Once given it stays so until the end. */
int stream_fd(struct stream *s, unsigned direction);

#endif
