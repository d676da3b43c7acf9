#include "flow/relay.h"

#include "base/err.h"
#include "flow/splice.h"

static void relay_end(struct relay *r, int err, bool a_side)
{
	const char *why = err ? stream_why(a_side ? r->a : r->b) : NULL;
	char text[160];

	if (why) { /* the stream's own text goes away with it */
		size_t n = strlen(why);

		n = n < sizeof(text) - 1 ? n : sizeof(text) - 1;
		memcpy(text, why, n);
		text[n] = 0;
	}
	relay_abort(r, err);
	r->user->on_end(r->user, r, err, a_side, why ? text : NULL);
}

void relay_abort(struct relay *r, int err)
{
	timer_stop(&r->idle);
	bufq_clear(&r->up.held);
	bufq_clear(&r->down.held);
	splice_pipe_return(&r->up.pipe);
	splice_pipe_return(&r->down.pipe);
	stream_close(r->a, err);
	stream_close(r->b, err);
	r->a = r->b = NULL;
}

static bool pump_blocked(const struct pump *p)
{
	return !bufq_empty(&p->held) || splice_pipe_holds(p->pipe);
}

static void set_wants(struct relay *r)
{
	unsigned a = 0, b = 0;

	if (!r->up.eof && !pump_blocked(&r->up))
		a |= STREAM_READ;
	if (pump_blocked(&r->down))
		a |= STREAM_WRITE;
	if (!r->down.eof && !pump_blocked(&r->down))
		b |= STREAM_READ;
	if (pump_blocked(&r->up))
		b |= STREAM_WRITE;
	stream_want(r->a, a);
	stream_want(r->b, b);
}

static uint32_t idle_limit(const struct relay *r)
{
	if (r->up.eof && !(r->up.told && r->limits.a_half_close))
		return r->limits.down_only;
	if (r->down.eof && !(r->down.told && r->limits.b_half_close))
		return r->limits.up_only;
	return r->limits.idle;
}

static void arm_idle(struct relay *r)
{
	uint32_t ms = idle_limit(r);

	if (ms)
		timer_extend(&r->idle, ms);
	else
		timer_stop(&r->idle);
}

static void on_idle(struct timer *t)
{
	struct relay *r = container_of(t, struct relay, idle);

	/* After a half-close silence is how peers without one end a flow. */
	relay_end(r, r->up.eof || r->down.eof ? 0 : -ERR_TIMEOUT, r->down.eof);
}

static void look_for_sockets(struct pump *p)
{
	p->splice = p->splice || (stream_fd(p->from, STREAM_READ) >= 0 &&
				  stream_fd(p->to, STREAM_WRITE) >= 0);
}

/* Steps out of layers that have done their work. What one of them knew about half-close stays. */
static void shorten(struct relay *r)
{
	bool a_half = stream_can_half_close(r->a), b_half = stream_can_half_close(r->b);
	struct stream *a = stream_unwrap(r->a), *b = stream_unwrap(r->b);

	if (a != r->a) {
		r->limits.a_half_close = r->limits.a_half_close && a_half;
		r->a = r->up.from = r->down.to = a;
		stream_attach(a, &r->on_a);
	}
	if (b != r->b) {
		r->limits.b_half_close = r->limits.b_half_close && b_half;
		r->b = r->up.to = r->down.from = b;
		stream_attach(b, &r->on_b);
	}
	look_for_sockets(&r->up);
	look_for_sockets(&r->down);
}

/* Tells @to that @from has finished, when nothing is held back. */
static void pump_finish(struct pump *p, bool to_half_close)
{
	if (!p->eof || p->done || pump_blocked(p))
		return;
	p->done = true;
	if (to_half_close && !p->whole && stream_can_half_close(p->to)) {
		stream_shutdown(p->to);
		p->told = true;
	}
}

static ssize_t pump_write(struct pump *p)
{
	ssize_t n = stream_write(p->to, &p->held);

	if (n > 0)
		p->bytes += (uint64_t)n;
	return n;
}

/* One helping: at most one read, and a write of what it brought. 0, or -ERR_* with *@from_side. */
static int pump_run(struct pump *p, bool readable, bool *from_side)
{
	ssize_t n;

	*from_side = false;
	if (p->splice && bufq_empty(&p->held))
		return splice_pump(p, readable, from_side);
	if (!bufq_empty(&p->held)) {
		n = pump_write(p);
		if (n < 0)
			return (int)n;
		if (!bufq_empty(&p->held))
			return 0;
	}
	if (!readable || p->eof)
		return 0;
	n = stream_read(p->from, &p->held, STREAM_READ_MAX);
	if (n == -ERR_EOF || n == -ERR_END) {
		p->eof = true;
		p->whole = n == -ERR_END;
		return 0;
	}
	*from_side = true;
	if (n < 0)
		return (int)n;
	*from_side = false;
	n = bufq_empty(&p->held) ? 0 : pump_write(p);
	return n < 0 ? (int)n : 0;
}

static void relay_turn(struct relay *r, bool a_readable, bool b_readable)
{
	uint64_t before = r->up.bytes + r->down.bytes;
	bool ends = r->up.eof || r->down.eof, from_side;
	int err;

	err = pump_run(&r->up, a_readable, &from_side);
	if (err) {
		relay_end(r, err, from_side);
		return;
	}
	err = pump_run(&r->down, b_readable, &from_side);
	if (err) {
		relay_end(r, err, !from_side);
		return;
	}
	pump_finish(&r->up, r->limits.b_half_close);
	pump_finish(&r->down, r->limits.a_half_close);
	if ((r->up.done && r->down.done) || (r->up.done && r->up.whole) ||
	    (r->down.done && r->down.whole)) {
		relay_end(r, 0, false);
		return;
	}
	if (ends != (r->up.eof || r->down.eof))
		timer_stop(&r->idle); /* the limit may have become shorter */
	if (before != r->up.bytes + r->down.bytes || !timer_on(&r->idle))
		arm_idle(r);
	shorten(r);
	set_wants(r);
}

static void on_a_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct relay *r = container_of(u, struct relay, on_a);

	(void)s;
	relay_turn(r, events & STREAM_READ, false);
}

static void on_b_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct relay *r = container_of(u, struct relay, on_b);

	(void)s;
	relay_turn(r, false, events & STREAM_READ);
}

void relay_start(struct relay *r, struct stream *a, struct stream *b, struct bufq *early,
		 const struct relay_limits *limits, struct relay_user *user)
{
	*r = (struct relay){.on_a = {on_a_event},
			    .on_b = {on_b_event},
			    .a = a,
			    .b = b,
			    .up = {.from = a, .to = b},
			    .down = {.from = b, .to = a},
			    .limits = *limits,
			    .user = user};
	stream_attach(a, &r->on_a);
	stream_attach(b, &r->on_b);
	timer_init(&r->idle, a->loop, on_idle);
	if (early)
		bufq_move(&r->up.held, early, early->len);
	/* Events only come from the loop, so the first turn is asked for, not taken. */
	stream_want(a, STREAM_READ);
	stream_want(b, STREAM_READ | (bufq_empty(&r->up.held) ? 0u : (unsigned)STREAM_WRITE));
	arm_idle(r);
}
