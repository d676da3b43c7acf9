/*
 * Up:   head, then the body out of @rest and the client, as its delimiter says.
 * Down: ANSWER_HEAD (collecting in @answer) -> ANSWER_BODY -> ANSWER_DONE. Bytes
 *       for the client wait in @out while it is slow; then no more are taken.
 *
 * The end is shown to the reader only when the client has all of the answer.
 */
#include "proxy/http_exchange.h"

#include <stdlib.h>

#include "base/err.h"
#include "proto/httpchunk.h"
#include "proxy/drain.h"

enum {
	OUT_BOUND = STREAM_READ_MAX, /* waits for a slow client; then the origin has to wait too */
	AHEAD_BOUND = 8192,	     /* of further requests, read while this one is answered */
};

/* A body under way, in either direction. */
struct body {
	struct http_body how;
	struct httpchunk chunk;
	bool done;
};

enum answer_state {
	ANSWER_HEAD = 0,
	ANSWER_BODY,
	ANSWER_DONE,
	ANSWER_BROKEN,
};

struct exchange {
	struct stream s;
	struct stream_user on_client;
	struct stream *client;
	struct exchange_user *user;
	struct bufq head; /* for the origin */
	struct bufq rest; /* read from the client, not passed on */
	struct body request;
	enum answer_state state;
	struct bufq answer; /* the beginning of the answer until its head is whole */
	size_t seen;
	struct body reply;
	struct bufq out; /* for the client */
	bool said;	 /* some of the final answer is on its way to the client */
	bool keep;	 /* the client's connection outlives this exchange */
	bool persists;
	bool client_eof; /* it has finished sending; it may still be listening */
	char method[HTTP_METHOD_MAX + 1];
	int err; /* the client's connection is broken */
};

static struct exchange *of(struct stream *s)
{
	return container_of(s, struct exchange, s);
}

/* ---- bodies ---- */

static void body_start(struct body *b, const struct http_body *how)
{
	b->how = *how;
	httpchunk_init(&b->chunk);
	b->done = how->kind == HTTP_BODY_NONE || (how->kind == HTTP_BODY_LENGTH && !how->length);
}

/* Moves what belongs to the body from the front of @from to @to, up to @max bytes; how much, or
 * -ERR_*. */
static ssize_t body_move(struct body *b, struct bufq *to, struct bufq *from, size_t max)
{
	size_t moved = 0;

	while (!b->done && !bufq_empty(from) && moved < max) {
		size_t n = from->head->len < max - moved ? from->head->len : max - moved;
		size_t got;

		if (b->how.kind == HTTP_BODY_LENGTH && n > b->how.length)
			n = (size_t)b->how.length;
		if (b->how.kind == HTTP_BODY_CHUNKED) {
			ssize_t fed = httpchunk_feed(&b->chunk, span_of(from->head->data, n));

			if (fed < 0)
				return fed;
			n = (size_t)fed;
			b->done = httpchunk_done(&b->chunk);
		}
		got = bufq_move(to, from, n);
		if (got < n)
			return -ERR_NOMEM;
		moved += n;
		if (b->how.kind == HTTP_BODY_LENGTH) {
			b->how.length -= n;
			b->done = b->how.length == 0;
		}
	}
	return (ssize_t)moved;
}

/* ---- towards the client ---- */

static void flush_out(struct exchange *x)
{
	ssize_t n;

	if (bufq_empty(&x->out) || x->err)
		return;
	n = stream_write(x->client, &x->out);
	if (n < 0)
		x->err = (int)n;
}

/* May the reader see the end now? */
static bool over(const struct exchange *x)
{
	return x->err || x->state == ANSWER_BROKEN ||
	       (x->state == ANSWER_DONE && bufq_empty(&x->out));
}

static void set_client(struct exchange *x)
{
	unsigned want = 0;

	if (x->err) {
		stream_want(x->client, 0);
		return;
	}
	/* During the answer only to notice a client that breaks off. */
	if (!x->client_eof && !over(x) &&
	    (x->request.done ? x->rest.len < AHEAD_BOUND :
			       bufq_empty(&x->rest) && (x->s.wanted & STREAM_READ)))
		want |= STREAM_READ;
	if (!bufq_empty(&x->out))
		want |= STREAM_WRITE;
	stream_want(x->client, want);
}

/* Tells the flow what it may do. */
static void announce(struct exchange *x)
{
	unsigned ready = 0;

	if (over(x) || !bufq_empty(&x->head) || (!x->request.done && !bufq_empty(&x->rest)))
		ready |= STREAM_READ;
	if (x->out.len < OUT_BOUND || x->err)
		ready |= STREAM_WRITE;
	if (ready)
		stream_notify(&x->s, ready);
	set_client(x);
}

