/* Freedom towards targets on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "guest.h"
#include "proto/proxyproto.h"
#include "proxy/out_freedom.h"

static void begin(struct rig *r, const struct conf_out_freedom *conf)
{
	rig_begin(r);
	r->out_conf[0].freedom = *conf;
	assert_true(rig_add_out(r, out_freedom_new(&r->core, &r->out_conf[0])));
}

static struct addr addr_of(const struct ipport *p)
{
	return addr_from_ipport(p);
}

static void hear(struct rig *r, int fd, const char *text)
{
	char got[256] = "";

	assert_int_equal(turn_read(r->l, fd, got, strlen(text)), strlen(text));
	assert_string_equal(got, text);
}

static void test_tcp_and_names(void **state)
{
	const struct conf_out_freedom conf = {.strategy = CONF_USE_IP4};
	struct ipport at;
	struct guest g;
	struct addr to;
	struct rig r;
	int lfd, t;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	addr_set_host(&to, span_str("localhost"), at.port);
	flow_dispatch(guest_visit(&r, &g, CONF_TCP, &to));
	t = rig_accept(&r, lfd);
	turn_until(r.l, g.verdicts);
	assert_int_equal(g.verdict, 0);
	assert_true(rig_write(g.fd, "hello", 5));
	hear(&r, t, "hello");
	close(t);
	guest_leave(&r, &g);
	close(lfd);
	assert_int_equal(rig_end(&r), 0);
}

static void test_refusal_is_told_as_it_is(void **state)
{
	const struct conf_out_freedom conf = {0};
	struct ipport at;
	struct guest g;
	struct addr to;
	struct rig r;

	(void)state;
	begin(&r, &conf);
	close(rig_target(SOCK_STREAM, &at));
	to = addr_of(&at);
	flow_dispatch(guest_visit(&r, &g, CONF_TCP, &to));
	turn_until(r.l, g.ended);
	assert_int_equal(g.verdict, -ERR_REFUSED);
	assert_true(turn_ends(r.l, g.fd));
	guest_leave(&r, &g);
	assert_int_equal(rig_end(&r), 0);
}

static void test_redirect(void **state)
{
	struct conf_out_freedom conf = {0};
	struct ipport at;
	struct guest g;
	struct addr to;
	struct rig r;
	int lfd, t;

	(void)state;
	rig_begin(&r);
	lfd = rig_target(SOCK_STREAM, &at);
	rig_end(&r);
	for (int i = 0; i < 3; i++) {
		/* "127.0.0.1:port", ":port", "127.0.0.1:0" */
		memset(&conf, 0, sizeof(conf));
		conf.redirect = addr_of(&at);
		addr_set_host(&to, span_str(i == 1 ? "127.0.0.1" : "192.0.2.1"),
			      i == 2 ? at.port : 9);
		if (i == 1)
			conf.redirect.kind = ADDR_NONE;
		if (i == 2)
			conf.redirect.port = 0;
		begin(&r, &conf);
		flow_dispatch(guest_visit(&r, &g, CONF_TCP, &to));
		t = rig_accept(&r, lfd);
		close(t);
		guest_leave(&r, &g);
		assert_int_equal(rig_end(&r), 0);
	}
	close(lfd);
}

static struct prefix prefix_of(const char *text)
{
	struct prefix p;

	assert_int_equal(prefix_parse(&p, span_str(text)), 0);
	return p;
}

/* 198.18.7.1 is 127.0.0.1 here; what no map has stays as it is, and the port stays anyhow. */
static void test_map(void **state)
{
	const struct conf_map maps[] = {
		{.from = prefix_of("198.18.8.0/24"), .to = prefix_of("192.0.2.0/24")},
		{.from = prefix_of("198.18.0.0/15"), .to = prefix_of("127.0.0.0/15")},
	};
	const struct conf_out_freedom conf = {.maps = maps, .n_maps = 2};
	struct ipport at;
	struct guest g;
	struct addr to;
	struct rig r;
	int lfd, t;

	(void)state;
	for (int i = 0; i < 2; i++) {
		begin(&r, &conf);
		lfd = rig_target(SOCK_STREAM, &at);
		addr_set_host(&to, span_str(i ? "127.0.0.1" : "198.18.0.1"), at.port);
		flow_dispatch(guest_visit(&r, &g, CONF_TCP, &to));
		t = rig_accept(&r, lfd);
		close(t);
		guest_leave(&r, &g);
		close(lfd);
		assert_int_equal(rig_end(&r), 0);
	}
}

