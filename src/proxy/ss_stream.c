#include "proxy/ss_stream.h"

#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "crypto/rand.h"
#include "proto/netaddr.h"

/* Sealed bytes that may wait for the stream below before write() takes no more. */
enum { TX_BOUND = STREAM_READ_MAX };

struct ss_stream {
	struct stream s;
	struct stream *below;
	struct stream_user on_below;
	const struct ss_method *method;
	struct ss_writer writer;
	struct ss_reader reader;
	struct bufq raw, plain; /* from the peer: sealed, opened */
	struct bufq tx;		/* sealed, not yet taken by @below */
	bool client, started, answered, fin;
	uint8_t salt[SS_SALT_MAX]; /* of our request; to be echoed */
	const struct ss_chain *keys;
	struct addr *target; /* client, until the request has left */
	struct ss2022_head *head; /* server of 2022, until the response has left */
	struct ssaead_user user;
	struct timer lonely;
	const char *why;
};

static struct ss_stream *of(struct stream *s)
{
	return container_of(s, struct ss_stream, s);
}

static uint64_t unix_now(void)
{
	return (uint64_t)time(NULL);
}

/* ---- sending ---- */

static int flush(struct ss_stream *x)
{
	ssize_t n = 0;

	if (!bufq_empty(&x->tx))
		n = stream_write(x->below, &x->tx);
	if (n < 0)
		return (int)n;
	if (bufq_empty(&x->tx) && x->fin) {
		x->fin = false;
		stream_shutdown(x->below);
	}
	return 0;
}

static void want_below(struct ss_stream *x)
{
	unsigned w = x->s.wanted & STREAM_READ;

	if (!bufq_empty(&x->tx) || (x->s.wanted & STREAM_WRITE))
		w |= STREAM_WRITE;
	stream_want(x->below, w);
}

static int request_2022(struct ss_stream *x, struct wr *w, struct span payload)
{
	struct ss2022_request req = {.target = *x->target, .payload = payload};
	uint32_t noise;

	rand_fill(&noise, sizeof(noise));
	req.padding = ss2022_padding(payload.n, noise);
	return ss2022_request_seal(w, &x->writer, x->keys, x->salt, &req, unix_now());
}

/* The header of our direction with @payload behind it, in one buf. The bytes of payload that it
 * carries, or -ERR_*. */
static ssize_t seal_head(struct ss_stream *x, struct span payload)
{
	size_t room = payload.n + SS2022_PADDING_MAX + NETADDR_MAX + 512;
	struct buf *b = buf_new_big(room);
	struct wr w;
	ssize_t n;

	if (!b)
		return -ERR_NOMEM;
	w = wr_of(b->data, room);
	if (rand_bytes(x->salt, x->method->key_len) != 0)
		n = -ERR_SYS;
	else if (x->method->kind == SS_CLASSIC)
		n = ssaead_start(&w, &x->writer, &x->user, x->salt, x->target, payload);
	else if (x->client)
		n = request_2022(x, &w, payload);
	else
		n = ss2022_response_seal(&w, &x->writer, x->method, x->head, x->salt, payload,
					 unix_now());
	if (n < 0) {
		buf_free(b);
		return n;
	}
	b->len = (uint32_t)w.n;
	bufq_push(&x->tx, b);
	return x->method->kind == SS_CLASSIC ? n : (ssize_t)payload.n;
}

/* 0 or -ERR_*: our direction begins, with the first payload in @from if there is any. */
static int start(struct ss_stream *x, struct bufq *from)
{
	static struct addr nobody;
	struct span first = span_of(NULL, 0);
	ssize_t n;

	if (x->started)
		return 0;
	timer_stop(&x->lonely);
	if (from && from->head)
		first = buf_span(from->head);
	if (!x->client)
		x->target = &nobody;
	n = seal_head(x, first);
	if (n < 0)
		return (int)n;
	if (from)
		bufq_drop(from, (size_t)n);
	x->started = true;
	if (x->client)
		free(x->target);
	x->target = NULL;
	free(x->head);
	x->head = NULL;
	return 0;
}

