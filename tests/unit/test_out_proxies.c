/* SOCKS and HTTP servers as outbounds; the test is the server, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "guest.h"
#include "hex.h"
#include "proto/socks.h"
#include "proxy/in_socks.h"
#include "proxy/out_freedom.h"
#include "proxy/out_http.h"
#include "proxy/out_socks.h"

static int begin(struct rig *r, const struct conf_out_proxy *conf, bool http)
{
	struct ipport at;
	int lfd;

	rig_begin(r);
	lfd = rig_target(SOCK_STREAM, &at);
	r->out_conf[0].proxy = *conf;
	r->out_conf[0].proxy.server = addr_from_ipport(&at);
	r->out_conf[0].tag = "way";
	assert_true(rig_add_out(r, (http ? out_http_new : out_socks_new)(&r->core,
									  &r->out_conf[0])));
	return lfd;
}

static struct addr name_of(const char *host, uint16_t port)
{
	struct addr a;

	assert_int_equal(addr_set_host(&a, span_str(host), port), 0);
	return a;
}

static void hear_hex(struct rig *r, int fd, const char *text)
{
	uint8_t want[600], got[600];
	size_t n = hex_read(want, sizeof(want), text);

	assert_int_equal(turn_read(r->l, fd, got, n), n);
	assert_memory_equal(got, want, n);
}

static void say_hex(int fd, const char *text)
{
	uint8_t b[600];
	size_t n = hex_read(b, sizeof(b), text);

	assert_true(rig_write(fd, b, n));
}

static void hear(struct rig *r, int fd, const char *text)
{
	char got[512] = "";

	assert_int_equal(turn_read(r->l, fd, got, strlen(text)), strlen(text));
	assert_string_equal(got, text);
}

static void test_socks_connect(void **state)
{
	const struct conf_out_proxy conf = {0};
	struct addr to = name_of("example.com", 443);
	struct guest g;
	struct rig r;
	int lfd = begin(&r, &conf, false), s;

	(void)state;
	flow_dispatch(guest_visit(&r, &g, CONF_TCP, &to));
	s = rig_accept(&r, lfd);
	hear_hex(&r, s, "05 01 00");
	say_hex(s, "05");
	turn_idle(r.l);
	say_hex(s, "00");
	hear_hex(&r, s, "05 01 00 03 0b 6578616d706c652e636f6d 01bb");
	assert_int_equal(g.verdicts, 0);
	/* The first bytes of the target may come with the reply. */
	say_hex(s, "05 00 00 03 03 61 62 63 0000 68 69");
	hear(&r, g.fd, "hi");
	assert_int_equal(g.verdict, 0);
	assert_true(rig_write(g.fd, "ho", 2));
	hear(&r, s, "ho");
	close(s);
	guest_leave(&r, &g);
	close(lfd);
	assert_int_equal(rig_end(&r), 0);
}

static void test_socks_login_and_refusals(void **state)
{
	static const struct {
		const char *first, *second, *third;
		int err;
	} v[] = {
		{"05 02", "01 00", "05 05 00", -ERR_REFUSED},
		{"05 02", "01 00", "05 03 00", -ERR_UNREACH},
		{"05 02", "01 01", NULL, -ERR_AUTH},
		{"05 00", NULL, NULL, -ERR_AUTH},
		{"05 ff", NULL, NULL, -ERR_AUTH},
		{"04 02", NULL, NULL, -ERR_MALFORMED},
	};
	const struct conf_out_proxy conf = {.auth = true,
					    .account = {.user = "anna", .pass = "secret"}};
	struct addr to = name_of("192.0.2.1", 80);

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct guest g;
		struct rig r;
		int lfd = begin(&r, &conf, false), s;

		flow_dispatch(guest_visit(&r, &g, CONF_TCP, &to));
		s = rig_accept(&r, lfd);
		hear_hex(&r, s, "05 01 02");
		say_hex(s, v[i].first);
		if (v[i].second) {
			hear_hex(&r, s, "01 04 616e6e61 06 736563726574");
			say_hex(s, v[i].second);
		}
		if (v[i].third) {
			hear_hex(&r, s, "05 01 00 01 c0000201 0050");
			say_hex(s, v[i].third);
		}
		turn_until(r.l, g.ended);
		assert_int_equal(g.verdict, v[i].err);
		close(s);
		close(g.fd);
		close(lfd);
		assert_int_equal(rig_end(&r), 0);
	}
}

