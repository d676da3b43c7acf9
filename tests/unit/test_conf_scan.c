/* conf/scan: what people write in JSON files, and where a fault is said to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "conf/scan.h"

static void becomes(const char *in, const char *out)
{
	struct scanned s;

	assert_int_equal(scan_json(&s, span_str(in)), 0);
	assert_string_equal(s.text, out);
	assert_int_equal(s.n, strlen(out));
	scanned_free(&s);
}

static void fails_at(const char *in, int line, int column, const char *text)
{
	struct scanned s;

	assert_true(scan_json(&s, span_str(in)) < 0);
	assert_string_equal(s.fault.text, text);
	assert_int_equal(s.fault.line, line);
	assert_int_equal(s.fault.column, column);
	scanned_free(&s);
}

static void comments_vanish(void **state)
{
	(void)state;
	becomes("// a\n{ # b\n\"x\" /* c\n*/ : /**/ 1 } // end", "{\"x\":1}");
	becomes("[1,/*/,*/2]", "[1,2]");
	becomes("\"a // b # c /* d\"", "\"a // b # c /* d\"");
	becomes("{}//", "{}");
	fails_at("{ /* ", 1, 6,
		 "found the end of the file, expected */ to close the comment of line 1");
	fails_at("{ /", 1, 3, "found '/', expected a key in double quotes or '}'");
}

static void trailing_commas_are_noted(void **state)
{
	struct scanned s;

	(void)state;
	assert_int_equal(scan_json(&s, span_str("{\"a\": [1,\n2,\n],\n}")), 0);
	assert_string_equal(s.text, "{\"a\":[1,2]}");
	assert_int_equal(s.n_notes, 2);
	assert_int_equal(s.notes[0].line, 3);
	assert_int_equal(s.notes[0].column, 1);
	assert_int_equal(s.notes[1].line, 4);
	scanned_free(&s);
	fails_at("[,]", 1, 2,
		 "found ',', expected a value: text in double quotes, a number, true, false, null, "
		 "{ or [");
	fails_at("{\"a\":1,,}", 1, 8, "found ',', expected a key in double quotes or '}'");
}

