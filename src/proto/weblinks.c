#include "proto/weblinks.h"

static struct span behind(struct span s, size_t n)
{
	return span_of(s.p + n, s.n - n);
}

static bool starts(struct span s, struct span with)
{
	return s.n >= with.n && (with.n == 0 || memcmp(s.p, with.p, with.n) == 0);
}

/* The path in the value of a link, without a fragment; empty when it leads elsewhere. */
static struct span own_path(struct span v, const char *host)
{
	const struct span scheme = span_str("https://"), name = span_str(host);
	const struct span none = {NULL, 0};
	size_t n = 0;

	if (starts(v, scheme) && starts(behind(v, scheme.n), name))
		v = behind(v, scheme.n + name.n);
	if (v.n == 0 || v.p[0] != '/' || (v.n > 1 && v.p[1] == '/'))
		return none;
	for (; n < v.n && v.p[n] != '#'; n++)
		if (n == WEBLINK_MAX || v.p[n] <= ' ' || v.p[n] > '~' || strchr(".<>'&\\", v.p[n]))
			return none;
	return span_of(v.p, n);
}

bool weblink_next(struct span *html, const char *host, struct span *path)
{
	static const char mark[] = "href=\"";
	const size_t len = sizeof(mark) - 1;

	while (html->n > len) {
		const uint8_t *at = memmem(html->p, html->n, mark, len), *end;
		struct span value;

		if (!at)
			break;
		value = behind(*html, (size_t)(at - html->p) + len);
		end = value.n ? memchr(value.p, '"', value.n) : NULL;
		if (!end)
			break;
		*html = behind(value, (size_t)(end - value.p));
		*path = own_path(span_of(value.p, (size_t)(end - value.p)), host);
		if (path->n > 0)
			return true;
	}
	*html = span_of(html->p, 0);
	return false;
}
