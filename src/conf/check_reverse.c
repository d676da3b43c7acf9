/*
 * Bridges and portals. Both ends tell the bridge's own connection from users'
 * flows by one name and the order of rules, so a misplaced rule breaks the
 * tunnel far from where it stands. Here the rules are followed as that
 * connection would go through them.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conf/check.h"
#include "conf/msg.h"

static bool leads_away(enum conf_out_proto p)
{
	return p == CONF_OUT_VLESS || p == CONF_OUT_SHADOWSOCKS || p == CONF_OUT_SOCKS ||
	       p == CONF_OUT_HTTP;
}

static bool has_tag(const struct conf_strs *l, const char *tag)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], tag) == 0)
			return true;
	return false;
}

/* The first rule that takes all that comes out of @tag, or NULL. */
static const struct conf_rule *rule_for_all(const struct conf *c, const char *tag)
{
	for (size_t i = 0; i < c->routing.n_rules; i++) {
		const struct conf_rule *r = &c->routing.rules[i];

		if ((!r->inbound_tags.n || has_tag(&r->inbound_tags, tag)) &&
		    check_rule_takes_all(r))
			return r;
	}
	return NULL;
}

/* ---- bridges ---- */

struct way {
	bool certain;			 /* no earlier rule might take the flow */
	const struct conf_rule *rule;	 /* NULL: no rule, the default outbound */
	const struct conf_outbound *out; /* NULL: a balancer, a portal, or nothing */
};

static struct way follow(const struct conf *c, const struct probe *p)
{
	struct way w = {.certain = true};

	for (size_t i = 0; i < c->routing.n_rules; i++) {
		const struct conf_rule *r = &c->routing.rules[i];
		enum verdict v = check_rule_verdict(r, p);

		if (v == VERDICT_MAYBE)
			w.certain = false;
		if (v != VERDICT_YES)
			continue;
		w.rule = r;
		w.out = conf_outbound_find(c, r->outbound_tag);
		return w;
	}
	w.out = c->n_outbounds ? &c->outbounds[0] : NULL;
	return w;
}

static void tell_lost(struct load *ld, const struct conf_bridge *b, const struct way *w)
{
	char rule[64] = "no rule matches";

	if (w->rule)
		snprintf(rule, sizeof(rule), "rule %zu at line %d takes", w->rule->number,
			 w->rule->at.line);
	check_warn(
		ld, &b->at,
		"this bridge will not connect: %s its own connection to \"%.80s\", which so goes "
		"to outbound \"%.60s\" (%.20s) and not to a portal; put the rule {\"inboundTag\": "
		"[\"%.60s\"], \"domain\": [\"full:%.80s\"], \"outboundTag\": ...} first",
		rule, b->domain, w->out ? w->out->tag : "", w->out ? w->out->proto_name : "none",
		b->tag, b->domain);
}

/* With IPOnDemand a rule on addresses makes the virtual name be looked up. */
static void check_leak(struct load *ld, const struct conf_bridge *b, const struct way *w)
{
	const struct conf_routing *r = &ld->conf->routing;

	if (r->strategy != CONF_ROUTE_IP_ON_DEMAND)
		return;
	for (size_t i = 0; i < r->n_rules && &r->rules[i] != w->rule; i++) {
		const struct conf_rule *rule = &r->rules[i];

		if (rule->ips.n &&
		    (!rule->inbound_tags.n || has_tag(&rule->inbound_tags, b->tag)) &&
		    !rule->domains.n)
			check_warn(
				ld, &rule->at,
				"under IPOnDemand this rule makes the name \"%.80s\" of the bridge "
				"\"%.60s\" be looked up; put the bridge's own rule above it",
				b->domain, b->tag);
	}
}

/* Flows that come out of the bridge and match nothing must not go back in. */
static void check_circle(struct load *ld, const struct conf_bridge *b, const struct way *w)
{
	const struct conf_rule *all = rule_for_all(ld->conf, b->tag);

	if (all && conf_outbound_find(ld->conf, all->outbound_tag) == w->out)
		check_warn(ld, &all->at,
			   "sends what comes out of the bridge \"%.60s\" back to the portal, an "
			   "endless loop; give it the condition \"domain\": [\"full:%.80s\"]",
			   b->tag, b->domain);
	else if (!all && w->out == &ld->conf->outbounds[0])
		check_warn(ld, &b->at,
			   "what comes out of this bridge and matches no rule goes to the first "
			   "outbound \"%.60s\", back to the portal, an endless loop; end with the "
			   "rule {\"inboundTag\": [\"%.60s\"], \"outboundTag\": ...} or put a "
			   "blackhole first",
			   w->out->tag, b->tag);
}

