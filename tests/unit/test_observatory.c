/*
 * The observatory over loopback: freedom outbounds that lead to servers which the
 * test plays by hand, so that it decides who is slow and who is dead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/observatory.h"
#include "flow/probe.h"
#include "proxy/out_freedom.h"
#include "rig.h"
#include "route/balancer.h"
#include "route/observe.h"
#include "route/report.h"
#include "tls_kit.h"

#define OK_204 "HTTP/1.1 204 No Content\r\n\r\n"
#define FAULT "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"

static const char *const all[] = {"out"};

/* Outbounds out-0, out-1 ... that lead to servers of their own. */
struct sky {
	struct rig r;
	struct conf_observatory conf;
	struct observatory *ob;
	int listener[RIG_MAX];
	char tags[RIG_MAX][8];
	size_t n;
};

static void sky_begin(struct sky *k, enum conf_observe kind)
{
	memset(k, 0, sizeof(*k));
	rig_begin(&k->r);
	k->conf = (struct conf_observatory){
		.at = {"test", 1, "observatory"},
		.kind = kind,
		.selectors = {all, 1},
		.url = "http://probe.test:81/path?q",
		.connectivity = "",
		.method = "HEAD",
		.interval_ms = 100,
		.timeout_ms = 20000,
		.sampling = 3,
		.concurrent = true,
	};
}

/* A free port that refuses. */
static int no_listener(struct ipport *at)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	ipport_from_sockaddr(at, (struct sockaddr *)&sa);
	return fd;
}

static struct outbound *sky_add(struct sky *k, const char *prefix, bool dead)
{
	struct conf_outbound *o = &k->r.out_conf[k->n];
	struct ipport at;

	snprintf(k->tags[k->n], sizeof(k->tags[k->n]), "%s-%zu", prefix, k->n);
	k->listener[k->n] = dead ? no_listener(&at) : rig_target(SOCK_STREAM, &at);
	assert_true(k->listener[k->n] >= 0);
	o->tag = k->tags[k->n++];
	o->freedom.redirect = addr_from_ipport(&at);
	assert_true(rig_add_out(&k->r, out_freedom_new(&k->r.core, o)));
	return k->r.core.outbounds[k->n - 1];
}

static void sky_watch(struct sky *k, const struct conf_tls *tls)
{
	k->ob = observatory_new(&k->r.core, &k->conf, tls);
	assert_non_null(k->ob);
	observatory_start(k->ob);
}

static void sky_end(struct sky *k)
{
	observatory_stop(k->ob);
	for (size_t i = 0; i < k->n; i++)
		close(k->listener[i]);
	rig_end(&k->r);
	observatory_free(k->ob);
	buf_thread_exit();
	assert_int_equal(buf_live(), 0);
}

static const struct observe_stats *stats(const struct sky *k, size_t i)
{
	return k->r.core.outbounds[i]->stats;
}

static uint32_t health(const struct sky *k, size_t i)
{
	return stats(k, i)->health;
}

/* The next request to server @i, whole; the descriptor waits for an answer. */
static int hear(struct sky *k, size_t i)
{
	static const char want[] = "HEAD /path?q HTTP/1.1\r\nHost: probe.test:81\r\n";
	char got[sizeof(want) - 1], c;
	unsigned ends = 0;
	int fd = rig_accept(&k->r, k->listener[i]);

	assert_int_equal(turn_read(k->r.l, fd, got, sizeof(got)), sizeof(got));
	assert_memory_equal(got, want, sizeof(got));
	for (ends = 1; ends < 2;) {
		assert_int_equal(turn_read(k->r.l, fd, &c, 1), 1);
		ends = c == '\n' ? ends + 1 : c == '\r' ? ends : 0;
	}
	return fd;
}

static void answer(int fd, const char *text)
{
	assert_true(rig_write(fd, text, strlen(text)));
	close(fd);
}

static const char *pick(const struct sky *k, enum conf_balance strategy)
{
	const struct conf_balancer conf = {
		.tag = "b", .selectors = {all, 1}, .strategy = strategy, .fallback_tag = "none"};
	struct route_report report = {0};
	struct balancer *b = balancer_new(&conf, 1, &report);
	struct balance_member m[RIG_MAX] = {0};
	const char *tag;

	assert_non_null(b);
	for (size_t i = 0; i < k->n; i++)
		m[i] = (struct balance_member){.tag = k->tags[i], .stats = stats(k, i)};
	tag = balancer_pick(b, m, k->n);
	balancer_free(b);
	return tag;
}

