/* The relay: both kinds of pairs (pipes in memory, sockets that are spliced), and the VLESS layer
 * that steps out from under it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/err.h"
#include "flow/relay.h"
#include "flow/splice.h"
#include "net/stream_pipe.h"
#include "proto/vless.h"
#include "proxy/vless_cap.h"
#include "proxy/vless_stream.h"
#include "turn.h"

enum { ROOM = 1 << 17, BULK = 3 << 20 };

struct rig {
	struct loop *l;
	struct relay relay;
	struct relay_user user;
	struct stream *a, *b; /* the far ends of two pipes, for the test's hands */
	bool ended, a_side;
	int err;
};

static void on_end(struct relay_user *u, struct relay *r, int err, bool a_side, const char *why)
{
	struct rig *g = container_of(u, struct rig, user);

	(void)r;
	(void)why;
	g->ended = true;
	g->err = err;
	g->a_side = a_side;
}

static const struct relay_limits patient = {60000, 60000, 60000, true, true};

static void rig_start(struct rig *g, const struct relay_limits *limits, const char *early)
{
	struct stream *x[2], *y[2];
	struct bufq q;

	memset(g, 0, sizeof(*g));
	bufq_init(&q);
	if (early)
		bufq_append(&q, span_str(early));
	g->l = loop_new(0);
	assert_int_equal(stream_pipe_new(g->l, ROOM, x), 0);
	assert_int_equal(stream_pipe_new(g->l, ROOM, y), 0);
	g->a = x[0];
	g->b = y[0];
	g->user.on_end = on_end;
	relay_start(&g->relay, x[1], y[1], &q, limits, &g->user);
}

static void rig_free(struct rig *g)
{
	if (!g->ended)
		relay_abort(&g->relay, -ERR_CLOSED);
	stream_close(g->a, 0);
	stream_close(g->b, 0);
	loop_free(g->l);
	buf_thread_exit();
	splice_thread_exit();
	assert_int_equal(buf_live(), 0);
}

static void put(struct stream *s, const char *text)
{
	struct bufq q;

	bufq_init(&q);
	bufq_append(&q, span_str(text));
	assert_int_equal(stream_write(s, &q), strlen(text));
}

/* Reads until @n bytes, an end or an error came; returns the latter or 0. */
static int get(struct rig *g, struct stream *s, struct bufq *q, size_t n)
{
	int err = 0;

	while (q->len < n && !err) {
		ssize_t got = stream_read(s, q, n - q->len);

		if (got < 0)
			err = (int)got;
		else if (got == 0)
			turn_idle(g->l);
	}
	return err;
}

static void expect(struct rig *g, struct stream *s, const char *text)
{
	struct bufq q;
	struct span got;

	bufq_init(&q);
	get(g, s, &q, strlen(text));
	got = bufq_pullup(&q, strlen(text));
	assert_int_equal(got.n, strlen(text));
	assert_memory_equal(got.p, text, got.n);
	bufq_clear(&q);
}

static int end_of(struct rig *g, struct stream *s)
{
	struct bufq q;
	int err;

	bufq_init(&q);
	err = get(g, s, &q, 1);
	assert_int_equal(q.len, 0);
	return err;
}

static bool greeted;

static bool half_once_greeted(struct stream *s)
{
	(void)s;
	return greeted;
}

/* Like a session of a mux whose far side has not greeted yet when the relay begins. */
static void half_close_is_learnt_late(void **state)
{
	struct stream_ops late;
	struct bufq q;
	struct rig g;

	(void)state;
	greeted = false;
	rig_start(&g, &patient, NULL);
	late = *g.relay.b->ops;
	late.can_half_close = half_once_greeted;
	g.relay.b->ops = &late;
	bufq_init(&q);
	put(g.a, "hello");
	turn_until(g.l, stream_read(g.b, &q, 100) > 0);
	bufq_clear(&q);
	turn_idle(g.l);
	greeted = true;
	stream_shutdown(g.a);
	turn_until(g.l, stream_read(g.b, &q, 100) == -ERR_EOF);
	assert_false(g.ended);
	rig_free(&g);
}

