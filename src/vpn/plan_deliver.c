/*
 * Flows that end here: which outbounds bring them where, and for those that go into the device as
 * packets of their originators, whether this machine passes them on and answers come back.
 */
#include <stdlib.h>
#include <string.h>

#include "vpn/plan_int.h"

/* ---- what there is ---- */

static const char *how(const struct conf_outbound *o)
{
	if (o->proto == CONF_OUT_TUN)
		return "transparent";
	return o->freedom.proxy_protocol ? "proxy" : "dial";
}

static bool is_own(const struct plan *p, const struct ip *ip)
{
	for (size_t i = 0; i < p->in->tun.n_addrs; i++)
		if (ip_eq(&p->in->tun.addrs[i].ip, ip))
			return true;
	return false;
}

static void add(struct plan *p, const struct conf_outbound *o, const struct prefix *to)
{
	struct plan_delivery *v = realloc(p->deliveries, (p->n_deliveries + 1) * sizeof(*v));

	if (!v) {
		p->nomem = true;
		return;
	}
	p->deliveries = v;
	v[p->n_deliveries++] = (struct plan_delivery){
		.out = o, .to = *to, .how = how(o), .here = is_own(p, &to->ip)};
}

/* What the rules name; sets of addresses with a name of their own are no LAN. */
static void add_allowed(struct plan *p, const struct conf_outbound *o,
			const struct conf_final_rule *v, size_t n)
{
	struct prefix to;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; v[i].allow && k < v[i].ips.n; k++)
			if (prefix_parse(&to, span_str(v[i].ips.v[k])) == 0)
				add(p, o, &to);
}

void plan_add_deliveries(struct plan *p, const struct conf *c)
{
	for (size_t i = 0; i < c->n_outbounds; i++) {
		const struct conf_outbound *o = &c->outbounds[i];

		if (o->proto == CONF_OUT_FREEDOM)
			add_allowed(p, o, o->freedom.final_rules, o->freedom.n_final_rules);
		if (o->proto == CONF_OUT_TUN)
			add_allowed(p, o, o->tun.final_rules, o->tun.n_final_rules);
	}
}

/* ---- the way there ---- */

/* Some host of the LAN that is not this machine. */
static struct kway way_into(const struct kstate *k, const struct prefix *lan)
{
	unsigned last = lan->ip.family == 4 ? 3 : 15;
	struct kpacket pkt = {.to = lan->ip};
	struct kway way = kstate_way(k, &pkt);

	for (uint8_t host = 1; lan->len <= last * 8 + 5 && host < 7; host++) {
		pkt.to.b[last] = lan->ip.b[last] | host;
		way = kstate_way(k, &pkt);
		if (way.route && way.route->type == KROUTE_UNICAST)
			break;
	}
	return way;
}

static void judge_way(struct plan *p, const struct plan_delivery *d, const struct kroute *r)
{
	char text[PREFIX_TEXT];

	plan_prefix_text(&d->to, text);
	if (!r || r->type != KROUTE_UNICAST)
		plan_say(p, PLAN_WARNING, "delivery into %s: there is no route to it now", text);
	else if (strcmp(d->dev, p->in->tun.name) == 0)
		plan_say(p, PLAN_WARNING, "delivery into %s: the way to it leads into %s itself", text,
			 d->dev);
	else if (r->dst.len == 0)
		plan_say(p, PLAN_WARNING, "delivery into %s: there is no route to it but the default "
					  "route by %s", text, d->dev);
}

/* ---- the way back ---- */

static const struct kroute *router_of(const struct kstate *k, uint32_t link, uint8_t family)
{
	for (size_t i = 0; i < k->n_routes; i++)
		if (k->routes[i].table == KTABLE_MAIN && k->routes[i].dst.len == 0 &&
		    k->routes[i].dst.ip.family == family && k->routes[i].link == link &&
		    k->routes[i].via.family && !k->routes[i].dead)
			return &k->routes[i];
	return NULL;
}

/* Our address there, by which the LAN's router knows us. */
static bool address_in(const struct kstate *k, uint32_t link, const struct prefix *lan,
		       char out[ADDR_TEXT_MAX])
{
	for (size_t i = 0; i < k->n_addrs; i++)
		if (k->addrs[i].link == link && prefix_has(lan, &k->addrs[i].ip)) {
			ip_text(&k->addrs[i].ip, out, ADDR_TEXT_MAX);
			return true;
		}
	return false;
}

static void originators(const struct plan *p, uint8_t family, char *out, size_t cap)
{
	char text[PREFIX_TEXT];
	size_t at = 0;

	*out = 0;
	for (size_t i = 0; i < p->in->tun.n_routes && at + PREFIX_TEXT + 2 < cap; i++) {
		const struct prefix *r = &p->in->tun.routes[i];

		if (r->ip.family == family && r->len)
			at += (size_t)snprintf(out + at, cap - at, "%s%s", at ? ", " : "",
					       plan_prefix_text(r, text));
	}
}

static void say_return(struct plan *p, const struct plan_delivery *d, const struct kstate *k,
		       uint32_t link)
{
	const struct kroute *router = router_of(k, link, d->to.ip.family);
	char lan[PREFIX_TEXT], own[ADDR_TEXT_MAX], via[ADDR_TEXT_MAX], from[140];

	originators(p, d->to.ip.family, from, sizeof(from));
	if (!*from || !address_in(k, link, &d->to, own))
		return;
	plan_prefix_text(&d->to, lan);
	if (router)
		plan_say(p, PLAN_NOTE, "delivery into %s: its router %s must send %s to %s", lan,
			 ip_text(&router->via, via, sizeof(via)), from, own);
	else
		plan_say(p, PLAN_NOTE, "delivery into %s: %s must come to %s, which they do if this "
				       "machine is the LAN's router", lan, from, own);
}

static void judge_forwarding(struct plan *p, const struct kstate *k, uint8_t family)
{
	if (family == 4 ? k->forward4 : k->forward6)
		return;
	plan_say(p, PLAN_WARNING, "delivery of IPv%u: this machine passes no packets on; set %s to 1",
		 family, family == 4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding");
}

void plan_judge_deliveries(struct plan *p, const struct kstate *k)
{
	bool passes4 = false, passes6 = false;

	for (size_t i = 0; i < p->n_deliveries; i++) {
		struct plan_delivery *d = &p->deliveries[i];
		const struct kroute *r = way_into(k, &d->to).route;
		const struct klink *l = r ? kstate_link(k, r->link) : NULL;

		snprintf(d->dev, sizeof(d->dev), "%s", l ? l->name : "");
		if (d->here || d->out->proto != CONF_OUT_TUN)
			continue;
		judge_way(p, d, r);
		if (r)
			say_return(p, d, k, r->link);
		passes4 |= d->to.ip.family == 4;
		passes6 |= d->to.ip.family == 6 && !k->no_ipv6;
	}
	if (passes4)
		judge_forwarding(p, k, 4);
	if (passes6)
		judge_forwarding(p, k, 6);
}