/* Both are asked in one turn; that one of them answers later is the test's doing. */
static void the_fast_one_is_picked(void **state)
{
	struct sky k;
	uint64_t then;
	int slow, fast;

	(void)state;
	sky_begin(&k, CONF_OBSERVE_PLAIN);
	sky_add(&k, "out", false);
	sky_add(&k, "out", false);
	sky_add(&k, "out", true);
	sky_watch(&k, NULL);
	assert_string_equal(pick(&k, CONF_BALANCE_LEAST_PING), "none");
	slow = hear(&k, 0);
	fast = hear(&k, 1);
	answer(fast, OK_204);
	turn_until(k.r.l, health(&k, 1) == OBSERVE_ALIVE && health(&k, 2) == OBSERVE_DEAD);
	assert_string_equal(pick(&k, CONF_BALANCE_LEAST_PING), "out-1");
	then = loop_now(k.r.l);
	turn_until(k.r.l, loop_now(k.r.l) > then + 20);
	answer(slow, OK_204);
	turn_until(k.r.l, health(&k, 0) == OBSERVE_ALIVE);
	assert_true(stats(&k, 0)->delay_us > stats(&k, 1)->delay_us);
	assert_int_equal(stats(&k, 0)->deviation_us, stats(&k, 0)->delay_us);
	assert_string_equal(pick(&k, CONF_BALANCE_LEAST_PING), "out-1");
	assert_int_equal(rig_flows(&k.r), 0);
	/* the next round: the fast one has a fault, and comes back */
	answer(hear(&k, 1), FAULT);
	answer(hear(&k, 0), "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n");
	turn_until(k.r.l, health(&k, 1) == OBSERVE_DEAD);
	assert_string_equal(pick(&k, CONF_BALANCE_LEAST_PING), "out-0");
	answer(hear(&k, 1), "HTTP/1.1 103 Early Hints\r\n\r\n" OK_204);
	turn_until(k.r.l, health(&k, 1) == OBSERVE_ALIVE);
	sky_end(&k);
}

static void one_after_another(void **state)
{
	struct sky k;
	int first;

	(void)state;
	sky_begin(&k, CONF_OBSERVE_PLAIN);
	k.conf.concurrent = false;
	k.conf.interval_ms = 3600 * 1000; /* the first round does not wait for it */
	sky_add(&k, "out", false);
	sky_add(&k, "else", false);
	sky_add(&k, "out", false);
	sky_watch(&k, NULL);
	first = hear(&k, 0);
	turn_idle(k.r.l);
	assert_int_equal(accept(k.listener[2], NULL, NULL), -1);
	answer(first, OK_204);
	answer(hear(&k, 2), "SSH-2.0-OpenSSH\r\n");
	turn_until(k.r.l, health(&k, 2) == OBSERVE_DEAD);
	assert_int_equal(health(&k, 0), OBSERVE_ALIVE);
	assert_null(stats(&k, 1)); /* not selected */
	sky_end(&k);
}

static void samples_are_summed_up(void **state)
{
	struct sky k;

	(void)state;
	sky_begin(&k, CONF_OBSERVE_BURST);
	sky_add(&k, "out", false);
	sky_watch(&k, NULL);
	answer(hear(&k, 0), OK_204);
	turn_until(k.r.l, stats(&k, 0)->probes == 1);
	assert_int_equal(stats(&k, 0)->deviation_us, stats(&k, 0)->delay_us / 2);
	answer(hear(&k, 0), FAULT);
	turn_until(k.r.l, stats(&k, 0)->probes == 2);
	assert_int_equal(stats(&k, 0)->failures, 1);
	assert_int_equal(health(&k, 0), OBSERVE_ALIVE);
	assert_string_equal(pick(&k, CONF_BALANCE_LEAST_LOAD), "out-0");
	answer(hear(&k, 0), "");
	turn_until(k.r.l, stats(&k, 0)->probes == 3);
	answer(hear(&k, 0), FAULT); /* and the good one is forgotten */
	turn_until(k.r.l, stats(&k, 0)->failures == 3);
	assert_int_equal(stats(&k, 0)->probes, 3);
	assert_int_equal(health(&k, 0), OBSERVE_DEAD);
	assert_string_equal(pick(&k, CONF_BALANCE_LEAST_LOAD), "none");
	sky_end(&k);
}

