#include "vpn/plan.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "vpn/plan_int.h"

enum { TABLES_TRIED = 32 };

/* ---- lists ---- */

void plan_say(struct plan *p, enum plan_level level, const char *fmt, ...)
{
	struct plan_msg *v = realloc(p->msgs, (p->n_msgs + 1) * sizeof(*v));
	va_list ap;

	p->warnings += level == PLAN_WARNING;
	p->refusals += level == PLAN_REFUSED;
	if (!v) {
		p->nomem = true;
		return;
	}
	p->msgs = v;
	v[p->n_msgs].level = level;
	va_start(ap, fmt);
	vsnprintf(v[p->n_msgs].text, sizeof(v->text), fmt, ap);
	va_end(ap);
	p->n_msgs++;
}

char *plan_prefix_text(const struct prefix *p, char out[PREFIX_TEXT])
{
	char ip[ADDR_TEXT_MAX];

	snprintf(out, PREFIX_TEXT, "%.46s/%u", ip_text(&p->ip, ip, sizeof(ip)), p->len);
	return out;
}

void plan_add_route(struct plan *p, const struct prefix *dst, enum plan_route_kind kind,
		    const char *why)
{
	struct plan_route *v;

	for (size_t i = 0; i < p->n_routes; i++)
		if (prefix_same(&p->routes[i].dst, dst) &&
		    (p->routes[i].kind == PLAN_NOWHERE) == (kind == PLAN_NOWHERE))
			return;
	v = realloc(p->routes, (p->n_routes + 1) * sizeof(*v));
	if (!v) {
		p->nomem = true;
		return;
	}
	p->routes = v;
	v[p->n_routes].dst = *dst;
	v[p->n_routes].kind = kind;
	snprintf(v[p->n_routes].why, sizeof(v->why), "%s", why);
	p->n_routes++;
}

static const struct plan_route *longest(const struct plan *p, const struct ip *ip)
{
	const struct plan_route *best = NULL;

	for (size_t i = 0; i < p->n_routes; i++) {
		const struct plan_route *r = &p->routes[i];

		if (r->kind != PLAN_NOWHERE && prefix_has(&r->dst, ip) &&
		    (!best || r->dst.len > best->dst.len))
			best = r;
	}
	return best;
}

bool plan_takes(const struct plan *p, const struct ip *ip)
{
	const struct plan_route *r = longest(p, ip);

	return r && r->kind == PLAN_INTO_TUN;
}

/* ---- families, table ---- */

static void choose_families(struct plan *p, const struct kstate *k)
{
	const struct conf_in_tun *t = &p->in->tun;

	for (size_t i = 0; i < t->n_addrs; i++) {
		p->with4 |= t->addrs[i].ip.family == 4;
		p->with6 |= t->addrs[i].ip.family == 6;
	}
	for (size_t i = 0; i < t->n_routes; i++) {
		p->with4 |= t->routes[i].ip.family == 4;
		p->with6 |= t->routes[i].ip.family == 6;
	}
	if (p->with6 && k->no_ipv6) {
		p->with6 = false;
		plan_say(p, PLAN_NOTE, "IPv6 is off on this machine: its addresses and routes are "
				       "left out");
	}
}

/* Leads a route of ours in it to a device that is there, and not to the one of @name? */
static bool table_in_use(const struct kstate *k, uint32_t table, const char *name)
{
	for (size_t i = 0; i < k->n_routes; i++) {
		const struct kroute *r = &k->routes[i];
		const struct klink *l = kstate_link(k, r->link);

		/* What leads nowhere stands on the loopback device in IPv6. */
		if (r->table == table && r->protocol == KPROTO_OURS && l &&
		    r->type == KROUTE_UNICAST && strcmp(l->name, name) != 0)
			return true;
	}
	return false;
}

bool plan_is_stale_table(const struct kstate *k, uint32_t table, const char *name)
{
	return !table_in_use(k, table, name);
}

/* Does anybody else put routes into it, or ask it? */
static bool table_is_foreign(const struct kstate *k, uint32_t table)
{
	for (size_t i = 0; i < k->n_routes; i++)
		if (k->routes[i].table == table && k->routes[i].protocol != KPROTO_OURS)
			return true;
	for (size_t i = 0; i < k->n_rules; i++)
		if (k->rules[i].action == KRULE_TABLE && k->rules[i].table == table &&
		    k->rules[i].protocol != KPROTO_OURS)
			return true;
	return false;
}

