#include "proxy/vision_stream.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/rand.h"
#include "net/stream_tls.h"
#include "proto/vision.h"
#include "proxy/vless_stream.h"

struct vision_stream {
	struct stream s;
	struct stream_user on_below;
	struct stream *below; /* a VLESS stream */
	struct stream *tls;   /* somewhere in @below */
	struct vision_rx rx;
	struct vision_tx tx;
	struct vision_filter filter;
	uint32_t seed[4];
	struct bufq in;	   /* read, and not yet taken apart: less than a header */
	struct bufq plain; /* content, more than the user asked for */
	struct bufq out;   /* blocks, one buf each, not yet taken by @below */
	bool raw_write;	   /* @tls has been told */
	bool fin;	   /* shutdown asked for, @out not empty yet */
	bool closing;	   /* the user is gone, @out is still being delivered */
	bool client;
	int broken;
	const char *why;
	struct timer wait; /* for a first payload; while closing, for @out */
	uint32_t lonely_ms;
	struct orphan orphan; /* while closing */
};

enum { TLS13 = 0x0304 };

static struct vision_stream *of(struct stream *s)
{
	return container_of(s, struct vision_stream, s);
}

/* Is everything that was written below, and has TLS ended where it must? */
static bool settled(const struct vision_stream *v)
{
	return bufq_empty(&v->out) && (v->tx.state != VISION_TX_RAW || v->raw_write);
}

static void want_below(struct vision_stream *v)
{
	stream_want(v->below, v->s.wanted | (settled(v) ? 0u : (unsigned)STREAM_WRITE));
}

static int broken(struct vision_stream *v, int err, const char *why)
{
	v->broken = err;
	if (!v->why)
		v->why = why;
	return err;
}

/* Each block in a write of its own. 0 or -ERR_*; not everything may be settled. */
static int flush(struct vision_stream *v)
{
	while (!bufq_empty(&v->out)) {
		struct bufq one = {NULL, NULL, 0};
		ssize_t n;

		bufq_push(&one, bufq_pop(&v->out));
		n = stream_write(v->below, &one);
		if (!bufq_empty(&one))
			bufq_push_front(&v->out, bufq_pop(&one));
		if (n < 0)
			return broken(v, (int)n, NULL);
		if (n == 0)
			return 0;
	}
	/* Bytes after the last block go out behind what the TLS stream still holds. */
	if (v->tx.state == VISION_TX_RAW && !v->raw_write && vless_stream_sent(v->below)) {
		stream_tls_raw_write(v->tls);
		v->raw_write = true;
	}
	if (v->fin && settled(v)) {
		v->fin = false;
		stream_shutdown(v->below);
	}
	return 0;
}

/* One block, its content off the front of @from. 0 or -ERR_NOMEM. */
static int put_block(struct vision_stream *v, const struct vision_block *b, struct bufq *from)
{
	size_t size = VISION_FIRST_LEN + b->content + b->padding;
	struct buf *buf = buf_new(size);
	struct wr w;

	if (!buf)
		return broken(v, -ERR_NOMEM, "out of memory");
	w = wr_of(buf->data, size);
	vision_head_encode(&w, &v->tx, &v->rx.id, b);
	bufq_peek(from, buf->data + w.n, b->content);
	bufq_drop(from, b->content);
	w.n += b->content;
	memset(buf->data + w.n, 0, b->padding);
	buf->len = (uint32_t)(w.n + b->padding);
	bufq_push(&v->out, buf);
	return 0;
}

