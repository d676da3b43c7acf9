#include "net/stream_pipe.h"

#include <stdlib.h>

#include "base/err.h"

struct end {
	struct stream s;
	struct stream_pipe *p;
	struct bufq in; /* written by the other end, not yet read here */
	bool shut;	/* has finished sending */
	bool closed;
	int err; /* the other end was closed with a fault */
};

struct stream_pipe {
	struct end end[2];
	size_t room;
	unsigned alive; /* ends whose memory is in use */
};

static struct end *of(struct stream *s)
{
	return container_of(s, struct end, s);
}

static struct end *other(struct end *e)
{
	return &e->p->end[e == &e->p->end[0]];
}

static unsigned readiness(struct end *e)
{
	struct end *o = other(e);
	unsigned events = 0;

	if (!bufq_empty(&e->in) || e->err || o->shut || o->closed)
		events |= STREAM_READ;
	if (o->closed || o->in.len < e->p->room)
		events |= STREAM_WRITE;
	return events;
}

static void look(struct end *e)
{
	if (!e->closed && (readiness(e) & e->s.wanted))
		defer_ask(&e->s.kick);
}

static void on_kick(struct defer *d)
{
	struct end *e = of(container_of(d, struct stream, kick));
	unsigned events = readiness(e) & e->s.wanted;

	if (events && e->s.user)
		e->s.user->on_event(e->s.user, &e->s, events);
	look(e);
}

static ssize_t pipe_read(struct stream *s, struct bufq *into, size_t max)
{
	struct end *e = of(s);
	size_t n;

	if (e->err)
		return e->err;
	if (bufq_empty(&e->in)) {
		if (other(e)->closed)
			return -ERR_END;
		return other(e)->shut ? -ERR_EOF : 0;
	}
	n = bufq_move(into, &e->in, max);
	look(other(e));
	return n ? (ssize_t)n : -ERR_NOMEM;
}

static ssize_t pipe_write(struct stream *s, struct bufq *from)
{
	struct end *e = of(s), *o = other(e);
	size_t n;

	if (o->closed || e->shut)
		return -ERR_RESET;
	if (bufq_empty(from) || o->in.len >= e->p->room)
		return 0;
	n = bufq_move_packed(&o->in, from, e->p->room - o->in.len);
	look(o);
	return n ? (ssize_t)n : -ERR_NOMEM;
}

static void pipe_want(struct stream *s, unsigned events)
{
	s->wanted = events;
	look(of(s));
}

static void pipe_shutdown(struct stream *s)
{
	of(s)->shut = true;
	look(other(of(s)));
}

static void destroy(struct garbage *g)
{
	struct stream_pipe *p = of(container_of(g, struct stream, garbage))->p;

	if (--p->alive == 0)
		free(p);
}

static void pipe_close(struct stream *s, int err)
{
	struct end *e = of(s), *o = other(e);

	e->closed = true;
	bufq_clear(&e->in);
	if (err && !o->closed) {
		bufq_clear(&o->in);
		o->err = -ERR_RESET;
	}
	look(o);
	stream_dispose(s, destroy);
}

static const struct stream_ops ops = {
	.name = "pipe",
	.read = pipe_read,
	.write = pipe_write,
	.want = pipe_want,
	.shutdown = pipe_shutdown,
	.close = pipe_close,
};

int stream_pipe_new(struct loop *l, size_t room, struct stream *end[2])
{
	struct stream_pipe *p = calloc(1, sizeof(*p));

	if (!p)
		return -ERR_NOMEM;
	p->room = room;
	p->alive = 2;
	for (int i = 0; i < 2; i++) {
		struct end *e = &p->end[i];

		e->p = p;
		bufq_init(&e->in);
		stream_init(&e->s, &ops, l);
		defer_init(&e->s.kick, l, on_kick); /* ours looks at the queues each turn */
		end[i] = &e->s;
	}
	return 0;
}
