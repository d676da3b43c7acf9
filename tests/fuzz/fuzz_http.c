/*
 * Any bytes as HTTP/1 heads: verdicts on prefixes are final with and without memory
 * between calls, spans lie inside the input, and a rewritten head is a valid head
 * with the same body and nothing left of the connection it came over.
 */
#include <stdlib.h>

#include "proto/httpproxy.h"

enum { PREFIXES = 160 };

static bool inside(struct span s, struct span in)
{
	return s.n == 0 || (s.p >= in.p && s.p + s.n <= in.p + in.n);
}

static void check_fields(struct span fields, struct span in)
{
	struct http_field f;
	size_t left = fields.n;

	while (http_next_field(&fields, &f)) {
		if (fields.n >= left || !http_is_token(f.name) || !http_is_value(f.value) ||
		    !inside(f.name, in) || !inside(f.value, in))
			abort();
		left = fields.n;
	}
	if (fields.n != 0)
		abort();
}

static bool same_body(const struct http_body *a, const struct http_body *b)
{
	return a->kind == b->kind && a->length == b->length;
}

static void check_rewritten_request(const struct http_request *q, const struct http_target *t,
				    struct wr *w)
{
	struct http_request again;
	struct http_body body, body_again;
	struct span value;

	if (http_request_decode(&again, span_of(w->p, w->n), NULL) != (ssize_t)w->n)
		abort();
	if (!span_eq(again.method, q->method) || again.major != 1 || again.minor > 1)
		abort();
	if (!http_find_field(again.fields, "Connection", &value) || !http_same_word(value, "close"))
		abort();
	if (http_find_field(again.fields, "Proxy-Connection", &value) ||
	    http_find_field(again.fields, "Proxy-Authorization", &value))
		abort();
	if (t->kind == HTTP_TARGET_ABSOLUTE &&
	    (!http_find_field(again.fields, "Host", &value) || !span_eq(value, t->authority)))
		abort();
	if (http_request_body(&body, q) == 0 &&
	    (http_request_body(&body_again, &again) != 0 || !same_body(&body, &body_again)))
		abort();
}

static void check_request(struct span in, uint8_t *room, size_t cap)
{
	struct http_request q, again;
	ssize_t n = http_request_decode(&q, in, NULL);
	uint8_t scratch[HTTP_LOGIN_MAX];
	struct wr w = wr_of(room, cap);
	struct http_target t;
	struct http_login login;
	struct span value;
	size_t seen = 0;

	for (size_t i = 0; i <= in.n && i < PREFIXES; i += 1 + i / 8) {
		ssize_t early = http_request_decode(&again, span_of(in.p, i), &seen);

		if (early != 0 && early != n)
			abort();
		if (early != 0)
			break;
	}
	if (n <= 0)
		return;
	check_fields(q.fields, in);
	if (http_find_field(q.fields, "Proxy-Authorization", &value) &&
	    http_login_decode(&login, scratch, value) == 0 &&
	    login.user.n + login.password.n >= HTTP_LOGIN_MAX)
		abort();
	http_request_persists(&q);
	if (http_target_parse(&t, &q) == 0 && http_request_rewrite(&w, &q, &t) == 0)
		check_rewritten_request(&q, &t, &w);
	else if (w.bad)
		abort(); /* the promised room did not suffice */
}

static void check_response(struct span in, uint8_t *room, size_t cap)
{
	struct http_response p, again;
	ssize_t n = http_response_decode(&p, in, NULL);
	struct http_body body, body_again;
	struct wr w = wr_of(room, cap);
	size_t seen = 0;

	for (size_t i = 0; i <= in.n && i < PREFIXES; i += 1 + i / 8) {
		ssize_t early = http_response_decode(&again, span_of(in.p, i), &seen);

		if (early != 0 && early != n)
			abort();
		if (early != 0)
			break;
	}
	if (n <= 0)
		return;
	check_fields(p.fields, in);
	if (http_response_rewrite(&w, &p, in.p[0] & 1 ? HTTP_KEEP : HTTP_CLOSE) != 0) {
		if (w.bad)
			abort();
		return;
	}
	if (http_response_decode(&again, span_of(room, w.n), NULL) != (ssize_t)w.n ||
	    again.status != p.status || !span_eq(again.reason, p.reason))
		abort();
	again.minor = p.minor; /* says how far a coding can be believed */
	if (http_response_body(&body, &p, span_str("GET")) == 0 &&
	    (http_response_body(&body_again, &again, span_str("GET")) != 0 ||
	     !same_body(&body, &body_again)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t cap = 2 * size + 160;
	uint8_t *room = malloc(cap);
	struct addr a;

	if (!room)
		abort();
	check_request(span_of(data, size), room, cap);
	check_response(span_of(data, size), room, cap);
	http_authority_parse(&a, span_of(data, size), HTTP_PORT);
	free(room);
	return 0;
}