/* Answers come from the address that was asked, not from the one it stands for. */
static void test_map_udp(void **state)
{
	const struct conf_map map = {.from = prefix_of("198.18.0.0/24"),
				     .to = prefix_of("127.0.0.0/24")};
	const struct conf_out_freedom conf = {.maps = &map, .n_maps = 1};
	struct ipport at, from;
	struct guest g;
	struct addr to;
	struct rig r;
	char got[16];
	int t;

	(void)state;
	begin(&r, &conf);
	t = rig_target(SOCK_DGRAM, &at);
	addr_set_host(&to, span_str("198.18.0.1"), at.port);
	flow_dispatch(guest_visit(&r, &g, CONF_UDP, &to));
	guest_put(&g, &to, "ask");
	assert_int_equal(rig_recv(&r, t, got, sizeof(got), &from), 3);
	assert_true(rig_sendto(t, "answer", 6, &from));
	turn_until(r.l, g.got_n);
	assert_memory_equal(g.got, "answer", 6);
	assert_true(addr_eq(&g.from, &to));
	close(t);
	assert_int_equal(rig_end(&r), 0);
}

static void test_proxy_headers(void **state)
{
	struct conf_out_freedom conf = {.proxy_protocol = 1};
	struct proxyproto p;
	uint8_t got[64];
	char text[128];
	struct ipport at;
	struct guest g;
	struct addr to;
	struct rig r;
	int lfd, t;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	to = addr_of(&at);
	flow_dispatch(guest_visit(&r, &g, CONF_TCP, &to));
	t = rig_accept(&r, lfd);
	assert_true(rig_write(g.fd, "data", 4));
	snprintf(text, sizeof(text), "PROXY TCP4 127.0.0.1 127.0.0.1 50000 %u\r\ndata", at.port);
	hear(&r, t, text);
	close(t);
	guest_leave(&r, &g);
	assert_int_equal(rig_end(&r), 0);

	conf.proxy_protocol = 2;
	begin(&r, &conf);
	flow_dispatch(guest_visit(&r, &g, CONF_TCP, &to));
	t = rig_accept(&r, lfd);
	assert_int_equal(turn_read(r.l, t, got, 28), 28);
	assert_int_equal(proxyproto_decode(&p, span_of(got, 28)), 28);
	assert_int_equal(p.transport, PROXYPROTO_STREAM);
	assert_int_equal(p.source.port, 50000);
	assert_true(ipport_eq(&p.target, &at));
	close(t);
	guest_leave(&r, &g);
	close(lfd);
	assert_int_equal(rig_end(&r), 0);
}

/* What is forbidden is neither refused nor dialled; bytes disappear; leaving ends it. */
static void test_swallowing(void **state)
{
	struct conf_out_freedom conf = {0};
	const struct conf_final_rule quick = {.block_delay_s = {1, 1}};
	static char big[1 << 18];
	struct ipport at;
	struct guest g;
	struct addr to;
	struct flow *f;
	struct rig r;
	int lfd;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	addr_set_host(&to, span_str("localhost"), at.port);
	f = guest_visit(&r, &g, CONF_TCP, &to);
	f->origin = FLOW_FROM_SERVER;
	flow_dispatch(f);
	for (size_t n = 0; n < sizeof(big);) {
		ssize_t put_n = write(g.fd, big, sizeof(big) - n);

		if (put_n > 0)
			n += (size_t)put_n;
		turn_once(r.l);
	}
	assert_int_equal(g.verdicts, 0);
	guest_leave(&r, &g);
	assert_int_equal(g.verdict, -ERR_BLOCKED);
	assert_int_equal(accept4(lfd, NULL, NULL, SOCK_NONBLOCK), -1);
	/* Given up while it is swallowed. */
	f = guest_visit(&r, &g, CONF_TCP, &to);
	f->origin = FLOW_FROM_REVERSE;
	flow_dispatch(f);
	turn_idle(r.l);
	flow_abort(f, -ERR_CLOSED);
	close(g.fd);
	assert_int_equal(rig_end(&r), 0);

	conf.final_rules = &quick;
	conf.n_final_rules = 1;
	begin(&r, &conf);
	flow_dispatch(guest_visit(&r, &g, CONF_TCP, &to));
	turn_until(r.l, g.ended);
	assert_int_equal(g.verdict, -ERR_BLOCKED);
	close(g.fd);
	close(lfd);
	assert_int_equal(rig_end(&r), 0);
}

