/*
 * Vision's blocks: what is read however it arrives, what a writer decides for the
 * traffic that stock software was watched with, the lengths of padding, and what
 * the filter takes for TLS 1.3.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "crypto/rand.h"
#include "proto/vision.h"

#define ID "66ad4540b58c4ad29926ea63445a9b57"

static const uint32_t default_seed[4] = {900, 500, 900, 256};

static struct uuid test_id(void)
{
	struct uuid id;

	assert_int_equal(uuid_parse(&id, span_str(ID)), 0);
	return id;
}

/* ---- reading ---- */

/* Shows @wire in pieces of @step bytes, keeping what was not consumed. The content, in @out;
 * returns its length or -ERR_*. */
static ssize_t read_in_steps(struct vision_rx *r, struct span wire, size_t step, uint8_t *out)
{
	size_t from = 0, to = 0, got = 0;

	while (to < wire.n) {
		to += step < wire.n - to ? step : wire.n - to;
		while (from < to) {
			struct span in = exact(span_of(wire.p + from, to - from), to - from);
			bool content;
			ssize_t n = vision_rx_step(r, in, &content);

			free_hex(in);
			if (n < 0)
				return n;
			if (n == 0) {
				assert_true(to - from < VISION_FIRST_LEN);
				break;
			}
			if (content) {
				memcpy(out + got, wire.p + from, (size_t)n);
				got += (size_t)n;
			}
			from += (size_t)n;
		}
	}
	return (ssize_t)got;
}

static const struct reading {
	const char *wire, *content;
	enum vision_rx_state state;
} readings[] = {
	{ID "00 0005 0003 68656c6c6f 000000" "01 0005 0000 776f726c64", "68656c6c6f776f726c64",
	 VISION_RX_PLAIN},
	{ID "01 0000 0000 6162", "6162", VISION_RX_PLAIN},
	{ID "00 0000 0000 00 0000 0002 ffff 00 0001 0001 61 ee", "61", VISION_RX_HEADER},
	{ID "02 0003 0004 616263 99999999 646566", "616263646566", VISION_RX_RAW},
	{ID "02 0000 0000 64", "64", VISION_RX_RAW},
	{ID "00 0002 0000 6161" ID "01", NULL, 0}, /* the id counts once: 0x66 is no command */
	{"17030300050102030405", "17030300050102030405", VISION_RX_PLAIN},
	{"66ad4540b58c4ad29926ea63445a9b58 00", "66ad4540b58c4ad29926ea63445a9b58 00",
	 VISION_RX_PLAIN},
	{ID "03 0000 0000", NULL, 0},
	{ID "00 0003 0001 616263 00 ff", NULL, 0},
	{ID "01 0003 0002 616263 0000" ID "00", "616263" ID "00", VISION_RX_PLAIN},
};

static void blocks_at_every_split(void **state)
{
	struct uuid id = test_id();

	(void)state;
	for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
		const struct reading *t = &readings[i];
		struct span wire = hex(t->wire), want = hex(t->content ? t->content : "");
		uint8_t out[256];

		for (size_t step = 1; step <= wire.n; step++) {
			struct vision_rx r;
			ssize_t n;

			vision_rx_init(&r, &id);
			n = read_in_steps(&r, wire, step, out);
			if (!t->content) {
				assert_int_equal(n, -ERR_MALFORMED);
				continue;
			}
			assert_int_equal(r.state, t->state);
			assert_int_equal(n, want.n);
			assert_memory_equal(out, want.p, want.n);
		}
		free_hex(wire);
		free_hex(want);
	}
}

static void truncated_anywhere(void **state)
{
	struct uuid id = test_id();
	struct span wire = hex(readings[0].wire);
	uint8_t out[256];

	(void)state;
	for (size_t n = 0; n < wire.n; n++) {
		struct vision_rx r;

		vision_rx_init(&r, &id);
		assert_true(read_in_steps(&r, span_of(wire.p, n), n ? n : 1, out) <= 10);
		/* Only the header of the last block ends the blocks. */
		assert_true(!vision_rx_done(&r));
	}
	free_hex(wire);
}

