/* The dns outbound: rules, the built-in resolver, forwarding by both networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "fakedns.h"
#include "guest.h"
#include "proto/dnsmsg.h"
#include "proxy/dns_rules.h"
#include "proxy/out_dns.h"

static void test_rules(void **state)
{
	static const char *const ads[] = {"domain:ads.example"};
	static const struct conf_port_range txt = {16, 16}, any_type[] = {{2, 27}};
	static const struct conf_dns_rule rules[] = {
		{.action = CONF_DNS_RETURN, .rcode = 3, .domains = {ads, 1}},
		{.action = CONF_DNS_DIRECT, .qtypes = {&txt, 1, true}},
		{.action = CONF_DNS_DROP, .qtypes = {any_type, 1, true}},
		{.action = CONF_DNS_HIJACK, .qtypes = {NULL, 0, true}},
	};
	static const struct {
		uint16_t type;
		const char *name;
		enum conf_dns_action action;
		uint8_t rcode;
	} v[] = {
		{1, "x.ADS.example", CONF_DNS_RETURN, 3},
		{16, "ads.example", CONF_DNS_RETURN, 3},
		{16, "example", CONF_DNS_DIRECT, 0},
		{15, "example", CONF_DNS_DROP, 0},
		{1, "example", CONF_DNS_HIJACK, 0},
		{28, ".", CONF_DNS_HIJACK, 0},
		{65, "example", CONF_DNS_RETURN, 0},
	};
	struct route_report report = {0};
	struct lists *lists = lists_new();
	struct dns_rules *r = dns_rules_new(rules, 4, lists, &report);

	(void)state;
	assert_non_null(r);
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct dns_verdict d = dns_rules_judge(r, v[i].type, v[i].name);

		assert_int_equal(d.action, v[i].action);
		assert_int_equal(d.rcode, v[i].rcode);
	}
	dns_rules_free(r);
	lists_free(lists);
}

struct world {
	struct rig r;
	struct fakedns dns;
	struct conf_dns_server server;
	struct guest g;
	struct addr to;
};

static void begin(struct world *w, const struct conf_out_dns *conf, unsigned net)
{
	struct resolve_setup setup;

	memset(w, 0, sizeof(*w));
	memset(&setup, 0, sizeof(setup));
	rig_begin(&w->r);
	assert_true(fakedns_start(&w->dns, w->r.l, "127.0.0.1", 0));
	w->server = (struct conf_dns_server){.at.path = "dns.servers",
					     .kind = CONF_DNS_UDP,
					     .timeout_ms = 4000,
					     .addr = addr_from_ipport(&w->dns.at)};
	w->r.conf.dns = (struct conf_dns){.given = true, .servers = &w->server, .n_servers = 1};
	setup.dns = &w->r.conf.dns;
	resolver_free(w->r.core.workers[0].resolver);
	w->r.core.workers[0].resolver = resolver_new(w->r.l, &setup);
	w->r.out_conf[0].dns = *conf;
	assert_true(rig_add_out(&w->r, out_dns_new(&w->r.core, &w->r.out_conf[0])));
	addr_set_host(&w->to, span_str("192.0.2.53"), 53);
	flow_dispatch(guest_visit(&w->r, &w->g, net, &w->to));
}

static void end(struct world *w)
{
	guest_leave(&w->r, &w->g);
	fakedns_stop(&w->dns);
	assert_int_equal(rig_end(&w->r), 0);
}

static size_t query(uint8_t *out, uint16_t id, uint16_t type, const char *name)
{
	struct dnsmsg_query q = {.id = id, .recurse = true, .type = type, .class = DNSMSG_IN};
	struct wr w = wr_of(out, DNSMSG_QUERY_MAX);

	strncpy(q.name, name, DNSMSG_NAME_MAX);
	assert_int_equal(dnsmsg_query_encode(&w, &q), 0);
	return w.n;
}

static struct dnsmsg_reply ask(struct world *w, uint16_t id, uint16_t type, const char *name)
{
	uint8_t msg[DNSMSG_QUERY_MAX];
	struct dnsmsg_reply reply;
	size_t n = query(msg, id, type, name);

	w->g.got_n = 0;
	dgram_deliver(&w->g.d, &w->to, buf_copy(span_of(msg, n)));
	turn_until(w->r.l, w->g.got_n);
	assert_true(addr_eq(&w->g.from, &w->to));
	assert_true(w->g.got_n <= sizeof(w->g.got));
	assert_true(dnsmsg_reply_decode(&reply, span_of(w->g.got, w->g.got_n)) > 0);
	assert_int_equal(reply.id, id);
	return reply;
}

static void test_answered_by_the_resolver(void **state)
{
	const struct conf_out_dns conf = {0};
	struct dnsmsg_reply a;
	char text[64];
	struct world w;

	(void)state;
	begin(&w, &conf, CONF_UDP);
	a = ask(&w, 7, DNSMSG_A, "Four.test");
	assert_int_equal(a.n, 1);
	assert_string_equal(ip_text(&a.ips[0], text, sizeof(text)), "192.0.2.1");
	assert_in_range(a.ttl, 1, 300);
	assert_string_equal(a.name, "Four.test");
	a = ask(&w, 8, DNSMSG_AAAA, "four.test"); /* no address of this family: not "no such name" */
	assert_int_equal(a.rcode, DNSMSG_NOERROR);
	assert_int_equal(a.n, 0);
	a = ask(&w, 9, DNSMSG_AAAA, "none.test");
	assert_int_equal(a.rcode, DNSMSG_NXDOMAIN);
	a = ask(&w, 10, DNSMSG_A, "bad.test");
	assert_int_equal(a.rcode, DNSMSG_SERVFAIL);
	a = ask(&w, 11, 15, "four.test");
	assert_int_equal(a.rcode, DNSMSG_NOERROR);
	assert_int_equal(a.n, 0);
	/* The flow ends while a question is open. */
	w.dns.mute = true;
	guest_put(&w.g, &w.to, "not DNS");
	uint8_t msg[DNSMSG_QUERY_MAX];
	size_t n = query(msg, 1, DNSMSG_A, "six.test");

	dgram_deliver(&w.g.d, &w.to, buf_copy(span_of(msg, n)));
	turn_idle(w.r.l);
	end(&w);
}

