#include "proto/httpproxy.h"

#include <stdio.h>

#include "base/err.h"
#include "crypto/base64.h"
#include "crypto/secret.h"

static bool parse_port(struct span s, uint16_t *out)
{
	unsigned v = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (i == 5 || s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s.p[i] - '0');
	}
	*out = (uint16_t)v;
	return v <= 0xffff;
}

int http_authority_parse(struct addr *out, struct span text, uint16_t port)
{
	const uint8_t *bracket = NULL, *colon;
	struct span host = text;
	size_t from = 0;

	if (text.n && text.p[0] == '[') {
		bracket = memchr(text.p, ']', text.n);
		if (!bracket)
			return -ERR_MALFORMED;
		from = (size_t)(bracket + 1 - text.p);
	}
	colon = from < text.n ? memchr(text.p + from, ':', text.n - from) : NULL;
	if (colon) {
		struct span digits = span_of(colon + 1, text.n - (size_t)(colon + 1 - text.p));

		if (digits.n && !parse_port(digits, &port))
			return -ERR_MALFORMED;
		host.n = (size_t)(colon - text.p);
	}
	if (bracket && host.n != from)
		return -ERR_MALFORMED; /* something between ']' and ':' */
	return addr_set_host(out, host, port);
}

/* "scheme://" in front; the rest is left in @s. */
static bool take_scheme(struct span *s, bool *https)
{
	size_t n = 0;
	struct span scheme;

	while (n < s->n && s->p[n] != ':' && s->p[n] != '/')
		n++;
	if (n == 0 || s->n - n < 3 || memcmp(s->p + n, "://", 3) != 0)
		return false;
	scheme = span_of(s->p, n);
	*https = http_same_word(scheme, "https");
	*s = span_of(s->p + n + 3, s->n - n - 3);
	return http_is_token(scheme);
}

static int parse_absolute(struct http_target *out, struct span uri)
{
	struct http_target t = {.kind = HTTP_TARGET_ABSOLUTE};
	bool https;
	size_t n = 0;

	if (!take_scheme(&uri, &https))
		return -ERR_MALFORMED;
	while (n < uri.n && uri.p[n] != '/' && uri.p[n] != '?' && uri.p[n] != '#')
		n++;
	t.authority = span_of(uri.p, n);
	t.path = span_of(uri.p + n, uri.n - n);
	for (size_t i = n; i > 0; i--) {
		if (uri.p[i - 1] == '@') {
			t.authority = span_of(uri.p + i, n - i);
			break;
		}
	}
	if (http_authority_parse(&t.addr, t.authority, https ? HTTPS_PORT : HTTP_PORT) != 0)
		return -ERR_MALFORMED;
	*out = t;
	return 0;
}

static int count_fields(struct span fields, const char *name)
{
	struct http_field f;
	int n = 0;

	while (http_next_field(&fields, &f))
		n += http_same_word(f.name, name);
	return n;
}

int http_target_parse(struct http_target *out, const struct http_request *in)
{
	struct http_target t = {.kind = HTTP_TARGET_ORIGIN};
	struct span host;

	if (count_fields(in->fields, "Host") > 1)
		return -ERR_MALFORMED;
	if (span_eq(in->method, span_str("CONNECT"))) {
		t.kind = HTTP_TARGET_AUTHORITY;
		if (http_authority_parse(&t.addr, in->target, HTTP_PORT) != 0)
			return -ERR_MALFORMED;
	} else if (span_eq(in->target, span_str("*"))) {
		t.kind = HTTP_TARGET_ASTERISK;
	} else if (in->target.p[0] != '/') {
		return parse_absolute(out, in->target);
	} else if (http_find_field(in->fields, "Host", &host)) {
		if (http_authority_parse(&t.addr, host, HTTP_PORT) != 0)
			memset(&t.addr, 0, sizeof(t.addr));
	}
	*out = t;
	return 0;
}

static void put(struct wr *w, const char *text)
{
	wr_bytes(w, text, strlen(text));
}

static void put_span(struct wr *w, struct span s)
{
	wr_bytes(w, s.p, s.n);
}

