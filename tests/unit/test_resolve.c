/* net: the resolver against name servers of the test's own, on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "fakedns.h"
#include "net/resolve.h"
#include "turn.h"

struct asker {
	struct resolve_req req;
	struct resolve_result res;
	char why[400];
	int n;
};

static void on_done(struct resolve_req *q, const struct resolve_result *res)
{
	struct asker *a = container_of(q, struct asker, req);

	a->res = *res;
	snprintf(a->why, sizeof(a->why), "%s", res->why ? res->why : "");
	a->n++;
}

/* A loop, servers and a resolver that asks them. */
struct world {
	struct loop *l;
	struct fakedns dns[2];
	struct conf_dns_server server[2];
	struct conf_dns conf;
	struct resolver *r;
};

static void world_make(struct world *w, size_t servers, const struct resolve_rules *rules)
{
	memset(w, 0, sizeof(*w));
	w->l = loop_new(0);
	for (size_t i = 0; i < 2; i++) {
		if (!fakedns_start(&w->dns[i], w->l, "127.0.0.1", 0))
			fail_msg("no port for a name server");
		w->server[i] = (struct conf_dns_server){.at.path = "dns.servers",
							.kind = CONF_DNS_UDP,
							.timeout_ms = 4000,
							.addr = addr_from_ipport(&w->dns[i].at)};
	}
	w->dns[1].v4[2] = 9;
	w->conf = (struct conf_dns){.given = true, .servers = w->server, .n_servers = servers};
	w->r = resolver_new(w->l, &(struct resolve_setup){.dns = &w->conf, .rules = rules});
	assert_non_null(w->r);
}

static void world_end(struct world *w)
{
	resolver_free(w->r);
	fakedns_stop(&w->dns[0]);
	fakedns_stop(&w->dns[1]);
	loop_free(w->l);
}

static void start(struct world *w, struct asker *a, const char *name, enum conf_strategy s)
{
	*a = (struct asker){.req.on_done = on_done};
	resolve_start(w->r, &a->req, name, s, 0);
	assert_int_equal(a->n, 0);
}

static const char *ask(struct world *w, const char *name, enum conf_strategy s)
{
	static char text[RESOLVE_MAX * 50];
	char one[50];
	struct asker a;

	start(w, &a, name, s);
	turn_until(w->l, a.n);
	assert_int_equal(a.n, 1);
	if (a.res.err) {
		snprintf(text, sizeof(text), "%s", a.why);
		return text;
	}
	text[0] = 0;
	for (unsigned i = 0; i < a.res.n; i++) {
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			 ip_text(&a.res.ip[i], one, sizeof(one)));
	}
	return text;
}

static void families_by_strategy(void **state)
{
	struct world w;
	struct asker a;

	(void)state;
	world_make(&w, 1, NULL);
	start(&w, &a, "both.test", CONF_FORCE_IP);
	turn_until(w.l, a.n);
	assert_int_equal(a.res.n, 2);
	assert_string_equal(ask(&w, "both.test", CONF_FORCE_IP4), "192.0.2.1");
	assert_string_equal(ask(&w, "both.test", CONF_FORCE_IP6), "2001:db8::1");
	assert_string_equal(ask(&w, "four.test", CONF_FORCE_IP), "192.0.2.1");
	assert_string_equal(ask(&w, "both.test", CONF_FORCE_IP46), "192.0.2.1");
	assert_string_equal(ask(&w, "both.test", CONF_FORCE_IP64), "2001:db8::1");
	assert_string_equal(ask(&w, "six.test", CONF_FORCE_IP46), "2001:db8::1");
	assert_string_equal(ask(&w, "four.test", CONF_FORCE_IP64), "192.0.2.1");
	assert_string_equal(ask(&w, "four.test", CONF_FORCE_IP6), "lookup four.test: no such host");
	assert_string_equal(ask(&w, "none.test", CONF_FORCE_IP), "lookup none.test: no such host");
	world_end(&w);
}

static void addresses_are_bounded(void **state)
{
	struct world w;
	struct asker a;

	(void)state;
	world_make(&w, 1, NULL);
	start(&w, &a, "many.test", CONF_FORCE_IP4);
	turn_until(w.l, a.n);
	assert_int_equal(a.res.n, RESOLVE_MAX);
	world_end(&w);
}

