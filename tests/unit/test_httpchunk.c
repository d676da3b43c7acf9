/* Where chunked bodies end: whole, byte by byte, and never for malformed ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/httpchunk.h"

static const char *const bodies[] = {
	"0\r\n\r\n",
	"5\r\nhello\r\n0\r\n\r\n",
	"005;name=\"v\"\r\nhello\r\n00\r\n\r\n",
	"a \r\n0123456789\r\nB\t;x\r\n0\r\n\r\n345678\r\n0;last\r\nTrailer: x\r\nOther:\r\n\r\n",
};

static void ends_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		size_t len = strlen(bodies[i]);
		char text[128];
		struct httpchunk c;

		/* all at once, with the next message behind it */
		memcpy(text, bodies[i], len);
		memcpy(text + len, "HTTP/1.1", 8);
		httpchunk_init(&c);
		assert_int_equal(httpchunk_feed(&c, span_of(text, len + 8)), len);
		assert_true(httpchunk_done(&c));
		assert_int_equal(httpchunk_feed(&c, span_of(text, len)), 0);
		/* cut in two at every place */
		for (size_t n = 0; n < len; n++) {
			struct span part = exact(span_of(text, len), n);

			httpchunk_init(&c);
			assert_int_equal(httpchunk_feed(&c, part), n);
			assert_false(httpchunk_done(&c));
			assert_int_equal(httpchunk_feed(&c, span_of(text + n, len + 8 - n)),
					 len - n);
			assert_true(httpchunk_done(&c));
			free_hex(part);
		}
		/* byte by byte */
		httpchunk_init(&c);
		for (size_t n = 0; n < len; n++) {
			assert_false(httpchunk_done(&c));
			assert_int_equal(httpchunk_feed(&c, span_of(text + n, 1)), 1);
		}
		assert_true(httpchunk_done(&c));
	}
}

static void malformed(void **state)
{
	static const char *const bad[] = {
		"\r\n",
		"x",
		"-1",
		" 5",
		"5\n",
		"5\rx",
		"5x",
		"5;a\nb",
		"5;a\001",
		"5\r\nhellox",
		"5\r\nhello\n",
		"5\r\nhello\rx",
		"5\r\nhello\r\n\r",
		"0\r\n\n",
		"0\r\nA: b\n",
		"0\r\nA: b\rx",
		"0\r\n\rx",
		"0\r\n\001",
		"00000000000000000",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct httpchunk c;

		httpchunk_init(&c);
		assert_int_equal(httpchunk_feed(&c, span_str(bad[i])), -ERR_MALFORMED);
	}
}

static void bounds(void **state)
{
	static char line[4096];
	struct httpchunk c;
	ssize_t n = 0;
	size_t fed = 0;

	(void)state;
	memset(line, 'e', sizeof(line));
	httpchunk_init(&c);
	assert_int_equal(httpchunk_feed(&c, span_str("5;")), 2);
	while (fed < 2 * HTTPCHUNK_LINE_MAX && n >= 0) {
		n = httpchunk_feed(&c, span_of(line, sizeof(line)));
		fed += sizeof(line);
	}
	assert_int_equal(n, -ERR_LIMIT);
	assert_true(fed <= HTTPCHUNK_LINE_MAX + sizeof(line));
	/* the largest size of all */
	httpchunk_init(&c);
	assert_int_equal(httpchunk_feed(&c, span_str("ffffffffffffffff\r\n")), 18);
	assert_int_equal(httpchunk_feed(&c, span_of(line, sizeof(line))), sizeof(line));
	assert_false(httpchunk_done(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_are_found),
		cmocka_unit_test(malformed),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
