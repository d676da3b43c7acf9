/* IP, UDP, TCP and ICMP headers: vectors, every cut, what must be refused, sums over pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/icmpmsg.h"
#include "proto/ippkt.h"
#include "proto/ipsum.h"
#include "proto/tcpseg.h"

/* The example of many textbooks: 192.168.0.1 to 192.168.0.199, UDP, sum b861. */
#define V4 "45000073 00004000 4011b861 c0a80001 c0a800c7"

static struct ip v4(uint8_t last)
{
	return ip_v4((const uint8_t[]){192, 0, 2, last});
}

static struct ip v6(uint8_t last)
{
	return ip_v6((const uint8_t[]){0x20, 1, 0xd, 0xb8, [15] = last});
}

static void a_header_of_ipv4(void **state)
{
	struct span head = hex(V4), in;
	uint8_t all[0x73] = {0};
	struct ippkt p, before;

	(void)state;
	memcpy(all, head.p, head.n);
	memset(&before, 0x5a, sizeof(before));
	for (size_t n = 0; n < sizeof(all); n++) {
		p = before;
		in = exact(span_of(all, sizeof(all)), n);
		assert_int_equal(ippkt_decode(&p, in), -ERR_MALFORMED);
		assert_memory_equal(&p, &before, sizeof(p));
		free_hex(in);
	}
	assert_int_equal(ippkt_decode(&p, span_of(all, sizeof(all))), 0x73);
	assert_int_equal(p.proto, IPPKT_UDP);
	assert_int_equal(p.off, 20);
	assert_int_equal(p.ttl, 64);
	assert_true(p.dont_fragment);
	assert_false(p.fragment);
	assert_true(ippkt_head_sum_ok(head));
	all[8]--;
	assert_false(ippkt_head_sum_ok(span_of(all, sizeof(all))));
	free_hex(head);
}

static ssize_t decode(struct ippkt *p, const char *text)
{
	struct span in = hex(text);
	ssize_t n = ippkt_decode(p, in);

	free_hex(in);
	return n;
}

#define A6 "20010db8000000000000000000000001"
#define B6 "20010db8000000000000000000000002"

static void extension_headers(void **state)
{
	struct ippkt p;

	(void)state;
	/* hop-by-hop, destination options, then UDP */
	assert_int_equal(decode(&p, "60000000 0018 00 40" A6 B6 "3c00010400000000"
				    "1100010400000000 0001000200080000"), 64);
	assert_int_equal(p.proto, IPPKT_UDP);
	assert_int_equal(p.off, 56);
	/* a fragment: offset 8, more to come */
	assert_int_equal(decode(&p, "60000000 0010 2c 40" A6 B6 "11000009 01020304"
				    "0000000000000000"), 56);
	assert_true(p.fragment && p.more);
	assert_int_equal(p.frag_off, 8);
	assert_int_equal(p.frag_id, 0x01020304);
	assert_int_equal(p.off, 48);
	/* an extension header that runs over the end */
	assert_int_equal(decode(&p, "60000000 0008 00 40" A6 B6 "1101010400000000"),
			 -ERR_MALFORMED);
	/* nothing but headers, too many of them */
	assert_int_equal(decode(&p, "60000000 0050 3c 40" A6 B6
				    "3c000104000000003c000104000000003c000104000000003c00010400000000"
				    "3c000104000000003c000104000000003c000104000000003c00010400000000"
				    "3c000104000000003c00010400000000"), -ERR_MALFORMED);
}

static void addresses_that_no_packet_has(void **state)
{
	struct ippkt p;

	(void)state;
	assert_int_equal(decode(&p, "45000014 00000000 4011 0000 00000000 c0a800c7"),
			 -ERR_MALFORMED);
	assert_int_equal(decode(&p, "45000014 00000000 4011 0000 e0000001 c0a800c7"),
			 -ERR_MALFORMED);
	assert_int_equal(decode(&p, "60000000 0000 11 40" A6
				    "00000000000000000000ffff01020304"), -ERR_MALFORMED);
	assert_int_equal(decode(&p, "55000014 00000000 4011 0000 c0a80001 c0a800c7"),
			 -ERR_MALFORMED);
	assert_int_equal(decode(&p, "44000014 00000000 4011 0000 c0a80001 c0a800c7"),
			 -ERR_MALFORMED);
}

