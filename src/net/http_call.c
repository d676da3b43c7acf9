#include "net/http_call.h"

#include <stdlib.h>

#include "base/err.h"
#include "proto/http.h"
#include "proto/httpchunk.h"

enum { STATUS_FINAL_MIN = 200 };

struct http_call {
	struct stream *s;
	struct stream_user on_stream;
	struct http_call_user *user;
	struct bufq out;
	struct timer deadline;
	struct garbage garbage;
	uint8_t *in; /* head and body, as they came */
	size_t n, cap, max;
	size_t seen;	 /* of the head */
	size_t head_len; /* 0 before the head is complete */
	size_t fed;	 /* of the body: what the chunks have been looked for in */
	struct http_response head;
	struct http_body body;
	struct httpchunk chunk;
};

static void destroy(struct garbage *g)
{
	struct http_call *c = container_of(g, struct http_call, garbage);

	free(c->in);
	free(c);
}

static void dispose(struct http_call *c)
{
	struct loop *l = c->deadline.loop;

	timer_stop(&c->deadline);
	bufq_clear(&c->out);
	c->garbage.destroy = destroy;
	loop_free_later(l, &c->garbage);
}

static void fail(struct http_call *c, int err, const char *why)
{
	struct http_answer a = {.err = err, .why = why};

	stream_close(c->s, err);
	dispose(c);
	c->user->on_done(c->user, NULL, &a);
}

/* The data of a chunked body, moved together in place; its length. */
static size_t unchunk(uint8_t *p, size_t n)
{
	size_t at = 0, out = 0;

	for (;;) {
		size_t size = 0;

		for (; at < n && p[at] != '\n'; at++) {
			uint8_t ch = p[at] | 0x20;

			if (ch >= '0' && ch <= '9')
				size = size * 16 + (size_t)(ch - '0');
			else if (ch >= 'a' && ch <= 'f')
				size = size * 16 + (size_t)(ch - 'a') + 10;
			else
				break;
		}
		while (at < n && p[at] != '\n')
			at++;
		at++;
		if (size == 0 || at > n || size > n - at)
			return out;
		memmove(p + out, p + at, size);
		out += size;
		at += size + 2;
	}
}

static void succeed(struct http_call *c, size_t body_len, bool reusable)
{
	uint8_t *body = c->in + c->head_len;
	struct http_answer a = {.status = c->head.status, .fields = c->head.fields};
	struct stream *s = c->s;

	if (c->body.kind == HTTP_BODY_CHUNKED)
		body_len = unchunk(body, body_len);
	a.body = span_of(body, body_len);
	stream_want(s, 0);
	stream_attach(s, NULL);
	if (!reusable) {
		stream_close(s, 0);
		s = NULL;
	}
	dispose(c);
	c->user->on_done(c->user, s, &a);
}

static bool persists(const struct http_call *c)
{
	if (http_field_lists(c->head.fields, "connection", "close"))
		return false;
	return c->head.minor >= 1 || http_field_lists(c->head.fields, "connection", "keep-alive");
}

/* Looks for the end of the body. True when the call is over. */
static bool judge_body(struct http_call *c, bool ended)
{
	size_t have = c->n - c->head_len;
	ssize_t n;

	switch (c->body.kind) {
	case HTTP_BODY_NONE:
		succeed(c, 0, have == 0 && persists(c));
		return true;
	case HTTP_BODY_LENGTH:
		if (have < c->body.length)
			break;
		succeed(c, (size_t)c->body.length, have == c->body.length && persists(c));
		return true;
	case HTTP_BODY_CHUNKED:
		n = httpchunk_feed(&c->chunk, span_of(c->in + c->head_len + c->fed, have - c->fed));
		if (n < 0) {
			fail(c, (int)n, "damaged chunks");
			return true;
		}
		c->fed += (size_t)n;
		if (!httpchunk_done(&c->chunk))
			break;
		succeed(c, c->fed, have == c->fed && persists(c));
		return true;
	case HTTP_BODY_CLOSE:
		if (!ended)
			break;
		succeed(c, have, false);
		return true;
	}
	return false;
}

