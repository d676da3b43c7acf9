/*
 * What is wrong with a plan. Most of it is found by trying: the plan is put into a
 * copy of the kernel's state, and packets are sent through that. Refused is what
 * would loop or cut the machine off from something it has; what only looks odd is
 * a warning, for there are more networks than we can think of.
 */
#include <stdlib.h>
#include <string.h>

#include "vpn/plan_int.h"

enum { TUN_INDEX = 0x7ffffff0 }; /* stands for the device while there is none */

/* ---- the state as it will be ---- */

static bool drop_route(const void *ctx, const struct kroute *r)
{
	const struct plan *p = ctx;

	return r->protocol == KPROTO_OURS && r->table == p->table;
}

static bool drop_rule(const void *ctx, const struct krule *r)
{
	const struct plan *p = ctx;

	return r->protocol == KPROTO_OURS &&
	       (r->table == p->table || r->table == KTABLE_MAIN);
}

static bool put_routes(const struct plan *p, struct kstate *k, uint32_t tun)
{
	for (size_t i = 0; i < p->n_routes; i++) {
		struct kroute *r = kstate_add_route(k);

		if (!r)
			return false;
		r->dst = p->routes[i].dst;
		r->table = p->table;
		r->protocol = KPROTO_OURS;
		r->type = p->routes[i].kind == PLAN_THROW     ? KROUTE_THROW
			  : p->routes[i].kind == PLAN_NOWHERE ? KROUTE_UNREACHABLE
							      : KROUTE_UNICAST;
		r->link = p->routes[i].kind == PLAN_INTO_TUN ? tun : 0;
		r->metric = p->routes[i].kind == PLAN_NOWHERE ? UINT32_MAX : 0;
	}
	return true;
}

static bool put_rules(const struct plan *p, struct kstate *k)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		struct krule *r = kstate_add_rule(k);

		if (!r)
			return false;
		r->family = p->rules[i].family;
		r->protocol = KPROTO_OURS;
		r->prio = p->rules[i].prio;
		r->action = KRULE_TABLE;
		r->table = p->rules[i].table;
		r->mark = p->mark;
		r->mask = UINT32_MAX;
		r->invert = true;
		r->suppress = p->rules[i].suppress ? 0 : -1;
	}
	kstate_sort(k);
	return true;
}

static bool put_local(const struct conf_tun_addr *a, struct kstate *k, uint32_t tun)
{
	struct kroute *r = kstate_add_route(k);

	if (!r)
		return false;
	r->dst = plan_host(&a->ip);
	r->table = KTABLE_LOCAL;
	r->type = KROUTE_LOCAL;
	r->link = tun;
	return true;
}

static bool future(const struct plan *p, const struct kstate *now, struct kstate *k)
{
	const struct klink *there = kstate_link_named(now, p->in->tun.name);
	uint32_t tun = there ? there->index : TUN_INDEX;
	struct klink *l;

	if (kstate_copy(k, now, drop_route, drop_rule, p) != 0)
		return false;
	l = there ? NULL : kstate_add_link(k);
	if (l) {
		l->index = tun;
		snprintf(l->name, sizeof(l->name), "%s", p->in->tun.name);
	} else if (!there) {
		return false;
	}
	for (size_t i = 0; i < p->in->tun.n_addrs; i++)
		if (plan_family(p, p->in->tun.addrs[i].ip.family) &&
		    !put_local(&p->in->tun.addrs[i], k, tun))
			return false;
	return put_routes(p, k, tun) && put_rules(p, k);
}

/* ---- the device and its addresses ---- */

static void judge_device(struct plan *p, const struct kstate *k)
{
	const struct klink *l = kstate_link_named(k, p->in->tun.name);

	if (l && strcmp(l->kind, "tun") != 0)
		plan_say(p, PLAN_REFUSED, "the name %s is taken by a device that is no TUN (%s); "
					  "choose another \"name\"", l->name,
			 *l->kind ? l->kind : "hardware");
}

static const char *owner_of(const struct kstate *k, const struct kaddr *a)
{
	const struct klink *l = kstate_link(k, a->link);

	return l ? l->name : "another device";
}

