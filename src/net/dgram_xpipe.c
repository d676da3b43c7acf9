/* Threads and references as in stream_xpipe.c. */
#include "net/dgram_xpipe.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"

struct parcel {
	struct parcel *next;
	struct addr addr;
	struct buf *pkt; /* NULL: one to @addr came back with @err */
	int err;
};

struct mailbox {
	struct post post;
	bool posted;
	bool closed;
	struct parcel *first, **last;
	unsigned n;
	size_t bytes;
	int ended; /* the other end was closed */
};

struct end {
	struct dgram d;
	struct dgram_xpipe *x;
	bool closed;
	bool told; /* that the other end was closed */
	struct mailbox box;
};

struct dgram_xpipe {
	pthread_mutex_t lock;
	unsigned refs;
	struct end end[2];
};

static struct end *of(struct dgram *d)
{
	return container_of(d, struct end, d);
}

static struct end *other(struct end *e)
{
	return &e->x->end[e == &e->x->end[0]];
}

/* Unlocks as well. */
static void unref_locked(struct dgram_xpipe *x)
{
	bool last = --x->refs == 0;

	pthread_mutex_unlock(&x->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&x->lock);
	free(x);
}

static void post_locked(struct end *o)
{
	if (o->box.posted)
		return;
	o->box.posted = true;
	o->x->refs++;
	loop_post(o->d.loop, &o->box.post);
}

static struct parcel *take_locked(struct mailbox *box)
{
	struct parcel *all = box->first;

	box->first = NULL;
	box->last = &box->first;
	box->n = 0;
	box->bytes = 0;
	return all;
}

static void free_parcels(struct parcel *p)
{
	while (p) {
		struct parcel *next = p->next;

		buf_free(p->pkt);
		free(p);
		p = next;
	}
}

/* The user may close this end at any packet: the rest is then freed. */
static void hand_up(struct end *e, struct parcel *p)
{
	while (p && !e->closed) {
		struct parcel *next = p->next;

		if (p->pkt)
			dgram_deliver(&e->d, &p->addr, p->pkt);
		else
			dgram_bounced(&e->d, &p->addr, p->err);
		free(p);
		p = next;
	}
	free_parcels(p);
}

static void on_post(struct loop *l, struct post *p)
{
	struct end *e = container_of(container_of(p, struct mailbox, post), struct end, box);
	struct parcel *all;
	int ended;

	(void)l;
	pthread_mutex_lock(&e->x->lock);
	e->box.posted = false;
	all = take_locked(&e->box);
	ended = e->box.ended;
	pthread_mutex_unlock(&e->x->lock);
	hand_up(e, all);
	if (ended && !e->closed && !e->told) {
		e->told = true;
		dgram_ended(&e->d, ended);
	}
	pthread_mutex_lock(&e->x->lock);
	unref_locked(e->x);
}

/* Takes @pkt. */
static void put(struct end *o, const struct addr *addr, struct buf *pkt, int err)
{
	struct parcel *p = malloc(sizeof(*p));
	struct mailbox *box = &o->box;
	size_t len = pkt ? pkt->len : 0;

	if (!p) {
		buf_free(pkt);
		return;
	}
	*p = (struct parcel){.addr = *addr, .pkt = pkt, .err = err};
	pthread_mutex_lock(&o->x->lock);
	if (!box->closed && box->n < DGRAM_XPIPE_MAX && len <= DGRAM_XPIPE_BYTES - box->bytes) {
		*box->last = p;
		box->last = &p->next;
		box->n++;
		box->bytes += len;
		post_locked(o);
		p = NULL;
	}
	pthread_mutex_unlock(&o->x->lock);
	free_parcels(p);
}

static void xpipe_send(struct dgram *d, const struct addr *to, struct buf *pkt)
{
	put(other(of(d)), to, pkt, 0);
}

static void xpipe_bounce(struct dgram *d, const struct addr *to, int err)
{
	put(other(of(d)), to, NULL, err);
}

static void destroy(struct garbage *g)
{
	struct dgram_xpipe *x = of(container_of(g, struct dgram, garbage))->x;

	pthread_mutex_lock(&x->lock);
	unref_locked(x);
}

static void xpipe_close(struct dgram *d, int err)
{
	struct end *e = of(d), *o = other(e);
	struct parcel *all;

	pthread_mutex_lock(&e->x->lock);
	e->closed = true;
	e->box.closed = true;
	all = take_locked(&e->box);
	if (!o->box.closed) {
		o->box.ended = err ? err : -ERR_END;
		post_locked(o);
	}
	pthread_mutex_unlock(&e->x->lock);
	free_parcels(all);
	d->garbage.destroy = destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops ops = {
	.name = "xpipe",
	.send = xpipe_send,
	.bounce = xpipe_bounce,
	.close = xpipe_close,
};

int dgram_xpipe_new(struct loop *a, struct loop *b, struct dgram *end[2])
{
	struct dgram_xpipe *x = calloc(1, sizeof(*x));

	if (!x)
		return -ERR_NOMEM;
	pthread_mutex_init(&x->lock, NULL);
	x->refs = 2;
	for (int i = 0; i < 2; i++) {
		struct end *e = &x->end[i];

		e->x = x;
		e->box.last = &e->box.first;
		e->box.post.run = on_post;
		dgram_init(&e->d, &ops, i ? b : a);
		end[i] = &e->d;
	}
	return 0;
}
