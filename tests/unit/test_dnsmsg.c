/* DNS messages: questions, answers with addresses, names with and without pointers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/dnsmsg.h"

#define EXAMPLE "07 6578616d706c65 03 636f6d 00" /* example.com */

static void a_query(void **state)
{
	static const char wire[] = "1234 0100 0001 0000 0000 0000" EXAMPLE "0001 0001";
	struct span in = hex(wire);
	struct dnsmsg_query q, before;
	uint8_t b[DNSMSG_QUERY_MAX];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	memset(&before, 0x5a, sizeof(before));
	for (size_t n = 0; n < in.n; n++) {
		struct span part = exact(in, n);

		q = before;
		assert_int_equal(dnsmsg_query_decode(&q, part), -ERR_MALFORMED);
		assert_memory_equal(&q, &before, sizeof(q));
		free_hex(part);
	}
	assert_int_equal(dnsmsg_query_decode(&q, in), in.n);
	assert_int_equal(q.id, 0x1234);
	assert_true(q.recurse);
	assert_int_equal(q.type, DNSMSG_A);
	assert_int_equal(q.class, DNSMSG_IN);
	assert_string_equal(q.name, "example.com");
	assert_int_equal(dnsmsg_query_encode(&w, &q), 0);
	assert_bytes(w, wire);
	for (size_t n = 0; n < in.n; n++) {
		w = wr_of(b, n);
		assert_int_equal(dnsmsg_query_encode(&w, &q), -ERR_LIMIT);
	}
	free_hex(in);
}

static ssize_t query(struct dnsmsg_query *q, const char *wire)
{
	struct span in = hex(wire);
	ssize_t n = dnsmsg_query_decode(q, in);

	free_hex(in);
	return n;
}

static void queries(void **state)
{
	struct dnsmsg_query q;

	(void)state;
	/* the root; capitals kept; EDNS behind the question not looked at */
	assert_int_equal(query(&q, "0001 0000 0001 0000 0000 0001 00 0002 0001"
				   "00 0029 1000 00000000 0000"),
			 17);
	assert_string_equal(q.name, ".");
	assert_false(q.recurse);
	assert_int_equal(query(&q, "0001 0100 0001 0000 0000 0000 03 614263 00 001c 0001"), 21);
	assert_string_equal(q.name, "aBc");
	assert_int_equal(query(&q, "0001 0100 0001 0000 0000 0000 05 5f6c646170 00 0021 0001"), 23);
	assert_string_equal(q.name, "_ldap");

	assert_int_equal(query(&q, "0001 8100 0001 0000 0000 0000 00 0001 0001"), -ERR_MALFORMED);
	assert_int_equal(query(&q, "0001 0900 0001 0000 0000 0000 00 0001 0001"), -ERR_UNSUPPORTED);
	assert_int_equal(query(&q, "0001 0100 0000 0000 0000 0000"), -ERR_UNSUPPORTED);
	assert_int_equal(query(&q, "0001 0100 0002 0000 0000 0000 00 0001 0001 00 0001 0001"),
			 -ERR_UNSUPPORTED);
	/* labels: a dot, a blank, a backslash, a zero, beyond ASCII, unknown kinds */
	assert_int_equal(query(&q, "0001 0100 0001 0000 0000 0000 01 2e 00 0001 0001"),
			 -ERR_MALFORMED);
	assert_int_equal(query(&q, "0001 0100 0001 0000 0000 0000 01 20 00 0001 0001"),
			 -ERR_MALFORMED);
	assert_int_equal(query(&q, "0001 0100 0001 0000 0000 0000 01 5c 00 0001 0001"),
			 -ERR_MALFORMED);
	assert_int_equal(query(&q, "0001 0100 0001 0000 0000 0000 01 00 00 0001 0001"),
			 -ERR_MALFORMED);
	assert_int_equal(query(&q, "0001 0100 0001 0000 0000 0000 01 e4 00 0001 0001"),
			 -ERR_MALFORMED);
	assert_int_equal(query(&q, "0001 0100 0001 0000 0000 0000 41 61 00 0001 0001"),
			 -ERR_MALFORMED);
	assert_int_equal(query(&q, "0001 0100 0001 0000 0000 0000 81 61 00 0001 0001"),
			 -ERR_MALFORMED);
	/* pointers: to itself, forwards, into the head */
	assert_int_equal(query(&q, "0001 0100 0001 0000 0000 0000 c00c 0001 0001"), -ERR_MALFORMED);
	assert_int_equal(query(&q, "0001 0100 0001 0000 0000 0000 c00e 00 0001 0001"),
			 -ERR_MALFORMED);
	assert_int_equal(query(&q, "0001 0100 0001 0000 0000 0000 c001 0001 0001"), -ERR_MALFORMED);
	assert_int_equal(query(&q, "0001 0100 0001 0000 0000 0000 01 61 c00c 0001 0001"),
			 -ERR_MALFORMED);
}

