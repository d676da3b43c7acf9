#include "vpn/reconcile.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "vpn/plan_int.h"

enum {
	METRIC6 = 1024,		  /* what the kernel makes of 0 in IPv6 */
	METRIC_LAST = 0xff000000, /* behind everything */
};

static int first_fault(int a, int b)
{
	return a ? a : b;
}

/* ---- routes ---- */

static struct rtnl_route wanted_route(const struct plan *p, const struct plan_route *r,
				      uint32_t link)
{
	static const enum kroute_type types[] = {KROUTE_UNICAST, KROUTE_THROW, KROUTE_UNREACHABLE};

	return (struct rtnl_route){
		.dst = r->dst,
		.table = p->table,
		.metric = r->kind == PLAN_NOWHERE ? METRIC_LAST :
			  r->dst.ip.family == 6	  ? METRIC6 :
						    0,
		.type = types[r->kind],
		.link = r->kind == PLAN_INTO_TUN ? link : 0,
	};
}

static bool same_route(const struct kroute *have, const struct rtnl_route *want)
{
	return have->protocol == KPROTO_OURS && have->table == want->table &&
	       have->type == want->type && have->metric == want->metric &&
	       prefix_same(&have->dst, &want->dst) &&
	       (want->type != KROUTE_UNICAST || have->link == want->link);
}

static int add_routes(struct rtnl *n, const struct kstate *k, const struct plan *p, uint32_t link)
{
	int result = 0;

	for (size_t i = 0; p && i < p->n_routes; i++) {
		struct rtnl_route want = wanted_route(p, &p->routes[i], link);
		char text[PREFIX_TEXT];
		bool there = false;
		int err;

		for (size_t h = 0; h < k->n_routes && !there; h++)
			there = same_route(&k->routes[h], &want);
		err = there ? 0 : rtnl_route_add(n, &want);
		if (err)
			log_err("tun", "route %s: %s", plan_prefix_text(&want.dst, text),
				strerror(-err));
		result = first_fault(result, err);
	}
	return result;
}

static bool route_wanted(const struct kroute *have, const struct plan *p, uint32_t link)
{
	for (size_t i = 0; p && i < p->n_routes; i++) {
		struct rtnl_route want = wanted_route(p, &p->routes[i], link);

		if (same_route(have, &want))
			return true;
	}
	return false;
}

/* May we remove what is in this table? */
static bool is_mine(const struct kstate *k, uint32_t table, uint32_t mine, const char *name)
{
	return table == mine || plan_is_stale_table(k, table, name);
}

static int del_routes(struct rtnl *n, const struct kstate *k, const struct plan *p,
		      uint32_t table, const char *name, uint32_t link)
{
	int result = 0;

	for (size_t i = 0; i < k->n_routes; i++) {
		const struct kroute *r = &k->routes[i];
		struct rtnl_route gone = {r->dst, r->table, r->metric, r->type, 0, {0}};
		char text[PREFIX_TEXT];
		int err;

		if (r->protocol != KPROTO_OURS || !is_mine(k, r->table, table, name) ||
		    route_wanted(r, p, link))
			continue;
		if (r->type == KROUTE_UNICAST)
			gone.link = r->link;
		err = rtnl_route_del(n, &gone);
		if (err && err != -ESRCH)
			log_warn("tun", "route %s stays behind: %s",
				 plan_prefix_text(&gone.dst, text), strerror(-err));
		result = first_fault(result, err == -ESRCH ? 0 : err);
	}
	return result;
}

/* ---- rules ---- */

static bool same_rule(const struct krule *have, const struct plan_rule *want, uint32_t mark)
{
	return have->protocol == KPROTO_OURS && have->family == want->family &&
	       have->prio == want->prio && have->action == KRULE_TABLE &&
	       have->table == want->table && have->invert && have->mark == mark &&
	       have->mask == UINT32_MAX && (have->suppress == 0) == want->suppress;
}

static int add_rules(struct rtnl *n, const struct kstate *k, const struct plan *p)
{
	int result = 0;

	for (size_t i = 0; p && i < p->n_rules; i++) {
		const struct plan_rule *r = &p->rules[i];
		struct rtnl_rule want = {r->family, r->prio, r->table, p->mark, r->suppress};
		bool there = false;
		int err;

		for (size_t h = 0; h < k->n_rules && !there; h++)
			there = same_rule(&k->rules[h], r, p->mark);
		err = there ? 0 : rtnl_rule_add(n, &want);
		if (err == -EEXIST)
			err = 0;
		if (err)
			log_err("tun", "rule %u: %s", want.prio, strerror(-err));
		result = first_fault(result, err);
	}
	return result;
}

static bool rule_wanted(const struct krule *have, const struct plan *p)
{
	for (size_t i = 0; p && i < p->n_rules; i++)
		if (same_rule(have, &p->rules[i], p->mark))
			return true;
	return false;
}

/* The rule that asks main has no table of ours: it belongs to the rule behind it. */
static uint32_t owner_table(const struct kstate *k, const struct krule *r)
{
	for (size_t i = 0; r->table == KTABLE_MAIN && i < k->n_rules; i++)
		if (k->rules[i].protocol == KPROTO_OURS && k->rules[i].family == r->family &&
		    k->rules[i].prio == r->prio + 1 && k->rules[i].table != KTABLE_MAIN)
			return k->rules[i].table;
	return r->table;
}

static int del_rules(struct rtnl *n, const struct kstate *k, const struct plan *p, uint32_t table,
		     const char *name)
{
	int result = 0;

	for (size_t i = 0; i < k->n_rules; i++) {
		const struct krule *r = &k->rules[i];
		struct rtnl_rule gone = {r->family, r->prio, r->table, r->mask ? r->mark : 0,
					 r->suppress == 0};
		int err;

		if (r->protocol != KPROTO_OURS || r->action != KRULE_TABLE ||
		    !is_mine(k, owner_table(k, r), table, name) || rule_wanted(r, p))
			continue;
		err = rtnl_rule_del(n, &gone);
		if (err && err != -ENOENT)
			log_warn("tun", "rule %u stays behind: %s", r->prio, strerror(-err));
		result = first_fault(result, err == -ENOENT ? 0 : err);
	}
	return result;
}

/* In this order no packet sees rules without routes. */
int reconcile(struct rtnl *n, const struct kstate *k, const struct plan *p, uint32_t table,
	      const char *name, uint32_t link)
{
	int err = add_routes(n, k, p, link);

	err = first_fault(err, add_rules(n, k, p));
	err = first_fault(err, del_rules(n, k, p, table, name));
	return first_fault(err, del_routes(n, k, p, table, name, link));
}
