/* HTTP/1 heads: what is a head, what is none, and where bodies end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/http.h"

#define assert_span(s, text) assert_true(span_eq(s, span_str(text)))

static struct http_request request(const char *text)
{
	struct http_request q;

	assert_int_equal(http_request_decode(&q, span_str(text), NULL), strlen(text));
	return q;
}

static struct http_response response(const char *text)
{
	struct http_response p;

	assert_int_equal(http_response_decode(&p, span_str(text), NULL), strlen(text));
	return p;
}

static void request_head(void **state)
{
	static const char text[] = "GET http://a.example/x?y HTTP/1.1\r\n"
				   "Host: a.example\r\n"
				   "empty:\r\n"
				   "X-Tab:\t v w \t\r\n"
				   "\r\n"
				   "body";
	const size_t head = sizeof(text) - 1 - 4;
	struct http_request q;
	struct http_field f;
	struct span v;

	(void)state;
	assert_int_equal(http_request_decode(&q, span_str(text), NULL), head);
	assert_span(q.method, "GET");
	assert_span(q.target, "http://a.example/x?y");
	assert_int_equal(q.major * 10 + q.minor, 11);
	assert_true(http_find_field(q.fields, "host", &v));
	assert_span(v, "a.example");
	assert_true(http_find_field(q.fields, "x-tab", &v));
	assert_span(v, "v w");
	assert_false(http_find_field(q.fields, "x-ta", &v));
	assert_true(http_next_field(&q.fields, &f));
	assert_true(http_next_field(&q.fields, &f));
	assert_span(f.name, "empty");
	assert_int_equal(f.value.n, 0);
	assert_true(http_next_field(&q.fields, &f));
	assert_false(http_next_field(&q.fields, &f));
}

static void every_truncation(void **state)
{
	static const char *const text[] = {
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"\r\n\r\nGET / HTTP/1.0\nA: b\n\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
		"\r\nHTTP/1.0 200\n\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		struct span in = span_str(text[i]);
		struct http_request q, q0;
		struct http_response p, p0;
		size_t seen = 0;

		memset(&q0, 0x5a, sizeof(q0));
		memset(&p0, 0x5a, sizeof(p0));
		for (size_t n = 0; n <= in.n; n++) {
			struct span part = exact(in, n);

			q = q0;
			p = p0;
			if (i < 2)
				assert_int_equal(http_request_decode(&q, part, &seen),
						 n == in.n ? n : 0);
			else
				assert_int_equal(http_response_decode(&p, part, &seen),
						 n == in.n ? n : 0);
			if (n < in.n) {
				assert_memory_equal(&q, &q0, sizeof(q));
				assert_memory_equal(&p, &p0, sizeof(p));
			}
			free_hex(part);
		}
	}
}

static void refused_requests(void **state)
{
	static const char *const bad[] = {
		"GET /\r\n\r\n", /* HTTP/0.9 */
		"GET / HTTP/1.1 \r\n\r\n",
		"GET  / HTTP/1.1\r\n\r\n",
		"GET / http/1.1\r\n\r\n",
		"GET / HTTP/11\r\n\r\n",
		"GET / HTTP/1.1\r\nno colon\r\n\r\n",
		"GET / HTTP/1.1\r\nA : b\r\n\r\n",	/* blank before the colon */
		"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", /* continued line */
		"GET / HTTP/1.1\r\n: b\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\001\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\r\n\r\n",
		"G(T / HTTP/1.1\r\n\r\n",
		"GET /\177 HTTP/1.1\r\n\r\n",
		"A23456789012345678901234567890123 / HTTP/1.1\r\n\r\n",
		/* refused before there is a line */
		"\026\003\001", /* TLS */
		" GET",
		"A23456789012345678901234567890123",
	};
	struct http_request q;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct span in = exact(span_str(bad[i]), strlen(bad[i]));

		assert_int_equal(http_request_decode(&q, in, NULL), -ERR_MALFORMED);
		free_hex(in);
	}
	q = request("PRI * HTTP/2.0\r\n\r\n");
	assert_int_equal(q.major, 2);
}

