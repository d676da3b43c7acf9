/* Freedom's last word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "flow/final_rules.h"

static struct ipport at(const char *ip, uint16_t port)
{
	struct ipport p = {.port = port};

	assert_int_equal(ip_parse(&p.ip, span_str(ip)), 0);
	return p;
}

static bool ask(const struct final_rules *r, enum flow_origin origin, unsigned net,
		const char *ip, uint16_t port, struct conf_range *delay)
{
	struct ipport to = at(ip, port);

	return final_rules_allow(r, origin, net, &to, delay);
}

static void test_built_in(void **state)
{
	struct route_report report = {0};
	struct lists *lists = lists_new();
	struct final_rules *r = final_rules_new(NULL, 0, lists, &report);
	struct conf_range d;

	(void)state;
	assert_non_null(r);
	assert_true(ask(r, FLOW_FROM_LOCAL, CONF_TCP, "127.0.0.1", 80, &d));
	assert_true(ask(r, FLOW_FROM_LOCAL, CONF_UDP, "192.168.1.1", 53, &d));
	assert_true(ask(r, FLOW_FROM_SERVER, CONF_TCP, "8.8.8.8", 443, &d));
	assert_true(ask(r, FLOW_FROM_SERVER, CONF_TCP, "2606:4700::1111", 443, &d));
	assert_false(ask(r, FLOW_FROM_SERVER, CONF_TCP, "127.0.0.1", 80, &d));
	assert_int_equal(d.from, 30);
	assert_int_equal(d.to, 90);
	assert_false(ask(r, FLOW_FROM_SERVER, CONF_UDP, "100.64.0.1", 53, &d));
	assert_false(ask(r, FLOW_FROM_SERVER, CONF_TCP, "fd00::1", 80, &d));
	assert_false(ask(r, FLOW_FROM_REVERSE, CONF_TCP, "8.8.8.8", 443, &d));
	final_rules_free(r);
	lists_free(lists);
}

static void test_first_rule_that_fits_wins(void **state)
{
	static const char *const lan[] = {"192.168.1.0/24", "fd00::/8"};
	static const char *const all_private[] = {"geoip:private"};
	static const struct conf_port_range web[] = {{80, 80}, {8000, 8099}};
	static const struct conf_final_rule rules[] = {
		{.allow = false, .networks = CONF_UDP, .block_delay_s = {1, 2}},
		{.allow = true, .ips = {lan, 2}, .ports = {web, 2, true}},
		{.allow = false, .ips = {all_private, 1}, .block_delay_s = {3, 4}},
		{.allow = false, .ports = {NULL, 0, true}}, /* no port fits an empty list */
		{.allow = true},
	};
	struct route_report report = {0};
	struct lists *lists = lists_new();
	struct final_rules *r = final_rules_new(rules, 5, lists, &report);
	struct conf_range d;

	(void)state;
	assert_non_null(r);
	assert_false(ask(r, FLOW_FROM_LOCAL, CONF_UDP, "8.8.8.8", 53, &d));
	assert_int_equal(d.to, 2);
	assert_true(ask(r, FLOW_FROM_REVERSE, CONF_TCP, "192.168.1.5", 8099, &d));
	assert_true(ask(r, FLOW_FROM_SERVER, CONF_TCP, "fd00::1", 80, &d));
	assert_false(ask(r, FLOW_FROM_LOCAL, CONF_TCP, "192.168.1.5", 22, &d));
	assert_int_equal(d.to, 4);
	assert_false(ask(r, FLOW_FROM_LOCAL, CONF_TCP, "192.168.2.5", 80, &d));
	assert_true(ask(r, FLOW_FROM_REVERSE, CONF_TCP, "8.8.8.8", 1, &d));
	final_rules_free(r);
	lists_free(lists);
}

static void count(void *ctx, enum route_level level, const struct conf_at *place, const char *text)
{
	(void)level;
	(void)text;
	assert_int_equal(place->line, 7);
	++*(int *)ctx;
}

static void test_bad_rule_is_reported(void **state)
{
	static const char *const bad[] = {"10.0.0.0/33"};
	static const struct conf_final_rule rules[] = {{.at = {"a.json", 7, "x"}, .ips = {bad, 1}}};
	int n = 0;
	struct route_report report = {.msg = count, .ctx = &n};
	struct lists *lists = lists_new();

	(void)state;
	assert_null(final_rules_new(rules, 1, lists, &report));
	assert_int_equal(n, 1);
	lists_free(lists);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_built_in),
		cmocka_unit_test(test_first_rule_that_fits_wins),
		cmocka_unit_test(test_bad_rule_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
