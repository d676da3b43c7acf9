/*
 * SOCKS 5, 4 and 4a. The vectors are what curl and v2ray 4.34 exchange; each message is
 * also read from every truncation of itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/socks.h"

typedef ssize_t (*decode_fn)(void *out, struct span in);

/* Decoders with their result type hidden, so that one loop serves all of them. */
static ssize_t greeting(void *out, struct span in)
{
	return socks5_greeting_decode(out, in);
}

static ssize_t method(void *out, struct span in)
{
	return socks5_method_decode(out, in);
}

static ssize_t login(void *out, struct span in)
{
	return socks5_login_decode(out, in);
}

static ssize_t verdict(void *out, struct span in)
{
	return socks5_verdict_decode(out, in);
}

static ssize_t request(void *out, struct span in)
{
	return socks5_request_decode(out, in);
}

static ssize_t reply(void *out, struct span in)
{
	return socks5_reply_decode(out, in);
}

static ssize_t request4(void *out, struct span in)
{
	return socks4_request_decode(out, in);
}

/* The verdict @want comes with the last byte of @wire; before it, more bytes are asked for. */
static void at_the_last_byte(decode_fn decode, const char *wire, ssize_t want)
{
	struct span in = hex(wire);
	uint8_t out[1024], before[1024];

	memset(before, 0x5a, sizeof(before));
	for (size_t n = 0; n < in.n; n++) {
		struct span part = exact(in, n);

		memset(out, 0x5a, sizeof(out));
		assert_int_equal(decode(out, part), 0);
		assert_memory_equal(out, before, sizeof(out));
		free_hex(part);
	}
	memset(out, 0x5a, sizeof(out));
	assert_int_equal(decode(out, in), want > 0 ? (ssize_t)in.n : want);
	if (want < 0)
		assert_memory_equal(out, before, sizeof(out));
	free_hex(in);
}

static void truncation_and_refusal(void **state)
{
	(void)state;
	at_the_last_byte(greeting, "05 00", 1);
	at_the_last_byte(greeting, "05 02 00 02", 1);
	at_the_last_byte(greeting, "04", -ERR_MALFORMED);
	at_the_last_byte(method, "05 ff", 1);
	at_the_last_byte(method, "48", -ERR_MALFORMED);
	at_the_last_byte(login, "01 01 61 02 6263", 1);
	at_the_last_byte(login, "05 00 00", 1);
	at_the_last_byte(verdict, "01 00", 1);
	at_the_last_byte(request, "05 01 00 01 7f000001 0050", 1);
	at_the_last_byte(request, "05 03 00 01 00000000 0000", 1);
	at_the_last_byte(request, "05 f0 00 03 01 61 0000", 1);
	at_the_last_byte(request, "05 02", -ERR_UNSUPPORTED);
	at_the_last_byte(request, "05 00", -ERR_UNSUPPORTED);
	at_the_last_byte(request, "05 01 00 02", -ERR_MALFORMED);
	at_the_last_byte(request, "05 01 00 03 00", -ERR_MALFORMED);
	at_the_last_byte(request, "05 01 00 03 01 40", -ERR_MALFORMED);
	at_the_last_byte(reply, "05 00 00 01 7f000001 2b48", 1);
	at_the_last_byte(reply, "05 00 00 04 00000000000000000000000000000001 2b48", 1);
	at_the_last_byte(reply, "05 00 00 03 00 2b48", 1);
	at_the_last_byte(reply, "05 05", 1);
	at_the_last_byte(reply, "04", -ERR_MALFORMED);
	at_the_last_byte(reply, "05 00 00 02", -ERR_MALFORMED);
	at_the_last_byte(request4, "04 01 0050 7f000001 00", 1);
	at_the_last_byte(request4, "04 01 0050 7f000001 726f6f74 00", 1);
	at_the_last_byte(request4, "04 01 0050 00000001 00 6c6f63616c686f7374 00", 1);
	at_the_last_byte(request4, "05", -ERR_MALFORMED);
	at_the_last_byte(request4, "04 02", -ERR_UNSUPPORTED);
	at_the_last_byte(request4, "04 01 0050 00000001 00 00", -ERR_MALFORMED);
	at_the_last_byte(request4, "04 01 0050 00000001 00 2f 00", -ERR_MALFORMED);
}

