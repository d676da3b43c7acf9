#include "proxy/vless_stream.h"

#include <stdlib.h>

#include "base/err.h"
#include "proto/muxext.h"
#include "proto/vless.h"
#include "proxy/vless_cap.h"

struct vless_stream {
	struct stream s;
	struct stream *below;
	struct stream_user on_below;
	struct buf *head;	     /* not written yet */
	struct bufq tx;		     /* taken, not yet taken by @below */
	struct bufq rx;
	bool expect;		     /* the response has not come yet */
	bool half_close, fin;	     /* fin: shutdown asked for, tx not empty yet */
	uint32_t lonely_ms;
	atomic_uint *server_caps;
	struct vless_waiter *waiter;
	int refusal; /* as the response says, -ERR_* */
	struct timer lonely;
};

static struct vless_stream *of(struct stream *s)
{
	return container_of(s, struct vless_stream, s);
}

static void want_below(struct vless_stream *v)
{
	unsigned w = v->s.wanted;

	if (v->waiter)
		w |= STREAM_READ;
	if (!bufq_empty(&v->tx))
		w |= STREAM_WRITE;
	stream_want(v->below, w);
}

/* 0 or -ERR_*; tx may still hold something. */
static int flush(struct vless_stream *v)
{
	ssize_t n = 0;

	if (!bufq_empty(&v->tx))
		n = stream_write(v->below, &v->tx);
	if (n < 0)
		return (int)n;
	if (bufq_empty(&v->tx) && v->fin) {
		v->fin = false;
		stream_shutdown(v->below);
	}
	return 0;
}

/* Joins the header and the bytes behind it, in place where there is room. */
static void put_head(struct vless_stream *v, struct bufq *payload)
{
	struct buf *head = v->head, *first = bufq_pop(payload);
	uint8_t *at = first ? buf_push(first, head->len) : NULL;

	timer_stop(&v->lonely);
	v->head = NULL;
	if (at) {
		memcpy(at, head->data, head->len);
		buf_free(head);
	} else {
		bufq_push(&v->tx, head);
	}
	if (first)
		bufq_push(&v->tx, first);
}

static void on_lonely(struct timer *t)
{
	struct vless_stream *v = container_of(t, struct vless_stream, lonely);
	struct bufq nothing;

	bufq_init(&nothing);
	if (v->head)
		put_head(v, &nothing);
	if (flush(v) == 0)
		want_below(v);
	else
		stream_deliver(&v->s, STREAM_READ | STREAM_WRITE);
}

/* 1 when the payload begins, 0 more needed, -ERR_*. */
static int read_response(struct vless_stream *v)
{
	struct vless_response r;
	struct vless_cap cap;
	ssize_t n = stream_read(v->below, &v->rx, STREAM_READ_MAX);
	struct span in;

	if (n < 0 && bufq_empty(&v->rx))
		return (int)n;
	in = bufq_pullup(&v->rx, VLESS_RESPONSE_MAX);
	n = vless_response_decode(&r, in);
	if (n <= 0)
		return (int)n;
	cap = vless_cap_decode(r.addons);
	if (v->server_caps)
		atomic_store_explicit(v->server_caps, cap.bits, memory_order_relaxed);
	if (cap.refusal)
		v->refusal = -muxext_refusal_to_err(cap.refusal);
	bufq_drop(&v->rx, (size_t)n);
	v->expect = false;
	return 1;
}

static void tell_waiter(struct vless_stream *v)
{
	struct vless_waiter *w = v->waiter;
	int got = read_response(v);

	if (got == 0)
		return;
	v->waiter = NULL;
	want_below(v);
	w->on_response(w, got < 0 ? got : v->refusal);
}

static void on_below(struct stream_user *u, struct stream *s, unsigned events)
{
	struct vless_stream *v = container_of(u, struct vless_stream, on_below);

	(void)s;
	if ((events & STREAM_WRITE) && !bufq_empty(&v->tx)) {
		if (flush(v) != 0)
			events |= STREAM_READ;
		else if (!bufq_empty(&v->tx))
			events &= ~(unsigned)STREAM_WRITE;
		want_below(v);
	}
	if (v->waiter && (events & STREAM_READ))
		tell_waiter(v);
	else
		stream_deliver(&v->s, events);
}

static ssize_t vless_read(struct stream *s, struct bufq *into, size_t max)
{
	struct vless_stream *v = of(s);
	size_t n;

	if (v->expect) {
		int got = read_response(v);

		if (got <= 0)
			return got;
	}
	if (bufq_empty(&v->rx))
		return stream_read(v->below, into, max);
	n = bufq_move(into, &v->rx, max);
	if (!bufq_empty(&v->rx))
		stream_notify(s, STREAM_READ);
	return (ssize_t)n;
}