static void test_socks_gives_up(void **state)
{
	const struct conf_out_proxy conf = {0};
	struct addr to = name_of("192.0.2.1", 80);
	struct guest g;
	struct flow *f;
	struct rig r;
	int lfd = begin(&r, &conf, false), s;
	uint8_t b[3];

	(void)state;
	f = guest_visit(&r, &g, CONF_TCP, &to);
	flow_dispatch(f);
	s = rig_accept(&r, lfd);
	assert_int_equal(turn_read(r.l, s, b, 3), 3);
	flow_abort(f, -ERR_CLOSED); /* in the middle of the conversation */
	close(s);
	close(g.fd);
	f = guest_visit(&r, &g, CONF_TCP, &to);
	flow_dispatch(f);
	flow_abort(f, -ERR_CLOSED); /* before it began */
	close(g.fd);
	flow_dispatch(guest_visit(&r, &g, CONF_TCP, &to));
	s = rig_accept(&r, lfd);
	close(s); /* the server goes away */
	turn_until(r.l, g.ended);
	assert_int_equal(g.verdict, -ERR_RESET);
	close(g.fd);
	close(lfd);
	assert_int_equal(rig_end(&r), 0);
}

static size_t datagram(uint8_t *out, const struct addr *to, const char *text)
{
	struct wr w = wr_of(out, 600);

	assert_int_equal(socks5_datagram_encode(&w, to), 0);
	wr_bytes(&w, text, strlen(text));
	return w.n;
}

static void test_socks_udp(void **state)
{
	const struct conf_out_proxy conf = {0};
	struct addr to = name_of("example.com", 443), source = name_of("192.0.2.9", 9);
	struct ipport at, from, alien_at;
	uint8_t b[600], want[600];
	struct guest g;
	struct rig r;
	int lfd = begin(&r, &conf, false), s, u = rig_target(SOCK_DGRAM, &at);
	int alien = rig_target(SOCK_DGRAM, &alien_at);
	char reply[64];
	size_t n, m;

	(void)state;
	flow_dispatch(guest_visit(&r, &g, CONF_UDP, &to));
	guest_put(&g, &to, "question");
	s = rig_accept(&r, lfd);
	hear_hex(&r, s, "05 01 00");
	say_hex(s, "05 00");
	hear_hex(&r, s, "05 03 00 01 00000000 0000");
	snprintf(reply, sizeof(reply), "05 00 00 01 00000000 %04x", at.port);
	say_hex(s, reply);
	n = rig_recv(&r, u, b, sizeof(b), &from);
	m = datagram(want, &to, "question");
	assert_int_equal(n, m);
	assert_memory_equal(b, want, n);
	n = datagram(b, &source, "forged");
	assert_true(rig_sendto(alien, b, n, &from));
	n = datagram(b, &source, "answer");
	assert_true(rig_sendto(u, b, n, &from));
	turn_until(r.l, g.got_n);
	assert_int_equal(g.got_n, 6);
	assert_memory_equal(g.got, "answer", 6);
	assert_true(addr_eq(&g.from, &source));
	close(s); /* the association ends with its connection */
	turn_until(r.l, g.ended);
	close(u);
	close(alien);
	close(lfd);
	assert_int_equal(rig_end(&r), 0);
}

/* Our client and our server, one behind the other. */
static void test_socks_through_our_own(void **state)
{
	const struct conf_out_proxy conf = {0};
	struct ipport at;
	struct addr to;
	struct guest g;
	struct flow *f;
	struct rig r;
	int lfd = begin(&r, &conf, false), tfd = rig_target(SOCK_STREAM, &at), t;

	(void)state;
	assert_true(rig_add_out(&r, out_freedom_new(&r.core, &r.out_conf[1])));
	assert_true(rig_add_in(&r, in_socks_new(&r.core, &r.in_conf[0])));
	to = addr_from_ipport(&at);
	f = guest_visit(&r, &g, CONF_TCP, &to);
	f->out = r.core.outbounds[0];
	flow_dispatch(f);
	/* The second flow goes by the default, which must not be the way back. */
	struct outbound *way = r.core.outbounds[0];

	r.core.outbounds[0] = r.core.outbounds[1];
	r.core.outbounds[1] = way;
	r.in[0]->ops->serve(r.in[0], stream_tcp_new(r.l, rig_accept(&r, lfd)), &r.info);
	t = rig_accept(&r, tfd);
	assert_true(rig_write(g.fd, "through", 7));
	hear(&r, t, "through");
	shutdown(g.fd, SHUT_WR);
	assert_true(turn_ends(r.l, t));
	assert_true(rig_write(t, "back", 4));
	hear(&r, g.fd, "back");
	close(t);
	assert_true(turn_ends(r.l, g.fd));
	guest_leave(&r, &g);
	close(lfd);
	close(tfd);
	assert_int_equal(rig_end(&r), 0);
}