static void both_directions_and_half_close(void **state)
{
	struct rig g;

	(void)state;
	rig_start(&g, &patient, "early ");
	put(g.a, "question");
	expect(&g, g.b, "early question");
	stream_shutdown(g.a);
	assert_int_equal(end_of(&g, g.b), -ERR_EOF);
	assert_false(g.ended);
	put(g.b, "answer");
	expect(&g, g.a, "answer");
	stream_shutdown(g.b);
	turn_until(g.l, g.ended);
	assert_int_equal(g.err, 0);
	rig_free(&g);
}

static void slow_reader_stops_the_writer(void **state)
{
	static uint8_t block[BUF_READ];
	size_t sent = 0, got = 0;
	struct rig g;
	struct bufq q, in;

	(void)state;
	rig_start(&g, &patient, NULL);
	bufq_init(&q);
	bufq_init(&in);
	for (int idle = 0; idle < 20;) { /* nobody reads b: what is taken has a bound */
		ssize_t n;

		if (bufq_empty(&q))
			bufq_append(&q, span_of(block, sizeof(block)));
		n = stream_write(g.a, &q);
		assert_true(n >= 0);
		sent += (size_t)n;
		idle = n ? 0 : idle + 1;
		turn_idle(g.l);
	}
	assert_true(sent <= 2 * ROOM + STREAM_READ_MAX);
	bufq_clear(&q);
	stream_shutdown(g.a);
	while (get(&g, g.b, &in, sent - got) == 0 && got < sent) {
		got += in.len;
		bufq_clear(&in);
	}
	assert_int_equal(got, sent);
	bufq_clear(&in);
	rig_free(&g);
}

static void reset_reaches_the_other_side(void **state)
{
	struct rig g;

	(void)state;
	rig_start(&g, &patient, NULL);
	put(g.a, "x");
	expect(&g, g.b, "x");
	stream_close(g.a, -ERR_RESET);
	turn_until(g.l, g.ended);
	assert_int_equal(g.err, -ERR_RESET);
	assert_true(g.a_side);
	assert_int_equal(end_of(&g, g.b), -ERR_RESET);
	g.a = NULL;
	rig_free(&g);
}

/* Where the end cannot be told, silence is the end; where it can, it is not. */
static void quiet_after_an_end(void **state)
{
	static const struct relay_limits stock = {60000, 30, 30, true, false};
	struct rig g;

	(void)state;
	rig_start(&g, &stock, NULL);
	stream_shutdown(g.a);
	turn_until(g.l, g.ended);
	assert_int_equal(g.err, 0);
	rig_free(&g);
}

static void idle_flows_end(void **state)
{
	static const struct relay_limits hasty = {30, 30, 30, true, true};
	struct rig g;

	(void)state;
	rig_start(&g, &hasty, NULL);
	turn_until(g.l, g.ended);
	assert_int_equal(g.err, -ERR_TIMEOUT);
	rig_free(&g);
}

/* ---- sockets: spliced ---- */

static void sockets_are_spliced(void **state)
{
	struct rig g = {.user = {on_end}};
	uint8_t *sent = malloc(BULK), *got = malloc(BULK);
	size_t out = 0, in = 0;
	int a, b;

	(void)state;
	g.l = loop_new(0);
	for (size_t i = 0; i < BULK; i++)
		sent[i] = (uint8_t)(i * 7 + (i >> 12));
	struct stream *x = turn_pair(g.l, &a), *y = turn_pair(g.l, &b);

	relay_start(&g.relay, x, y, NULL, &patient, &g.user);
	while (in < BULK) {
		ssize_t n = out < BULK ? write(a, sent + out, BULK - out) : 0;

		if (n > 0)
			out += (size_t)n;
		if (out == BULK)
			shutdown(a, SHUT_WR);
		turn_idle(g.l);
		n = read(b, got + in, BULK - in);
		if (n > 0)
			in += (size_t)n;
	}
	assert_true(g.relay.up.splice && g.relay.down.splice);
	assert_memory_equal(sent, got, BULK);
	assert_true(turn_ends(g.l, b));
	assert_int_equal(write(b, "bye", 3), 3);
	close(b);
	assert_int_equal(turn_read(g.l, a, got, 3), 3);
	turn_until(g.l, g.ended);
	assert_int_equal(g.err, 0);
	close(a);
	loop_free(g.l);
	buf_thread_exit();
	splice_thread_exit();
	free(sent);
	free(got);
	assert_int_equal(buf_live(), 0);
}

