/* route: balancers, and who owns a local socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "route/procinfo.h"
#include "route_kit.h"

/* Outbounds a, b, c, d and another; sorted. */
static struct observe_stats stats[5];
static struct balance_member members[5];

static void set(int i, enum observe_health health, uint32_t delay_ms, uint32_t deviation_ms)
{
	atomic_store(&stats[i].health, health);
	atomic_store(&stats[i].delay_us, delay_ms * 1000);
	atomic_store(&stats[i].deviation_us, deviation_ms * 1000);
	atomic_store(&stats[i].probes, 10);
	atomic_store(&stats[i].failures, 0);
}

static void reset(void)
{
	static const char *const names[] = {"out-a", "out-b", "out-c", "out-d", "zz"};

	for (int i = 0; i < 5; i++) {
		set(i, OBSERVE_UNKNOWN, 0, 0);
		members[i] = (struct balance_member){names[i], false, &stats[i]};
	}
}

static struct balancer *make(const struct conf_balancer *conf)
{
	struct kit_report k;
	struct balancer *b;

	kit_report_init(&k);
	b = balancer_new(conf, 42, &k.r);
	if (!b)
		fail_msg("%s", k.first_error);
	assert_ptr_equal(balancer_conf(b), conf);
	return b;
}

/* How often each member is chosen in @n picks. */
static void count(struct balancer *b, int n, int out[5])
{
	memset(out, 0, 5 * sizeof(out[0]));
	for (int i = 0; i < n; i++) {
		const char *tag = balancer_pick(b, members, 5);

		assert_non_null(tag);
		for (int k = 0; k < 5; k++)
			out[k] += strcmp(tag, members[k].tag) == 0;
	}
}

static struct conf_balancer conf_of(enum conf_balance strategy)
{
	static const char *const selector[] = {"out-"};

	return (struct conf_balancer){
		.tag = "b", .selectors = {selector, 1}, .strategy = strategy, .fallback_tag = ""};
}

static void random_takes_all_in_turn(void **state)
{
	struct conf_balancer conf = conf_of(CONF_BALANCE_RANDOM);
	struct balancer *b = make(&conf);
	int n[5];

	(void)state;
	reset();
	count(b, 8000, n);
	for (int i = 0; i < 4; i++)
		assert_in_range(n[i], 1800, 2200);
	assert_int_equal(n[4], 0); /* not selected */
	balancer_free(b);
}

static void round_robin_goes_round(void **state)
{
	struct conf_balancer conf = conf_of(CONF_BALANCE_ROUND_ROBIN);
	struct balancer *b = make(&conf);

	(void)state;
	reset();
	for (int i = 0; i < 12; i++)
		assert_string_equal(balancer_pick(b, members, 5), members[i % 4].tag);
	balancer_free(b);
}

/* A portal that has lost its bridge, or an outbound whose probe failed, is left out. */
static void the_dead_are_left_out(void **state)
{
	static const enum conf_balance all[] = {CONF_BALANCE_RANDOM, CONF_BALANCE_ROUND_ROBIN,
						CONF_BALANCE_LEAST_PING, CONF_BALANCE_LEAST_LOAD};

	(void)state;
	for (int s = 0; s < 4; s++) {
		struct conf_balancer conf = conf_of(all[s]);
		struct balancer *b = make(&conf);
		int n[5];

		reset();
		for (int i = 0; i < 5; i++)
			set(i, OBSERVE_ALIVE, 10, 1);
		members[0].dead = true;
		set(1, OBSERVE_DEAD, 1, 1);
		members[2].stats = NULL; /* nobody probes it */
		count(b, 100, n);
		assert_int_equal(n[0] + n[1], 0);
		assert_int_equal(n[2] > 0, s < 2);
		assert_true(n[3] > 0);
		balancer_free(b);
	}
}

static void when_none_is_alive(void **state)
{
	static const enum conf_balance all[] = {CONF_BALANCE_RANDOM, CONF_BALANCE_ROUND_ROBIN,
						CONF_BALANCE_LEAST_PING, CONF_BALANCE_LEAST_LOAD};

	(void)state;
	for (int s = 0; s < 4; s++) {
		struct conf_balancer conf = conf_of(all[s]);
		struct balancer *b;

		reset();
		for (int i = 0; i < 4; i++)
			members[i].dead = true;
		conf.fallback_tag = "spare";
		b = make(&conf);
		assert_string_equal(balancer_pick(b, members, 5), "spare");
		assert_string_equal(balancer_pick(b, members, 0), "spare");
		balancer_free(b);
		/* without it the flow fails where it belongs, not by the default outbound */
		conf.fallback_tag = "";
		b = make(&conf);
		if (s < 2)
			assert_memory_equal(balancer_pick(b, members, 5), "out-", 4);
		else
			assert_null(balancer_pick(b, members, 5));
		assert_null(balancer_pick(b, members, 0));
		balancer_free(b);
	}
}

