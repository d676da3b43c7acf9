#include "net/stream_tls.h"

#include <stdlib.h>

#include "base/err.h"
#include "net/tls_engine.h"

struct stream_tls {
	struct stream s;
	struct stream_user below; /* of @lower */
	struct stream *lower;
	struct tls_engine *engine;
	struct bufq in;	   /* from below, not opened yet */
	struct bufq plain; /* opened, but more than the user asked for */
	struct bufq out;   /* for below, not taken yet */
	struct timer linger; /* with @orphan: while closing */
	struct orphan orphan;
	const char *why;
	bool *gone; /* set while the user is called: it may move or close the stream */
	int read_end, write_end; /* 0, or what read and write say from now on */
	bool single, raw_read, raw_write;
	bool shut;	 /* nothing more to send but @out */
	bool shut_below; /* and that has been said below */
	bool closing;	 /* the user is gone, @out is still being delivered */
	bool stuck;	 /* @in holds no complete record */
};

/* What one read of the lower stream brings at least: a record of the largest kind. */
enum { READ_MIN = TLS_HEADER_LEN + TLS_CIPHER_MAX };

static struct stream_tls *of(struct stream *s)
{
	return container_of(s, struct stream_tls, s);
}

static void update_below(struct stream_tls *t);

/* What could be reported now without asking the lower stream. */
static unsigned level(const struct stream_tls *t)
{
	unsigned events = 0;

	if (!bufq_empty(&t->plain) || (!bufq_empty(&t->in) && !t->stuck) || t->read_end)
		events |= STREAM_READ;
	if (t->write_end) /* else it is for the lower stream to say when there is room */
		events |= STREAM_WRITE;
	return events;
}

/* Level-triggered: asks for another round while something is there and wanted. */
static void rearm(struct stream_tls *t)
{
	if (level(t) & t->s.wanted)
		defer_ask(&t->s.kick);
}

static void leave(struct stream_tls *t)
{
	if (t->gone)
		*t->gone = true;
	t->gone = NULL;
}

/* Calls the user. False when @t is no longer this loop's afterwards, nor to be touched. */
static bool deliver(struct stream_tls *t, unsigned events)
{
	bool gone = false;

	t->gone = &gone;
	stream_deliver(&t->s, events);
	if (gone)
		return false;
	t->gone = NULL;
	return true;
}

static void on_kick(struct defer *d)
{
	struct stream_tls *t = container_of(container_of(d, struct stream, kick),
					    struct stream_tls, s);

	if (deliver(t, level(t)))
		rearm(t);
}

static int broken(struct stream_tls *t, int err, const char *why)
{
	t->read_end = t->write_end = err;
	if (!t->why)
		t->why = why;
	bufq_clear(&t->in);
	return err;
}

/* Hands @out to the lower stream. 0, or -ERR_* for good. */
static int flush(struct stream_tls *t)
{
	ssize_t n;

	if (!bufq_empty(&t->out)) {
		n = stream_write(t->lower, &t->out);
		if (n < 0) {
			bufq_clear(&t->out);
			t->why = stream_why(t->lower);
			t->write_end = (int)n;
			return (int)n;
		}
	}
	if (t->shut && !t->shut_below && bufq_empty(&t->out)) {
		t->shut_below = true;
		stream_shutdown(t->lower);
	}
	return 0;
}

/* The lower stream has ended or failed: what that means up here. */
static int lower_ended(struct stream_tls *t, int err)
{
	if (err != -ERR_EOF && err != -ERR_END)
		return broken(t, err, stream_why(t->lower));
	if (!bufq_empty(&t->in))
		return broken(t, -ERR_RESET, "the connection ended inside a TLS record");
	t->read_end = err;
	return err;
}

/* A layer below that has done its work steps out of the way. */
static void shorten_below(struct stream_tls *t)
{
	struct stream *lower = stream_unwrap(t->lower);

	if (lower == t->lower)
		return;
	t->lower = lower;
	stream_attach(lower, &t->below);
}

/* More of the lower stream into @in. Bytes, 0 for nothing now, or -ERR_*. */
static ssize_t read_below(struct stream_tls *t, size_t max)
{
	struct bufq rest = {NULL, NULL, 0};
	bool midway = !bufq_empty(&t->in);
	ssize_t n;

	if (max < READ_MIN)
		max = READ_MIN;
	if (max >= STREAM_READ_MAX)
		max = STREAM_READ_FRAMED;
	shorten_below(t);
	n = stream_read(t->lower, midway ? &rest : &t->in, max);
	/* A record that trickles in must not hold a buf for each of its bytes. */
	bufq_move_packed(&t->in, &rest, rest.len);
	if (!bufq_empty(&rest)) {
		bufq_clear(&rest);
		return broken(t, -ERR_NOMEM, "out of memory");
	}
	if (n > 0)
		t->stuck = false;
	return n < 0 ? lower_ended(t, (int)n) : n;
}

/* Opens one record. Where our own direction is not TLS any more, nothing can be answered. */
static ssize_t open_record(struct stream_tls *t)
{
	struct bufq unsaid = {NULL, NULL, 0};
	ssize_t n = t->engine->ops->open(t->engine, &t->in, &t->plain,
					 t->raw_write ? &unsaid : &t->out);

	bufq_clear(&unsaid);
	return n;
}

