#include "flow/warm.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"

enum { PAUSE_DOUBLINGS = 5 };

struct lane;

/* One connection, first being opened, then waiting. */
struct waiter {
	struct list node;
	struct lane *lane;
	struct dial *dial; /* while opening */
	struct dial_user on_dialed;
	struct stream *s; /* afterwards */
	struct stream_user on_stream;
	struct timer age;
	unsigned network; /* core.network when it was opened */
	struct garbage garbage;
};

/* What one loop has; touched by its thread alone. */
struct lane {
	struct warm *w;
	struct loop *loop; /* NULL: not used yet */
	struct list opening, ready; /* the freshest last */
	size_t n;
	uint64_t used_ms, pause_ms; /* no dial before */
	unsigned in_vain;	    /* times in a row that one was not of use */
	bool over;
	struct orphan orphan;
};

struct warm {
	struct core *core;
	struct dialer *dialer;
	const struct addr *server;
	size_t per_loop;
	struct lane lanes[CORE_LOOPS_MAX];
};

static void fill(struct lane *n);

static void destroy(struct garbage *g)
{
	free(container_of(g, struct waiter, garbage));
}

/* Lets go of @k, but not of its stream. */
static struct stream *release(struct waiter *k)
{
	struct lane *n = k->lane;
	struct stream *s = k->s;

	if (k->dial)
		dial_cancel(k->dial);
	if (s) {
		stream_want(s, 0);
		stream_attach(s, NULL);
	}
	timer_stop(&k->age);
	list_del(&k->node);
	n->n--;
	k->dial = NULL;
	k->s = NULL;
	k->garbage.destroy = destroy;
	loop_free_later(n->loop, &k->garbage);
	return s;
}

static void drop(struct waiter *k)
{
	stream_close(release(k), 0);
}

static void on_old(struct timer *t)
{
	struct waiter *k = container_of(t, struct waiter, age);
	struct lane *n = k->lane;

	drop(k);
	fill(n);
}

/* Whoever closes what waits will do so again: less and less is offered, until one is of use. */
static void back_off(struct lane *n)
{
	n->pause_ms = loop_now(n->loop) + ((uint64_t)WARM_PAUSE_MS << n->in_vain);
	if (n->in_vain < PAUSE_DOUBLINGS)
		n->in_vain++;
}

static void on_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct waiter *k = container_of(u, struct waiter, on_stream);
	struct lane *n = k->lane;
	struct bufq waste;
	ssize_t got;

	(void)events;
	bufq_init(&waste);
	got = stream_read(s, &waste, STREAM_READ_MAX);
	bufq_clear(&waste);
	if (got == 0) {
		stream_want(s, STREAM_READ);
		return;
	}
	log_debug("warm", "the server does not wait: %s", got < 0 ? err_name((int)got) : "it speaks");
	back_off(n);
	drop(k);
}

static void on_dialed(struct dial_user *u, struct stream *s, int err, const char *why)
{
	struct waiter *k = container_of(u, struct waiter, on_dialed);
	struct lane *n = k->lane;

	k->dial = NULL;
	if (!s) {
		log_debug("warm", "no connection in advance: %s", why ? why : err_name(err));
		back_off(n);
		drop(k);
		return;
	}
	k->s = s;
	k->on_stream.on_event = on_event;
	list_del(&k->node);
	list_add_tail(&n->ready, &k->node);
	stream_attach(s, &k->on_stream);
	stream_want(s, STREAM_READ);
	timer_start(&k->age, WARM_AGE_MS);
}

static bool open_one(struct lane *n)
{
	struct waiter *k = calloc(1, sizeof(*k));

	if (!k)
		return false;
	k->lane = n;
	k->network = atomic_load_explicit(&n->w->core->network, memory_order_relaxed);
	k->on_dialed.on_dialed = on_dialed;
	timer_init(&k->age, n->loop, on_old);
	list_init(&k->node);
	k->dial = dialer_dial(n->w->dialer, n->loop, n->w->server, NULL, &k->on_dialed);
	if (!k->dial) {
		free(k);
		return false;
	}
	list_add_tail(&n->opening, &k->node);
	n->n++;
	return true;
}

static void fill(struct lane *n)
{
	uint64_t now = loop_now(n->loop);

	if (now - n->used_ms > WARM_USED_MS || now < n->pause_ms || n->over)
		return;
	while (n->n < n->w->per_loop && open_one(n))
		;
}

static void empty(struct lane *n)
{
	while (!list_empty(&n->opening))
		drop(list_first(&n->opening, struct waiter, node));
	while (!list_empty(&n->ready))
		drop(list_first(&n->ready, struct waiter, node));
}

/* The loop is over: nothing is opened any more. */
static void on_loop_end(struct orphan *o)
{
	struct lane *n = container_of(o, struct lane, orphan);

	n->over = true;
	empty(n);
}

static struct lane *lane_of(struct warm *w, struct loop *l)
{
	struct lane *n = &w->lanes[loop_id(l)];

	if (n->loop)
		return n;
	n->w = w;
	n->loop = l;
	list_init(&n->opening);
	list_init(&n->ready);
	list_init(&n->orphan.node);
	n->orphan.end = on_loop_end;
	loop_adopt(l, &n->orphan);
	return n;
}

struct stream *warm_take(struct warm *w, struct loop *l)
{
	unsigned network = atomic_load_explicit(&w->core->network, memory_order_relaxed);
	struct lane *n = lane_of(w, l);
	struct waiter *k, *next;
	struct stream *s = NULL;

	n->used_ms = loop_now(l);
	list_each_safe(k, next, &n->ready, node)
		if (k->network != network)
			drop(k);
	if (!list_empty(&n->ready)) {
		s = release(container_of(n->ready.prev, struct waiter, node));
		n->in_vain = 0;
	}
	fill(n);
	return s;
}

struct warm *warm_new(struct core *c, struct dialer *d, const struct addr *server, unsigned n)
{
	struct warm *w = calloc(1, sizeof(*w));
	unsigned loops = c->n_workers ? c->n_workers : 1;

	if (!w)
		return NULL;
	w->core = c;
	w->dialer = d;
	w->server = server;
	w->per_loop = n < loops ? 1 : n / loops;
	if (w->per_loop > WARM_MAX)
		w->per_loop = WARM_MAX;
	return w;
}

void warm_free(struct warm *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < CORE_LOOPS_MAX; i++) {
		struct lane *n = &w->lanes[i];

		if (!n->loop)
			continue;
		loop_disown(&n->orphan);
		empty(n);
	}
	free(w);
}
