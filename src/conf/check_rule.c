/* Rules read as sets: which flows they match, as far as the text alone tells. */
#include <string.h>
#include <strings.h>

#include "conf/check.h"

static bool strs_has(const struct conf_strs *l, const char *text)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], text) == 0)
			return true;
	return false;
}

static bool ports_have(const struct conf_ports *p, uint16_t from, uint16_t to)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].from <= from && to <= p->v[i].to)
			return true;
	return false;
}

/* ---- one flow ---- */

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), e = strlen(end);

	return n >= e && strcasecmp(name + n - e, end) == 0;
}

static bool is_subdomain(const char *name, const char *parent)
{
	size_t n = strlen(name), p = strlen(parent);

	return ends_with(name, parent) && (n == p || name[n - p - 1] == '.');
}

static enum verdict domain_verdict(const char *rule, const char *name)
{
	static const char *const lists[] = {
		"regexp:", "geosite:", "ext:", "ext-domain:", "ext-site:"};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (strncasecmp(rule, lists[i], strlen(lists[i])) == 0)
			return VERDICT_MAYBE;
	if (strncasecmp(rule, "full:", 5) == 0)
		return strcasecmp(rule + 5, name) == 0 ? VERDICT_YES : VERDICT_NO;
	if (strncasecmp(rule, "domain:", 7) == 0)
		return is_subdomain(name, rule + 7) ? VERDICT_YES : VERDICT_NO;
	if (strncasecmp(rule, "dotless:", 8) == 0)
		return !strchr(name, '.') && strcasestr(name, rule + 8) ? VERDICT_YES : VERDICT_NO;
	if (strncasecmp(rule, "keyword:", 8) == 0)
		rule += 8;
	return strcasestr(name, rule) ? VERDICT_YES : VERDICT_NO;
}

static enum verdict domains_verdict(const struct conf_strs *l, const char *name)
{
	enum verdict best = VERDICT_NO;

	for (size_t i = 0; i < l->n; i++) {
		enum verdict v = domain_verdict(l->v[i], name);

		if (v > best)
			best = v;
	}
	return best;
}

/* Conditions on the source or the user: a bridge's own flows have neither. */
static bool needs_source(const struct conf_rule *r)
{
	return r->source_ips.n || r->local_ips.n || r->users.n || r->processes.n || r->n_attrs ||
	       r->protocols.n || r->vless_routes.given;
}

static bool never(const struct conf_rule *r, const struct probe *p)
{
	if (r->inbound_tags.n && !strs_has(&r->inbound_tags, p->inbound))
		return true;
	if (r->networks && !(r->networks & CONF_TCP))
		return true;
	if (r->local_os.n && !strs_has(&r->local_os, "linux"))
		return true;
	if (r->ips.n && p->strategy != CONF_ROUTE_IP_ON_DEMAND)
		return true;
	return p->bridge && (needs_source(r) || (r->ports.given && !ports_have(&r->ports, 0, 0)));
}

enum verdict check_rule_verdict(const struct conf_rule *r, const struct probe *p)
{
	enum verdict v = VERDICT_YES;

	if (never(r, p))
		return VERDICT_NO;
	if (r->domains.n)
		v = domains_verdict(&r->domains, p->domain);
	if (v == VERDICT_NO)
		return VERDICT_NO;
	if (r->ips.n || r->source_ports.given || r->local_ports.given)
		return VERDICT_MAYBE;
	if (!p->bridge && (needs_source(r) || r->ports.given))
		return VERDICT_MAYBE;
	return v;
}

/* ---- one rule within another ---- */

static bool is_inverse(const char *rule)
{
	return strchr(rule, '!') != NULL;
}

static bool ip_within(const char *wide, const char *narrow)
{
	struct prefix w, n;

	return prefix_parse(&w, span_str(wide)) == 0 && prefix_parse(&n, span_str(narrow)) == 0 &&
	       w.len <= n.len && prefix_has(&w, &n.ip);
}