/* Whether the next record is one to open now. One that would not go into this helping whole stays
 * for the next: its rest would make a small one in between. */
static bool fits(const struct stream_tls *t, size_t max)
{
	ssize_t n = tls_record_ready(&t->in);

	return bufq_empty(&t->plain) || n <= 0 ||
	       t->plain.len + (size_t)n <= max + TLS_HEADER_LEN + 1 + TLS_TAG_LEN;
}

/* Opens records of @in, as many as @max bytes of @plain hold. 0, or -ERR_*. */
static int open_records(struct stream_tls *t, size_t max)
{
	while (!t->stuck && !bufq_empty(&t->in) && fits(t, max)) {
		ssize_t n = open_record(t);

		if (n == 0)
			t->stuck = true;
		if (n == -ERR_EOF) {
			t->read_end = -ERR_EOF;
			bufq_clear(&t->in); /* section 6.1 of RFC 8446: ignored */
			return 0;
		}
		if (n < 0) {
			broken(t, (int)n, t->engine->why);
			flush(t); /* the alert */
			return (int)n;
		}
		if (t->single && t->plain.len > 0)
			break;
	}
	return 0;
}

static ssize_t read_raw(struct stream_tls *t, struct bufq *into, size_t max)
{
	ssize_t n;

	if (!bufq_empty(&t->in))
		return (ssize_t)bufq_move(into, &t->in, max);
	n = stream_read(t->lower, into, max);
	if (n < 0) {
		t->read_end = (int)n;
		t->why = stream_why(t->lower);
	}
	return n;
}

/* One helping of plaintext into @plain, with at most one read below. */
static ssize_t fill_plain(struct stream_tls *t, size_t max)
{
	int err = open_records(t, max);

	if (err == 0 && bufq_empty(&t->plain) && !t->read_end) {
		ssize_t n = read_below(t, max);

		if (n < 0)
			return n;
		err = open_records(t, max);
	}
	if (!bufq_empty(&t->out))
		flush(t); /* an answer to the peer; failing shows at the next write */
	return err;
}

static ssize_t tls_read(struct stream *s, struct bufq *into, size_t max)
{
	struct stream_tls *t = of(s);
	ssize_t n = 0;

	if (bufq_empty(&t->plain)) {
		if (t->read_end)
			return t->read_end;
		if (t->raw_read)
			n = read_raw(t, into, max);
		else
			n = fill_plain(t, max);
	}
	if (!bufq_empty(&t->plain))
		n = (ssize_t)bufq_move(into, &t->plain, max);
	else if (n == 0)
		n = t->read_end;
	update_below(t);
	rearm(t);
	return n;
}

/* Seals up to a helping of @from. Bytes taken, or -ERR_*. */
static ssize_t seal_some(struct stream_tls *t, struct bufq *from)
{
	ssize_t taken = 0;

	if (t->raw_write)
		return (ssize_t)bufq_move(&t->out, from, STREAM_READ_MAX);
	while (!bufq_empty(from) && t->out.len < STREAM_READ_MAX) {
		ssize_t n = t->engine->ops->seal(t->engine, from, &t->out);

		if (n < 0)
			return broken(t, (int)n, t->engine->why);
		taken += n;
	}
	return taken;
}

static ssize_t tls_write(struct stream *s, struct bufq *from)
{
	struct stream_tls *t = of(s);
	ssize_t taken = 0;

	if (t->shut && !t->write_end)
		return -ERR_CLOSED;
	while (!t->write_end && !bufq_empty(from)) {
		ssize_t n;

		if (!bufq_empty(&t->out) && (flush(t) != 0 || !bufq_empty(&t->out)))
			break;
		n = seal_some(t, from);
		if (n < 0)
			break;
		taken += n;
		if (flush(t) != 0)
			break;
	}
	update_below(t);
	return taken ? taken : t->write_end;
}

/* The lower stream's interest follows from ours and from what is queued. */
static void update_below(struct stream_tls *t)
{
	unsigned want = 0;

	if ((t->s.wanted & STREAM_READ) && !(level(t) & STREAM_READ))
		want |= STREAM_READ;
	if (!bufq_empty(&t->out) || ((t->s.wanted & STREAM_WRITE) && !t->shut && !t->write_end))
		want |= STREAM_WRITE;
	stream_want(t->lower, want);
}

static void tls_want(struct stream *s, unsigned events)
{
	struct stream_tls *t = of(s);

	s->wanted = events;
	update_below(t);
	rearm(t);
}

static void tls_destroy(struct garbage *g)
{
	struct stream_tls *t = container_of(container_of(g, struct stream, garbage),
					    struct stream_tls, s);

	t->engine->ops->free(t->engine);
	free(t);
}

/* Gives the lower stream out of hand and lets go of everything. */
static struct stream *release(struct stream_tls *t)
{
	struct stream *lower = t->lower;