static void check_bridge(struct load *ld, const struct conf_bridge *b)
{
	const struct conf *c = ld->conf;
	struct probe p = {b->tag, b->domain, true, c->routing.strategy};
	struct way w = follow(c, &p);

	check_leak(ld, b, &w);
	if (!w.certain || (w.rule && !w.out))
		return; /* a balancer, or conditions that the text does not decide */
	if (!w.out || !leads_away(w.out->proto)) {
		tell_lost(ld, b, &w);
		return;
	}
	check_circle(ld, b, &w);
	if (w.out->mux.enabled)
		check_warn(ld, &w.out->mux.at,
			   "the bridge \"%.60s\" multiplexes by itself; mux here works, but only "
			   "adds weight",
			   b->tag);
}

/* ---- bridges by VLESS reverse ---- */

/* freedom lets nothing of it through by itself, and swallows instead of refusing. */
static void check_final_rules(struct load *ld, const char *tag)
{
	const struct conf *c = ld->conf;

	for (size_t i = 0; i < c->routing.n_rules; i++) {
		const struct conf_rule *r = &c->routing.rules[i];
		const struct conf_outbound *o = conf_outbound_find(c, r->outbound_tag);

		if (has_tag(&r->inbound_tags, tag) && o && o->proto == CONF_OUT_FREEDOM &&
		    o->freedom.n_final_rules == 0)
			check_warn(ld, &o->at,
				   "what comes by VLESS reverse (inboundTag \"%.60s\") is "
				   "swallowed here: nothing is allowed without \"finalRules\": "
				   "[{\"action\": \"allow\", \"ip\": [...]}]",
				   tag);
	}
}

static void check_vless_bridge(struct load *ld, const struct conf_outbound *o)
{
	const struct conf *c = ld->conf;
	const char *tag = o->vless.user.reverse_tag;
	const struct conf_rule *all = rule_for_all(c, tag);
	const struct conf_outbound *rest =
		all ? conf_outbound_find(c, all->outbound_tag) : &c->outbounds[0];

	check_final_rules(ld, tag);
	if (rest == o)
		check_warn(ld, all ? &all->at : &o->at,
			   "what comes by VLESS reverse (inboundTag \"%.60s\") and matches no "
			   "other rule goes back by the same outbound \"%.60s\", an endless loop; "
			   "end with the rule {\"inboundTag\": [\"%.60s\"], \"outboundTag\": ...} "
			   "or put a blackhole first",
			   tag, o->tag, tag);
}

/* Flows of a classic bridge have no source, user or protocol to look at. */
static void check_bridge_rules(struct load *ld)
{
	const struct conf *c = ld->conf;

	for (size_t i = 0; i < c->routing.n_rules; i++) {
		const struct conf_rule *r = &c->routing.rules[i];
		size_t bridges = 0;

		if (!r->source_ips.n && !r->users.n && !r->processes.n && !r->local_ips.n)
			continue;
		for (size_t k = 0; k < r->inbound_tags.n; k++)
			for (size_t b = 0; b < c->reverse.n_bridges; b++)
				if (strcmp(r->inbound_tags.v[k], c->reverse.bridges[b].tag) == 0) {
					bridges++;
					break;
				}
		if (bridges > 0 && bridges == r->inbound_tags.n)
			check_warn(ld, &r->at,
				   "never matches: what comes out of a bridge has no source "
				   "address, user or process");
	}
}

/* ---- portals ---- */

/* True when a flow of @in for another name than the portal's may be sent to it by this rule. */
static bool takes_users(const struct conf_rule *r, const struct conf_portal *p)
{
	if (r->domains.n == 0)
		return true;
	for (size_t i = 0; i < r->domains.n; i++) {
		const char *d = r->domains.v[i];

		if (strncasecmp(d, "full:", 5) != 0 || strcasecmp(d + 5, p->domain) != 0)
			return true;
	}
	return false;
}

static bool rule_is_for(const struct conf_rule *r, const struct conf_inbound *in)
{
	return r->inbound_tags.n == 0 || has_tag(&r->inbound_tags, in->tag);
}

