/* One GET over HTTP/2 and the frames around it; the bytes follow RFC 9113 and RFC 7541. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/h2.h"

static int both(struct wr *w, const char *host, const char *path, const struct h2_field *fields,
		size_t n)
{
	int err = h2_opening_encode(w);

	return err ? err : h2_get_encode(w, 1, host, path, fields, n);
}

static void request(void **state)
{
	static const struct h2_field fields[] = {{"a", "b"}, {"cookie", "c=1"}};
	uint8_t b[256];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	assert_int_equal(both(&w, "x.test", "/p", fields, 2), 0);
	assert_bytes(w, "505249202a20485454502f322e300d0a0d0a534d0d0a0d0a"
			"000018040000000000 000100010000 000200000000 000400600000 000600040000"
			"000004080000000000 00ef0001"
			"00001f 01 05 00000001 82 01 06 782e74657374 87 04 02 2f70"
			"00 01 61 01 62 00 06 636f6f6b6965 03 633d31");
	for (size_t cap = 0; cap < w.n; cap++) {
		struct wr small = wr_of(b, cap);

		assert_int_equal(both(&small, "x.test", "/p", fields, 2), -ERR_LIMIT);
	}
}

/* Lengths of 127 and more take several bytes. */
static void long_value(void **state)
{
	char value[301];
	struct h2_field f = {"c", value};
	uint8_t b[512];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	memset(value, 'v', 300);
	value[300] = 0;
	assert_int_equal(h2_get_encode(&w, 7, "x", "/", &f, 1), 0);
	assert_memory_equal(b + w.n - 303, "\x7f\xad\x01", 3); /* 127 + 173 */
}

/* Section 6.1: as much padding as there are bytes, and one more. */
static void padding(void **state)
{
	struct h2_frame f = {.type = H2_DATA, .payload = span_str("\2abcd")};
	struct span got;

	(void)state;
	assert_int_equal(h2_data_decode(&got, &f), 0);
	assert_int_equal(got.n, 5);
	f.flags = H2_PADDED;
	assert_int_equal(h2_data_decode(&got, &f), 0);
	assert_true(span_eq(got, span_str("ab")));
	f.payload = span_str("\4abcd");
	assert_int_equal(h2_data_decode(&got, &f), 0);
	assert_int_equal(got.n, 0);
	f.payload = span_str("\5abcd");
	assert_int_equal(h2_data_decode(&got, &f), -ERR_MALFORMED);
	f.payload = span_of(NULL, 0);
	assert_int_equal(h2_data_decode(&got, &f), -ERR_MALFORMED);
}

static void frames(void **state)
{
	struct span s = hex("000008 06 00 80000000 0102030405060708");
	uint8_t b[32];
	struct h2_frame f;
	struct wr w;

	(void)state;
	for (size_t n = 0; n < s.n; n++) {
		struct span part = exact(s, n);

		assert_int_equal(h2_frame_decode(&f, part), 0);
		free_hex(part);
	}
	assert_int_equal(h2_frame_decode(&f, s), s.n);
	assert_int_equal(f.type, H2_PING);
	assert_int_equal(f.stream, 0);
	w = wr_of(b, sizeof(b));
	assert_int_equal(h2_answer_encode(&w, &f), 0);
	assert_bytes(w, "000008 06 01 00000000 0102030405060708");
	f.flags = H2_ACK;
	w = wr_of(b, sizeof(b));
	assert_int_equal(h2_answer_encode(&w, &f), 0);
	assert_int_equal(w.n, 0);
	free_hex(s);
	s = hex("000000 04 00 00000000");
	assert_int_equal(h2_frame_decode(&f, s), 9);
	assert_int_equal(h2_answer_encode(&w, &f), 0);
	assert_bytes(w, "000000 04 01 00000000");
	free_hex(s);
	s = hex("004001");
	assert_int_equal(h2_frame_decode(&f, s), -ERR_LIMIT);
	free_hex(s);
}

static void statuses(void **state)
{
	static const struct {
		uint8_t flags;
		const char *payload;
		unsigned status;
	} t[] = {
		{0, "88", 200},
		{0, "8d", 404},
		{0, "8e", 500},
		{0, "20 88", 200},
		{0, "3fe11f 8c", 400},
		{0, "", 0},
		{0, "3f", 0},
		{0, "3fff", 0},
		{0, "87", 0},
		{0, "8f", 0},
		{0, "08 03 353033", 0},
		{H2_PRIORITY, "0000000010 88", 200},
		{H2_PRIORITY | H2_PADDED, "01 0000000010 88 00", 200},
		{H2_PRIORITY, "00000000", 0},
		{H2_PADDED, "02 88", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct span in = hex(t[i].payload);
		struct h2_frame f = {.type = H2_HEADERS, .flags = t[i].flags, .payload = in};

		assert_int_equal(h2_status_decode(&f), t[i].status);
		free_hex(in);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request),
		cmocka_unit_test(long_value),
		cmocka_unit_test(padding),
		cmocka_unit_test(frames),
		cmocka_unit_test(statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
