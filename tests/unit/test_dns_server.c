/* Configured name servers: several at once, answers that are over, queries as flows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "fakedns.h"
#include "flow/dns_flows.h"
#include "guest.h"
#include "net/resolve_entry.h"
#include "proxy/out_blackhole.h"
#include "proxy/out_freedom.h"

enum { SERVERS = 2 };

struct world {
	struct rig r;
	struct fakedns dns[SERVERS];
	struct conf_dns_server server[SERVERS];
	struct conf_dns conf;
	struct dns_flows flows;
	struct resolver *resolver;
	struct resolve_req req;
	struct resolve_result res;
	int done;
};

static void begin(struct world *w, enum conf_dns_kind kind)
{
	memset(w, 0, sizeof(*w));
	rig_begin(&w->r);
	for (int i = 0; i < SERVERS; i++) {
		assert_true(fakedns_start(&w->dns[i], w->r.l, "127.0.0.1", 0));
		w->dns[i].v4[3] = (uint8_t)(i + 1);
		w->server[i] = (struct conf_dns_server){.kind = kind,
							.timeout_ms = 2000,
							.tag = "dns-in",
							.path = "",
							.addr = addr_from_ipport(&w->dns[i].at)};
	}
	w->conf = (struct conf_dns){.given = true, .servers = w->server, .n_servers = SERVERS};
	dns_flows_init(&w->flows, &w->r.core);
}

static void start(struct world *w, bool by_flows)
{
	struct resolve_setup setup;

	memset(&setup, 0, sizeof(setup));
	setup.dns = &w->conf;
	setup.door = by_flows ? &w->flows.door : NULL;
	w->resolver = resolver_new(w->r.l, &setup);
	assert_non_null(w->resolver);
}

static void end(struct world *w)
{
	resolver_free(w->resolver);
	for (int i = 0; i < SERVERS; i++)
		fakedns_stop(&w->dns[i]);
	turn_idle(w->r.l);
	assert_int_equal(rig_end(&w->r), 0);
}

static void on_done(struct resolve_req *q, const struct resolve_result *res)
{
	struct world *w = container_of(q, struct world, req);

	w->res = *res;
	w->res.why = NULL;
	w->done++;
}

/* The last byte of the first address; 0 when there is none. */
static int ask(struct world *w, const char *name)
{
	w->done = 0;
	w->req.on_done = on_done;
	resolve_start(w->resolver, &w->req, name, CONF_FORCE_IP4, 0);
	turn_until(w->r.l, w->done);
	return w->res.err ? 0 : w->res.ip[0].b[3];
}

/* What is known is over since @ms. */
static void age(struct world *w, uint64_t ms)
{
	struct resolve_entry *e;

	list_each(e, &w->resolver->lru, lru)
		e->until = e->over = loop_now(w->r.l) - ms;
}

static void straight(void **state)
{
	static const enum conf_dns_kind kinds[] = {CONF_DNS_UDP, CONF_DNS_TCP};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world w;

		begin(&w, kinds[i]);
		start(&w, false);
		assert_int_equal(ask(&w, "four.test"), 1);
		assert_int_equal(ask(&w, "four-again.test"), 1); /* on the same connection */
		assert_int_equal(ask(&w, "none.test"), 0);
		assert_true(w.res.none);
		assert_int_equal(w.dns[0].tcp_queries > 0, kinds[i] == CONF_DNS_TCP);
		end(&w);
	}
}

static void server_comes_back(void **state)
{
	struct world w;

	(void)state;
	begin(&w, CONF_DNS_TCP);
	w.conf.n_servers = 1;
	start(&w, false);
	assert_int_equal(ask(&w, "four.test"), 1);
	/* it has closed the connection meanwhile: asked once more on another */
	watch_set(&w.dns[0].conn, 0);
	shutdown(w.dns[0].conn.io.fd, SHUT_RDWR);
	close(w.dns[0].conn.io.fd);
	assert_int_equal(ask(&w, "four-later.test"), 1);
	end(&w);
}