static ssize_t vless_write(struct stream *s, struct bufq *from)
{
	struct vless_stream *v = of(s);
	size_t before = from->len;
	int err;

	if (!v->head && bufq_empty(&v->tx))
		return stream_write(v->below, from);
	if (v->head) {
		put_head(v, from);
		bufq_move(&v->tx, from, STREAM_READ_MAX);
	}
	err = flush(v);
	if (err)
		return err;
	want_below(v);
	return (ssize_t)(before - from->len);
}

static void vless_want(struct stream *s, unsigned events)
{
	struct vless_stream *v = of(s);

	s->wanted = events;
	want_below(v);
	if (!v->expect && !bufq_empty(&v->rx))
		stream_notify(s, STREAM_READ);
}

static void vless_shutdown(struct stream *s)
{
	struct vless_stream *v = of(s);
	struct bufq nothing;

	bufq_init(&nothing);
	if (v->head)
		put_head(v, &nothing);
	v->fin = true;
	if (flush(v) == 0)
		want_below(v);
}

static void vless_destroy(struct garbage *g)
{
	free(container_of(container_of(g, struct stream, garbage), struct vless_stream, s));
}

/* The layer goes, @below stays or was closed. */
static void dispose(struct vless_stream *v)
{
	timer_stop(&v->lonely);
	buf_free(v->head);
	v->head = NULL;
	bufq_clear(&v->tx);
	bufq_clear(&v->rx);
	stream_dispose(&v->s, vless_destroy);
}

static void vless_close(struct stream *s, int err)
{
	struct vless_stream *v = of(s);
	struct bufq nothing;

	bufq_init(&nothing);
	/* A server whose target said nothing still answers the request; a client that never
	 * sent anything just goes. */
	if (err == 0 && v->head && !v->expect)
		put_head(v, &nothing);
	if (err == 0)
		flush(v);
	stream_close(v->below, err);
	dispose(v);
}

static struct stream *vless_unwrap(struct stream *s)
{
	struct vless_stream *v = of(s);
	struct stream *below = v->below;

	if (v->head || v->expect || !bufq_empty(&v->tx) || !bufq_empty(&v->rx) || v->fin)
		return NULL;
	dispose(v);
	return below;
}

static int vless_move(struct stream *s, struct loop *to)
{
	struct vless_stream *v = of(s);
	bool lonely = timer_on(&v->lonely);
	int err;

	timer_stop(&v->lonely);
	err = stream_move(v->below, to);
	if (err)
		return err;
	v->lonely.loop = to;
	stream_rehome(s, to);
	if (lonely)
		timer_start(&v->lonely, v->lonely_ms);
	return 0;
}

static const char *vless_why(struct stream *s)
{
	return stream_why(of(s)->below);
}

static bool vless_half(struct stream *s)
{
	return of(s)->half_close;
}

void vless_stream_await(struct stream *s, struct vless_waiter *w)
{
	struct vless_stream *v = of(s);

	v->waiter = w;
	want_below(v);
}

void vless_stream_answer(struct stream *s, struct span head)
{
	struct vless_stream *v = of(s);
	struct buf *b = v->head ? buf_copy(head) : NULL;
	struct bufq nothing;

	if (!b)
		return;
	bufq_init(&nothing);
	buf_free(v->head);
	v->head = b;
	put_head(v, &nothing);
	flush(v);
	want_below(v);
}

bool vless_stream_sent(const struct stream *s)
{
	const struct vless_stream *v = container_of(s, const struct vless_stream, s);

	return !v->head && bufq_empty(&v->tx);
}

/* Past the headers a direction is the stream's below. */
static int vless_fd(struct stream *s, unsigned direction)
{
	struct vless_stream *v = of(s);
	bool clear = direction == STREAM_READ ? !v->expect && bufq_empty(&v->rx) :
						vless_stream_sent(s) && !v->fin;

	return clear ? stream_fd(v->below, direction) : -1;
}

static const struct stream_ops vless_ops = {
	.name = "vless",
	.read = vless_read,
	.write = vless_write,
	.want = vless_want,
	.shutdown = vless_shutdown,
	.close = vless_close,
	.unwrap = vless_unwrap,
	.fd = vless_fd,
	.move = vless_move,
	.why = vless_why,
	.can_half_close = vless_half,
};

struct stream *vless_stream_new(struct stream *below, struct bufq *early,
				const struct vless_side *side)
{
	struct vless_stream *v = calloc(1, sizeof(*v));

	if (v)
		v->head = buf_copy(side->head);
	if (!v || !v->head) {
		free(v);
		stream_close(below, -ERR_NOMEM);
		return NULL;
	}
	stream_init(&v->s, &vless_ops, below->loop);
	v->below = below;
	v->expect = side->client;
	v->half_close = side->half_close;
	v->server_caps = side->server_caps;
	if (early)
		bufq_move(&v->rx, early, early->len);
	v->on_below.on_event = on_below;
	stream_attach(below, &v->on_below);
	timer_init(&v->lonely, below->loop, on_lonely);
	v->lonely_ms = side->lonely_ms;
	if (side->lonely_ms)
		timer_start(&v->lonely, side->lonely_ms);
	return &v->s;
}
