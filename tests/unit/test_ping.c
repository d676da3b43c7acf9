/*
 * Pings that are real: the socket against addresses of a namespace of the test's own,
 * and freedom, which serves UDP flows to port 0 with it. Skipped where namespaces are
 * not allowed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "guest.h"
#include "net/ping_sock.h"
#include "proto/echo.h"
#include "proxy/out_freedom.h"
#include "proxy/out_socks.h"

static bool inside;

static bool allow_groups(const char *range)
{
	int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);
	bool ok = fd != -1 && write(fd, range, strlen(range)) > 0;

	if (fd != -1)
		close(fd);
	return ok;
}

static int enter(void **state)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd;

	(void)state;
	if (unshare(CLONE_NEWNET) == -1 && unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	inside = ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
	close(fd);
	return 0;
}

static struct ip ip_of(const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(&ip, span_str(text)), 0);
	return ip;
}

struct asker {
	struct ping_user user;
	unsigned n;
	struct ping_answer last;
	char payload[64];
};

static void on_answer(struct ping_user *u, struct ping_sock *p, const struct ping_answer *a)
{
	struct asker *k = container_of(u, struct asker, user);

	(void)p;
	k->n++;
	k->last = *a;
	if (a->payload.n < sizeof(k->payload))
		memcpy(k->payload, a->payload.p, a->payload.n);
}

static void ask(const char *to)
{
	struct asker k = {.user = {on_answer}};
	struct ip target = ip_of(to), local = {0};
	struct loop *l = loop_new(0);
	char why[NET_WHY_MAX];
	struct ping_sock *p = ping_sock_new(l, &target, &local, NULL, &k.user, why), *q;

	assert_non_null(p);
	/* somebody else asks the same host: each hears his own */
	q = ping_sock_new(l, &target, &local, NULL, &k.user, why);
	assert_non_null(q);
	ping_sock_send(p, 77, 9, span_str("payload"));
	turn_until(l, k.n);
	assert_int_equal(k.last.cookie, 77);
	assert_false(k.last.error);
	assert_int_equal(k.last.payload.n, 7);
	assert_memory_equal(k.payload, "payload", 7);
	assert_true(k.last.ttl > 0);
	assert_true(ip_eq(&k.last.from, &target));
	for (uint32_t i = 0; i < 3; i++)
		ping_sock_send(q, i, 0, span_of("", 0));
	turn_until(l, k.n == 4);
	assert_int_equal(k.last.cookie, 2);
	/* more than a burst: the rest is lost */
	for (uint32_t i = 0; i < 2 * PING_PER_S; i++)
		ping_sock_send(p, i, 0, span_of("", 0));
	turn_until(l, k.n > 4 + PING_PER_S / 2);
	turn_idle(l);
	assert_true(k.n <= 4 + PING_PER_S + 8);
	ping_sock_free(p);
	ping_sock_free(q);
	loop_free(l);
}

static void both_kinds_of_socket(void **state)
{
	(void)state;
	if (!inside)
		skip();
	allow_groups("1 0"); /* nobody */
	ask("127.0.0.1");
	ask("::1");
	if (!allow_groups("0 0"))
		return;
	ask("127.0.0.1");
	ask("::1");
}

static void no_way_there(void **state)
{
	struct asker k = {.user = {on_answer}};
	struct ip target = ip_of("203.0.113.1"), local = {0};
	struct loop *l = loop_new(0);
	char why[NET_WHY_MAX];

	(void)state;
	if (!inside)
		skip();
	assert_null(ping_sock_new(l, &target, &local, NULL, &k.user, why));
	assert_string_equal(why, "ping 203.0.113.1: connect: network is unreachable");
	loop_free(l);
}

static void freedom_asks(void **state)
{
	struct echo req = {.kind = ECHO_REQUEST, .id = 0x1234, .seq = 5, .payload = span_str("hi")};
	uint8_t b[64];
	struct wr w = wr_of(b, sizeof(b));
	struct guest g;
	struct addr to;
	struct rig r;
	struct echo e;

	(void)state;
	if (!inside)
		skip();
	rig_begin(&r);
	assert_true(rig_add_out(&r, out_freedom_new(&r.core, &r.out_conf[0])));
	addr_set_host(&to, span_str("127.0.0.1"), ECHO_PORT);
	flow_dispatch(guest_visit(&r, &g, CONF_UDP, &to));
	echo_encode(&w, &req);
	dgram_deliver(&g.d, &to, buf_copy(span_of(b, w.n)));
	turn_until(r.l, g.got_n);
	assert_int_equal(echo_decode(&e, span_of(g.got, g.got_n)), 0);
	assert_int_equal(e.kind, ECHO_REPLY);
	assert_int_equal(e.id, 0x1234);
	assert_int_equal(e.seq, 5);
	assert_true(span_eq(e.payload, span_str("hi")));
	assert_true(addr_eq(&g.from, &to));
	guest_leave(&r, &g);
	assert_int_equal(rig_end(&r), 0);
}

/* A stock server must never see such a flow. */
static void others_are_not_asked(void **state)
{
	struct guest g;
	struct addr to;
	struct rig r;

	(void)state;
	rig_begin(&r);
	addr_set_host(&r.out_conf[0].proxy.server, span_str("127.0.0.1"), 9);
	assert_true(rig_add_out(&r, out_socks_new(&r.core, &r.out_conf[0])));
	addr_set_host(&to, span_str("127.0.0.1"), ECHO_PORT);
	flow_dispatch(guest_visit(&r, &g, CONF_UDP, &to));
	turn_until(r.l, g.ended);
	assert_int_equal(g.got_n, 0);
	guest_leave(&r, &g);
	assert_int_equal(rig_end(&r), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_kinds_of_socket),
		cmocka_unit_test(no_way_there),
		cmocka_unit_test(freedom_asks),
		cmocka_unit_test(others_are_not_asked),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