static void all_at_once(void **state)
{
	struct world w;

	(void)state;
	begin(&w, CONF_DNS_UDP);
	w.conf.parallel = true;
	w.dns[0].mute = true;
	start(&w, false);
	assert_int_equal(ask(&w, "four.test"), 2); /* nobody waited for the first */
	assert_true(w.dns[0].queries > 0);
	assert_int_equal(ask(&w, "four-two.test"), 2);
	w.dns[0].mute = false;
	w.dns[0].v4[3] = 9; /* late answers of the first belong to nobody */
	assert_int_equal(ask(&w, "four.test"), 2);
	assert_int_equal(ask(&w, "none.test"), 0);
	assert_true(w.res.none);
	assert_int_equal(ask(&w, "bad.test"), 0);
	assert_false(w.res.none);
	end(&w);
}

static void answers_that_are_over(void **state)
{
	struct world w;
	int before;

	(void)state;
	begin(&w, CONF_DNS_UDP);
	w.conf.n_servers = 1;
	w.server[0].serve_stale = true;
	w.server[0].expired_ttl_s = 60;
	w.server[0].timeout_ms = 300;
	start(&w, false);
	assert_int_equal(ask(&w, "four.test"), 1);
	age(&w, 1000);
	w.dns[0].v4[3] = 7;
	assert_int_equal(ask(&w, "four.test"), 1); /* the old one, at once */
	before = w.dns[0].queries;
	turn_until(w.r.l, ask(&w, "four.test") == 7); /* and the new one soon */
	assert_in_range(w.dns[0].queries, before, before + 1);
	age(&w, 1000);
	w.dns[0].mute = true;
	for (int i = 0; i < 5; i++)
		assert_int_equal(ask(&w, "four.test"), 7);
	turn_until(w.r.l, w.resolver->flight == 0);
	assert_int_equal(ask(&w, "four.test"), 7); /* a failure changes nothing */
	turn_until(w.r.l, w.resolver->flight == 0);
	age(&w, 61000); /* longer than it may be given away */
	assert_int_equal(ask(&w, "four.test"), 0);
	end(&w);
}

static void without_stale_answers(void **state)
{
	struct world w;

	(void)state;
	begin(&w, CONF_DNS_UDP);
	w.conf.n_servers = 1;
	start(&w, false);
	assert_int_equal(ask(&w, "four.test"), 1);
	age(&w, 1000);
	w.dns[0].v4[3] = 7;
	assert_int_equal(ask(&w, "four.test"), 7);
	end(&w);
}

static void as_flows(void **state)
{
	static const enum conf_dns_kind kinds[] = {CONF_DNS_UDP, CONF_DNS_TCP};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world w;

		begin(&w, kinds[i]);
		w.server[0].local = i == 1; /* goes by itself, although flows lead nowhere */
		assert_true(rig_add_out(&w.r, i ? out_blackhole_new(&w.r.core, &w.r.out_conf[0])
						: out_freedom_new(&w.r.core, &w.r.out_conf[0])));
		start(&w, true);
		assert_int_equal(ask(&w, "four.test"), 1);
		assert_int_equal(rig_flows(&w.r), i ? 0 : 1);
		end(&w);
	}
}

static void flows_that_lead_nowhere(void **state)
{
	struct world w;

	(void)state;
	begin(&w, CONF_DNS_TCP);
	start(&w, true); /* there is no outbound at all */
	assert_int_equal(ask(&w, "four.test"), 0);
	assert_int_equal(w.dns[0].queries, 0);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(straight),
		cmocka_unit_test(server_comes_back),
		cmocka_unit_test(all_at_once),
		cmocka_unit_test(answers_that_are_over),
		cmocka_unit_test(without_stale_answers),
		cmocka_unit_test(as_flows),
		cmocka_unit_test(flows_that_lead_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