static ssize_t ss_write(struct stream *s, struct bufq *from)
{
	struct ss_stream *x = of(s);
	size_t before = from->len;
	int err = x->tx.len < TX_BOUND ? start(x, from) : 0;

	while (!err && !bufq_empty(from) && x->tx.len < TX_BOUND) {
		ssize_t n = ss_writer_push(&x->writer, from, &x->tx, TX_BOUND);

		err = n < 0 ? (int)n : flush(x);
	}
	if (!err)
		err = flush(x);
	if (err)
		return err;
	want_below(x);
	return (ssize_t)(before - from->len);
}

static void on_lonely(struct timer *t)
{
	struct ss_stream *x = container_of(t, struct ss_stream, lonely);

	if (start(x, NULL) == 0 && flush(x) == 0)
		want_below(x);
	else
		stream_deliver(&x->s, STREAM_READ | STREAM_WRITE);
}

static void ss_shutdown(struct stream *s)
{
	struct ss_stream *x = of(s);

	if (!x->started && (x->client || x->method->kind == SS_CLASSIC))
		start(x, NULL);
	x->fin = true;
	if (flush(x) == 0)
		want_below(x);
}

/* ---- receiving ---- */

/* The server's beginning. 1 done, 0 more needed, -ERR_*. */
static int read_answer(struct ss_stream *x)
{
	bool modern = x->method->kind == SS_2022;
	size_t need = modern ? ss2022_response_len(x->method) : x->method->key_len;
	struct span in;
	int64_t skew = 0;
	int err;

	if (x->raw.len < need)
		return 0;
	in = bufq_pullup(&x->raw, need);
	err = modern ? ss2022_response_open(&x->reader, x->keys, x->salt, span_of(in.p, need),
					    unix_now(), &skew) :
		       ss_reader_init(&x->reader, x->method, ss_chain_user(x->keys), in.p);
	if (err) {
		x->why = err == -ERR_CLOCK ? "clock skew: the server's time differs by more than 30 s" :
					     "the server's answer is not authentic: wrong key or method";
		return err;
	}
	bufq_drop(&x->raw, need);
	x->answered = true;
	return 1;
}

/* Something can be opened without another byte from below. */
static bool has_item(const struct ss_stream *x)
{
	return x->answered && x->raw.len >= ss_reader_need(&x->reader);
}

static ssize_t ss_read(struct stream *s, struct bufq *into, size_t max)
{
	struct ss_stream *x = of(s);
	ssize_t end = 0, n;

	if (!bufq_empty(&x->plain)) {
		n = (ssize_t)bufq_move(into, &x->plain, max);
		stream_notify(s, STREAM_READ);
		return n;
	}
	if (x->raw.len < STREAM_READ_MAX)
		end = stream_read(x->below, &x->raw, STREAM_READ_FRAMED);
	if (!x->answered) {
		int got = read_answer(x);

		if (got <= 0)
			return got < 0 ? got : end < 0 ? end : 0;
	}
	n = ss_reader_pull(&x->reader, &x->raw, into, max);
	if (n > 0) {
		if (has_item(x) || end < 0)
			stream_notify(s, STREAM_READ);
		return n;
	}
	if (n < 0) {
		x->why = "a chunk is not authentic";
		return n;
	}
	if (end == -ERR_EOF && (!bufq_empty(&x->raw) || !ss_reader_may_end(&x->reader)))
		return -ERR_RESET;
	return end < 0 ? end : 0;
}