static void the_largest_block(void **state)
{
	enum { MOST = 65535 };
	struct uuid id = test_id();
	size_t len = VISION_FIRST_LEN + 2 * MOST + 4;
	uint8_t *wire = malloc(len), *out = malloc(len);
	struct vision_rx r;

	(void)state;
	rand_fill(wire, len);
	memcpy(wire, id.b, UUID_LEN);
	memcpy(wire + UUID_LEN, "\1\xff\xff\xff\xff", VISION_HEAD_LEN);
	for (size_t step = 1000; step <= len; step *= 7) {
		vision_rx_init(&r, &id);
		assert_int_equal(read_in_steps(&r, span_of(wire, len), step, out), MOST + 4);
		assert_memory_equal(out, wire + VISION_FIRST_LEN, MOST);
		assert_memory_equal(out + MOST, wire + len - 4, 4);
		assert_int_equal(r.state, VISION_RX_PLAIN);
	}
	free(wire);
	free(out);
}

/* ---- writing ---- */

/* Both directions of one node. */
struct node {
	struct vision_filter filter;
	struct vision_tx tx;
	struct vision_plan plan;
};

static void node_init(struct node *d)
{
	memset(d, 0, sizeof(*d));
	vision_filter_init(&d->filter);
}

static void draw(uint32_t draws[VISION_BLOCKS_MAX])
{
	rand_fill(draws, VISION_BLOCKS_MAX * sizeof(draws[0]));
}

/* One write; checks what every plan keeps. */
static void node_write(struct node *d, struct span s)
{
	uint32_t draws[VISION_BLOCKS_MAX];
	size_t sum = 0;

	draw(draws);
	vision_filter_see(&d->filter, s);
	vision_plan_write(&d->plan, &d->tx, &d->filter, &s, 1, default_seed, draws);
	for (size_t i = 0; i < d->plan.n; i++) {
		const struct vision_block *b = &d->plan.block[i];

		assert_true(VISION_FIRST_LEN + b->content + b->padding <= VISION_BLOCK_MAX);
		if (i + 1 < d->plan.n)
			assert_int_equal(b->command, VISION_CONTINUE);
		sum += b->content;
	}
	assert_int_equal(sum, d->plan.taken);
	assert_true(d->plan.taken <= s.n);
	if (d->tx.state == VISION_TX_PADDING)
		assert_int_equal(d->plan.taken, s.n);
}

static void assert_block(const struct node *d, size_t i, unsigned command, size_t content)
{
	assert_true(i < d->plan.n);
	assert_int_equal(d->plan.block[i].command, command);
	assert_int_equal(d->plan.block[i].content, content);
}

static void assert_long(const struct node *d, size_t i, bool is_long)
{
	const struct vision_block *b = &d->plan.block[i];

	if (is_long)
		assert_in_range(b->content + b->padding, 900, 1399);
	else
		assert_in_range(b->padding, 0, 255);
}

/* A record of TLS at @at; returns its whole length. */
static size_t put_record(uint8_t *at, unsigned type, size_t len)
{
	memset(at, 0xa5, len + 5);
	at[0] = (uint8_t)type;
	at[1] = at[2] = 3;
	at[3] = (uint8_t)(len >> 8);
	at[4] = (uint8_t)len;
	return len + 5;
}

/* A ServerHello of 127 bytes in all. @suite 0x1301...; @tls13: with supported_versions. */
static size_t put_server_hello(uint8_t *at, unsigned suite, bool tls13)
{
	enum { SID_AT = 43, EXT_AT = 84 };
	static const uint8_t versions[] = {0, 0x2b, 0, 2, 3, 4};
	size_t n = put_record(at, 22, 122);

	at[5] = 2;
	at[SID_AT] = 32;
	at[SID_AT + 33] = (uint8_t)(suite >> 8);
	at[SID_AT + 34] = (uint8_t)suite;
	if (tls13)
		memcpy(at + EXT_AT, versions, sizeof(versions));
	return n;
}

static size_t put_client_hello(uint8_t *at)
{
	size_t n = put_record(at, 22, 512);

	at[2] = 1;
	at[5] = 1;
	return n;
}

