/* Which links of a page are followed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "codec.h"
#include "proto/weblinks.h"

static const char page[] =
	"<html><a href=\"/\">home</a> <a class=x href=\"/news?day=1#top\">news</a>"
	"<a href=\"https://x.test/about\">about</a><a href=\"https://x.test.evil/e\">no</a>"
	"<a href=\"//cdn.test/x\">no</a><link href=\"/style.css\"><a href=\"relative\">no</a>"
	"<a href=\"/a&amp;b\">no</a><a href=\"\">no</a><a href=\"/with blank\">no</a>"
	"<a href=\"https://x.test\">no path</a><a href=\"/last\">last</a><a href=\"/open";

static void followed(void **state)
{
	static const char *const want[] = {"/", "/news?day=1", "/about", "/last"};
	struct span html = span_str(page), path;
	size_t n = 0;

	(void)state;
	while (weblink_next(&html, "x.test", &path)) {
		assert_true(n < sizeof(want) / sizeof(want[0]));
		assert_true(span_eq(path, span_str(want[n])));
		n++;
	}
	assert_int_equal(n, sizeof(want) / sizeof(want[0]));
	assert_int_equal(html.n, 0);
}

/* Cut anywhere there are no other links, only fewer. */
static void truncated(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < sizeof(page); cut++) {
		struct span whole = exact(span_str(page), cut < sizeof(page) - 1 ? cut : 0);
		struct span html = whole, path;
		size_t n = 0;

		while (weblink_next(&html, "x.test", &path))
			n++;
		assert_true(n <= 4);
		free_hex(whole);
	}
}

static void long_one(void **state)
{
	char text[400];
	struct span html, path;

	(void)state;
	for (size_t n = WEBLINK_MAX - 1; n <= WEBLINK_MAX + 1; n++) {
		int len = snprintf(text, sizeof(text), "href=\"/%.*s\"", (int)n - 1,
				   "0123456789012345678901234567890123456789012345678901234567890123"
				   "0123456789012345678901234567890123456789012345678901234567890123"
				   "0123456789012345678901234567890123456789012345678901234567890123"
				   "0123456789012345678901234567890123456789012345678901234567890123");

		html = span_of((const uint8_t *)text, (size_t)len);
		assert_int_equal(weblink_next(&html, "x.test", &path), n <= WEBLINK_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(followed),
		cmocka_unit_test(truncated),
		cmocka_unit_test(long_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
