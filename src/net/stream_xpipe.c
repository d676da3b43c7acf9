/*
 * Who may touch what: the fields of an end up to its mailbox belong to the
 * thread of its loop; the mailbox and the count of references to the pipe's
 * lock. References are held by each open end and by each post under way, so
 * that a post finds its pipe whatever was closed meanwhile. A closed end gets
 * no more posts, hence its loop may go.
 */
#include "net/stream_xpipe.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"

/* What the other end has sent and this end's loop has not yet fetched. */
struct mailbox {
	struct post post;
	bool posted; /* the loop has been woken and will fetch */
	bool closed; /* this end is gone: nothing is put in any more */
	struct bufq data;
	bool eof;      /* the other end has finished sending, after @data */
	bool gone;     /* the other end is closed, in order */
	int err;       /* the other end is closed with a fault: @data is void */
	size_t credit; /* bytes of ours that the other end has read */
};

struct end {
	struct stream s;
	struct stream_xpipe *x;
	struct bufq in;
	size_t credit; /* bytes that we may still write */
	size_t read;   /* bytes read since credit was last given */
	bool shut, closed;
	bool eof, gone;
	int err;
	struct mailbox box;
};

struct stream_xpipe {
	pthread_mutex_t lock;
	unsigned refs;
	size_t room;
	struct end end[2];
};

static struct end *of(struct stream *s)
{
	return container_of(s, struct end, s);
}

static struct end *other(struct end *e)
{
	return &e->x->end[e == &e->x->end[0]];
}

/* Unlocks as well. */
static void unref_locked(struct stream_xpipe *x)
{
	bool last = --x->refs == 0;

	pthread_mutex_unlock(&x->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&x->lock);
	free(x);
}

/* Wakes the loop of @o, whose mailbox has news. */
static void post_locked(struct end *o)
{
	if (o->box.posted)
		return;
	o->box.posted = true;
	o->x->refs++;
	loop_post(o->s.loop, &o->box.post);
}

static unsigned readiness(const struct end *e)
{
	unsigned events = 0;

	if (!bufq_empty(&e->in) || e->err || e->eof)
		events |= STREAM_READ;
	if (e->credit || e->gone || e->err)
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

static void on_post(struct loop *l, struct post *p)
{
	struct end *e = container_of(container_of(p, struct mailbox, post), struct end, box);
	struct mailbox *box = &e->box;

	(void)l;
	pthread_mutex_lock(&e->x->lock);
	box->posted = false;
	if (!e->closed) {
		if (box->err) {
			bufq_clear(&e->in);
			e->err = box->err;
		}
		bufq_move(&e->in, &box->data, box->data.len);
		e->eof |= box->eof;
		e->gone |= box->gone;
		e->credit += box->credit;
		box->credit = 0;
		look(e);
	}
	unref_locked(e->x);
}

static void give_credit(struct end *e)
{
	struct end *o = other(e);

	pthread_mutex_lock(&e->x->lock);
	if (!o->box.closed) {
		o->box.credit += e->read;
		post_locked(o);
	}
	pthread_mutex_unlock(&e->x->lock);
	e->read = 0;
}

static ssize_t xpipe_read(struct stream *s, struct bufq *into, size_t max)
{
	struct end *e = of(s);
	size_t n;

	if (e->err)
		return e->err;
	if (bufq_empty(&e->in)) {
		if (e->gone)
			return -ERR_END;
		return e->eof ? -ERR_EOF : 0;
	}
	n = bufq_move(into, &e->in, max);
	e->read += n;
	/* Rarely enough to be cheap, and long before the writer has run dry. */
	if (e->read > e->x->room / 4 && !e->gone)
		give_credit(e);
	return n ? (ssize_t)n : -ERR_NOMEM;
}

static ssize_t xpipe_write(struct stream *s, struct bufq *from)
{
	struct end *e = of(s), *o = other(e);
	size_t n = 0;
	bool dead;

	if (e->gone || e->err || e->shut)
		return -ERR_RESET;
	if (bufq_empty(from) || e->credit == 0)
		return 0;
	pthread_mutex_lock(&e->x->lock);
	dead = o->box.closed;
	if (!dead) {
		n = bufq_move_packed(&o->box.data, from, e->credit);
		post_locked(o);
	}
	pthread_mutex_unlock(&e->x->lock);
	e->credit -= n;
	if (dead)
		return -ERR_RESET;
	return n ? (ssize_t)n : -ERR_NOMEM;
}

static void xpipe_want(struct stream *s, unsigned events)
{
	s->wanted = events;
	look(of(s));
}

static void xpipe_shutdown(struct stream *s)
{
	struct end *e = of(s), *o = other(e);

	if (e->shut)
		return;
	e->shut = true;
	pthread_mutex_lock(&e->x->lock);
	if (!o->box.closed) {
		o->box.eof = true;
		post_locked(o);
	}
	pthread_mutex_unlock(&e->x->lock);
}

static void destroy(struct garbage *g)
{
	struct stream_xpipe *x = of(container_of(g, struct stream, garbage))->x;

	pthread_mutex_lock(&x->lock);
	unref_locked(x);
}

static void xpipe_close(struct stream *s, int err)
{
	struct end *e = of(s), *o = other(e);

	pthread_mutex_lock(&e->x->lock);
	e->closed = true;
	e->box.closed = true;
	bufq_clear(&e->box.data);
	if (!o->box.closed) {
		if (err) {
			o->box.err = -ERR_RESET;
			bufq_clear(&o->box.data);
		}
		o->box.eof = true;
		o->box.gone = true;
		post_locked(o);
	}
	pthread_mutex_unlock(&e->x->lock);
	bufq_clear(&e->in);
	stream_dispose(s, destroy);
}

static const struct stream_ops ops = {
	.name = "xpipe",
	.read = xpipe_read,
	.write = xpipe_write,
	.want = xpipe_want,
	.shutdown = xpipe_shutdown,
	.close = xpipe_close,
};

static void end_init(struct stream_xpipe *x, struct end *e, struct loop *l)
{
	e->x = x;
	e->credit = x->room;
	bufq_init(&e->in);
	bufq_init(&e->box.data);
	e->box.post.run = on_post;
	stream_init(&e->s, &ops, l);
	defer_init(&e->s.kick, l, on_kick); /* ours looks at the queues each turn */
}

int stream_xpipe_new(struct loop *a, struct loop *b, size_t room, struct stream *end[2])
{
	struct stream_xpipe *x = calloc(1, sizeof(*x));

	if (!x)
		return -ERR_NOMEM;
	pthread_mutex_init(&x->lock, NULL);
	x->room = room;
	x->refs = 2;
	end_init(x, &x->end[0], a);
	end_init(x, &x->end[1], b);
	end[0] = &x->end[0].s;
	end[1] = &x->end[1].s;
	return 0;
}
