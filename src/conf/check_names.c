/* Tags and other names: unique where they must be, and there where they are used. */
#include <stdio.h>
#include <string.h>

#include "conf/check.h"
#include "conf/msg.h"

/* ---- sets of names ---- */

void check_name_add(struct check_names *s, const char *name)
{
	if (*name && s->n < NAMES_MAX)
		s->v[s->n++] = name;
}

bool check_name_has(const struct check_names *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i], name) == 0)
			return true;
	return s->n == NAMES_MAX; /* then nobody knows */
}

char *check_hint(const struct check_names *s, const char *name, char *out, size_t cap)
{
	const char *near = word_nearest(name, s->v, s->n);

	if (near)
		snprintf(out, cap, "; did you mean \"%.60s\"?", near);
	else
		out[0] = 0;
	return out;
}

/* ---- unique tags ---- */

struct named {
	const char *tag;
	const struct conf_at *at;
	bool shared; /* may occur several times among its like */
};

struct named_list {
	struct named *v;
	size_t n;
};

static void add_named(struct named_list *l, const char *tag, const struct conf_at *at, bool shared)
{
	if (*tag)
		l->v[l->n++] = (struct named){tag, at, shared};
}

/* Quadratic, so only the first of many equal ones is compared with. */
static void report_equal(struct load *ld, const struct named_list *l)
{
	for (size_t i = 1; i < l->n; i++) {
		size_t k = 0;

		while (k < i && strcmp(l->v[k].tag, l->v[i].tag) != 0)
			k++;
		if (k < i && !(l->v[k].shared && l->v[i].shared))
			conf_msg_add(ld->msgs, CONF_MSG_ERROR, l->v[i].at, 0,
				     "existing tag found: %.60s (first at %s:%d)", l->v[i].tag,
				     l->v[k].at->file, l->v[k].at->line);
	}
}

static size_t count_vless_users(const struct conf *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_inbounds; i++)
		if (c->inbounds[i].proto == CONF_IN_VLESS)
			n += c->inbounds[i].vless.n_users;
	return n;
}

static void add_reverse_users(const struct conf *c, struct named_list *l)
{
	for (size_t i = 0; i < c->n_inbounds; i++) {
		const struct conf_inbound *in = &c->inbounds[i];

		for (size_t u = 0; in->proto == CONF_IN_VLESS && u < in->vless.n_users; u++)
			add_named(l, in->vless.users[u].reverse_tag, &in->vless.users[u].at, true);
	}
}

static void check_tags(struct load *ld)
{
	const struct conf *c = ld->conf;
	struct named_list ins, outs;

	ins.n = outs.n = 0;
	ins.v = conf_arena_array(ld->arena, c->n_inbounds + 1, sizeof(*ins.v));
	outs.v = conf_arena_array(ld->arena,
				  c->n_outbounds + c->reverse.n_portals + count_vless_users(c) + 1,
				  sizeof(*outs.v));
	if (!ins.v || !outs.v)
		return;
	for (size_t i = 0; i < c->n_inbounds; i++)
		add_named(&ins, c->inbounds[i].tag, &c->inbounds[i].at, false);
	report_equal(ld, &ins);
	for (size_t i = 0; i < c->n_outbounds; i++)
		add_named(&outs, c->outbounds[i].tag, &c->outbounds[i].at, false);
	for (size_t i = 0; i < c->reverse.n_portals; i++)
		add_named(&outs, c->reverse.portals[i].tag, &c->reverse.portals[i].at, false);
	add_reverse_users(c, &outs);
	report_equal(ld, &outs);
}

/* ---- tags that are used ---- */

static void collect_outbounds(const struct conf *c, struct check_names *s)
{
	s->n = 0;
	for (size_t i = 0; i < c->n_outbounds; i++)
		check_name_add(s, c->outbounds[i].tag);
	for (size_t i = 0; i < c->reverse.n_portals; i++)
		check_name_add(s, c->reverse.portals[i].tag);
	for (size_t i = 0; i < c->n_inbounds; i++) {
		const struct conf_inbound *in = &c->inbounds[i];

		for (size_t u = 0; in->proto == CONF_IN_VLESS && u < in->vless.n_users; u++)
			check_name_add(s, in->vless.users[u].reverse_tag);
	}
	/* in Xray these two are outbounds; rules that lead there are in many files */
	check_name_add(s, c->api.tag);
	check_name_add(s, c->metrics.tag);
}