static void what_is_written_is_read(void **state)
{
	struct ippkt heads[] = {
		{.src = v4(1), .dst = v4(2), .proto = IPPKT_TCP, .ttl = 7, .dont_fragment = true},
		{.src = v4(1), .dst = v4(2), .proto = IPPKT_UDP, .fragment = true, .more = true,
		 .frag_off = 1480, .frag_id = 77},
		{.src = v6(1), .dst = v6(2), .proto = IPPKT_UDP, .tos = 0xb8},
		{.src = v6(1), .dst = v6(2), .proto = IPPKT_UDP, .fragment = true, .frag_off = 8,
		 .frag_id = 0xfeedbeef},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		uint8_t b[200] = {0};
		struct wr w = wr_of(b, sizeof(b));
		struct ippkt p;

		assert_int_equal(ippkt_encode_head(&w, &heads[i], 64), 0);
		assert_int_equal(w.n, ippkt_head_len(&heads[i]));
		assert_int_equal(ippkt_decode(&p, span_of(b, w.n + 64)), w.n + 64);
		assert_int_equal(p.off, w.n);
		assert_int_equal(p.proto, heads[i].proto);
		assert_int_equal(p.frag_off, heads[i].frag_off);
		assert_int_equal(p.more, heads[i].more);
		assert_int_equal(p.tos, heads[i].tos);
		assert_int_equal(p.ttl, heads[i].ttl ? heads[i].ttl : IPPKT_TTL);
		assert_true(p.src.family == 6 || ippkt_head_sum_ok(span_of(b, w.n)));
		w = wr_of(b, w.n - 1);
		assert_int_equal(ippkt_encode_head(&w, &heads[i], 64), -ERR_LIMIT);
		w = wr_of(b, sizeof(b));
		assert_int_equal(ippkt_encode_head(&w, &heads[i], 65536), -ERR_LIMIT);
	}
}

