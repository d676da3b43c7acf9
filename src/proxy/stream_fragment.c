#include "proxy/stream_fragment.h"

#include <stdlib.h>

#include "base/err.h"
#include "proxy/drain.h"
#include "proxy/draw.h"

enum {
	TLS_HANDSHAKE = 22,
	TLS_HEAD = 5, /* type, version, length */
	/* What is cut at a time. A longer write counts as several. */
	WRITE_MAX = 65535,
};

struct fragment {
	struct stream s;
	struct stream_user on_below;
	struct stream *below;
	const struct conf_fragment *conf;
	struct bufq pieces; /* each buf is one piece */
	struct bufq now;    /* the rest of the piece that is being written */
	struct timer pause;
	uint32_t writes;
	bool shut; /* shutdown once all pieces are out */
	int err;
};

static struct fragment *of(struct stream *s)
{
	return container_of(s, struct fragment, s);
}

static bool busy(const struct fragment *g)
{
	return !bufq_empty(&g->now) || !bufq_empty(&g->pieces);
}

static bool finished(const struct fragment *g)
{
	if (busy(g) || g->shut)
		return false;
	if (g->conf->kind == CONF_FRAGMENT_TLSHELLO)
		return g->writes > 0;
	return g->conf->last && g->writes >= g->conf->last;
}

/* The length of the next piece of @left bytes; the last one that is allowed takes all. */
static size_t piece_len(const struct fragment *g, size_t left, uint32_t made, uint32_t most)
{
	size_t n = draw_range(g->conf->length);

	if (n == 0 || n > left || (most && made + 1 >= most))
		return left;
	return n;
}

/* A fragment is a copy: it is a matter of the first bytes of a connection only. */
static bool cut_plain(struct fragment *g, struct bufq *from, size_t n)
{
	uint32_t most = draw_range(g->conf->max_split), made = 0;

	while (n > 0) {
		size_t part = piece_len(g, n, made++, most);
		struct buf *b = buf_new_big(part);

		if (!b)
			return false;
		b->len = (uint32_t)bufq_peek(from, b->data, part);
		bufq_drop(from, part);
		bufq_push(&g->pieces, b);
		n -= part;
	}
	return true;
}

static void put_record(struct wr *w, const uint8_t *head, struct span body)
{
	wr_bytes(w, head, 3);
	wr_u16(w, (unsigned)body.n);
	wr_bytes(w, body.p, body.n);
}

/* @rec is a whole record. With an interval one buf per record, else all in one. */
static bool cut_record(struct fragment *g, struct span rec)
{
	uint32_t most = draw_range(g->conf->max_split), made = 0;
	struct span body = span_of(rec.p + TLS_HEAD, rec.n - TLS_HEAD);
	bool alone = g->conf->interval_ms.to > 0;
	struct bufq out;

	bufq_init(&out);
	while (body.n > 0) {
		size_t part = piece_len(g, body.n, made++, most);
		struct buf *b = buf_new_big(TLS_HEAD + part);
		struct wr w;

		if (!b) {
			bufq_clear(&out);
			return false;
		}
		w = wr_of(b->data, TLS_HEAD + part);
		put_record(&w, rec.p, span_of(body.p, part));
		b->len = (uint32_t)w.n;
		bufq_push(&out, b);
		body = span_of(body.p + part, body.n - part);
	}
	bufq_move(alone ? &g->pieces : &g->now, &out, out.len);
	return true;
}

/* Is the front of @from one whole handshake record? Its length, or 0. */
static size_t whole_record(const struct bufq *from)
{
	uint8_t h[TLS_HEAD];
	size_t n;

	if (bufq_peek(from, h, TLS_HEAD) < TLS_HEAD || h[0] != TLS_HANDSHAKE)
		return 0;
	n = TLS_HEAD + ((size_t)h[3] << 8 | h[4]);
	return n <= from->len && n > TLS_HEAD ? n : 0;
}

static bool cut(struct fragment *g, struct bufq *from, size_t n)
{
	bool ours = false;

	g->writes++;
	if (g->conf->kind == CONF_FRAGMENT_TLSHELLO) {
		size_t rec = whole_record(from);
		struct span s = bufq_pullup(from, rec);

		if (rec && rec <= WRITE_MAX && s.n == rec && cut_record(g, s)) {
			bufq_drop(from, rec);
			n -= rec;
		}
	} else {
		ours = g->writes >= g->conf->first && (!g->conf->last || g->writes <= g->conf->last);
	}
	if (ours)
		return cut_plain(g, from, n);
	bufq_move(bufq_empty(&g->pieces) ? &g->now : &g->pieces, from, n);
	return true;
}