/* A failure counts only while our own line works. */
static void our_own_line_is_down(void **state)
{
	struct ipport at;
	struct sky k;
	char url[64], text[32];
	int line;

	(void)state;
	sky_begin(&k, CONF_OBSERVE_BURST);
	line = rig_target(SOCK_STREAM, &at);
	snprintf(url, sizeof(url), "http://%s", ipport_text(&at, text, sizeof(text)));
	k.conf.connectivity = url;
	sky_add(&k, "out", true);
	sky_watch(&k, NULL);
	answer(rig_accept(&k.r, line), FAULT);
	close(rig_accept(&k.r, line));
	assert_int_equal(health(&k, 0), OBSERVE_UNKNOWN);
	answer(rig_accept(&k.r, line), OK_204);
	turn_until(k.r.l, health(&k, 0) == OBSERVE_DEAD);
	assert_int_equal(stats(&k, 0)->probes, 1);
	close(line);
	sky_end(&k);
}

/* ---- an outbound that says itself that it is dead ---- */

static bool portal_up;

static void portal_open(struct outbound *o, struct flow *f)
{
	(void)o;
	assert_true(portal_up);
	flow_failed(f, -ERR_NOWORKER, "empty worker list");
}

static bool portal_alive(const struct outbound *o)
{
	(void)o;
	return portal_up;
}

static void portal_free(struct outbound *o)
{
	(void)o;
}

static void a_portal_without_bridges_is_not_asked(void **state)
{
	static const struct outbound_ops ops = {
		.open = portal_open, .alive = portal_alive, .free = portal_free};
	struct outbound portal = {.ops = &ops, .tag = "out-portal"};
	struct sky k;

	(void)state;
	portal_up = false;
	sky_begin(&k, CONF_OBSERVE_PLAIN);
	sky_add(&k, "out", false);
	portal.core = &k.r.core;
	assert_true(rig_add_out(&k.r, &portal));
	sky_watch(&k, NULL);
	answer(hear(&k, 0), OK_204);
	answer(hear(&k, 0), OK_204);
	assert_int_equal(portal.stats->health, OBSERVE_UNKNOWN);
	portal_up = true;
	turn_until(k.r.l, portal.stats->health == OBSERVE_DEAD);
	sky_end(&k);
}

static void silence_is_death(void **state)
{
	struct sky k;
	int fd;

	(void)state;
	sky_begin(&k, CONF_OBSERVE_PLAIN);
	k.conf.timeout_ms = 100;
	sky_add(&k, "out", false);
	sky_watch(&k, NULL);
	fd = rig_accept(&k.r, k.listener[0]);
	turn_until(k.r.l, health(&k, 0) == OBSERVE_DEAD);
	close(fd);
	sky_end(&k);
}

/* ---- HTTPS ---- */

/* Serves one connection; true when the handshake succeeded. */
static bool serve_tls(struct sky *k, const struct kit_cert *cert)
{
	static const char want[] = "HEAD / HTTP/1.1\r\nHost: probe.test\r\n";
	struct kit_peer p;
	char got[2048];
	int n;

	kit_peer_init(&p, rig_accept(&k->r, k->listener[0]), true, 0, cert);
	kit_peer_start(&p, true);
	for (n = -1; n < 0 && !p.error;) {
		kit_turn(k->r.l);
		ERR_clear_error();
		n = SSL_read(p.ssl, got, sizeof(got));
		if (n <= 0)
			kit_peer_failed(&p, n);
	}
	if (n > 0) {
		assert_memory_equal(got, want, sizeof(want) - 1);
		assert_true(SSL_write(p.ssl, OK_204, sizeof(OK_204) - 1) > 0);
	}
	kit_peer_free(&p);
	return n > 0;
}

