/* Our records in Keep frames: vectors, truncation, records of the future, other people's bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/muxcool.h"
#include "proto/muxext.h"

static int decode(struct muxext *e, const char *wire)
{
	struct span in = hex(wire);
	struct muxcool_frame f;
	int ret;

	assert_int_equal(muxcool_frame_decode(&f, in, MUXCOOL_PLAIN), in.n);
	ret = muxext_decode(e, &f);
	free_hex(in);
	return ret;
}

static void every_record(void **state)
{
	static const char wire[] = "001d 0102 02 00 47 01 01 08 00000005 00040000 02 04 00010000"
				   "03 00 04 00 05 01 03";
	const struct muxext all = {
		.has = MUXEXT_HELLO | MUXEXT_WINDOW | MUXEXT_FIN | MUXEXT_OPENED |
		       MUXEXT_REFUSED,
		.capabilities = 5,
		.window = 0x40000,
		.credit = 0x10000,
		.refusal = MUXEXT_TIMEOUT,
	};
	struct muxext e;
	uint8_t b[MUXEXT_FRAME_MAX];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	assert_int_equal(muxext_encode(&w, 0x0102, &all), 0);
	assert_bytes(w, wire);
	assert_int_equal(decode(&e, wire), 0);
	assert_int_equal(e.has, all.has);
	assert_int_equal(e.capabilities, 5);
	assert_int_equal(e.window, 0x40000);
	assert_int_equal(e.credit, 0x10000);
	assert_int_equal(e.refusal, MUXEXT_TIMEOUT);
	for (size_t n = 0, whole = w.n; n < whole; n++) {
		w = wr_of(b, n);
		assert_int_equal(muxext_encode(&w, 1, &all), -ERR_LIMIT);
	}
}

static void bounces(void **state)
{
	static const char v4[] = "0010 0000 02 00 47 01 08 08 01 0035 01 c0000207";
	static const char v6[] = "001c 0009 02 00 47 01 08 14 04 0050 03 "
				 "20010db8000000000000000000000001";
	struct muxext e, x = {.has = MUXEXT_BOUNCED, .bounce = MUXEXT_BY_TARGET};
	uint8_t b[MUXEXT_FRAME_MAX];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	x.bounced.port = 53;
	ip_parse(&x.bounced.ip, span_str("192.0.2.7"));
	assert_int_equal(muxext_encode(&w, 0, &x), 0);
	assert_bytes(w, v4);
	assert_int_equal(decode(&e, v4), 0);
	assert_int_equal(e.has, MUXEXT_BOUNCED);
	assert_int_equal(e.bounce, MUXEXT_BY_TARGET);
	assert_true(ipport_eq(&e.bounced, &x.bounced));
	assert_int_equal(decode(&e, v6), 0);
	assert_int_equal(e.bounce, MUXEXT_BLOCKED);
	assert_int_equal(e.bounced.ip.family, 6);
	/* A name means nothing; what is cut, or no address, is nothing of ours. */
	assert_int_equal(decode(&e, "000e 0009 02 00 47 01 08 06 01 0050 02 01 61"), 0);
	assert_int_equal(e.has, 0);
	for (unsigned n = 0; n < 8; n++) {
		char cut[64];
		int at = snprintf(cut, sizeof(cut), "%04x 0009 02 00 47 01 08 %02x", 8 + n, n);

		snprintf(cut + at, sizeof(cut) - (size_t)at, "%.*s", (int)(2 * n), "01003501c00002");
		assert_int_equal(decode(&e, cut), -ERR_MALFORMED);
	}
}

static void traces(void **state)
{
	uint8_t b[MUXEXT_FRAME_MAX], text[MUXEXT_LINE_MAX + 1];
	struct muxext e, x = {.has = MUXEXT_TRACE | MUXEXT_LINE, .line = span_str("hub: x")};
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	assert_int_equal(muxext_encode(&w, 7, &x), 0);
	assert_bytes(w, "0010 0007 02 00 47 01 06 00 07 06 6875623a2078");
	assert_int_equal(decode(&e, "0010 0007 02 00 47 01 06 00 07 06 6875623a2078"), 0);
	assert_int_equal(e.has, x.has);
	assert_int_equal(e.line.n, x.line.n);
	memset(text, 'x', sizeof(text));
	w = wr_of(b, sizeof(b));
	x.line = span_of(text, MUXEXT_LINE_MAX);
	assert_int_equal(muxext_encode(&w, 7, &x), 0);
	assert_int_equal(b[0] << 8 | b[1], 10 + MUXEXT_LINE_MAX);
	w = wr_of(b, sizeof(b));
	x.line = span_of(text, sizeof(text));
	assert_int_equal(muxext_encode(&w, 7, &x), -ERR_LIMIT);
}

