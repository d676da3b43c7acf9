/*
 * route: the compiled sets against references that are too simple to be wrong,
 * on random input that is made to hit often.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/err.h"
#include "route/acauto.h"
#include "route/bigram.h"
#include "route/domset.h"
#include "route/ipset.h"
#include "route/regex.h"
#include "route/strtab.h"

static uint64_t rnd_state = 0x243f6a8885a308d3;

static uint32_t rnd(uint32_t n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)(rnd_state >> 32) % n;
}

/* Few distinct letters and labels, so that random words meet each other. */
static size_t rnd_name(char *out, size_t cap)
{
	static const char letters[] = "aab-1..B_x";
	size_t n = 1 + rnd((uint32_t)cap - 1);

	for (size_t i = 0; i < n; i++)
		out[i] = letters[rnd(sizeof(letters) - 1)];
	out[n] = '\0';
	return n;
}

static void low(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s + 'a' - 'A');
}

static void a_table_finds_what_was_put_in(void **state)
{
	static uint32_t lowest[20000];
	struct strtab t = {0};
	char key[16];

	(void)state;
	memset(lowest, 0xff, sizeof(lowest));
	for (int i = 0; i < 60000; i++) {
		uint32_t k = rnd(20000), v = rnd(1000);
		int n = snprintf(key, sizeof(key), "k%u", k);

		lowest[k] = v < lowest[k] ? v : lowest[k];
		assert_int_equal(strtab_put(&t, span_of(key, (size_t)n), v), lowest[k]);
	}
	for (int sealed = 0; sealed < 2; sealed++) {
		for (uint32_t k = 0; k < 25000; k++) {
			int n = snprintf(key, sizeof(key), "k%u", k);
			struct span s = span_of(key, (size_t)n);
			int want =
				k < 20000 && lowest[k] != UINT32_MAX ? (int)lowest[k] : STRTAB_NONE;

			assert_int_equal(strtab_find(&t, s, strtab_hash(s)), want);
		}
		assert_int_equal(strtab_seal(&t), 0);
	}
	strtab_fini(&t);
}

static void a_table_knows_its_bounds(void **state)
{
	struct strtab t = {0};
	uint8_t key[STRTAB_KEY_MAX + 1] = {0};
	struct span empty = span_of(key, 0), longest = span_of(key, STRTAB_KEY_MAX);

	(void)state;
	assert_int_equal(strtab_find(&t, empty, strtab_hash(empty)), STRTAB_NONE);
	assert_int_equal(strtab_seal(&t), 0);
	assert_int_equal(strtab_put(&t, span_of(key, sizeof(key)), 0), -ERR_LIMIT);
	assert_int_equal(strtab_put(&t, empty, STRTAB_VALUE_MAX + 1), -ERR_LIMIT);
	assert_int_equal(strtab_put(&t, empty, STRTAB_VALUE_MAX), STRTAB_VALUE_MAX);
	assert_int_equal(strtab_put(&t, longest, 7), 7);
	assert_int_equal(strtab_find(&t, empty, strtab_hash(empty)), STRTAB_VALUE_MAX);
	assert_int_equal(strtab_find(&t, longest, strtab_hash(longest)), 7);
	strtab_fini(&t);
}

static struct prefix prefix_of(const char *text)
{
	struct prefix p;

	assert_int_equal(prefix_parse(&p, span_str(text)), 0);
	return p;
}

static struct ip ip_of(const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(&ip, span_str(text)), 0);
	return ip;
}

static struct ipset *ipset_of(const char *const *v)
{
	struct ipset *s = ipset_new();

	for (; *v; v++) {
		struct prefix p = prefix_of(*v);

		assert_int_equal(ipset_add(s, &p), 0);
	}
	assert_int_equal(ipset_seal(s), 0);
	return s;
}

static bool has(const struct ipset *s, const char *text)
{
	struct ip ip = ip_of(text);

	return ipset_has(s, &ip);
}

