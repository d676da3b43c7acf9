#include "proxy/intake.h"

#include "base/err.h"
#include "proxy/drain.h"

/* Per loop: this many lines at once, then the same number again after a while. */
enum { LOG_BURST = 3, LOG_EVERY_S = 60 };

static void log_failure(struct intake *k, int err)
{
	struct intake_log *log = k->terms.log;
	/* Somebody should look at wrong keys and clocks; noise from the internet is just that. */
	enum log_level level = err == -ERR_AUTH || err == -ERR_REPLAY || err == -ERR_CLOCK ?
				       LOG_WARN :
				       LOG_INFO;
	char source[ADDR_TEXT_MAX];
	uint32_t muted = 0;

	if (!log || err == -ERR_CLOSED || !log_on(level) || !k->heard)
		return; /* who connects and leaves without a word is a health check */
	if (!log_rate_pass(&log->rate[loop_id(k->s->loop)], loop_now(k->s->loop), LOG_BURST,
			   LOG_EVERY_S, &muted))
		return;
	ipport_text(&k->terms.source, source, sizeof(source));
	log_line(level, 0, log->area, "%s: %s%s%s", source, err_name(err), k->why ? ": " : "",
		 k->why ? k->why : "");
	if (muted)
		log_line(level, 0, log->area, "%u more such lines were left out", muted);
}

/* The stream without us. */
static struct stream *detach(struct intake *k)
{
	struct stream *s = k->s;

	timer_stop(&k->deadline);
	defer_cancel(&k->kick);
	loop_disown(&k->orphan);
	stream_want(s, 0);
	stream_attach(s, NULL);
	k->s = NULL;
	k->state = INTAKE_IDLE;
	return s;
}

/* Milliseconds until the deadline: a failure closes when a slow peer would have been closed. */
static uint64_t left_ms(const struct intake *k)
{
	uint64_t now = loop_now(k->s->loop);

	return k->deadline.due > now ? k->deadline.due - now : 1;
}

static void fail(struct intake *k, int err)
{
	uint64_t left = left_ms(k);
	struct stream *s;

	log_failure(k, err);
	s = detach(k);
	bufq_clear(&k->in);
	if (err == -ERR_CLOSED || err == -ERR_RESET || err == -ERR_TIMEOUT)
		stream_close(s, err == -ERR_TIMEOUT ? 0 : err);
	else if (k->silent)
		drain_start(s, NULL, false, left);
	else if (!bufq_empty(&k->out))
		drain_start(s, &k->out, true, left < DRAIN_GOODBYE_MS ? left : DRAIN_GOODBYE_MS);
	else
		stream_close(s, 0);
	bufq_clear(&k->out);
	k->user->failed(k->user, k, err);
}

static void done(struct intake *k)
{
	struct stream *s = detach(k);
	struct bufq rest = k->in;

	bufq_init(&k->in);
	k->user->done(k->user, k, s, &rest);
	bufq_clear(&rest);
}

/* Shows decode what there is until it wants more. 0 or -ERR_*. */
static int digest(struct intake *k)
{
	while (k->state == INTAKE_TALKING && (!bufq_empty(&k->in) || k->eof)) {
		struct span in = bufq_pullup(&k->in, k->terms.limit);
		ssize_t n;

		if (in.n == 0 && !bufq_empty(&k->in))
			return -ERR_NOMEM;
		n = k->user->decode(k->user, k, in);
		if (n < 0)
			return (int)n;
		bufq_drop(&k->in, (size_t)n);
		if (n > 0 || k->state != INTAKE_TALKING)
			continue;
		if (k->eof)
			return -ERR_EOF;
		return k->in.len < k->terms.limit ? 0 : -ERR_LIMIT;
	}
	return 0;
}

static int hear(struct intake *k)
{
	ssize_t n;

	if (k->state != INTAKE_TALKING || k->eof || k->in.len >= k->terms.limit)
		return 0;
	n = stream_read(k->s, &k->in, k->terms.limit - k->in.len);
	if (n == -ERR_EOF || n == -ERR_END)
		k->eof = true;
	else if (n < 0)
		return (int)n;
	else if (n > 0)
		k->heard = true;
	return 0;
}

static int flush(struct intake *k)
{
	ssize_t n = bufq_empty(&k->out) ? 0 : stream_write(k->s, &k->out);

	return n < 0 ? (int)n : 0;
}

/* A peer that does not read our answers gets no further ones: we stop listening to it. */
static void turn(struct intake *k, bool readable)
{
	int err = flush(k);
	unsigned want;

	if (!err && readable && bufq_empty(&k->out))
		err = hear(k);
	if (!err && bufq_empty(&k->out))
		err = digest(k);
	if (!err)
		err = flush(k);
	if (err) {
		fail(k, err);
		return;
	}
	if (!bufq_empty(&k->out)) {
		want = STREAM_WRITE;
	} else if (k->state == INTAKE_FLUSHING) {
		done(k);
		return;
	} else {
		want = STREAM_READ;
	}
	stream_want(k->s, want);
}

static void on_event(struct stream_user *u, struct stream *s, unsigned events)
{
	(void)s;
	turn(container_of(u, struct intake, on_stream), events & STREAM_READ);
}

static void on_kick(struct defer *d)
{
	turn(container_of(d, struct intake, kick), false);
}

static void on_deadline(struct timer *t)
{
	fail(container_of(t, struct intake, deadline), -ERR_TIMEOUT);
}

static void on_loop_end(struct orphan *o)
{
	fail(container_of(o, struct intake, orphan), -ERR_CLOSED);
}

void intake_start(struct intake *k, struct stream *s, struct bufq *early,
		  const struct intake_terms *terms, struct intake_user *user)
{
	*k = (struct intake){.on_stream = {on_event},
			     .s = s,
			     .user = user,
			     .terms = *terms,
			     .state = INTAKE_TALKING,
			     .orphan = {.end = on_loop_end}};
	if (early && !bufq_empty(early)) {
		k->heard = true;
		bufq_move(&k->in, early, early->len);
	}
	timer_init(&k->deadline, s->loop, on_deadline);
	timer_start(&k->deadline, terms->deadline_ms);
	defer_init(&k->kick, s->loop, on_kick);
	loop_adopt(s->loop, &k->orphan);
	stream_attach(s, &k->on_stream);
	if (k->heard)
		defer_ask(&k->kick);
	stream_want(s, STREAM_READ);
}

void intake_say(struct intake *k, struct span bytes)
{
	/* Without memory the peer misses an answer and the deadline ends the conversation. */
	if (bufq_append(&k->out, bytes) == 0)
		defer_ask(&k->kick);
}

void intake_finish(struct intake *k)
{
	k->state = INTAKE_FLUSHING;
}

void intake_cancel(struct intake *k, int err)
{
	if (k->state == INTAKE_IDLE)
		return;
	bufq_clear(&k->in);
	bufq_clear(&k->out);
	stream_close(detach(k), err);
}