static void test_names_of_addresses(void **state)
{
	const struct conf_out_dns conf = {0};
	const char *const nas[] = {"192.0.2.9", "2001:db8::9"}, *const all[] = {"192.0.2.10"};
	const struct conf_dns_host hosts[] = {{.rule = "domain:all.test", .values = {all, 1}},
					      {.rule = "full:nas.test", .values = {nas, 2}}};
	struct world w;

	(void)state;
	begin(&w, &conf, CONF_UDP);
	w.r.conf.dns.hosts = hosts;
	w.r.conf.dns.n_hosts = 2;
	assert_int_equal(ask(&w, 1, DNSMSG_PTR, "9.2.0.192.in-addr.arpa").rcode, 0);
	assert_memory_equal(w.g.got + w.g.got_n - 10, "\3nas\4test", 10);
	ask(&w, 2, DNSMSG_PTR, "10.2.0.192.in-addr.arpa"); /* not the name of one host */
	assert_int_equal(w.g.got[7], 0);
	ask(&w, 3, DNSMSG_PTR, "four.test");
	assert_int_equal(w.g.got[7], 0);
	end(&w);
}

static const char *const zone_names[] = {"home.test", "198.18.0.0/15", "fd64::/48"};
static const char *const zone_nas[] = {"198.18.1.20", "fd64::20"};
static const char *const zone_nick[] = {"198.18.1.20"};
static const struct conf_dns_host zone_hosts[] = {
	{.rule = "nas.paris.home.test", .values = {zone_nas, 2}},
	{.rule = "full:nick.home.test", .values = {zone_nick, 1}},
};
static const struct conf_dns_rule refuse[] = {{.action = CONF_DNS_RETURN, .rcode = 5}};
static const struct conf_out_dns zone_conf = {
	.rules = refuse, .n_rules = 1, .zones = {zone_names, 3}, .hosts = zone_hosts, .n_hosts = 2};