	leave(t);
	timer_stop(&t->linger);
	loop_disown(&t->orphan);
	bufq_clear(&t->in);
	bufq_clear(&t->plain);
	bufq_clear(&t->out);
	stream_want(lower, 0);
	stream_attach(lower, NULL);
	stream_dispose(&t->s, tls_destroy);
	return lower;
}

static void on_linger_over(struct timer *tm)
{
	struct stream_tls *t = container_of(tm, struct stream_tls, linger);

	stream_close(release(t), -ERR_TIMEOUT);
}

static void on_loop_over(struct orphan *o)
{
	stream_close(release(container_of(o, struct stream_tls, orphan)), -ERR_CLOSED);
}

static void on_below(struct stream_user *u, struct stream *lower, unsigned events)
{
	struct stream_tls *t = container_of(u, struct stream_tls, below);
	unsigned up = events & STREAM_READ;

	(void)lower;
	if (events & STREAM_WRITE) {
		int err = flush(t);

		if (t->closing && (err || bufq_empty(&t->out))) {
			stream_close(release(t), err);
			return;
		}
		if (bufq_empty(&t->out))
			up |= STREAM_WRITE;
	}
	if (deliver(t, up)) {
		update_below(t);
		rearm(t);
	}
}

static void tls_shutdown(struct stream *s)
{
	struct stream_tls *t = of(s);

	if (t->shut || t->write_end)
		return;
	t->shut = true;
	if (!t->raw_write)
		t->engine->ops->finish(t->engine, &t->out);
	flush(t);
	update_below(t);
}

static void tls_close(struct stream *s, int err)
{
	struct stream_tls *t = of(s);

	if (err == 0)
		tls_shutdown(s);
	if (err || t->write_end || bufq_empty(&t->out)) {
		stream_close(release(t), err);
		return;
	}
	leave(t);
	t->closing = true;
	s->user = NULL;
	s->wanted = 0;
	defer_cancel(&s->kick);
	bufq_clear(&t->in);
	bufq_clear(&t->plain);
	update_below(t);
	t->orphan.end = on_loop_over;
	loop_adopt(s->loop, &t->orphan);
	timer_start(&t->linger, TLS_LINGER_MS);
}

static struct stream *tls_unwrap(struct stream *s)
{
	struct stream_tls *t = of(s);

	if (!t->raw_read || !t->raw_write || t->shut || t->read_end || t->write_end ||
	    !bufq_empty(&t->plain) || !bufq_empty(&t->in) || !bufq_empty(&t->out))
		return NULL;
	return release(t);
}

/* A direction that is raw, and of which nothing is left here, is the lower stream's. */
static int tls_fd(struct stream *s, unsigned direction)
{
	struct stream_tls *t = of(s);
	bool clear = direction == STREAM_READ ?
			     t->raw_read && !t->read_end && bufq_empty(&t->plain) &&
				     bufq_empty(&t->in) :
			     t->raw_write && !t->write_end && !t->shut && bufq_empty(&t->out);

	return clear ? stream_fd(t->lower, direction) : -1;
}

static int tls_move(struct stream *s, struct loop *to)
{
	struct stream_tls *t = of(s);
	int err = stream_move(t->lower, to);

	if (err)
		return err;
	leave(t);
	s->wanted = 0;
	stream_rehome(s, to);
	t->linger.loop = to;
	return 0;
}

static const char *tls_why(struct stream *s)
{
	struct stream_tls *t = of(s);

	return t->why ? t->why : stream_why(t->lower);
}

static const struct stream_ops tls_ops = {
	.name = "tls",
	.read = tls_read,
	.write = tls_write,
	.want = tls_want,
	.shutdown = tls_shutdown,
	.close = tls_close,
	.unwrap = tls_unwrap,
	.fd = tls_fd,
	.move = tls_move,
	.why = tls_why,
};

struct stream *stream_tls_new(struct stream *lower, struct tls_engine *engine, struct bufq *in,
			      struct bufq *out)
{
	struct stream_tls *t = calloc(1, sizeof(*t));

	if (!t) {
		engine->ops->free(engine);
		bufq_clear(in);
		bufq_clear(out);
		stream_close(lower, -ERR_NOMEM);
		return NULL;
	}
	stream_init(&t->s, &tls_ops, lower->loop);
	defer_init(&t->s.kick, lower->loop, on_kick);
	timer_init(&t->linger, lower->loop, on_linger_over);
	list_init(&t->orphan.node);
	t->below.on_event = on_below;
	t->lower = lower;
	t->engine = engine;
	bufq_move(&t->in, in, in->len);
	bufq_move(&t->out, out, out->len);
	stream_attach(lower, &t->below);
	update_below(t);
	return &t->s;
}

bool stream_is_tls(const struct stream *s)
{
	return s->ops == &tls_ops;
}

unsigned stream_tls_version(const struct stream *s)
{
	return container_of(s, const struct stream_tls, s)->engine->version;
}

void stream_tls_single(struct stream *s, bool on)
{
	of(s)->single = on;
}

void stream_tls_raw_read(struct stream *s)
{
	struct stream_tls *t = of(s);

	t->raw_read = true;
	t->stuck = false;
}

void stream_tls_raw_write(struct stream *s)
{
	of(s)->raw_write = true;
}