static void sums_over_pieces(void **state)
{
	uint8_t b[1027];
	struct ipsum whole = ipsum_new();

	(void)state;
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 37 + 11);
	ipsum_add(&whole, span_of(b, sizeof(b)));
	for (size_t cut = 0; cut <= sizeof(b); cut++) {
		struct ipsum s = ipsum_new();

		ipsum_add(&s, span_of(b, cut));
		ipsum_add(&s, span_of(b + cut, (sizeof(b) - cut) / 3));
		ipsum_add(&s, span_of(b + cut + (sizeof(b) - cut) / 3,
				      sizeof(b) - cut - (sizeof(b) - cut) / 3));
		assert_int_equal(ipsum_fold(&s), ipsum_fold(&whole));
	}
	/* RFC 1071, section 3 */
	whole = ipsum_new();
	ipsum_add(&whole, span_of("\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 8));
	assert_int_equal(ipsum_fold(&whole), 0xddf2);
}

static void a_syn_and_its_options(void **state)
{
	struct span in = hex("c000 0050 00000001 00000000 a002 ffff 0000 0000"
			     "020405b4 0402 080a 00000001 00000000 01 030307");
	struct tcpseg t;

	(void)state;
	for (size_t n = 0; n < in.n; n++) {
		struct span part = exact(in, n);

		assert_int_equal(tcpseg_decode(&t, part), -ERR_MALFORMED);
		free_hex(part);
	}
	assert_int_equal(tcpseg_decode(&t, in), 40);
	assert_int_equal(t.sport, 0xc000);
	assert_int_equal(t.flags, TCPSEG_SYN);
	assert_int_equal(t.mss, 1460);
	assert_true(t.scales);
	free_hex(in);
}

static ssize_t seg(const char *text)
{
	struct span in = hex(text);
	struct tcpseg t;
	ssize_t n = tcpseg_decode(&t, in);

	free_hex(in);
	return n;
}

static void options_that_are_refused(void **state)
{
	(void)state;
	/* over the end; length 0 and 1; an MSS of the wrong length */
	assert_int_equal(seg("c0000050 00000001 00000000 6002ffff 00000000 02050000"),
			 -ERR_MALFORMED);
	assert_int_equal(seg("c0000050 00000001 00000000 6002ffff 00000000 08000000"),
			 -ERR_MALFORMED);
	assert_int_equal(seg("c0000050 00000001 00000000 6002ffff 00000000 01010102"),
			 -ERR_MALFORMED);
	assert_int_equal(seg("c0000050 00000001 00000000 6002ffff 00000000 02030000"),
			 -ERR_MALFORMED);
	/* what is behind the end of the list is padding */
	assert_int_equal(seg("c0000050 00000001 00000000 6002ffff 00000000 00ffffff"), 24);
	/* a header longer than the segment, and shorter than a header */
	assert_int_equal(seg("c0000050 00000001 00000000 f002ffff 00000000"), -ERR_MALFORMED);
	assert_int_equal(seg("c0000050 00000001 00000000 4002ffff 00000000"), -ERR_MALFORMED);
}

static void refusals(void **state)
{
	struct tcpseg syn = {.sport = 1, .dport = 2, .seq = 100, .flags = TCPSEG_SYN, .head = 20};
	struct tcpseg data = {.seq = 100, .ack = 200, .flags = TCPSEG_ACK, .head = 20}, r;
	struct ip a = v4(1), b = v4(2);
	uint8_t out[TCPSEG_HEAD];
	struct wr w = wr_of(out, sizeof(out));

	(void)state;
	assert_true(tcpseg_refusal(&r, &syn, 0));
	assert_int_equal(r.flags, TCPSEG_RST | TCPSEG_ACK);
	assert_int_equal(r.ack, 101);
	assert_int_equal(r.sport, 2);
	assert_true(tcpseg_refusal(&r, &data, 10));
	assert_int_equal(r.flags, TCPSEG_RST);
	assert_int_equal(r.seq, 200);
	assert_int_equal(tcpseg_encode(&w, &a, &b, &r), 0);
	assert_true(tcpseg_sum_ok(&a, &b, span_of(out, w.n)));
	assert_false(tcpseg_refusal(&r, &r, 0));
}

static void datagrams(void **state)
{
	struct ip a = v6(1), b = v6(2);
	struct udp_head h = {1000, 53, 8 + 5}, got;
	struct ippkt ip = {.src = a, .dst = b};
	uint8_t out[13];
	struct wr w = wr_of(out, sizeof(out));

	(void)state;
	udp_head_encode(&w, &h, udp_sum(&a, &b, &h, span_of("hello", 5)));
	wr_bytes(&w, "hello", 5);
	assert_true(udp_sum_ok(&ip, span_of(out, sizeof(out))));
	for (size_t n = 0; n < sizeof(out); n++)
		assert_int_equal(udp_head_decode(&got, span_of(out, n)), -ERR_MALFORMED);
	assert_int_equal(udp_head_decode(&got, span_of(out, sizeof(out))), 8);
	assert_int_equal(got.dport, 53);
	out[12]++;
	assert_false(udp_sum_ok(&ip, span_of(out, sizeof(out))));
	out[6] = out[7] = 0; /* no sum: not in IPv6 */
	assert_false(udp_sum_ok(&ip, span_of(out, sizeof(out))));
}

static void echo_and_errors(void **state)
{
	struct ip ends[2][2] = {{v4(1), v4(2)}, {v6(1), v6(2)}};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct icmpmsg_echo e = {.id = 7, .seq = 9}, got;
		uint8_t b[2000], packet[1500] = {0x45};
		struct wr w = wr_of(b, sizeof(b));
		struct ip *s = &ends[i][0], *d = &ends[i][1];

		assert_int_equal(icmpmsg_echo_encode(&w, s, d, &e, span_of("abc", 3)), 0);
		assert_true(icmpmsg_sum_ok(s, d, span_of(b, w.n)));
		for (size_t n = 0; n < 8; n++)
			assert_int_equal(icmpmsg_echo_decode(&got, s->family, span_of(b, n)),
					 -ERR_MALFORMED);
		assert_int_equal(icmpmsg_echo_decode(&got, s->family, span_of(b, w.n)), 8);
		assert_false(got.reply);
		assert_int_equal(got.id, 7);
		assert_int_equal(got.seq, 9);
		assert_int_equal(icmpmsg_echo_decode(&got, s->family == 4 ? 6 : 4,
						     span_of(b, w.n)), -ERR_UNSUPPORTED);
		w = wr_of(b, sizeof(b));
		assert_int_equal(icmpmsg_error_encode(&w, s, d, ICMPMSG_TOO_BIG, 1280,
						      span_of(packet, sizeof(packet))), 0);
		assert_true(icmpmsg_sum_ok(s, d, span_of(b, w.n)));
		assert_int_equal(w.n, 8 + (i ? ICMPMSG_QUOTE_V6 : ICMPMSG_QUOTE_V4));
		assert_int_equal(b[6] << 8 | b[7], 1280);
	}
}