/* A client's node that has seen both hellos, its own in a write. */
static void greet(struct node *d, unsigned suite, bool tls13)
{
	uint8_t b[1024];

	node_init(d);
	node_write(d, span_of(b, put_client_hello(b)));
	assert_int_equal(d->plan.n, 1);
	assert_block(d, 0, VISION_CONTINUE, 517);
	assert_long(d, 0, true);
	vision_filter_see(&d->filter, span_of(b, put_server_hello(b, suite, tls13)));
}

static void plain_traffic_ends_with_the_seventh(void **state)
{
	struct node d;

	(void)state;
	node_init(&d);
	for (int i = 1; i <= 7; i++) {
		node_write(&d, span_str("GET / HTTP/1.1\r\n"));
		assert_int_equal(d.plan.n, 1);
		assert_block(&d, 0, i < 7 ? VISION_CONTINUE : VISION_END, 16);
		assert_long(&d, 0, false);
	}
	assert_int_equal(d.tx.state, VISION_TX_PLAIN);
}

static void a_ping_pong_ends_with_the_fourth(void **state)
{
	struct node d;

	(void)state;
	node_init(&d);
	for (int i = 1; i <= 4; i++) {
		node_write(&d, span_str("ping"));
		assert_block(&d, 0, i < 4 ? VISION_CONTINUE : VISION_END, 4);
		vision_filter_see(&d.filter, span_str("pong"));
	}
}

static void a_long_write_of_plain_bytes(void **state)
{
	static uint8_t b[65536];
	struct node d;

	(void)state;
	node_init(&d);
	node_write(&d, span_of(b, sizeof(b))); /* eight pieces at once */
	assert_block(&d, 0, VISION_END, 4096);
	assert_int_equal(d.plan.n, 1);
	assert_int_equal(d.tx.state, VISION_TX_PLAIN);
}

static void tls13_goes_direct(void **state)
{
	uint8_t b[2048];
	struct node d;
	size_t n;

	(void)state;
	greet(&d, 0x1301, true);
	n = put_record(b, 20, 1);
	n += put_record(b + n, 23, 53);
	node_write(&d, span_of(b, n)); /* CCS and Finished */
	assert_block(&d, 0, VISION_CONTINUE, n);
	assert_long(&d, 0, true);
	node_write(&d, span_of(b, put_record(b, 23, 80)));
	assert_int_equal(d.plan.n, 1);
	assert_block(&d, 0, VISION_DIRECT, 85);
	assert_long(&d, 0, true);
	assert_int_equal(d.tx.state, VISION_TX_RAW);
}

static void two_records_in_one_write(void **state)
{
	uint8_t b[12000];
	struct node d;

	(void)state;
	greet(&d, 0x1303, true);
	put_record(b, 23, 7000);
	put_record(b + 7005, 23, 12000 - 7005 - 5);
	node_write(&d, span_of(b, sizeof(b)));
	assert_int_equal(d.plan.n, 3);
	assert_block(&d, 0, VISION_CONTINUE, 7005);
	assert_block(&d, 1, VISION_CONTINUE, 1187);
	assert_block(&d, 2, VISION_DIRECT, 3808);
}

static void one_large_record(void **state)
{
	uint8_t b[16401];
	struct node d;

	(void)state;
	greet(&d, 0x1302, true);
	node_write(&d, span_of(b, put_record(b, 23, 16396)));
	assert_int_equal(d.plan.n, 5);
	for (size_t i = 0; i < 4; i++)
		assert_block(&d, i, VISION_CONTINUE, 4096);
	assert_block(&d, 4, VISION_DIRECT, 17);
}

static void a_part_of_a_record(void **state)
{
	uint8_t b[8000];
	struct node d;
	size_t n;

	(void)state;
	greet(&d, 0x1301, true);
	put_record(b, 23, 7000);
	node_write(&d, span_of(b, 3000));
	assert_block(&d, 0, VISION_CONTINUE, 3000);
	node_write(&d, span_of(b + 3000, 4005));
	assert_block(&d, 0, VISION_CONTINUE, 4005);
	n = put_record(b, 23, 7);
	node_write(&d, span_of(b, n));
	assert_block(&d, 0, VISION_DIRECT, n);
}

/* No write of a fast download begins and ends with a record: the switch comes where one ends,
 * also when the direction did not begin with TLS. */