/* Writes pieces until one has to wait. */
static void push_pieces(struct fragment *g)
{
	while (busy(g) && !timer_on(&g->pause) && !g->err) {
		ssize_t n;

		if (bufq_empty(&g->now))
			bufq_push(&g->now, bufq_pop(&g->pieces));
		n = stream_write(g->below, &g->now);
		if (n < 0)
			g->err = (int)n;
		if (!bufq_empty(&g->now))
			break;
		if (!bufq_empty(&g->pieces) && g->conf->interval_ms.to > 0)
			timer_start(&g->pause, draw_range(g->conf->interval_ms));
	}
}

static void set_below(struct fragment *g)
{
	unsigned want = g->s.wanted & STREAM_READ;

	if (!bufq_empty(&g->now) || (!busy(g) && (g->s.wanted & STREAM_WRITE)))
		want |= STREAM_WRITE;
	stream_want(g->below, want);
}

static void advance(struct fragment *g)
{
	push_pieces(g);
	if (g->err) {
		stream_notify(&g->s, STREAM_READ | STREAM_WRITE);
		return;
	}
	if (!busy(g)) {
		if (g->shut)
			stream_shutdown(g->below);
		g->shut = false;
		stream_notify(&g->s, STREAM_WRITE);
	}
	set_below(g);
}

static void on_pause_over(struct timer *t)
{
	advance(container_of(t, struct fragment, pause));
}

static void on_below_event(struct stream_user *u, struct stream *below, unsigned events)
{
	struct fragment *g = container_of(u, struct fragment, on_below);

	(void)below;
	if (busy(g)) {
		advance(g);
		events &= (unsigned)STREAM_READ;
	}
	if (events)
		stream_deliver(&g->s, events);
}

static ssize_t fragment_read(struct stream *s, struct bufq *into, size_t max)
{
	return stream_read(of(s)->below, into, max);
}

static ssize_t fragment_write(struct stream *s, struct bufq *from)
{
	struct fragment *g = of(s);
	size_t n = from->len < WRITE_MAX ? from->len : WRITE_MAX;

	if (g->err)
		return g->err;
	if (busy(g) || n == 0)
		return 0;
	if (!cut(g, from, n))
		return g->err = -ERR_NOMEM;
	push_pieces(g);
	set_below(g);
	return g->err ? g->err : (ssize_t)n;
}

static void fragment_want(struct stream *s, unsigned events)
{
	struct fragment *g = of(s);

	s->wanted = events;
	if (g->err)
		stream_notify(s, STREAM_READ | STREAM_WRITE);
	set_below(g);
}

static void fragment_shutdown(struct stream *s)
{
	struct fragment *g = of(s);

	if (busy(g))
		g->shut = true;
	else
		stream_shutdown(g->below);
}

static void fragment_destroy(struct garbage *g)
{
	free(of(container_of(g, struct stream, garbage)));
}

static void dispose(struct fragment *g)
{
	timer_stop(&g->pause);
	bufq_clear(&g->now);
	bufq_clear(&g->pieces);
	stream_dispose(&g->s, fragment_destroy);
}

static void fragment_close(struct stream *s, int err)
{
	struct fragment *g = of(s);

	if (err == 0 && !g->err && busy(g)) {
		bufq_move(&g->now, &g->pieces, g->pieces.len);
		drain_start(g->below, &g->now, true, DRAIN_GOODBYE_MS);
	} else {
		stream_close(g->below, err);
	}
	dispose(g);
}

static struct stream *fragment_unwrap(struct stream *s)
{
	struct fragment *g = of(s);
	struct stream *below = g->below;

	if (g->err || !finished(g))
		return NULL;
	stream_attach(below, NULL);
	dispose(g);
	return below;
}

static bool fragment_can_half_close(struct stream *s)
{
	return stream_can_half_close(of(s)->below);
}

static const char *fragment_why(struct stream *s)
{
	return stream_why(of(s)->below);
}

static const struct stream_ops fragment_ops = {
	.name = "fragment",
	.read = fragment_read,
	.write = fragment_write,
	.want = fragment_want,
	.shutdown = fragment_shutdown,
	.close = fragment_close,
	.unwrap = fragment_unwrap,
	.can_half_close = fragment_can_half_close,
	.why = fragment_why,
};

struct stream *stream_fragment_new(struct stream *below, const struct conf_fragment *conf)
{
	struct fragment *g;

	if (conf->kind == CONF_FRAGMENT_NONE)
		return below;
	g = calloc(1, sizeof(*g));
	if (!g)
		return below;
	stream_init(&g->s, &fragment_ops, below->loop);
	g->on_below.on_event = on_below_event;
	g->below = below;
	g->conf = conf;
	timer_init(&g->pause, below->loop, on_pause_over);
	stream_attach(below, &g->on_below);
	return &g->s;
}
