/*
 * One event loop per worker thread, around libev.
 *
 *   watch   readiness of a descriptor
 *   timer   one shot, milliseconds; lazily re-armed, so that pushing a deadline
 *           further out costs nothing (see timer_extend)
 *   defer   work for the end of this turn of the loop, before it sleeps; runs
 *           once per turn however often it was asked for: flushes, frees,
 *           wake-ups of buffered data
 *   post    a message from any thread
 *
 * A callback never frees its caller. Whatever must go is handed to
 * loop_free_later, which calls back when the stack has unwound.
 * All functions but loop_post and loop_stop belong to the loop's own thread.
 */
#ifndef GARENNE_NET_LOOP_H
#define GARENNE_NET_LOOP_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct loop;

/** @id names the worker: 0 is the main one. Gives; NULL when memory or descriptors are out. */
struct loop *loop_new(unsigned id);
/** Runs until loop_stop; then ends the orphans and drains the deferred work. */
void loop_run(struct loop *l);
/** From any thread and from signal handlers' context of the main loop. */
void loop_stop(struct loop *l);
/** Runs what was posted to a loop that no thread runs any more. False: there was nothing. */
bool loop_drain(struct loop *l);
void loop_free(struct loop *l);
unsigned loop_id(const struct loop *l);
/** Milliseconds of a clock that never jumps. */
uint64_t loop_now(const struct loop *l);
/** Microseconds of the same. */
uint64_t loop_now_us(const struct loop *l);
struct ev_loop *loop_ev(struct loop *l);
/** True in the thread that runs @l (or before any thread runs it). */
bool loop_is_mine(const struct loop *l);

struct ledger;

/** What our own sockets are up to, in every loop the same; NULL where nobody asks. Borrows. */
void loop_set_ledger(struct loop *l, struct ledger *ledger);
struct ledger *loop_ledger(const struct loop *l);

enum { WATCH_READ = EV_READ, WATCH_WRITE = EV_WRITE };

struct watch {
	struct ev_io io;
	struct loop *loop;
	void (*on_ready)(struct watch *w, unsigned events);
};

void watch_init(struct watch *w, struct loop *l, int fd,
		void (*on_ready)(struct watch *w, unsigned events));
/** Sets the interest; 0 stops. Cheap when nothing changes. */
void watch_set(struct watch *w, unsigned events);

struct timer {
	struct ev_timer ev;
	struct loop *loop;
	uint64_t due; /* ms; 0 when stopped */
	void (*on_due)(struct timer *t);
};

void timer_init(struct timer *t, struct loop *l, void (*on_due)(struct timer *t));
/** (Re)starts: fires once in @ms. */
void timer_start(struct timer *t, uint64_t ms);
/** Moves the deadline to @ms from now; if that is later than the present one only a number is
 * written. Starts a stopped timer. */
void timer_extend(struct timer *t, uint64_t ms);
void timer_stop(struct timer *t);
static inline bool timer_on(const struct timer *t)
{
	return t->due != 0;
}

struct defer {
	struct list node;
	struct loop *loop;
	void (*run)(struct defer *d);
};

void defer_init(struct defer *d, struct loop *l, void (*run)(struct defer *d));
/** Asks for one call of run before the loop sleeps; asking twice is asking once. */
void defer_ask(struct defer *d);
void defer_cancel(struct defer *d);

/* Memory or an object that must outlive the present call stack. */
struct garbage {
	struct list node;
	void (*destroy)(struct garbage *g);
};

/** Takes: calls @g->destroy after all deferred work of this turn. */
void loop_free_later(struct loop *l, struct garbage *g);

enum { LOOP_SCRATCH = 8 * 65536 };

/** Memory for what a callback receives and copies out before it returns: LOOP_SCRATCH bytes, the
 * same for all callbacks of @l. NULL when memory is out. */
uint8_t *loop_scratch(struct loop *l);

/* An object that nobody but its loop owns: a handshake under way, a connection being drained. */
struct orphan {
	struct list node;
	void (*end)(struct orphan *o); /* the loop is over: let go of everything */
};

/** The streams on sockets that live here, for stream_tcp.c alone. */
struct list *loop_sockets(struct loop *l);
/** Remembers @o until loop_disown: what is left when the loop stops, or is freed, is ended then. */
void loop_adopt(struct loop *l, struct orphan *o);
/** Harmless for one that is not adopted, if its node was initialised. */
void loop_disown(struct orphan *o);

/* A signal of the process, as an event of one loop. */
struct signal_watch {
	struct ev_signal ev;
	struct loop *loop;
	void (*on_signal)(struct signal_watch *w, int signo);
};

void signal_watch_start(struct signal_watch *w, struct loop *l, int signo,
			void (*on_signal)(struct signal_watch *w, int signo));
void signal_watch_stop(struct signal_watch *w);

struct post {
	struct post *next;
	void (*run)(struct loop *l, struct post *p); /* in the target's thread; owns @p */
};

/** Takes @p. From any thread; wakes @l. Order is kept per sender. */
void loop_post(struct loop *l, struct post *p);

#endif
