/*
 * The conversation at the beginning of a stream, before payload flows: an
 * inbound reads a request and may answer, an outbound speaks first and reads
 * the answer. The bytes that have come are shown to decode() as one piece; what
 * it consumes is gone, what is behind the last step goes on with the stream.
 *
 *     TALKING --intake_finish--> FLUSHING --all said--> done()
 *        |                          |
 *        +------- error, end of stream, deadline -------> failed()
 *
 * An intake is embedded in the object of its user, and holds no buffer while
 * nothing is under way. Until done() or failed() the loop keeps it: when the
 * loop ends, it fails with -ERR_CLOSED. Both are called from the loop and are
 * the last call; the user may hand itself to loop_free_later there.
 */
#ifndef GARENNE_PROXY_INTAKE_H
#define GARENNE_PROXY_INTAKE_H

#include "base/addr.h"
#include "base/log.h"
#include "flow/core.h"
#include "net/stream.h"

struct intake;

struct intake_user {
	/*
	 * @in is all that has come and is not consumed. Returns how many bytes it consumed, 0 when
	 * it needs more, or -ERR_*. It is called again while bytes are left, and one last time
	 * (perhaps with nothing) when k->eof has become true. It may call intake_say and
	 * intake_finish, set k->why to a text that lives until failed() is over, and k->silent.
	 */
	ssize_t (*decode)(struct intake_user *u, struct intake *k, struct span in);
	/* Gives @s, without interest in events. What is left of @rest afterwards is freed. */
	void (*done)(struct intake_user *u, struct intake *k, struct stream *s, struct bufq *rest);
	/* The stream is gone; -ERR_*, with k->why or NULL. */
	void (*failed)(struct intake_user *u, struct intake *k, int err);
};

/* Lines that strangers can provoke, rationed per loop. Zero-initialise but for the area. */
struct intake_log {
	const char *area;
	struct log_rate rate[CORE_LOOPS_MAX];
};

struct intake_terms {
	size_t limit;		/* bytes that decode may leave waiting; at most 65536 */
	uint64_t deadline_ms;	/* for the whole conversation */
	struct intake_log *log; /* borrowed; NULL: nothing is logged */
	struct ipport source;	/* for the log */
};

enum intake_state {
	INTAKE_IDLE = 0, /* not started, or over */
	INTAKE_TALKING,
	INTAKE_FLUSHING, /* finished but for bytes that wait to be written */
};

struct intake {
	struct stream_user on_stream;
	struct stream *s;
	struct intake_user *user;
	struct intake_terms terms;
	struct bufq in, out;
	struct timer deadline;
	struct defer kick;
	struct orphan orphan;
	enum intake_state state;
	bool eof;	 /* the peer has finished sending */
	bool heard;	 /* at least one byte has come */
	bool silent;	 /* after a failure: no close, no word, until the deadline */
	const char *why; /* cause of a failure in words, or NULL */
};

/** Takes @s and the bytes of @early (NULL: none). Calls back later. */
void intake_start(struct intake *k, struct stream *s, struct bufq *early,
		  const struct intake_terms *terms, struct intake_user *user);
/** Bytes for the peer; copied. Inside decode, or any time between start and the end. */
void intake_say(struct intake *k, struct span bytes);
/** This step was the last one; what was said is still written first. */
void intake_finish(struct intake *k);
/** Closes the stream with @err and calls nobody. Harmless when idle. */
void intake_cancel(struct intake *k, int err);

#endif
