/* Flows that come back to the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "guest.h"
#include "proxy/out_freedom.h"
#include "proxy/out_loopback.h"
#include "route/lists.h"
#include "route/router.h"

static const char *const again[] = {"again"};

static const struct conf_rule rules[] = {{
	.at = {"a.json", 1, "routing.rules[0]"},
	.number = 1,
	.rule_tag = "",
	.outbound_tag = "free",
	.balancer_tag = "",
	.inbound_tags = {again, 1},
}};

static void begin(struct rig *r, const char *tag)
{
	struct route_report report = {0};
	struct lists *lists = lists_new();

	rig_begin(r);
	r->out_conf[0].tag = "loop";
	r->out_conf[0].loopback.inbound_tag = tag;
	r->out_conf[1].tag = "free";
	assert_true(rig_add_out(r, out_loopback_new(&r->core, &r->out_conf[0])));
	assert_true(rig_add_out(r, out_freedom_new(&r->core, &r->out_conf[1])));
	r->conf.routing = (struct conf_routing){.rules = rules, .n_rules = 1};
	r->core.router = router_new(&r->conf.routing, lists, 1, &report);
	assert_non_null(r->core.router);
	lists_free(lists);
}

static void end(struct rig *r)
{
	struct router *router = r->core.router;

	assert_int_equal(rig_end(r), 0);
	router_free(router);
}

static void test_comes_back_under_another_tag(void **state)
{
	struct ipport at;
	struct addr to;
	struct guest g;
	struct rig r;
	char got[4];
	int lfd, t;

	(void)state;
	begin(&r, "again");
	lfd = rig_target(SOCK_STREAM, &at);
	to = addr_from_ipport(&at);
	flow_dispatch(guest_visit(&r, &g, CONF_TCP, &to));
	assert_true(rig_write(g.fd, "data", 4));
	t = rig_accept(&r, lfd);
	assert_int_equal(turn_read(r.l, t, got, 4), 4);
	assert_int_equal(g.verdicts, 1);
	close(t);
	close(lfd);
	guest_leave(&r, &g);
	end(&r);
}

static void test_loop_of_rules_ends(void **state)
{
	struct addr to;
	struct guest g;
	struct rig r;

	(void)state;
	begin(&r, "other");
	addr_set_host(&to, span_str("192.0.2.1"), 80);
	flow_dispatch(guest_visit(&r, &g, CONF_TCP, &to));
	turn_until(r.l, g.ended);
	assert_int_equal(g.verdict, -ERR_LOOP);
	guest_leave(&r, &g);
	end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_back_under_another_tag),
		cmocka_unit_test(test_loop_of_rules_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