static bool domain_within(const char *wide, const char *narrow)
{
	const char *name;

	if (strncasecmp(narrow, "full:", 5) == 0)
		return domain_verdict(wide, narrow + 5) == VERDICT_YES;
	if (strncasecmp(narrow, "domain:", 7) != 0 || strncasecmp(wide, "domain:", 7) != 0)
		return false;
	name = narrow + 7;
	return is_subdomain(name, wide + 7);
}

enum { ENTRIES_COMPARED = 64 }; /* longer lists are not looked into, and so cover nothing */

/* True when each entry of @late is in one of @early; @within NULL: only when they are equal. */
static bool list_covers(const struct conf_strs *early, const struct conf_strs *late,
			bool (*within)(const char *, const char *))
{
	if (early->n == 0)
		return true;
	if (early->n > ENTRIES_COMPARED)
		return false;
	for (size_t i = 0; i < late->n; i++) {
		bool found = strs_has(early, late->v[i]);

		for (size_t k = 0; !found && within && k < early->n; k++)
			found = within(early->v[k], late->v[i]);
		if (!found)
			return false;
	}
	return late->n > 0;
}

/* Inverse entries of one list are combined: only the very same list is surely covered. */
static bool ips_cover(const struct conf_strs *early, const struct conf_strs *late)
{
	bool inverse = false;

	for (size_t i = 0; i < early->n; i++)
		inverse |= is_inverse(early->v[i]);
	for (size_t i = 0; early->n && i < late->n; i++)
		inverse |= is_inverse(late->v[i]);
	if (!inverse)
		return list_covers(early, late, ip_within);
	return early->n == late->n && list_covers(early, late, NULL) &&
	       list_covers(late, early, NULL);
}

static bool ports_cover(const struct conf_ports *early, const struct conf_ports *late)
{
	if (!early->given)
		return true;
	for (size_t i = 0; i < late->n; i++)
		if (!ports_have(early, late->v[i].from, late->v[i].to))
			return false;
	return late->given;
}

static bool attrs_cover(const struct conf_rule *early, const struct conf_rule *late)
{
	for (size_t i = 0; i < early->n_attrs; i++) {
		bool found = false;

		for (size_t k = 0; k < late->n_attrs; k++)
			found |= strcmp(early->attrs[i].name, late->attrs[k].name) == 0 &&
				 strcmp(early->attrs[i].regexp, late->attrs[k].regexp) == 0;
		if (!found)
			return false;
	}
	return true;
}

static bool networks_cover(unsigned early, unsigned late)
{
	unsigned all = CONF_TCP | CONF_UDP;

	return early == 0 || early == all || (late != 0 && (late & ~early) == 0);
}

bool check_rule_covers(const struct conf_rule *e, const struct conf_rule *l)
{
	return networks_cover(e->networks, l->networks) &&
	       list_covers(&e->inbound_tags, &l->inbound_tags, NULL) &&
	       list_covers(&e->protocols, &l->protocols, NULL) &&
	       list_covers(&e->users, &l->users, NULL) &&
	       list_covers(&e->processes, &l->processes, NULL) &&
	       list_covers(&e->local_os, &l->local_os, NULL) &&
	       list_covers(&e->domains, &l->domains, domain_within) &&
	       ips_cover(&e->ips, &l->ips) && ips_cover(&e->source_ips, &l->source_ips) &&
	       ips_cover(&e->local_ips, &l->local_ips) && ports_cover(&e->ports, &l->ports) &&
	       ports_cover(&e->source_ports, &l->source_ports) &&
	       ports_cover(&e->local_ports, &l->local_ports) &&
	       ports_cover(&e->vless_routes, &l->vless_routes) && attrs_cover(e, l);
}

bool check_rule_takes_all(const struct conf_rule *r)
{
	static const struct conf_rule everything = {.networks = CONF_TCP | CONF_UDP};
	struct conf_rule bare = *r;

	bare.inbound_tags.n = 0;
	return check_rule_covers(&bare, &everything);
}