/* ---- VLESS under the relay ---- */

static void vless_headers_then_nothing_between(void **state)
{
	static const char request[] = "REQUEST!";
	atomic_uint caps = 0;
	struct vless_side side = {.head = span_of(request, 8),
				  .client = true,
				  .half_close = true,
				  .server_caps = &caps};
	uint8_t answer[VLESS_RESPONSE_MAX];
	struct wr w = wr_of(answer, sizeof(answer));
	struct vless_cap cap = {.bits = VLESS_CAP_ALL};
	uint8_t addons[VLESS_CAP_ADDONS_MAX];
	struct wr aw = wr_of(addons, sizeof(addons));
	struct vless_response resp;
	struct stream *x[2], *y[2];
	struct rig g = {.user = {on_end}};
	struct bufq q;

	(void)state;
	bufq_init(&q);
	g.l = loop_new(0);
	stream_pipe_new(g.l, ROOM, x);
	stream_pipe_new(g.l, ROOM, y);
	g.a = x[0];
	g.b = y[0];
	relay_start(&g.relay, x[1], vless_stream_new(y[1], NULL, &side), NULL, &patient, &g.user);
	put(g.a, "hello");
	expect(&g, g.b, "REQUEST!hello");
	vless_cap_encode(&aw, &cap);
	resp.addons = span_of(addons, aw.n);
	vless_response_encode(&w, &resp);
	for (size_t i = 0; i < w.n; i++) { /* the response dribbles in, payload glued to its end */
		bufq_append(&q, span_of(answer + i, 1));
		if (i + 1 == w.n)
			bufq_append(&q, span_str("world"));
		stream_write(g.b, &q);
		turn_idle(g.l);
	}
	expect(&g, g.a, "world");
	assert_int_equal(atomic_load(&caps), VLESS_CAP_ALL);
	assert_ptr_equal(g.relay.b, y[1]); /* the layer has stepped out */
	put(g.a, "more");
	expect(&g, g.b, "more");
	rig_free(&g);
}

static void vless_header_alone_when_the_server_speaks_first(void **state)
{
	struct vless_side side = {.head = span_str("REQ"), .client = true,
				  .lonely_ms = VLESS_LONELY_MS};
	struct stream *x[2], *y[2];
	struct rig g = {.user = {on_end}};

	(void)state;
	g.l = loop_new(0);
	stream_pipe_new(g.l, ROOM, x);
	stream_pipe_new(g.l, ROOM, y);
	g.a = x[0];
	g.b = y[0];
	relay_start(&g.relay, x[1], vless_stream_new(y[1], NULL, &side), NULL, &patient, &g.user);
	expect(&g, g.b, "REQ");
	/* a server that closes without a word: the client sees an end, not a fault */
	stream_shutdown(g.b);
	assert_int_equal(end_of(&g, g.a), -ERR_EOF);
	rig_free(&g);
}

static void vless_answer_of_a_web_server(void **state)
{
	struct vless_side side = {.head = span_str("REQ"), .client = true,
				  .lonely_ms = VLESS_LONELY_MS};
	struct stream *x[2], *y[2];
	struct rig g = {.user = {on_end}};

	(void)state;
	g.l = loop_new(0);
	stream_pipe_new(g.l, ROOM, x);
	stream_pipe_new(g.l, ROOM, y);
	g.a = x[0];
	g.b = y[0];
	relay_start(&g.relay, x[1], vless_stream_new(y[1], NULL, &side), NULL, &patient, &g.user);
	put(g.b, "HTTP/1.1 400 Bad Request\r\n");
	turn_until(g.l, g.ended);
	assert_int_equal(g.err, -ERR_MALFORMED);
	assert_false(g.a_side);
	rig_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_directions_and_half_close),
		cmocka_unit_test(half_close_is_learnt_late),
		cmocka_unit_test(slow_reader_stops_the_writer),
		cmocka_unit_test(reset_reaches_the_other_side),
		cmocka_unit_test(quiet_after_an_end),
		cmocka_unit_test(idle_flows_end),
		cmocka_unit_test(sockets_are_spliced),
		cmocka_unit_test(vless_headers_then_nothing_between),
		cmocka_unit_test(vless_header_alone_when_the_server_speaks_first),
		cmocka_unit_test(vless_answer_of_a_web_server),
	};

	return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