static const struct {
	uint8_t family;
	const char *wire;
	enum icmpmsg_error what;
	uint32_t mtu;
	uint8_t proto;
	uint16_t word[4];
} quotes[] = {
	/* port unreachable about UDP, 4660 to 53 */
	{4, "0303 0000 00000000" V4 "1234 0035 005f abcd", ICMPMSG_PORT_UNREACH, 0, IPPKT_UDP,
	 {0x1234, 53, 0x5f, 0xabcd}},
	/* too big, MTU 1400, about TCP behind a header with options */
	{4, "0304 0000 00000578 46000040 00004000 40060000 c0a80001 c0a800c7 01010100"
	    "1f90 0016 0102 0304", ICMPMSG_TOO_BIG, 1400, IPPKT_TCP, {8080, 22, 0x102, 0x304}},
	{4, "030d 0000 00000000" V4 "1234 0035 005f abcd", ICMPMSG_PROHIBITED, 0, IPPKT_UDP,
	 {0x1234, 53, 0x5f, 0xabcd}},
	{4, "0b00 0000 00000000" V4 "1234 0035 005f abcd", ICMPMSG_TIME_EXCEEDED, 0, IPPKT_UDP,
	 {0x1234, 53, 0x5f, 0xabcd}},
	/* too big, MTU 1300, about the first fragment of UDP */
	{6, "0200 0000 00000514 60000000 00402c40 20010db8000000000000000000000001"
	    "20010db8000000000000000000000002 11000001 00000007 1234 0035 005f abcd",
	 ICMPMSG_TOO_BIG, 1300, IPPKT_UDP, {0x1234, 53, 0x5f, 0xabcd}},
	/* host unreachable about an echo request */
	{6, "0103 0000 00000000 60000000 00403a40 20010db8000000000000000000000001"
	    "20010db8000000000000000000000002 8000 1234 0007 0009",
	 ICMPMSG_HOST_UNREACH, 0, IPPKT_ICMP6, {0x8000, 0x1234, 7, 9}},
};

static void errors_and_what_they_quote(void **state)
{
	static const char *const no[] = {
		"0800 0000 00000000" V4 "1234 0035 005f abcd", /* an echo request */
		"0303 0000 00000000 45000073 00000001 40110000 c0a80001 c0a800c7" /* later fragment */
		"1234 0035 005f abcd",
		"0303 0000 00000000 45000073 00004000 40320000 c0a80001 c0a800c7" /* ESP */
		"1234 0035 005f abcd",
		"0303 0000 00000000 65000073 00004000 40110000 c0a80001 c0a800c7"
		"1234 0035 005f abcd"};
	struct icmpmsg_quote q, before;

	(void)state;
	memset(&before, 0x5a, sizeof(before));
	for (size_t i = 0; i < sizeof(quotes) / sizeof(quotes[0]); i++) {
		struct span in = hex(quotes[i].wire);

		assert_int_equal(icmpmsg_quote_decode(&q, quotes[i].family, in), ICMPMSG_HEAD);
		assert_int_equal(q.what, quotes[i].what);
		assert_int_equal(q.mtu, quotes[i].mtu);
		assert_int_equal(q.proto, quotes[i].proto);
		assert_memory_equal(q.word, quotes[i].word, sizeof(q.word));
		assert_int_equal(q.src.b[quotes[i].family == 4 ? 3 : 15], 1);
		for (size_t n = 0; n < in.n; n++) {
			struct span part = exact(in, n);

			q = before;
			assert_int_equal(icmpmsg_quote_decode(&q, quotes[i].family, part),
					 -ERR_MALFORMED);
			assert_memory_equal(&q, &before, sizeof(q));
			free_hex(part);
		}
		free_hex(in);
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		struct span in = hex(no[i]);

		q = before;
		assert_int_equal(icmpmsg_quote_decode(&q, 4, in), -ERR_UNSUPPORTED);
		assert_memory_equal(&q, &before, sizeof(q));
		free_hex(in);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_of_ipv4),
		cmocka_unit_test(extension_headers),
		cmocka_unit_test(addresses_that_no_packet_has),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(sums_over_pieces),
		cmocka_unit_test(a_syn_and_its_options),
		cmocka_unit_test(options_that_are_refused),
		cmocka_unit_test(refusals),
		cmocka_unit_test(datagrams),
		cmocka_unit_test(echo_and_errors),
		cmocka_unit_test(errors_and_what_they_quote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
