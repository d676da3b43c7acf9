/* Answers of two servers to one probe: what counts as alike, and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/reply.h"
#include "app/site.h"
#include "codec.h"

#include <stdio.h>

static struct reply a, b;
static char why[REPLY_WHY_MAX];

static void set(struct reply *r, const void *bytes, size_t n, enum knock_end end)
{
	r->n = n;
	r->end = end;
	r->unreachable = false;
	if (n)
		memcpy(r->b, bytes, n);
}

static void set_hex(struct reply *r, const char *text)
{
	struct span s = hex(text);

	set(r, s.p, s.n, KNOCK_OPEN);
	free_hex(s);
}

static void nothing_and_something(void **state)
{
	(void)state;
	set(&a, NULL, 0, KNOCK_FIN);
	set(&b, NULL, 0, KNOCK_FIN);
	assert_int_equal(reply_compare(&a, &b, why), GRADE_OK);
	b.end = KNOCK_RESET;
	assert_int_equal(reply_compare(&a, &b, why), GRADE_WARN);
	set(&b, "x", 1, KNOCK_FIN);
	assert_int_equal(reply_compare(&a, &b, why), GRADE_FAIL);
	set(&a, NULL, 0, KNOCK_FIN);
	a.unreachable = true;
	set(&b, NULL, 0, KNOCK_FIN);
	assert_int_equal(reply_compare(&a, &b, why), GRADE_FAIL);
}

static void pages(void **state)
{
	const char *one = "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\n\r\npage";
	const char *two = "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 10:00:07 GMT\r\n\r\npage";
	const char *three = "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 10:00:07 GMT\r\n\r\nother";
	const char *four = "HTTP/1.1 404 Not Found\r\n\r\n";

	(void)state;
	set(&a, one, strlen(one), KNOCK_FIN);
	set(&b, two, strlen(two), KNOCK_FIN);
	assert_int_equal(reply_compare(&a, &b, why), GRADE_OK);
	set(&b, three, strlen(three), KNOCK_FIN);
	assert_int_equal(reply_compare(&a, &b, why), GRADE_WARN);
	set(&b, four, strlen(four), KNOCK_FIN);
	assert_int_equal(reply_compare(&a, &b, why), GRADE_FAIL);
	for (size_t n = 0; n <= REPLY_MAX; n += REPLY_MAX / 2) { /* to the brim */
		memset(a.b, 'a', REPLY_MAX);
		memset(b.b, 'a', REPLY_MAX);
		a.n = b.n = n;
		assert_int_equal(reply_compare(&a, &b, why), GRADE_OK);
	}
}

/* A ServerHello of TLS 1.3 (X25519), change_cipher_spec, and one protected record of @last bytes.
 */
static void set_flight(struct reply *r, const char *suite, const char *group, unsigned last)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "160303007a 02000076 0303 %064d 20 %064d %s 00 002e 002b00020304 00330024 %s 0020 "
		 "%064d 140303000101 170303%04x",
		 1, 2, suite, group, 3, last);
	set_hex(r, text);
}

static void flights(void **state)
{
	(void)state;
	set_flight(&a, "1301", "001d", 600);
	set_flight(&b, "1301", "001d", 602); /* a longer signature */
	assert_int_equal(reply_compare(&a, &b, why), GRADE_OK);
	set_flight(&b, "1301", "001d", 700);
	assert_int_equal(reply_compare(&a, &b, why), GRADE_FAIL);
	assert_non_null(strstr(why, "600"));
	set_flight(&b, "1302", "001d", 600);
	assert_int_equal(reply_compare(&a, &b, why), GRADE_FAIL);
	assert_string_equal(why, "another cipher suite");
	set_flight(&b, "1301", "0017", 600);
	assert_int_equal(reply_compare(&a, &b, why), GRADE_FAIL);
	assert_string_equal(why, "another group");
	set_flight(&b, "1301", "001d", 600);
	b.n -= 5; /* without the last record */
	assert_int_equal(reply_compare(&a, &b, why), GRADE_FAIL);
}

static void alerts(void **state)
{
	(void)state;
	set_hex(&a, "15030300020228");
	set_hex(&b, "15030300020228");
	assert_int_equal(reply_compare(&a, &b, why), GRADE_OK);
	set_hex(&b, "15030300020246");
	assert_int_equal(reply_compare(&a, &b, why), GRADE_FAIL);
	assert_string_equal(why, "another alert: 40 instead of 70");
	set_hex(&b, "15030100020228");
	assert_int_equal(reply_compare(&a, &b, why), GRADE_FAIL);
}

/* Whatever two servers say, cut anywhere: a verdict, and nothing read too far. */
static void cut_anywhere(void **state)
{
	(void)state;
	set_flight(&a, "1301", "001d", 600);
	set_flight(&b, "1301", "001d", 600);
	for (size_t n = 0; n <= a.n; n++)
		for (size_t m = 0; m <= a.n; m += 7) {
			size_t keep_a = a.n, keep_b = b.n;

			a.n = n;
			b.n = m;
			assert_true(reply_compare(&a, &b, why) < GRADE_MAX_);
			a.n = keep_a;
			b.n = keep_b;
		}
}

static void redirects(void **state)
{
	(void)state;
	assert_false(site_location_elsewhere("/en/", "www.test"));
	assert_false(site_location_elsewhere("https://www.test/en/", "www.test"));
	assert_false(site_location_elsewhere("https://WWW.test:443", "www.test"));
	assert_true(site_location_elsewhere("https://www.test.example/", "www.test"));
	assert_true(site_location_elsewhere("http://test/", "www.test"));
	assert_true(site_location_elsewhere("https://", "www.test"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_and_something),
		cmocka_unit_test(pages),
		cmocka_unit_test(flights),
		cmocka_unit_test(alerts),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(redirects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