/* The head points into memory that grows: it is taken apart again for each look. */
static bool judge(struct http_call *c, bool ended)
{
	ssize_t n;

	for (;;) {
		n = http_response_decode(&c->head, span_of(c->in, c->n), &c->seen);
		if (n < 0) {
			fail(c, (int)n, "not an HTTP answer");
			return true;
		}
		if (n == 0)
			return false;
		if (c->head.status >= STATUS_FINAL_MIN)
			break;
		memmove(c->in, c->in + n, c->n - (size_t)n);
		c->n -= (size_t)n;
		c->seen = 0;
	}
	if (c->head_len == 0) {
		c->head_len = (size_t)n;
		httpchunk_init(&c->chunk);
		if (http_response_body(&c->body, &c->head, span_str("POST")) != 0) {
			fail(c, -ERR_MALFORMED, "contradicting lengths");
			return true;
		}
		if (c->body.kind == HTTP_BODY_LENGTH && c->body.length > c->max) {
			fail(c, -ERR_LIMIT, "the answer is too long");
			return true;
		}
	}
	return judge_body(c, ended);
}

/* Room for all of @q behind what is there. */
static bool grow(struct http_call *c, size_t more)
{
	size_t cap = c->cap ? c->cap : 4096;
	uint8_t *p;

	while (cap - c->n < more)
		cap *= 2;
	if (cap == c->cap)
		return true;
	p = realloc(c->in, cap);
	if (!p)
		return false;
	c->in = p;
	c->cap = cap;
	return true;
}

static bool take(struct http_call *c, struct bufq *q)
{
	struct buf *b;
	bool ok = grow(c, q->len);

	while (ok && (b = bufq_pop(q))) {
		memcpy(c->in + c->n, b->data, b->len);
		c->n += b->len;
		buf_free(b);
	}
	bufq_clear(q);
	return ok;
}

/* True when the call is over. */
static bool on_readable(struct http_call *c)
{
	struct bufq q;
	ssize_t n;
	bool ended, ok;

	bufq_init(&q);
	n = stream_read(c->s, &q, STREAM_READ_MAX);
	ended = n == -ERR_EOF || n == -ERR_END;
	ok = take(c, &q);
	if (!ok || (n < 0 && !ended)) {
		fail(c, ok ? (int)n : -ERR_NOMEM, NULL);
		return true;
	}
	if (judge(c, ended))
		return true;
	if (c->n > c->max + HTTP_HEAD_MAX)
		fail(c, -ERR_LIMIT, "the answer is too long");
	else if (ended)
		fail(c, -ERR_RESET, "closed before the answer was complete");
	else
		return false;
	return true;
}

static void on_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct http_call *c = container_of(u, struct http_call, on_stream);

	if ((events & STREAM_WRITE) && !bufq_empty(&c->out)) {
		ssize_t n = stream_write(s, &c->out);

		if (n < 0) {
			fail(c, (int)n, NULL);
			return;
		}
	}
	if ((events & STREAM_READ) && on_readable(c))
		return;
	stream_want(s, STREAM_READ | (bufq_empty(&c->out) ? 0u : (unsigned)STREAM_WRITE));
}

static void on_deadline(struct timer *t)
{
	fail(container_of(t, struct http_call, deadline), -ERR_TIMEOUT, "no answer in time");
}

struct http_call *http_call_start(struct stream *s, struct span request, size_t body_max,
				  uint32_t timeout_ms, struct http_call_user *user)
{
	struct http_call *c = calloc(1, sizeof(*c));

	if (!c || bufq_append(&c->out, request) != 0) {
		if (c)
			bufq_clear(&c->out);
		free(c);
		stream_close(s, -ERR_NOMEM);
		return NULL;
	}
	c->s = s;
	c->user = user;
	c->max = body_max;
	c->on_stream.on_event = on_event;
	timer_init(&c->deadline, s->loop, on_deadline);
	timer_start(&c->deadline, timeout_ms);
	stream_attach(s, &c->on_stream);
	stream_want(s, STREAM_READ | STREAM_WRITE);
	return c;
}

void http_call_cancel(struct http_call *c)
{
	stream_close(c->s, -ERR_CLOSED);
	dispose(c);
}