static void judge_address(struct plan *p, const struct conf_tun_addr *mine, const struct kstate *k,
			  const struct kaddr *a)
{
	const char *dev = owner_of(k, a);
	char mine_text[PREFIX_TEXT], net_text[PREFIX_TEXT];
	struct prefix net, my_net;

	if (a->ip.family != mine->ip.family || strcmp(dev, p->in->tun.name) == 0 ||
	    prefix_set(&net, &a->ip, a->len) != 0 || prefix_set(&my_net, &mine->ip, mine->len) != 0)
		return;
	plan_prefix_text(&net, net_text);
	plan_prefix_text(&(struct prefix){mine->ip, mine->len}, mine_text);
	if (ip_eq(&a->ip, &mine->ip))
		plan_say(p, PLAN_REFUSED, "address %s: %s has it already", mine_text, dev);
	else if (prefix_same(&net, &my_net) && net.len < (a->ip.family == 4 ? 32 : 128))
		plan_say(p, PLAN_REFUSED, "address %s: %s is the network of %s, which would be cut "
					  "off; choose addresses that no network here uses",
			 mine_text, net_text, dev);
	else if (prefix_within(&my_net, &net))
		plan_say(p, PLAN_WARNING, "address %s: hides a part of %s, the network of %s",
			 mine_text, net_text, dev);
}

static void judge_addresses(struct plan *p, const struct kstate *k)
{
	for (size_t i = 0; i < p->in->tun.n_addrs; i++)
		for (size_t a = 0; a < k->n_addrs; a++)
			if (plan_family(p, p->in->tun.addrs[i].ip.family))
				judge_address(p, &p->in->tun.addrs[i], k, &k->addrs[a]);
}

/* ---- routes against what is there ---- */

static void judge_route(struct plan *p, const struct plan_route *mine, const struct kstate *k,
			const struct kroute *r)
{
	const struct klink *l = kstate_link(k, r->link);
	const char *dev = l ? l->name : "other ways";
	char mine_text[PREFIX_TEXT], text[PREFIX_TEXT];
	bool connected = r->via.family == 0 && r->type == KROUTE_UNICAST;

	if (r->table != KTABLE_MAIN || r->dst.len == 0 || r->protocol == KPROTO_OURS || r->dead ||
	    (l && strcmp(l->name, p->in->tun.name) == 0))
		return;
	plan_prefix_text(&mine->dst, mine_text);
	plan_prefix_text(&r->dst, text);
	if (prefix_same(&mine->dst, &r->dst) && connected && strcmp(mine->why, "routes") == 0)
		plan_say(p, PLAN_REFUSED, "route %s: is the network of %s, which would be cut off; "
					  "take it out, or give the far network another prefix",
			 mine_text, dev);
	else if (prefix_same(&mine->dst, &r->dst) && !connected)
		plan_say(p, PLAN_WARNING, "route %s: replaces the system's route by %s", mine_text,
			 dev);
	else if (mine->dst.len > r->dst.len && prefix_within(&mine->dst, &r->dst) && connected &&
		 strcmp(mine->why, "routes") == 0)
		plan_say(p, PLAN_WARNING, "route %s: hides a part of %s, the network of %s",
			 mine_text, text, dev);
}

static void judge_routes(struct plan *p, const struct kstate *k)
{
	for (size_t i = 0; i < p->n_routes; i++)
		for (size_t r = 0; r < k->n_routes && p->routes[i].kind == PLAN_INTO_TUN; r++)
			judge_route(p, &p->routes[i], k, &k->routes[r]);
}

/* ---- trying ---- */

static const char *dev_of(const struct kstate *k, const struct kroute *r)
{
	const struct klink *l = r ? kstate_link(k, r->link) : NULL;

	return l ? l->name : "";
}

static bool is_own_address(const struct plan *p, const struct ip *ip)
{
	for (size_t i = 0; i < p->in->tun.n_addrs; i++)
		if (ip_eq(&p->in->tun.addrs[i].ip, ip))
			return true;
	return false;
}

static struct ip bound_to(const struct conf_send_through *via)
{
	struct ip none = {0};
	bool host = via->kind == CONF_VIA_PREFIX &&
		    via->prefix.len == (via->prefix.ip.family == 4 ? 32 : 128);

	return host ? via->prefix.ip : none;
}

static void judge_way(struct plan *p, const struct plan_carrier *c, const struct kstate *k,
		      const struct kway *way, const char *who)
{
	const struct kroute *r = way->route;
	const char *dev = dev_of(k, r);
	char text[PREFIX_TEXT];

	if (r && strcmp(dev, p->in->tun.name) == 0)
		plan_say(p, PLAN_REFUSED, "server %s: a route of the table %u (%s) leads our own "
					  "connections into %s: a loop", who, r->table,
			 plan_prefix_text(&r->dst, text), dev);
	else if (r && r->type == KROUTE_LOCAL && (p->in->tun.default4 || p->in->tun.default6))
		plan_say(p, PLAN_WARNING, "server %s is on this machine: whatever listens there "
					  "must keep its own connections out of the TUN", who);
	else if (!r || r->type == KROUTE_UNREACHABLE)
		plan_say(p, PLAN_WARNING, "server %s: there is no route to it now", who);
	(void)c;
}

