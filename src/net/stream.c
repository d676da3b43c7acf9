#include "net/stream.h"

#include "base/err.h"

static void on_kick(struct defer *d)
{
	struct stream *s = container_of(d, struct stream, kick);
	unsigned events = s->ready & s->wanted;

	s->ready &= ~events;
	if (events && s->user)
		s->user->on_event(s->user, s, events);
}

void stream_init(struct stream *s, const struct stream_ops *ops, struct loop *l)
{
	s->ops = ops;
	s->loop = l;
	s->user = NULL;
	s->wanted = s->ready = 0;
	defer_init(&s->kick, l, on_kick);
	list_init(&s->garbage.node);
}

void stream_notify(struct stream *s, unsigned events)
{
	s->ready |= events;
	if (s->ready & s->wanted)
		defer_ask(&s->kick);
}

void stream_deliver(struct stream *s, unsigned events)
{
	s->ready &= ~events;
	if ((events & s->wanted) && s->user)
		s->user->on_event(s->user, s, events & s->wanted);
}

void stream_dispose(struct stream *s, void (*destroy)(struct garbage *g))
{
	defer_cancel(&s->kick);
	s->user = NULL;
	s->wanted = s->ready = 0;
	s->garbage.destroy = destroy;
	loop_free_later(s->loop, &s->garbage);
}

void stream_rehome(struct stream *s, struct loop *to)
{
	defer_cancel(&s->kick);
	s->loop = to;
	s->kick.loop = to;
}

void stream_close(struct stream *s, int err)
{
	if (s)
		s->ops->close(s, err);
}

const char *stream_why(struct stream *s)
{
	return s->ops->why ? s->ops->why(s) : NULL;
}

struct stream *stream_unwrap(struct stream *s)
{
	for (;;) {
		struct stream *below = s->ops->unwrap ? s->ops->unwrap(s) : NULL;

		if (!below)
			return s;
		s = below;
	}
}

int stream_move(struct stream *s, struct loop *to)
{
	return s->ops->move ? s->ops->move(s, to) : -ERR_UNSUPPORTED;
}

int stream_fd(struct stream *s, unsigned direction)
{
	return s->ops->fd ? s->ops->fd(s, direction) : -1;
}

bool stream_can_half_close(struct stream *s)
{
	return !s->ops->can_half_close || s->ops->can_half_close(s);
}
