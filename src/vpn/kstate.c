#include "vpn/kstate.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* ---- the lists ---- */

static void *grown(void *list, size_t *n, size_t size)
{
	/* Powers of two from 16 on: the list is full exactly when its length is one. */
	if (*n == 0 || (*n >= 16 && (*n & (*n - 1)) == 0)) {
		void *more = realloc(list, (*n ? *n * 2 : 16) * size);

		if (!more)
			return NULL;
		list = more;
	}
	memset((char *)list + *n * size, 0, size);
	++*n;
	return list;
}

struct klink *kstate_add_link(struct kstate *k)
{
	struct klink *v = grown(k->links, &k->n_links, sizeof(*v));

	if (!v)
		return NULL;
	k->links = v;
	return &v[k->n_links - 1];
}

struct kaddr *kstate_add_addr(struct kstate *k)
{
	struct kaddr *v = grown(k->addrs, &k->n_addrs, sizeof(*v));

	if (!v)
		return NULL;
	k->addrs = v;
	return &v[k->n_addrs - 1];
}

struct kroute *kstate_add_route(struct kstate *k)
{
	struct kroute *v = grown(k->routes, &k->n_routes, sizeof(*v));

	if (!v)
		return NULL;
	k->routes = v;
	return &v[k->n_routes - 1];
}

struct krule *kstate_add_rule(struct kstate *k)
{
	struct krule *v = grown(k->rules, &k->n_rules, sizeof(*v));

	if (!v)
		return NULL;
	k->rules = v;
	v[k->n_rules - 1].suppress = -1;
	return &v[k->n_rules - 1];
}

void kstate_sort(struct kstate *k)
{
	for (size_t i = 1; i < k->n_rules; i++) { /* few, and mostly in order already */
		struct krule r = k->rules[i];
		size_t at = i;

		while (at > 0 && k->rules[at - 1].prio > r.prio) {
			k->rules[at] = k->rules[at - 1];
			at--;
		}
		k->rules[at] = r;
	}
}

void kstate_fini(struct kstate *k)
{
	free(k->links);
	free(k->addrs);
	free(k->routes);
	free(k->rules);
	memset(k, 0, sizeof(*k));
}

static bool copy_all(struct kstate *out, const struct kstate *in,
		     bool (*drop_route)(const void *ctx, const struct kroute *r),
		     bool (*drop_rule)(const void *ctx, const struct krule *r), const void *ctx)
{
	for (size_t i = 0; i < in->n_links; i++) {
		struct klink *l = kstate_add_link(out);

		if (!l)
			return false;
		*l = in->links[i];
	}
	for (size_t i = 0; i < in->n_addrs; i++) {
		struct kaddr *a = kstate_add_addr(out);

		if (!a)
			return false;
		*a = in->addrs[i];
	}
	for (size_t i = 0; i < in->n_routes; i++) {
		struct kroute *r = drop_route(ctx, &in->routes[i]) ? NULL : kstate_add_route(out);

		if (r)
			*r = in->routes[i];
		else if (!drop_route(ctx, &in->routes[i]))
			return false;
	}
	for (size_t i = 0; i < in->n_rules; i++) {
		struct krule *r = drop_rule(ctx, &in->rules[i]) ? NULL : kstate_add_rule(out);

		if (r)
			*r = in->rules[i];
		else if (!drop_rule(ctx, &in->rules[i]))
			return false;
	}
	return true;
}

int kstate_copy(struct kstate *out, const struct kstate *in,
		bool (*drop_route)(const void *ctx, const struct kroute *r),
		bool (*drop_rule)(const void *ctx, const struct krule *r), const void *ctx)
{
	memset(out, 0, sizeof(*out));
	out->no_ipv6 = in->no_ipv6;
	out->forward4 = in->forward4;
	out->forward6 = in->forward6;
	if (copy_all(out, in, drop_route, drop_rule, ctx))
		return 0;
	kstate_fini(out);
	return -ERR_NOMEM;
}

const struct klink *kstate_link(const struct kstate *k, uint32_t index)
{
	for (size_t i = 0; i < k->n_links; i++)
		if (k->links[i].index == index && index)
			return &k->links[i];
	return NULL;
}

const struct klink *kstate_link_named(const struct kstate *k, const char *name)
{
	for (size_t i = 0; i < k->n_links; i++)
		if (strcmp(k->links[i].name, name) == 0)
			return &k->links[i];
	return NULL;
}

/* ---- the way of a packet ---- */

bool prefix_within(const struct prefix *in, const struct prefix *out)
{
	return in->len >= out->len && prefix_has(out, &in->ip);
}

bool prefix_same(const struct prefix *a, const struct prefix *b)
{
	return a->len == b->len && ip_eq(&a->ip, &b->ip);
}

static bool rule_fits(const struct krule *r, const struct kpacket *p)
{
	const char *oif = p->oif ? p->oif : "";
	bool fits = true;

	if (r->picky)
		return false;
	/* A packet that starts here comes in by the loopback device. */
	if (r->iif[0] && strcmp(r->iif, "lo") != 0)
		fits = false;
	if (r->oif[0] && strcmp(r->oif, oif) != 0)
		fits = false;
	if ((r->mark ^ p->mark) & r->mask)
		fits = false;
	if (r->from.ip.family && r->from.len &&
	    (!p->from.family || !prefix_has(&r->from, &p->from)))
		fits = false;
	if (r->to.ip.family && !prefix_has(&r->to, &p->to))
		fits = false;
	return fits != r->invert;
}

static const struct kroute *best_route(const struct kstate *k, uint32_t table,
				       const struct kpacket *p)
{
	const struct klink *bound = p->oif && *p->oif ? kstate_link_named(k, p->oif) : NULL;
	const struct kroute *best = NULL;

	for (size_t i = 0; i < k->n_routes; i++) {
		const struct kroute *r = &k->routes[i];

		if (r->table != table || r->dead || r->type == KROUTE_OTHER ||
		    !prefix_has(&r->dst, &p->to))
			continue;
		if (bound && r->type == KROUTE_UNICAST && r->link && r->link != bound->index)
			continue;
		if (!best || r->dst.len > best->dst.len ||
		    (r->dst.len == best->dst.len && r->metric < best->metric))
			best = r;
	}
	return best;
}

struct kway kstate_way(const struct kstate *k, const struct kpacket *p)
{
	uint32_t from_prio = 0;

	for (size_t i = 0; i < k->n_rules; i++) {
		const struct krule *r = &k->rules[i];
		const struct kroute *best;

		if (r->family != p->to.family || r->prio < from_prio || !rule_fits(r, p))
			continue;
		if (r->action == KRULE_REFUSE)
			return (struct kway){NULL, r};
		if (r->action == KRULE_GOTO)
			from_prio = r->target;
		if (r->action != KRULE_TABLE)
			continue;
		best = best_route(k, r->table, p);
		if (!best || best->type == KROUTE_THROW)
			continue;
		if (r->suppress >= 0 && best->dst.len <= r->suppress)
			continue;
		return (struct kway){best, r};
	}
	return (struct kway){NULL, NULL};
}
