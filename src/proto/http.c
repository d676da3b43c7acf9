#include "proto/http.h"

#include "base/err.h"

static bool is_tchar(uint8_t c)
{
	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		return true;
	return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

bool http_is_token(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_tchar(s.p[i]))
			return false;
	return s.n > 0;
}

bool http_is_value(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool http_same_name(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

static struct span trim(struct span s)
{
	while (s.n && is_blank(s.p[0]))
		s = span_of(s.p + 1, s.n - 1);
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* Takes the first line off @s, without its end; false when there is no whole line. */
static bool take_line(struct span *s, struct span *line)
{
	const uint8_t *lf = s->n ? memchr(s->p, '\n', s->n) : NULL;
	size_t n;

	if (!lf)
		return false;
	n = (size_t)(lf - s->p);
	*line = span_of(s->p, n && lf[-1] == '\r' ? n - 1 : n);
	*s = span_of(lf + 1, s->n - n - 1);
	return true;
}

/* Length of the empty lines in front. */
static size_t skip_empty(struct span in)
{
	struct span rest = in, line;

	while (take_line(&rest, &line) && line.n == 0)
		in = rest;
	return in.n;
}

/* Finds the end of the head. 1: @head is the start line and what follows, @used all of it. */
static int find_head(struct span in, size_t *seen, struct span *head, size_t *used)
{
	struct span whole = span_of(in.p, in.n < HTTP_HEAD_MAX ? in.n : HTTP_HEAD_MAX);
	struct span rest, line;
	size_t begin, at;

	*head = in;
	if (in.n == 0)
		return 0; /* there may be no memory to point into */
	begin = whole.n - skip_empty(whole);
	at = seen && *seen > begin ? *seen : begin;
	rest = span_of(whole.p + at, whole.n - at);
	while (take_line(&rest, &line)) {
		if (line.n == 0) {
			*used = whole.n - rest.n;
			*head = span_of(whole.p + begin, (size_t)(line.p - whole.p) - begin);
			return 1;
		}
		at = whole.n - rest.n;
	}
	if (seen)
		*seen = at;
	*head = span_of(whole.p + begin, whole.n - begin);
	return in.n >= HTTP_HEAD_MAX ? -ERR_LIMIT : 0;
}

static bool split_field(struct span line, struct http_field *out)
{
	const uint8_t *colon = memchr(line.p, ':', line.n);

	if (!colon)
		return false;
	out->name = span_of(line.p, (size_t)(colon - line.p));
	out->value = trim(span_of(colon + 1, line.n - out->name.n - 1));
	return true;
}

static bool fields_ok(struct span fields)
{
	struct http_field f;
	struct span line;

	while (take_line(&fields, &line))
		if (!split_field(line, &f) || !http_is_token(f.name) || !http_is_value(f.value))
			return false;
	return true;
}

/* "HTTP/1.1" */
static bool parse_version(struct span s, uint8_t *major, uint8_t *minor)
{
	if (s.n != 8 || memcmp(s.p, "HTTP/", 5) != 0 || s.p[6] != '.')
		return false;
	if (s.p[5] < '0' || s.p[5] > '9' || s.p[7] < '0' || s.p[7] > '9')
		return false;
	*major = (uint8_t)(s.p[5] - '0');
	*minor = (uint8_t)(s.p[7] - '0');
	return true;
}

/* Up to the first blank, which is taken too. */
static bool take_word(struct span *s, struct span *word)
{
	const uint8_t *blank = s->n ? memchr(s->p, ' ', s->n) : NULL;

	if (!blank)
		return false;
	*word = span_of(s->p, (size_t)(blank - s->p));
	*s = span_of(blank + 1, s->n - word->n - 1);
	return true;
}

static bool method_ok(struct span s)
{
	return s.n <= HTTP_METHOD_MAX && http_is_token(s);
}

static bool target_ok(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] == 0x7f)
			return false;
	return s.n > 0;
}

/* Can bytes that begin like this still become a request? */
static bool request_may_come(struct span begun)
{
	struct span method = begun;

	if (begun.n == 0 || span_eq(begun, span_str("\r")))
		return true; /* of an empty line */
	take_word(&begun, &method);
	return method_ok(method);
}

ssize_t http_request_decode(struct http_request *out, struct span in, size_t *seen)
{
	struct http_request q;
	struct span head, line;
	size_t used;
	int got = find_head(in, seen, &head, &used);

	if (got == 0 && !request_may_come(head))
		return -ERR_MALFORMED;
	if (got <= 0)
		return got;
	if (!take_line(&head, &line) || !take_word(&line, &q.method) ||
	    !take_word(&line, &q.target) || !parse_version(line, &q.major, &q.minor))
		return -ERR_MALFORMED;
	if (!method_ok(q.method) || !target_ok(q.target) || !fields_ok(head))
		return -ERR_MALFORMED;
	q.fields = head;
	*out = q;
	return (ssize_t)used;
}

/* "200" and what follows; the reason may be missing with its blank. */
static bool parse_status(struct span s, struct http_response *p)
{
	unsigned v = 0;

	if (s.n < 3 || (s.n > 3 && s.p[3] != ' '))
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s.p[i] - '0');
	}
	p->status = (uint16_t)v;
	p->reason = s.n > 3 ? span_of(s.p + 4, s.n - 4) : span_of(s.p + 3, 0);
	return v >= 100 && http_is_value(p->reason);
}

