/* The HTTP inbound: tunnels, requests routed one by one, and what happens when things go wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "proxy/in_http.h"
#include "proxy/out_blackhole.h"
#include "proxy/out_freedom.h"
#include "rig.h"

static const struct conf_account accounts[] = {{.user = "anna", .pass = "secret"}};

#define UNAVAILABLE "HTTP/1.1 503 Service Unavailable\r\nProxy-Connection: close\r\n" ENDING
#define ENDING "Connection: close\r\nContent-Length: 0\r\n\r\n"
#define KEEP \
	"Proxy-Connection: keep-alive\r\nConnection: keep-alive\r\nKeep-Alive: timeout=60\r\n\r\n"
#define CLOSE "Proxy-Connection: close\r\nConnection: close\r\n\r\n"

static void begin(struct rig *r, const struct conf_in_http *conf)
{
	rig_begin(r);
	r->in_conf[0].http = *conf;
	assert_true(rig_add_out(r, out_freedom_new(&r->core, &r->out_conf[0])));
	assert_true(rig_add_in(r, in_http_new(&r->core, &r->in_conf[0])));
}

static void end(struct rig *r)
{
	assert_int_equal(rig_end(r), 0);
}

static void say(int fd, const char *text)
{
	assert_true(rig_write(fd, text, strlen(text)));
}

static void hear(struct rig *r, int fd, const char *text)
{
	char got[1024] = "";
	size_t n = strlen(text);

	assert_true(n < sizeof(got));
	assert_int_equal(turn_read(r->l, fd, got, n), n);
	assert_string_equal(got, text);
}

/* "GET http://127.0.0.1:port/..." with the port put in for %u. */
__attribute__((format(printf, 2, 3))) static void sayf(int fd, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(fd, text);
}

__attribute__((format(printf, 3, 4))) static void hearf(struct rig *r, int fd, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	hear(r, fd, text);
}

static void test_tunnel_keeps_early_bytes(void **state)
{
	const struct conf_in_http conf = {0};
	struct ipport at;
	struct rig r;
	int lfd, c, t;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	c = rig_client(&r, 0);
	sayf(c, "CONNECT 127.0.0.1:%u HTTP/1.1\r\nHost: x\r\n\r\nearly", at.port);
	hear(&r, c, "HTTP/1.1 200 Connection established\r\n\r\n");
	t = rig_accept(&r, lfd);
	hear(&r, t, "early");
	say(t, "late");
	close(t);
	hear(&r, c, "late");
	assert_true(turn_ends(r.l, c));
	close(c);
	close(lfd);
	end(&r);
}

