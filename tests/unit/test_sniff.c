/* Recognising HTTP, TLS and BitTorrent from the first bytes of a stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "proto/sniff.h"
#include "hex.h"
#include "hello.h"

/* A verdict on bytes that end where their memory ends. */
static enum sniff_verdict judge(struct sniff_result *out, struct span all, size_t n)
{
	struct span in = exact(all, n);
	enum sniff_verdict v = sniff_stream(out, in);

	if (out->method.n) /* borrowed: only while @in lives */
		assert_true(out->method.p >= in.p &&
			    out->headers.p + out->headers.n <= in.p + in.n);
	free_hex(in);
	return v;
}

static void http_names(void **state)
{
	static const struct {
		const char *host, *domain;
	} v[] = {
		{"example.com", "example.com"},
		{"Example.COM:8080", "example.com"},
		{"example.com:", "example.com"},
		{"10.1.2.3", ""},
		{"10.1.2.3:80", ""},
		{"[2001:db8::1]:80", ""},
		{"[::1]", ""},
		{"2001:db8::1", ""},
		{"a_b-c.example", "a_b-c.example"},
		{"", ""},
		{"bad name", ""},
		{"example.com.", ""},
		{"ex\xc3\xa4mple.com", ""},
		{"8080", "8080"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct sniff_result r;
		char text[200];

		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nhOsT: %s \r\n\r\n", v[i].host);
		assert_int_equal(sniff_stream(&r, span_str(text)), SNIFF_FOUND);
		assert_int_equal(r.proto, SNIFF_HTTP1);
		assert_string_equal(r.domain, v[i].domain);
	}
}

static void http_attributes(void **state)
{
	static const char text[] = "post /a?b=c HTTP/1.0\nAccept: */*\r\nno colon\r\n"
				   "Host:x.example\nX-Empty:\r\n\r\nbody: of the request\r\n";
	struct sniff_result r;
	struct span name, value, rest;

	(void)state;
	assert_int_equal(sniff_stream(&r, span_str(text)), SNIFF_FOUND);
	assert_string_equal(r.domain, "x.example");
	assert_true(span_eq(r.method, span_str("post")));
	assert_true(span_eq(r.path, span_str("/a?b=c")));
	rest = r.headers;
	assert_true(sniff_header_next(&rest, &name, &value));
	assert_true(span_eq(name, span_str("Accept")) && span_eq(value, span_str("*/*")));
	assert_true(sniff_header_next(&rest, &name, &value));
	assert_true(span_eq(name, span_str("Host")) && span_eq(value, span_str("x.example")));
	assert_true(sniff_header_next(&rest, &name, &value));
	assert_true(span_eq(name, span_str("X-Empty")) && value.n == 0);
	assert_false(sniff_header_next(&rest, &name, &value));
}

static void http_piece_by_piece(void **state)
{
	static const char text[] = "DELETE /x HTTP/1.1\r\nA: b\r\nHost: n.example\r\nC: d\r\n\r\n";
	const size_t known = strlen("DELETE /x HTTP/1.1\r\nA: b\r\nHost: n.example\r\n");
	struct sniff_result r;

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		enum sniff_verdict v = judge(&r, span_str(text), n);

		assert_int_equal(v, n < known ? SNIFF_MORE : SNIFF_FOUND);
		assert_string_equal(r.domain, n < known ? "" : "n.example");
	}
	/* no Host at all: known when the header has ended */
	assert_int_equal(sniff_stream(&r, span_str("GET / HTTP/1.0\r\nA: b\r\n")), SNIFF_MORE);
	assert_int_equal(r.proto, SNIFF_HTTP1);
	assert_int_equal(sniff_stream(&r, span_str("GET / HTTP/1.0\r\nA: b\r\n\r\n")), SNIFF_FOUND);
	assert_string_equal(r.domain, "");
}