static void greetings_and_logins(void **state)
{
	struct span in = hex("05 02 00 02 01 04 75736572 02 7077");
	struct socks5_greeting g;
	struct socks5_login l;
	uint8_t b[64], m;
	struct wr w = wr_of(b, sizeof(b));
	static const uint8_t many[256];
	bool welcome;

	(void)state;
	assert_int_equal(socks5_greeting_decode(&g, in), 4);
	assert_true(socks5_offers(&g, SOCKS5_NO_AUTH));
	assert_true(socks5_offers(&g, SOCKS5_PASSWORD));
	assert_int_equal(socks5_greeting_encode(&w, &g), 0);
	assert_int_equal(socks5_login_decode(&l, span_of(in.p + 4, in.n - 4)), 9);
	assert_true(span_eq(l.user, span_str("user")));
	assert_true(span_eq(l.password, span_str("pw")));
	assert_int_equal(socks5_login_encode(&w, &l), 0);
	assert_bytes(w, "05 02 00 02 01 04 75736572 02 7077");
	free_hex(in);
	g.methods = span_of("\x02", 1);
	assert_false(socks5_offers(&g, SOCKS5_NO_AUTH));
	g.methods = span_of(NULL, 0);
	assert_false(socks5_offers(&g, SOCKS5_NO_AUTH));

	w = wr_of(b, sizeof(b));
	assert_int_equal(socks5_method_encode(&w, SOCKS5_NO_METHOD), 0);
	assert_int_equal(socks5_verdict_encode(&w, true), 0);
	assert_int_equal(socks5_verdict_encode(&w, false), 0);
	assert_bytes(w, "05ff 0100 01ff");
	assert_int_equal(socks5_method_decode(&m, span_of(b, 2)), 2);
	assert_int_equal(m, SOCKS5_NO_METHOD);
	assert_int_equal(socks5_verdict_decode(&welcome, span_of(b + 2, 2)), 2);
	assert_true(welcome);
	assert_int_equal(socks5_verdict_decode(&welcome, span_of(b + 4, 2)), 2);
	assert_false(welcome);

	g.methods = l.user = span_of(many, sizeof(many));
	assert_int_equal(socks5_greeting_encode(&w, &g), -ERR_LIMIT);
	assert_int_equal(socks5_login_encode(&w, &l), -ERR_LIMIT);
}

static void round_request(const char *wire, unsigned command, const char *target)
{
	struct span in = hex(wire);
	struct socks_request q;
	char text[ADDR_TEXT_MAX];
	uint8_t b[SOCKS5_REQUEST_MAX];
	struct wr w = wr_of(b, sizeof(b));

	assert_int_equal(socks5_request_decode(&q, in), in.n);
	assert_int_equal(q.command, command);
	assert_string_equal(addr_text(&q.target, text, sizeof(text)), target);
	assert_int_equal(socks5_request_encode(&w, &q), 0);
	assert_bytes(w, wire);
	for (size_t n = 0; n < in.n; n++) {
		w = wr_of(b, n);
		assert_int_equal(socks5_request_encode(&w, &q), -ERR_LIMIT);
	}
	free_hex(in);
}

static void requests(void **state)
{
	struct span in = hex("00 f1 ff 03 01 61 0050"); /* odd version and reserved byte, Tor */
	struct socks_request q;

	(void)state;
	round_request("05 01 00 01 7f000001 2b48", SOCKS_CONNECT, "127.0.0.1:11080");
	round_request("05 01 00 03 09 6c6f63616c686f7374 0050", SOCKS_CONNECT, "localhost:80");
	round_request("05 01 00 04 20010db8000000000000000000000001 01bb", SOCKS_CONNECT,
		      "[2001:db8::1]:443");
	round_request("05 03 00 01 00000000 0000", SOCKS_UDP, "0.0.0.0:0");
	assert_int_equal(socks5_request_decode(&q, in), in.n);
	assert_int_equal(q.command, SOCKS_CONNECT);
	free_hex(in);
}