static void answers_are_kept(void **state)
{
	struct resolve_result res;
	struct asker a;
	struct world w;
	int queries;

	(void)state;
	world_make(&w, 1, NULL);
	assert_false(resolve_known(w.r, "four.test", CONF_FORCE_IP4, &res));
	assert_string_equal(ask(&w, "four.test", CONF_FORCE_IP4), "192.0.2.1");
	assert_string_equal(ask(&w, "none.test", CONF_FORCE_IP4), "lookup none.test: no such host");
	queries = w.dns[0].queries;
	assert_string_equal(ask(&w, "FOUR.test", CONF_FORCE_IP4), "192.0.2.1");
	assert_string_equal(ask(&w, "none.test", CONF_FORCE_IP4), "lookup none.test: no such host");
	assert_true(resolve_known(w.r, "Four.test", CONF_FORCE_IP4, &res));
	assert_int_equal(res.n, 1);
	assert_in_range(res.ttl, 1, 300);
	assert_true(resolve_known(w.r, "none.test", CONF_FORCE_IP4, &res));
	assert_int_equal(res.err, -ERR_RESOLVE);
	assert_true(res.none);
	assert_true(resolve_known(w.r, "::1", CONF_FORCE_IP4, &res));
	assert_int_equal(res.n, 1);
	assert_int_equal(w.dns[0].queries, queries);
	assert_string_equal(ask(&w, "10.1.2.3", CONF_AS_IS), "10.1.2.3");
	/* "There is none" is not "nobody knows". */
	start(&w, &a, "bad.test", CONF_FORCE_IP4);
	turn_until(w.l, a.n);
	assert_int_equal(a.res.err, -ERR_RESOLVE);
	assert_false(a.res.none);

	/* The network changed. */
	w.dns[0].v4[3] = 77;
	resolver_refresh(w.r);
	assert_string_equal(ask(&w, "four.test", CONF_FORCE_IP4), "192.0.2.77");

	/* Unless the configuration says that nothing is kept. */
	w.conf.disable_cache = true;
	queries = w.dns[0].queries;
	ask(&w, "both.test", CONF_FORCE_IP4);
	ask(&w, "both.test", CONF_FORCE_IP4);
	assert_int_equal(w.dns[0].queries, queries + 2);
	world_end(&w);
}

static void equal_questions_are_asked_once(void **state)
{
	struct asker a[4];
	struct world w;

	(void)state;
	world_make(&w, 1, NULL);
	for (int i = 0; i < 4; i++)
		start(&w, &a[i], "four.test", CONF_FORCE_IP4);
	resolve_cancel(&a[1].req);
	turn_until(w.l, a[0].n && a[2].n && a[3].n);
	assert_int_equal(w.dns[0].queries, 1);
	assert_int_equal(a[1].n, 0);
	resolve_cancel(&a[1].req);

	/* Nobody waits any more, and the answer is kept all the same. */
	struct resolve_result res;

	start(&w, &a[0], "both.test", CONF_FORCE_IP4);
	resolve_cancel(&a[0].req);
	turn_until(w.l, resolve_known(w.r, "both.test", CONF_FORCE_IP4, &res));
	assert_int_equal(a[0].n, 0);
	world_end(&w);
}

static void next_server_after_a_failure(void **state)
{
	struct world w;

	(void)state;
	world_make(&w, 2, NULL);
	w.server[0].timeout_ms = 60;
	resolver_refresh(w.r);
	w.dns[0].mute = true;
	assert_string_equal(ask(&w, "four.test", CONF_FORCE_IP4), "192.0.9.1");
	assert_string_equal(ask(&w, "bad.test", CONF_FORCE_IP4),
			    "lookup bad.test: server misbehaving");
	w.dns[0].mute = false;
	/* "No such host" is also a reason to ask the next one. */
	assert_string_equal(ask(&w, "none.test", CONF_FORCE_IP4), "lookup none.test: no such host");
	assert_string_equal(w.dns[1].last, "none.test");
	/* Each server has its families. */
	w.server[0].query = CONF_DNS_USE_IP6;
	assert_string_equal(ask(&w, "both.test", CONF_FORCE_IP4), "192.0.9.1");
	w.conf.query = CONF_DNS_USE_IP6;
	assert_string_equal(ask(&w, "both2.test", CONF_FORCE_IP4),
			    "lookup both2.test: no such host");
	world_end(&w);
}