static void strange_bytes(void **state)
{
	struct scanned s;

	(void)state;
	becomes("\xef\xbb\xbf{}", "{}");
	becomes("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xb0\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xb0\"");
	/* overlong, surrogate, above U+10FFFF, cut off: one replacement per byte */
	becomes("\"\xc0\x80\"", "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	becomes("\"\xed\xa0\x80\"", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	becomes("\"\xf4\x90\x80\x80\"", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	becomes("\"\xe2\x82\"", "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	assert_int_equal(scan_json(&s, span_str("[\"\xff\",\"\xfe\"]")), 0);
	assert_int_equal(s.n_notes, 1); /* said once */
	scanned_free(&s);
	assert_int_equal(scan_json(&s, span_of("[\"a\0b\"]", 7)), -ERR_MALFORMED);
	assert_int_equal(s.fault.column, 4);
	scanned_free(&s);
	assert_int_equal(scan_json(&s, span_of("{\0}", 3)), -ERR_MALFORMED);
	scanned_free(&s);
}

static void escapes(void **state)
{
	(void)state;
	becomes("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"");
	becomes("\"\\ud83d\\udc30\"", "\"\\ud83d\\udc30\"");
	becomes("\"\\ud83dx\"", "\"\\ufffdx\"");
	becomes("\"\\udc30\\ud83d\"", "\"\\ufffd\\ufffd\"");
	becomes("\"\\ud83d\\u0041\"", "\"\\ufffd\\u0041\"");
	fails_at("\"\\u0000\"", 1, 2, "found \\u0000, expected text without NUL");
	fails_at("\"\\u12\"", 1, 2, "expected four hexadecimal digits after \\u");
	fails_at("\"\\x\"", 1, 3,
		 "found an unknown escape in a text, expected one of \\\" \\\\ \\/ \\b \\f \\n \\r "
		 "\\t \\uXXXX");
	fails_at("\"a\n\"", 1, 3, "found the end of the line inside a text, expected its closing '\"'");
	fails_at("\"a\t\"", 1, 3, "found a tab inside a text, expected its closing '\"'");
	fails_at("\"\\", 1, 3,
		 "found an unknown escape in a text, expected one of \\\" \\\\ \\/ \\b \\f \\n \\r "
		 "\\t \\uXXXX");
}

static void numbers_and_words(void **state)
{
	char in[200] = "[";

	(void)state;
	becomes("[0, -0, 10, 1.5, -1e9, 2E-7, 3e+1]", "[0,-0,10,1.5,-1e9,2E-7,3e+1]");
	becomes("[true,false,null]", "[true,false,null]");
	fails_at("[01]", 1, 2, "expected a number without leading zeros");
	fails_at("[-]", 1, 2, "expected a number without leading zeros");
	fails_at("[1.]", 1, 2, "expected digits behind the decimal point");
	fails_at("[1e]", 1, 2, "expected digits in the exponent");
	fails_at("[True]", 1, 2,
		 "found True, expected a value: text in double quotes, a number, true, false, null, "
		 "{ or [");
	/* what may be a password without quotes is not repeated */
	fails_at("[secretpassword]", 1, 2,
		 "found 's', expected a value: text in double quotes, a number, true, false, null, { "
		 "or [");
	fails_at("[1 2]", 1, 4, "found '2', expected ',' or ']'");
	fails_at("[1\n2]", 2, 1,
		 "found '2', expected ',' or ']' (is a comma missing at the end of line 1?)");
	memset(in + 1, '9', 100);
	in[101] = ']';
	fails_at(in, 1, 2, "found a number of 100 characters, expected at most 60");
}

static void lines_are_those_of_the_values(void **state)
{
	static const int lines[] = {1, 2, 3, 4, 4, 6};
	struct scanned s;

	(void)state;
	assert_int_equal(scan_json(&s, span_str("{ \"a\":\n[\n1, // x\n{\"b\":2}],\n\"c\":\n\"d\" }")),
			 0);
	assert_int_equal(s.n_values, 6);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(s.lines[i], lines[i]);
	scanned_free(&s);
}

static void depth_and_size_are_bounded(void **state)
{
	char *in = malloc(SCAN_SIZE_MAX + 1);
	struct scanned s;

	(void)state;
	assert_non_null(in);
	memset(in, '[', SCAN_DEPTH_MAX + 1);
	memset(in + SCAN_DEPTH_MAX, ']', SCAN_DEPTH_MAX);
	assert_int_equal(scan_json(&s, span_of(in, 2 * SCAN_DEPTH_MAX)), 0);
	scanned_free(&s);
	memset(in, '[', SCAN_DEPTH_MAX + 1);
	assert_int_equal(scan_json(&s, span_of(in, SCAN_DEPTH_MAX + 1)), -ERR_LIMIT);
	scanned_free(&s);
	memset(in, ' ', SCAN_SIZE_MAX + 1);
	in[0] = '1';
	assert_int_equal(scan_json(&s, span_of(in, SCAN_SIZE_MAX)), 0);
	scanned_free(&s);
	assert_int_equal(scan_json(&s, span_of(in, SCAN_SIZE_MAX + 1)), -ERR_LIMIT);
	scanned_free(&s);
	free(in);
}

/* Every beginning of a valid text is refused, and never read beyond its end. */
static void truncation_at_every_byte(void **state)
{
	static const char text[] =
		"{ \"a\\u00e9\": [1.5e3, true, \"\xc3\xa9\\ud83d\\udc30\", /* x */ null], # y\n\"b\": {} }";

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		char *copy = malloc(n ? n : 1);
		struct scanned s;

		assert_non_null(copy);
		memcpy(copy, text, n);
		assert_int_equal(scan_json(&s, span_of(copy, n)), -ERR_MALFORMED);
		assert_true(s.fault.line >= 1 && s.fault.column >= 1 && s.fault.text[0]);
		scanned_free(&s);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comments_vanish),
		cmocka_unit_test(trailing_commas_are_noted),
		cmocka_unit_test(strange_bytes),
		cmocka_unit_test(escapes),
		cmocka_unit_test(numbers_and_words),
		cmocka_unit_test(lines_are_those_of_the_values),
		cmocka_unit_test(depth_and_size_are_bounded),
		cmocka_unit_test(truncation_at_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
