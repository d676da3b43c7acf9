/* Fields of Protocol Buffers messages: all types, groups, and everything Go refuses too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/protobuf.h"

static void every_type(void **state)
{
	/* 1: 300, 2: "ab", 3: fixed64, 4: fixed32, 5: group holding 1: 1 and an empty group 6 */
	struct span in =
		hex("08 ac02  12 02 6162  19 0102030405060708  25 01020304  2b 0801 33 34 2c");
	struct rd r = rd_of(in);
	struct protobuf_field f;

	(void)state;
	assert_int_equal(protobuf_read_field(&r, &f), 1);
	assert_int_equal(f.number, 1);
	assert_int_equal(f.type, PROTOBUF_VARINT);
	assert_int_equal(f.value, 300);
	assert_int_equal(protobuf_read_field(&r, &f), 1);
	assert_int_equal(f.number, 2);
	assert_true(span_eq(f.bytes, span_str("ab")));
	assert_int_equal(protobuf_read_field(&r, &f), 1);
	assert_int_equal(f.type, PROTOBUF_FIXED64);
	assert_int_equal(f.bytes.n, 8);
	assert_int_equal(protobuf_read_field(&r, &f), 1);
	assert_int_equal(f.type, PROTOBUF_FIXED32);
	assert_int_equal(f.bytes.n, 4);
	assert_int_equal(protobuf_read_field(&r, &f), 1);
	assert_int_equal(f.number, 5);
	assert_int_equal(f.type, PROTOBUF_GROUP);
	assert_int_equal(f.bytes.n, 4);
	assert_int_equal(protobuf_read_field(&r, &f), 0);
	free_hex(in);
}

/* Number of fields, or the error. */
static int count(const char *text)
{
	struct span in = hex(text);
	struct rd r = rd_of(in);
	struct protobuf_field f;
	int got, n = 0;

	while ((got = protobuf_read_field(&r, &f)) == 1)
		n++;
	if (got < 0)
		assert_int_equal(protobuf_read_field(&r, &f), -ERR_MALFORMED);
	free_hex(in);
	return got < 0 ? got : n;
}

static void refusals(void **state)
{
	static const char *const bad[] = {
		"80",		 /* tag ends early */
		"00 00",	 /* number 0 */
		"8080808010 00", /* number 2^29 */
		"0e",
		"0f",			     /* types 6 and 7 */
		"0c",			     /* end of a group that nobody opened */
		"08",			     /* no value */
		"08 ffffffffffffffffff02",   /* 65 bits */
		"08 8080808080808080808001", /* 11 bytes */
		"0a 03 6162",		     /* short bytes */
		"0a ffffffffffffffffff01",   /* length of 2^64-1 */
		"09 01020304050607",
		"0d 010203",
		"0b",
		"0b 08",
		"0b 14", /* open, cut, wrongly closed group */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(count(bad[i]), -ERR_MALFORMED);
	assert_int_equal(count(""), 0);
	assert_int_equal(count("08 ffffffffffffffffff01"), 1);
	assert_int_equal(count("f8ffffff0f 00"), 1); /* number 2^29-1 */
	assert_int_equal(count("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b 0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c"),
			 1);
	assert_int_equal(
		count("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b 0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c"),
		-ERR_MALFORMED);
}

static void writers(void **state)
{
	uint8_t b[64];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	protobuf_write_varint(&w, 1, 1);
	protobuf_write_varint(&w, 2, UINT64_MAX);
	protobuf_write_bytes(&w, 99, span_str("xyz"));
	assert_false(w.bad);
	assert_bytes(w, "0801 10ffffffffffffffffff01 9a06 03 78797a");
	w = wr_of(b, 3);
	protobuf_write_bytes(&w, 1, span_str("xyz"));
	assert_true(w.bad);
}

static void utf8(void **state)
{
	static const char *const good[] = {"",	     "61",	 "c3a4",     "e0a080",	"ed9fbf",
					   "efbfbf", "f0908080", "f48fbfbf", "6100c3a4"};
	static const char *const bad[] = {"80",	      "c0af",	  "c1bf",   "c3",     "c341",
					  "e09f80",   "eda080",	  "e0a0",   "e0a041", "f08f8080",
					  "f4908080", "f5808080", "f09080", "ff"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct span s = hex(good[i]);

		assert_true(protobuf_is_utf8(s));
		free_hex(s);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct span s = hex(bad[i]);

		assert_false(protobuf_is_utf8(s));
		free_hex(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type),
		cmocka_unit_test(refusals),
		cmocka_unit_test(writers),
		cmocka_unit_test(utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
