/* sendThrough in its forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "flow/via.h"

static struct conf_send_through through(enum conf_via kind, const char *prefix)
{
	struct conf_send_through v;

	memset(&v, 0, sizeof(v));
	v.kind = kind;
	if (prefix)
		assert_int_equal(prefix_parse(&v.prefix, span_str(prefix)), 0);
	return v;
}

static void test_prefix(void **state)
{
	static const char *const prefixes[] = {"192.0.2.7/32", "10.0.0.0/8",	  "10.1.2.0/23",
					       "0.0.0.0/0",	 "2001:db8::/61", "2001:db8::1/128"};

	(void)state;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		struct conf_send_through v = through(CONF_VIA_PREFIX, prefixes[i]);
		bool differ = false;
		struct ip first = via_address(&v, NULL);

		for (int n = 0; n < 64; n++) {
			struct ip ip = via_address(&v, NULL);

			assert_true(prefix_has(&v.prefix, &ip));
			differ |= !ip_eq(&ip, &first);
		}
		assert_int_equal(differ, v.prefix.len != (v.prefix.ip.family == 4 ? 32 : 128));
	}
}

static void test_origin_and_source(void **state)
{
	struct conf_send_through origin = through(CONF_VIA_ORIGIN, NULL);
	struct conf_send_through src = through(CONF_VIA_SRCIP, NULL);
	struct conf_send_through none = through(CONF_VIA_NONE, NULL);
	struct flow f;
	struct ip ip;

	(void)state;
	memset(&f, 0, sizeof(f));
	assert_int_equal(ip_parse(&f.local.ip, span_str("192.0.2.1")), 0);
	assert_int_equal(ip_parse(&f.source.ip, span_str("2001:db8::9")), 0);
	ip = via_address(&origin, &f);
	assert_true(ip_eq(&ip, &f.local.ip));
	ip = via_address(&src, &f);
	assert_true(ip_eq(&ip, &f.source.ip));
	assert_int_equal(via_address(&none, &f).family, 0);
	assert_int_equal(via_address(&origin, NULL).family, 0);
	assert_int_equal(via_address(&src, NULL).family, 0);
	/* A UDP listener on all addresses tells nothing. */
	assert_int_equal(ip_parse(&f.local.ip, span_str("::")), 0);
	assert_int_equal(via_address(&origin, &f).family, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_origin_and_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