static void on_below(struct stream_user *u, struct stream *st, unsigned events)
{
	struct ss_stream *x = container_of(u, struct ss_stream, on_below);

	(void)st;
	if ((events & STREAM_WRITE) && !bufq_empty(&x->tx)) {
		if (flush(x) != 0)
			events |= STREAM_READ;
		else if (!bufq_empty(&x->tx))
			events &= ~(unsigned)STREAM_WRITE;
		want_below(x);
	}
	stream_deliver(&x->s, events);
}

static void ss_want(struct stream *s, unsigned events)
{
	struct ss_stream *x = of(s);

	s->wanted = events;
	want_below(x);
	if (!bufq_empty(&x->plain) || has_item(x))
		stream_notify(s, STREAM_READ);
}

/* ---- life ---- */

static void ss_destroy(struct garbage *g)
{
	free(container_of(container_of(g, struct stream, garbage), struct ss_stream, s));
}

static void ss_close(struct stream *s, int err)
{
	struct ss_stream *x = of(s);

	if (err == 0)
		flush(x);
	timer_stop(&x->lonely);
	stream_close(x->below, err);
	ss_writer_fini(&x->writer);
	ss_reader_fini(&x->reader);
	bufq_clear(&x->raw);
	bufq_clear(&x->plain);
	bufq_clear(&x->tx);
	if (x->client)
		free(x->target);
	free(x->head);
	ss_key_wipe(&x->user.key);
	stream_dispose(s, ss_destroy);
}

static int ss_move(struct stream *s, struct loop *to)
{
	struct ss_stream *x = of(s);
	int err = timer_on(&x->lonely) ? -ERR_UNSUPPORTED : stream_move(x->below, to);

	if (err)
		return err;
	x->lonely.loop = to;
	stream_rehome(s, to);
	return 0;
}

static const char *ss_why(struct stream *s)
{
	struct ss_stream *x = of(s);

	return x->why ? x->why : stream_why(x->below);
}

static const struct stream_ops ss_ops = {
	.name = "shadowsocks",
	.read = ss_read,
	.write = ss_write,
	.want = ss_want,
	.shutdown = ss_shutdown,
	.close = ss_close,
	.move = ss_move,
	.why = ss_why,
};

static struct ss_stream *make(struct stream *below, const struct ss_method *m)
{
	struct ss_stream *x = calloc(1, sizeof(*x));

	if (!x) {
		stream_close(below, -ERR_NOMEM);
		return NULL;
	}
	stream_init(&x->s, &ss_ops, below->loop);
	x->below = below;
	x->method = m;
	x->on_below.on_event = on_below;
	stream_attach(below, &x->on_below);
	timer_init(&x->lonely, below->loop, on_lonely);
	return x;
}

struct stream *ss_stream_client(struct stream *below, const struct ss_chain *keys,
				const struct addr *target, bool send_now)
{
	struct ss_stream *x = make(below, keys->method);

	if (!x)
		return NULL;
	x->client = true;
	x->keys = keys;
	x->user = (struct ssaead_user){keys->method, *ss_chain_user(keys)};
	x->target = malloc(sizeof(*target));
	if (!x->target) {
		ss_close(&x->s, -ERR_NOMEM);
		return NULL;
	}
	*x->target = *target;
	timer_start(&x->lonely, send_now ? 1 : SS_LONELY_MS);
	return &x->s;
}

struct stream *ss_stream_server(struct stream *below, struct ss_served *sv, struct bufq *plain,
				struct bufq *raw)
{
	struct ss_stream *x = make(below, sv->method);

	if (x && sv->method->kind == SS_2022) {
		x->head = malloc(sizeof(*x->head));
		if (!x->head) {
			ss_close(&x->s, -ERR_NOMEM);
			x = NULL;
		} else {
			*x->head = sv->head;
		}
	}
	if (!x) {
		ss_reader_fini(&sv->reader);
		return NULL;
	}
	x->answered = true;
	x->user = sv->user;
	x->reader = sv->reader;
	bufq_move(&x->plain, plain, plain->len);
	bufq_move(&x->raw, raw, raw->len);
	return &x->s;
}