static void bulk_that_is_never_in_step(void **state)
{
	enum { RECORD = 16401, WRITE = 10000, LEN = 5 * RECORD };
	uint8_t *b = malloc(LEN);

	(void)state;
	for (size_t i = 0; i < LEN; i += RECORD)
		put_record(b + i, 23, RECORD - 5);
	for (int late = 0; late < 2; late++) {
		uint8_t hello[1024];
		struct node d;
		size_t at = 0;

		node_init(&d);
		if (late)
			node_write(&d, span_str("CONNECT a.test:443 HTTP/1.1\r\n\r\n"));
		node_write(&d, span_of(hello, put_client_hello(hello)));
		vision_filter_see(&d.filter,
				  span_of(hello, put_server_hello(hello, 0x1301, true)));
		while (d.tx.state == VISION_TX_PADDING) {
			assert_true(at + WRITE <= LEN);
			node_write(&d, span_of(b + at, WRITE));
			at += d.plan.taken;
		}
		assert_int_equal(d.tx.state, VISION_TX_RAW);
		assert_int_equal(at % RECORD, 0);
		assert_in_range(at, VISION_BULK, 4 * RECORD);
	}
	free(b);
}

static void tls12_and_odd_suites_end(void **state)
{
	static const struct {
		unsigned suite;
		bool tls13;
		unsigned command;
	} t[] = {
		{0x1301, true, VISION_DIRECT}, {0x1302, true, VISION_DIRECT},
		{0x1303, true, VISION_DIRECT}, {0x1304, true, VISION_DIRECT},
		{0x1305, true, VISION_END},    {0xc02f, false, VISION_END},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint8_t b[64];
		struct node d;

		greet(&d, t[i].suite, t[i].tls13);
		assert_int_equal(d.filter.left, 0);
		node_write(&d, span_of(b, put_record(b, 23, 40)));
		assert_block(&d, 0, t[i].command, 45);
	}
}

static void a_hello_in_two_reads(void **state)
{
	static const size_t cuts[] = {60, 80};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint8_t b[256];
		struct vision_filter f;
		size_t n = put_server_hello(b, 0x1301, true);

		vision_filter_init(&f);
		vision_filter_see(&f, span_of(b, cuts[i]));
		assert_true(f.tls && f.tls12plus);
		assert_int_equal(f.suite, i ? 0x1301 : 0);
		vision_filter_see(&f, span_of(b + cuts[i], n - cuts[i]));
		assert_int_equal(f.left, 0);
		assert_int_equal(f.direct, i == 1); /* else the suite is not known */
	}
}

static void what_is_not_tls(void **state)
{
	static const struct span t[] = {
		{(const uint8_t *)"GET / HTTP/1.1\r\n", 16},
		{(const uint8_t *)"SSH-2.0-x\r\n", 11},
		{(const uint8_t *)"\x16\2\1\0\5\1", 6},
		{(const uint8_t *)"\x17\3\3\0\1\1", 6},
		{(const uint8_t *)"\x16\3\1\0\5", 5},
	};
	struct vision_filter f;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct node d;

		vision_filter_init(&f);
		vision_filter_see(&f, t[i]);
		assert_false(f.tls || f.tls12plus || f.direct);
		assert_int_equal(f.left, 7);
		node_init(&d);
		node_write(&d, t[i]);
	}
	vision_filter_init(&f);
	vision_filter_see(&f, span_of(NULL, 0)); /* nothing does not count */
	assert_int_equal(f.left, 8);
	for (int i = 0; i < 10; i++)
		vision_filter_see(&f, span_str("x"));
	assert_int_equal(f.left, 0);
}

static void a_large_read_counts_by_pieces(void **state)
{
	static uint8_t b[20000];
	struct vision_filter f;

	(void)state;
	vision_filter_init(&f);
	vision_filter_see(&f, span_of(b, sizeof(b)));
	assert_int_equal(f.left, 5);
}

static void frames_of_a_mux_end_soon(void **state)
{
	uint8_t b[1024];
	struct node d;
	size_t n = put_client_hello(b);
	int writes = 0;

	(void)state;
	node_init(&d);
	vision_filter_see(&d.filter, span_of(b, put_server_hello(b, 0x1301, true)));
	vision_filter_blind(&d.filter);
	n = put_client_hello(b);
	while (d.tx.state == VISION_TX_PADDING && writes < 20) {
		node_write(&d, span_of(b, n));
		writes++;
	}
	assert_int_equal(d.tx.state, VISION_TX_PLAIN);
	assert_in_range(writes, 1, 8);
}