static void addresses_at_the_edges(void **state)
{
	static const char *const all[] = {"0.0.0.0/0", "10.0.0.0/8", NULL};
	static const char *const ends[] = {"0.0.0.0", "255.255.255.255", "::", NULL};
	static const char *const some[] = {"10.0.0.0/9",    "10.128.0.0/9", "11.0.0.0/8",
					   "2001:db8::/33", "ff00::/8",	    NULL};
	struct ipset *s = ipset_of(all);

	(void)state;
	assert_true(has(s, "0.0.0.0"));
	assert_true(has(s, "255.255.255.255"));
	assert_false(has(s, "::"));
	assert_false(ipset_has_family(s, 6));
	ipset_free(s);

	s = ipset_of(ends);
	assert_true(has(s, "0.0.0.0"));
	assert_false(has(s, "0.0.0.1"));
	assert_false(has(s, "255.255.255.254"));
	assert_true(has(s, "255.255.255.255"));
	assert_true(has(s, "::"));
	assert_false(has(s, "::1"));
	ipset_free(s);

	s = ipset_of(some);
	assert_false(has(s, "9.255.255.255"));
	assert_true(has(s, "10.0.0.0"));
	assert_true(has(s, "11.255.255.255"));
	assert_false(has(s, "12.0.0.0"));
	assert_true(has(s, "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"));
	assert_false(has(s, "2001:db8:8000::"));
	assert_true(has(s, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	ipset_free(s);

	s = ipset_of((const char *const[]){NULL});
	assert_false(has(s, "1.2.3.4"));
	assert_false(ipset_has_family(s, 4));
	ipset_free(s);
}

/* Near the prefixes made before, so that ranges touch, nest and overlap. */
static struct prefix rnd_prefix(uint8_t family, const struct prefix *old, size_t n)
{
	struct prefix p = {.ip.family = family};
	size_t bytes = family == 4 ? 4 : 16;

	if (n > 0 && rnd(3) > 0) {
		p = old[rnd((uint32_t)n)];
		p.ip.b[rnd((uint32_t)bytes)] ^= (uint8_t)(1 << rnd(8));
	} else {
		for (size_t i = 0; i < bytes; i++)
			p.ip.b[i] = (uint8_t)rnd(256);
	}
	p.len = (uint8_t)rnd(family == 4 ? 33 : 129);
	if (p.len < 6)
		p.len = family == 4 ? 32 : 128;
	return p;
}

static void check_set(uint8_t family, size_t n, int queries)
{
	struct prefix *p = calloc(n, sizeof(*p));
	struct ipset *s = ipset_new();

	for (size_t i = 0; i < n; i++) {
		char text[64], all[80];

		p[i] = rnd_prefix(family, p, i);
		ip_text(&p[i].ip, text, sizeof(text));
		snprintf(all, sizeof(all), "%s/%u", text, p[i].len);
		assert_int_equal(ipset_add(s, &p[i]), 0);
		p[i] = prefix_of(all);
	}
	assert_int_equal(ipset_seal(s), 0);
	for (int q = 0; q < queries; q++) {
		struct ip ip = rnd_prefix(family, p, n).ip;
		bool want = false;

		for (size_t i = 0; i < n && !want; i++)
			want = prefix_has(&p[i], &ip);
		assert_int_equal(ipset_has(s, &ip), want);
	}
	ipset_free(s);
	free(p);
}

static void sets_of_prefixes_agree_with_a_list(void **state)
{
	(void)state;
	for (int round = 0; round < 200; round++) {
		check_set(4, 1 + rnd(60), 300);
		check_set(6, 1 + rnd(60), 300);
	}
	check_set(4, 20000, 2000);
	check_set(6, 20000, 2000);
}

static void words_agree_with_strstr(void **state)
{
	(void)state;
	for (int round = 0; round < 400; round++) {
		char word[40][9], text[40];
		uint32_t value[40], n = 1 + rnd(40);
		struct acauto *a = acauto_new();

		for (uint32_t i = 0; i < n; i++) {
			rnd_name(word[i], 1 + rnd(8) + 1);
			low(word[i]);
			value[i] = rnd(5);
			assert_int_equal(acauto_add(a, span_str(word[i]), value[i]), 0);
		}
		assert_int_equal(acauto_seal(a), 0);
		for (int q = 0; q < 250; q++) {
			uint32_t want = ACAUTO_NONE, below = rnd(6);

			rnd_name(text, sizeof(text));
			low(text);
			for (uint32_t i = 0; i < n; i++)
				if (strstr(text, word[i]) && value[i] < want)
					want = value[i];
			assert_int_equal(acauto_find(a, span_str(text), ACAUTO_NONE), want);
			want = want < below ? want : ACAUTO_NONE;
			assert_int_equal(acauto_find(a, span_str(text), below), want);
		}
		acauto_free(a);
	}
}

static void what_no_name_contains_is_never_found(void **state)
{
	struct acauto *a = acauto_new();

	(void)state;
	assert_int_equal(acauto_add(a, span_str("a b"), 0), 0);
	assert_int_equal(acauto_add(a, span_str("cd"), 1), 0);
	assert_int_equal(acauto_seal(a), 0);
	assert_int_equal(acauto_find(a, span_str("a b"), ACAUTO_NONE), ACAUTO_NONE);
	assert_int_equal(acauto_find(a, span_str("c d"), ACAUTO_NONE), ACAUTO_NONE);
	assert_int_equal(acauto_find(a, span_str("c cd"), ACAUTO_NONE), 1);
	assert_int_equal(acauto_find(a, span_str(""), ACAUTO_NONE), ACAUTO_NONE);
	acauto_free(a);
}

static void expressions(void **state)
{
	struct regex *r = regex_new();
	char why[ROUTE_WHY_MAX] = "";
	struct span found;

	(void)state;
	assert_true(regex_empty(r));
	assert_false(regex_has(r, span_str("")));
	assert_int_equal(regex_add(r, span_str("^\\d+\\.example\\.(com|net)$"), 1, why), 0);
	assert_int_equal(regex_add(r, span_str("(?i)SHOP"), 2, why), 0);
	assert_int_equal(regex_add(r, span_str("a(b"), 3, why), -ERR_MALFORMED);
	assert_non_null(strstr(why, "at offset 3"));
	assert_int_equal(regex_find(r, span_str("12.example.net"), REGEX_NONE), 1);
	assert_int_equal(regex_find(r, span_str("12.example.net\n"), REGEX_NONE), REGEX_NONE);
	assert_int_equal(regex_find(r, span_str("1.shop.example.net"), REGEX_NONE), 2);
	assert_int_equal(regex_find(r, span_str("1.shop.example.net"), 2), REGEX_NONE);
	assert_int_equal(regex_find(r, span_of("\xff\xfeshop", 6), REGEX_NONE), 2);
	found = regex_search(r, span_str("a shop b"));
	assert_true(span_eq(found, span_str("shop")));
	found = regex_search(r, span_str("none"));
	assert_null(found.p);
	assert_true(regex_memory(r) > 0);
	regex_free(r);
}

static void a_runaway_expression_is_stopped(void **state)
{
	struct regex *r = regex_new();
	char why[ROUTE_WHY_MAX], text[61];

	(void)state;
	memset(text, 'a', 60);
	text[59] = '!';
	text[60] = '\0';
	assert_int_equal(regex_add(r, span_str("^(a+)+$"), 0, why), 0);
	assert_int_equal(regex_limits(r), 0);
	assert_false(regex_has(r, span_str(text)));
	assert_true(regex_limits(r) > 0);
	regex_free(r);
}

/* What a random expression may consist of, and texts that such expressions match at times. */
static void rnd_regexp(char *out, size_t cap)
{
	static const char *const parts[] = {
		"a",	"b",	 "ab",	    "ba",      "aab",	 "\\.",	     ".",
		"[ab]", "[^]b]", "(a|b)",   "(?:ab)",  "(ab)",	 "^",	     "$",
		"a*",	"b+",	 "a?",	    "b{2}",    "a{0,2}", "(a)*",     "\\w",
		"\\d?", "|",	 "[\\]a]",  "(a[)]b)", "b+?",	 "a{,1}",    "(?i)",
		"a{b",	"\\x61", "(\\(|a)", "\\bab",   "a{1",	 "\\Qa|\\E", "\\-",
	};
	size_t n = 1 + rnd(6), len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n && len + 8 < cap; i++)
		len += (size_t)snprintf(out + len, cap - len, "%s",
					parts[rnd(sizeof(parts) / sizeof(parts[0]))]);
}

static bool match_directly(const pcre2_code *code, const char *text)
{
	pcre2_match_data *md = pcre2_match_data_create(1, NULL);
	int rc = pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, 0, md, NULL);

	pcre2_match_data_free(md);
	return rc >= 0;
}