/* What one write of the user becomes: blocks in @out. */
static int pad_write(struct vision_stream *v, struct bufq *from)
{
	struct span spans[VISION_SPANS_MAX];
	uint32_t draws[VISION_BLOCKS_MAX];
	struct vision_plan plan;
	size_t n = 0, len = 0;
	int err = 0;

	for (struct buf *b = from->head; b && n < VISION_SPANS_MAX; b = b->next) {
		if (len + b->len > VISION_WRITE_MAX && n > 0)
			break;
		spans[n] = buf_span(b);
		if (spans[n].n > VISION_WRITE_MAX)
			spans[n].n = VISION_WRITE_MAX;
		len += spans[n].n;
		vision_filter_see(&v->filter, spans[n]);
		n++;
	}
	timer_stop(&v->wait);
	rand_fill(draws, sizeof(draws));
	vision_plan_write(&plan, &v->tx, &v->filter, spans, n, v->seed, draws);
	for (size_t i = 0; i < plan.n && !err; i++)
		err = put_block(v, &plan.block[i], from);
	if (v->tx.state != VISION_TX_PADDING)
		log_debug("vision", "our padding has ended: %s",
			  v->tx.state == VISION_TX_RAW ? "raw from now on" : "inside TLS");
	return err;
}

/* Padding and nothing else, so that a lone header does not show its length. */
static int put_camouflage(struct vision_stream *v)
{
	struct bufq nothing = {NULL, NULL, 0};
	struct vision_block b = {.command = VISION_CONTINUE};
	uint32_t draw;

	timer_stop(&v->wait);
	rand_fill(&draw, sizeof(draw));
	b.padding = vision_padding(v->seed, 0, true, draw);
	return put_block(v, &b, &nothing);
}

static ssize_t vision_write(struct stream *s, struct bufq *from)
{
	struct vision_stream *v = of(s);
	size_t before = from->len;
	int err = v->broken ? v->broken : flush(v);

	while (!err && settled(v) && !bufq_empty(from) && v->tx.state == VISION_TX_PADDING) {
		err = pad_write(v, from);
		if (!err)
			err = flush(v);
	}
	if (!err && settled(v) && !bufq_empty(from)) {
		ssize_t n = stream_write(v->below, from);

		if (n < 0)
			err = broken(v, (int)n, NULL);
	}
	if (err && before == from->len)
		return err;
	want_below(v);
	return (ssize_t)(before - from->len);
}

/* The filter sees both directions, as long as it has not made up its mind. */
static void see(struct vision_stream *v, const struct bufq *q)
{
	if (v->tx.state == VISION_TX_PADDING)
		for (const struct buf *b = q->head; b && v->filter.left > 0; b = b->next)
			vision_filter_see(&v->filter, buf_span(b));
}

static void blocks_ended(struct vision_stream *v)
{
	bool raw = v->rx.state == VISION_RX_RAW;

	if (raw)
		stream_tls_raw_read(v->tls);
	stream_tls_single(v->tls, false);
	log_debug("vision", "the peer's padding has ended: %s",
		  raw ? "raw from now on" : "inside TLS");
}

/* One step over the front of @in, which may be in several bufs. As vision_rx_step. */
static ssize_t step(struct vision_stream *v, bool *content)
{
	ssize_t n = vision_rx_step(&v->rx, buf_span(v->in.head), content);

	if (n == 0 && v->in.head->len < v->in.len)
		n = vision_rx_step(&v->rx, bufq_pullup(&v->in, VISION_FIRST_LEN), content);
	return n;
}

/* Takes @in apart. 0 or -ERR_*. */
static int take_apart(struct vision_stream *v)
{
	struct bufq content = {NULL, NULL, 0};
	int err = 0;

	while (!bufq_empty(&v->in) && !vision_rx_done(&v->rx) && !err) {
		bool wanted;
		ssize_t n = step(v, &wanted);

		if (n < 0)
			err = broken(v, (int)n, "unknown Vision command");
		else if (n == 0)
			break;
		else if (!wanted)
			bufq_drop(&v->in, (size_t)n);
		else if (bufq_move(&content, &v->in, (size_t)n) < (size_t)n)
			err = broken(v, -ERR_NOMEM, "out of memory");
	}
	if (vision_rx_done(&v->rx)) {
		blocks_ended(v);
		bufq_move(&content, &v->in, v->in.len);
	}
	see(v, &content);
	bufq_move(&v->plain, &content, content.len);
	return err;
}