static void names_to_the_limit(void **state)
{
	struct dnsmsg_query q = {.id = 1, .type = 1, .class = 1}, again;
	uint8_t b[DNSMSG_QUERY_MAX + 8];
	struct wr w;

	(void)state;
	/* 63.63.63.61 are 253 characters */
	memset(q.name, 'a', DNSMSG_NAME_MAX);
	q.name[63] = q.name[127] = q.name[191] = '.';
	w = wr_of(b, sizeof(b));
	assert_int_equal(dnsmsg_query_encode(&w, &q), 0);
	assert_int_equal(w.n, DNSMSG_QUERY_MAX);
	assert_int_equal(dnsmsg_query_decode(&again, span_of(b, w.n)), w.n);
	assert_string_equal(again.name, q.name);
	/* one more byte in the last label makes 256 bytes in the message */
	memmove(b + DNSMSG_HEAD + 3 * 64 + 2, b + DNSMSG_HEAD + 3 * 64 + 1, 70);
	b[DNSMSG_HEAD + 3 * 64]++;
	b[DNSMSG_HEAD + 3 * 64 + 1] = 'a';
	assert_int_equal(dnsmsg_query_decode(&again, span_of(b, w.n + 1)), -ERR_MALFORMED);
	/* a label of 64 */
	q.name[63] = 'a';
	w = wr_of(b, sizeof(b));
	assert_int_equal(dnsmsg_query_encode(&w, &q), -ERR_MALFORMED);
	snprintf(q.name, sizeof(q.name), "a..b");
	w = wr_of(b, sizeof(b));
	assert_int_equal(dnsmsg_query_encode(&w, &q), -ERR_MALFORMED);
	q.name[0] = 0;
	w = wr_of(b, sizeof(b));
	assert_int_equal(dnsmsg_query_encode(&w, &q), -ERR_MALFORMED);
	snprintf(q.name, sizeof(q.name), "a.");
	w = wr_of(b, sizeof(b));
	assert_int_equal(dnsmsg_query_encode(&w, &q), 0);
	assert_bytes(w, "0001 0000 0001 0000 0000 0000 01 61 00 0001 0001");
}

static void answers(void **state)
{
	struct dnsmsg_query q = {.id = 0x1234,
				 .recurse = true,
				 .type = DNSMSG_A,
				 .class = DNSMSG_IN,
				 .name = "example.com"};
	struct ip ips[3];
	struct dnsmsg_answer a = {.ttl = 60, .ips = ips, .n = 3};
	uint8_t b[DNSMSG_UDP_MAX];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	assert_int_equal(ip_parse(&ips[0], span_str("192.0.2.1")), 0);
	assert_int_equal(ip_parse(&ips[1], span_str("2001:db8::1")), 0);
	assert_int_equal(ip_parse(&ips[2], span_str("192.0.2.2")), 0);
	assert_int_equal(dnsmsg_answer_encode(&w, &q, &a), 0);
	assert_bytes(w, "1234 8580 0001 0002 0000 0000" EXAMPLE "0001 0001"
			"c00c 0001 0001 0000003c 0004 c0000201"
			"c00c 0001 0001 0000003c 0004 c0000202");
	q.type = DNSMSG_AAAA;
	q.recurse = false;
	a.ttl = UINT32_MAX;
	w = wr_of(b, sizeof(b));
	assert_int_equal(dnsmsg_answer_encode(&w, &q, &a), 0);
	assert_bytes(w, "1234 8480 0001 0001 0000 0000" EXAMPLE "001c 0001"
			"c00c 001c 0001 7fffffff 0010 20010db8000000000000000000000001");
	q.type = 15; /* MX: nothing of ours fits */
	w = wr_of(b, sizeof(b));
	assert_int_equal(dnsmsg_answer_encode(&w, &q, &a), 0);
	assert_bytes(w, "1234 8480 0001 0000 0000 0000" EXAMPLE "000f 0001");
	a = (struct dnsmsg_answer){.rcode = DNSMSG_REFUSED};
	w = wr_of(b, sizeof(b));
	assert_int_equal(dnsmsg_answer_encode(&w, &q, &a), 0);
	assert_bytes(w, "1234 8485 0001 0000 0000 0000" EXAMPLE "000f 0001");
	for (size_t n = 0; n < 29; n++) {
		w = wr_of(b, n);
		assert_int_equal(dnsmsg_answer_encode(&w, &q, &a), -ERR_LIMIT);
	}
}

