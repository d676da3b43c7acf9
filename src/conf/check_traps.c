/* Warnings about rules and names that do something else than they seem to say. */
#include <stdio.h>
#include <string.h>

#include "conf/check.h"
#include "conf/msg.h"

/* ---- names in conditions ---- */

static void collect_inbound_tags(const struct conf *c, struct check_names *s)
{
	for (size_t i = 0; i < c->n_inbounds; i++)
		check_name_add(s, c->inbounds[i].tag);
	for (size_t i = 0; i < c->reverse.n_bridges; i++)
		check_name_add(s, c->reverse.bridges[i].tag);
	for (size_t i = 0; i < c->n_outbounds; i++) {
		const struct conf_outbound *o = &c->outbounds[i];

		if (o->proto == CONF_OUT_VLESS)
			check_name_add(s, o->vless.user.reverse_tag);
		else if (o->proto == CONF_OUT_LOOPBACK)
			check_name_add(s, o->loopback.inbound_tag);
	}
	check_name_add(s, c->dns.tag);
	for (size_t i = 0; i < c->dns.n_servers; i++)
		check_name_add(s, c->dns.servers[i].tag);
	check_name_add(s, c->api.tag);
	check_name_add(s, c->metrics.tag);
}

static void collect_emails(const struct conf *c, struct check_names *s)
{
	for (size_t i = 0; i < c->n_inbounds; i++) {
		const struct conf_inbound *in = &c->inbounds[i];

		if (in->proto == CONF_IN_VLESS)
			for (size_t u = 0; u < in->vless.n_users; u++)
				check_name_add(s, in->vless.users[u].email);
		else if (in->proto == CONF_IN_SHADOWSOCKS)
			for (size_t u = 0; u < in->ss.n_users; u++)
				check_name_add(s, in->ss.users[u].email);
		else if (in->proto == CONF_IN_SOCKS)
			for (size_t u = 0; u < in->socks.n_accounts; u++)
				check_name_add(s, in->socks.accounts[u].user);
		else if (in->proto == CONF_IN_HTTP)
			for (size_t u = 0; u < in->http.n_accounts; u++)
				check_name_add(s, in->http.accounts[u].user);
	}
}

static void check_conditions(struct load *ld)
{
	const struct conf_routing *r = &ld->conf->routing;
	struct check_names tags = {.n = 0}, emails = {.n = 0};
	char hint[80];

	collect_inbound_tags(ld->conf, &tags);
	collect_emails(ld->conf, &emails);
	for (size_t i = 0; i < r->n_rules; i++) {
		const struct conf_rule *rule = &r->rules[i];

		for (size_t k = 0; k < rule->inbound_tags.n; k++)
			if (!check_name_has(&tags, rule->inbound_tags.v[k]))
				conf_msg_add(ld->msgs, CONF_MSG_WARNING, &rule->at, 0,
					     "inboundTag \"%.60s\" is no inbound, bridge or VLESS "
					     "reverse "
					     "outbound of these files%s",
					     rule->inbound_tags.v[k],
					     check_hint(&tags, rule->inbound_tags.v[k], hint,
							sizeof(hint)));
		for (size_t k = 0; k < rule->users.n; k++)
			if (strncmp(rule->users.v[k], "regexp:", 7) != 0 &&
			    !check_name_has(&emails, rule->users.v[k]))
				conf_msg_add(
					ld->msgs, CONF_MSG_WARNING, &rule->at, 0,
					"user \"%.60s\" is nobody's email in these files (case "
					"counts)%s",
					rule->users.v[k],
					check_hint(&emails, rule->users.v[k], hint, sizeof(hint)));
	}
}

/* ---- rules that never match ---- */

/* Only a few pairs are looked at: a list of thousands is made by a program. */
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
			conf_msg_add(
				ld->msgs, CONF_MSG_WARNING, &r->rules[i].at, 0,
				"this rule is never reached: rule %zu at %s:%d takes all that it "
				"would "
				"match; put it above that one",
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
			conf_msg_add(ld->msgs, CONF_MSG_WARNING, &rule->at, 0,
				     "has \"domain\" and \"ip\": both must hold, but under "
				     "domainStrategy "
				     "AsIs a target is either a name or an address, so it never "
				     "matches; "
				     "write two rules");
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
			conf_msg_add(ld->msgs, CONF_MSG_WARNING, &b->at, 0,
				     "no outbound has a tag that begins with one of its selectors");
		if (*b->fallback_tag && c->observatory.kind == CONF_OBSERVE_OFF)
			conf_msg_add(
				ld->msgs, CONF_MSG_WARNING, &b->at, 0,
				"fallbackTag without an observatory: Xray does not start with it, "
				"here "
				"only portals without a bridge count as down");
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
		conf_msg_add(ld->msgs, CONF_MSG_WARNING, &at, 0,
			     "there is neither an inbound nor a bridge, so nothing will happen");
	else if (c->n_outbounds == 0 && c->reverse.n_portals == 0)
		conf_msg_add(
			ld->msgs, CONF_MSG_WARNING, &at, 0,
			"default outbound handler not exist: there is no outbound, so every flow "
			"that "
			"no rule takes will fail");
}

void check_traps(struct load *ld)
{
	check_conditions(ld);
	check_reachable(ld);
	check_domain_and_ip(ld);
	check_selectors(ld);
	check_reverse(ld);
	check_purpose(ld);
}