static void test_two_hosts_on_one_connection(void **state)
{
	const struct conf_in_http conf = {0};
	struct ipport at1, at2;
	struct rig r;
	int l1, l2, c, t;

	(void)state;
	begin(&r, &conf);
	l1 = rig_target(SOCK_STREAM, &at1);
	l2 = rig_target(SOCK_STREAM, &at2);
	c = rig_client(&r, 0);
	sayf(c, "POST http://127.0.0.1:%u/a?b HTTP/1.1\r\nHost: other\r\nContent-Length: 4\r\n"
		"Proxy-Connection: keep-alive\r\nX: y\r\n\r\nbo",
	     at1.port);
	t = rig_accept(&r, l1);
	hearf(&r, t, "POST /a?b HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Length: 4\r\nX: y\r\n"
		     "Connection: close\r\n\r\nbo",
	      at1.port);
	/* The rest of the body, and the next request in the same breath. */
	sayf(c, "dyGET http://127.0.0.1:%u HTTP/1.1\r\nProxy-Connection: keep-alive\r\n\r\n",
	     at2.port);
	hear(&r, t, "dy");
	say(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nfirstand more");
	hear(&r, c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" KEEP "first");
	assert_true(turn_ends(r.l, t));
	close(t);
	t = rig_accept(&r, l2);
	hearf(&r, t, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n\r\n", at2.port);
	say(t, "HTTP/1.1 204 No Content\r\n\r\n");
	hear(&r, c, "HTTP/1.1 204 No Content\r\n" KEEP);
	close(t);
	turn_until(r.l, rig_flows(&r) == 0);
	close(c);
	close(l1);
	close(l2);
	end(&r);
}

static void test_chunks_interim_answers_and_head(void **state)
{
	const struct conf_in_http conf = {0};
	struct ipport at;
	struct rig r;
	int lfd, c, t;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	c = rig_client(&r, 0);
	sayf(c, "PUT http://127.0.0.1:%u/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
		"Expect: 100-continue\r\n\r\n",
	     at.port);
	t = rig_accept(&r, lfd);
	hearf(&r, t, "PUT / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nTransfer-Encoding: chunked\r\n"
		     "Expect: 100-continue\r\nConnection: close\r\n\r\n",
	      at.port);
	say(t, "HTTP/1.1 100 Continue\r\n\r\n");
	hear(&r, c, "HTTP/1.1 100 Continue\r\n\r\n");
	say(c, "3\r\nabc\r\n");
	hear(&r, t, "3\r\nabc\r\n");
	say(c, "0\r\n\r\n");
	hear(&r, t, "0\r\n\r\n");
	say(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
	hear(&r, c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" KEEP
		    "2\r\nhi\r\n0\r\n\r\n");
	assert_true(turn_ends(r.l, t));
	close(t);
	sayf(c, "HEAD http://127.0.0.1:%u/ HTTP/1.1\r\n\r\n", at.port);
	t = rig_accept(&r, lfd);
	hearf(&r, t, "HEAD / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n\r\n", at.port);
	say(t, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
	hear(&r, c, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n" KEEP);
	assert_true(turn_ends(r.l, t));
	close(t);
	close(c);
	close(lfd);
	turn_until(r.l, rig_flows(&r) == 0);
	end(&r);
}

/* An answer that ends with its connection ends the client's as well. */
static void test_answer_until_close(void **state)
{
	const struct conf_in_http conf = {0};
	struct ipport at;
	struct rig r;
	int lfd, c, t;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	c = rig_client(&r, 0);
	sayf(c, "GET http://127.0.0.1:%u/ HTTP/1.0\r\n\r\n", at.port);
	t = rig_accept(&r, lfd);
	hearf(&r, t, "GET / HTTP/1.0\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n\r\n", at.port);
	say(t, "HTTP/1.0 200 OK\r\n\r\nall of ");
	hear(&r, c, "HTTP/1.1 200 OK\r\n" CLOSE "all of ");
	say(t, "it");
	close(t);
	hear(&r, c, "it");
	assert_true(turn_ends(r.l, c));
	close(c);
	close(lfd);
	end(&r);
}

static void test_failures_are_told(void **state)
{
	const struct conf_in_http conf = {0};
	struct ipport at;
	struct rig r;
	int lfd, c, t;
	char byte;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	c = rig_client(&r, 0); /* not HTTP */
	sayf(c, "GET http://127.0.0.1:%u/ HTTP/1.1\r\n\r\n", at.port);
	t = rig_accept(&r, lfd);
	say(t, "SSH-2.0-nothing\r\n");
	hear(&r, c, UNAVAILABLE);
	assert_true(turn_ends(r.l, c));
	close(c);
	close(t);
	c = rig_client(&r, 0); /* no answer at all */
	sayf(c, "GET http://127.0.0.1:%u/ HTTP/1.1\r\n\r\n", at.port);
	t = rig_accept(&r, lfd);
	close(t);
	hear(&r, c, UNAVAILABLE);
	assert_true(turn_ends(r.l, c));
	close(c);
	c = rig_client(&r, 0); /* half an answer must not look whole */
	sayf(c, "GET http://127.0.0.1:%u/ HTTP/1.1\r\n\r\n", at.port);
	t = rig_accept(&r, lfd);
	say(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
	hear(&r, c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n" KEEP "half");
	close(t);
	turn_until(r.l, rig_flows(&r) == 0);
	while (read(c, &byte, 1) == -1 && errno == EAGAIN)
		turn_idle(r.l);
	close(c);
	close(lfd); /* nobody there */
	c = rig_client(&r, 0);
	sayf(c, "GET http://127.0.0.1:%u/ HTTP/1.1\r\n\r\n", at.port);
	hear(&r, c, UNAVAILABLE);
	assert_true(turn_ends(r.l, c));
	close(c);
	end(&r);
}

/* A client that breaks off while it is answered ends the flow. */
static void test_client_breaks_off(void **state)
{
	const struct conf_in_http conf = {0};
	struct ipport at;
	struct rig r;
	int lfd, c, t;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	c = rig_client(&r, 0);
	sayf(c, "POST http://127.0.0.1:%u/ HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf", at.port);
	t = rig_accept(&r, lfd);
	close(c);
	turn_until(r.l, rig_flows(&r) == 0);
	close(t);
	close(lfd);
	end(&r);
}

static void test_refusals(void **state)
{
	static const struct {
		bool auth;
		const char *says, *hears;
	} v[] = {
		{false, "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		 "HTTP/1.1 400 Bad Request\r\nProxy-Connection: close\r\n" ENDING},
		{false, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		 "HTTP/1.1 400 Bad Request\r\nProxy-Connection: close\r\n" ENDING},
		{true, "CONNECT a:1 HTTP/1.1\r\n\r\n",
		 "HTTP/1.1 407 Proxy Authentication Required\r\n"
		 "Proxy-Authenticate: Basic realm=\"proxy\"\r\n" ENDING},
		{true, "CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic YW5uYTp3cm9uZw==\r\n\r\n",
		 "HTTP/1.1 407 Proxy Authentication Required\r\n"
		 "Proxy-Authenticate: Basic realm=\"proxy\"\r\n" ENDING},
		{false, "\x16\x03\x01\x02", ""},
		{false, "GET http:/// HTTP/1.1\r\n\r\n", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct conf_in_http conf = {.accounts = accounts, .n_accounts = v[i].auth};
		struct rig r;
		int c;

		begin(&r, &conf);
		c = rig_client(&r, 0);
		say(c, v[i].says);
		hear(&r, c, v[i].hears);
		assert_true(turn_ends(r.l, c));
		close(c);
		end(&r);
	}
}

static void test_login(void **state)
{
	const struct conf_in_http conf = {.accounts = accounts, .n_accounts = 1};
	struct rig r;
	struct flow *f;
	int c, lfd, t;
	struct ipport at;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	c = rig_client(&r, 0);
	sayf(c, "CONNECT 127.0.0.1:%u HTTP/1.1\r\n"
		"Proxy-Authorization: Basic YW5uYTpzZWNyZXQ=\r\n\r\n",
	     at.port);
	hear(&r, c, "HTTP/1.1 200 Connection established\r\n\r\n");
	t = rig_accept(&r, lfd);
	f = list_first(&r.core.workers[0].flows, struct flow, all);
	assert_string_equal(f->user, "anna");
	close(t);
	close(c);
	close(lfd);
	end(&r);
}

static void test_transparent_and_long_heads(void **state)
{
	const struct conf_in_http conf = {.allow_transparent = true};
	static char big[65536];
	struct ipport at;
	struct rig r;
	int lfd, c, t;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	c = rig_client(&r, 0);
	sayf(c, "GET /x HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", at.port);
	t = rig_accept(&r, lfd);
	hearf(&r, t, "GET /x HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n\r\n", at.port);
	close(t);
	close(c);
	c = rig_client(&r, 0);
	say(c, "GET http://a/ HTTP/1.1\r\nA: ");
	memset(big, 'a', sizeof(big));
	for (size_t n = 0; n < sizeof(big);) {
		ssize_t put = write(c, big, sizeof(big) - n);

		if (put > 0)
			n += (size_t)put;
		turn_idle(r.l);
	}
	hear(&r, c, "HTTP/1.1 431 Request Header Fields Too Large\r\nProxy-Connection: close\r\n"
	     ENDING);
	close(c);
	close(lfd);
	turn_until(r.l, rig_flows(&r) == 0);
	end(&r);
}

static void test_reply_after_connect(void **state)
{
	const struct conf_in_http conf = {.reply_after_connect = true};
	struct ipport at;
	struct rig r;
	int lfd, c, t;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	c = rig_client(&r, 0);
	sayf(c, "CONNECT 127.0.0.1:%u HTTP/1.1\r\n\r\n", at.port);
	hear(&r, c, "HTTP/1.1 200 Connection established\r\n\r\n");
	t = rig_accept(&r, lfd);
	close(t);
	close(c);
	close(lfd);
	c = rig_client(&r, 0);
	sayf(c, "CONNECT 127.0.0.1:%u HTTP/1.1\r\n\r\n", at.port);
	hear(&r, c, UNAVAILABLE);
	assert_true(turn_ends(r.l, c));
	close(c);
	end(&r);
}

/* The 403 page of a blackhole is an answer like any other. */
static void test_blackhole_page(void **state)
{
	const struct conf_in_http conf = {0};
	struct rig r;
	int c;

	(void)state;
	rig_begin(&r);
	r.in_conf[0].http = conf;
	r.out_conf[0].blackhole.http = true;
	assert_true(rig_add_out(&r, out_blackhole_new(&r.core, &r.out_conf[0])));
	assert_true(rig_add_in(&r, in_http_new(&r.core, &r.in_conf[0])));
	c = rig_client(&r, 0);
	say(c, "GET http://a/ HTTP/1.1\r\n\r\n");
	hear(&r, c, "HTTP/1.1 403 Forbidden\r\nCache-Control: max-age=3600, public\r\n"
		    "Content-Length: 0\r\n" KEEP);
	turn_until(r.l, rig_flows(&r) == 0); /* the answer is whole: nobody waits out the second */
	close(c);
	end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnel_keeps_early_bytes),
		cmocka_unit_test(test_two_hosts_on_one_connection),
		cmocka_unit_test(test_chunks_interim_answers_and_head),
		cmocka_unit_test(test_answer_until_close),
		cmocka_unit_test(test_failures_are_told),
		cmocka_unit_test(test_client_breaks_off),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_transparent_and_long_heads),
		cmocka_unit_test(test_reply_after_connect),
		cmocka_unit_test(test_blackhole_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