static void read_ahead(struct exchange *x)
{
	ssize_t n;

	if (x->client_eof || x->rest.len >= AHEAD_BOUND)
		return;
	n = stream_read(x->client, &x->rest, AHEAD_BOUND - x->rest.len);
	if (n == -ERR_EOF)
		x->client_eof = true;
	else if (n < 0)
		x->err = n == -ERR_END ? -ERR_RESET : (int)n;
}

static void on_client_event(struct stream_user *u, struct stream *client, unsigned events)
{
	struct exchange *x = container_of(u, struct exchange, on_client);

	(void)client;
	flush_out(x);
	if (events & STREAM_READ) {
		if (x->request.done)
			read_ahead(x);
		else
			stream_notify(&x->s, STREAM_READ);
	}
	announce(x);
}

/* ---- the answer ---- */

/* The head of the answer as the client gets it. 0 or -ERR_*. */
static int pass_head(struct exchange *x, const struct http_response *resp, size_t head_len)
{
	bool interim = resp->status < 200;
	struct http_body how = {0};
	struct buf *b;
	struct wr w;
	int err;

	if (resp->status == 101) /* nobody was asked to switch */
		return -ERR_MALFORMED;
	if (!interim && http_response_body(&how, resp, span_str(x->method)) != 0)
		return -ERR_MALFORMED;
	x->keep = x->persists && how.kind != HTTP_BODY_CLOSE;
	b = buf_new_big(2 * head_len + 128);
	if (!b)
		return -ERR_NOMEM;
	w = wr_of(b->data, 2 * head_len + 128);
	err = http_response_rewrite(&w, resp,
				    interim ? HTTP_INTERIM : x->keep ? HTTP_KEEP : HTTP_CLOSE);
	if (err) {
		buf_free(b);
		return err;
	}
	b->len = (uint32_t)w.n;
	bufq_push(&x->out, b);
	if (interim)
		return 0;
	x->said = true;
	body_start(&x->reply, &how);
	x->state = x->reply.done ? ANSWER_DONE : ANSWER_BODY;
	return 0;
}

/* 0 or -ERR_*. */
static int digest_head(struct exchange *x)
{
	while (x->state == ANSWER_HEAD && !bufq_empty(&x->answer)) {
		struct http_response resp;
		struct span in = bufq_pullup(&x->answer, HTTP_HEAD_MAX);
		ssize_t n = http_response_decode(&resp, in, &x->seen);
		int err;

		if (n <= 0)
			return n < 0 ? (int)n : 0;
		err = pass_head(x, &resp, (size_t)n);
		if (err)
			return err;
		bufq_drop(&x->answer, (size_t)n);
		x->seen = 0;
	}
	return 0;
}

static int digest(struct exchange *x, struct bufq *from)
{
	ssize_t n;
	int err;

	if (x->state == ANSWER_HEAD) {
		bufq_move(&x->answer, from, from->len);
		err = digest_head(x);
		if (err || x->state == ANSWER_HEAD)
			return err;
		/* The body may have begun behind the head. */
		n = body_move(&x->reply, &x->out, &x->answer, x->answer.len);
		bufq_clear(&x->answer);
	} else {
		n = body_move(&x->reply, &x->out, from, from->len);
	}
	if (n < 0)
		return (int)n;
	if (x->state == ANSWER_BODY && x->reply.done)
		x->state = ANSWER_DONE;
	if (x->state == ANSWER_DONE)
		bufq_clear(from); /* bytes behind the answer belong to nobody */
	return 0;
}

/* ---- the stream of the flow ---- */

static ssize_t read_request(struct exchange *x, struct bufq *into, size_t max)
{
	ssize_t n;

	if (!bufq_empty(&x->head))
		return (ssize_t)bufq_move(into, &x->head, max);
	if (x->request.done)
		return 0;
	if (bufq_empty(&x->rest)) {
		n = stream_read(x->client, &x->rest, max);
		if (n < 0) {
			/* Half a request is none. */
			x->err = n == -ERR_EOF || n == -ERR_END ? -ERR_RESET : (int)n;
			return x->err;
		}
	}
	n = body_move(&x->request, into, &x->rest, max);
	if (n < 0)
		x->err = (int)n;
	return n;
}

static ssize_t exchange_read(struct stream *s, struct bufq *into, size_t max)
{
	struct exchange *x = of(s);
	ssize_t n;

	if (x->err)
		return x->err;
	if (x->state == ANSWER_BROKEN)
		return -ERR_MALFORMED;
	if (over(x))
		return -ERR_END;
	n = read_request(x, into, max);
	announce(x);
	return n;
}

