#include "route/rule_lists.h"

#include <stdlib.h>

#include "route/domset.h"
#include "route/iprules.h"

struct rule_lists {
	size_t n;
	bool bad;
	struct {
		struct domset *names; /* at most one of the two */
		struct iprules *ips;
	} v[];
};

struct rule_lists *rule_lists_new(size_t n)
{
	struct rule_lists *r = calloc(1, sizeof(*r) + n * sizeof(r->v[0]));

	return r;
}

void rule_lists_add_names(struct rule_lists *r, const struct conf_at *at, struct conf_strs names,
			  struct lists *lists, struct route_report *report)
{
	size_t i;

	if (!r)
		return;
	i = r->n++;
	if (names.n == 0)
		return;
	report->at = at;
	report->key = "domain";
	r->v[i].names = lists_domains(lists, names, DOMSET_KEYWORD, report);
	r->bad |= r->v[i].names == NULL;
}

void rule_lists_add_ips(struct rule_lists *r, const struct conf_at *at, struct conf_strs ips,
			struct lists *lists, struct route_report *report)
{
	size_t i;

	if (!r)
		return;
	i = r->n++;
	if (ips.n == 0)
		return;
	report->at = at;
	report->key = "ip";
	r->v[i].ips = lists_ips(lists, ips, report);
	r->bad |= r->v[i].ips == NULL;
}

struct rule_lists *rule_lists_done(struct rule_lists *r)
{
	if (!r || !r->bad)
		return r;
	rule_lists_free(r);
	return NULL;
}

void rule_lists_free(struct rule_lists *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++) {
		domset_free(r->v[i].names);
		iprules_free(r->v[i].ips);
	}
	free(r);
}

bool rule_lists_fit_name(const struct rule_lists *r, size_t i, const struct domkey *name)
{
	return !r->v[i].names || (name && domset_has(r->v[i].names, name));
}

bool rule_lists_fit_ip(const struct rule_lists *r, size_t i, const struct ip *ip)
{
	return !r->v[i].ips || iprules_has(r->v[i].ips, ip);
}
