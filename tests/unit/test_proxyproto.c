/* PROXY protocol headers, both versions, both ways; what Xray prepends are the first vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/proxyproto.h"

#define SIG "0d0a0d0a000d0a515549540a"

static void fields(const struct proxyproto *p, unsigned version, unsigned transport,
		   const char *source, const char *target)
{
	char text[64];

	assert_int_equal(p->version, version);
	assert_int_equal(p->transport, transport);
	assert_string_equal(ipport_text(&p->source, text, sizeof(text)), source);
	assert_string_equal(ipport_text(&p->target, text, sizeof(text)), target);
}

/* Decodes @in, tries every truncation, and gives the result in @p. */
static void decode_all(struct proxyproto *p, struct span in)
{
	struct proxyproto before, q;

	memset(&before, 0x5a, sizeof(before));
	for (size_t n = 0; n < in.n; n++) {
		struct span part = exact(in, n);

		memset(&q, 0x5a, sizeof(q));
		assert_int_equal(proxyproto_decode(&q, part), 0);
		assert_memory_equal(&q, &before, sizeof(q));
		free_hex(part);
	}
	assert_int_equal(proxyproto_decode(p, in), in.n);
}

static void round_v1(const char *line, const char *source, const char *target)
{
	uint8_t b[PROXYPROTO_ENCODE_MAX];
	struct wr w = wr_of(b, sizeof(b));
	struct proxyproto p;

	decode_all(&p, span_str(line));
	fields(&p, 1, PROXYPROTO_STREAM, source, target);
	assert_int_equal(proxyproto_encode(&w, &p), 0);
	assert_true(span_eq(span_of(b, w.n), span_str(line)));
}

static void version_1(void **state)
{
	struct proxyproto p;
	uint8_t b[PROXYPROTO_ENCODE_MAX];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	round_v1("PROXY TCP4 127.0.0.1 127.0.0.1 36198 23001\r\n", "127.0.0.1:36198",
		 "127.0.0.1:23001");
	round_v1("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n", "255.255.255.255:65535",
		 "0.0.0.0:0");
	round_v1("PROXY TCP6 2001:db8::7 2001:db8::1 51234 443\r\n", "[2001:db8::7]:51234",
		 "[2001:db8::1]:443");
	round_v1("PROXY TCP6 ::ffff:10.0.0.1 2001:db8::1 1 2\r\n", "10.0.0.1:1", "[2001:db8::1]:2");
	decode_all(&p, span_str("PROXY UNKNOWN\r\n"));
	fields(&p, 1, PROXYPROTO_UNKNOWN, "-", "-");
	assert_int_equal(proxyproto_encode(&w, &p), 0);
	assert_true(span_eq(span_of(b, w.n), span_str("PROXY UNKNOWN\r\n")));
	decode_all(&p, span_str("PROXY UNKNOWN ffff:: any thing\r\n"));
	fields(&p, 1, PROXYPROTO_UNKNOWN, "-", "-");
	/* the longest line there is: 107 bytes */
	decode_all(&p, span_str("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
				"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"));
}

static void version_1_refusals(void **state)
{
	static const char *const bad[] = {
		"GET / HTTP/1.1\r\n",
		"PROXy",
		"PROXY\r\n",
		"PROXY \r\n",
		"PROXY \n",
		"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
		"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 -2\r\n",
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
		"PROXY TCP4 1.2.3.4 ::1 1 2\r\n",
		"PROXY TCP6 1.2.3.4 ::1 1 2\r\n",
		"PROXY TCP6 [::1] ::1 1 2\r\n",
		"PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n",
		"PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
		"PROXY UNKNOWNS\r\n",
		/* 107 bytes and no end of line */
		"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535xx",
		"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535x\r\n",
	};
	struct proxyproto p;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct span in = exact(span_str(bad[i]), strlen(bad[i]));

		assert_int_equal(proxyproto_decode(&p, in), -ERR_MALFORMED);
		free_hex(in);
	}
}

static void round_v2(const char *wire, unsigned transport, const char *source, const char *target)
{
	struct span in = hex(wire);
	uint8_t b[PROXYPROTO_ENCODE_MAX];
	struct wr w = wr_of(b, sizeof(b));
	struct proxyproto p;

	decode_all(&p, in);
	fields(&p, 2, transport, source, target);
	assert_int_equal(proxyproto_encode(&w, &p), 0);
	assert_bytes(w, wire);
	for (size_t n = 0; n < in.n; n++) {
		w = wr_of(b, n);
		assert_int_equal(proxyproto_encode(&w, &p), -ERR_LIMIT);
	}
	free_hex(in);
}