static void put_field(struct wr *w, struct span name, struct span value)
{
	put_span(w, name);
	put(w, ": ");
	put_span(w, value);
	put(w, "\r\n");
}

static bool is_one_of(struct span name, const char *const *list)
{
	for (; *list; list++)
		if (http_same_word(name, *list))
			return true;
	return false;
}

/* The further fields that Connection names. */
struct named {
	struct span name[HTTP_NAMED_MAX];
	size_t n;
};

static bool collect_named(struct named *out, struct span fields)
{
	struct http_field f;
	struct span name;

	out->n = 0;
	while (http_next_field(&fields, &f)) {
		if (!http_same_word(f.name, "Connection"))
			continue;
		while (http_next_element(&f.value, &name)) {
			if (out->n == HTTP_NAMED_MAX)
				return false;
			out->name[out->n++] = name;
		}
	}
	return true;
}

/* Does this field end at the proxy? */
static bool is_hop_field(struct span name, const struct named *named)
{
	static const char *const hop[] = {
		"Connection",
		"Proxy-Connection",
		"Keep-Alive",
		"Proxy-Authenticate",
		"Proxy-Authorization",
		"TE",
		"Upgrade",
		NULL,
	};
	/* Connection may name further ones, but none that decides what the message is */
	static const char *const vital[] = {"Host", "Content-Length", "Transfer-Encoding",
					    "Trailer", NULL};

	if (is_one_of(name, hop))
		return true;
	if (is_one_of(name, vital))
		return false;
	for (size_t i = 0; i < named->n; i++)
		if (http_same_name(name, named->name[i]))
			return true;
	return false;
}