static void test_giving_up_while_dialling(void **state)
{
	const struct conf_out_freedom conf = {0};
	struct guest g;
	struct addr to;
	struct flow *f;
	struct rig r;

	(void)state;
	begin(&r, &conf);
	addr_set_host(&to, span_str("127.0.0.1"), 9);
	f = guest_visit(&r, &g, CONF_TCP, &to);
	flow_dispatch(f);
	flow_abort(f, -ERR_CLOSED);
	close(g.fd);
	assert_int_equal(rig_end(&r), 0);
}

static void test_udp(void **state)
{
	const struct conf_out_freedom conf = {0};
	struct ipport at1, at2, from, from2;
	struct addr to1, to2;
	struct guest g;
	struct rig r;
	char got[64];
	int t1, t2;

	(void)state;
	begin(&r, &conf);
	t1 = rig_target(SOCK_DGRAM, &at1);
	t2 = rig_target(SOCK_DGRAM, &at2);
	to1 = addr_of(&at1);
	addr_set_host(&to2, span_str("localhost"), at2.port);
	flow_dispatch(guest_visit(&r, &g, CONF_UDP, &to1));
	guest_put(&g, &to1, "one");
	assert_int_equal(rig_recv(&r, t1, got, sizeof(got), &from), 3);
	guest_put(&g, &to2, "two");
	assert_int_equal(rig_recv(&r, t2, got, sizeof(got), &from2), 3);
	assert_true(ipport_eq(&from, &from2));
	assert_true(rig_sendto(t2, "answer", 6, &from));
	turn_until(r.l, g.got_n);
	assert_memory_equal(g.got, "answer", 6);
	to2 = addr_of(&at2);
	assert_true(addr_eq(&g.from, &to2));
	close(t1);
	close(t2);
	assert_int_equal(rig_end(&r), 0);
}

static void test_udp_blocked(void **state)
{
	const struct conf_port_range good = {53, 65535};
	struct conf_final_rule rules[] = {
		{.allow = true, .ports = {&good, 1, true}},
		{.allow = false},
	};
	const struct conf_out_freedom conf = {.final_rules = rules, .n_final_rules = 2};
	struct ipport at, from;
	struct addr to, bad;
	struct guest g;
	struct rig r;
	char got[64];
	int t;

	(void)state;
	begin(&r, &conf);
	t = rig_target(SOCK_DGRAM, &at);
	to = addr_of(&at);
	addr_set_host(&bad, span_str("127.0.0.1"), 7);
	flow_dispatch(guest_visit(&r, &g, CONF_UDP, &bad));
	guest_put(&g, &bad, "lost");
	guest_put(&g, &to, "through");
	assert_int_equal(rig_recv(&r, t, got, sizeof(got), &from), 7);
	close(t);
	assert_int_equal(rig_end(&r), 0);
}

