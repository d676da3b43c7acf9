/* Which changes of a file a running program may take over, and which it must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/shape.h"

#define ID_A "\"27848739-7e62-4138-9fd3-098a63964b6b\""
#define ID_B "\"27848739-7e62-4138-9fd3-098a63964b6c\""
#define USER_A "{\"id\": " ID_A ", \"email\": \"a\"}"
#define USER_B "{\"id\": " ID_B ", \"email\": \"b\", \"reverse\": {\"tag\": \"to.b\"}}"

/* What may vary of the file. */
struct variant {
	const char *port, *users, *rules, *hosts, *more_in, *out_settings, *log, *env;
};

static const struct variant plain = {.port = "443",
				     .users = USER_A,
				     .rules = "",
				     .hosts = "\"a.test\": \"10.0.0.1\"",
				     .more_in = "",
				     .out_settings = "",
				     .log = "warning",
				     .env = "/usr/share"};

static struct conf *load(const struct variant *v)
{
	struct conf_msgs msgs = {0};
	char text[4096];
	struct conf *c;

	snprintf(text, sizeof(text),
		 "{\"log\": {\"loglevel\": \"%s\"}, \"env\": {\"XRAY_LOCATION_ASSET\": \"%s\"},"
		 " \"inbounds\": [{\"tag\": \"in\", \"port\": %s, \"protocol\": \"VLESS\", \"settings\":"
		 " {\"decryption\": \"none\", \"clients\": [%s]}}%s],"
		 " \"outbounds\": [{\"tag\": \"out\", \"protocol\": \"freedom\", \"settings\": {%s}},"
		 " {\"tag\": \"names\", \"protocol\": \"dns\", \"settings\": {\"zones\": [\"test\"],"
		 " \"hosts\": {%s}}}],"
		 " \"routing\": {\"rules\": [%s]}}",
		 v->log, v->env, v->port, v->users, v->more_in, v->out_settings, v->hosts, v->rules);
	c = conf_load_text("t.json", span_str(text), &msgs);
	for (size_t i = 0; i < msgs.n && !c; i++)
		print_error("%s: %s\n", msgs.v[i].path, msgs.v[i].text);
	conf_msgs_free(&msgs);
	assert_non_null(c);
	return c;
}

/* @said: what stands against it, NULL when nothing does. */
static void expect(const struct variant *was, const struct variant *is, const char *said)
{
	struct conf *a = load(was), *b = load(is);
	char why[128] = "";

	assert_int_equal(conf_shape_allows(a, b, why, sizeof(why)), said == NULL);
	assert_string_equal(why, said ? said : "");
	conf_free(a);
	conf_free(b);
}

static void nothing(void **state)
{
	struct conf *a = load(&plain), *b = load(&plain);

	(void)state;
	assert_true(conf_shape_same(a, b));
	conf_free(a);
	conf_free(b);
	expect(&plain, &plain, NULL);
}

static void what_is_free(void **state)
{
	struct variant v = plain;
	struct conf *a, *b;

	(void)state;
	v.users = USER_A ", " USER_B;
	v.rules = "{\"ip\": [\"10.0.0.0/8\"], \"outboundTag\": \"to.b\"}";
	v.hosts = "\"a.test\": \"10.0.0.1\", \"b.test\": \"10.0.0.2\"";
	expect(&plain, &v, NULL);
	a = load(&plain);
	b = load(&v);
	assert_false(conf_shape_same(a, b));
	conf_free(a);
	conf_free(b);
	v.users = USER_B ", " USER_A;
	expect(&plain, &v, NULL);
}

static void users_who_would_be_cut_off(void **state)
{
	static const char lost[] = "inbounds[0] (in) has lost a user, or one has changed";
	struct variant two = plain, v = plain;

	(void)state;
	two.users = USER_A ", " USER_B;
	expect(&two, &plain, lost);
	v.users = "{\"id\": " ID_B ", \"email\": \"a\"}";
	expect(&plain, &v, lost);
	v.users = "{\"id\": " ID_A ", \"email\": \"a\", \"level\": 1}";
	expect(&plain, &v, lost);
}

static void what_is_not(void **state)
{
	struct variant v = plain;

	(void)state;
	v.port = "444";
	expect(&plain, &v, "inbounds[0] (in) has changed");
	v = plain;
	v.out_settings = "\"redirect\": \"127.0.0.1:80\"";
	expect(&plain, &v, "outbounds[0] (out) has changed");
	v = plain;
	v.log = "info";
	expect(&plain, &v, "log has changed");
	v = plain;
	v.env = "/srv";
	expect(&plain, &v, "env has changed");
	v = plain;
	v.more_in = ", {\"tag\": \"s\", \"port\": 1080, \"protocol\": \"socks\", \"settings\": {\"accounts\":"
		    " [{\"user\": \"u\", \"pass\": \"p\"}], \"auth\": \"password\"}}";
	expect(&plain, &v, "inbounds[1] (s) is new");
	expect(&v, &plain, "inbounds[1] (s) is gone");
}

/* The same keys elsewhere are not free. */
static void users_of_others(void **state)
{
	struct variant v = plain, w;

	(void)state;
	v.more_in = ", {\"tag\": \"s\", \"port\": 8388, \"protocol\": \"shadowsocks\", \"settings\": {"
		    "\"method\": \"aes-128-gcm\", \"password\": \"p\", \"clients\": []}}";
	w = v;
	w.more_in = ", {\"tag\": \"s\", \"port\": 8388, \"protocol\": \"shadowsocks\", \"settings\": {"
		    "\"method\": \"aes-128-gcm\", \"password\": \"q\", \"clients\": []}}";
	expect(&v, &w, "inbounds[1] (s) has changed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing),
		cmocka_unit_test(what_is_free),
		cmocka_unit_test(users_who_would_be_cut_off),
		cmocka_unit_test(what_is_not),
		cmocka_unit_test(users_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
