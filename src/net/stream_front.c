#include "net/stream_front.h"

#include <stdlib.h>

#include "base/err.h"

struct stream_front {
	struct stream s;
	struct stream_user on_below;
	struct stream *below;
	struct bufq front;
	bool *gone; /* set while the user is called: it may move or close the stream */
};

static struct stream_front *of(struct stream *s)
{
	return container_of(s, struct stream_front, s);
}

static void set_below(struct stream_front *f)
{
	unsigned want = f->s.wanted;

	if (!bufq_empty(&f->front))
		want &= ~(unsigned)STREAM_READ;
	stream_want(f->below, want);
	if (!bufq_empty(&f->front) && (f->s.wanted & STREAM_READ))
		defer_ask(&f->s.kick);
}

static void on_kick(struct defer *d)
{
	struct stream_front *f = container_of(container_of(d, struct stream, kick),
					      struct stream_front, s);

	bool gone = false;

	if (bufq_empty(&f->front))
		return;
	f->gone = &gone;
	stream_deliver(&f->s, STREAM_READ);
	if (gone)
		return; /* perhaps another loop's already */
	f->gone = NULL;
	set_below(f);
}

static void on_below_event(struct stream_user *u, struct stream *below, unsigned events)
{
	(void)below;
	stream_deliver(&container_of(u, struct stream_front, on_below)->s, events);
}

static ssize_t front_read(struct stream *s, struct bufq *into, size_t max)
{
	struct stream_front *f = of(s);
	ssize_t n;

	if (bufq_empty(&f->front))
		return stream_read(f->below, into, max);
	n = (ssize_t)bufq_move(into, &f->front, max);
	set_below(f);
	return n || max == 0 ? n : -ERR_NOMEM;
}

static ssize_t front_write(struct stream *s, struct bufq *from)
{
	return stream_write(of(s)->below, from);
}

static void front_want(struct stream *s, unsigned events)
{
	s->wanted = events;
	set_below(of(s));
}

static void front_shutdown(struct stream *s)
{
	stream_shutdown(of(s)->below);
}

static void front_destroy(struct garbage *g)
{
	free(container_of(container_of(g, struct stream, garbage), struct stream_front, s));
}

static void leave(struct stream_front *f)
{
	if (f->gone)
		*f->gone = true;
	f->gone = NULL;
}

static struct stream *release(struct stream_front *f)
{
	struct stream *below = f->below;

	leave(f);
	bufq_clear(&f->front);
	stream_want(below, 0);
	stream_attach(below, NULL);
	stream_dispose(&f->s, front_destroy);
	return below;
}

static void front_close(struct stream *s, int err)
{
	stream_close(release(of(s)), err);
}

static struct stream *front_unwrap(struct stream *s)
{
	return bufq_empty(&of(s)->front) ? release(of(s)) : NULL;
}

static int front_move(struct stream *s, struct loop *to)
{
	int err = stream_move(of(s)->below, to);

	if (err)
		return err;
	leave(of(s));
	s->wanted = 0;
	stream_rehome(s, to);
	return 0;
}

static bool front_can_half_close(struct stream *s)
{
	return stream_can_half_close(of(s)->below);
}

static const char *front_why(struct stream *s)
{
	return stream_why(of(s)->below);
}

static const struct stream_ops front_ops = {
	.name = "front",
	.read = front_read,
	.write = front_write,
	.want = front_want,
	.shutdown = front_shutdown,
	.close = front_close,
	.unwrap = front_unwrap,
	.move = front_move,
	.why = front_why,
	.can_half_close = front_can_half_close,
};

struct stream *stream_front_new(struct stream *below, struct bufq *front)
{
	struct stream_front *f;

	if (bufq_empty(front))
		return below;
	f = calloc(1, sizeof(*f));
	if (!f) {
		bufq_clear(front);
		stream_close(below, -ERR_NOMEM);
		return NULL;
	}
	stream_init(&f->s, &front_ops, below->loop);
	defer_init(&f->s.kick, below->loop, on_kick);
	f->on_below.on_event = on_below_event;
	f->below = below;
	bufq_move(&f->front, front, front->len);
	stream_attach(below, &f->on_below);
	stream_want(below, 0);
	return &f->s;
}