/* By way of another outbound: packets and answers pass, the rules hold all the same. */
static void test_udp_through_another(void **state)
{
	struct conf_port_range closed;
	struct conf_final_rule rule = {.ports = {&closed, 1, true}};
	const struct conf_out_freedom conf = {.final_rules = &rule, .n_final_rules = 1}, plain = {0};
	struct ipport at, bad_at, from;
	struct addr to, bad;
	struct guest g;
	struct rig r;
	char got[64];
	int t, bad_t;

	(void)state;
	t = rig_target(SOCK_DGRAM, &at);
	bad_t = rig_target(SOCK_DGRAM, &bad_at);
	closed = (struct conf_port_range){bad_at.port, bad_at.port};
	rig_begin(&r);
	r.out_conf[0].freedom = conf;
	r.out_conf[0].stream.sockopt.dialer_proxy = "hub";
	r.out_conf[1].freedom = plain;
	r.out_conf[1].tag = "hub";
	assert_true(rig_add_out(&r, out_freedom_new(&r.core, &r.out_conf[0])));
	assert_true(rig_add_out(&r, out_freedom_new(&r.core, &r.out_conf[1])));
	to = addr_of(&at);
	bad = addr_of(&bad_at);
	flow_dispatch(guest_visit(&r, &g, CONF_UDP, &to));
	guest_put(&g, &bad, "lost");
	guest_put(&g, &to, "through");
	assert_int_equal(rig_recv(&r, t, got, sizeof(got), &from), 7);
	assert_int_equal(recv(bad_t, got, sizeof(got), 0), -1);
	assert_true(rig_sendto(t, "answer", 6, &from));
	turn_until(r.l, g.got_n);
	assert_memory_equal(g.got, "answer", 6);
	assert_true(addr_eq(&g.from, &to));
	close(t);
	close(bad_t);
	assert_int_equal(rig_end(&r), 0);
}

static void test_udp_redirect_header_and_noises(void **state)
{
	const struct conf_noise noises[] = {
		{.packet = {(const uint8_t *)"noise", 5}, .delay_ms = {1, 2}, .ipv4 = true},
		{.packet = {(const uint8_t *)"six", 3}, .ipv6 = true},
		{.random = true, .random_len = {7, 7}, .ipv4 = true, .ipv6 = true},
	};
	struct conf_out_freedom conf = {.proxy_protocol = 2, .noises = noises, .n_noises = 3};
	struct ipport at, from;
	struct proxyproto p;
	struct addr to;
	struct guest g;
	struct rig r;
	uint8_t got[64];
	int t;

	(void)state;
	rig_begin(&r);
	t = rig_target(SOCK_DGRAM, &at);
	rig_end(&r);
	conf.redirect = addr_of(&at);
	begin(&r, &conf);
	addr_set_host(&to, span_str("192.0.2.7"), 4000);
	flow_dispatch(guest_visit(&r, &g, CONF_UDP, &to));
	guest_put(&g, &to, "first");
	guest_put(&g, &to, "second");
	assert_int_equal(rig_recv(&r, t, got, sizeof(got), &from), 5);
	assert_memory_equal(got, "noise", 5);
	assert_int_equal(rig_recv(&r, t, got, sizeof(got), &from), 7);
	assert_int_equal(rig_recv(&r, t, got, sizeof(got), &from), 28 + 5);
	assert_int_equal(proxyproto_decode(&p, span_of(got, 33)), 28);
	assert_int_equal(p.transport, PROXYPROTO_DGRAM);
	assert_true(ipport_eq(&p.target, &at));
	assert_int_equal(p.source.port, 50000);
	assert_int_equal(rig_recv(&r, t, got, sizeof(got), &from), 6);
	assert_memory_equal(got, "second", 6);
	assert_true(rig_sendto(t, "x", 1, &from));
	turn_until(r.l, g.got_n);
	assert_int_equal(g.from.kind, ADDR_NONE);
	close(t);
	assert_int_equal(rig_end(&r), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp_and_names),
		cmocka_unit_test(test_refusal_is_told_as_it_is),
		cmocka_unit_test(test_redirect),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_map_udp),
		cmocka_unit_test(test_proxy_headers),
		cmocka_unit_test(test_swallowing),
		cmocka_unit_test(test_giving_up_while_dialling),
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_udp_blocked),
		cmocka_unit_test(test_udp_through_another),
		cmocka_unit_test(test_udp_redirect_header_and_noises),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
