#include "proxy/drain.h"

#include <stdlib.h>

#include "base/err.h"

struct drain {
	struct stream_user on_stream;
	struct stream *s;
	struct bufq last;
	struct timer deadline;
	struct orphan orphan;
	struct garbage garbage;
	bool finish;
};

static void destroy(struct garbage *g)
{
	free(container_of(g, struct drain, garbage));
}

static void drain_end(struct drain *d)
{
	struct loop *l = d->s->loop;

	timer_stop(&d->deadline);
	loop_disown(&d->orphan);
	bufq_clear(&d->last);
	stream_close(d->s, 0);
	d->s = NULL;
	loop_free_later(l, &d->garbage);
}

static void on_deadline(struct timer *t)
{
	drain_end(container_of(t, struct drain, deadline));
}

static void on_loop_end(struct orphan *o)
{
	drain_end(container_of(o, struct drain, orphan));
}

/* 0 or -ERR_*. */
static int say_last(struct drain *d)
{
	ssize_t n;

	if (bufq_empty(&d->last))
		return 0;
	n = stream_write(d->s, &d->last);
	if (n < 0)
		return (int)n;
	if (bufq_empty(&d->last) && d->finish)
		stream_shutdown(d->s);
	return 0;
}

static void on_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct drain *d = container_of(u, struct drain, on_stream);
	struct bufq waste;
	ssize_t n = 0;

	if (say_last(d) != 0) {
		drain_end(d);
		return;
	}
	bufq_init(&waste);
	if (events & STREAM_READ)
		n = stream_read(s, &waste, STREAM_READ_MAX);
	bufq_clear(&waste);
	if (n < 0) {
		drain_end(d);
		return;
	}
	stream_want(s, STREAM_READ | (bufq_empty(&d->last) ? 0u : (unsigned)STREAM_WRITE));
}

void drain_start(struct stream *s, struct bufq *last, bool finish, uint64_t ms)
{
	struct drain *d = calloc(1, sizeof(*d));

	if (!d) {
		if (last)
			bufq_clear(last);
		stream_close(s, -ERR_NOMEM);
		return;
	}
	d->on_stream.on_event = on_event;
	d->s = s;
	d->finish = finish;
	d->garbage.destroy = destroy;
	list_init(&d->garbage.node);
	if (last)
		bufq_move(&d->last, last, last->len);
	timer_init(&d->deadline, s->loop, on_deadline);
	timer_start(&d->deadline, ms);
	d->orphan.end = on_loop_end;
	loop_adopt(s->loop, &d->orphan);
	stream_attach(s, &d->on_stream);
	if (bufq_empty(&d->last) && finish)
		stream_shutdown(s);
	stream_want(s, STREAM_READ | (bufq_empty(&d->last) ? 0u : (unsigned)STREAM_WRITE));
}
