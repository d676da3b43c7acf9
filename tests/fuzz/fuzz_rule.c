/*
 * What is written in IP and domain conditions: the first byte chooses, the first
 * line is an address or a name, each further line a condition. Invariants: what
 * is understood means the same when it is written out again, the compiled sets
 * agree with the conditions asked one by one, and expressions with PCRE2 asked
 * directly.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "route/domset.h"
#include "route/ipset.h"
#include "route/ruletext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES_MAX = 64 };

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool next_line(struct span *rest, struct span *line)
{
	const uint8_t *nl = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;

	if (rest->n == 0)
		return false;
	*line = span_of(rest->p, nl ? (size_t)(nl - rest->p) : rest->n);
	*rest = nl ? span_of(nl + 1, rest->n - line->n - 1) : span_of(NULL, 0);
	return true;
}

static void same_prefix_again(const struct iprule *r)
{
	char text[64], full[80], why[ROUTE_WHY_MAX];
	struct iprule again;

	snprintf(full, sizeof(full), "%s%s/%u", r->inverse ? "!" : "",
		 ip_text(&r->prefix.ip, text, sizeof(text)), r->prefix.len);
	must(iprule_parse(&again, span_str(full), why) == 0);
	must(again.inverse == r->inverse && !again.listed);
	must(again.prefix.len == r->prefix.len && ip_eq(&again.prefix.ip, &r->prefix.ip));
}

static void fuzz_ips(struct span rest, struct span first)
{
	struct ipset *s = ipset_new();
	char why[ROUTE_WHY_MAX];
	struct span line;
	bool want = false;
	struct ip ip;
	int n = 0;

	if (ip_parse(&ip, first) != 0)
		ip = ip_v4((const uint8_t[]){10, 0, 0, 1});
	while (n++ < LINES_MAX && next_line(&rest, &line)) {
		struct iprule r;

		if (iprule_parse(&r, line, why) != 0)
			continue;
		if (r.listed) {
			must(r.file.n > 0 && r.code.n > 0 && r.code.p[0] != '!');
			continue;
		}
		same_prefix_again(&r);
		must(ipset_add(s, &r.prefix) == 0);
		want |= prefix_has(&r.prefix, &ip);
	}
	must(ipset_seal(s) == 0);
	must(ipset_has(s, &ip) == want);
	ipset_free(s);
}

static bool naive(const struct domrule *r, const struct domkey *k)
{
	char text[ADDR_NAME_MAX + 1];
	size_t m = r->text.n;

	if (m > ADDR_NAME_MAX || (m && memchr(r->text.p, 0, m)))
		return false;
	for (size_t i = 0; i < m; i++)
		text[i] = (char)(r->text.p[i] >= 'A' && r->text.p[i] <= 'Z' ? r->text.p[i] + 32
									    : r->text.p[i]);
	text[m] = '\0';
	switch (r->kind) {
	case DOMSET_FULL:
		return strcmp(k->name, text) == 0;
	case DOMSET_DOMAIN:
		return k->len >= m && strcmp(k->name + k->len - m, text) == 0 &&
		       (k->len == m || k->name[k->len - m - 1] == '.');
	case DOMSET_DOTLESS:
		if (strchr(k->name, '.'))
			return false;
		return strstr(k->name, text) != NULL;
	default:
		return strstr(k->name, text) != NULL;
	}
}

/* 1 or 0; -1 when PCRE2 gave up. */
static int match_directly(const pcre2_code *code, struct span text)
{
	pcre2_match_context *limit = pcre2_match_context_create(NULL);
	pcre2_match_data *md = pcre2_match_data_create(1, NULL);
	int rc;

	pcre2_set_match_limit(limit, 10000);
	rc = pcre2_match(code, text.p, text.n, 0, 0, md, limit);
	pcre2_match_data_free(md);
	pcre2_match_context_free(limit);
	return rc >= 0 ? 1 : rc == PCRE2_ERROR_NOMATCH ? 0 : -1;
}

static void fuzz_regexp(struct span pattern, struct span text)
{
	struct regex *r = regex_new();
	char why[ROUTE_WHY_MAX];
	pcre2_code *code;
	PCRE2_SIZE at;
	int err, want;

	code = pcre2_compile(pattern.n ? pattern.p : (PCRE2_SPTR) "", pattern.n,
			     PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &err, &at,
			     NULL);
	must((regex_add(r, pattern, 0, why) == 0) == (code != NULL));
	want = code ? match_directly(code, text) : 0;
	if (want >= 0 && regex_limits(r) == 0) {
		bool has = regex_has(r, text);

		must(has == want || regex_limits(r) > 0);
	}
	pcre2_code_free(code);
	regex_free(r);
}

static void fuzz_domains(struct span rest, struct span first, enum domset_kind plain)
{
	struct domset *s = domset_new();
	char why[ROUTE_WHY_MAX];
	struct span line;
	struct addr host;
	struct domkey k;
	bool want = false;
	int n = 0;

	if (addr_set_host(&host, first, 0) != 0 || host.kind != ADDR_NAME)
		must(addr_set_host(&host, span_str("www.example.org"), 0) == 0);
	must(domkey_init(&k, span_str(host.name)));
	while (n++ < LINES_MAX && next_line(&rest, &line)) {
		struct domrule r;
		struct span attr;

		if (domrule_parse(&r, line, plain, why) != 0)
			continue;
		if (r.listed) {
			must(r.file.n > 0 && r.code.n > 0);
			while (domrule_next_attr(&r.attrs, &attr))
				must(attr.n > 0);
			continue;
		}
		if (r.kind == DOMSET_REGEXP) {
			fuzz_regexp(r.text, domkey_name(&k));
			continue;
		}
		must(domset_add(s, r.kind, r.text, 0, why) == 0);
		want |= naive(&r, &k);
	}
	must(domset_seal(s) == 0);
	must(domset_has(s, &k) == want);
	domset_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest, first = {NULL, 0};

	if (size == 0)
		return 0;
	rest = span_of(data + 1, size - 1);
	next_line(&rest, &first);
	if (data[0] % 2)
		fuzz_ips(rest, first);
	else
		fuzz_domains(rest, first, data[0] % 4 ? DOMSET_FULL : DOMSET_KEYWORD);
	return 0;
}