static void many_small_buffers(void **state)
{
	struct span s[VISION_SPANS_MAX];
	uint32_t draws[VISION_BLOCKS_MAX];
	struct node d;

	(void)state;
	node_init(&d);
	draw(draws);
	for (size_t i = 0; i < VISION_SPANS_MAX; i++)
		s[i] = span_str("x");
	for (size_t i = 0; i < VISION_SPANS_MAX; i++)
		vision_filter_see(&d.filter, s[i]);
	vision_plan_write(&d.plan, &d.tx, &d.filter, s, VISION_SPANS_MAX, default_seed, draws);
	assert_int_equal(d.plan.n, 1);
	assert_int_equal(d.plan.taken, 1); /* the rest is no business of blocks any more */
	assert_block(&d, 0, VISION_END, 1);
}

static void lengths_of_padding(void **state)
{
	static const uint32_t odd[][4] = {{0, 0, 0, 0}, {65535, 0, 0, 0}, {65535, 65535, 65535, 65535},
					  {900, 1, 10, 1}};

	(void)state;
	for (size_t c = 0; c <= VISION_CONTENT_MAX; c += c < 1000 ? 1 : 113)
		for (int i = 0; i < 50; i++) {
			size_t p = vision_padding(default_seed, c, true, rand_below(UINT32_MAX));

			if (c < 900)
				assert_in_range(c + p, 900, 1399);
			else
				assert_in_range(p, 0, 255);
			assert_true(VISION_FIRST_LEN + c + p <= VISION_BLOCK_MAX);
			assert_in_range(vision_padding(default_seed, c, false, (uint32_t)i * 77), 0,
					255);
		}
	for (size_t k = 0; k < 4; k++)
		for (size_t c = 0; c <= VISION_CONTENT_MAX; c += 37)
			assert_true(VISION_FIRST_LEN + c +
					    vision_padding(odd[k], c, c & 1, (uint32_t)c * 12345) <=
				    VISION_BLOCK_MAX);
	assert_int_equal(vision_padding(odd[3], 500, true, 7), 0); /* never below nothing */
}

static void heads(void **state)
{
	struct uuid id = test_id();
	struct vision_block b = {.content = 0x0205, .padding = 0x02b7, .command = VISION_CONTINUE};
	struct vision_tx t = {0};
	uint8_t out[VISION_FIRST_LEN];

	(void)state;
	for (size_t n = 0; n < VISION_FIRST_LEN; n++) {
		struct wr w = wr_of(out, n);

		assert_int_equal(vision_head_encode(&w, &t, &id, &b), -ERR_LIMIT);
		assert_false(t.begun);
	}
	for (int i = 0; i < 2; i++) {
		struct wr w = wr_of(out, sizeof(out));

		assert_int_equal(vision_head_encode(&w, &t, &id, &b), 0);
		assert_bytes(w, i ? "00 0205 02b7" : ID "00 0205 02b7");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_at_every_split),
		cmocka_unit_test(truncated_anywhere),
		cmocka_unit_test(the_largest_block),
		cmocka_unit_test(plain_traffic_ends_with_the_seventh),
		cmocka_unit_test(a_ping_pong_ends_with_the_fourth),
		cmocka_unit_test(a_long_write_of_plain_bytes),
		cmocka_unit_test(tls13_goes_direct),
		cmocka_unit_test(two_records_in_one_write),
		cmocka_unit_test(one_large_record),
		cmocka_unit_test(a_part_of_a_record),
		cmocka_unit_test(bulk_that_is_never_in_step),
		cmocka_unit_test(tls12_and_odd_suites_end),
		cmocka_unit_test(a_hello_in_two_reads),
		cmocka_unit_test(what_is_not_tls),
		cmocka_unit_test(a_large_read_counts_by_pieces),
		cmocka_unit_test(frames_of_a_mux_end_soon),
		cmocka_unit_test(many_small_buffers),
		cmocka_unit_test(lengths_of_padding),
		cmocka_unit_test(heads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