/* The quick test in front of an expression may only ever spare a match that would fail. */
static void the_quick_test_loses_no_match(void **state)
{
	int matched = 0, spared = 0;

	(void)state;
	for (int i = 0; i < 60000; i++) {
		struct regex *r = regex_new();
		char pattern[64], text[12], why[ROUTE_WHY_MAX];
		struct bigrams need, have;
		pcre2_code *code;
		PCRE2_SIZE at;
		int err;

		rnd_regexp(pattern, sizeof(pattern));
		code = pcre2_compile((PCRE2_SPTR)pattern, strlen(pattern),
				     PCRE2_UTF | PCRE2_DOLLAR_ENDONLY, &err, &at, NULL);
		assert_int_equal(regex_add(r, span_str(pattern), 0, why) == 0, code != NULL);
		bigrams_of_regexp(&need, span_str(pattern));
		for (int q = 0; code && q < 6; q++) {
			bool want;

			rnd_name(text, 2 + rnd(9));
			low(text);
			want = match_directly(code, text);
			if (regex_has(r, span_str(text)) != want)
				fail_msg("%s and %s, expected %d", pattern, text, want);
			bigrams_of_text(&have, span_str(text));
			matched += want;
			spared += !bigrams_within(&need, &have);
		}
		pcre2_code_free(code);
		regex_free(r);
	}
	assert_in_range(matched, 20000, 340000);
	assert_in_range(spared, 20000, 340000);
}

