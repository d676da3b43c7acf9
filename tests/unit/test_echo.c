/* Echo exchanges as datagrams: vectors, truncation, what a later version might send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/echo.h"

static const char request[] = "01 40 1234 0007 68656c6c6f";
static const char error4[] = "03 00 1234 0007 0b 00 00000000 04 c0000201";
static const char error6[] = "03 00 0001 ffff 02 00 00000500 06 20010db8 00000000 00000000 00000001";

static int decode(struct echo *e, const char *wire)
{
	struct span in = hex(wire);
	int ret = echo_decode(e, in);

	free_hex(in);
	return ret;
}

static void requests_and_replies(void **state)
{
	struct span in = hex(request);
	struct echo e, r;
	uint8_t b[64];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	assert_int_equal(echo_decode(&e, in), 0);
	assert_int_equal(e.kind, ECHO_REQUEST);
	assert_int_equal(e.ttl, 64);
	assert_int_equal(e.id, 0x1234);
	assert_int_equal(e.seq, 7);
	assert_true(span_eq(e.payload, span_str("hello")));
	assert_int_equal(echo_encode(&w, &e), 0);
	assert_bytes(w, request);
	r = (struct echo){.kind = ECHO_REPLY, .ttl = 57, .id = 1, .seq = 2};
	w = wr_of(b, sizeof(b));
	assert_int_equal(echo_encode(&w, &r), 0);
	assert_bytes(w, "02 39 0001 0002");
	free_hex(in);
}

static void errors(void **state)
{
	static const uint8_t router[4] = {192, 0, 2, 1};
	struct ip want = ip_v4(router);
	struct echo e;
	uint8_t b[ECHO_ERROR_MAX];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	assert_int_equal(decode(&e, error4), 0);
	assert_int_equal(e.kind, ECHO_ERROR);
	assert_int_equal(e.type, 11);
	assert_int_equal(e.code, 0);
	assert_true(ip_eq(&e.offender, &want));
	assert_int_equal(echo_encode(&w, &e), 0);
	assert_bytes(w, error4);
	assert_int_equal(decode(&e, error6), 0);
	assert_int_equal(e.info, 1280);
	assert_int_equal(e.offender.family, 6);
	w = wr_of(b, sizeof(b));
	assert_int_equal(echo_encode(&w, &e), 0);
	assert_bytes(w, error6);
	assert_int_equal(w.n, ECHO_ERROR_MAX);
	for (size_t n = 0; n < ECHO_ERROR_MAX; n++) {
		w = wr_of(b, n);
		assert_int_equal(echo_encode(&w, &e), -ERR_LIMIT);
	}
}

static void cut_ones(void **state)
{
	struct span whole = hex(error6);
	struct echo e, before;

	(void)state;
	memset(&before, 0x5a, sizeof(before));
	e = before;
	for (size_t n = 0; n < whole.n; n++) {
		struct span cut = exact(whole, n);

		assert_int_equal(echo_decode(&e, cut), -ERR_MALFORMED);
		free_hex(cut);
	}
	free_hex(whole);
	whole = hex(request);
	for (size_t n = 0; n < ECHO_HEAD; n++) {
		struct span cut = exact(whole, n);

		assert_int_equal(echo_decode(&e, cut), -ERR_MALFORMED);
		free_hex(cut);
	}
	free_hex(whole);
	assert_memory_equal(&e, &before, sizeof(e));
}

static void strange_ones(void **state)
{
	struct echo e;

	(void)state;
	assert_int_equal(decode(&e, "00 40 1234 0007 68"), -ERR_UNSUPPORTED);
	assert_int_equal(decode(&e, "04 40 1234 0007 68"), -ERR_UNSUPPORTED);
	assert_int_equal(decode(&e, "03 00 1234 0007 0b 00 00000000 05 c0000201"), -ERR_MALFORMED);
	assert_int_equal(decode(&e, "03 00 1234 0007 0b 00 00000000 06 00000000 00000000 0000ffff "
				    "c0000201"), -ERR_MALFORMED);
	/* more than we know: a later version's */
	assert_int_equal(decode(&e, "03 00 1234 0007 0b 00 00000000 04 c0000201 ffff"), 0);
	assert_int_equal(decode(&e, "01 00 0000 0000"), 0);
	assert_int_equal(e.payload.n, 0);
}

static void a_payload_has_a_bound(void **state)
{
	uint8_t *b = calloc(1, ECHO_HEAD + ECHO_PAYLOAD_MAX + 1), *c = calloc(1, 70000);
	struct wr w = wr_of(c, 70000);
	struct echo e;

	(void)state;
	assert_non_null(b);
	assert_non_null(c);
	b[0] = ECHO_REPLY;
	assert_int_equal(echo_decode(&e, span_of(b, ECHO_HEAD + ECHO_PAYLOAD_MAX)), 0);
	assert_int_equal(echo_encode(&w, &e), 0);
	assert_int_equal(echo_decode(&e, span_of(b, ECHO_HEAD + ECHO_PAYLOAD_MAX + 1)),
			 -ERR_MALFORMED);
	e.payload.n = ECHO_PAYLOAD_MAX + 1;
	w = wr_of(c, 70000);
	assert_int_equal(echo_encode(&w, &e), -ERR_LIMIT);
	free(b);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_and_replies), cmocka_unit_test(errors),
		cmocka_unit_test(cut_ones),		cmocka_unit_test(strange_ones),
		cmocka_unit_test(a_payload_has_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