static void test_zone(void **state)
{
	static const struct {
		uint16_t type;
		const char *name;
		uint8_t rcode, answers, authorities;
	} v[] = {
		{DNSMSG_A, "NAS.paris.home.TEST", 0, 1, 0},
		{DNSMSG_AAAA, "nas.paris.home.test", 0, 1, 0},
		{DNSMSG_AAAA, "nick.home.test", 0, 0, 1},
		{15, "nas.paris.home.test", 0, 0, 1},
		{DNSMSG_A, "paris.home.test", 0, 0, 1}, /* there is a name below it */
		{DNSMSG_A, "home.test", 0, 0, 1},
		{DNSMSG_A, "aris.home.test", DNSMSG_NXDOMAIN, 0, 1},
		{DNSMSG_A, "x.nas.paris.home.test", DNSMSG_NXDOMAIN, 0, 1},
		{DNSMSG_PTR, "20.1.18.198.in-addr.arpa", 0, 1, 0},
		{DNSMSG_A, "20.1.18.198.in-addr.arpa", 0, 0, 1},
		{DNSMSG_PTR, "21.1.19.198.in-addr.arpa", DNSMSG_NXDOMAIN, 0, 1},
		{DNSMSG_PTR, "20.1.20.198.in-addr.arpa", DNSMSG_REFUSED, 0, 0},
		{DNSMSG_PTR, "0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.6.d.f.ip6.arpa",
		 0, 1, 0},
		{DNSMSG_A, "myhome.test", DNSMSG_REFUSED, 0, 0},
		{DNSMSG_A, "four.test", DNSMSG_REFUSED, 0, 0},
	};
	struct world w;

	(void)state;
	begin(&w, &zone_conf, CONF_UDP);
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		assert_int_equal(ask(&w, (uint16_t)i, v[i].type, v[i].name).rcode, v[i].rcode);
		assert_int_equal(w.g.got[7], v[i].answers);
		assert_int_equal(w.g.got[9], v[i].authorities);
	}
	ask(&w, 99, DNSMSG_PTR, "20.1.18.198.in-addr.arpa"); /* of two names the first */
	assert_memory_equal(w.g.got + w.g.got_n - 21, "\3nas\5paris\4home\4test", 21);
	assert_int_equal(w.dns.queries, 0);
	end(&w);
}

/* What the table does not know is asked where the address says; the rest stays refused. */
static void test_zone_forwarded(void **state)
{
	static const char *const all[] = {"test"};
	struct conf_out_dns conf = zone_conf;
	struct fakedns up;
	struct loop *l = loop_new(1);
	struct world w;

	(void)state;
	assert_true(fakedns_start(&up, l, "127.0.0.1", 0)); /* for a port that is free */
	conf.rewrite = addr_from_ipport(&up.at);
	conf.zones = (struct conf_strs){all, 1};
	fakedns_stop(&up);
	loop_free(l);
	begin(&w, &conf, CONF_UDP);
	assert_true(fakedns_start(&up, w.r.l, "127.0.0.1", conf.rewrite.port));
	assert_int_equal(ask(&w, 1, DNSMSG_A, "nas.paris.home.test").n, 1);
	assert_int_equal(up.queries, 0);
	assert_int_equal(ask(&w, 2, DNSMSG_A, "four.test").n, 1);
	assert_int_equal(ask(&w, 3, DNSMSG_A, "none.test").rcode, DNSMSG_NXDOMAIN);
	assert_int_equal(up.queries, 2);
	assert_int_equal(ask(&w, 4, DNSMSG_A, "four.example").rcode, DNSMSG_REFUSED);
	assert_int_equal(up.queries, 2);
	fakedns_stop(&up);
	end(&w);
}

