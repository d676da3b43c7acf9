/* Warnings about rules and names that do something else than they seem to say. */
#include <stdio.h>
#include <string.h>

#include "conf/check.h"
#include "conf/msg.h"

/* ---- names in conditions ---- */

static bool collect_inbound_tags(struct load *ld, struct check_set *s)
{
	const struct conf *c = ld->conf;

	if (!check_set_init(s, ld,
			    c->n_inbounds + c->reverse.n_bridges + c->n_outbounds +
				    c->dns.n_servers + 3))
		return false;
	for (size_t i = 0; i < c->n_inbounds; i++)
		check_set_add(s, c->inbounds[i].tag);
	for (size_t i = 0; i < c->reverse.n_bridges; i++)
		check_set_add(s, c->reverse.bridges[i].tag);
	for (size_t i = 0; i < c->n_outbounds; i++) {
		const struct conf_outbound *o = &c->outbounds[i];

		if (o->proto == CONF_OUT_VLESS)
			check_set_add(s, o->vless.user.reverse_tag);
		else if (o->proto == CONF_OUT_LOOPBACK)
			check_set_add(s, o->loopback.inbound_tag);
	}
	check_set_add(s, c->dns.tag);
	for (size_t i = 0; i < c->dns.n_servers; i++)
		check_set_add(s, c->dns.servers[i].tag);
	check_set_add(s, c->api.tag);
	check_set_add(s, c->metrics.tag);
	check_set_sort(s);
	return true;
}

static size_t count_users(const struct conf_inbound *in)
{
	switch (in->proto) {
	case CONF_IN_VLESS:
		return in->vless.n_users;
	case CONF_IN_SHADOWSOCKS:
		return in->ss.n_users;
	case CONF_IN_SOCKS:
		return in->socks.n_accounts;
	case CONF_IN_HTTP:
		return in->http.n_accounts;
	case CONF_IN_TUNNEL:
	case CONF_IN_TUN:
		break;
	}
	return 0;
}

static const char *name_of_user(const struct conf_inbound *in, size_t i)
{
	switch (in->proto) {
	case CONF_IN_VLESS:
		return in->vless.users[i].email;
	case CONF_IN_SHADOWSOCKS:
		return in->ss.users[i].email;
	case CONF_IN_SOCKS:
		return in->socks.accounts[i].user;
	case CONF_IN_HTTP:
		return in->http.accounts[i].user;
	case CONF_IN_TUNNEL:
	case CONF_IN_TUN:
		break;
	}
	return "";
}

static bool collect_emails(struct load *ld, struct check_set *s)
{
	const struct conf *c = ld->conf;
	size_t n = 0;

	for (size_t i = 0; i < c->n_inbounds; i++)
		n += count_users(&c->inbounds[i]);
	if (!check_set_init(s, ld, n))
		return false;
	for (size_t i = 0; i < c->n_inbounds; i++)
		for (size_t u = 0; u < count_users(&c->inbounds[i]); u++)
			check_set_add(s, name_of_user(&c->inbounds[i], u));
	check_set_sort(s);
	return true;
}

static void check_user(struct load *ld, const struct conf_at *at, const char *name,
		       const struct check_set *emails)
{
	char hint[80];

	if (strncmp(name, "regexp:", 7) == 0 || check_set_has(emails, name))
		return;
	check_warn(ld, at, "user \"%.60s\" is nobody's email in these files (case counts)%s", name,
		   check_hint(emails, name, hint, sizeof(hint)));
}

static void check_inbound_tag(struct load *ld, const struct conf_at *at, const char *tag,
			      const struct check_set *tags)
{
	char hint[80];

	if (!check_set_has(tags, tag))
		check_warn(ld, at,
			   "inboundTag \"%.60s\" is no inbound, bridge or VLESS reverse outbound "
			   "of these files%s",
			   tag, check_hint(tags, tag, hint, sizeof(hint)));
}

static void check_conditions(struct load *ld)
{
	const struct conf *c = ld->conf;
	struct check_set tags, emails;

	if (!collect_inbound_tags(ld, &tags) || !collect_emails(ld, &emails))
		return;
	for (size_t i = 0; i < c->routing.n_rules; i++) {
		const struct conf_rule *rule = &c->routing.rules[i];

		for (size_t k = 0; k < rule->inbound_tags.n; k++)
			check_inbound_tag(ld, &rule->at, rule->inbound_tags.v[k], &tags);
		for (size_t k = 0; k < rule->users.n; k++)
			check_user(ld, &rule->at, rule->users.v[k], &emails);
	}
	for (size_t i = 0; i < c->reverse.n_portals; i++) {
		const struct conf_portal *p = &c->reverse.portals[i];

		for (size_t k = 0; k < p->users.n; k++)
			check_user(ld, &p->at, p->users.v[k], &emails);
	}
}

