#include "route/lists.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "proto/geodat.h"
#include "route/ascii.h"
#include "route/geofile.h"
#include "route/ruletext.h"
#include "route/strtab.h"

/* A compiled list and what it was compiled from. One of @ips and @domains is set. */
struct known {
	char *key;
	size_t len;
	struct iprules *ips;
	struct domset *domains;
};

struct lists {
	struct geofiles *files;
	struct known *known;
	size_t n, cap;
};

struct lists *lists_new(void)
{
	struct lists *l = calloc(1, sizeof(*l));

	if (l)
		l->files = geofiles_new();
	if (l && l->files)
		return l;
	lists_free(l);
	return NULL;
}

void lists_free(struct lists *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++) {
		iprules_free(l->known[i].ips);
		domset_free(l->known[i].domains);
		free(l->known[i].key);
	}
	free(l->known);
	geofiles_free(l->files);
	free(l);
}

/* Length for "%.*s". */
static int clip(struct span s)
{
	return s.n < 100 ? (int)s.n : 100;
}

/* ---- lists that were compiled before ---- */

/* What the list says: its kind and all its texts, each with its NUL. */
static char *key_of(char kind, struct conf_strs rules, size_t *len)
{
	size_t n = 1, at = 1;
	char *key;

	for (size_t i = 0; i < rules.n; i++)
		n += strlen(rules.v[i]) + 1;
	key = malloc(n);
	if (!key)
		return NULL;
	key[0] = kind;
	for (size_t i = 0; i < rules.n; i++) {
		size_t k = strlen(rules.v[i]) + 1;

		memcpy(key + at, rules.v[i], k);
		at += k;
	}
	*len = n;
	return key;
}

static const struct known *find_known(const struct lists *l, const char *key, size_t len)
{
	for (size_t i = 0; key && i < l->n; i++)
		if (l->known[i].len == len && memcmp(l->known[i].key, key, len) == 0)
			return &l->known[i];
	return NULL;
}

/* Takes @key. Without memory the list is just not shared. */
static void remember(struct lists *l, char *key, size_t len, struct iprules *ips,
		     struct domset *domains)
{
	if (key && l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 8;
		struct known *known = realloc(l->known, cap * sizeof(*known));

		if (!known) {
			free(key);
			return;
		}
		l->known = known;
		l->cap = cap;
	}
	if (key)
		l->known[l->n++] = (struct known){
			.key = key,
			.len = len,
			.ips = ips ? iprules_ref(ips) : NULL,
			.domains = domains ? domset_ref(domains) : NULL,
		};
}

/* Only lists out of files are worth it. */
static bool names_a_file(struct conf_strs rules)
{
	for (size_t i = 0; i < rules.n; i++)
		if (strstr(rules.v[i], "geo") || strstr(rules.v[i], "ext"))
			return true;
	return false;
}

static void say_broken(char why[ROUTE_WHY_MAX], struct span file, struct span code, int err)
{
	snprintf(why, ROUTE_WHY_MAX, "failed to load code %.*s from %.*s > %s", clip(code),
		 (const char *)code.p, clip(file), (const char *)file.p, err_name(err));
}

/* ---- addresses ---- */

static int add_private(struct iprules *out, enum iprules_sort sort)
{
	size_t n;
	const struct prefix *p = ip_private_table(&n);
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = iprules_add(out, sort, &p[i]);
	return err;
}

/* geoip:private is the same table in every published file: no file is needed for it. */
static bool is_private(const struct iprule *r)
{
	return span_eq(r->file, span_str("geoip.dat")) && ascii_is(r->code, "private");
}

/* @file holds one list, as geofiles_list gives it. */
static int open_list(struct geodat_list *out, struct span file)
{
	struct rd r = rd_of(file);

	return geodat_next_list(&r, out) == 1 ? 0 : -ERR_MALFORMED;
}

static int add_listed_ips(struct lists *l, struct iprules *out, enum iprules_sort sort,
			  const struct iprule *r, char why[ROUTE_WHY_MAX])
{
	struct geodat_list list;
	struct prefix p;
	struct span file;
	int rc = geofiles_list(l->files, r->file, r->code, &file, why);

	if ((rc == -ERR_SYS || rc == -ERR_EOF) && is_private(r))
		return add_private(out, sort);
	if (rc)
		return rc;
	rc = open_list(&list, file);
	while (rc == 0 && (rc = geodat_next_prefix(&list, &p)) == 1)
		rc = p.ip.family ? iprules_add(out, sort, &p) : 0;
	if (rc)
		say_broken(why, r->file, r->code, rc);
	return rc;
}

static enum iprules_sort sort_of(const struct iprule *r)
{
	if (!r->inverse)
		return IPRULES_IN;
	return r->listed ? IPRULES_NOT_LISTED : IPRULES_NOT_PREFIX;
}

static void add_ip(struct lists *l, struct iprules *out, const char *text,
		   struct route_report *report)
{
	char why[ROUTE_WHY_MAX];
	struct iprule r;
	int err = iprule_parse(&r, span_str(text), why);