static void answers_are_cut_to_the_room(void **state)
{
	struct dnsmsg_query q = {.id = 7, .type = DNSMSG_A, .class = DNSMSG_IN, .name = "a"};
	static struct ip ips[100];
	struct dnsmsg_answer a = {.ttl = 1, .ips = ips, .n = 100};
	uint8_t b[DNSMSG_UDP_MAX + 2];
	struct wr w = wr_of(b, sizeof(b));
	struct dnsmsg_reply p;

	(void)state;
	for (size_t i = 0; i < 100; i++)
		ips[i] = ip_v4((const uint8_t[]){192, 0, 2, (uint8_t)i});
	wr_u16(&w, 0xffff); /* the answer need not stand first */
	assert_int_equal(dnsmsg_answer_encode(&w, &q, &a), 0);
	assert_false(w.bad);
	assert_int_equal(dnsmsg_reply_decode(&p, span_of(b + 2, w.n - 2)), w.n - 2);
	assert_true(p.truncated);
	assert_int_equal(b[2 + 7], (DNSMSG_UDP_MAX - 19) / 16);
	assert_int_equal(p.n, (DNSMSG_UDP_MAX - 19) / 16);
	assert_int_equal(p.ips[29].b[3], 29);
}

static void a_reply(void **state)
{
	/* www.example.com is an alias of x.example.com, which has two addresses; an unrelated TXT
	 */
	static const char wire[] = "1234 8180 0001 0004 0000 0000 03 777777" EXAMPLE "0001 0001"
				   "c00c 0005 0001 0000003c 0004 01 78 c010"
				   "c02d 0001 0001 0000012c 0004 c0000201"
				   "c02d 0010 0001 00000001 0002 0161"
				   "c02d 0001 0001 0000012c 0004 c0000202";
	struct span in = hex(wire);
	struct dnsmsg_reply p;

	(void)state;
	for (size_t n = 0; n < in.n; n++) {
		struct span part = exact(in, n);

		assert_int_equal(dnsmsg_reply_decode(&p, part), -ERR_MALFORMED);
		free_hex(part);
	}
	assert_int_equal(dnsmsg_reply_decode(&p, in), in.n);
	assert_int_equal(p.id, 0x1234);
	assert_int_equal(p.rcode, DNSMSG_NOERROR);
	assert_false(p.truncated);
	assert_int_equal(p.type, DNSMSG_A);
	assert_string_equal(p.name, "www.example.com");
	assert_int_equal(p.ttl, 60);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.ips[1].b[3], 2);
	/* the same cut in the middle of an answer, and saying so */
	uint8_t *b = (uint8_t *)(uintptr_t)in.p;

	b[2] |= 0x02;
	assert_int_equal(dnsmsg_reply_decode(&p, span_of(b, in.n - 1)), in.n - 16);
	assert_true(p.truncated);
	assert_int_equal(p.n, 1);
	free_hex(in);
}

static ssize_t reply(struct dnsmsg_reply *p, const char *wire)
{
	struct span in = hex(wire);
	ssize_t n = dnsmsg_reply_decode(p, in);

	free_hex(in);
	return n;
}