static void replies(void **state)
{
	struct socks5_reply r = {.code = SOCKS5_BAD_COMMAND}, got;
	uint8_t b[SOCKS5_REQUEST_MAX];
	struct wr w = wr_of(b, sizeof(b));
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(socks5_reply_encode(&w, &r), 0);
	assert_bytes(w, "05 07 00 01 00000000 0000");
	assert_int_equal(socks5_reply_decode(&got, span_of(b, w.n)), 2);
	assert_int_equal(got.code, SOCKS5_BAD_COMMAND);
	assert_int_equal(got.bound.kind, ADDR_NONE);

	r.code = SOCKS5_OK;
	assert_int_equal(addr_parse(&r.bound, span_str("127.0.0.1:11080")), 0);
	w = wr_of(b, sizeof(b));
	assert_int_equal(socks5_reply_encode(&w, &r), 0);
	assert_bytes(w, "05 00 00 01 7f000001 2b48");
	assert_int_equal(socks5_reply_decode(&got, span_of(b, w.n)), w.n);
	assert_string_equal(addr_text(&got.bound, text, sizeof(text)), "127.0.0.1:11080");
	for (size_t n = 0; n < 10; n++) {
		w = wr_of(b, n);
		assert_int_equal(socks5_reply_encode(&w, &r), -ERR_LIMIT);
	}

	struct span in = hex("05 00 00 03 02 2a2a 2b48"); /* a name that is none */

	assert_int_equal(socks5_reply_decode(&got, in), in.n);
	assert_int_equal(got.bound.kind, ADDR_NONE);
	free_hex(in);
	in = hex("05 00 00 03 01 61 2b48");
	assert_int_equal(socks5_reply_decode(&got, in), in.n);
	assert_string_equal(addr_text(&got.bound, text, sizeof(text)), "a:11080");
	free_hex(in);
}

static void datagrams(void **state)
{
	struct span in = hex("0000 00 01 08080808 0035 616263");
	struct addr a;
	char text[ADDR_TEXT_MAX];
	uint8_t b[SOCKS5_REQUEST_MAX];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	assert_int_equal(socks5_datagram_decode(&a, in), 10);
	assert_string_equal(addr_text(&a, text, sizeof(text)), "8.8.8.8:53");
	assert_int_equal(socks5_datagram_encode(&w, &a), 0);
	assert_bytes(w, "0000 00 01 08080808 0035");
	for (size_t n = 0; n < 10; n++) {
		struct span part = exact(in, n);

		assert_int_equal(socks5_datagram_decode(&a, part), -ERR_MALFORMED);
		free_hex(part);
	}
	free_hex(in);
	in = hex("0000 01 01 08080808 0035 616263");
	assert_int_equal(socks5_datagram_decode(&a, in), -ERR_UNSUPPORTED);
	free_hex(in);
	in = hex("ffff 00 03 01 61 0035");
	assert_int_equal(socks5_datagram_decode(&a, in), 8);
	free_hex(in);
}

static void socks4(void **state)
{
	uint8_t b[SOCKS4_USER_MAX + 400] = {4, 1, 0, 80, 127, 0, 0, 1};
	struct socks_request q;
	char text[ADDR_TEXT_MAX];
	struct wr w = wr_of(text, sizeof(text));
	struct span in = hex("04 01 0050 00000001 726f6f74 00 6c6f63616c686f7374 00 47");

	(void)state;
	assert_int_equal(socks4_request_decode(&q, in), in.n - 1);
	assert_string_equal(addr_text(&q.target, text, sizeof(text)), "localhost:80");
	free_hex(in);
	assert_int_equal(socks4_request_decode(&q, span_of(b, 9)), 9);
	assert_string_equal(addr_text(&q.target, text, sizeof(text)), "127.0.0.1:80");

	memset(b + 8, 'u', SOCKS4_USER_MAX + 1);
	assert_int_equal(socks4_request_decode(&q, span_of(b, 8 + SOCKS4_USER_MAX)), 0);
	assert_int_equal(socks4_request_decode(&q, span_of(b, 9 + SOCKS4_USER_MAX)), -ERR_LIMIT);
	b[8 + SOCKS4_USER_MAX] = 0;
	assert_int_equal(socks4_request_decode(&q, span_of(b, sizeof(b))), 9 + SOCKS4_USER_MAX);
	b[4] = 0;
	memset(b + 9 + SOCKS4_USER_MAX, 'n', 256);
	assert_int_equal(socks4_request_decode(&q, span_of(b, sizeof(b))), -ERR_LIMIT);

	w = wr_of(b, 16);
	assert_int_equal(socks4_reply_encode(&w, true), 0);
	assert_int_equal(socks4_reply_encode(&w, false), 0);
	assert_bytes(w, "005a 0000 00000000 005b 0000 00000000");
	assert_int_equal(socks4_reply_encode(&w, false), -ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncation_and_refusal),
		cmocka_unit_test(greetings_and_logins),
		cmocka_unit_test(requests),
		cmocka_unit_test(replies),
		cmocka_unit_test(datagrams),
		cmocka_unit_test(socks4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