static void several_selectors(void **state)
{
	struct conf_balancer conf = conf_of(CONF_BALANCE_ROUND_ROBIN);
	struct balancer *b;

	(void)state;
	reset();
	conf.selectors = STRS("z", "out-b", "out-");
	b = make(&conf);
	assert_true(balancer_selects(b, "out-"));
	assert_true(balancer_selects(b, "zebra"));
	assert_false(balancer_selects(b, "out"));
	assert_false(balancer_selects(b, "Out-a"));
	for (int i = 0; i < 10; i++)
		assert_string_equal(balancer_pick(b, members, 5), members[i % 5].tag);
	balancer_free(b);
	conf.selectors = STRS("");
	b = make(&conf);
	assert_string_equal(balancer_pick(b, members, 5), "out-a");
	balancer_free(b);
}

static void least_ping_takes_the_fastest(void **state)
{
	struct conf_balancer conf = conf_of(CONF_BALANCE_LEAST_PING);
	struct balancer *b = make(&conf);

	(void)state;
	reset();
	set(0, OBSERVE_ALIVE, 30, 1);
	set(1, OBSERVE_ALIVE, 20, 9);
	set(2, OBSERVE_DEAD, 1, 1);
	set(4, OBSERVE_ALIVE, 2, 1);
	assert_string_equal(balancer_pick(b, members, 5), "out-b");
	set(0, OBSERVE_ALIVE, 20, 1); /* a tie: the first by name */
	assert_string_equal(balancer_pick(b, members, 5), "out-a");
	balancer_free(b);
}

/* Deviations 10, 20, 30 and 40 ms for a to d. */
static void ladder(void)
{
	reset();
	for (int i = 0; i < 4; i++)
		set(i, OBSERVE_ALIVE, 100, (uint32_t)(10 * (i + 1)));
}

/* Says which of a to d are ever chosen, as a set of bits. */
static unsigned chosen(const struct conf_balancer *conf)
{
	struct balancer *b = make(conf);
	unsigned set_of = 0;

	for (int i = 0; i < 200; i++) {
		const char *tag = balancer_pick(b, members, 5);

		if (tag)
			set_of |= 1u << (tag[4] - 'a');
	}
	balancer_free(b);
	return set_of;
}

static void least_load_counts_as_told(void **state)
{
	static const uint32_t base[] = {5, 25, 35};
	static const uint32_t none[] = {5, 8};
	struct conf_balancer conf = conf_of(CONF_BALANCE_LEAST_LOAD);

	(void)state;
	ladder();
	assert_int_equal(chosen(&conf), 1); /* one */
	conf.expected = 3;
	assert_int_equal(chosen(&conf), 7);
	conf.expected = 9; /* more than there are: all */
	assert_int_equal(chosen(&conf), 15);
	conf.baselines_ms = base;
	conf.n_baselines = 3;
	assert_int_equal(chosen(&conf), 15);
	conf.expected = 2; /* the second baseline has two below it */
	assert_int_equal(chosen(&conf), 3);
	conf.expected = 3;
	assert_int_equal(chosen(&conf), 7);
	conf.expected = 4; /* not even the last baseline: the number counts */
	assert_int_equal(chosen(&conf), 15);
	conf.expected = 0;
	assert_int_equal(chosen(&conf), 3);
	conf.baselines_ms = none; /* nothing is fast enough */
	conf.n_baselines = 2;
	assert_int_equal(chosen(&conf), 0);
}

static void least_load_refuses_the_slow_and_the_flaky(void **state)
{
	struct conf_balancer conf = conf_of(CONF_BALANCE_LEAST_LOAD);

	(void)state;
	ladder();
	conf.max_rtt_ms = 100;
	assert_int_equal(chosen(&conf), 0);
	set(3, OBSERVE_ALIVE, 99, 40);
	assert_int_equal(chosen(&conf), 8);
	conf.max_rtt_ms = 0;
	atomic_store(&stats[0].failures, 3);
	assert_int_equal(chosen(&conf), 1); /* no tolerance given: any share will do */
	conf.tolerance = 0.25;
	assert_int_equal(chosen(&conf), 2);
	conf.tolerance = 0.3;
	assert_int_equal(chosen(&conf), 1);
}

