/* Names and passwords of local proxies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/login.h"

static const char *who(const struct conf_account *a, size_t n, const char *user, const char *pass)
{
	const struct conf_account *found = login_check(a, n, span_str(user), span_str(pass));

	return found ? found->user : "nobody";
}

static void test_login(void **state)
{
	static const struct conf_account v[] = {
		{.user = "anna", .pass = "one"},
		{.user = "bert", .pass = ""},
		{.user = "anna", .pass = "two"},
		{.user = "", .pass = "empty"},
	};

	(void)state;
	assert_ptr_equal(login_check(v, 4, span_str("anna"), span_str("two")), &v[2]);
	assert_string_equal(who(v, 4, "anna", "one"), "nobody"); /* the later entry counts */
	assert_string_equal(who(v, 4, "anna", "tw"), "nobody");
	assert_string_equal(who(v, 4, "anna", "twoo"), "nobody");
	assert_string_equal(who(v, 4, "Anna", "two"), "nobody");
	assert_string_equal(who(v, 4, "bert", ""), "bert");
	assert_string_equal(who(v, 4, "bert", "x"), "nobody");
	assert_string_equal(who(v, 4, "", "empty"), "");
	assert_string_equal(who(v, 4, "", ""), "nobody");
	assert_string_equal(who(NULL, 0, "anna", "two"), "nobody");
}

/* No byte beyond the bound is compared, so nothing beyond it may be accepted. */
static void test_too_long(void **state)
{
	char name[257], other[257];

	(void)state;
	memset(name, 'n', 256);
	memset(other, 'n', 256);
	name[255] = 0;
	other[256] = 0;
	const struct conf_account v[] = {{.user = name, .pass = "p"}, {.user = other, .pass = "p"}};

	assert_ptr_equal(login_check(v, 2, span_str(name), span_str("p")), &v[0]);
	assert_null(login_check(v, 2, span_str(other), span_str("p")));
	assert_null(login_check(v, 2, span_str(name), span_str(other)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
