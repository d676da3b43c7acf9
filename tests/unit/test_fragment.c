/* Cutting the first bytes of a stream, over a socket pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "proxy/stream_fragment.h"
#include "turn.h"

struct room {
	struct loop *l;
	int peer;
	struct stream *s;
	struct stream_user user;
};

static void on_event(struct stream_user *u, struct stream *s, unsigned events)
{
	(void)u;
	(void)s;
	(void)events;
}

static void begin(struct room *r, const struct conf_fragment *conf)
{
	r->l = loop_new(0);
	r->user.on_event = on_event;
	r->s = stream_fragment_new(turn_pair(r->l, &r->peer), conf);
	stream_attach(r->s, &r->user);
}

static void finish(struct room *r)
{
	stream_close(r->s, -ERR_CLOSED);
	close(r->peer);
	loop_free(r->l);
	assert_int_equal(buf_live(), 0);
}

static ssize_t put(struct room *r, const void *p, size_t n)
{
	struct bufq q;
	ssize_t took;

	bufq_init(&q);
	assert_int_equal(bufq_append(&q, span_of(p, n)), 0);
	took = stream_write(r->s, &q);
	assert_int_equal(q.len, n - (size_t)took);
	bufq_clear(&q);
	return took;
}

/* A handshake record of 300 bytes and one byte behind it. */
static size_t hello(uint8_t *p)
{
	memset(p, 0, 306);
	p[0] = 22;
	p[1] = 3;
	p[2] = 1;
	p[3] = 300 >> 8;
	p[4] = 300 & 0xff;
	for (size_t i = 0; i < 300; i++)
		p[5 + i] = (uint8_t)i;
	p[305] = 0xaa;
	return 306;
}

/* Reads the pieces of the record back; returns how many there were. */
static unsigned check_records(struct room *r)
{
	uint8_t head[5], body[300];
	size_t got = 0;
	unsigned n = 0;

	while (got < 300) {
		size_t len;

		assert_int_equal(turn_read(r->l, r->peer, head, 5), 5);
		assert_memory_equal(head, "\x16\x03\x01", 3);
		len = (size_t)head[3] << 8 | head[4];
		assert_in_range(len, 1, 300 - got);
		assert_int_equal(turn_read(r->l, r->peer, body + got, len), len);
		got += len;
		n++;
	}
	for (size_t i = 0; i < 300; i++)
		assert_int_equal(body[i], (uint8_t)i);
	return n;
}

static void test_hello_in_one_write(void **state)
{
	const struct conf_fragment conf = {
		.kind = CONF_FRAGMENT_TLSHELLO, .length = {10, 20}, .max_split = {0, 0}};
	struct stream *below;
	uint8_t rec[306], tail;
	struct room r;

	(void)state;
	begin(&r, &conf);
	assert_ptr_equal(stream_unwrap(r.s), r.s);
	assert_int_equal(put(&r, rec, hello(rec)), 306);
	assert_in_range(check_records(&r), 15, 30);
	assert_int_equal(turn_read(r.l, r.peer, &tail, 1), 1);
	assert_int_equal(tail, 0xaa);
	below = stream_unwrap(r.s);
	assert_ptr_not_equal(below, r.s);
	r.s = below;
	finish(&r);
}

static void test_hello_with_pauses_and_a_bound(void **state)
{
	const struct conf_fragment conf = {.kind = CONF_FRAGMENT_TLSHELLO,
					   .length = {10, 10},
					   .interval_ms = {1, 2},
					   .max_split = {4, 4}};
	uint8_t rec[306], tail;
	struct room r;

	(void)state;
	begin(&r, &conf);
	assert_int_equal(put(&r, rec, hello(rec)), 306);
	assert_int_equal(put(&r, "x", 1), 0); /* one after the other */
	stream_shutdown(r.s);
	assert_int_equal(check_records(&r), 4);
	assert_int_equal(turn_read(r.l, r.peer, &tail, 1), 1);
	assert_true(turn_ends(r.l, r.peer));
	finish(&r);
}

static void test_other_first_bytes_pass(void **state)
{
	const struct conf_fragment conf = {.kind = CONF_FRAGMENT_TLSHELLO, .length = {1, 1}};
	uint8_t rec[306];
	char got[16] = "";
	struct room r;

	(void)state;
	begin(&r, &conf);
	assert_int_equal(put(&r, "GET / HTTP/1.1", 14), 14);
	assert_int_equal(turn_read(r.l, r.peer, got, 14), 14);
	assert_string_equal(got, "GET / HTTP/1.1");
	finish(&r);

	begin(&r, &conf); /* half a record is none */
	hello(rec);
	assert_int_equal(put(&r, rec, 100), 100);
	assert_int_equal(turn_read(r.l, r.peer, rec, 100), 100);
	assert_int_equal(rec[3] << 8 | rec[4], 300);
	finish(&r);
}

static void test_numbered_writes(void **state)
{
	const struct conf_fragment conf = {.kind = CONF_FRAGMENT_WRITES,
					   .first = 2,
					   .last = 2,
					   .length = {1, 3},
					   .interval_ms = {1, 1}};
	char got[32] = "";
	struct room r;

	(void)state;
	begin(&r, &conf);
	assert_int_equal(put(&r, "first", 5), 5);
	assert_int_equal(put(&r, "second", 6), 6);
	assert_int_equal(put(&r, "third", 5), 0);
	assert_int_equal(turn_read(r.l, r.peer, got, 11), 11);
	assert_string_equal(got, "firstsecond");
	turn_idle(r.l);
	assert_int_equal(put(&r, "third", 5), 5);
	assert_ptr_not_equal(r.s = stream_unwrap(r.s), NULL);
	assert_string_equal(r.s->ops->name, "tcp");
	finish(&r);
}

/* What was taken is delivered although the stream is closed in the middle. */
static void test_close_in_the_middle(void **state)
{
	const struct conf_fragment conf = {
		.kind = CONF_FRAGMENT_WRITES, .first = 1, .length = {1, 1}, .interval_ms = {5000, 5000}};
	char got[8] = "";
	struct room r;

	(void)state;
	begin(&r, &conf);
	assert_int_equal(put(&r, "slowly", 6), 6);
	stream_close(r.s, 0);
	r.s = NULL;
	assert_int_equal(turn_read(r.l, r.peer, got, 6), 6);
	assert_string_equal(got, "slowly");
	assert_true(turn_ends(r.l, r.peer));
	finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello_in_one_write),
		cmocka_unit_test(test_hello_with_pauses_and_a_bound),
		cmocka_unit_test(test_other_first_bytes_pass),
		cmocka_unit_test(test_numbered_writes),
		cmocka_unit_test(test_close_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
