#include "proxy/stream_front.h"

#include <stdlib.h>

#include "base/err.h"

struct front {
	struct stream s;
	struct stream_user on_below;
	struct stream *below;
	struct bufq bytes;
};

static struct front *of(struct stream *s)
{
	return container_of(s, struct front, s);
}

static void on_below_event(struct stream_user *u, struct stream *below, unsigned events)
{
	(void)below;
	stream_deliver(&container_of(u, struct front, on_below)->s, events);
}

static ssize_t front_read(struct stream *s, struct bufq *into, size_t max)
{
	struct front *f = of(s);
	size_t n;

	if (bufq_empty(&f->bytes))
		return stream_read(f->below, into, max);
	n = bufq_move(into, &f->bytes, max);
	if (n == 0)
		return -ERR_NOMEM;
	stream_notify(s, STREAM_READ); /* there may be more, here or below */
	return (ssize_t)n;
}

static ssize_t front_write(struct stream *s, struct bufq *from)
{
	return stream_write(of(s)->below, from);
}

static void front_want(struct stream *s, unsigned events)
{
	struct front *f = of(s);
	bool ours = !bufq_empty(&f->bytes);

	s->wanted = events;
	if (ours)
		stream_notify(s, STREAM_READ);
	stream_want(f->below, ours ? events & (unsigned)STREAM_WRITE : events);
}

static void front_shutdown(struct stream *s)
{
	stream_shutdown(of(s)->below);
}

static void front_destroy(struct garbage *g)
{
	free(of(container_of(g, struct stream, garbage)));
}

static void dispose(struct front *f)
{
	bufq_clear(&f->bytes);
	stream_dispose(&f->s, front_destroy);
}

static void front_close(struct stream *s, int err)
{
	stream_close(of(s)->below, err);
	dispose(of(s));
}

static struct stream *front_unwrap(struct stream *s)
{
	struct front *f = of(s);
	struct stream *below = f->below;

	if (!bufq_empty(&f->bytes))
		return NULL;
	stream_attach(below, NULL);
	dispose(f);
	return below;
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
	.can_half_close = front_can_half_close,
	.why = front_why,
};

struct stream *stream_front_new(struct stream *below, struct bufq *front)
{
	struct front *f;

	if (bufq_empty(front))
		return below;
	f = calloc(1, sizeof(*f));
	if (!f) {
		stream_close(below, -ERR_NOMEM);
		return NULL;
	}
	stream_init(&f->s, &front_ops, below->loop);
	f->on_below.on_event = on_below_event;
	f->below = below;
	bufq_move(&f->bytes, front, front->len);
	stream_attach(below, &f->on_below);
	return &f->s;
}