static void responses(void **state)
{
	static const char *const bad[] = {
		"HTTP/1.1 99 x\r\n\r\n",
		"HTTP/1.1 2000 x\r\n\r\n",
		"HTTP/1.1 2x0 x\r\n\r\n",
		"HTTP/1.1\r\n\r\n",
		"HTTP/1.x 200 OK\r\n\r\n",
		"HTTP/1.1 200 a\001b\r\n\r\n",
		"SSH-2.0-x",
		"HTTQ",
		"HTTP/1.1 099 x\r\n\r\n",
	};
	struct http_response p = response("HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n");

	(void)state;
	assert_int_equal(p.status, 404);
	assert_span(p.reason, "Not Found");
	p = response("HTTP/1.0 200\r\n\r\n");
	assert_int_equal(p.status, 200);
	assert_int_equal(p.reason.n, 0);
	assert_int_equal(p.minor, 0);
	assert_int_equal(p.fields.n, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(http_response_decode(&p, span_str(bad[i]), NULL), -ERR_MALFORMED);
}

static void the_bound(void **state)
{
	static const char begin[] = "GET / HTTP/1.1\r\nA: ";
	size_t cap = HTTP_HEAD_MAX + 8, seen = 0;
	char *big = malloc(cap);
	struct http_request q;

	(void)state;
	assert_non_null(big);
	memset(big, 'x', cap);
	memcpy(big, begin, sizeof(begin) - 1);
	assert_int_equal(http_request_decode(&q, span_of(big, HTTP_HEAD_MAX - 1), &seen), 0);
	assert_int_equal(http_request_decode(&q, span_of(big, HTTP_HEAD_MAX), &seen), -ERR_LIMIT);
	assert_int_equal(http_request_decode(&q, span_of(big, cap), NULL), -ERR_LIMIT);
	memcpy(big + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(http_request_decode(&q, span_of(big, cap), NULL), HTTP_HEAD_MAX);
	memset(big, '\n', cap);
	assert_int_equal(http_request_decode(&q, span_of(big, cap), NULL), -ERR_LIMIT);
	free(big);
}

static void lists(void **state)
{
	struct http_request q = request("GET / HTTP/1.1\r\nConnection: ,Keep-Alive , x\r\n"
					"Connection: Upgrade\r\n\r\n");
	struct span v = span_str(" a,, b ,"), e;

	(void)state;
	assert_true(http_field_lists(q.fields, "connection", "keep-alive"));
	assert_true(http_field_lists(q.fields, "connection", "UPGRADE"));
	assert_false(http_field_lists(q.fields, "connection", "keep"));
	assert_true(http_next_element(&v, &e));
	assert_span(e, "a");
	assert_true(http_next_element(&v, &e));
	assert_span(e, "b");
	assert_false(http_next_element(&v, &e));
	assert_true(http_is_token(span_str("X-1!")));
	assert_false(http_is_token(span_str("")));
	assert_false(http_is_token(span_str("a b")));
	assert_false(http_is_value(span_str("a\r\nb: c")));
}

static void request_bodies(void **state)
{
	static const struct {
		const char *fields;
		int ret;
		unsigned kind;
		uint64_t length;
	} c[] = {
		{"", 0, HTTP_BODY_NONE, 0},
		{"Content-Length: 0\r\n", 0, HTTP_BODY_LENGTH, 0},
		{"content-length: 18446744073709551615\r\n", 0, HTTP_BODY_LENGTH, UINT64_MAX},
		{"Content-Length: 5\r\nContent-Length: 05\r\n", 0, HTTP_BODY_LENGTH, 5},
		{"Transfer-Encoding: chunked\r\n", 0, HTTP_BODY_CHUNKED, 0},
		{"Transfer-Encoding: gzip, Chunked\r\n", 0, HTTP_BODY_CHUNKED, 0},
		{"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 0, HTTP_BODY_CHUNKED,
		 0},
		{"Content-Length: 18446744073709551616\r\n", -ERR_MALFORMED, 0, 0},
		{"Content-Length: -1\r\n", -ERR_MALFORMED, 0, 0},
		{"Content-Length: +1\r\n", -ERR_MALFORMED, 0, 0},
		{"Content-Length:\r\n", -ERR_MALFORMED, 0, 0},
		{"Content-Length: 5, 5\r\n", -ERR_MALFORMED, 0, 0},
		{"Content-Length: 5\r\nContent-Length: 6\r\n", -ERR_MALFORMED, 0, 0},
		{"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", -ERR_MALFORMED, 0, 0},
		{"Transfer-Encoding: gzip\r\n", -ERR_MALFORMED, 0, 0},
		{"Transfer-Encoding: chunked, gzip\r\n", -ERR_MALFORMED, 0, 0},
		{"Transfer-Encoding: chunked, chunked\r\n", -ERR_MALFORMED, 0, 0},
		{"Transfer-Encoding:\r\n", -ERR_MALFORMED, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct http_request q = {.major = 1, .minor = 1, .fields = span_str(c[i].fields)};
		struct http_body b;

		assert_int_equal(http_request_body(&b, &q), c[i].ret);
		if (c[i].ret == 0) {
			assert_int_equal(b.kind, c[i].kind);
			assert_int_equal(b.length, c[i].length);
		}
	}
	struct http_request old = request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
	struct http_body b;

	assert_int_equal(http_request_body(&b, &old), -ERR_MALFORMED);
}

static unsigned body_of(const char *head, const char *method, uint64_t length)
{
	struct http_response p = response(head);
	struct http_body b;

	assert_int_equal(http_response_body(&b, &p, span_str(method)), 0);
	assert_int_equal(b.length, length);
	return b.kind;
}

static void response_bodies(void **state)
{
	struct http_response p = response("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n");
	struct http_body b;

	(void)state;
	assert_int_equal(body_of("HTTP/1.1 200 OK\r\n\r\n", "GET", 0), HTTP_BODY_CLOSE);
	assert_int_equal(body_of("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "GET", 7),
			 HTTP_BODY_LENGTH);
	assert_int_equal(body_of("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "HEAD", 0),
			 HTTP_BODY_NONE);
	assert_int_equal(body_of("HTTP/1.1 204 -\r\nContent-Length: 7\r\n\r\n", "GET", 0),
			 HTTP_BODY_NONE);
	assert_int_equal(body_of("HTTP/1.1 304 -\r\nContent-Length: 7\r\n\r\n", "GET", 0),
			 HTTP_BODY_NONE);
	assert_int_equal(body_of("HTTP/1.1 100 Continue\r\n\r\n", "POST", 0), HTTP_BODY_NONE);
	assert_int_equal(body_of("HTTP/1.1 200 OK\r\n\r\n", "CONNECT", 0), HTTP_BODY_NONE);
	assert_int_equal(body_of("HTTP/1.1 407 -\r\nContent-Length: 3\r\n\r\n", "CONNECT", 3),
			 HTTP_BODY_LENGTH);
	assert_int_equal(body_of("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n"
				 "Transfer-Encoding: chunked\r\n\r\n",
				 "GET", 0),
			 HTTP_BODY_CHUNKED);
	assert_int_equal(body_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "GET", 0),
			 HTTP_BODY_CLOSE);
	assert_int_equal(body_of("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", 0),
			 HTTP_BODY_CLOSE);
	assert_int_equal(http_response_body(&b, &p, span_str("GET")), -ERR_MALFORMED);
}

static void persistence(void **state)
{
	struct http_request q;

	(void)state;
	q = request("GET / HTTP/1.1\r\n\r\n");
	assert_true(http_request_persists(&q));
	q = request("GET / HTTP/1.1\r\nProxy-Connection: close\r\n\r\n");
	assert_false(http_request_persists(&q));
	q = request("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n");
	assert_false(http_request_persists(&q));
	q = request("GET / HTTP/1.0\r\n\r\n");
	assert_false(http_request_persists(&q));
	q = request("GET / HTTP/1.0\r\nProxy-Connection: Keep-Alive\r\n\r\n");
	assert_true(http_request_persists(&q));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_head),	    cmocka_unit_test(every_truncation),
		cmocka_unit_test(refused_requests), cmocka_unit_test(responses),
		cmocka_unit_test(the_bound),	    cmocka_unit_test(lists),
		cmocka_unit_test(request_bodies),   cmocka_unit_test(response_bodies),
		cmocka_unit_test(persistence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
