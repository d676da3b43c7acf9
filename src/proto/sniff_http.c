/*
 * HTTP/1 as far as routing needs it: the request line and the header lines that
 * are there. Found as soon as a whole Host line is there, even if more headers
 * are still to come: waiting would delay the flow, and Xray does not wait either.
 */
#include "proto/sniff.h"

#include <ctype.h>
#include <strings.h>

enum { METHOD_LONGEST = 7, LINE_MAX = 16384 };

static bool same_word(struct span s, const char *word)
{
	return s.n == strlen(word) && strncasecmp((const char *)s.p, word, s.n) == 0;
}

/* FOUND: one of the methods and a blank; MORE: may become one. */
static enum sniff_verdict method_of(struct span in, struct span *method)
{
	static const char *const methods[] = {"get",	"post",	   "head",   "put",
					      "delete", "options", "connect"};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		size_t len = strlen(methods[i]), n = in.n < len ? in.n : len;

		if (n > 0 && strncasecmp((const char *)in.p, methods[i], n) != 0)
			continue;
		if (in.n <= len)
			return SNIFF_MORE;
		if (in.p[len] != ' ')
			return SNIFF_NONE;
		*method = span_of(in.p, len);
		return SNIFF_FOUND;
	}
	return SNIFF_NONE;
}

/* The next line without its end; false when its end is not there. */
static bool take_line(struct span *in, struct span *line)
{
	const uint8_t *end = in->n ? memchr(in->p, '\n', in->n) : NULL;
	size_t n;

	if (!end)
		return false;
	n = (size_t)(end - in->p);
	*line = span_of(in->p, n > 0 && in->p[n - 1] == '\r' ? n - 1 : n);
	*in = span_of(end + 1, in->n - n - 1);
	return true;
}

static struct span trim(struct span s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = span_of(s.p + 1, s.n - 1);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

bool sniff_header_next(struct span *headers, struct span *name, struct span *value)
{
	struct span line;

	while (take_line(headers, &line)) {
		const uint8_t *colon = line.n ? memchr(line.p, ':', line.n) : NULL;

		if (!colon)
			continue;
		*name = span_of(line.p, (size_t)(colon - line.p));
		*value = trim(span_of(colon + 1, line.n - name->n - 1));
		return true;
	}
	return false;
}

/* "host", "host:port", "[v6]:port"; the port is cut off. */
static struct span without_port(struct span host)
{
	size_t i = host.n;

	while (i > 0 && isdigit(host.p[i - 1]))
		i--;
	if (i > 1 && host.p[i - 1] == ':' && !memchr(host.p, ':', i - 1))
		host.n = i - 1;
	return host;
}

/* Request line "METHOD SP target SP HTTP/1.x". */
static bool read_request_line(struct sniff_result *out, struct span line)
{
	struct span rest = span_of(line.p + out->method.n + 1, line.n - out->method.n - 1);
	const uint8_t *blank = rest.n ? memchr(rest.p, ' ', rest.n) : NULL;
	struct span version;

	if (!blank)
		return false;
	out->path = span_of(rest.p, (size_t)(blank - rest.p));
	version = span_of(blank + 1, rest.n - out->path.n - 1);
	return out->path.n > 0 && version.n == 8 && memcmp(version.p, "HTTP/1.", 7) == 0;
}

/* The lines of the header that are complete; true when its end is among them. */
static bool collect_headers(struct sniff_result *out, struct span rest)
{
	const uint8_t *from = rest.p;
	struct span line;

	while (take_line(&rest, &line)) {
		if (line.n == 0)
			return true;
		out->headers = span_of(from, (size_t)(rest.p - from));
	}
	return false;
}

enum sniff_verdict sniff_http(struct sniff_result *out, struct span in)
{
	struct span line, rest = in, name, value;
	enum sniff_verdict v = method_of(in, &out->method);
	bool whole, host = false;

	if (v == SNIFF_FOUND && !take_line(&rest, &line))
		v = in.n > LINE_MAX ? SNIFF_NONE : SNIFF_MORE;
	else if (v == SNIFF_FOUND && !read_request_line(out, line))
		v = SNIFF_NONE;
	if (v != SNIFF_FOUND) {
		memset(out, 0, sizeof(*out));
		return v;
	}
	whole = collect_headers(out, rest);
	rest = out->headers;
	while (!host && sniff_header_next(&rest, &name, &value))
		host = same_word(name, "host");
	if (host)
		sniff_set_domain(out, without_port(value));
	out->proto = SNIFF_HTTP1;
	return host || whole ? SNIFF_FOUND : SNIFF_MORE;
}
