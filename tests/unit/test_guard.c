/*
 * Guards against loops through the TUN: what our own sockets do is noted, and a flow
 * of the TUN that one of them began, or that goes to a carrier's peer, is refused at
 * the first packet. The same flow from anywhere else is nobody's business.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "guest.h"
#include "net/dgram_udp.h"
#include "net/ledger.h"
#include "proxy/out_freedom.h"

static struct ipport at(const char *text)
{
	struct ipport p;
	struct addr a;

	assert_int_equal(addr_parse(&a, span_str(text)), 0);
	assert_true(addr_to_ipport(&a, &p));
	return p;
}

static void the_ledger_is_exact(void **state)
{
	struct ipport a = at("10.77.0.2:40000"), b = at("10.77.0.3:40000"), c = at("10.77.0.2:40001");
	struct ipport to = at("203.0.113.5:443"), other = at("203.0.113.5:444");
	struct ipport any = {.port = 40000};
	struct ledger *l = ledger_new();

	(void)state;
	ledger_add_dial(l, CONF_TCP, &a, &to);
	assert_true(ledger_has_dial(l, CONF_TCP, &a, &to));
	assert_false(ledger_has_dial(l, CONF_TCP, &b, &to));
	assert_false(ledger_has_dial(l, CONF_TCP, &c, &to));
	assert_false(ledger_has_dial(l, CONF_TCP, &a, &other));
	assert_false(ledger_has_dial(l, CONF_UDP, &a, &to));
	ledger_del_dial(l, CONF_TCP, &c, &to);
	assert_true(ledger_has_dial(l, CONF_TCP, &a, &to));
	ledger_del_dial(l, CONF_TCP, &a, &to);
	assert_false(ledger_has_dial(l, CONF_TCP, &a, &to));
	ledger_add_dial(l, CONF_UDP, &any, &to);
	assert_true(ledger_has_dial(l, CONF_UDP, &a, &to));
	assert_true(ledger_has_dial(l, CONF_UDP, &b, &to));
	assert_false(ledger_has_dial(l, CONF_UDP, &c, &to));
	assert_false(ledger_has_peer(l, &to));
	ledger_add_peer(l, &to);
	assert_true(ledger_has_peer(l, &to));
	assert_false(ledger_has_peer(l, &other));
	for (unsigned i = 0; i < LEDGER_PEERS; i++) {
		other.port = (uint16_t)(1000 + i);
		ledger_add_peer(l, &other);
	}
	assert_false(ledger_has_peer(l, &to)); /* the oldest goes */
	assert_true(ledger_has_peer(l, &other));
	ledger_free(l);
	assert_false(ledger_has_peer(NULL, &to));
	ledger_add_peer(NULL, &to);
}

static void begin(struct rig *r, struct ledger **l)
{
	rig_begin(r);
	*l = ledger_new();
	loop_set_ledger(r->l, *l);
	assert_true(rig_add_out(r, out_freedom_new(&r->core, &r->out_conf[0])));
}

static int visit(struct rig *r, int lfd, const struct ipport *to, bool of_tun)
{
	struct addr a = addr_from_ipport(to);
	struct guest g;
	struct flow *f = guest_visit(r, &g, CONF_TCP, &a);

	f->of_tun = of_tun;
	flow_dispatch(f);
	turn_until(r->l, g.verdicts);
	if (g.verdict == 0)
		close(rig_accept(r, lfd));
	guest_leave(r, &g);
	return g.verdict;
}

static void a_carriers_peer_is_refused(void **state)
{
	struct ledger *l;
	struct ipport to;
	struct rig r;
	int lfd;

	(void)state;
	begin(&r, &l);
	lfd = rig_target(SOCK_STREAM, &to);
	assert_int_equal(visit(&r, lfd, &to, true), 0);
	ledger_add_peer(l, &to);
	assert_int_equal(visit(&r, lfd, &to, true), -ERR_LOOP);
	assert_int_equal(visit(&r, lfd, &to, false), 0);
	close(lfd);
	assert_int_equal(rig_end(&r), 0);
	ledger_free(l);
}

/* A connection under way is known by both of its ends; a finished one no more. */
static void a_dial_of_ours_is_refused(void **state)
{
	struct ledger *l;
	struct ipport to;
	struct rig r;
	int lfd;

	(void)state;
	begin(&r, &l);
	lfd = rig_target(SOCK_STREAM, &to);
	r.info.source = at("127.0.0.1:50000");
	ledger_add_dial(l, CONF_TCP, &r.info.source, &to);
	assert_int_equal(visit(&r, lfd, &to, true), -ERR_LOOP);
	assert_int_equal(visit(&r, lfd, &to, false), 0);
	r.info.source.port++;
	assert_int_equal(visit(&r, lfd, &to, true), 0);
	/* with the port and target of ours, but from another machine */
	ledger_add_dial(l, CONF_UDP, &(struct ipport){.port = 50001}, &to);
	r.info.source = at("198.51.100.77:50001");
	assert_false(sock_is_local(&r.info.source.ip));
	close(lfd);
	assert_int_equal(rig_end(&r), 0);
	ledger_free(l);
}

static void datagrams_are_noted(void **state)
{
	struct dgram_udp_spec spec = {.target = {.kind = ADDR_NONE}};
	struct addr a, b;
	struct ipport to_a, to_b, from;
	struct ledger *l;
	char why[NET_WHY_MAX];
	struct dgram *d;
	struct rig r;
	int ta, tb;

	(void)state;
	begin(&r, &l);
	ta = rig_target(SOCK_DGRAM, &to_a);
	tb = rig_target(SOCK_DGRAM, &to_b);
	a = addr_from_ipport(&to_a);
	b = addr_from_ipport(&to_b);
	d = dgram_udp_new(r.l, NULL, &spec, why);
	assert_non_null(d);
	from = (struct ipport){r.info.source.ip, dgram_udp_local(d).port};
	assert_int_not_equal(from.port, 0);
	dgram_send(d, &a, buf_copy(span_str("x")));
	assert_true(ledger_has_dial(l, CONF_UDP, &from, &to_a));
	dgram_send(d, &b, buf_copy(span_str("x")));
	assert_true(ledger_has_dial(l, CONF_UDP, &from, &to_b));
	assert_false(ledger_has_dial(l, CONF_UDP, &from, &to_a));
	dgram_close(d, 0);
	assert_false(ledger_has_dial(l, CONF_UDP, &from, &to_b));
	close(ta);
	close(tb);
	assert_int_equal(rig_end(&r), 0);
	ledger_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ledger_is_exact),
		cmocka_unit_test(a_carriers_peer_is_refused),
		cmocka_unit_test(a_dial_of_ours_is_refused),
		cmocka_unit_test(datagrams_are_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
