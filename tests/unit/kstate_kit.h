/*
 * Kernel states written as text, one thing per line:
 *
 *     link 2 eth0 [kind WORD] [strict]
 *     addr 192.168.1.5/24 dev 2          with its local and connected routes
 *     route 0.0.0.0/0 [via IP] [dev 2] [table N] [proto N] [metric N] [TYPE]
 *     rule 100 [not] [mark N[/MASK]] [from P] [to P] [iif X] [oif X] [table N] [goto N]
 *          [refuse] [suppress N] [proto N] [picky] [ipv6]
 *     norules                             without the three that every system has
 *     noipv6
 *     forward4, forward6
 */
#ifndef GARENNE_TESTS_KSTATE_KIT_H
#define GARENNE_TESTS_KSTATE_KIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vpn/kstate.h"

struct words {
	char *v[24];
	unsigned n, at;
};

static inline const char *word(struct words *w)
{
	return w->at < w->n ? w->v[w->at++] : "";
}

static inline uint32_t number(const char *text)
{
	return (uint32_t)strtoul(text, NULL, 0);
}

static inline struct prefix prefix_of(const char *text)
{
	struct prefix p;

	assert_int_equal(prefix_parse(&p, span_str(text)), 0);
	return p;
}

static inline struct ip ip_of(const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(&ip, span_str(text)), 0);
	return ip;
}

static inline void kit_link(struct kstate *k, struct words *w)
{
	struct klink *l = kstate_add_link(k);

	l->index = number(word(w));
	snprintf(l->name, sizeof(l->name), "%s", word(w));
	l->up = true;
	while (w->at < w->n) {
		const char *t = word(w);

		if (strcmp(t, "kind") == 0)
			snprintf(l->kind, sizeof(l->kind), "%s", word(w));
		else if (strcmp(t, "strict") == 0)
			l->strict = true;
		else
			fail_msg("link: %s", t);
	}
}

static inline void kit_addr(struct kstate *k, struct words *w)
{
	struct kaddr *a = kstate_add_addr(k);
	char text[64], *slash;
	struct kroute *r;

	snprintf(text, sizeof(text), "%s", word(w));
	slash = strchr(text, '/');
	assert_non_null(slash);
	a->len = (uint8_t)number(slash + 1);
	word(w);
	a->link = number(word(w));
	r = kstate_add_route(k);
	r->dst = prefix_of(text);
	*slash = 0;
	a->ip = ip_of(text);
	r->table = KTABLE_MAIN;
	r->type = KROUTE_UNICAST;
	r->protocol = KPROTO_KERNEL;
	r->link = a->link;
	if (a->link == 1)
		r->table = KTABLE_LOCAL, r->type = KROUTE_LOCAL;
	r = kstate_add_route(k);
	r->dst = prefix_of(text);
	r->table = KTABLE_LOCAL;
	r->type = KROUTE_LOCAL;
	r->link = a->link;
}

static inline void kit_route(struct kstate *k, struct words *w)
{
	struct kroute *r = kstate_add_route(k);

	r->dst = prefix_of(word(w));
	r->table = KTABLE_MAIN;
	r->type = KROUTE_UNICAST;
	r->protocol = 3;
	while (w->at < w->n) {
		const char *t = word(w);

		if (strcmp(t, "via") == 0)
			r->via = ip_of(word(w));
		else if (strcmp(t, "dev") == 0)
			r->link = number(word(w));
		else if (strcmp(t, "table") == 0)
			r->table = number(word(w));
		else if (strcmp(t, "proto") == 0)
			r->protocol = (uint8_t)number(word(w));
		else if (strcmp(t, "metric") == 0)
			r->metric = number(word(w));
		else if (strcmp(t, "unreachable") == 0)
			r->type = KROUTE_UNREACHABLE;
		else if (strcmp(t, "dead") == 0)
			r->dead = true;
		else
			fail_msg("route: %s", t);
	}
}

static inline void kit_rule(struct kstate *k, struct words *w)
{
	struct krule *r = kstate_add_rule(k);

	r->family = 4;
	r->prio = number(word(w));
	r->action = KRULE_TABLE;
	while (w->at < w->n) {
		const char *t = word(w);

		if (strcmp(t, "not") == 0) {
			r->invert = true;
		} else if (strcmp(t, "mark") == 0) {
			char *m = w->v[w->at++], *slash = strchr(m, '/');

			r->mask = slash ? number(slash + 1) : UINT32_MAX;
			r->mark = number(m);
		} else if (strcmp(t, "from") == 0) {
			r->from = prefix_of(word(w));
		} else if (strcmp(t, "to") == 0) {
			r->to = prefix_of(word(w));
		} else if (strcmp(t, "iif") == 0) {
			snprintf(r->iif, sizeof(r->iif), "%s", word(w));
		} else if (strcmp(t, "oif") == 0) {
			snprintf(r->oif, sizeof(r->oif), "%s", word(w));
		} else if (strcmp(t, "table") == 0) {
			r->table = number(word(w));
		} else if (strcmp(t, "goto") == 0) {
			r->action = KRULE_GOTO;
			r->target = number(word(w));
		} else if (strcmp(t, "refuse") == 0) {
			r->action = KRULE_REFUSE;
		} else if (strcmp(t, "suppress") == 0) {
			r->suppress = (int)number(word(w));
		} else if (strcmp(t, "proto") == 0) {
			r->protocol = (uint8_t)number(word(w));
		} else if (strcmp(t, "picky") == 0) {
			r->picky = true;
		} else if (strcmp(t, "ipv6") == 0) {
			r->family = 6;
		} else {
			fail_msg("rule: %s", t);
		}
	}
}

static inline void kit_usual_rules(struct kstate *k)
{
	static const struct {
		uint32_t prio, table;
	} usual[] = {{0, 255}, {32766, 254}, {32767, 253}};

	for (unsigned i = 0; i < 6; i++) {
		struct krule *r = kstate_add_rule(k);

		r->family = i < 3 ? 4 : 6;
		r->action = KRULE_TABLE;
		r->prio = usual[i % 3].prio;
		r->table = usual[i % 3].table;
		r->protocol = KPROTO_KERNEL;
	}
}

static inline struct kstate kit_state(const char *text)
{
	char *copy = strdup(text), *rest = copy, *line;
	struct kstate k = {0};

	if (!strstr(text, "norules"))
		kit_usual_rules(&k);
	while ((line = strsep(&rest, "\n")) != NULL) {
		struct words w = {.n = 0};
		char *p = line, *one;

		while ((one = strsep(&p, " \t")) != NULL)
			if (*one && w.n < 24)
				w.v[w.n++] = one;
		const char *t = word(&w);

		if (strcmp(t, "link") == 0)
			kit_link(&k, &w);
		else if (strcmp(t, "addr") == 0)
			kit_addr(&k, &w);
		else if (strcmp(t, "route") == 0)
			kit_route(&k, &w);
		else if (strcmp(t, "rule") == 0)
			kit_rule(&k, &w);
		else if (strcmp(t, "forward4") == 0)
			k.forward4 = true;
		else if (strcmp(t, "forward6") == 0)
			k.forward6 = true;
		else if (strcmp(t, "noipv6") == 0)
			k.no_ipv6 = true;
		else if (*t && strcmp(t, "norules") != 0)
			fail_msg("%s", t);
	}
	free(copy);
	kstate_sort(&k);
	return k;
}

#endif