static void judge_carrier(struct plan *p, struct plan_carrier *c, const struct kstate *k)
{
	const struct conf_sockopt *so = &c->out->stream.sockopt;
	struct kpacket pkt = {c->ip, bound_to(&c->out->via), so->mark, so->interface};
	char who[ADDR_TEXT_MAX + 64], at[ADDR_TEXT_MAX];
	struct addr to = addr_from_ip(&c->ip, c->server->port);
	struct kway way;

	if (c->ip.family == 0) {
		plan_say(p, PLAN_NOTE, "server %s of [%s]: its addresses are not known yet",
			 addr_text(c->server, at, sizeof(at)), c->out->tag);
		return;
	}
	snprintf(who, sizeof(who), "%.60s of [%.40s]", addr_text(&to, at, sizeof(at)),
		 c->out->tag);
	if (is_own_address(p, &c->ip)) {
		plan_say(p, PLAN_REFUSED, "server %s is the TUN's own address: a loop", who);
		return;
	}
	if (*so->interface && !kstate_link_named(k, so->interface))
		plan_say(p, PLAN_WARNING, "server %s: there is no device %s to leave by", who,
			 so->interface);
	way = kstate_way(k, &pkt);
	judge_way(p, c, k, &way, who);
	snprintf(c->dev, sizeof(c->dev), "%s", dev_of(k, way.route));
}

/* Packets to ourselves must stay here, whatever rules there are. */
static void judge_local(struct plan *p, const struct kstate *now, const struct kstate *then)
{
	for (size_t i = 0; i < now->n_addrs; i++) {
		struct kpacket pkt = {.to = now->addrs[i].ip};
		struct kway before = kstate_way(now, &pkt), after = kstate_way(then, &pkt);
		char text[ADDR_TEXT_MAX];

		if (!before.route || before.route->type != KROUTE_LOCAL ||
		    (after.route && after.route->type == KROUTE_LOCAL))
			continue;
		plan_say(p, PLAN_REFUSED, "%s, an address of this machine, would not be local any "
					  "more: the rule for the table local comes behind "
					  "priority %u; choose a larger \"priority\"",
			 ip_text(&pkt.to, text, sizeof(text)), p->in->tun.priority);
		return;
	}
}

enum { SAMPLES = 4 };

/* Number @n of some addresses that the route takes and that nothing more specific does. For a
 * default route they are far from each other: the LAN may have one of them. */
static bool sample(const struct plan *p, const struct plan_route *r, unsigned n, struct ip *out)
{
	static const uint8_t world4[SAMPLES][4] = {
		{192, 0, 2, 1}, {203, 0, 113, 1}, {45, 0, 0, 1}, {100, 1, 0, 1}};
	static const uint8_t world6[SAMPLES][16] = {{0x20, 0x01, 0x0d, 0xb8, [15] = 1},
						    {0x24, 0x00, [15] = 1},
						    {0x26, 0x00, [15] = 1},
						    {0x2a, 0x00, [15] = 1}};
	unsigned bits = r->dst.ip.family == 4 ? 32 : 128;

	if (r->dst.len && n)
		return false;
	*out = r->dst.ip;
	if (r->dst.len == 0)
		*out = bits == 32 ? ip_v4(world4[n]) : ip_v6(world6[n]);
	else if (r->dst.len < bits)
		out->b[bits / 8 - 1] |= 1;
	for (size_t i = 0; i < p->n_routes; i++)
		if (&p->routes[i] != r && p->routes[i].dst.len > r->dst.len &&
		    p->routes[i].kind != PLAN_NOWHERE && prefix_has(&p->routes[i].dst, out))
			return false;
	return !is_own_address(p, out);
}

/* True when no sample of the route gets into the TUN; @way: of the last one. */
static bool without_effect(const struct plan *p, const struct kstate *k,
			   const struct plan_route *r, struct kway *way)
{
	bool tried = false;

	for (unsigned n = 0; n < SAMPLES && r->kind == PLAN_INTO_TUN; n++) {
		struct kpacket pkt = {0};

		if (!sample(p, r, n, &pkt.to))
			continue;
		*way = kstate_way(k, &pkt);
		if (way->route && strcmp(dev_of(k, way->route), p->in->tun.name) == 0)
			return false;
		tried = true;
	}
	return tried;
}