static void single_records(void **state)
{
	uint8_t b[MUXEXT_FRAME_MAX];
	struct wr w = wr_of(b, sizeof(b));
	struct muxext e = {.has = MUXEXT_FIN};

	(void)state;
	assert_int_equal(muxext_encode(&w, 9, &e), 0);
	assert_bytes(w, "0008 0009 02 00 47 01 03 00");
	e.has = 0;
	w = wr_of(b, sizeof(b));
	assert_int_equal(muxext_encode(&w, 9, &e), 0);
	assert_bytes(w, "0006 0009 02 00 47 01");
	assert_int_equal(decode(&e, "0008 0009 02 00 47 01 04 00"), 0);
	assert_int_equal(e.has, MUXEXT_OPENED);
}

static void the_future_is_skipped(void **state)
{
	struct muxext e;

	(void)state;
	/* an unknown type, a longer HELLO, a FIN with a value, WINDOW twice */
	assert_int_equal(decode(&e, "0025 0001 02 00 47 01 7f 03 010203"
				    "01 09 00000001 00000002 ff 03 01 ee"
				    "02 04 00000007 02 04 00000008"),
			 0);
	assert_int_equal(e.has, MUXEXT_HELLO | MUXEXT_FIN | MUXEXT_WINDOW);
	assert_int_equal(e.window, 2);
	assert_int_equal(e.credit, 8);
}

static void not_ours(void **state)
{
	struct muxext e;

	(void)state;
	assert_int_equal(decode(&e, "0004 0001 02 00"), -ERR_UNSUPPORTED);
	assert_int_equal(decode(&e, "0005 0001 02 00 47"), -ERR_UNSUPPORTED);
	assert_int_equal(decode(&e, "0006 0001 02 00 47 02"), -ERR_UNSUPPORTED);
	assert_int_equal(decode(&e, "0006 0001 02 00 46 01"), -ERR_UNSUPPORTED);
	assert_int_equal(decode(&e, "0008 0001 02 01 47 01 03 00 0000"), -ERR_UNSUPPORTED);
	assert_int_equal(decode(&e, "0008 0001 03 00 47 01 03 00"), -ERR_UNSUPPORTED);
	assert_int_equal(decode(&e, "0010 0001 02 00 02 0050 01 01020304 47 01 03 00"),
			 -ERR_UNSUPPORTED);
}

static void cut_records(void **state)
{
	static const char *const bad[] = {
		"0007 0001 02 00 47 01 03",
		"0008 0001 02 00 47 01 03 01",
		"000f 0001 02 00 47 01 01 07 01020304 050607",
		"000b 0001 02 00 47 01 02 03 010203",
		"0008 0001 02 00 47 01 05 00",
	};
	struct muxext e, before;

	(void)state;
	memset(&before, 0x5a, sizeof(before));
	e = before;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(decode(&e, bad[i]), -ERR_MALFORMED);
	assert_memory_equal(&e, &before, sizeof(e));
}

static void refusals_and_codes(void **state)
{
	static const int codes[] = {ERR_REFUSED, ERR_UNREACH, ERR_TIMEOUT, ERR_BLOCKED,
				    ERR_RESOLVE};

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		uint8_t refusal = (uint8_t)muxext_refusal_from_err(-codes[i]);

		assert_int_equal(refusal, i + 1);
		assert_int_equal(muxext_refusal_to_err(refusal), codes[i]);
	}
	assert_int_equal(muxext_refusal_from_err(ERR_TLS), MUXEXT_OTHER);
	assert_int_equal(muxext_refusal_to_err(MUXEXT_OTHER), ERR_SYS);
	assert_int_equal(muxext_refusal_to_err(0), ERR_SYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_record),
		cmocka_unit_test(traces),
		cmocka_unit_test(bounces),		 cmocka_unit_test(single_records),
		cmocka_unit_test(the_future_is_skipped), cmocka_unit_test(not_ours),
		cmocka_unit_test(cut_records),		 cmocka_unit_test(refusals_and_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