static void test_http_connect(void **state)
{
	static const struct conf_header headers[] = {{"User-Agent", "curl/8"}, {"X-A", "b"}};
	const struct conf_out_proxy conf = {.auth = true,
					    .account = {.user = "anna", .pass = "secret"},
					    .headers = headers,
					    .n_headers = 2};
	struct addr to = name_of("2001:db8::1", 443);
	struct guest g;
	struct rig r;
	int lfd = begin(&r, &conf, true), s;

	(void)state;
	flow_dispatch(guest_visit(&r, &g, CONF_TCP, &to));
	s = rig_accept(&r, lfd);
	hear(&r, s, "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"
		    "Proxy-Authorization: Basic YW5uYTpzZWNyZXQ=\r\nUser-Agent: curl/8\r\n"
		    "X-A: b\r\nProxy-Connection: Keep-Alive\r\n\r\n");
	assert_true(rig_write(s, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ok\r\n\r\nSSH-", 49));
	hear(&r, g.fd, "SSH-"); /* the server of the target speaks first */
	assert_true(rig_write(g.fd, "ho", 2));
	hear(&r, s, "ho");
	close(s);
	guest_leave(&r, &g);
	close(lfd);
	assert_int_equal(rig_end(&r), 0);
}

static void test_http_refusals(void **state)
{
	static const struct {
		const char *answer;
		int err;
	} v[] = {
		{"HTTP/1.1 407 x\r\n\r\n", -ERR_AUTH},
		{"HTTP/1.1 502 x\r\n\r\n", -ERR_UNREACH},
		{"HTTP/1.1 204 x\r\n\r\n", -ERR_RESET},
		{"SSH-2.0\r\n\r\n", -ERR_MALFORMED},
	};
	const struct conf_out_proxy conf = {0};
	struct addr to = name_of("192.0.2.1", 80);

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct guest g;
		struct rig r;
		int lfd = begin(&r, &conf, true), s;

		flow_dispatch(guest_visit(&r, &g, CONF_TCP, &to));
		s = rig_accept(&r, lfd);
		assert_true(rig_write(s, v[i].answer, strlen(v[i].answer)));
		turn_until(r.l, g.ended);
		assert_int_equal(g.verdict, v[i].err);
		close(s);
		close(g.fd);
		flow_dispatch(guest_visit(&r, &g, CONF_UDP, &to));
		turn_until(r.l, g.ended);
		assert_int_equal(g.verdict, -ERR_UNSUPPORTED);
		close(lfd);
		assert_int_equal(rig_end(&r), 0);
	}
}

static void test_http_bad_header_at_start(void **state)
{
	static const struct conf_header bad[] = {{"X-A", "b\r\nX-B: c"}};
	struct rig r;

	(void)state;
	rig_begin(&r);
	r.out_conf[0].at = (struct conf_at){"a.json", 3, "outbounds[0]"};
	r.out_conf[0].proxy.headers = bad;
	r.out_conf[0].proxy.n_headers = 1;
	assert_null(out_http_new(&r.core, &r.out_conf[0]));
	assert_int_equal(rig_end(&r), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_socks_connect),
		cmocka_unit_test(test_socks_login_and_refusals),
		cmocka_unit_test(test_socks_gives_up),
		cmocka_unit_test(test_socks_udp),
		cmocka_unit_test(test_socks_through_our_own),
		cmocka_unit_test(test_http_connect),
		cmocka_unit_test(test_http_refusals),
		cmocka_unit_test(test_http_bad_header_at_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