static void not_http(void **state)
{
	static const char *const v[] = {
		"PATCH / HTTP/1.1\r\n",
		"TRACE / HTTP/1.1\r\n",
		"GETX / HTTP/1.1\r\n",
		"PRI * HTTP/2.0\r\n",
		"SSH-2.0-OpenSSH\r\n",
		"GET /\r\n",
		"GET / HTTP/2.0\r\n",
		"GET  HTTP/1.1\r\n",
		"GET / HTTP/1.11\r\n",
		" GET / HTTP/1.1\r\n",
		"\r\n",
		"GET\r\n",
	};
	static char endless[20000] = "GET /";
	struct sniff_result r;

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		assert_int_equal(sniff_stream(&r, span_str(v[i])), SNIFF_NONE);
		assert_int_equal(r.proto, SNIFF_UNKNOWN);
		assert_int_equal(r.method.n + r.path.n + r.headers.n, 0);
	}
	memset(endless + 5, 'a', sizeof(endless) - 5);
	assert_int_equal(sniff_stream(&r, span_of(endless, 16384)), SNIFF_MORE);
	assert_int_equal(sniff_stream(&r, span_of(endless, 16385)), SNIFF_NONE);
}

static struct span make_records(struct wr *w, struct span hello, size_t each)
{
	hello_records(w, hello, each);
	return span_of(w->p, w->n);
}

static void tls_names(void **state)
{
	static const struct {
		const char *name, *domain;
	} v[] = {{"example.com", "example.com"},
		 {"EXAMPLE.com", "example.com"},
		 {"10.1.2.3", ""},
		 {"2001:db8::1", ""},
		 {"", ""},
		 {"a b", ""},
		 {"example.com.", ""},
		 {NULL, ""}};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		uint8_t msg[600], out[700];
		struct wr h = wr_of(msg, sizeof(msg)), w = wr_of(out, sizeof(out));
		struct sniff_result r;

		hello_build(&h, v[i].name, 50);
		make_records(&w, span_of(msg, h.n), 16384);
		assert_int_equal(sniff_stream(&r, span_of(out, w.n)), SNIFF_FOUND);
		assert_int_equal(r.proto, SNIFF_TLS);
		assert_string_equal(r.domain, v[i].domain);
	}
}

/* In one record, or in records of any size, cut anywhere: more until the last byte. */
static void tls_piece_by_piece(void **state)
{
	static const size_t sizes[] = {16384, 1, 2, 3, 4, 5, 100, 301};
	uint8_t msg[600], out[4000];
	struct wr h = wr_of(msg, sizeof(msg));

	(void)state;
	hello_build(&h, "cut.example", 200);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct wr w = wr_of(out, sizeof(out));
		struct span all = make_records(&w, span_of(msg, h.n), sizes[s]);
		struct sniff_result r;

		for (size_t n = 0; n < all.n; n++) {
			assert_int_equal(judge(&r, all, n), SNIFF_MORE);
			assert_int_equal(r.proto, n > 5 ? SNIFF_TLS : SNIFF_UNKNOWN);
		}
		assert_int_equal(judge(&r, all, all.n), SNIFF_FOUND);
		assert_string_equal(r.domain, "cut.example");
		wr_u8(&w, 0xff); /* what follows does not matter */
		assert_int_equal(judge(&r, span_of(out, w.n), w.n), SNIFF_FOUND);
	}
}

static void big_hellos(void **state)
{
	static uint8_t msg[9000], out[10000];
	struct sniff_result r;

	(void)state;
	for (size_t each = 1000; each <= 16384; each += 15384) {
		struct wr h = wr_of(msg, sizeof(msg)), w = wr_of(out, sizeof(out));

		hello_build(&h, "big.example", 8000);
		make_records(&w, span_of(msg, h.n), each);
		assert_int_equal(sniff_stream(&r, span_of(out, w.n)), SNIFF_FOUND);
		h = wr_of(msg, sizeof(msg));
		w = wr_of(out, sizeof(out));
		hello_build(&h, "big.example", 8200);
		make_records(&w, span_of(msg, h.n), each);
		assert_int_equal(sniff_stream(&r, span_of(out, w.n)), SNIFF_NONE);
		assert_int_equal(r.proto, SNIFF_UNKNOWN);
	}
}

