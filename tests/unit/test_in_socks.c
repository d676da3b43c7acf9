/* The SOCKS inbound byte for byte, with freedom behind it and targets on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "hex.h"
#include "proto/socks.h"
#include "proxy/in_socks.h"
#include "proxy/out_freedom.h"
#include "rig.h"

static const struct conf_account accounts[] = {{.user = "anna", .pass = "secret"}};

static void begin(struct rig *r, const struct conf_in_socks *conf)
{
	rig_begin(r);
	r->in_conf[0].socks = *conf;
	r->in_conf[0].listen.kind = CONF_LISTEN_IP;
	r->in_conf[0].listen.ip = r->info.local.ip;
	assert_true(rig_add_out(r, out_freedom_new(&r->core, &r->out_conf[0])));
	assert_true(rig_add_in(r, in_socks_new(&r->core, &r->in_conf[0])));
}

static void end(struct rig *r)
{
	assert_int_equal(rig_end(r), 0);
}

static void send_hex(int fd, const char *text)
{
	uint8_t b[600];
	size_t n = hex_read(b, sizeof(b), text);

	assert_true(rig_write(fd, b, n));
}

static void expect_hex(struct rig *r, int fd, const char *text)
{
	uint8_t want[600], got[600];
	size_t n = hex_read(want, sizeof(want), text);

	assert_int_equal(turn_read(r->l, fd, got, n), n);
	assert_memory_equal(got, want, n);
}

/* "05 01 00 01 ip port" or the SOCKS 4 form, for @at. */
static void send_connect(int fd, const struct ipport *at, bool version4)
{
	struct socks_request q = {.command = SOCKS_CONNECT, .target = addr_from_ipport(at)};
	uint8_t b[64] = {4, 1, (uint8_t)(at->port >> 8), (uint8_t)at->port, 127, 0, 0, 1, 'm', 'e', 0};
	struct wr w = wr_of(b, sizeof(b));

	if (!version4)
		assert_int_equal(socks5_request_encode(&w, &q), 0);
	assert_true(rig_write(fd, b, version4 ? 11 : w.n));
}

/* What one end writes the other reads, both ways, and the end of one is told to the other. */
static void check_relay(struct rig *r, int client, int target)
{
	char got[16];

	assert_true(rig_write(client, "ping", 4));
	assert_int_equal(turn_read(r->l, target, got, 4), 4);
	assert_true(rig_write(target, "pong", 4));
	assert_int_equal(turn_read(r->l, client, got, 4), 4);
	assert_memory_equal(got, "pong", 4);
	shutdown(client, SHUT_WR);
	assert_true(turn_ends(r->l, target));
	assert_true(rig_write(target, "late", 4));
	assert_int_equal(turn_read(r->l, client, got, 4), 4);
	close(target);
	assert_true(turn_ends(r->l, client));
	turn_until(r->l, rig_flows(r) == 0);
	close(client);
}

static void test_connect(void **state)
{
	const struct conf_in_socks conf = {0};
	struct ipport at;
	struct rig r;
	int lfd, c;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	c = rig_client(&r, 0);
	send_hex(c, "05 02 02 00");
	expect_hex(&r, c, "05 00");
	send_connect(c, &at, false);
	expect_hex(&r, c, "05 00 00 01 7f000001 0438");
	check_relay(&r, c, rig_accept(&r, lfd));
	close(lfd);
	end(&r);
}

/* Everything in one segment, payload included; nothing of it may get lost. */
static void test_pipelined(void **state)
{
	const struct conf_in_socks conf = {0};
	struct ipport at;
	struct rig r;
	int lfd, c, t;
	char got[8];

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	c = rig_client(&r, 0);
	send_hex(c, "05 01 00");
	send_connect(c, &at, false);
	assert_true(rig_write(c, "early", 5));
	t = rig_accept(&r, lfd);
	assert_int_equal(turn_read(r.l, t, got, 5), 5);
	assert_memory_equal(got, "early", 5);
	expect_hex(&r, c, "05 00 05 00 00 01 7f000001 0438");
	close(t);
	close(c);
	close(lfd);
	turn_until(r.l, rig_flows(&r) == 0);
	end(&r);
}

static void test_byte_by_byte(void **state)
{
	const struct conf_in_socks conf = {.auth = true, .accounts = accounts, .n_accounts = 1};
	static const uint8_t talk[] = "\x05\x01\x02\x01\x04"
				      "anna\x06secret\x05\x01\x00\x03\x09localhost";
	uint8_t port[2];
	struct ipport at;
	struct rig r;
	int lfd, c;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	port[0] = (uint8_t)(at.port >> 8);
	port[1] = (uint8_t)at.port;
	c = rig_client(&r, 0);
	for (size_t i = 0; i < sizeof(talk) - 1; i++) {
		assert_true(rig_write(c, &talk[i], 1));
		turn_idle(r.l);
	}
	assert_true(rig_write(c, port, 2));
	expect_hex(&r, c, "05 02 01 00 05 00 00 01 7f000001 0438");
	check_relay(&r, c, rig_accept(&r, lfd));
	close(lfd);
	end(&r);
}

