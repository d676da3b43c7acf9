/* A UDP association that sends to several places: each is for the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "flow/fan.h"
#include "guest.h"
#include "proxy/out_blackhole.h"
#include "proxy/out_freedom.h"
#include "route/lists.h"
#include "route/router.h"

/* The first and the second are led alike, the third elsewhere, the fourth is forbidden. */
enum { PLACES = 4 };

struct world {
	struct rig r;
	struct guest g;
	int fd[PLACES];
	struct addr at[PLACES];
	struct ipport from[PLACES]; /* whom they saw */
	struct conf_port_range port[PLACES][2];
	struct conf_rule rule[PLACES];
};

static void begin(struct world *w)
{
	static const char *const tag[PLACES] = {"free", "free", "other", "block"};
	struct route_report report = {0};
	struct lists *lists = lists_new();
	struct ipport at;

	memset(w, 0, sizeof(*w));
	rig_begin(&w->r);
	for (unsigned i = 0; i < PLACES; i++) {
		w->fd[i] = rig_target(SOCK_DGRAM, &at);
		w->at[i] = addr_from_ipport(&at);
		w->port[i][0] = (struct conf_port_range){at.port, at.port};
		w->port[i][1] = (struct conf_port_range){9, 9};
		w->rule[i] = (struct conf_rule){.at = {"a.json", 1, "routing.rules"},
						.number = i + 1,
						.rule_tag = "",
						.outbound_tag = tag[i],
						.balancer_tag = "",
						.ports = {w->port[i], i == 2 ? 2 : 1, true}};
	}
	w->r.out_conf[0].tag = "free";
	w->r.out_conf[1].tag = "other";
	w->r.out_conf[2].tag = "block";
	assert_true(rig_add_out(&w->r, out_freedom_new(&w->r.core, &w->r.out_conf[0])));
	assert_true(rig_add_out(&w->r, out_freedom_new(&w->r.core, &w->r.out_conf[1])));
	assert_true(rig_add_out(&w->r, out_blackhole_new(&w->r.core, &w->r.out_conf[2])));
	w->r.conf.routing = (struct conf_routing){.rules = w->rule, .n_rules = PLACES};
	w->r.core.router = router_new(&w->r.conf.routing, lists, 1, &report);
	assert_non_null(w->r.core.router);
	lists_free(lists);
	flow_dispatch(guest_visit(&w->r, &w->g, CONF_UDP, &w->at[0]));
}

static void end(struct world *w)
{
	struct router *router = w->r.core.router;

	for (unsigned i = 0; i < PLACES; i++)
		close(w->fd[i]);
	assert_int_equal(rig_end(&w->r), 0);
	router_free(router);
}

/* A question to place @i, and its answer. */
static void ask(struct world *w, unsigned i)
{
	struct sockaddr_storage sa;
	socklen_t len;
	char got[8];

	guest_put(&w->g, &w->at[i], "hello");
	assert_int_equal(rig_recv(&w->r, w->fd[i], got, sizeof(got), &w->from[i]), 5);
	w->g.got_n = 0;
	len = ipport_to_sockaddr(&w->from[i], &sa);
	assert_int_equal(sendto(w->fd[i], "answer", 6, 0, (struct sockaddr *)&sa, len), 6);
	turn_until(w->r.l, w->g.got_n == 6);
	assert_true(addr_eq(&w->g.from, &w->at[i]));
}

static void each_takes_its_way(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < 3; i++)
			ask(&w, i);
	assert_true(ipport_eq(&w.from[0], &w.from[1])); /* one socket for those that are led alike */
	assert_false(ipport_eq(&w.from[0], &w.from[2]));
	assert_int_equal(rig_flows(&w.r), 2);
	end(&w);
}

static void what_is_forbidden_stays_so(void **state)
{
	struct world w;
	char got[8];

	(void)state;
	begin(&w);
	ask(&w, 0);
	guest_put(&w.g, &w.at[3], "hello");
	guest_put(&w.g, &w.at[1], "hello");
	assert_int_equal(rig_recv(&w.r, w.fd[1], got, sizeof(got), &w.from[1]), 5);
	turn_idle(w.r.l);
	assert_int_equal(recv(w.fd[3], got, sizeof(got), 0), -1);
	ask(&w, 0);
	end(&w);
}

/* Each flow hears of its own, under the address that the client knows. */
static void what_comes_back_is_told(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	ask(&w, 0);
	ask(&w, 2);
	for (unsigned i = 1; i < 3; i++) {
		close(w.fd[i]);
		w.g.back_err = 0;
		guest_put(&w.g, &w.at[i], "hello");
		turn_until(w.r.l, w.g.back_err != 0);
		assert_int_equal(w.g.back_err, -ERR_REFUSED);
		assert_true(addr_eq(&w.g.back, &w.at[i]));
		w.fd[i] = -1;
	}
	ask(&w, 0);
	end(&w);
}

/* The association ends, and nothing of it is left. */
static void all_end_together(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	ask(&w, 0);
	ask(&w, 2);
	assert_int_equal(rig_flows(&w.r), 2);
	w.g.d.user->on_end(w.g.d.user, &w.g.d, -ERR_EOF);
	assert_int_equal(rig_flows(&w.r), 0);
	assert_int_equal(w.g.ended, 1);
	end(&w);
}

/* More places than an association may have are not served; the others are. */
static void places_are_bounded(void **state)
{
	struct world w;
	struct addr to;

	(void)state;
	begin(&w);
	ask(&w, 0);
	for (unsigned i = 0; i < FAN_BRANCHES + 50; i++) {
		char text[32];

		snprintf(text, sizeof(text), "127.0.%u.%u:9", 1 + i / 200, 1 + i % 200);
		assert_int_equal(addr_parse(&to, span_str(text)), 0);
		guest_put(&w.g, &to, "x");
	}
	turn_idle(w.r.l);
	assert_true(rig_flows(&w.r) <= 1 + FAN_BRANCHES);
	ask(&w, 0);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_takes_its_way),
		cmocka_unit_test(what_is_forbidden_stays_so),
		cmocka_unit_test(what_comes_back_is_told),
		cmocka_unit_test(all_end_together),
		cmocka_unit_test(places_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
