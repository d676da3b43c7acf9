/* targetStrategy: what an outbound gets to see of a flow's target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "fakedns.h"
#include "flow/target.h"
#include "guest.h"

/* An outbound that looks at what it gets, and fails. */
struct spy {
	struct outbound o;
	int opened;
	struct addr target, asked;
};

static void spy_open(struct outbound *o, struct flow *f)
{
	struct spy *s = container_of(o, struct spy, o);

	s->opened++;
	s->target = f->target;
	s->asked = *target_asked(f);
	flow_failed(f, -ERR_REFUSED, NULL);
}

static void spy_free(struct outbound *o)
{
	(void)o;
}

static const struct outbound_ops spy_ops = {.protocol = "spy", .open = spy_open, .free = spy_free};

struct world {
	struct rig r;
	struct fakedns dns;
	struct conf_dns_server server;
	struct spy spy;
};

static void begin(struct world *w, enum conf_strategy strategy)
{
	struct resolve_setup setup;

	memset(w, 0, sizeof(*w));
	memset(&setup, 0, sizeof(setup));
	rig_begin(&w->r);
	assert_true(fakedns_start(&w->dns, w->r.l, "127.0.0.1", 0));
	w->server = (struct conf_dns_server){.kind = CONF_DNS_UDP,
					     .timeout_ms = 4000,
					     .addr = addr_from_ipport(&w->dns.at)};
	w->r.conf.dns = (struct conf_dns){.given = true, .servers = &w->server, .n_servers = 1};
	setup.dns = &w->r.conf.dns;
	resolver_free(w->r.core.workers[0].resolver);
	w->r.core.workers[0].resolver = resolver_new(w->r.l, &setup);
	w->spy.o = (struct outbound){
		.ops = &spy_ops, .tag = "spy", .core = &w->r.core, .target_strategy = strategy};
	assert_true(rig_add_out(&w->r, &w->spy.o));
}

static void end(struct world *w)
{
	fakedns_stop(&w->dns);
	assert_int_equal(rig_end(&w->r), 0);
}

/* Sends a flow to @host:@port; the verdict it got. */
static int visit(struct world *w, const char *host, uint16_t port)
{
	struct addr to;
	struct guest g;

	assert_int_equal(addr_set_host(&to, span_str(host), port), 0);
	flow_dispatch(guest_visit(&w->r, &g, CONF_TCP, &to));
	turn_until(w->r.l, g.ended);
	guest_leave(&w->r, &g);
	return g.verdict;
}

static void seen_as(const struct world *w, const char *target, const char *asked)
{
	char text[ADDR_TEXT_MAX];

	assert_int_equal(w->spy.opened, 1);
	assert_string_equal(addr_text(&w->spy.target, text, sizeof(text)), target);
	assert_string_equal(addr_text(&w->spy.asked, text, sizeof(text)), asked);
}

static void test_name_becomes_address(void **state)
{
	struct world w;

	(void)state;
	begin(&w, CONF_USE_IP4);
	assert_int_equal(visit(&w, "both.test", 80), -ERR_REFUSED);
	seen_as(&w, "192.0.2.1:80", "both.test:80");
	end(&w);
	begin(&w, CONF_FORCE_IP64);
	assert_int_equal(visit(&w, "both.test", 80), -ERR_REFUSED);
	seen_as(&w, "[2001:db8::1]:80", "both.test:80");
	end(&w);
}

static void test_unknown_name(void **state)
{
	struct world w;

	(void)state;
	begin(&w, CONF_FORCE_IP6);
	assert_int_equal(visit(&w, "four.test", 80), -ERR_RESOLVE);
	assert_int_equal(w.spy.opened, 0);
	end(&w);
}

static void test_what_stays(void **state)
{
	struct world w;

	(void)state;
	begin(&w, CONF_AS_IS);
	assert_int_equal(visit(&w, "both.test", 80), -ERR_REFUSED);
	seen_as(&w, "both.test:80", "both.test:80");
	assert_int_equal(w.dns.queries, 0);
	end(&w);
	begin(&w, CONF_FORCE_IP);
	assert_int_equal(visit(&w, "192.0.2.7", 80), -ERR_REFUSED);
	seen_as(&w, "192.0.2.7:80", "192.0.2.7:80");
	end(&w);
	/* a bridge's own connection: its name is none of a host */
	begin(&w, CONF_FORCE_IP);
	assert_int_equal(visit(&w, "both.test", 0), -ERR_REFUSED);
	seen_as(&w, "both.test:0", "both.test:0");
	assert_int_equal(w.dns.queries, 0);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_becomes_address),
		cmocka_unit_test(test_unknown_name),
		cmocka_unit_test(test_what_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
