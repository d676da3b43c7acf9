/* Control messages of the reverse proxy, as v2ray 4.34 sends them, and the internal names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/reversectl.h"

static int decode(struct reversectl *c, const char *wire)
{
	struct span in = hex(wire);
	int ret = reversectl_decode(c, in);

	if (ret == 0)
		c->filler.p = NULL; /* gone with the input */
	free_hex(in);
	return ret;
}

static void messages(void **state)
{
	struct reversectl c;

	(void)state;
	assert_int_equal(decode(&c, "9a06 03 010203"), 0);
	assert_int_equal(c.state, REVERSECTL_ACTIVE);
	assert_int_equal(c.filler.n, 3);
	assert_int_equal(decode(&c, "0801 9a06 02 ea39"), 0);
	assert_int_equal(c.state, REVERSECTL_DRAIN);
	assert_int_equal(decode(&c, ""), 0);
	assert_int_equal(c.state, REVERSECTL_ACTIVE);
	assert_int_equal(c.filler.n, 0);
	assert_int_equal(decode(&c, "0800"), 0);
	assert_int_equal(c.state, REVERSECTL_ACTIVE);
	assert_int_equal(decode(&c, "0802"), 0);
	assert_int_equal(c.state, 2);
	/* any order, unknown fields, repetitions, other types under known numbers */
	assert_int_equal(decode(&c, "9a06 00 0800 1205 0102030405 0801 9a06 01 ff 0a0100 980601"),
			 0);
	assert_int_equal(c.state, REVERSECTL_DRAIN);
	assert_int_equal(c.filler.n, 1);
}

static void cut_messages(void **state)
{
	struct span in = hex("0801 9a06 03 010203");
	struct reversectl c = {.state = 77};

	(void)state;
	for (size_t n = 0; n < in.n; n++) {
		struct span part = exact(in, n);
		bool whole = n == 0 || n == 2; /* a message may end between fields */

		assert_int_equal(reversectl_decode(&c, part), whole ? 0 : -ERR_MALFORMED);
		if (whole)
			c.state = 77;
		assert_int_equal(c.state, 77);
		free_hex(part);
	}
	free_hex(in);
}

static void encoding(void **state)
{
	static const uint8_t random[REVERSECTL_FILLER_MAX + 1] = {0xea, 0x39};
	struct reversectl c = {.filler = span_of(random, 2)};
	uint8_t b[REVERSECTL_MAX];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	assert_int_equal(reversectl_encode(&w, &c), 0);
	assert_bytes(w, "9a06 02 ea39");
	c.state = REVERSECTL_DRAIN;
	w = wr_of(b, sizeof(b));
	assert_int_equal(reversectl_encode(&w, &c), 0);
	assert_bytes(w, "0801 9a06 02 ea39");
	c.filler.n = REVERSECTL_FILLER_MAX;
	w = wr_of(b, sizeof(b));
	assert_int_equal(reversectl_encode(&w, &c), 0);
	assert_int_equal(w.n, REVERSECTL_MAX);
	w = wr_of(b, sizeof(b) - 1);
	assert_int_equal(reversectl_encode(&w, &c), -ERR_LIMIT);
	c.filler.n++;
	w = wr_of(b, sizeof(b));
	assert_int_equal(reversectl_encode(&w, &c), -ERR_LIMIT);
	c = (struct reversectl){0};
	w = wr_of(b, sizeof(b));
	assert_int_equal(reversectl_encode(&w, &c), 0);
	assert_int_equal(w.n, 0);
}

static void internal_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < REVERSECTL_NAMES; i++)
		assert_true(reversectl_is_internal(reversectl_name(i)));
	assert_string_equal(reversectl_name(REVERSECTL_V2RAY), "reverse.internal.v2ray.com");
	assert_null(reversectl_name(REVERSECTL_NAMES));
	assert_false(reversectl_is_internal("Reverse"));
	assert_false(reversectl_is_internal("reverse.internal.v2ray.com."));
	assert_false(reversectl_is_internal(""));
	assert_int_equal(reversectl_dgram_max("reverse"), 8192);
	assert_int_equal(reversectl_dgram_max("reverse.internal.v2ray.com"), 2048);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages),
		cmocka_unit_test(cut_messages),
		cmocka_unit_test(encoding),
		cmocka_unit_test(internal_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
