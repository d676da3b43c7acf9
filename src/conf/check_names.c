/* Tags and other names: unique where they must be, and there where they are used. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/check.h"
#include "conf/msg.h"

void check_error(struct load *ld, const struct conf_at *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	conf_msg_addv(ld->msgs, CONF_MSG_ERROR, at, 0, fmt, ap);
	va_end(ap);
}

void check_warn(struct load *ld, const struct conf_at *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	conf_msg_addv(ld->msgs, CONF_MSG_WARNING, at, 0, fmt, ap);
	va_end(ap);
}

/* ---- sets of names ---- */

bool check_set_init(struct check_set *s, struct load *ld, size_t cap)
{
	s->v = conf_arena_array(ld->arena, cap + 1, sizeof(*s->v));
	s->n = 0;
	s->cap = s->v ? cap : 0;
	return s->v != NULL;
}

void check_set_add(struct check_set *s, const char *name)
{
	if (*name && s->n < s->cap)
		s->v[s->n++] = name;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void check_set_sort(struct check_set *s)
{
	qsort(s->v, s->n, sizeof(*s->v), by_text);
}

bool check_set_has(const struct check_set *s, const char *name)
{
	return bsearch(&name, s->v, s->n, sizeof(*s->v), by_text) != NULL;
}

char *check_hint(const struct check_set *s, const char *name, char *out, size_t cap)
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
			check_error(ld, l->v[i].at, "existing tag found: %.60s (first at %s:%d)",
				    l->v[i].tag, l->v[k].at->file, l->v[k].at->line);
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

static bool collect_outbounds(struct load *ld, struct check_set *s)
{
	const struct conf *c = ld->conf;
	size_t n = c->n_outbounds + c->reverse.n_portals + count_vless_users(c) + 2;

	if (!check_set_init(s, ld, n))
		return false;
	for (size_t i = 0; i < c->n_outbounds; i++)
		check_set_add(s, c->outbounds[i].tag);
	for (size_t i = 0; i < c->reverse.n_portals; i++)
		check_set_add(s, c->reverse.portals[i].tag);
	for (size_t i = 0; i < c->n_inbounds; i++) {
		const struct conf_inbound *in = &c->inbounds[i];

		for (size_t u = 0; in->proto == CONF_IN_VLESS && u < in->vless.n_users; u++)
			check_set_add(s, in->vless.users[u].reverse_tag);
	}
	/* in Xray these two are outbounds; rules that lead there are in many files */
	check_set_add(s, c->api.tag);
	check_set_add(s, c->metrics.tag);
	check_set_sort(s);
	return true;
}

static void check_balancers(struct load *ld, const struct check_set *outs)
{
	const struct conf_routing *r = &ld->conf->routing;
	char hint[80];

	for (size_t i = 0; i < r->n_balancers; i++) {
		const struct conf_balancer *b = &r->balancers[i];

		for (size_t k = 0; k < i; k++)
			if (*b->tag && strcmp(r->balancers[k].tag, b->tag) == 0)
				check_error(ld, &b->at,
					    "duplicate balancer tag %.60s (first at %s:%d)", b->tag,
					    r->balancers[k].at.file, r->balancers[k].at.line);
		if (*b->fallback_tag && !check_set_has(outs, b->fallback_tag))
			check_error(ld, &b->at, "fallbackTag: non existing outTag: %.60s%s",
				    b->fallback_tag,
				    check_hint(outs, b->fallback_tag, hint, sizeof(hint)));
	}
}

static void check_rule_target(struct load *ld, const struct conf_rule *rule,
			      const struct check_set *outs, const struct check_set *balancers)
{
	char hint[80];

	if (*rule->outbound_tag) {
		if (!check_set_has(outs, rule->outbound_tag))
			check_error(ld, &rule->at,
				    "non existing outTag: %.60s, expected the tag of an outbound, "
				    "a portal or a VLESS reverse user%s",
				    rule->outbound_tag,
				    check_hint(outs, rule->outbound_tag, hint, sizeof(hint)));
	} else if (*rule->balancer_tag && !check_set_has(balancers, rule->balancer_tag)) {
		check_error(ld, &rule->at, "balancer %.60s not found%s", rule->balancer_tag,
			    check_hint(balancers, rule->balancer_tag, hint, sizeof(hint)));
	}
}

static void check_rule_tags(struct load *ld)
{
	const struct conf_routing *r = &ld->conf->routing;

	for (size_t i = 1; i < r->n_rules; i++) {
		size_t k = 0;

		if (*r->rules[i].rule_tag == 0)
			continue;
		while (k < i && strcmp(r->rules[k].rule_tag, r->rules[i].rule_tag) != 0)
			k++;
		if (k < i)
			check_error(ld, &r->rules[i].at, "duplicate ruleTag %.60s (first at %s:%d)",
				    r->rules[i].rule_tag, r->rules[k].at.file, r->rules[k].at.line);
	}
}

static void check_rules(struct load *ld, const struct check_set *outs)
{
	const struct conf_routing *r = &ld->conf->routing;
	struct check_set balancers;

	if (!check_set_init(&balancers, ld, r->n_balancers))
		return;
	for (size_t i = 0; i < r->n_balancers; i++)
		check_set_add(&balancers, r->balancers[i].tag);
	check_set_sort(&balancers);
	for (size_t i = 0; i < r->n_rules; i++)
		check_rule_target(ld, &r->rules[i], outs, &balancers);
	check_rule_tags(ld);
}

static void check_dialers(struct load *ld, const struct check_set *outs)
{
	const struct conf *c = ld->conf;
	char hint[80];

	for (size_t i = 0; i < c->n_outbounds; i++) {
		const struct conf_outbound *o = &c->outbounds[i];
		const char *tag = o->stream.sockopt.dialer_proxy;

		if (tag && *tag && !check_set_has(outs, tag))
			check_error(ld, &o->at,
				    "there is no outbound handler for dialerProxy: %.60s%s", tag,
				    check_hint(outs, tag, hint, sizeof(hint)));
	}
}

void check_names(struct load *ld)
{
	struct check_set outs;

	check_tags(ld);
	if (!collect_outbounds(ld, &outs))
		return;
	check_balancers(ld, &outs);
	check_rules(ld, &outs);
	check_dialers(ld, &outs);
}