static void choose_table(struct plan *p, const struct kstate *k)
{
	const struct conf_in_tun *t = &p->in->tun;

	p->table = t->table;
	if (t->table && table_is_foreign(k, t->table))
		plan_say(p, PLAN_REFUSED, "table %u holds routes or has rules that are not ours; "
					  "choose another \"table\"", t->table);
	else if (t->table && table_in_use(k, t->table, t->name))
		plan_say(p, PLAN_REFUSED, "table %u is in use by another TUN of ours; choose "
					  "another \"table\"", t->table);
	if (t->table)
		return;
	for (uint32_t i = 0; i < TABLES_TRIED && !p->table; i++)
		if (!table_is_foreign(k, CONF_TUN_TABLE + i) &&
		    !table_in_use(k, CONF_TUN_TABLE + i, t->name))
			p->table = CONF_TUN_TABLE + i;
	if (!p->table)
		plan_say(p, PLAN_REFUSED, "no free table from %d to %d; choose a \"table\"",
			 CONF_TUN_TABLE, CONF_TUN_TABLE + TABLES_TRIED - 1);
}

/* ---- routes ---- */

static void add_configured(struct plan *p)
{
	const struct conf_in_tun *t = &p->in->tun;

	for (size_t i = 0; i < t->n_excludes; i++)
		if (plan_family(p, t->excludes[i].ip.family))
			plan_add_route(p, &t->excludes[i], PLAN_THROW, "exclude");
	for (size_t i = 0; i < t->n_routes; i++)
		if (plan_family(p, t->routes[i].ip.family))
			plan_add_route(p, &t->routes[i], PLAN_INTO_TUN, "routes");
	for (size_t i = 0; i < t->n_addrs; i++) {
		const struct conf_tun_addr *a = &t->addrs[i];
		struct prefix net;

		if (plan_family(p, a->ip.family) && a->len < (a->ip.family == 4 ? 32 : 128) &&
		    prefix_set(&net, &a->ip, a->len) == 0)
			plan_add_route(p, &net, PLAN_INTO_TUN, "addresses");
	}
}

static bool link_local(const struct prefix *p)
{
	return p->ip.family == 6 && p->ip.b[0] == 0xfe && (p->ip.b[1] & 0xc0) == 0x80;
}

/* A route of the system that a more general one of ours must not swallow. */
static bool is_specific(const struct plan *p, const struct kstate *k, const struct kroute *r)
{
	const struct klink *l = kstate_link(k, r->link);

	if (r->table != KTABLE_MAIN || r->dst.len == 0 || r->protocol == KPROTO_OURS ||
	    r->type == KROUTE_THROW || r->type == KROUTE_OTHER || link_local(&r->dst))
		return false;
	return !l || strcmp(l->name, p->in->tun.name) != 0;
}

/* Only inside routes that are asked before main: the default routes come behind it. */
static bool inside_ours(const struct plan *p, const struct prefix *dst)
{
	for (size_t i = 0; i < p->n_routes; i++) {
		const struct plan_route *r = &p->routes[i];

		if (r->kind == PLAN_INTO_TUN && r->dst.len > 0 && dst->len > r->dst.len &&
		    prefix_within(dst, &r->dst))
			return true;
	}
	return false;
}

static void add_specific(struct plan *p, const struct kstate *k)
{
	for (size_t i = 0; i < k->n_routes; i++) {
		const struct kroute *r = &k->routes[i];
		const struct klink *l = kstate_link(k, r->link);
		char why[64];

		if (!is_specific(p, k, r) || !inside_ours(p, &r->dst))
			continue;
		snprintf(why, sizeof(why), "route by %s", l ? l->name : "other ways");
		plan_add_route(p, &r->dst, PLAN_THROW, why);
	}
}

static void add_kill_switch(struct plan *p)
{
	size_t n = p->n_routes;

	for (size_t i = 0; i < n && p->in->tun.kill_switch; i++) {
		struct prefix dst = p->routes[i].dst;

		if (p->routes[i].kind == PLAN_INTO_TUN)
			plan_add_route(p, &dst, PLAN_NOWHERE, "killSwitch");
	}
}

/* ---- servers ---- */

