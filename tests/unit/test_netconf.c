/*
 * vpn: a TUN's routes and rules in a network namespace of the test's own: set, found
 * again after a kill, set again after somebody flushed them, and gone without a trace.
 * Skipped where namespaces or devices of this kind are not allowed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "net/resolve.h"
#include "vpn/netconf.h"
#include "vpn/plan.h"
#include "vpn/rtnl.h"

static bool inside;

static int tun_open(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd != -1 && ioctl(fd, TUNSETIFF, &ifr) == -1) {
		close(fd);
		fd = -1;
	}
	return fd;
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
	fd = tun_open("probe0");
	inside &= fd != -1;
	if (fd != -1)
		close(fd);
	return 0;
}

struct place {
	struct loop *loop;
	struct resolver *resolver;
	struct conf *conf;
	struct rtnl *rtnl;
	int fd;
};

static struct conf *load(const char *name, const char *tun)
{
	struct conf_msgs msgs = {NULL, 0, 0, 0, 0};
	char text[1024];
	struct conf *c;

	snprintf(text, sizeof(text),
		 "{\"inbounds\":[{\"protocol\":\"tun\",\"settings\":{\"name\":\"%s\",%s}}],"
		 "\"outbounds\":[{\"tag\":\"hub\",\"protocol\":\"socks\",\"settings\":"
		 "{\"address\":\"203.0.113.5\",\"port\":443}}]}", name, tun);
	c = conf_load_text("t.json", span_str(text), &msgs);
	conf_msgs_free(&msgs);
	assert_non_null(c);
	return c;
}

static struct place place_new(const char *tun)
{
	struct resolve_setup setup = {0};
	struct place p = {.loop = loop_new(0)};

	assert_non_null(p.loop);
	p.resolver = resolver_new(p.loop, &setup);
	p.conf = load("vpn0", tun);
	p.rtnl = rtnl_open();
	assert_non_null(p.rtnl);
	p.fd = tun_open("vpn0");
	assert_true(p.fd != -1);
	return p;
}

static void place_free(struct place *p)
{
	if (p->fd != -1)
		close(p->fd);
	rtnl_close(p->rtnl);
	resolver_free(p->resolver);
	loop_free(p->loop);
	conf_free(p->conf);
}

struct count {
	size_t rules, routes, throws, addrs;
};

static struct count ours(struct place *p)
{
	struct count c = {0};
	struct kstate k;

	assert_int_equal(rtnl_read(p->rtnl, &k), 0);
	for (size_t i = 0; i < k.n_rules; i++)
		c.rules += k.rules[i].protocol == KPROTO_OURS;
	for (size_t i = 0; i < k.n_routes; i++) {
		c.routes += k.routes[i].protocol == KPROTO_OURS;
		c.throws += k.routes[i].protocol == KPROTO_OURS && k.routes[i].type == KROUTE_THROW;
	}
	for (size_t i = 0; i < k.n_addrs; i++)
		c.addrs += k.addrs[i].ip.family == 4 && k.addrs[i].ip.b[0] == 10;
	kstate_fini(&k);
	return c;
}

static void assert_count(struct count c, size_t rules, size_t routes, size_t throws)
{
	assert_int_equal(c.rules, rules);
	assert_int_equal(c.routes, routes);
	assert_int_equal(c.throws, throws);
}

#define ALL "\"addresses\":[\"10.77.0.2/24\"],\"routes\":[\"0.0.0.0/0\"]"

static void set_and_taken_back(void **state)
{
	struct netconf *n;
	struct place p;

	(void)state;
	if (!inside)
		skip();
	p = place_new(ALL);
	n = netconf_start(p.loop, p.resolver, p.conf);
	assert_non_null(n);
	assert_count(ours(&p), 3, 3, 1);
	assert_int_equal(ours(&p).addrs, 1);
	netconf_refresh(n); /* nothing to do */
	assert_count(ours(&p), 3, 3, 1);
	netconf_stop(n);
	assert_count(ours(&p), 0, 0, 0);
	assert_int_equal(ours(&p).addrs, 0);
	place_free(&p);
}