static void silence_ends(void **state)
{
	struct asker a = {.req.on_done = on_done};
	struct world w;

	(void)state;
	world_make(&w, 1, NULL);
	resolve_start(w.r, &a.req, "silent.test", CONF_FORCE_IP4, 30);
	turn_until(w.l, a.n);
	assert_int_equal(a.res.err, -ERR_RESOLVE);
	assert_string_equal(a.why, "lookup silent.test: i/o timeout");
	/* The resolver goes while c-ares is still waiting; a request under way is forgotten. */
	start(&w, &a, "silent.test", CONF_FORCE_IP4);
	turn_idle(w.l);
	world_end(&w);
	assert_int_equal(a.n, 0);
	resolve_cancel(&a.req);
}

static void over_tcp(void **state)
{
	struct world w;

	(void)state;
	world_make(&w, 1, NULL);
	w.server[0].kind = CONF_DNS_TCP;
	resolver_refresh(w.r);
	assert_string_equal(ask(&w, "four.test", CONF_FORCE_IP4), "192.0.2.1");
	assert_int_equal(w.dns[0].tcp_queries, 1);
	world_end(&w);
}

static size_t hosts(const struct resolve_rules *r, const char *name, struct ip *ip, size_t max,
		    const char **alias)
{
	(void)r;
	(void)max;
	if (strcmp(name, "nas.home") == 0) {
		ip_parse(&ip[0], span_str("10.0.0.7"));
		return 1;
	}
	if (strcmp(name, "alias.home") == 0)
		*alias = "nas.home";
	if (strcmp(name, "far.home") == 0)
		*alias = "four.test";
	if (strcmp(name, "loop.home") == 0)
		*alias = "loop.home";
	return 0;
}

static bool matches(const struct resolve_rules *r, size_t server, const char *name)
{
	(void)r;
	return server == 1 && strcmp(name, "four.corp") == 0;
}

static bool accepts(const struct resolve_rules *r, size_t server, const struct ip *ip)
{
	(void)r;
	return server != 0 || ip->b[3] != 66;
}

static const struct resolve_rules rules = {hosts, matches, accepts};

static void host_table(void **state)
{
	struct world w;

	(void)state;
	world_make(&w, 1, &rules);
	assert_string_equal(ask(&w, "NAS.home", CONF_FORCE_IP), "10.0.0.7");
	assert_string_equal(ask(&w, "nas.home.", CONF_USE_IP), "10.0.0.7");
	assert_string_equal(ask(&w, "alias.home", CONF_FORCE_IP4), "10.0.0.7");
	assert_string_equal(ask(&w, "nas.home", CONF_FORCE_IP6), "lookup nas.home: no such host");
	assert_int_equal(w.dns[0].queries, 0);
	assert_string_equal(ask(&w, "far.home", CONF_FORCE_IP4), "192.0.2.1");
	assert_string_equal(w.dns[0].last, "four.test");
	assert_string_equal(ask(&w, "loop.home", CONF_FORCE_IP4), "lookup loop.home: no such host");
	world_end(&w);
}

static void servers_by_domain(void **state)
{
	struct world w;

	(void)state;
	world_make(&w, 2, &rules);
	assert_string_equal(ask(&w, "four.corp", CONF_FORCE_IP4), "192.0.9.1");
	assert_int_equal(w.dns[0].queries, 0);
	assert_string_equal(ask(&w, "four.test", CONF_FORCE_IP4), "192.0.2.1");
	assert_int_equal(w.dns[1].queries, 1);
	/* Only for its domains, and nobody else for those. */
	w.server[1].skip_fallback = true;
	w.conf.disable_fallback_if_match = true;
	resolver_refresh(w.r);
	ask(&w, "none.test", CONF_FORCE_IP4);
	assert_int_equal(w.dns[1].queries, 1);
	/* An answer that the first server should not give. */
	w.server[1].skip_fallback = false;
	w.dns[0].v4[3] = 66;
	assert_string_equal(ask(&w, "both.test", CONF_FORCE_IP4), "192.0.9.1");
	world_end(&w);
}

