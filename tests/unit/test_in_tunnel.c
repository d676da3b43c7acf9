/* The tunnel inbound: its targets, TCP and UDP through freedom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "proxy/in_tunnel.h"
#include "proxy/out_freedom.h"
#include "proxy/tunnel_target.h"
#include "rig.h"

static struct ipport at(const char *ip, uint16_t port)
{
	struct ipport p;

	memset(&p, 0, sizeof(p));
	p.port = port;
	if (*ip)
		assert_int_equal(ip_parse(&p.ip, span_str(ip)), 0);
	return p;
}

static void expect(const struct conf_in_tunnel *conf, const char *ip, uint16_t port,
		   const char *want)
{
	struct ipport local = at(ip, port);
	struct addr to = tunnel_fixed(conf, &local);
	char text[ADDR_TEXT_MAX];

	assert_string_equal(addr_text(&to, text, sizeof(text)), want);
}

static void test_fixed_targets(void **state)
{
	struct conf_port_map map[3] = {{.local = 5555}, {.local = 5556}, {.local = 5557}};
	struct conf_in_tunnel conf = {0};

	(void)state;
	expect(&conf, "10.0.0.1", 80, "127.0.0.1:80");
	expect(&conf, "fd00::1", 80, "[::1]:80");
	expect(&conf, "", 0, "localhost:0");
	conf.rewrite.port = 443;
	expect(&conf, "10.0.0.1", 80, "127.0.0.1:443");
	addr_set_host(&conf.rewrite, span_str("example.com"), 0);
	expect(&conf, "10.0.0.1", 80, "example.com:80");
	/* "host:port", ":port", "host:" */
	addr_set_host(&map[0].to, span_str("a.example"), 1);
	map[1].to.port = 2;
	addr_set_host(&map[2].to, span_str("c.example"), 0);
	conf.rewrite.port = 443;
	conf.map = map;
	conf.n_map = 3;
	expect(&conf, "10.0.0.1", 5555, "a.example:1");
	expect(&conf, "10.0.0.1", 5556, "example.com:2");
	expect(&conf, "10.0.0.1", 5557, "c.example:443");
	expect(&conf, "10.0.0.1", 5558, "example.com:443");
}

static void test_followed_targets(void **state)
{
	const struct conf_port_range port = {12345, 12346};
	struct conf_inbound in = {.listen = {.ports = {&port, 1, true}},
				  .tunnel = {.follow_redirect = true}};
	struct tunnel_arrival a = {.local = at("127.0.0.1", 12345), .sni = ""};
	char text[ADDR_TEXT_MAX];
	struct addr to;

	(void)state;
	assert_int_equal(tunnel_target(&to, &in, &a), -ERR_UNSUPPORTED);
	a.sni = "example.com";
	assert_int_equal(tunnel_target(&to, &in, &a), 0);
	assert_string_equal(addr_text(&to, text, sizeof(text)), "example.com:12345");
	addr_set_host(&in.tunnel.rewrite, span_str("192.0.2.1"), 9);
	assert_int_equal(tunnel_target(&to, &in, &a), 0);
	assert_string_equal(addr_text(&to, text, sizeof(text)), "192.0.2.1:9");
	a.original = at("198.51.100.1", 12345); /* the same port, but not of this host */
	assert_int_equal(tunnel_target(&to, &in, &a), 0);
	assert_string_equal(addr_text(&to, text, sizeof(text)), "198.51.100.1:12345");
	a.original = at("127.0.0.1", 12346);
	assert_int_equal(tunnel_target(&to, &in, &a), -ERR_LOOP);
	in.listen.kind = CONF_LISTEN_IP;
	in.listen.ip = at("127.0.0.2", 0).ip;
	assert_int_equal(tunnel_target(&to, &in, &a), 0);
	a.original = at("127.0.0.2", 12345);
	assert_int_equal(tunnel_target(&to, &in, &a), -ERR_LOOP);
}