/* The device vanishes with its process; rules and routes that lead nowhere do not. */
static void cleaned_up_after_a_kill(void **state)
{
	struct netconf *n;
	struct place p;
	pid_t child;
	int status;

	(void)state;
	if (!inside)
		skip();
	child = fork();
	assert_int_not_equal(child, -1);
	if (child == 0) {
		p = place_new(ALL ",\"killSwitch\":true");
		n = netconf_start(p.loop, p.resolver, p.conf);
		_exit(n && ours(&p).rules == 3 && ours(&p).routes == 5 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	p = place_new("\"addresses\":[\"10.77.0.2/24\"],\"priority\":7000,\"mark\":9");
	assert_count(ours(&p), 3, 3, 1);
	n = netconf_start(p.loop, p.resolver, p.conf);
	assert_non_null(n);
	assert_count(ours(&p), 1, 1, 0);
	netconf_stop(n);
	assert_count(ours(&p), 0, 0, 0);
	place_free(&p);
}

static void set_again_when_flushed(void **state)
{
	struct netconf *n;
	struct kstate k;
	struct place p;

	(void)state;
	if (!inside)
		skip();
	p = place_new(ALL);
	n = netconf_start(p.loop, p.resolver, p.conf);
	assert_int_equal(rtnl_read(p.rtnl, &k), 0);
	for (size_t i = 0; i < k.n_rules; i++) {
		struct rtnl_rule r = {k.rules[i].family, k.rules[i].prio, k.rules[i].table,
				      k.rules[i].mark, k.rules[i].suppress == 0};

		if (k.rules[i].protocol == KPROTO_OURS)
			assert_int_equal(rtnl_rule_del(p.rtnl, &r), 0);
	}
	kstate_fini(&k);
	assert_int_equal(ours(&p).rules, 0);
	netconf_refresh(n);
	assert_count(ours(&p), 3, 3, 1);
	netconf_stop(n);
	place_free(&p);
}

static void others_are_left_alone(void **state)
{
	struct netconf *a, *b;
	struct kstate before, after;
	struct place p, q;

	(void)state;
	if (!inside)
		skip();
	p = place_new(ALL);
	a = netconf_start(p.loop, p.resolver, p.conf);
	assert_non_null(a);
	/* a second TUN of ours, with another name: each has its own table */
	q = p;
	q.conf = load("vpn1", "\"routes\":[\"198.18.0.0/15\"],\"priority\":9010");
	q.fd = tun_open("vpn1");
	assert_int_equal(rtnl_read(p.rtnl, &before), 0);
	b = netconf_start(q.loop, q.resolver, q.conf);
	assert_non_null(b);
	assert_int_equal(ours(&p).rules, 4);
	netconf_stop(b);
	assert_int_equal(rtnl_read(p.rtnl, &after), 0);
	assert_int_equal(after.n_rules, before.n_rules);
	assert_int_equal(ours(&p).rules, 3);
	kstate_fini(&before);
	kstate_fini(&after);
	netconf_stop(a);
	close(q.fd);
	conf_free(q.conf);
	place_free(&p);
}

static void a_refused_plan_leaves_nothing(void **state)
{
	struct place p;

	(void)state;
	if (!inside)
		skip();
	p = place_new("\"addresses\":[\"203.0.113.5/24\"]");
	assert_null(netconf_start(p.loop, p.resolver, p.conf));
	assert_count(ours(&p), 0, 0, 0);
	place_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_and_taken_back),
		cmocka_unit_test(cleaned_up_after_a_kill),
		cmocka_unit_test(set_again_when_flushed),
		cmocka_unit_test(others_are_left_alone),
		cmocka_unit_test(a_refused_plan_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