int http_request_rewrite(struct wr *out, const struct http_request *in,
			 const struct http_target *target)
{
	bool absolute = target->kind == HTTP_TARGET_ABSOLUTE;
	struct span fields = in->fields, path = absolute ? target->path : in->target;
	struct http_field f;
	struct named named;

	if ((!absolute && target->kind != HTTP_TARGET_ORIGIN) || in->major != 1 ||
	    !collect_named(&named, in->fields))
		return -ERR_MALFORMED;
	put_span(out, in->method);
	put(out, " ");
	if (path.n == 0 && span_eq(in->method, span_str("OPTIONS")))
		put(out, "*"); /* RFC 9112 section 3.2.4 */
	else if (path.n == 0 || path.p[0] != '/')
		put(out, "/");
	put_span(out, path);
	put(out, in->minor == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
	if (absolute)
		put_field(out, span_str("Host"), target->authority);
	while (http_next_field(&fields, &f))
		if (!(absolute && http_same_word(f.name, "Host")) && !is_hop_field(f.name, &named))
			put_field(out, f.name, f.value);
	put(out, "Connection: close\r\n\r\n");
	return out->bad ? -ERR_LIMIT : 0;
}

int http_response_rewrite(struct wr *out, const struct http_response *in, enum http_persist persist)
{
	struct span fields = in->fields, coding;
	bool coded = http_find_field(in->fields, "Transfer-Encoding", &coding);
	struct http_field f;
	struct named named;
	char start[20];

	if (!collect_named(&named, in->fields))
		return -ERR_MALFORMED;
	snprintf(start, sizeof(start), "HTTP/1.1 %03u ", in->status);
	put(out, start);
	put_span(out, in->reason);
	put(out, "\r\n");
	while (http_next_field(&fields, &f)) {
		if (coded && http_same_word(f.name, "Content-Length"))
			continue; /* it does not count, and must not mislead the next reader */
		if (!is_hop_field(f.name, &named))
			put_field(out, f.name, f.value);
	}
	if (persist == HTTP_KEEP) {
		char keep[32];

		snprintf(keep, sizeof(keep), "timeout=%d", HTTP_KEEP_SECONDS);
		put(out, "Proxy-Connection: keep-alive\r\nConnection: keep-alive\r\n");
		put_field(out, span_str("Keep-Alive"), span_str(keep));
	} else if (persist == HTTP_CLOSE) {
		put(out, "Proxy-Connection: close\r\nConnection: close\r\n");
	}
	put(out, "\r\n");
	return out->bad ? -ERR_LIMIT : 0;
}

int http_login_decode(struct http_login *out, uint8_t scratch[HTTP_LOGIN_MAX], struct span value)
{
	const uint8_t *blank = value.n ? memchr(value.p, ' ', value.n) : NULL;
	const uint8_t *colon;
	struct span text;
	ssize_t n;

	if (!blank || !http_same_word(span_of(value.p, (size_t)(blank - value.p)), "Basic"))
		return -ERR_MALFORMED;
	text = span_of(blank, value.n - (size_t)(blank - value.p));
	while (text.n && text.p[0] == ' ')
		text = span_of(text.p + 1, text.n - 1);
	n = base64_decode(scratch, HTTP_LOGIN_MAX, text, BASE64_STD | BASE64_ANY_PAD, NULL);
	if (n <= 0)
		return -ERR_MALFORMED;
	colon = memchr(scratch, ':', (size_t)n);
	if (!colon)
		return -ERR_MALFORMED;
	out->user = span_of(scratch, (size_t)(colon - scratch));
	out->password = span_of(colon + 1, (size_t)n - out->user.n - 1);
	return 0;
}

static int put_login(struct wr *w, const struct http_login *login)
{
	uint8_t plain[HTTP_LOGIN_MAX];
	char text[(HTTP_LOGIN_MAX + 2) / 3 * 4 + 1];
	struct wr p = wr_of(plain, sizeof(plain));
	ssize_t n = -ERR_LIMIT;

	put_span(&p, login->user);
	wr_u8(&p, ':');
	put_span(&p, login->password);
	if (!p.bad)
		n = base64_encode(text, sizeof(text), span_of(plain, p.n), BASE64_STD);
	if (n > 0) {
		put(w, "Proxy-Authorization: Basic ");
		wr_bytes(w, text, (size_t)n);
		put(w, "\r\n");
	}
	secret_wipe(plain, sizeof(plain));
	secret_wipe(text, sizeof(text));
	return n > 0 ? 0 : -ERR_LIMIT;
}

int http_connect_encode(struct wr *out, const struct http_connect *in)
{
	char target[ADDR_TEXT_MAX];

	if (in->target.kind == ADDR_NONE)
		return -ERR_MALFORMED;
	addr_text(&in->target, target, sizeof(target));
	put(out, "CONNECT ");
	put(out, target);
	put(out, " HTTP/1.1\r\n");
	put_field(out, span_str("Host"), span_str(target));
	if (in->login && put_login(out, in->login) != 0)
		return -ERR_LIMIT;
	for (size_t i = 0; i < in->n_fields; i++) {
		if (!http_is_token(in->fields[i].name) || !http_is_value(in->fields[i].value))
			return -ERR_MALFORMED;
		put_field(out, in->fields[i].name, in->fields[i].value);
	}
	put(out, "Proxy-Connection: Keep-Alive\r\n\r\n");
	return out->bad ? -ERR_LIMIT : 0;
}

#define ENDING "Connection: close\r\nContent-Length: 0\r\n\r\n"

struct span http_answer_text(enum http_answer answer)
{
	static const char *const text[HTTP_ANSWERS] = {
		[HTTP_CONNECTED] = "HTTP/1.1 200 Connection established\r\n\r\n",
		[HTTP_BAD_REQUEST] =
			"HTTP/1.1 400 Bad Request\r\nProxy-Connection: close\r\n" ENDING,
		[HTTP_FORBIDDEN] =
			"HTTP/1.1 403 Forbidden\r\nCache-Control: max-age=3600, public\r\n" ENDING,
		[HTTP_LOGIN_REQUIRED] = "HTTP/1.1 407 Proxy Authentication Required\r\n"
					"Proxy-Authenticate: Basic realm=\"proxy\"\r\n" ENDING,
		[HTTP_HEAD_TOO_LARGE] = "HTTP/1.1 431 Request Header Fields Too Large\r\n"
					"Proxy-Connection: close\r\n" ENDING,
		[HTTP_UNAVAILABLE] =
			"HTTP/1.1 503 Service Unavailable\r\nProxy-Connection: close\r\n" ENDING,
	};

	return span_str(answer < HTTP_ANSWERS ? text[answer] : NULL);
}