/* The inbound can carry a flow whose target its client chooses. */
static bool client_chooses(const struct conf_inbound *in)
{
	return in->proto != CONF_IN_TUNNEL;
}

static bool names_excluded(const struct conf_inbound *in, const char *domain)
{
	for (size_t i = 0; i < in->sniff.domains_excluded.n; i++) {
		const char *d = in->sniff.domains_excluded.v[i];

		if (strncasecmp(d, "full:", 5) == 0)
			d += 5;
		else if (strncasecmp(d, "domain:", 7) == 0)
			d += 7;
		if (strcasecmp(d, domain) == 0)
			return true;
	}
	return false;
}

static void check_sniffing(struct load *ld, const struct conf_inbound *in,
			   const struct conf_portal *p)
{
	if (!in->sniff.enabled || in->sniff.override == 0 || in->sniff.route_only ||
	    in->sniff.metadata_only || names_excluded(in, p->domain))
		return;
	check_warn(ld, &in->sniff.at,
		   "this inbound leads to the portal \"%.60s\" and takes target names from what "
		   "clients send: whoever writes \"%.80s\" there pretends to be a bridge (refused "
		   "here, not in Xray); switch destOverride off, or use routeOnly",
		   p->tag, p->domain);
}

/* Who may register is whoever may ask for the portal's name without further conditions. */
static void check_registration(struct load *ld, const struct conf_inbound *in,
			       const struct conf_portal *p)
{
	const struct conf *c = ld->conf;
	struct probe probe = {in->tag, p->domain, false, c->routing.strategy};
	bool users = false;

	for (size_t i = 0; i < c->routing.n_rules && !users; i++) {
		const struct conf_rule *r = &c->routing.rules[i];

		users = strcmp(r->outbound_tag, p->tag) == 0 && rule_is_for(r, in) &&
			takes_users(r, p);
	}
	if (!users || p->users.n > 0 || !client_chooses(in))
		return;
	for (size_t i = 0; i < c->routing.n_rules; i++) {
		const struct conf_rule *r = &c->routing.rules[i];

		if (check_rule_verdict(r, &probe) != VERDICT_YES)
			continue;
		if (strcmp(r->outbound_tag, p->tag) != 0)
			return;
		check_warn(ld, &p->at,
			   "every user of the inbound \"%.60s\" can register as a bridge and take "
			   "over this portal; give the bridge a user of its own and name it in "
			   "\"user\": [\"its email\"] here",
			   in->tag);
		return;
	}
}

static void check_portal(struct load *ld, const struct conf_portal *p)
{
	const struct conf *c = ld->conf;
	bool used = c->n_outbounds == 0; /* then it is the default */

	for (size_t i = 0; i < c->routing.n_balancers; i++)
		for (size_t k = 0; k < c->routing.balancers[i].selectors.n; k++) {
			const char *s = c->routing.balancers[i].selectors.v[k];

			used |= strncmp(p->tag, s, strlen(s)) == 0;
		}
	for (size_t i = 0; i < c->routing.n_rules; i++)
		used |= strcmp(c->routing.rules[i].outbound_tag, p->tag) == 0;
	if (!used)
		check_warn(
			ld, &p->at,
			"no rule leads to this portal: neither a bridge nor a user can reach it");
	for (size_t i = 0; i < c->n_inbounds; i++) {
		const struct conf_inbound *in = &c->inbounds[i];
		bool leads = false;

		for (size_t k = 0; k < c->routing.n_rules; k++)
			leads |= strcmp(c->routing.rules[k].outbound_tag, p->tag) == 0 &&
				 rule_is_for(&c->routing.rules[k], in);
		if (!leads)
			continue;
		check_sniffing(ld, in, p);
		check_registration(ld, in, p);
	}
}

void check_reverse(struct load *ld)
{
	const struct conf_reverse *r = &ld->conf->reverse;

	for (size_t i = 0; i < r->n_bridges; i++)
		check_bridge(ld, &r->bridges[i]);
	for (size_t i = 0; i < ld->conf->n_outbounds; i++) {
		const struct conf_outbound *o = &ld->conf->outbounds[i];

		if (o->proto == CONF_OUT_VLESS && *o->vless.user.reverse_tag)
			check_vless_bridge(ld, o);
	}
	check_bridge_rules(ld);
	for (size_t i = 0; i < r->n_portals; i++)
		check_portal(ld, &r->portals[i]);
}