static void test_forwarded(void **state)
{
	static const struct conf_dns_rule rules[] = {{.action = CONF_DNS_DIRECT}};
	struct conf_out_dns conf = {.rules = rules, .n_rules = 1};

	(void)state;
	for (int tcp = 0; tcp < 2; tcp++) {
		struct dnsmsg_reply a;
		struct world w;
		struct fakedns up;
		struct loop *l = loop_new(1);

		/* The server's port must be known before the outbound is made. */
		assert_true(fakedns_start(&up, l, "127.0.0.1", 0));
		conf.rewrite = addr_from_ipport(&up.at);
		conf.network = tcp ? CONF_TCP : 0;
		fakedns_stop(&up);
		loop_free(l);
		begin(&w, &conf, CONF_UDP);
		assert_true(fakedns_start(&up, w.r.l, "127.0.0.1", conf.rewrite.port));
		a = ask(&w, 21, DNSMSG_A, "four.test");
		assert_int_equal(a.n, 1);
		a = ask(&w, 22, DNSMSG_A, "none.test");
		assert_int_equal(a.rcode, DNSMSG_NXDOMAIN);
		assert_int_equal(up.queries, 2);
		assert_int_equal(up.tcp_queries, tcp ? 2 : 0);
		assert_int_equal(w.dns.queries, 0);
		fakedns_stop(&up);
		end(&w);
	}
}

/* Nobody listens there: whoever asks is told, and need not wait. */
static void test_no_server(void **state)
{
	static const struct conf_dns_rule rules[] = {{.action = CONF_DNS_DIRECT}};
	struct conf_out_dns conf = {.rules = rules, .n_rules = 1};

	(void)state;
	for (int tcp = 0; tcp < 2; tcp++) {
		struct loop *l = loop_new(1);
		struct fakedns gone;
		struct world w;

		assert_true(fakedns_start(&gone, l, "127.0.0.1", 0));
		conf.rewrite = addr_from_ipport(&gone.at);
		conf.network = tcp ? CONF_TCP : 0;
		fakedns_stop(&gone);
		loop_free(l);
		begin(&w, &conf, CONF_UDP);
		for (uint16_t id = 1; id <= 3; id++)
			assert_int_equal(ask(&w, id, DNSMSG_A, "four.test").rcode,
					 DNSMSG_SERVFAIL);
		end(&w);
	}
}

/* Queries in a stream, in odd pieces, and the end of asking. */
static void test_stream(void **state)
{
	const struct conf_out_dns conf = {0};
	uint8_t msg[2 * (2 + DNSMSG_QUERY_MAX)], got[2 + 512];
	struct dnsmsg_reply a;
	struct world w;
	size_t n = 0, len;

	(void)state;
	begin(&w, &conf, CONF_TCP);
	for (uint16_t id = 1; id <= 2; id++) {
		size_t q = query(msg + n + 2, id, DNSMSG_A, id == 1 ? "four.test" : "both.test");

		msg[n] = (uint8_t)(q >> 8);
		msg[n + 1] = (uint8_t)q;
		n += 2 + q;
	}
	assert_true(rig_write(w.g.fd, msg, 5));
	turn_idle(w.r.l);
	assert_true(rig_write(w.g.fd, msg + 5, n - 5));
	shutdown(w.g.fd, SHUT_WR);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(turn_read(w.r.l, w.g.fd, got, 2), 2);
		len = (size_t)(got[0] << 8 | got[1]);
		assert_true(len <= 512);
		assert_int_equal(turn_read(w.r.l, w.g.fd, got, len), len);
		assert_true(dnsmsg_reply_decode(&a, span_of(got, len)) > 0);
		assert_int_equal(a.n, 1);
	}
	assert_true(turn_ends(w.r.l, w.g.fd));
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_answered_by_the_resolver),
		cmocka_unit_test(test_names_of_addresses),
		cmocka_unit_test(test_zone),
		cmocka_unit_test(test_zone_forwarded),
		cmocka_unit_test(test_forwarded),
		cmocka_unit_test(test_no_server),
		cmocka_unit_test(test_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