/* The stream below has ended while blocks were expected. */
static int ended_inside(struct vision_stream *v, int err)
{
	if (err != -ERR_EOF && err != -ERR_END)
		return err;
	if (v->rx.state == VISION_RX_CONTENT ||
	    (v->rx.state == VISION_RX_HEADER && !bufq_empty(&v->in)))
		return broken(v, -ERR_RESET, "the connection ended inside a Vision block");
	if (v->rx.state == VISION_RX_START && !bufq_empty(&v->in)) {
		/* Too little to be a block: what a peer says that does not pad. */
		v->rx.state = VISION_RX_PLAIN;
		bufq_move(&v->plain, &v->in, v->in.len);
		return 0; /* the end comes again */
	}
	return err;
}

/* A record's worth into @plain. 0 or -ERR_*. */
static int read_blocks(struct vision_stream *v)
{
	ssize_t n = stream_read(v->below, &v->in, STREAM_READ_MAX);

	return n < 0 ? ended_inside(v, (int)n) : take_apart(v);
}

static ssize_t vision_read(struct stream *s, struct bufq *into, size_t max)
{
	struct vision_stream *v = of(s);
	ssize_t n;
	int err = 0;

	if (bufq_empty(&v->plain)) {
		if (v->broken)
			return v->broken;
		if (!vision_rx_done(&v->rx)) {
			err = read_blocks(v);
		} else if (v->tx.state != VISION_TX_PADDING || v->filter.left == 0) {
			return stream_read(v->below, into, max);
		} else {
			n = stream_read(v->below, &v->plain, max);
			err = n < 0 ? (int)n : 0;
			see(v, &v->plain);
		}
	}
	if (bufq_empty(&v->plain))
		return err;
	n = (ssize_t)bufq_move(into, &v->plain, max);
	if (!bufq_empty(&v->plain))
		stream_notify(s, STREAM_READ);
	return n;
}

static void vision_want(struct stream *s, unsigned events)
{
	struct vision_stream *v = of(s);

	s->wanted = events;
	want_below(v);
	if (!bufq_empty(&v->plain) || v->broken)
		stream_notify(s, STREAM_READ);
}

static void vision_shutdown(struct stream *s)
{
	struct vision_stream *v = of(s);

	if (v->broken)
		return;
	if (v->client && !v->tx.begun)
		put_camouflage(v);
	v->fin = true;
	if (flush(v) == 0)
		want_below(v);
}

static void vision_destroy(struct garbage *g)
{
	free(container_of(container_of(g, struct stream, garbage), struct vision_stream, s));
}

/* The layer goes and gives what is below. */
static struct stream *release(struct vision_stream *v)
{
	timer_stop(&v->wait);
	loop_disown(&v->orphan);
	bufq_clear(&v->in);
	bufq_clear(&v->plain);
	bufq_clear(&v->out);
	stream_want(v->below, 0);
	stream_attach(v->below, NULL);
	stream_dispose(&v->s, vision_destroy);
	return v->below;
}

static void on_loop_over(struct orphan *o)
{
	stream_close(release(container_of(o, struct vision_stream, orphan)), -ERR_CLOSED);
}

static void on_wait_over(struct timer *t)
{
	struct vision_stream *v = container_of(t, struct vision_stream, wait);

	if (v->closing) {
		stream_close(release(v), -ERR_TIMEOUT);
		return;
	}
	log_debug("vision", "Insert padding with empty content to camouflage VLESS header");
	if (put_camouflage(v) == 0 && flush(v) == 0)
		want_below(v);
	else
		stream_deliver(&v->s, STREAM_READ | STREAM_WRITE);
}

static void vision_close(struct stream *s, int err)
{
	struct vision_stream *v = of(s);

	if (err == 0 && !v->broken)
		flush(v);
	if (err || v->broken || settled(v)) {
		stream_close(release(v), err ? err : v->broken);
		return;
	}
	v->closing = true;
	s->user = NULL;
	s->wanted = 0;
	defer_cancel(&s->kick);
	bufq_clear(&v->in);
	bufq_clear(&v->plain);
	v->orphan.end = on_loop_over;
	loop_adopt(s->loop, &v->orphan);
	timer_start(&v->wait, TLS_LINGER_MS);
	want_below(v);
}