static void read_v2(const char *wire, unsigned transport, const char *source, const char *target)
{
	struct span in = hex(wire);
	struct proxyproto p;

	decode_all(&p, in);
	fields(&p, 2, transport, source, target);
	free_hex(in);
}

static void version_2(void **state)
{
	char unix_socket[512] = SIG "2131 00d8";

	(void)state;
	round_v2(SIG "2111 000c 7f000001 7f000001 8d74 59d9", PROXYPROTO_STREAM, "127.0.0.1:36212",
		 "127.0.0.1:23001");
	round_v2(SIG "2112 000c 0a000001 0a000002 0035 0001", PROXYPROTO_DGRAM, "10.0.0.1:53",
		 "10.0.0.2:1");
	round_v2(SIG "2121 0024 20010db8000000000000000000000007 20010db8000000000000000000000001"
		     "c822 01bb",
		 PROXYPROTO_STREAM, "[2001:db8::7]:51234", "[2001:db8::1]:443");
	round_v2(SIG "2122 0024 00000000000000000000ffff0a000001 20010db8000000000000000000000001"
		     "c822 01bb",
		 PROXYPROTO_DGRAM, "10.0.0.1:51234", "[2001:db8::1]:443");
	round_v2(SIG "2000 0000", PROXYPROTO_UNKNOWN, "-", "-");
	/* records are skipped; a local command's addresses do not count; no family */
	read_v2(SIG "2111 0010 7f000001 7f000001 8d74 59d9 04000100", PROXYPROTO_STREAM,
		"127.0.0.1:36212", "127.0.0.1:23001");
	read_v2(SIG "2011 000c 7f000001 7f000001 8d74 59d9", PROXYPROTO_UNKNOWN, "-", "-");
	read_v2(SIG "20ff 0000", PROXYPROTO_UNKNOWN, "-", "-");
	read_v2(SIG "2100 0003 010000", PROXYPROTO_UNKNOWN, "-", "-");
	memset(unix_socket + strlen(unix_socket), '0', 2 * 216);
	read_v2(unix_socket, PROXYPROTO_UNKNOWN, "-", "-");
}

static void version_2_refusals(void **state)
{
	static const struct {
		const char *wire;
		int err;
	} bad[] = {
		{"0d0a0d0b", -ERR_MALFORMED},
		{SIG "11", -ERR_MALFORMED},   /* version 1 in version 2's clothes */
		{SIG "22", -ERR_MALFORMED},   /* unknown command */
		{SIG "2113", -ERR_MALFORMED}, /* unknown transport */
		{SIG "2110", -ERR_MALFORMED},
		{SIG "2141", -ERR_MALFORMED}, /* unknown family */
		{SIG "2111 000b 7f000001 7f000001 8d74 59", -ERR_MALFORMED},
		{SIG "2121 000c 7f000001 7f000001 8d74 59d9", -ERR_MALFORMED},
		{SIG "2131 0001 00", -ERR_MALFORMED},
		{SIG "2111 1001", -ERR_LIMIT},
	};
	struct proxyproto p;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct span in = hex(bad[i].wire);

		assert_int_equal(proxyproto_decode(&p, in), bad[i].err);
		free_hex(in);
	}
}

static void unencodable(void **state)
{
	struct proxyproto p = {.version = 3};
	uint8_t b[PROXYPROTO_ENCODE_MAX];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	assert_int_equal(proxyproto_encode(&w, &p), -ERR_MALFORMED);
	p.version = 2;
	p.transport = 3;
	assert_int_equal(proxyproto_encode(&w, &p), -ERR_MALFORMED);
	p.transport = PROXYPROTO_STREAM; /* but no addresses */
	assert_int_equal(proxyproto_encode(&w, &p), -ERR_MALFORMED);
	p.source.ip.family = p.target.ip.family = 4;
	p.transport = PROXYPROTO_DGRAM;
	p.version = 1;
	assert_int_equal(proxyproto_encode(&w, &p), -ERR_MALFORMED);
	assert_int_equal(w.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1),   cmocka_unit_test(version_1_refusals),
		cmocka_unit_test(version_2),   cmocka_unit_test(version_2_refusals),
		cmocka_unit_test(unencodable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
