/* What a proxy makes of heads: targets, rewritten heads, logins, CONNECT, canned answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/httpproxy.h"

#define assert_span(s, text) assert_true(span_eq(s, span_str(text)))

static struct http_request request(const char *text)
{
	struct http_request q;

	assert_int_equal(http_request_decode(&q, span_str(text), NULL), strlen(text));
	return q;
}

static void authorities(void **state)
{
	static const struct {
		const char *text, *addr;
	} c[] = {
		{"a.example", "a.example:80"},
		{"a.example:8080", "a.example:8080"},
		{"a.example:", "a.example:80"},
		{"a.example:0", "a.example:0"},
		{"127.0.0.1:65535", "127.0.0.1:65535"},
		{"[2001:db8::1]:443", "[2001:db8::1]:443"},
		{"[::1]", "[::1]:80"},
		{"[::1]:", "[::1]:80"},
		{"", NULL},
		{":80", NULL},
		{"a:b", NULL},
		{"a:65536", NULL},
		{"a:000080", NULL},
		{"a:80:80", NULL},
		{"[::1", NULL},
		{"[::1]x:80", NULL},
		{"[::1]80", NULL},
		{"[]", NULL},
		{"2001:db8::1", NULL},
		{"user@host", NULL},
		{"a/b", NULL},
	};
	char text[ADDR_TEXT_MAX];
	struct addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		int ret = http_authority_parse(&a, span_str(c[i].text), HTTP_PORT);

		assert_int_equal(ret, c[i].addr ? 0 : -ERR_MALFORMED);
		if (c[i].addr)
			assert_string_equal(addr_text(&a, text, sizeof(text)), c[i].addr);
	}
}

static void target(const char *head, unsigned kind, const char *addr, const char *authority,
		   const char *path)
{
	struct http_request q = request(head);
	struct http_target t;
	char text[ADDR_TEXT_MAX];

	assert_int_equal(http_target_parse(&t, &q), 0);
	assert_int_equal(t.kind, kind);
	assert_string_equal(addr_text(&t.addr, text, sizeof(text)), addr);
	assert_span(t.authority, authority);
	assert_span(t.path, path);
}

static void targets(void **state)
{
	static const char *const bad[] = {
		"GET foo HTTP/1.1\r\n\r\n",
		"GET http:/foo HTTP/1.1\r\n\r\n",
		"GET http:// HTTP/1.1\r\n\r\n",
		"GET http://:80/ HTTP/1.1\r\n\r\n",
		"GET ://a/ HTTP/1.1\r\n\r\n",
		"GET http://a_b{}/ HTTP/1.1\r\n\r\n",
		"CONNECT http://a/ HTTP/1.1\r\n\r\n",
		"CONNECT /x HTTP/1.1\r\n\r\n",
		"GET http://a/ HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
	};

	(void)state;
	target("GET http://a.example/x?y=/@ HTTP/1.1\r\nHost: b\r\n\r\n", HTTP_TARGET_ABSOLUTE,
	       "a.example:80", "a.example", "/x?y=/@");
	target("GET HTTPS://u:p@w@a.example:8443?q HTTP/1.1\r\n\r\n", HTTP_TARGET_ABSOLUTE,
	       "a.example:8443", "a.example:8443", "?q");
	target("GET https://[::1] HTTP/1.1\r\n\r\n", HTTP_TARGET_ABSOLUTE, "[::1]:443", "[::1]",
	       "");
	target("GET ftp://a/ HTTP/1.1\r\n\r\n", HTTP_TARGET_ABSOLUTE, "a:80", "a", "/");
	target("CONNECT a.example:443 HTTP/1.1\r\nHost: b\r\n\r\n", HTTP_TARGET_AUTHORITY,
	       "a.example:443", "", "");
	target("CONNECT [2001:db8::1]:22 HTTP/1.1\r\n\r\n", HTTP_TARGET_AUTHORITY,
	       "[2001:db8::1]:22", "", "");
	target("CONNECT a.example HTTP/1.1\r\n\r\n", HTTP_TARGET_AUTHORITY, "a.example:80", "", "");
	target("GET /x HTTP/1.1\r\nHost: a.example:81\r\n\r\n", HTTP_TARGET_ORIGIN, "a.example:81",
	       "", "");
	target("GET /x HTTP/1.0\r\n\r\n", HTTP_TARGET_ORIGIN, "-", "", "");
	target("GET /x HTTP/1.1\r\nHost: {}\r\n\r\n", HTTP_TARGET_ORIGIN, "-", "", "");
	target("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_TARGET_ASTERISK, "-", "", "");
	target("PRI * HTTP/2.0\r\n\r\n", HTTP_TARGET_ASTERISK, "-", "", "");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct http_request q = request(bad[i]);
		struct http_target t;

		assert_int_equal(http_target_parse(&t, &q), -ERR_MALFORMED);
	}
}

static void rewritten(const char *head, const char *want)
{
	struct http_request q = request(head);
	struct http_target t;
	uint8_t b[2048];
	struct wr w = wr_of(b, sizeof(b));

	assert_int_equal(http_target_parse(&t, &q), 0);
	assert_int_equal(http_request_rewrite(&w, &q, &t), 0);
	assert_span(span_of(b, w.n), want);
	assert_true(w.n <= 2 * strlen(head) + 128);
	for (size_t n = 0; n < strlen(want); n++) {
		w = wr_of(b, n);
		assert_int_equal(http_request_rewrite(&w, &q, &t), -ERR_LIMIT);
	}
}

static void requests_become_origin_form(void **state)
{
	struct http_request q;
	struct http_target t;
	uint8_t b[64];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	rewritten("GET http://u:p@a.example:81/x?y HTTP/1.1\r\n"
		  "Host: other\r\n"
		  "Proxy-Connection: keep-alive\r\n"
		  "Proxy-Authorization: Basic dTpw\r\n"
		  "Connection: x-hop, Content-Length, keep-alive\r\n"
		  "Keep-Alive: 5\r\n"
		  "TE: trailers\r\n"
		  "Upgrade: websocket\r\n"
		  "X-Hop: 1\r\n"
		  "X-Stay:2\r\n"
		  "Content-Length: 3\r\n"
		  "\r\n",
		  "GET /x?y HTTP/1.1\r\n"
		  "Host: a.example:81\r\n"
		  "X-Stay: 2\r\n"
		  "Content-Length: 3\r\n"
		  "Connection: close\r\n"
		  "\r\n");
	rewritten("POST http://a?q HTTP/1.0\nTransfer-Encoding: chunked\nTrailer: X\n\n",
		  "POST /?q HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n"
		  "Connection: close\r\n\r\n");
	rewritten("GET http://a HTTP/1.9\r\n\r\n",
		  "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	rewritten("OPTIONS http://a HTTP/1.1\r\n\r\n",
		  "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	rewritten("GET /x HTTP/1.1\r\nHost: a\r\nHost2: b\r\n\r\n",
		  "GET /x HTTP/1.1\r\nHost: a\r\nHost2: b\r\nConnection: close\r\n\r\n");

	q = request("CONNECT a:1 HTTP/1.1\r\n\r\n");
	assert_int_equal(http_target_parse(&t, &q), 0);
	assert_int_equal(http_request_rewrite(&w, &q, &t), -ERR_MALFORMED);
	q = request("GET http://a/ HTTP/2.0\r\n\r\n");
	assert_int_equal(http_target_parse(&t, &q), 0);
	assert_int_equal(http_request_rewrite(&w, &q, &t), -ERR_MALFORMED);
	q = request(
		"GET /x HTTP/1.1\r\nConnection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,"
		"y,z,A,B,C,D,E,F,G\r\n\r\n");
	assert_int_equal(http_target_parse(&t, &q), 0);
	assert_int_equal(http_request_rewrite(&w, &q, &t), -ERR_MALFORMED);
}

static void answer(const char *head, enum http_persist persist, const char *want)
{
	struct http_response p;
	uint8_t b[2048];
	struct wr w = wr_of(b, sizeof(b));

	assert_int_equal(http_response_decode(&p, span_str(head), NULL), strlen(head));
	assert_int_equal(http_response_rewrite(&w, &p, persist), 0);
	assert_span(span_of(b, w.n), want);
	for (size_t n = 0; n < strlen(want); n++) {
		w = wr_of(b, n);
		assert_int_equal(http_response_rewrite(&w, &p, persist), -ERR_LIMIT);
	}
}

static void answers_are_forwarded(void **state)
{
	(void)state;
	answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, X\r\nX: 1\r\n"
	       "Keep-Alive: timeout=5\r\nUpgrade: h2c\r\n\r\n",
	       HTTP_KEEP,
	       "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nProxy-Connection: keep-alive\r\n"
	       "Connection: keep-alive\r\nKeep-Alive: timeout=60\r\n\r\n");
	answer("HTTP/1.0 404 Not here\r\n\r\n", HTTP_CLOSE,
	       "HTTP/1.1 404 Not here\r\nProxy-Connection: close\r\nConnection: close\r\n\r\n");
	answer("HTTP/1.1 100 Continue\r\n\r\n", HTTP_INTERIM, "HTTP/1.1 100 Continue\r\n\r\n");
	answer("HTTP/1.1 200\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
	       HTTP_CLOSE,
	       "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\nProxy-Connection: close\r\n"
	       "Connection: close\r\n\r\n");
}

static void logins(void **state)
{
	static const char *const bad[] = {
		"",
		"Basic",
		"Basic ",
		"Basic dXNlcg==",
		"Basic dXNlcjpw!",
		"Bearer dXNlcjpwdw==",
		"Basicd XNlcjpwdw==",
	};
	uint8_t scratch[HTTP_LOGIN_MAX];
	struct http_login l;

	(void)state;
	assert_int_equal(http_login_decode(&l, scratch, span_str("Basic dXNlcjpwdzp4")), 0);
	assert_span(l.user, "user");
	assert_span(l.password, "pw:x");
	assert_int_equal(http_login_decode(&l, scratch, span_str("basic  dXNlcjpwdw==")), 0);
	assert_span(l.password, "pw");
	assert_int_equal(http_login_decode(&l, scratch, span_str("Basic Og==")), 0);
	assert_int_equal(l.user.n + l.password.n, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(http_login_decode(&l, scratch, span_str(bad[i])), -ERR_MALFORMED);
	char *big = malloc(801);

	assert_non_null(big);
	memset(big, 'A', 800);
	memcpy(big, "Basic ", 6);
	big[800] = 0;
	assert_int_equal(http_login_decode(&l, scratch, span_str(big)), -ERR_MALFORMED);
	free(big);
}

static void connect_request(void **state)
{
	const struct http_login login = {span_str("user"), span_str("pw:x")};
	const struct http_field fields[] = {{span_str("User-Agent"), span_str("x/1 (y)")}};
	const struct http_field evil[] = {{span_str("A"), span_str("x\r\nB: y")}};
	static const char want[] = "CONNECT [2001:db8::1]:443 HTTP/1.1\r\n"
				   "Host: [2001:db8::1]:443\r\n"
				   "Proxy-Authorization: Basic dXNlcjpwdzp4\r\n"
				   "User-Agent: x/1 (y)\r\n"
				   "Proxy-Connection: Keep-Alive\r\n\r\n";
	struct http_connect c = {.login = &login, .fields = fields, .n_fields = 1};
	uint8_t b[1024];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	assert_int_equal(http_connect_encode(&w, &c), -ERR_MALFORMED);
	assert_int_equal(addr_parse(&c.target, span_str("[2001:db8::1]:443")), 0);
	assert_int_equal(http_connect_encode(&w, &c), 0);
	assert_span(span_of(b, w.n), want);
	for (size_t n = 0; n < sizeof(want) - 1; n++) {
		w = wr_of(b, n);
		assert_int_equal(http_connect_encode(&w, &c), -ERR_LIMIT);
	}
	c.fields = evil;
	w = wr_of(b, sizeof(b));
	assert_int_equal(http_connect_encode(&w, &c), -ERR_MALFORMED);
	const struct http_login longest = {span_of(b, 300), span_of(b, 300)};

	c.login = &longest;
	c.n_fields = 0;
	w = wr_of(b, sizeof(b));
	assert_int_equal(http_connect_encode(&w, &c), -ERR_LIMIT);
}

static void canned_answers(void **state)
{
	(void)state;
	assert_span(http_answer_text(HTTP_CONNECTED),
		    "HTTP/1.1 200 Connection established\r\n\r\n");
	assert_span(http_answer_text(HTTP_LOGIN_REQUIRED),
		    "HTTP/1.1 407 Proxy Authentication Required\r\n"
		    "Proxy-Authenticate: Basic realm=\"proxy\"\r\n"
		    "Connection: close\r\nContent-Length: 0\r\n\r\n");
	for (int i = 0; i < HTTP_ANSWERS; i++) {
		struct http_response p;
		struct span text = http_answer_text(i);

		assert_int_equal(http_response_decode(&p, text, NULL), text.n);
	}
	assert_int_equal(http_answer_text(HTTP_ANSWERS).n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(authorities),
		cmocka_unit_test(targets),
		cmocka_unit_test(requests_become_origin_form),
		cmocka_unit_test(answers_are_forwarded),
		cmocka_unit_test(logins),
		cmocka_unit_test(connect_request),
		cmocka_unit_test(canned_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
