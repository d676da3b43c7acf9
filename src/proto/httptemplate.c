#include "proto/httptemplate.h"

#include <stdio.h>

#include "base/err.h"

static struct span cut(struct span s, size_t n)
{
	return span_of(s.p + n, s.n - n);
}

static bool take(struct span *s, const char *word)
{
	struct span w = span_str(word);

	if (s->n < w.n || memcmp(s->p, w.p, w.n) != 0)
		return false;
	*s = cut(*s, w.n);
	return true;
}

/* Where @mark begins in @s, or s.n. */
static size_t find(struct span s, const char *mark)
{
	for (size_t i = 0; i + 1 < s.n; i++)
		if (s.p[i] == mark[0] && s.p[i + 1] == mark[1])
			return i;
	return s.n;
}

bool httptemplate_is(struct span text)
{
	return find(text, "{{") < text.n;
}

static struct span trim(struct span s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = cut(s, 1);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static void put(struct wr *out, const char *text)
{
	wr_bytes(out, text, strlen(text));
}

static void put_host(struct wr *out, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];
	bool v6 = a->kind == ADDR_IP && a->ip.family == 6;

	if (a->kind == ADDR_IP)
		ip_text(&a->ip, text, sizeof(text));
	put(out, v6 ? "[" : "");
	put(out, a->kind == ADDR_IP ? text : a->kind == ADDR_NAME ? a->name : "");
	put(out, v6 ? "]" : "");
}

static void put_port(struct wr *out, const struct addr *a)
{
	char text[8];

	snprintf(text, sizeof(text), "%u", a->port);
	put(out, text);
}

static void put_both(struct wr *out, const struct addr *a)
{
	if (a->kind == ADDR_NONE)
		return;
	put_host(out, a);
	put(out, ":");
	put_port(out, a);
}

static int put_part(struct wr *out, struct span part, const struct addr *a, bool udp)
{
	if (part.n == 0) {
		put(out, a->kind == ADDR_NONE ? "unknown:" : udp ? "udp:" : "tcp:");
		put_both(out, a);
	} else if (span_eq(part, span_str(".Network"))) {
		put(out, a->kind == ADDR_NONE ? "Unknown" : udp ? "UDP" : "TCP");
	} else if (span_eq(part, span_str(".Address"))) {
		put_host(out, a);
	} else if (span_eq(part, span_str(".Port"))) {
		put_port(out, a);
	} else if (span_eq(part, span_str(".NetAddr"))) {
		put_both(out, a);
	} else {
		return -ERR_MALFORMED;
	}
	return 0;
}

int httptemplate_fill(struct wr *out, struct span text, const struct httptemplate *t)
{
	int err = 0;

	while (text.n && !err) {
		size_t plain = find(text, "{{"), len;
		struct span action;

		wr_bytes(out, text.p, plain);
		text = cut(text, plain);
		if (text.n == 0)
			break;
		text = cut(text, 2);
		len = find(text, "}}");
		if (len == text.n)
			return -ERR_MALFORMED;
		action = trim(span_of(text.p, len));
		text = cut(text, len + 2);
		if (take(&action, ".Source"))
			err = put_part(out, action, &t->source, t->udp);
		else if (take(&action, ".Target"))
			err = put_part(out, action, &t->target, t->udp);
		else
			err = -ERR_MALFORMED;
	}
	return err ? err : out->bad ? -ERR_LIMIT : 0;
}