static void costs_weigh(void **state)
{
	static const struct conf_cost costs[] = {
		{.regexp = false, .match = "t-a", .value = 9},	      /* load 30 */
		{.regexp = true, .match = "^out-[bx]$", .value = 16}, /* load 80 */
		{.regexp = false, .match = "", .value = 100},	      /* never */
		{.regexp = false, .match = "c", .value = 0},	      /* no number in it: 1 */
	};
	static const struct conf_cost by_number[] = {{.regexp = true, .match = "-x[0-9.]+"}};
	static const struct conf_cost bad[] = {{.regexp = true, .match = "("}};
	struct conf_balancer conf = conf_of(CONF_BALANCE_LEAST_LOAD);
	struct kit_report k;

	(void)state;
	ladder();
	set(2, OBSERVE_ALIVE, 100, 29);
	conf.costs = costs;
	conf.n_costs = 4;
	assert_int_equal(chosen(&conf), 4);
	set(2, OBSERVE_ALIVE, 100, 31);
	assert_int_equal(chosen(&conf), 1);
	/* a cost written into the tag itself */
	members[0].tag = "out-a-x16";
	members[1].tag = "out-b-x2.25.1";
	conf.costs = by_number;
	conf.n_costs = 1;
	assert_int_equal(chosen(&conf), 2); /* 20 * 1.5 < 31 < 10 * 4 */
	conf.costs = bad;
	kit_report_init(&k);
	assert_null(balancer_new(&conf, 0, &k.r));
	assert_non_null(strstr(k.first_error, "costs: invalid regexp ( > "));
}

static void *pick_many(void *arg)
{
	int *n = calloc(5, sizeof(*n));

	count(arg, 20000, n);
	return n;
}

static void threads_share_a_balancer(void **state)
{
	struct conf_balancer conf = conf_of(CONF_BALANCE_ROUND_ROBIN);
	struct balancer *b = make(&conf);
	int sum[5] = {0};
	pthread_t t[4];

	(void)state;
	reset();
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, pick_many, b), 0);
	for (int i = 0; i < 4; i++) {
		void *n;

		pthread_join(t[i], &n);
		for (int k = 0; k < 5; k++)
			sum[k] += ((int *)n)[k];
		free(n);
	}
	for (int k = 0; k < 4; k++)
		assert_int_equal(sum[k], 20000);
	balancer_free(b);
}

/* ---- processes ---- */

static int bound_socket(int family, int type, struct ipport *out)
{
	struct ipport want = {.ip = {.family = family == AF_INET ? 4 : 6}};
	struct sockaddr_storage ss;
	socklen_t len;
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -1;
	if (family == AF_INET)
		want.ip.b[0] = 127;
	want.ip.b[family == AF_INET ? 3 : 15] = 1;
	len = ipport_to_sockaddr(&want, &ss);
	if (bind(fd, (struct sockaddr *)&ss, len) == -1 ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) == -1) {
		close(fd);
		return -1;
	}
	assert_int_equal(ipport_from_sockaddr(out, (struct sockaddr *)&ss), 0);
	return fd;
}

static void check_owner(int family, int type)
{
	unsigned network = type == SOCK_STREAM ? CONF_TCP : CONF_UDP;
	char *self = procinfo_self();
	struct procinfo *info = calloc(1, sizeof(*info));
	struct ipport at;
	int fd = bound_socket(family, type, &at);

	assert_non_null(self);
	if (fd != -1) { /* a host without IPv6 has nothing to look for */
		if (type == SOCK_STREAM)
			assert_int_equal(listen(fd, 1), 0);
		assert_int_equal(procinfo_find(info, network, &at), 0);
		assert_int_equal(info->process.pid, getpid());
		assert_string_equal(info->process.path, self);
		close(fd);
		info->process.pid = 0; /* by now the port may be somebody else's, but not ours */
		procinfo_find(info, network, &at);
		assert_int_not_equal(info->process.pid, getpid());
	}
	free(self);
	free(info);
}

static void the_owner_of_a_socket(void **state)
{
	struct ipport none = {0};
	struct procinfo *info = calloc(1, sizeof(*info));

	(void)state;
	check_owner(AF_INET, SOCK_STREAM);
	check_owner(AF_INET, SOCK_DGRAM);
	check_owner(AF_INET6, SOCK_STREAM);
	check_owner(AF_INET6, SOCK_DGRAM);
	assert_int_equal(procinfo_find(info, CONF_TCP, &none), -ERR_EOF);
	free(info);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_takes_all_in_turn),
		cmocka_unit_test(round_robin_goes_round),
		cmocka_unit_test(the_dead_are_left_out),
		cmocka_unit_test(when_none_is_alive),
		cmocka_unit_test(several_selectors),
		cmocka_unit_test(least_ping_takes_the_fastest),
		cmocka_unit_test(least_load_counts_as_told),
		cmocka_unit_test(least_load_refuses_the_slow_and_the_flaky),
		cmocka_unit_test(costs_weigh),
		cmocka_unit_test(threads_share_a_balancer),
		cmocka_unit_test(the_owner_of_a_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
