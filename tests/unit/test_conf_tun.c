/* What the settings of "tun" become, and that our own sockets get their mark. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"

static struct conf *load(const char *text)
{
	struct conf_msgs msgs = {NULL, 0, 0, 0, 0};
	struct conf *c = conf_load_text("t.json", span_str(text), &msgs);
	char line[1024];

	for (size_t i = 0; !c && i < msgs.n; i++)
		print_message("%s\n", conf_msg_text(&msgs.v[i], line, sizeof(line)));
	conf_msgs_free(&msgs);
	assert_non_null(c);
	return c;
}

static void settings_are_read(void **state)
{
	struct conf *c = load("{\"inbounds\":[{\"tag\":\"t\",\"protocol\":\"tun\",\"settings\":{"
			      "\"name\":\"vpn0\",\"MTU\":9000,\"gateway\":[\"10.77.0.2/24\"],"
			      "\"autoSystemRoutingTable\":[\"default\",\"fd00::/8\"],"
			      "\"exclude\":[\"192.168.0.0/16\"],\"dns\":[\"10.77.0.1\"],"
			      "\"dnsDomains\":[\"vpn.test\"],\"table\":7,\"mark\":8,\"priority\":9,"
			      "\"killSwitch\":true,\"ping\":\"off\",\"earlyAccept\":true}}],"
			      "\"outbounds\":[{\"protocol\":\"freedom\"}]}");
	const struct conf_inbound *in = conf_tun_find(c);
	const struct conf_in_tun *t = &in->tun;
	char text[64];

	(void)state;
	assert_ptr_equal(in, &c->inbounds[0]);
	assert_string_equal(t->name, "vpn0");
	assert_int_equal(t->mtu, 9000);
	assert_int_equal(t->n_addrs, 1);
	assert_string_equal(ip_text(&t->addrs[0].ip, text, sizeof(text)), "10.77.0.2");
	assert_int_equal(t->addrs[0].len, 24);
	assert_int_equal(t->n_routes, 3);
	assert_true(t->default4 && t->default6);
	assert_int_equal(t->routes[2].len, 8);
	assert_int_equal(t->n_excludes, 1);
	assert_int_equal(t->n_dns, 1);
	assert_int_equal(t->dns_domains.n, 1);
	assert_int_equal(t->table, 7);
	assert_int_equal(t->mark, 8);
	assert_int_equal(t->priority, 9);
	assert_true(t->kill_switch && t->early_accept);
	assert_int_equal(t->ping, CONF_TUN_PING_OFF);
	conf_free(c);
}

static void defaults_hold(void **state)
{
	struct conf *c = load("{\"inbounds\":[{\"protocol\":\"tun\"}],"
			      "\"outbounds\":[{\"protocol\":\"freedom\"}]}");
	const struct conf_in_tun *t = &conf_tun_find(c)->tun;

	(void)state;
	assert_string_equal(t->name, CONF_TUN_NAME);
	assert_int_equal(t->mtu, CONF_TUN_MTU);
	assert_int_equal(t->table, 0);
	assert_int_equal(t->mark, CONF_TUN_MARK);
	assert_int_equal(t->priority, CONF_TUN_PRIORITY);
	assert_int_equal(t->ping, CONF_TUN_PING_FORWARD);
	assert_false(t->kill_switch || t->early_accept || t->default4 || t->default6);
	/* Nobody but the user leads anything into this device, perhaps without being root. */
	assert_int_equal(c->own.mark, 0);
	assert_int_equal(c->outbounds[0].stream.sockopt.mark, 0);
	conf_free(c);
}

static void own_sockets_are_marked(void **state)
{
	struct conf *c = load(
		"{\"inbounds\":[{\"protocol\":\"socks\",\"port\":1080},"
		"{\"protocol\":\"tun\",\"settings\":{\"routes\":[\"default\"],"
		"\"autoOutboundsInterface\":\"eth7\"}}],\"outbounds\":[{\"protocol\":\"freedom\"},"
		"{\"tag\":\"b\",\"protocol\":\"freedom\",\"streamSettings\":{\"sockopt\":"
		"{\"mark\":5,\"interface\":\"eth8\"}}}]}");

	(void)state;
	assert_int_equal(c->own.mark, CONF_TUN_MARK);
	assert_string_equal(c->own.interface, "eth7");
	assert_int_equal(c->inbounds[0].stream.sockopt.mark, CONF_TUN_MARK);
	assert_int_equal(c->outbounds[0].stream.sockopt.mark, CONF_TUN_MARK);
	assert_string_equal(c->outbounds[0].stream.sockopt.interface, "eth7");
	assert_int_equal(c->outbounds[1].stream.sockopt.mark, 5);
	assert_string_equal(c->outbounds[1].stream.sockopt.interface, "eth8");
	conf_free(c);
}

static void the_target_of_reality_too(void **state)
{
	struct conf *c = load(
		"{\"inbounds\":[{\"protocol\":\"vless\",\"port\":443,\"settings\":{\"decryption\":"
		"\"none\",\"clients\":[]},\"streamSettings\":{\"security\":\"reality\","
		"\"realitySettings\":{\"target\":\"example.com:443\",\"serverNames\":[\"example.com\"],"
		"\"privateKey\":\"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA\",\"shortIds\":[\"\"]}}},"
		"{\"protocol\":\"tun\",\"settings\":{\"routes\":[\"default\"],\"mark\":77}}],"
		"\"outbounds\":[{\"protocol\":\"freedom\"}]}");

	(void)state;
	assert_non_null(c->inbounds[0].stream.reality);
	assert_int_equal(c->inbounds[0].stream.reality->own->mark, 77);
	conf_free(c);
}

static void without_a_tun_nothing_is_marked(void **state)
{
	struct conf *c = load("{\"inbounds\":[{\"protocol\":\"socks\",\"port\":1080}],"
			      "\"outbounds\":[{\"protocol\":\"freedom\"}]}");

	(void)state;
	assert_null(conf_tun_find(c));
	assert_int_equal(c->own.mark, 0);
	assert_int_equal(c->outbounds[0].stream.sockopt.mark, 0);
	assert_string_equal(c->own.interface, "");
	conf_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_are_read),
		cmocka_unit_test(defaults_hold),
		cmocka_unit_test(own_sockets_are_marked),
		cmocka_unit_test(the_target_of_reality_too),
		cmocka_unit_test(without_a_tun_nothing_is_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