static void replies(void **state)
{
	struct dnsmsg_reply p;

	(void)state;
	assert_int_equal(reply(&p, "0001 8183 0001 0000 0001 0000 01 61 00 001c 0001 00"), 19);
	assert_int_equal(p.rcode, DNSMSG_NXDOMAIN);
	assert_int_equal(p.ttl, 0);
	assert_int_equal(reply(&p, "0001 8181 0000 0000 0000 0000"), 12);
	assert_int_equal(p.rcode, DNSMSG_FORMERR);
	assert_string_equal(p.name, "");
	/* a time to live beyond 31 bits is none; a mapped address is IPv4 */
	assert_int_equal(reply(&p, "0001 8180 0001 0001 0000 0000 01 61 00 001c 0001"
				   "c00c 001c 0001 80000000 0010 00000000000000000000ffff0a000001"),
			 47);
	assert_int_equal(p.ttl, 0);
	assert_int_equal(p.ips[0].family, 4);
	/* another class does not count */
	assert_int_equal(reply(&p, "0001 8180 0001 0001 0000 0000 01 61 00 0001 0001"
				   "c00c 0001 0003 00000001 0004 0a000001"),
			 35);
	assert_int_equal(p.n, 0);

	assert_int_equal(reply(&p, "0001 0180 0000 0000 0000 0000"), -ERR_MALFORMED);
	assert_int_equal(reply(&p, "0001 8980 0000 0000 0000 0000"), -ERR_UNSUPPORTED);
	assert_int_equal(reply(&p, "0001 8180 0002 0000 0000 0000"), -ERR_UNSUPPORTED);
	assert_int_equal(reply(&p, "0001 8180 0001 0001 0000 0000 01 61 00 0001 0001"
				   "c00c 0001 0001 00000001 0005 0a00000100"),
			 -ERR_MALFORMED);
	assert_int_equal(reply(&p, "0001 8180 0001 0001 0000 0000 01 61 00 0001 0001"
				   "41 0001 0001 00000001 0004 0a000001"),
			 -ERR_MALFORMED);
}

static void arpa(const char *name, const char *want)
{
	struct ip ip = {0};
	char text[64];

	assert_int_equal(dnsmsg_arpa_decode(&ip, name), want != NULL);
	assert_string_equal(want ? ip_text(&ip, text, sizeof(text)) : "", want ? want : "");
	assert_int_equal(ip.family != 0, want != NULL);
}

static void names_of_addresses(void **state)
{
	static const char wire[] = "1234 8580 0001 0001 0000 0000"
				   "01 39 01 30 02 3634 03 313030 07 696e2d61646472 04 61727061 00"
				   "000c 0001 c00c 000c 0001 0000003c 0011"
				   "03 6e6173 03 76706e 07 6578616d706c65 00";
	struct dnsmsg_query q = {0x1234, true, DNSMSG_PTR, DNSMSG_IN, "9.0.64.100.in-addr.arpa"};
	uint8_t b[256];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	assert_int_equal(dnsmsg_ptr_encode(&w, &q, "nas.vpn.example", 60), 0);
	assert_bytes(w, wire);
	for (size_t n = 0; n < w.n; n++) {
		struct wr small = wr_of(b, n);

		assert_int_equal(dnsmsg_ptr_encode(&small, &q, "nas.vpn.example", 60), -ERR_LIMIT);
	}
	w = wr_of(b, sizeof(b));
	assert_int_equal(dnsmsg_ptr_encode(&w, &q, "nas..example", 60), -ERR_MALFORMED);
	arpa("9.0.64.100.in-addr.arpa", "100.64.0.9");
	arpa("9.0.64.100.IN-ADDR.ARPA", "100.64.0.9");
	arpa("9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.6.D.f.ip6.arpa",
	     "fd64::9");
	arpa("0.64.100.in-addr.arpa", NULL);
	arpa("1.9.0.64.100.in-addr.arpa", NULL);
	arpa("256.0.64.100.in-addr.arpa", NULL);
	arpa("a.0.64.100.in-addr.arpa", NULL);
	arpa("9..64.100.in-addr.arpa", NULL);
	arpa("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.6.d.f.ip6.arpa", NULL);
	arpa("9.0.64.100.ip6.arpa", NULL);
	arpa("", NULL);
}

static void zone(const char *prefix, unsigned i, const char *want)
{
	char text[DNSMSG_ARPA_TEXT] = "";
	struct prefix p;

	assert_int_equal(prefix_parse(&p, span_str(prefix)), 0);
	assert_int_equal(dnsmsg_arpa_zone(text, &p, i), want != NULL);
	assert_string_equal(text, want ? want : "");
}

static void zones_of_prefixes(void **state)
{
	(void)state;
	zone("198.18.0.0/15", 0, "18.198.in-addr.arpa");
	zone("198.18.0.0/15", 1, "19.198.in-addr.arpa");
	zone("198.18.0.0/15", 2, NULL);
	zone("100.64.0.0/10", 63, "127.100.in-addr.arpa");
	zone("100.64.0.0/10", 64, NULL);
	zone("10.1.2.0/24", 0, "2.1.10.in-addr.arpa");
	zone("10.1.2.3/32", 0, "3.2.1.10.in-addr.arpa");
	zone("10.1.2.3/32", 1, NULL);
	zone("0.0.0.0/0", 255, "255.in-addr.arpa");
	zone("fd12:3456:789a::/48", 0, "a.9.8.7.6.5.4.3.2.1.d.f.ip6.arpa");
	zone("fd12:3456:789a::/48", 1, NULL);
	zone("fd00::/7", 1, "d.f.ip6.arpa");
	zone("fd12::9/128", 0,
	     "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.1.d.f.ip6.arpa");
}