	if (!err && r.listed) {
		err = add_listed_ips(l, out, sort_of(&r), &r, why);
	} else if (!err) {
		err = iprules_add(out, sort_of(&r), &r.prefix);
		snprintf(why, sizeof(why), "%s", err_name(err));
	}
	if (err)
		report_error(report, "illegal ip rule: %.200s > %s", text, why);
}

struct iprules *lists_ips(struct lists *l, struct conf_strs rules, struct route_report *report)
{
	size_t before = report->errors, len = 0;
	char *key = names_a_file(rules) ? key_of('i', rules, &len) : NULL;
	const struct known *known = find_known(l, key, len);
	struct iprules *r;

	if (known) {
		free(key);
		return iprules_ref(known->ips);
	}
	r = iprules_new();
	for (size_t i = 0; r && i < rules.n; i++)
		add_ip(l, r, rules.v[i], report);
	if (r && report->errors == before && iprules_seal(r) == 0) {
		remember(l, key, len, r, NULL);
		return r;
	}
	if (report->errors == before)
		report_error(report, "out of memory");
	free(key);
	iprules_free(r);
	return NULL;
}

/* ---- names ---- */

static bool has_attrs(const struct geodat_domain *d, struct span attrs)
{
	struct span attr;

	while (domrule_next_attr(&attrs, &attr))
		if (!geodat_has_attribute(d, attr))
			return false;
	return true;
}

/* An entry that cannot be used is passed over, as Xray does: files come from elsewhere. */
static int add_site(struct domset *out, const struct domrule *r, const struct geodat_domain *d,
		    uint32_t value, struct route_report *report)
{
	static const enum domset_kind kinds[] = {
		[GEODAT_SUBSTRING] = DOMSET_KEYWORD,
		[GEODAT_REGEXP] = DOMSET_REGEXP,
		[GEODAT_DOMAIN] = DOMSET_DOMAIN,
		[GEODAT_FULL] = DOMSET_FULL,
	};
	char why[ROUTE_WHY_MAX];
	int err;

	if (d->value.n == 0 || !has_attrs(d, r->attrs))
		return 0;
	err = domset_add(out, kinds[d->type], d->value, value, why);
	if (err != -ERR_MALFORMED)
		return err;
	report_warning(report, "%.*s:%.*s: entry %.*s ignored > %s", clip(r->file),
		       (const char *)r->file.p, clip(r->code), (const char *)r->code.p,
		       clip(d->value), (const char *)d->value.p, why);
	return 0;
}

static int add_listed_domains(struct lists *l, struct domset *out, const struct domrule *r,
			      uint32_t value, struct route_report *report, char why[ROUTE_WHY_MAX])
{
	struct geodat_domain d;
	struct geodat_list list;
	struct span file;
	int rc = geofiles_list(l->files, r->file, r->code, &file, why);

	if (rc)
		return rc;
	rc = open_list(&list, file);
	while (rc == 0 && (rc = geodat_next_domain(&list, &d)) == 1)
		rc = add_site(out, r, &d, value, report);
	if (rc)
		say_broken(why, r->file, r->code, rc);
	return rc;
}

/* The same characters as addr_set_host lets through. */
static bool is_host_text(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = ascii_lower(s.p[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '-' &&
		    c != '_')
			return false;
	}
	return true;
}

void lists_add_domain(struct lists *l, struct domset *s, const char *rule, enum domset_kind plain,
		      uint32_t value, struct route_report *report)
{
	char why[ROUTE_WHY_MAX];
	struct domrule r;
	int err = domrule_parse(&r, span_str(rule), plain, why);

	if (!err && r.listed) {
		err = add_listed_domains(l, s, &r, value, report, why);
	} else if (!err) {
		snprintf(why, sizeof(why), "too many, or out of memory");
		err = domset_add(s, r.kind, r.text, value, why);
		if (!err && r.kind != DOMSET_REGEXP && !is_host_text(r.text))
			report_warning(report,
				       "%.200s can never match: no name has such characters", rule);
	}
	if (err)
		report_error(report, "illegal domain rule: %.200s > %s", rule, why);
}

struct domset *lists_domains(struct lists *l, struct conf_strs rules, enum domset_kind plain,
			     struct route_report *report)
{
	size_t before = report->errors, len = 0;
	char *key = names_a_file(rules) ? key_of((char)('A' + plain), rules, &len) : NULL;
	const struct known *known = find_known(l, key, len);
	struct domset *s;

	if (known) {
		free(key);
		return domset_ref(known->domains);
	}
	s = domset_new();
	for (size_t i = 0; s && i < rules.n; i++)
		lists_add_domain(l, s, rules.v[i], plain, 0, report);
	if (s && report->errors == before && domset_seal(s) == 0) {
		remember(l, key, len, NULL, s);
		return s;
	}
	if (report->errors == before)
		report_error(report, "out of memory");
	free(key);
	domset_free(s);
	return NULL;
}
