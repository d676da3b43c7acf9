#include "route/ruletext.h"

#include <stdio.h>

#include "base/err.h"

static bool cut_prefix(struct span *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (s->n < n || memcmp(s->p, prefix, n) != 0)
		return false;
	*s = span_of(s->p + n, s->n - n);
	return true;
}

/* @s becomes what stands before the first @sep, @rest what follows; false without one. */
static bool split(struct span *s, char sep, struct span *rest)
{
	const uint8_t *at = s->n ? memchr(s->p, sep, s->n) : NULL;

	if (!at)
		return false;
	*rest = span_of(at + 1, s->n - (size_t)(at + 1 - s->p));
	s->n = (size_t)(at - s->p);
	return true;
}

static struct span trim(struct span s)
{
	static const char blank[] = " \t\r\n\v\f";

	while (s.n && memchr(blank, s.p[0], sizeof(blank) - 1))
		s = span_of(s.p + 1, s.n - 1);
	while (s.n && memchr(blank, s.p[s.n - 1], sizeof(blank) - 1))
		s.n--;
	return s;
}

static bool cut_inverse(struct span *s)
{
	bool inverse = false;

	while (cut_prefix(s, "!"))
		inverse = !inverse;
	return inverse;
}

static int refuse(char *why, const char *text)
{
	snprintf(why, ROUTE_WHY_MAX, "%s", text);
	return -ERR_MALFORMED;
}

/* "FILE:CODE"; @code gets everything after the first colon. */
static int parse_listed(struct span text, struct span *file, struct span *code, char *why)
{
	if (!split(&text, ':', code))
		return refuse(why, "syntax error");
	if (text.n == 0)
		return refuse(why, "empty file");
	*file = text;
	return 0;
}

/* Decimal digits only; leading zeros are allowed. */
static bool parse_number(struct span s, uint32_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (s.p[i] - '0');
		if (v > UINT32_MAX)
			return false;
	}
	*out = (uint32_t)v;
	return true;
}

static void clear_host_bits(struct prefix *p)
{
	for (size_t i = 0; i < sizeof(p->ip.b); i++) {
		unsigned kept = p->len > 8 * i ? p->len - 8 * (unsigned)i : 0;

		if (kept < 8)
			p->ip.b[i] &= (uint8_t)(0xff00 >> kept);
	}
}

static int parse_prefix(struct prefix *out, struct span text, char *why)
{
	struct span len = {NULL, 0};
	struct prefix p;
	uint32_t bits, max;

	split(&text, '/', &len);
	if (ip_parse(&p.ip, trim(text)) != 0)
		return refuse(why, "unsupported address family");
	bits = max = p.ip.family == 4 ? 32 : 128;
	if (len.n && !parse_number(len, &bits)) {
		snprintf(why, ROUTE_WHY_MAX, "invalid CIDR prefix length: %.*s",
			 (int)(len.n < 100 ? len.n : 100), (const char *)len.p);
		return -ERR_MALFORMED;
	}
	if (bits > max) {
		snprintf(why, ROUTE_WHY_MAX, "CIDR prefix length %u exceeds max %u", bits, max);
		return -ERR_MALFORMED;
	}
	p.len = (uint8_t)bits;
	clear_host_bits(&p);
	*out = p;
	return 0;
}

int iprule_parse(struct iprule *out, struct span text, char why[ROUTE_WHY_MAX])
{
	struct iprule r = {0};
	int err;

	r.inverse = cut_inverse(&text);
	if (cut_prefix(&text, "geoip:")) {
		r.listed = true;
		r.file = span_str("geoip.dat");
		r.code = text;
	} else if (cut_prefix(&text, "ext:") || cut_prefix(&text, "ext-ip:")) {
		r.listed = true;
		err = parse_listed(text, &r.file, &r.code, why);
		if (err)
			return err;
	} else {
		err = parse_prefix(&r.prefix, text, why);
		if (err)
			return err;
	}
	if (r.listed) {
		r.inverse ^= cut_inverse(&r.code);
		if (r.code.n == 0)
			return refuse(why, "empty code");
	}
	*out = r;
	return 0;
}

static bool attrs_ok(struct span code)
{
	for (size_t i = 0; i < code.n; i++)
		if (code.p[i] == '@' && (i + 1 == code.n || code.p[i + 1] == '@'))
			return false;
	return true;
}

static int parse_site(struct domrule *r, char *why)
{
	if (!attrs_ok(r->code))
		return refuse(why, "empty attr");
	split(&r->code, '@', &r->attrs);
	if (r->code.n == 0)
		return refuse(why, "empty code");
	return 0;
}

static int parse_pattern(struct domrule *r, enum domset_kind plain, char *why)
{
	static const struct {
		const char *prefix;
		enum domset_kind kind;
	} forms[] = {
		{"regexp:", DOMSET_REGEXP},   {"domain:", DOMSET_DOMAIN},   {"full:", DOMSET_FULL},
		{"keyword:", DOMSET_KEYWORD}, {"dotless:", DOMSET_DOTLESS},
	};

	r->kind = plain;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (cut_prefix(&r->text, forms[i].prefix)) {
			r->kind = forms[i].kind;
			break;
		}
	}
	if (r->text.n == 0 && r->kind != DOMSET_DOTLESS && r->kind != DOMSET_REGEXP)
		return refuse(why, "empty pattern");
	if (r->kind == DOMSET_DOTLESS && r->text.n && memchr(r->text.p, '.', r->text.n))
		return refuse(why, "substr in dotless rule should not contain a dot");
	return 0;
}

int domrule_parse(struct domrule *out, struct span text, enum domset_kind plain,
		  char why[ROUTE_WHY_MAX])
{
	struct domrule r = {.text = text};
	int err = 0;

	if (cut_prefix(&r.text, "geosite:")) {
		r.listed = true;
		r.file = span_str("geosite.dat");
		r.code = r.text;
	} else if (cut_prefix(&r.text, "ext:") || cut_prefix(&r.text, "ext-domain:") ||
		   cut_prefix(&r.text, "ext-site:")) {
		r.listed = true;
		err = parse_listed(r.text, &r.file, &r.code, why);
	}
	if (!err)
		err = r.listed ? parse_site(&r, why) : parse_pattern(&r, plain, why);
	if (!err)
		*out = r;
	return err;
}

bool domrule_next_attr(struct span *attrs, struct span *attr)
{
	struct span rest = {NULL, 0};

	if (attrs->n == 0)
		return false;
	*attr = *attrs;
	split(attr, '@', &rest);
	*attrs = rest;
	return true;
}