struct pattern {
	enum domset_kind kind;
	char text[16];
	uint32_t value;
};

static bool naive_match(const struct pattern *p, const char *name)
{
	size_t n = strlen(name), m = strlen(p->text);

	switch (p->kind) {
	case DOMSET_KEYWORD:
		return strstr(name, p->text) != NULL;
	case DOMSET_FULL:
		return strcmp(name, p->text) == 0;
	case DOMSET_DOMAIN:
		return n >= m && strcmp(name + n - m, p->text) == 0 &&
		       (n == m || name[n - m - 1] == '.');
	case DOMSET_DOTLESS:
		return !strchr(name, '.') && strstr(name, p->text) != NULL;
	case DOMSET_REGEXP: /* the test makes only "^text" */
		return strncmp(name, p->text + 1, m - 1) == 0;
	}
	return false;
}

static void rnd_pattern(struct pattern *p, uint32_t value)
{
	p->kind = (enum domset_kind)rnd(5);
	p->value = value;
	rnd_name(p->text, 2 + rnd(11));
	if (p->kind == DOMSET_DOTLESS)
		p->text[strcspn(p->text, ".")] = '\0';
	if (p->kind == DOMSET_REGEXP) {
		size_t n;

		low(p->text);
		n = strcspn(p->text, ".");
		p->text[n] = '\0'; /* a dot would match any letter */
		memmove(p->text + 1, p->text, n + 1);
		p->text[0] = '^';
	}
}

static void names_agree_with_a_list_of_patterns(void **state)
{
	char why[ROUTE_WHY_MAX];

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct pattern p[40];
		uint32_t n = 1 + rnd(40);
		struct domset *s = domset_new();

		for (uint32_t i = 0; i < n; i++) {
			rnd_pattern(&p[i], round % 2 ? i : 0);
			assert_int_equal(
				domset_add(s, p[i].kind, span_str(p[i].text), p[i].value, why), 0);
			low(p[i].text);
		}
		assert_int_equal(domset_seal(s), 0);
		for (int q = 0; q < 400; q++) {
			uint32_t want = DOMSET_NONE;
			char name[24];
			struct domkey k;

			rnd_name(name, sizeof(name));
			assert_true(domkey_init(&k, span_str(name)));
			low(name);
			for (uint32_t i = 0; i < n; i++)
				if (naive_match(&p[i], name) && p[i].value < want)
					want = p[i].value;
			assert_int_equal(domset_find(s, &k), want);
		}
		domset_free(s);
	}
}