static void table_is_bounded(void **state)
{
	struct resolve_result res;
	struct world w;
	char name[32];
	struct asker a;

	(void)state;
	world_make(&w, 1, NULL);
	for (int i = 0; i <= RESOLVE_CACHE_MAX; i++) {
		snprintf(name, sizeof(name), "10.0.%d.%d", i / 256, i % 256);
		start(&w, &a, name, CONF_FORCE_IP);
		turn_idle(w.l);
		assert_int_equal(a.n, 1);
	}
	assert_string_equal(ask(&w, "four.test", CONF_FORCE_IP4), "192.0.2.1");
	assert_true(resolve_known(w.r, "four.test", CONF_FORCE_IP4, &res));
	world_end(&w);
}

static void flight_is_bounded(void **state)
{
	static struct asker a[RESOLVE_FLIGHT_MAX + 1];
	struct world w;
	char name[32];
	int told = 0;

	(void)state;
	world_make(&w, 1, NULL);
	for (int i = 0; i <= RESOLVE_FLIGHT_MAX; i++) {
		snprintf(name, sizeof(name), "silent%d.test", i);
		start(&w, &a[i], name, CONF_FORCE_IP4);
	}
	turn_idle(w.l);
	for (int i = 0; i <= RESOLVE_FLIGHT_MAX; i++)
		told += a[i].n;
	assert_int_equal(told, 1);
	assert_int_equal(a[RESOLVE_FLIGHT_MAX].res.err, -ERR_LIMIT);
	/* Asked anew when the network changes; still one answer each at most. */
	resolver_refresh(w.r);
	turn_idle(w.l);
	assert_int_equal(a[0].n, 0);
	world_end(&w);
}

/* Starts another request from the answer of the first, and gives up a third one. */
struct chain {
	struct resolve_req first, victim;
	struct asker second;
	struct resolver *r;
	int n, victim_n;
};

static void on_first(struct resolve_req *q, const struct resolve_result *res)
{
	struct chain *c = container_of(q, struct chain, first);

	assert_int_equal(res->err, 0);
	c->n++;
	resolve_cancel(&c->victim);
	c->second.req.on_done = on_done;
	resolve_start(c->r, &c->second.req, "four.test", CONF_FORCE_IP4, 0);
}

static void on_victim(struct resolve_req *q, const struct resolve_result *res)
{
	(void)res;
	container_of(q, struct chain, victim)->victim_n++;
}

static void asking_from_an_answer(void **state)
{
	struct chain c = {.first.on_done = on_first, .victim.on_done = on_victim};
	struct world w;

	(void)state;
	world_make(&w, 1, NULL);
	c.r = w.r;
	resolve_start(w.r, &c.first, "four.test", CONF_FORCE_IP4, 0);
	resolve_start(w.r, &c.victim, "four.test", CONF_FORCE_IP4, 0);
	turn_until(w.l, c.second.n);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.victim_n, 0);
	assert_int_equal(c.second.res.err, 0);
	world_end(&w);
}

/* AsIs, and the last resort of UseIP, ask the system: here "localhost", which needs no server. */
static void system_is_asked(void **state)
{
	struct world w;
	struct asker a;

	(void)state;
	world_make(&w, 1, NULL);
	start(&w, &a, "localhost", CONF_AS_IS);
	turn_until(w.l, a.n);
	assert_int_equal(a.res.err, 0);
	assert_true(ip_is_loopback(&a.res.ip[0]));
	start(&w, &a, "localhost", CONF_USE_IP4);
	turn_until(w.l, a.n);
	assert_int_equal(a.res.err, 0);
	assert_true(ip_is_loopback(&a.res.ip[0]));
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(families_by_strategy),
		cmocka_unit_test(addresses_are_bounded),
		cmocka_unit_test(answers_are_kept),
		cmocka_unit_test(equal_questions_are_asked_once),
		cmocka_unit_test(next_server_after_a_failure),
		cmocka_unit_test(silence_ends),
		cmocka_unit_test(over_tcp),
		cmocka_unit_test(host_table),
		cmocka_unit_test(servers_by_domain),
		cmocka_unit_test(table_is_bounded),
		cmocka_unit_test(flight_is_bounded),
		cmocka_unit_test(asking_from_an_answer),
		cmocka_unit_test(system_is_asked),
	};

	return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