static void on_below(struct stream_user *u, struct stream *below, unsigned events)
{
	struct vision_stream *v = container_of(u, struct vision_stream, on_below);

	(void)below;
	if ((events & STREAM_WRITE) && !settled(v)) {
		if (flush(v) != 0)
			events |= STREAM_READ;
		else if (!settled(v))
			events &= ~(unsigned)STREAM_WRITE;
		want_below(v);
	}
	if (v->closing) {
		if (v->broken || settled(v))
			stream_close(release(v), v->broken);
		return;
	}
	stream_deliver(&v->s, events);
}

static struct stream *vision_unwrap(struct stream *s)
{
	struct vision_stream *v = of(s);

	if (!vision_rx_done(&v->rx) || v->tx.state == VISION_TX_PADDING || !settled(v) ||
	    !bufq_empty(&v->plain) || v->fin || v->broken)
		return NULL;
	return release(v);
}

static int vision_fd(struct stream *s, unsigned direction)
{
	struct vision_stream *v = of(s);
	bool clear = direction == STREAM_READ ?
			     v->rx.state == VISION_RX_RAW && bufq_empty(&v->plain) &&
				     (v->tx.state != VISION_TX_PADDING || v->filter.left == 0) :
			     v->tx.state == VISION_TX_RAW && settled(v) && !v->fin;

	return clear && !v->broken ? stream_fd(v->below, direction) : -1;
}

static int vision_move(struct stream *s, struct loop *to)
{
	struct vision_stream *v = of(s);
	bool waiting = timer_on(&v->wait);
	int err;

	timer_stop(&v->wait);
	err = stream_move(v->below, to);
	if (err)
		return err;
	s->wanted = 0;
	v->wait.loop = to;
	stream_rehome(s, to);
	if (waiting)
		timer_start(&v->wait, v->lonely_ms);
	return 0;
}

static const char *vision_why(struct stream *s)
{
	struct vision_stream *v = of(s);

	return v->why ? v->why : stream_why(v->below);
}

static bool vision_half(struct stream *s)
{
	return stream_can_half_close(of(s)->below);
}

static const struct stream_ops vision_ops = {
	.name = "vision",
	.read = vision_read,
	.write = vision_write,
	.want = vision_want,
	.shutdown = vision_shutdown,
	.close = vision_close,
	.unwrap = vision_unwrap,
	.fd = vision_fd,
	.move = vision_move,
	.why = vision_why,
	.can_half_close = vision_half,
};

struct stream *vision_stream_new(struct stream *below, struct stream *tls,
				 const struct vision_side *side)
{
	struct vision_stream *v = calloc(1, sizeof(*v));

	if (!v) {
		stream_close(below, -ERR_NOMEM);
		return NULL;
	}
	stream_init(&v->s, &vision_ops, below->loop);
	timer_init(&v->wait, below->loop, on_wait_over);
	list_init(&v->orphan.node);
	v->on_below.on_event = on_below;
	v->below = below;
	v->tls = tls;
	v->lonely_ms = side->lonely_ms;
	v->client = side->lonely_ms > 0;
	memcpy(v->seed, side->seed, sizeof(v->seed));
	vision_rx_init(&v->rx, side->id);
	vision_filter_init(&v->filter);
	stream_tls_single(tls, true);
	stream_attach(below, &v->on_below);
	if (side->lonely_ms)
		timer_start(&v->wait, side->lonely_ms);
	return &v->s;
}

bool vision_stream_is(const struct stream *s)
{
	return s->ops == &vision_ops;
}

void vision_stream_carrier(struct stream *s)
{
	if (vision_stream_is(s))
		vision_filter_blind(&of(s)->filter);
}

const char *vision_stream_refusal(const struct stream *s, char room[VISION_WHY_MAX])
{
	if (!stream_is_tls(s))
		return "XTLS only supports TLS and REALITY directly for now.";
	if (stream_tls_version(s) == TLS13)
		return NULL;
	snprintf(room, VISION_WHY_MAX, "failed to use xtls-rprx-vision, found outer tls version %u",
		 stream_tls_version(s));
	return room;
}