static bool matches(const struct domset *s, const char *name)
{
	struct domkey k;

	assert_true(domkey_init(&k, span_str(name)));
	return domset_has(s, &k);
}

static struct domset *domset_one(enum domset_kind kind, const char *text)
{
	char why[ROUTE_WHY_MAX];
	struct domset *s = domset_new();

	assert_int_equal(domset_add(s, kind, span_str(text), 0, why), 0);
	assert_int_equal(domset_seal(s), 0);
	return s;
}

static void kinds_of_patterns(void **state)
{
	struct domset *s = domset_one(DOMSET_DOMAIN, "Example.ORG");

	(void)state;
	assert_true(matches(s, "example.org"));
	assert_true(matches(s, "WWW.EXAMPLE.org"));
	assert_false(matches(s, "badexample.org"));
	assert_false(matches(s, "example.org."));
	domset_free(s);

	s = domset_one(DOMSET_FULL, "example.org");
	assert_true(matches(s, "Example.org"));
	assert_false(matches(s, "www.example.org"));
	domset_free(s);

	s = domset_one(DOMSET_DOTLESS, "");
	assert_true(matches(s, "nas"));
	assert_false(matches(s, "nas.home"));
	domset_free(s);

	s = domset_one(DOMSET_DOTLESS, "Print");
	assert_true(matches(s, "printer"));
	assert_false(matches(s, "scanner"));
	assert_false(matches(s, "printer.home"));
	domset_free(s);

	s = domset_one(DOMSET_REGEXP, "Example"); /* applied to the lower-cased name */
	assert_false(matches(s, "Example.org"));
	domset_free(s);
}

static void patterns_refused(void **state)
{
	struct domset *s = domset_new();
	char why[ROUTE_WHY_MAX], name[ADDR_NAME_MAX + 2];
	struct domkey k;

	(void)state;
	memset(name, 'a', sizeof(name));
	assert_int_equal(domset_add(s, DOMSET_KEYWORD, span_str(""), 0, why), -ERR_MALFORMED);
	assert_int_equal(domset_add(s, DOMSET_FULL, span_str(""), 0, why), -ERR_MALFORMED);
	assert_int_equal(domset_add(s, DOMSET_DOTLESS, span_str("a.b"), 0, why), -ERR_MALFORMED);
	assert_string_equal(why, "substr in dotless rule should not contain a dot");
	assert_int_equal(domset_add(s, DOMSET_REGEXP, span_str("*"), 0, why), -ERR_MALFORMED);
	for (int kind = DOMSET_DOMAIN; kind <= DOMSET_DOTLESS; kind++)
		assert_int_equal(domset_add(s, (enum domset_kind)kind,
					    span_of(name, ADDR_NAME_MAX + 1), 0, why),
				 0);
	assert_int_equal(domset_add(s, DOMSET_FULL, span_of(name, ADDR_NAME_MAX), 0, why), 0);
	assert_int_equal(domset_seal(s), 0);
	assert_false(domkey_init(&k, span_str("")));
	assert_false(domkey_init(&k, span_of(name, ADDR_NAME_MAX + 1)));
	assert_true(domkey_init(&k, span_of(name, ADDR_NAME_MAX)));
	assert_true(domset_has(s, &k));
	memset(name, '.', sizeof(name));
	assert_true(domkey_init(&k, span_of(name, ADDR_NAME_MAX)));
	assert_int_equal(k.n_suffixes, ADDR_NAME_MAX - 1);
	assert_false(domset_has(s, &k));
	domset_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_finds_what_was_put_in),
		cmocka_unit_test(a_table_knows_its_bounds),
		cmocka_unit_test(addresses_at_the_edges),
		cmocka_unit_test(sets_of_prefixes_agree_with_a_list),
		cmocka_unit_test(words_agree_with_strstr),
		cmocka_unit_test(what_no_name_contains_is_never_found),
		cmocka_unit_test(expressions),
		cmocka_unit_test(a_runaway_expression_is_stopped),
		cmocka_unit_test(the_quick_test_loses_no_match),
		cmocka_unit_test(names_agree_with_a_list_of_patterns),
		cmocka_unit_test(kinds_of_patterns),
		cmocka_unit_test(patterns_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