/* What is refused, with which bytes, and that the end follows. */
static void test_refusals(void **state)
{
	static const struct {
		bool auth;
		const char *says, *hears;
	} v[] = {
		{false, "05 01 02", "05 ff"},
		{false, "05 00", "05 ff"},
		{true, "05 01 00", "05 ff"},
		{true, "05 01 02 01 04 616e6e61 05 7772 6f6e67", "05 02 01 ff"},
		{false, "05 01 00 05 02 00", "05 00 05 07 00 01 00000000 0000"},
		{false, "05 01 00 05 03 00 01 00000000 0000", "05 00 05 07 00 01 00000000 0000"},
		{false, "05 01 00 05 01 00 02", "05 00 05 08 00 01 00000000 0000"},
		{false, "05 01 00 05 01 00 03 00", "05 00 05 08 00 01 00000000 0000"},
		{false, "04 02 0050 7f000001 00", "00 5b 0000 00000000"},
		{true, "04 01 0050 7f000001 00", "00 5b 0000 00000000"},
		{false, "00 01 02 03 04 05 06 07 0d0a0d0a", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct conf_in_socks conf = {
			.auth = v[i].auth, .accounts = accounts, .n_accounts = 1};
		struct rig r;
		int c;

		begin(&r, &conf);
		c = rig_client(&r, 0);
		send_hex(c, v[i].says);
		expect_hex(&r, c, v[i].hears);
		assert_true(turn_ends(r.l, c));
		assert_int_equal(rig_flows(&r), 0);
		close(c);
		end(&r);
	}
}

static void test_socks4(void **state)
{
	const struct conf_in_socks conf = {0};
	struct ipport at;
	struct rig r;
	int lfd, c;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	c = rig_client(&r, 0);
	send_connect(c, &at, true);
	expect_hex(&r, c, "00 5a 0000 00000000");
	check_relay(&r, c, rig_accept(&r, lfd));
	close(lfd);
	end(&r);
}

/* The default says yes before it knows; the opt-in says what happened. */
static void test_verdict(void **state)
{
	struct conf_in_socks conf = {0};
	struct ipport at;
	struct rig r;
	int lfd, c;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	close(lfd);
	c = rig_client(&r, 0);
	send_hex(c, "05 01 00");
	send_connect(c, &at, false);
	expect_hex(&r, c, "05 00 05 00 00 01 7f000001 0438");
	assert_true(turn_ends(r.l, c));
	close(c);
	end(&r);

	conf.reply_after_connect = true;
	begin(&r, &conf);
	c = rig_client(&r, 0);
	send_hex(c, "05 01 00");
	send_connect(c, &at, false);
	assert_true(rig_write(c, "unread", 6));
	expect_hex(&r, c, "05 00 05 05 00 01 00000000 0000");
	assert_true(turn_ends(r.l, c));
	close(c);
	lfd = rig_target(SOCK_STREAM, &at);
	c = rig_client(&r, 0);
	send_hex(c, "05 01 00");
	send_connect(c, &at, false);
	expect_hex(&r, c, "05 00 05 00 00 01 7f000001 0438");
	check_relay(&r, c, rig_accept(&r, lfd));
	close(lfd);
	end(&r);
}

static void test_http_on_the_same_port(void **state)
{
	const struct conf_in_socks conf = {0};
	char text[64], got[64] = "";
	struct ipport at;
	struct rig r;
	int lfd, c;

	(void)state;
	begin(&r, &conf);
	lfd = rig_target(SOCK_STREAM, &at);
	c = rig_client(&r, 0);
	snprintf(text, sizeof(text), "CONNECT 127.0.0.1:%u HTTP/1.1\r\n\r\n", at.port);
	assert_true(rig_write(c, text, strlen(text)));
	assert_int_equal(turn_read(r.l, c, got, 39), 39);
	assert_string_equal(got, "HTTP/1.1 200 Connection established\r\n\r\n");
	check_relay(&r, c, rig_accept(&r, lfd));
	close(lfd);
	end(&r);
}

/* Asks for an association from @c and returns where to send. */
static struct ipport associate(struct rig *r, int c)
{
	struct ipport at = r->info.local;
	uint8_t b[12];

	send_hex(c, "05 01 00 05 03 00 01 00000000 0000");
	assert_int_equal(turn_read(r->l, c, b, 12), 12);
	assert_memory_equal(b, "\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01", 10);
	at.port = (uint16_t)(b[10] << 8 | b[11]);
	assert_int_not_equal(at.port, 0);
	return at;
}

static size_t datagram(uint8_t *out, const struct ipport *to, const char *text)
{
	struct addr a = addr_from_ipport(to);
	struct wr w = wr_of(out, 600);

	assert_int_equal(socks5_datagram_encode(&w, &a), 0);
	wr_bytes(&w, text, strlen(text));
	return w.n;
}

/* One association, two targets, answers with their sources, an end with the connection. */
static void test_udp(void **state)
{
	const struct conf_in_socks conf = {.udp = true};
	struct ipport relay, at1, at2, from, me, other;
	uint8_t b[600];
	struct rig r;
	int c, u, alien, t1, t2;
	size_t n;

	(void)state;
	begin(&r, &conf);
	c = rig_client(&r, 0);
	relay = associate(&r, c);
	u = rig_target(SOCK_DGRAM, &me);
	alien = rig_target(SOCK_DGRAM, &other);
	t1 = rig_target(SOCK_DGRAM, &at1);
	t2 = rig_target(SOCK_DGRAM, &at2);
	n = datagram(b, &at1, "one");
	b[2] = 1; /* a fragment */
	assert_true(rig_sendto(u, b, n, &relay));
	n = datagram(b, &at1, "");
	assert_true(rig_sendto(u, b, n, &relay));
	n = datagram(b, &at1, "one");
	assert_true(rig_sendto(u, b, n, &relay));
	n = rig_recv(&r, t1, b, sizeof(b), &from);
	assert_int_equal(n, 3);
	assert_memory_equal(b, "one", 3);
	assert_true(rig_sendto(t1, "1!", 2, &from));
	n = rig_recv(&r, u, b, sizeof(b), &other);
	assert_int_equal(n, 12);
	assert_memory_equal(b, "\0\0\0\1\x7f\0\0\1", 8);
	assert_int_equal(b[8] << 8 | b[9], at1.port);
	assert_memory_equal(b + 10, "1!", 2);
	/* Another port of the same host is not the client any more. */
	n = datagram(b, &at2, "alien");
	assert_true(rig_sendto(alien, b, n, &relay));
	n = datagram(b, &at2, "two");
	assert_true(rig_sendto(u, b, n, &relay));
	n = rig_recv(&r, t2, b, sizeof(b), &other);
	assert_memory_equal(b, "two", 3);
	assert_true(ipport_eq(&other, &from)); /* one socket for all: full cone */
	assert_int_equal(rig_flows(&r), 1);
	close(c);
	turn_until(r.l, rig_flows(&r) == 0);
	close(u);
	close(alien);
	close(t1);
	close(t2);
	end(&r);
}

/* The request of v2ray 4 names the target, not the sender. */
static void test_udp_request_that_names_the_target(void **state)
{
	const struct conf_in_socks conf = {.udp = true};
	struct ipport relay, at, me, from;
	uint8_t b[600];
	struct rig r;
	int c, u, t;
	size_t n;

	(void)state;
	begin(&r, &conf);
	c = rig_client(&r, 0);
	send_hex(c, "05 01 00 05 03 00 01 c0000209 0035");
	assert_int_equal(turn_read(r.l, c, b, 12), 12);
	relay = r.info.local;
	relay.port = (uint16_t)(b[10] << 8 | b[11]);
	u = rig_target(SOCK_DGRAM, &me);
	t = rig_target(SOCK_DGRAM, &at);
	n = datagram(b, &at, "hello");
	assert_true(rig_sendto(u, b, n, &relay));
	assert_int_equal(rig_recv(&r, t, b, sizeof(b), &from), 5);
	close(c);
	close(u);
	close(t);
	turn_until(r.l, rig_flows(&r) == 0);
	end(&r);
}

static void test_udp_ends_without_a_flow(void **state)
{
	const struct conf_in_socks conf = {.udp = true};
	struct ipport relay;
	struct rig r;
	int c;

	(void)state;
	begin(&r, &conf);
	c = rig_client(&r, 0);
	relay = associate(&r, c);
	assert_int_not_equal(relay.port, 0);
	close(c);
	turn_idle(r.l);
	c = rig_client(&r, 0);
	associate(&r, c);
	end(&r); /* and an open one ends with the loop */
	close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_socks4),
		cmocka_unit_test(test_verdict),
		cmocka_unit_test(test_http_on_the_same_port),
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_udp_request_that_names_the_target),
		cmocka_unit_test(test_udp_ends_without_a_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