/* That there is nothing is said with the zone, so that it may be remembered (RFC 2308). */
static void nothing_of_a_zone(void **state)
{
	static const char wire[] = "1234 8583 0001 0000 0001 0000 01 78 04 686f6d65 04 6d657368 00"
				   "0001 0001 c00e 0006 0001 0000003c 0026 c00e"
				   "06 6e6f626f6479 07 696e76616c6964 00"
				   "00000001 00000e10 000004b0 00093a80 0000003c";
	struct dnsmsg_query q = {0x1234, true, DNSMSG_A, DNSMSG_IN, "x.home.mesh"};
	struct dnsmsg_answer a = {.rcode = DNSMSG_NXDOMAIN, .ttl = 60, .zone = "HOME.mesh"};
	size_t head = DNSMSG_HEAD + 13 + 4;
	struct dnsmsg_reply reply;
	uint8_t b[256];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	assert_int_equal(dnsmsg_answer_encode(&w, &q, &a), 0);
	assert_bytes(w, wire);
	for (size_t n = head; n < w.n; n++) { /* no room for it: left out */
		uint8_t small[256];
		struct wr s = wr_of(small, n);

		assert_int_equal(dnsmsg_answer_encode(&s, &q, &a), 0);
		assert_int_equal(s.n, head);
		assert_int_equal(small[9], 0);
		assert_int_equal(dnsmsg_reply_decode(&reply, span_of(small, s.n)), head);
	}
	a.zone = "ome.mesh"; /* which is not where the name is */
	w = wr_of(b, sizeof(b));
	assert_int_equal(dnsmsg_answer_encode(&w, &q, &a), 0);
	assert_int_equal(w.n, head);
}

/* The option of RFC 7871 and the padding of RFC 7830, byte for byte. */
static void beside_the_question(void **state)
{
	struct dnsmsg_query q = {.id = 1, .recurse = true, .type = 1, .class = 1, .name = "a"};
	struct dnsmsg_edns e = {.pad = false}, both = {.pad = true};
	uint8_t b[DNSMSG_EDNS_QUERY_MAX];
	struct wr w = wr_of(b, sizeof(b));
	struct dnsmsg_query back;

	(void)state;
	assert_int_equal(dnsmsg_query_edns_encode(&w, &q, &e), 0);
	assert_bytes(w, "0001 0100 0001 0000 0000 0001 01 61 00 0001 0001 00 0029 04d0 00000000 0000");
	assert_true(dnsmsg_query_decode(&back, span_of(b, w.n)) > 0);
	ip_parse(&e.client, span_str("192.0.2.77"));
	w = wr_of(b, sizeof(b));
	assert_int_equal(dnsmsg_query_edns_encode(&w, &q, &e), 0);
	assert_bytes(w, "0001 0100 0001 0000 0000 0001 01 61 00 0001 0001 00 0029 04d0 00000000 000b"
			"0008 0007 0001 18 00 c00002");
	ip_parse(&both.client, span_str("2001:db8::77"));
	w = wr_of(b, sizeof(b));
	assert_int_equal(dnsmsg_query_edns_encode(&w, &q, &both), 0);
	assert_int_equal(w.n, DNSMSG_PAD);
	memset(q.name, 'x', 60);
	w = wr_of(b, sizeof(b));
	assert_int_equal(dnsmsg_query_edns_encode(&w, &q, &both), 0);
	assert_int_equal(w.n % DNSMSG_PAD, 0);
	for (size_t cap = 0; cap < w.n; cap++) {
		struct wr small = wr_of(b, cap);

		assert_int_equal(dnsmsg_query_edns_encode(&small, &q, &both), -ERR_LIMIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query),
		cmocka_unit_test(queries),
		cmocka_unit_test(names_to_the_limit),
		cmocka_unit_test(answers),
		cmocka_unit_test(answers_are_cut_to_the_room),
		cmocka_unit_test(a_reply),
		cmocka_unit_test(replies),
		cmocka_unit_test(names_of_addresses),
		cmocka_unit_test(zones_of_prefixes),
		cmocka_unit_test(nothing_of_a_zone),
		cmocka_unit_test(beside_the_question),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
