#include "net/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"

struct loop {
	struct ev_loop *ev;
	unsigned id;
	struct list deferred;
	struct list garbage;
	struct list orphans;
	struct list sockets;
	uint8_t *scratch; /* made when first asked for */
	struct ledger *ledger;
	struct ev_prepare before_sleep;
	struct ev_async wake;
	pthread_mutex_t post_lock;
	struct post *post_head, **post_tail;
	atomic_bool stopping;
	pthread_t thread;
	atomic_bool running;
};

enum { ROUNDS_MAX = 8 };

/* Deferred work may ask for more. A list taken whole bounds one round, and after
 * some rounds the descriptors get their turn: the loop then polls without sleeping. */
static void run_deferred(struct loop *l)
{
	for (int n = 0; !list_empty(&l->deferred) || !list_empty(&l->garbage); n++) {
		struct list round;

		if (n == ROUNDS_MAX && !list_empty(&l->deferred)) {
			ev_async_send(l->ev, &l->wake);
			return;
		}
		list_init(&round);
		list_splice_tail(&round, &l->deferred);
		while (!list_empty(&round)) {
			struct defer *d = list_first(&round, struct defer, node);

			list_del(&d->node);
			d->run(d);
		}
		if (!list_empty(&l->deferred))
			continue;
		list_splice_tail(&round, &l->garbage);
		while (!list_empty(&round)) {
			struct garbage *g = list_first(&round, struct garbage, node);

			list_del(&g->node);
			g->destroy(g);
		}
	}
}

static void on_before_sleep(struct ev_loop *ev, struct ev_prepare *w, int revents)
{
	struct loop *l = container_of(w, struct loop, before_sleep);

	(void)ev;
	(void)revents;
	run_deferred(l);
	if (atomic_load(&l->stopping))
		ev_break(l->ev, EVBREAK_ALL);
}

static void on_wake(struct ev_loop *ev, struct ev_async *w, int revents)
{
	struct loop *l = container_of(w, struct loop, wake);
	struct post *p;

	(void)ev;
	(void)revents;
	pthread_mutex_lock(&l->post_lock);
	p = l->post_head;
	l->post_head = NULL;
	l->post_tail = &l->post_head;
	pthread_mutex_unlock(&l->post_lock);
	while (p) {
		struct post *next = p->next;

		p->run(l, p);
		p = next;
	}
}

struct loop *loop_new(unsigned id)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!l->ev) {
		free(l);
		return NULL;
	}
	l->id = id;
	l->post_tail = &l->post_head;
	list_init(&l->deferred);
	list_init(&l->garbage);
	list_init(&l->orphans);
	list_init(&l->sockets);
	pthread_mutex_init(&l->post_lock, NULL);
	ev_prepare_init(&l->before_sleep, on_before_sleep);
	ev_prepare_start(l->ev, &l->before_sleep);
	ev_async_init(&l->wake, on_wake);
	ev_async_start(l->ev, &l->wake);
	return l;
}

/* The end of one may make others, so the list is asked anew each time. */
static void end_orphans(struct loop *l)
{
	struct orphan *o;

	while ((o = list_first(&l->orphans, struct orphan, node)) != NULL) {
		loop_disown(o);
		o->end(o);
	}
	run_deferred(l);
}

void loop_run(struct loop *l)
{
	l->thread = pthread_self();
	atomic_store(&l->running, true);
	ev_run(l->ev, 0);
	end_orphans(l);
	atomic_store(&l->running, false);
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->stopping, true);
	ev_async_send(l->ev, &l->wake);
}

bool loop_drain(struct loop *l)
{
	bool any;

	pthread_mutex_lock(&l->post_lock);
	any = l->post_head != NULL;
	pthread_mutex_unlock(&l->post_lock);
	on_wake(l->ev, &l->wake, 0);
	run_deferred(l);
	return any;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	do { /* what ends may post to its own loop */
		on_wake(l->ev, &l->wake, 0);
		run_deferred(l);
		end_orphans(l);
	} while (l->post_head);
	ev_loop_destroy(l->ev);
	pthread_mutex_destroy(&l->post_lock);
	free(l->scratch);
	free(l);
}

void loop_set_ledger(struct loop *l, struct ledger *ledger)
{
	l->ledger = ledger;
}

struct ledger *loop_ledger(const struct loop *l)
{
	return l->ledger;
}

unsigned loop_id(const struct loop *l)
{
	return l->id;
}