/* No byte of a hello, changed to any value, may break the parser or bring a wild name. */
static void damaged_hellos(void **state)
{
	uint8_t msg[600], out[700];
	struct wr h = wr_of(msg, sizeof(msg)), w = wr_of(out, sizeof(out));

	(void)state;
	hello_build(&h, "example.com", 20);
	make_records(&w, span_of(msg, h.n), 16384);
	for (size_t at = 0; at < w.n; at++) {
		for (unsigned v = 0; v < 256; v++) {
			uint8_t was = out[at];
			struct sniff_result r;

			out[at] = (uint8_t)v;
			if (judge(&r, span_of(out, w.n), w.n) == SNIFF_FOUND)
				assert_true(r.domain[0] == 0 || strlen(r.domain) <= 12);
			out[at] = was;
		}
	}
}

static void not_tls(void **state)
{
	static const char *const v[] = {"17",
					"1602",
					"160301000001",
					"16030100000101",
					"16030100050202020202",
					"1603010000",
					"160301ffff01",
					"1603010004020000aa"};
	struct sniff_result r;

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct span in = hex(v[i]);

		assert_int_equal(sniff_stream(&r, in), SNIFF_NONE);
		free_hex(in);
	}
}

static void bittorrent(void **state)
{
	static const char text[] = "\023BitTorrent protocol\0\0\0\0\0\0\0\0";
	struct sniff_result r;

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		assert_int_equal(judge(&r, span_of(text, sizeof(text)), n),
				 n < 20 ? SNIFF_MORE : SNIFF_FOUND);
		assert_int_equal(r.proto, n < 20 ? SNIFF_UNKNOWN : SNIFF_BITTORRENT);
	}
	assert_int_equal(sniff_stream(&r, span_str("\023BitTorrent protocoL")), SNIFF_NONE);
	assert_string_equal(sniff_proto_name(SNIFF_BITTORRENT), "bittorrent");
	assert_string_equal(sniff_proto_name(SNIFF_HTTP1), "http1");
	assert_string_equal(sniff_proto_name(SNIFF_UNKNOWN), "");
}

static void utp(void **state)
{
	static const struct {
		const char *packet;
		bool is;
	} v[] = {
		{"4100 1234 00112233 00000000 00040000 0001 0000", true},
		{"4102 1234 00112233 00000000 00040000 0001 0000 0008 0000000000000000", true},
		{"4102 1234 00112233 00000000 00040000 0001 0000 0008 00000000000000", false},
		{"4100 1234 00112233 00000000 00040000 0001 0000 00", false},
		{"4100 1234 00112233 00000001 00040000 0001 0000", false},
		{"4100 1234 00112233 00000000 00040000 0001 0001", false},
		{"0100 1234 00112233 00000000 00040000 0001 0000", false},
		{"4200 1234 00112233 00000000 00040000 0001 0000", false},
		{"41", false},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct sniff_state st = {0};
		struct sniff_result r;
		struct span in = hex(v[i].packet);

		assert_int_equal(sniff_datagram(&st, &r, in), v[i].is ? SNIFF_FOUND : SNIFF_NONE);
		assert_int_equal(r.proto, v[i].is ? SNIFF_BITTORRENT : SNIFF_UNKNOWN);
		for (size_t n = 0; n < in.n; n++) {
			struct span cut = exact(in, n);

			memset(&st, 0, sizeof(st));
			sniff_datagram(&st, &r, cut);
			free_hex(cut);
		}
		free_hex(in);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http_names),
		cmocka_unit_test(http_attributes),
		cmocka_unit_test(http_piece_by_piece),
		cmocka_unit_test(not_http),
		cmocka_unit_test(tls_names),
		cmocka_unit_test(tls_piece_by_piece),
		cmocka_unit_test(big_hellos),
		cmocka_unit_test(damaged_hellos),
		cmocka_unit_test(not_tls),
		cmocka_unit_test(bittorrent),
		cmocka_unit_test(utp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