static bool response_may_come(struct span begun)
{
	size_t n = begun.n < 5 ? begun.n : 5;

	if (n == 0 || span_eq(begun, span_str("\r")))
		return true;
	return memcmp(begun.p, "HTTP/", n) == 0;
}

ssize_t http_response_decode(struct http_response *out, struct span in, size_t *seen)
{
	struct http_response p;
	struct span head, line, version;
	size_t used;
	int got = find_head(in, seen, &head, &used);

	if (got == 0 && !response_may_come(head))
		return -ERR_MALFORMED;
	if (got <= 0)
		return got;
	if (!take_line(&head, &line) || !take_word(&line, &version) ||
	    !parse_version(version, &p.major, &p.minor) || !parse_status(line, &p) ||
	    !fields_ok(head))
		return -ERR_MALFORMED;
	p.fields = head;
	*out = p;
	return (ssize_t)used;
}

bool http_next_field(struct span *fields, struct http_field *out)
{
	struct span line;

	return take_line(fields, &line) && line.n && split_field(line, out);
}

bool http_find_field(struct span fields, const char *name, struct span *value)
{
	struct http_field f;

	while (http_next_field(&fields, &f)) {
		if (http_same_word(f.name, name)) {
			*value = f.value;
			return true;
		}
	}
	return false;
}

bool http_next_element(struct span *value, struct span *out)
{
	while (value->n) {
		const uint8_t *comma = memchr(value->p, ',', value->n);
		size_t n = comma ? (size_t)(comma - value->p) : value->n;

		*out = trim(span_of(value->p, n));
		*value = comma ? span_of(comma + 1, value->n - n - 1) : span_of(NULL, 0);
		if (out->n)
			return true;
	}
	return false;
}

bool http_field_lists(struct span fields, const char *name, const char *word)
{
	struct http_field f;
	struct span element;

	while (http_next_field(&fields, &f)) {
		if (!http_same_word(f.name, name))
			continue;
		while (http_next_element(&f.value, &element))
			if (http_same_word(element, word))
				return true;
	}
	return false;
}

static bool parse_length(struct span s, uint64_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)s.p[i] - '0';

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return s.n > 0;
}

/* What the fields say about a body. */
struct framing {
	bool has_length, bad_length;
	bool coded;   /* Transfer-Encoding is there */
	bool chunked; /* and its last coding is "chunked", which occurs once */
	uint64_t length;
};

static struct framing read_framing(struct span fields)
{
	struct framing fr = {0};
	struct http_field f;
	struct span coding;
	unsigned times = 0;

	while (http_next_field(&fields, &f)) {
		if (http_same_word(f.name, "Content-Length")) {
			uint64_t v = 0;

			if (!parse_length(f.value, &v) || (fr.has_length && v != fr.length))
				fr.bad_length = true;
			fr.has_length = true;
			fr.length = v;
		} else if (http_same_word(f.name, "Transfer-Encoding")) {
			fr.coded = true;
			while (http_next_element(&f.value, &coding)) {
				fr.chunked = http_same_word(coding, "chunked");
				times += fr.chunked;
			}
		}
	}
	fr.chunked = fr.chunked && times == 1;
	return fr;
}

int http_request_body(struct http_body *out, const struct http_request *in)
{
	struct framing fr = read_framing(in->fields);

	if (fr.bad_length || (fr.coded && (!fr.chunked || fr.has_length || in->minor == 0)))
		return -ERR_MALFORMED;
	out->kind = HTTP_BODY_NONE;
	out->length = fr.length;
	if (fr.chunked)
		out->kind = HTTP_BODY_CHUNKED;
	else if (fr.has_length)
		out->kind = HTTP_BODY_LENGTH;
	return 0;
}

int http_response_body(struct http_body *out, const struct http_response *in, struct span method)
{
	struct framing fr = read_framing(in->fields);
	bool tunnel = span_eq(method, span_str("CONNECT")) && in->status / 100 == 2;
	struct http_body body = {.kind = HTTP_BODY_CLOSE};

	if (in->status < 200 || in->status == 204 || in->status == 304 || tunnel ||
	    span_eq(method, span_str("HEAD"))) {
		body.kind = HTTP_BODY_NONE;
	} else if (fr.coded) {
		if (fr.chunked && in->minor > 0)
			body.kind = HTTP_BODY_CHUNKED;
	} else if (fr.has_length) {
		if (fr.bad_length)
			return -ERR_MALFORMED;
		body.kind = HTTP_BODY_LENGTH;
		body.length = fr.length;
	}
	*out = body;
	return 0;
}

bool http_request_persists(const struct http_request *in)
{
	if (http_field_lists(in->fields, "Connection", "close") ||
	    http_field_lists(in->fields, "Proxy-Connection", "close"))
		return false;
	return in->minor > 0 || http_field_lists(in->fields, "Connection", "keep-alive") ||
	       http_field_lists(in->fields, "Proxy-Connection", "keep-alive");
}