static const struct addr *server_of(const struct conf_outbound *o)
{
	if (*o->stream.sockopt.dialer_proxy)
		return NULL; /* somebody else's socket */
	switch (o->proto) {
	case CONF_OUT_VLESS:
		return &o->vless.server;
	case CONF_OUT_SHADOWSOCKS:
		return &o->ss.server;
	case CONF_OUT_SOCKS:
	case CONF_OUT_HTTP:
		return &o->proxy.server;
	default:
		return NULL;
	}
}

static void add_carrier(struct plan *p, const struct conf_outbound *o, const struct addr *server,
			const struct ip *ip)
{
	struct plan_carrier *v = realloc(p->carriers, (p->n_carriers + 1) * sizeof(*v));

	if (!v) {
		p->nomem = true;
		return;
	}
	p->carriers = v;
	v[p->n_carriers++] = (struct plan_carrier){
		.out = o, .server = server, .ip = ip ? *ip : (struct ip){0}};
}

static void add_carriers(struct plan *p, const struct conf *c, const struct plan_name *names,
			 size_t n_names)
{
	for (size_t i = 0; i < c->n_outbounds; i++) {
		const struct addr *server = server_of(&c->outbounds[i]);
		bool known = false;

		if (!server)
			continue;
		if (server->kind == ADDR_IP)
			add_carrier(p, &c->outbounds[i], server, &server->ip);
		for (size_t n = 0; server->kind == ADDR_NAME && n < n_names; n++) {
			if (strcmp(names[n].name, server->name) != 0)
				continue;
			add_carrier(p, &c->outbounds[i], server, &names[n].ip);
			known = true;
		}
		if (server->kind == ADDR_NAME && !known)
			add_carrier(p, &c->outbounds[i], server, NULL);
	}
}

/* Also where something more specific leads elsewhere now: that may go. */
static bool covered(const struct plan *p, const struct ip *ip)
{
	for (size_t i = 0; i < p->n_routes; i++)
		if (p->routes[i].kind == PLAN_INTO_TUN && prefix_has(&p->routes[i].dst, ip))
			return true;
	return false;
}

/* Pinned: nobody else's packets to a server go into what the server carries. */
static void add_pins(struct plan *p)
{
	for (size_t i = 0; i < p->n_carriers; i++) {
		const struct plan_carrier *c = &p->carriers[i];
		struct prefix host = plan_host(&c->ip);
		char why[64];

		if (!c->ip.family || !covered(p, &c->ip))
			continue;
		snprintf(why, sizeof(why), "server of [%.40s]", c->out->tag);
		plan_add_route(p, &host, PLAN_THROW, why);
	}
}

/* ---- rules ---- */

static bool any_route(const struct plan *p, uint8_t family, bool of_default)
{
	for (size_t i = 0; i < p->n_routes; i++)
		if (p->routes[i].dst.ip.family == family && p->routes[i].kind == PLAN_INTO_TUN &&
		    (p->routes[i].dst.len == 0) == of_default)
			return true;
	return false;
}

static void add_rule(struct plan *p, uint8_t family, uint32_t offset, uint32_t table,
		     bool suppress)
{
	p->rules[p->n_rules++] = (struct plan_rule){
		family, p->in->tun.priority + offset, table, suppress};
}

static void add_rules(struct plan *p, uint8_t family)
{
	if (!plan_family(p, family))
		return;
	if (any_route(p, family, false))
		add_rule(p, family, 0, p->table, true);
	if (any_route(p, family, true)) {
		add_rule(p, family, 1, KTABLE_MAIN, true);
		add_rule(p, family, 2, p->table, false);
	}
}

/* ---- the whole ---- */

bool plan_make(struct plan *out, const struct conf *c, const struct kstate *k,
	       const struct plan_name *names, size_t n_names)
{
	memset(out, 0, sizeof(*out));
	out->in = conf_tun_find(c);
	out->mark = out->in->tun.mark;
	choose_families(out, k);
	choose_table(out, k);
	add_configured(out);
	add_specific(out, k);
	add_carriers(out, c, names, n_names);
	add_pins(out);
	plan_add_deliveries(out, c);
	add_kill_switch(out);
	add_rules(out, 4);
	add_rules(out, 6);
	if (!out->nomem)
		plan_judge(out, c, k);
	return !out->nomem;
}

void plan_fini(struct plan *p)
{
	free(p->routes);
	free(p->carriers);
	free(p->deliveries);
	free(p->msgs);
	memset(p, 0, sizeof(*p));
}
