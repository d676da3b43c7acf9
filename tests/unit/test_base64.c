/* Base64: RFC 4648 vectors, strictness with the place of the fault, the openings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "crypto/base64.h"

static void rfc4648_vectors(void **state)
{
	static const char *const want[] = {"",	       "Zg==",	   "Zm8=",    "Zm9v",
					   "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
	static const char *const raw[] = {"", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"};
	char text[16];
	uint8_t out[8];

	(void)state;
	for (size_t n = 0; n < 7; n++) {
		struct span in = span_of("foobar", n);

		assert_int_equal(base64_encode(text, sizeof(text), in, BASE64_STD),
				 strlen(want[n]));
		assert_string_equal(text, want[n]);
		assert_int_equal(base64_len(n, BASE64_STD), strlen(want[n]));
		assert_int_equal(base64_encode(text, sizeof(text), in, BASE64_RAW), strlen(raw[n]));
		assert_string_equal(text, raw[n]);
		assert_int_equal(base64_len(n, BASE64_RAW), strlen(raw[n]));
		assert_int_equal(base64_decode(out, 8, span_str(want[n]), 0, NULL), n);
		assert_memory_equal(out, "foobar", n);
		assert_int_equal(base64_decode(out, 8, span_str(raw[n]), BASE64_RAW, NULL), n);
		assert_memory_equal(out, "foobar", n);
		assert_int_equal(base64_decode(out, 8, span_str(raw[n]), BASE64_ANY_PAD, NULL), n);
		assert_int_equal(base64_decode(out, 8, span_str(want[n]), BASE64_ANY_PAD, NULL), n);
	}
	assert_int_equal(base64_encode(text, 8, span_of("foobar", 6), 0), -ERR_LIMIT);
	assert_int_equal(base64_decode(out, 5, span_str("Zm9vYmFy"), 0, NULL), -ERR_LIMIT);
}

static void both_alphabets(void **state)
{
	const uint8_t in[3] = {0xfb, 0xff, 0xfe};
	char text[8];
	uint8_t out[3];

	(void)state;
	base64_encode(text, sizeof(text), span_of(in, 3), BASE64_STD);
	assert_string_equal(text, "+//+");
	base64_encode(text, sizeof(text), span_of(in, 3), BASE64_URL);
	assert_string_equal(text, "-__-");
	assert_int_equal(base64_decode(out, 3, span_str("-__-"), BASE64_URL, NULL), 3);
	assert_memory_equal(out, in, 3);
	assert_int_equal(base64_decode(out, 3, span_str("-__-"), BASE64_STD, NULL), -ERR_MALFORMED);
	assert_int_equal(base64_decode(out, 3, span_str("+//+"), BASE64_URL, NULL), -ERR_MALFORMED);
}

static void faults_have_a_place(void **state)
{
	static const struct {
		const char *text;
		unsigned flags;
		size_t at;
	} bad[] = {
		{"Zm9v!mFy", 0, 4},
		{"Zm9", 0, 3},
		{"Zg=", 0, 3},
		{"Zg===", 0, 4},
		{"Zg==x", 0, 4},
		{"Z", 0, 1},
		{"Zm9vY", 0, 5},
		{"=", 0, 0},
		{"Zm9v=", 0, 4},
		{"Zh==", 0, 1},
		{"Zm9=", 0, 2},
		{"Zg==", BASE64_RAW, 2},
		{"Z\ng==", 0, 1},
		{"Zg= =", 0, 3},
		{"Zg=\n", BASE64_SKIP_CRLF, 4},
		{"Zg=", BASE64_ANY_PAD, 3},
		{"Zh", BASE64_RAW, 1},
		{"Zg===", BASE64_ANY_PAD, 4},
	};
	uint8_t out[8];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t at = 99;

		assert_int_equal(base64_decode(out, 8, span_str(bad[i].text), bad[i].flags, &at),
				 -ERR_MALFORMED);
		assert_int_equal(at, bad[i].at);
	}
}

static void openings(void **state)
{
	uint8_t out[8];

	(void)state;
	assert_int_equal(
		base64_decode(out, 8, span_str("\r\nZm\r\n9vY\ng=\r=\n"), BASE64_SKIP_CRLF, NULL),
		4);
	assert_memory_equal(out, "foob", 4);
	assert_int_equal(base64_decode(out, 8, span_str("Zh=="), BASE64_ANY_BITS, NULL), 1);
	assert_int_equal(base64_decode(out, 8, span_str("Zm9"), BASE64_ANY_BITS | BASE64_RAW, NULL),
			 2);
}

static void in_place_and_all_bytes(void **state)
{
	uint8_t in[256], text[512];
	ssize_t n;

	(void)state;
	for (size_t i = 0; i < 256; i++)
		in[i] = (uint8_t)i;
	n = base64_encode((char *)text, sizeof(text), span_of(in, 256), BASE64_URL);
	assert_int_equal(n, 344);
	assert_int_equal(
		base64_decode(text, sizeof(text), span_of(text, (size_t)n), BASE64_URL, NULL), 256);
	assert_memory_equal(text, in, 256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc4648_vectors),	  cmocka_unit_test(both_alphabets),
		cmocka_unit_test(faults_have_a_place),	  cmocka_unit_test(openings),
		cmocka_unit_test(in_place_and_all_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