static void judge_effect(struct plan *p, const struct kstate *k)
{
	for (size_t i = 0; i < p->n_routes; i++) {
		const struct plan_route *r = &p->routes[i];
		struct kway way;
		char text[PREFIX_TEXT];

		if (!without_effect(p, k, r, &way))
			continue;
		if (way.rule && way.rule->protocol == KPROTO_OURS &&
		    way.rule->table == KTABLE_MAIN)
			plan_say(p, PLAN_WARNING, "route %s: routes of the table main by %s come "
						  "first, perhaps another VPN's",
				 plan_prefix_text(&r->dst, text), dev_of(k, way.route));
		else if (way.rule)
			plan_say(p, PLAN_WARNING, "route %s: the rule of priority %u comes first, "
						  "perhaps another VPN's",
				 plan_prefix_text(&r->dst, text), way.rule->prio);
	}
}

/* ---- what goes with it ---- */

static bool has_default(const struct kstate *k, uint8_t family)
{
	for (size_t i = 0; i < k->n_routes; i++)
		if (k->routes[i].table == KTABLE_MAIN && k->routes[i].dst.len == 0 &&
		    k->routes[i].dst.ip.family == family && !k->routes[i].dead &&
		    k->routes[i].type == KROUTE_UNICAST && k->routes[i].protocol != KPROTO_OURS)
			return true;
	return false;
}

/* By a route that is asked before main, that is, not by a default route. */
static bool inside_specific(const struct plan *p, const struct ip *ip)
{
	for (size_t i = 0; i < p->n_routes; i++)
		if (p->routes[i].kind == PLAN_INTO_TUN && p->routes[i].dst.len > 0 &&
		    prefix_has(&p->routes[i].dst, ip))
			return plan_takes(p, ip);
	return false;
}

static void judge_leaks(struct plan *p, const struct conf *c, const struct kstate *k)
{
	const struct conf_in_tun *t = &p->in->tun;
	char text[ADDR_TEXT_MAX];

	if (t->default4 && !t->default6 && has_default(k, 6))
		plan_say(p, PLAN_WARNING, "IPv6 has a default route of its own and stays outside "
					  "the TUN; add \"::/0\" to \"routes\" if it shall not");
	if (t->default6 && !t->default4 && has_default(k, 4))
		plan_say(p, PLAN_WARNING, "IPv4 has a default route of its own and stays outside "
					  "the TUN; add \"0.0.0.0/0\" to \"routes\" if it shall not");
	for (size_t i = 0; i < c->dns.n_servers; i++) {
		const struct addr *a = &c->dns.servers[i].addr;

		if (a->kind == ADDR_IP && inside_specific(p, &a->ip))
			plan_say(p, PLAN_WARNING, "name server %s of \"dns\": it is asked from "
						  "outside the TUN, where it may not be",
				 ip_text(&a->ip, text, sizeof(text)));
	}
}

/* Answers to our own packets come in by the underlay although the way to their senders leads,
 * for everybody without our mark, into the TUN: a strict filter would drop them. */
static void judge_filter(struct plan *p, const struct kstate *k)
{
	for (size_t i = 0; i < k->n_routes && p->in->tun.default4 && p->with4; i++) {
		const struct kroute *r = &k->routes[i];
		const struct klink *l = kstate_link(k, r->link);

		if (r->table != KTABLE_MAIN || r->dst.len || r->dst.ip.family != 4 || r->dead ||
		    !l || !l->strict || strcmp(l->name, p->in->tun.name) == 0)
			continue;
		if (p->n_loose == PLAN_LOOSE_MAX)
			return;
		memcpy(p->loose[p->n_loose++], l->name, KNAME_LEN);
		plan_say(p, PLAN_NOTE, "rp_filter of %s is strict and would drop answers to our own "
				       "connections: it is loosened while the TUN is up", l->name);
	}
}

void plan_judge(struct plan *p, const struct conf *c, const struct kstate *k)
{
	struct kstate then = {0};

	judge_device(p, k);
	judge_addresses(p, k);
	judge_routes(p, k);
	if (future(p, k, &then)) {
		for (size_t i = 0; i < p->n_carriers; i++)
			judge_carrier(p, &p->carriers[i], &then);
		plan_judge_deliveries(p, &then);
		judge_local(p, k, &then);
		judge_effect(p, &then);
	} else {
		p->nomem = true;
	}
	kstate_fini(&then);
	judge_leaks(p, c, k);
	judge_filter(p, k);
}