/* ---- rules that never match ---- */

/* Pairs are compared, so there is a bound: lists of thousands are made by programs. */
enum { RULES_COMPARED = 1000 };

static void check_reachable(struct load *ld)
{
	const struct conf_routing *r = &ld->conf->routing;
	size_t n = r->n_rules < RULES_COMPARED ? r->n_rules : RULES_COMPARED;

	for (size_t i = 1; i < n; i++) {
		size_t k = 0;

		while (k < i && !check_rule_covers(&r->rules[k], &r->rules[i]))
			k++;
		if (k < i)
			check_warn(ld, &r->rules[i].at,
				   "this rule is never reached: rule %zu at %s:%d takes all that "
				   "it would match; put it above that one",
				   r->rules[k].number, r->rules[k].at.file, r->rules[k].at.line);
	}
}

static void check_domain_and_ip(struct load *ld)
{
	const struct conf_routing *r = &ld->conf->routing;

	if (r->strategy == CONF_ROUTE_IP_ON_DEMAND)
		return;
	for (size_t i = 0; i < r->n_rules; i++) {
		const struct conf_rule *rule = &r->rules[i];

		if (rule->domains.n && rule->ips.n && r->strategy == CONF_ROUTE_AS_IS)
			check_warn(ld, &rule->at,
				   "has \"domain\" and \"ip\": both must hold, but under "
				   "domainStrategy AsIs a target is either a name or an address, "
				   "so it never matches; write two rules");
	}
}

/* ---- balancers ---- */

static bool selects(const struct conf_balancer *b, const char *tag)
{
	for (size_t i = 0; i < b->selectors.n; i++)
		if (*tag && strncmp(tag, b->selectors.v[i], strlen(b->selectors.v[i])) == 0)
			return true;
	return false;
}

static bool selects_any(const struct conf *c, const struct conf_balancer *b)
{
	for (size_t i = 0; i < c->n_outbounds; i++)
		if (selects(b, c->outbounds[i].tag))
			return true;
	for (size_t i = 0; i < c->reverse.n_portals; i++)
		if (selects(b, c->reverse.portals[i].tag))
			return true;
	for (size_t i = 0; i < c->n_inbounds; i++) {
		const struct conf_inbound *in = &c->inbounds[i];

		for (size_t u = 0; in->proto == CONF_IN_VLESS && u < in->vless.n_users; u++)
			if (selects(b, in->vless.users[u].reverse_tag))
				return true;
	}
	return false;
}

static void check_selectors(struct load *ld)
{
	const struct conf *c = ld->conf;

	for (size_t i = 0; i < c->routing.n_balancers; i++) {
		const struct conf_balancer *b = &c->routing.balancers[i];

		if (!selects_any(c, b))
			check_warn(ld, &b->at,
				   "no outbound has a tag that begins with one of its selectors");
		if (*b->fallback_tag && c->observatory.kind == CONF_OBSERVE_OFF)
			check_warn(ld, &b->at,
				   "fallbackTag without an observatory: Xray does not start with "
				   "it, here only portals without a bridge count as down");
	}
}

/* ---- the whole ---- */

static void check_purpose(struct load *ld)
{
	const struct conf *c = ld->conf;
	struct conf_at at = {.file = c->routing.at.file, .path = ""};
	bool reverse = c->reverse.n_bridges > 0;

	for (size_t i = 0; i < c->n_outbounds; i++)
		reverse |= c->outbounds[i].proto == CONF_OUT_VLESS &&
			   *c->outbounds[i].vless.user.reverse_tag;
	if (c->n_inbounds == 0 && !reverse)
		check_warn(ld, &at,
			   "there is neither an inbound nor a bridge, so nothing will happen");
	else if (c->n_outbounds == 0 && c->reverse.n_portals == 0)
		check_warn(ld, &at,
			   "default outbound handler not exist: there is no outbound, so every "
			   "flow that no rule takes will fail");
}

void check_traps(struct load *ld)
{
	check_conditions(ld);
	check_reachable(ld);
	check_domain_and_ip(ld);
	check_selectors(ld);
	check_reverse(ld);
	for (size_t i = 0; i < ld->conf->n_inbounds; i++)
		check_reality_traps(ld, &ld->conf->inbounds[i]);
	check_purpose(ld);
}