uint64_t loop_now_us(const struct loop *l)
{
	struct timespec ts;

	(void)l; /* libev's cached time follows the wall clock, which jumps */
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t loop_now(const struct loop *l)
{
	return loop_now_us(l) / 1000;
}

struct ev_loop *loop_ev(struct loop *l)
{
	return l->ev;
}

bool loop_is_mine(const struct loop *l)
{
	return !atomic_load(&l->running) || pthread_equal(l->thread, pthread_self());
}

static void on_io(struct ev_loop *ev, struct ev_io *io, int revents)
{
	struct watch *w = container_of(io, struct watch, io);

	(void)ev;
	w->on_ready(w, (unsigned)revents & (EV_READ | EV_WRITE));
}

void watch_init(struct watch *w, struct loop *l, int fd,
		void (*on_ready)(struct watch *w, unsigned events))
{
	w->loop = l;
	w->on_ready = on_ready;
	ev_io_init(&w->io, on_io, fd, 0);
}

void watch_set(struct watch *w, unsigned events)
{
	unsigned now = (unsigned)w->io.events & (EV_READ | EV_WRITE);

	if (ev_is_active(&w->io) ? now == events : events == 0)
		return;
	ev_io_stop(w->loop->ev, &w->io);
	ev_io_set(&w->io, w->io.fd, (int)events);
	if (events)
		ev_io_start(w->loop->ev, &w->io);
}

static void on_timer(struct ev_loop *ev, struct ev_timer *et, int revents)
{
	struct timer *t = container_of(et, struct timer, ev);
	uint64_t now = loop_now(t->loop);

	(void)revents;
	if (t->due > now) { /* extended since: sleep for the rest */
		ev_timer_set(et, (double)(t->due - now) / 1000.0 + 0.0005, 0.);
		ev_timer_start(ev, et);
		return;
	}
	t->due = 0;
	t->on_due(t);
}

void timer_init(struct timer *t, struct loop *l, void (*on_due)(struct timer *t))
{
	t->loop = l;
	t->due = 0;
	t->on_due = on_due;
	ev_timer_init(&t->ev, on_timer, 0., 0.);
}

void timer_start(struct timer *t, uint64_t ms)
{
	ev_timer_stop(t->loop->ev, &t->ev);
	t->due = loop_now(t->loop) + (ms ? ms : 1);
	ev_timer_set(&t->ev, (double)(ms ? ms : 1) / 1000.0, 0.);
	ev_timer_start(t->loop->ev, &t->ev);
}

void timer_extend(struct timer *t, uint64_t ms)
{
	uint64_t due = loop_now(t->loop) + (ms ? ms : 1);

	if (t->due == 0 || due < t->due)
		timer_start(t, ms);
	else
		t->due = due;
}

void timer_stop(struct timer *t)
{
	ev_timer_stop(t->loop->ev, &t->ev);
	t->due = 0;
}

void defer_init(struct defer *d, struct loop *l, void (*run)(struct defer *d))
{
	list_init(&d->node);
	d->loop = l;
	d->run = run;
}

void defer_ask(struct defer *d)
{
	if (list_empty(&d->node))
		list_add_tail(&d->loop->deferred, &d->node);
}

void defer_cancel(struct defer *d)
{
	list_del(&d->node);
}

void loop_free_later(struct loop *l, struct garbage *g)
{
	list_add_tail(&l->garbage, &g->node);
}

uint8_t *loop_scratch(struct loop *l)
{
	if (!l->scratch)
		l->scratch = malloc(LOOP_SCRATCH);
	return l->scratch;
}

struct list *loop_sockets(struct loop *l)
{
	return &l->sockets;
}

void loop_adopt(struct loop *l, struct orphan *o)
{
	list_add_tail(&l->orphans, &o->node);
}

void loop_disown(struct orphan *o)
{
	list_del(&o->node);
}

void loop_post(struct loop *l, struct post *p)
{
	p->next = NULL;
	pthread_mutex_lock(&l->post_lock);
	*l->post_tail = p;
	l->post_tail = &p->next;
	pthread_mutex_unlock(&l->post_lock);
	ev_async_send(l->ev, &l->wake);
}

static void on_ev_signal(struct ev_loop *ev, struct ev_signal *es, int revents)
{
	struct signal_watch *w = container_of(es, struct signal_watch, ev);

	(void)ev;
	(void)revents;
	w->on_signal(w, es->signum);
}

void signal_watch_start(struct signal_watch *w, struct loop *l, int signo,
			void (*on_signal)(struct signal_watch *w, int signo))
{
	w->loop = l;
	w->on_signal = on_signal;
	ev_signal_init(&w->ev, on_ev_signal, signo);
	ev_signal_start(l->ev, &w->ev);
}

void signal_watch_stop(struct signal_watch *w)
{
	ev_signal_stop(w->loop->ev, &w->ev);
}