static void check_balancers(struct load *ld, const struct check_names *outs)
{
	const struct conf_routing *r = &ld->conf->routing;
	char hint[80];

	for (size_t i = 0; i < r->n_balancers; i++) {
		const struct conf_balancer *b = &r->balancers[i];

		for (size_t k = 0; k < i; k++)
			if (*b->tag && strcmp(r->balancers[k].tag, b->tag) == 0)
				conf_msg_add(ld->msgs, CONF_MSG_ERROR, &b->at, 0,
					     "duplicate balancer tag %.60s (first at %s:%d)",
					     b->tag, r->balancers[k].at.file,
					     r->balancers[k].at.line);
		if (*b->fallback_tag && !check_name_has(outs, b->fallback_tag))
			conf_msg_add(ld->msgs, CONF_MSG_ERROR, &b->at, 0,
				     "fallbackTag: non existing outTag: %.60s%s", b->fallback_tag,
				     check_hint(outs, b->fallback_tag, hint, sizeof(hint)));
	}
}

static void check_rule_target(struct load *ld, const struct conf_rule *rule,
			      const struct check_names *outs, const struct check_names *balancers)
{
	char hint[80];

	if (*rule->outbound_tag) {
		if (!check_name_has(outs, rule->outbound_tag))
			conf_msg_add(
				ld->msgs, CONF_MSG_ERROR, &rule->at, 0,
				"non existing outTag: %.60s, expected the tag of an outbound, a "
				"portal "
				"or a VLESS reverse user%s",
				rule->outbound_tag,
				check_hint(outs, rule->outbound_tag, hint, sizeof(hint)));
	} else if (*rule->balancer_tag && !check_name_has(balancers, rule->balancer_tag)) {
		conf_msg_add(ld->msgs, CONF_MSG_ERROR, &rule->at, 0, "balancer %.60s not found%s",
			     rule->balancer_tag,
			     check_hint(balancers, rule->balancer_tag, hint, sizeof(hint)));
	}
}

static void check_rules(struct load *ld, const struct check_names *outs)
{
	const struct conf_routing *r = &ld->conf->routing;
	struct check_names balancers = {.n = 0}, rule_tags = {.n = 0};

	for (size_t i = 0; i < r->n_balancers; i++)
		check_name_add(&balancers, r->balancers[i].tag);
	for (size_t i = 0; i < r->n_rules; i++) {
		const struct conf_rule *rule = &r->rules[i];

		check_rule_target(ld, rule, outs, &balancers);
		if (*rule->rule_tag && rule_tags.n < NAMES_MAX &&
		    check_name_has(&rule_tags, rule->rule_tag))
			conf_msg_add(ld->msgs, CONF_MSG_ERROR, &rule->at, 0,
				     "duplicate ruleTag %.60s", rule->rule_tag);
		check_name_add(&rule_tags, rule->rule_tag);
	}
}

static void check_dialers(struct load *ld, const struct check_names *outs)
{
	const struct conf *c = ld->conf;
	char hint[80];

	for (size_t i = 0; i < c->n_outbounds; i++) {
		const struct conf_outbound *o = &c->outbounds[i];
		const char *tag = o->stream.sockopt.dialer_proxy;

		if (tag && *tag && !check_name_has(outs, tag))
			conf_msg_add(ld->msgs, CONF_MSG_ERROR, &o->at, 0,
				     "there is no outbound handler for dialerProxy: %.60s%s", tag,
				     check_hint(outs, tag, hint, sizeof(hint)));
	}
}

void check_names(struct load *ld)
{
	struct check_names outs;

	check_tags(ld);
	collect_outbounds(ld->conf, &outs);
	check_balancers(ld, &outs);
	check_rules(ld, &outs);
	check_dialers(ld, &outs);
}