static ssize_t exchange_write(struct stream *s, struct bufq *from)
{
	struct exchange *x = of(s);
	size_t n = from->len;
	int err;

	if (x->err)
		return x->err;
	if (x->state == ANSWER_BROKEN)
		return -ERR_MALFORMED;
	if (x->out.len >= OUT_BOUND)
		return 0;
	err = digest(x, from);
	if (err) {
		x->state = ANSWER_BROKEN;
		return err;
	}
	flush_out(x);
	announce(x);
	return (ssize_t)(n - from->len);
}

static void exchange_want(struct stream *s, unsigned events)
{
	s->wanted = events;
	announce(of(s));
}

/* The origin has finished. */
static void exchange_shutdown(struct stream *s)
{
	struct exchange *x = of(s);

	if (x->state == ANSWER_BODY && x->reply.how.kind == HTTP_BODY_CLOSE)
		x->state = ANSWER_DONE;
	else if (x->state != ANSWER_DONE)
		x->state = ANSWER_BROKEN;
	announce(x);
}

static void exchange_destroy(struct garbage *g)
{
	free(of(container_of(g, struct stream, garbage)));
}

/* The end of the client's connection. */
static void close_client(struct exchange *x)
{
	if (!x->said) {
		bufq_append(&x->out, http_answer_text(HTTP_UNAVAILABLE));
		x->state = ANSWER_DONE;
	}
	if (x->err || x->state != ANSWER_DONE)
		stream_close(x->client, -ERR_RESET); /* it must not take half for the whole */
	else
		drain_start(x->client, &x->out, true, DRAIN_GOODBYE_MS);
}

static void exchange_close(struct stream *s, int err)
{
	struct exchange *x = of(s);
	bool again = !x->err && x->state == ANSWER_DONE && x->keep && x->said && x->request.done &&
		     bufq_empty(&x->out) && err != -ERR_CLOSED;
	struct bufq rest = x->rest;

	bufq_init(&x->rest);
	if (again) {
		stream_want(x->client, 0);
		stream_attach(x->client, NULL);
	} else {
		close_client(x);
	}
	x->user->on_exchanged(x->user, s->loop, again ? x->client : NULL, &rest);
	bufq_clear(&rest);
	bufq_clear(&x->head);
	bufq_clear(&x->answer);
	bufq_clear(&x->out);
	stream_dispose(s, exchange_destroy);
}

static const char *exchange_why(struct stream *s)
{
	struct exchange *x = of(s);

	return x->state == ANSWER_BROKEN ? "the origin's answer is not HTTP" :
					   stream_why(x->client);
}

static const struct stream_ops exchange_ops = {
	.name = "HTTP exchange",
	.read = exchange_read,
	.write = exchange_write,
	.want = exchange_want,
	.shutdown = exchange_shutdown,
	.close = exchange_close,
	.why = exchange_why,
};

struct stream *exchange_new(struct stream *client, struct bufq *rest, struct exchange_head *head,
			    struct exchange_user *user)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (!x) {
		stream_close(client, -ERR_NOMEM);
		return NULL;
	}
	stream_init(&x->s, &exchange_ops, client->loop);
	x->on_client.on_event = on_client_event;
	x->client = client;
	x->user = user;
	x->persists = head->persists;
	memcpy(x->method, head->method, sizeof(x->method));
	body_start(&x->request, &head->body);
	bufq_push(&x->head, head->bytes);
	head->bytes = NULL;
	bufq_move(&x->rest, rest, rest->len);
	stream_attach(client, &x->on_client);
	return &x->s;
}

int exchange_head_init(struct exchange_head *out, const struct http_request *req,
		       const struct http_target *target)
{
	/* Method, target and fields, each with what the decoder found around them. */
	size_t room = 2 * (req->method.n + req->target.n + req->fields.n + 64) + 128;
	struct exchange_head h = {.persists = http_request_persists(req)};
	struct wr w;

	if (req->method.n > HTTP_METHOD_MAX || http_request_body(&h.body, req) != 0)
		return -ERR_MALFORMED;
	memcpy(h.method, req->method.p, req->method.n);
	h.bytes = buf_new_big(room);
	if (!h.bytes)
		return -ERR_NOMEM;
	w = wr_of(h.bytes->data, room);
	if (http_request_rewrite(&w, req, target) != 0) {
		buf_free(h.bytes);
		return -ERR_MALFORMED;
	}
	h.bytes->len = (uint32_t)w.n;
	*out = h;
	return 0;
}

void exchange_head_fini(struct exchange_head *h)
{
	buf_free(h->bytes);
	h->bytes = NULL;
}