static void test_tcp(void **state)
{
	struct ipport target;
	struct rig r;
	char got[8] = "";
	int lfd, c, t;

	(void)state;
	rig_begin(&r);
	lfd = rig_target(SOCK_STREAM, &target);
	r.in_conf[0].tunnel.networks = CONF_TCP;
	r.in_conf[0].tunnel.rewrite = addr_from_ipport(&target);
	assert_true(rig_add_out(&r, out_freedom_new(&r.core, &r.out_conf[0])));
	assert_true(rig_add_in(&r, in_tunnel_new(&r.core, &r.in_conf[0])));
	c = rig_client(&r, 0);
	t = rig_accept(&r, lfd);
	assert_true(rig_write(t, "hello", 5));
	assert_int_equal(turn_read(r.l, c, got, 5), 5);
	close(c);
	assert_true(turn_ends(r.l, t));
	close(t);
	close(lfd);
	/* A connection to ourselves. */
	r.in_conf[0].tunnel.follow_redirect = true;
	r.in_conf[0].tunnel.rewrite.kind = ADDR_NONE;
	c = rig_client(&r, 0);
	assert_true(turn_ends(r.l, c));
	close(c);
	turn_until(r.l, rig_flows(&r) == 0);
	assert_int_equal(rig_end(&r), 0);
}

/* A port that was free a moment ago: the configuration has no way to say "any". */
static struct ipport free_port(void)
{
	struct ipport p;

	close(rig_target(SOCK_DGRAM, &p));
	return p;
}

static void test_udp(void **state)
{
	struct ipport target, me1, me2, here, from1, from2, from;
	struct conf_port_range port;
	struct rig r;
	char got[16];
	int t, c1, c2, tries = 0;

	(void)state;
	rig_begin(&r);
	t = rig_target(SOCK_DGRAM, &target);
	r.in_conf[0].tunnel.networks = CONF_UDP;
	r.in_conf[0].tunnel.rewrite = addr_from_ipport(&target);
	r.in_conf[0].listen.kind = CONF_LISTEN_IP;
	r.in_conf[0].listen.ports = (struct conf_ports){&port, 1, true};
	assert_true(rig_add_out(&r, out_freedom_new(&r.core, &r.out_conf[0])));
	assert_true(rig_add_in(&r, in_tunnel_new(&r.core, &r.in_conf[0])));
	assert_null(r.in[0]->ops->serve);
	do {
		here = free_port();
		port = (struct conf_port_range){here.port, here.port};
		r.in_conf[0].listen.ip = here.ip;
	} while (r.in[0]->ops->start(r.in[0]) != 0 && ++tries < 20);
	assert_int_not_equal(tries, 20);
	c1 = rig_target(SOCK_DGRAM, &me1);
	c2 = rig_target(SOCK_DGRAM, &me2);
	assert_true(rig_sendto(c1, "one", 3, &here));
	assert_int_equal(rig_recv(&r, t, got, sizeof(got), &from1), 3);
	assert_true(rig_sendto(c2, "two", 3, &here));
	assert_int_equal(rig_recv(&r, t, got, sizeof(got), &from2), 3);
	assert_false(ipport_eq(&from1, &from2)); /* two clients, two flows */
	assert_true(rig_sendto(t, "1st", 3, &from1));
	assert_true(rig_sendto(t, "2nd", 3, &from2));
	assert_int_equal(rig_recv(&r, c1, got, sizeof(got), &from), 3);
	assert_memory_equal(got, "1st", 3);
	assert_true(ipport_eq(&from, &here));
	assert_int_equal(rig_recv(&r, c2, got, sizeof(got), &from), 3);
	assert_memory_equal(got, "2nd", 3);
	assert_true(rig_sendto(c1, "more", 4, &here));
	assert_int_equal(rig_recv(&r, t, got, sizeof(got), &from), 4);
	assert_true(ipport_eq(&from, &from1));
	assert_int_equal(rig_flows(&r), 2);
	close(c1);
	close(c2);
	close(t);
	assert_int_equal(rig_end(&r), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixed_targets),
		cmocka_unit_test(test_followed_targets),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_udp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