static void a_url_with_tls(void **state)
{
	const struct kit_cert_spec spec = {.cn = "x", .san = "DNS:probe.test", .ca = true};
	struct kit_cert good = kit_cert_make(&spec), bad = kit_cert_make(&spec);
	struct conf_cert trusted = kit_conf_cert(&good, CONF_CERT_VERIFY);
	static const char *const alpn[] = {"http/1.1"};
	struct conf_tls tls = kit_conf();
	struct sky k;

	(void)state;
	tls.certs = &trusted;
	tls.n_certs = 1;
	tls.alpn = (struct conf_strs){alpn, 1};
	sky_begin(&k, CONF_OBSERVE_PLAIN);
	k.conf.url = "HTTPS://probe.test";
	sky_add(&k, "out", false);
	sky_watch(&k, &tls);
	assert_true(serve_tls(&k, &good));
	turn_until(k.r.l, health(&k, 0) == OBSERVE_ALIVE);
	assert_false(serve_tls(&k, &bad));
	turn_until(k.r.l, health(&k, 0) == OBSERVE_DEAD);
	sky_end(&k);
	kit_cert_free(&good);
	kit_cert_free(&bad);
}

/* ---- more loops than one ---- */

static void *run_loop(void *arg)
{
	loop_run(arg);
	buf_thread_exit();
	splice_thread_exit();
	return NULL;
}

static void ends_while_probes_are_under_way(void **state)
{
	struct resolve_setup setup = {0};
	struct worker *w;
	pthread_t thread;
	struct sky k;
	int fd[2];

	(void)state;
	sky_begin(&k, CONF_OBSERVE_PLAIN);
	w = &k.r.core.workers[1];
	w->loop = loop_new(1);
	w->resolver = resolver_new(w->loop, &setup);
	list_init(&w->flows);
	k.r.core.n_workers = 2;
	sky_add(&k, "out", false)->home = w->loop;
	sky_add(&k, "out", false);
	sky_watch(&k, NULL);
	assert_int_equal(pthread_create(&thread, NULL, run_loop, w->loop), 0);
	answer(hear(&k, 0), OK_204);
	answer(hear(&k, 1), OK_204);
	turn_until(k.r.l,
		   health(&k, 0) == OBSERVE_ALIVE && health(&k, 1) == OBSERVE_ALIVE);
	fd[0] = hear(&k, 0);
	fd[1] = hear(&k, 1);
	observatory_stop(k.ob);
	loop_stop(w->loop);
	pthread_join(thread, NULL);
	assert_true(turn_ends(k.r.l, fd[0]) || errno == ECONNRESET);
	resolver_free(w->resolver);
	loop_free(w->loop);
	sky_end(&k);
	close(fd[0]);
	close(fd[1]);
}

static void urls(void **state)
{
	static const char *const good[] = {"http://a", "http://a:8080/x", "http://[::1]:80?x",
					   "https://10.0.0.1/#frag", "HTTP://a.b/%20"};
	static const char *const bad[] = {"", "a.b", "ftp://a/", "http://", "http:///x",
					  "http://a:x/", "http://a:70000/", "http://u@a/",
					  "http://a/ b", "http://a/\r\nX: y", "http://a b/"};
	char why[PROBE_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct probe_target *t = probe_target_new(good[i], "GET", NULL, why);

		assert_non_null(t);
		probe_target_free(t);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why[0] = 0;
		assert_null(probe_target_new(bad[i], "GET", NULL, why));
		assert_true(*why);
	}
	assert_null(probe_target_new("http://a/", "G T", NULL, why));
}

int main(void)
{
	const struct log_setup quiet = {.level = LOG_NONE, .access_off = true};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fast_one_is_picked),
		cmocka_unit_test(one_after_another),
		cmocka_unit_test(samples_are_summed_up),
		cmocka_unit_test(our_own_line_is_down),
		cmocka_unit_test(a_portal_without_bridges_is_not_asked),
		cmocka_unit_test(silence_is_death),
		cmocka_unit_test(a_url_with_tls),
		cmocka_unit_test(ends_while_probes_are_under_way),
		cmocka_unit_test(urls),
	};

	log_open(&quiet);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("observatory", tests, NULL, NULL);
}
