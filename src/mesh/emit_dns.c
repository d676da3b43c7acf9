/*
 * Names for those who look them up: an address of the mesh that no node has
 * takes questions on the TUN. A hub knows all names; a site knows its own and
 * asks the hub for the others, so that a new node changes no other site's file.
 * Where a hub is not ours and cannot be asked, each site knows all.
 */
#include <stdio.h>
#include <string.h>

#include "mesh/emit.h"

#define OUT "names"

bool emit_has_dns(const struct emit *e)
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	struct ip ip;

	return v->software == MESH_GARENNE && (v->kind == MESH_HUB || v->tun) &&
	       mesh_name_server(e->m, &ip);
}

bool emit_asks_resolver(const struct emit *e)
{
	return emit_has_dns(e) && e->m->resolver.family != 0;
}

bool emit_dns_by_hub(const struct emit *e)
{
	return emit_has_dns(e) && e->m->nodes[e->node].kind == MESH_SITE &&
	       mesh_sources_known(e->m);
}

/* The mesh's own names, and the names of its addresses. */
static void zones(struct emit *e, cJSON *obj, const char *key)
{
	const struct prefix *ranges[] = {&e->m->range4, &e->m->mapped, &e->m->range6};
	cJSON *list = emit_list(e, obj, key);
	char text[64];

	emit_text(e, list, e->m->domain);
	for (size_t i = 0; i < 3; i++)
		if (ranges[i]->ip.family)
			emit_text(e, list, prefix_text(ranges[i], text, sizeof(text)));
}

void emit_dns_tun(struct emit *e, cJSON *settings)
{
	struct ip ip;
	char text[64];

	if (!emit_has_dns(e) || !mesh_name_server(e->m, &ip))
		return;
	emit_one(e, settings, "dns", ip_text(&ip, text, sizeof(text)));
	zones(e, settings, "dnsDomains");
	if (e->m->nodes[e->node].resolv_conf)
		emit_bool(e, settings, "resolvConf", true);
}

static void one_node(struct emit *e, cJSON *hosts, const struct mesh_node *v)
{
	char name[EMIT_TEXT], text[64];
	cJSON *list;

	snprintf(name, sizeof(name), "%s.%s", v->name, e->m->domain);
	list = emit_list(e, hosts, name);
	if (v->ip4.family)
		emit_text(e, list, ip_text(&v->ip4, text, sizeof(text)));
	if (v->ip6.family)
		emit_text(e, list, ip_text(&v->ip6, text, sizeof(text)));
	for (size_t i = 0; i < v->n_hosts; i++) {
		snprintf(name, sizeof(name), "%s.%s.%s", v->hosts[i].name, v->name, e->m->domain);
		emit_str(e, hosts, name, ip_text(&v->hosts[i].seen, text, sizeof(text)));
	}
}

/* Where the hub is asked: by whichever hub the rules choose. */
static void to_hub(struct emit *e, cJSON *outbounds, cJSON *dns, cJSON *settings)
{
	char text[64];
	struct ip ip;
	cJSON *o;

	if (!mesh_name_server(e->m, &ip))
		return;
	emit_str(e, settings, "address", ip_text(&ip, text, sizeof(text)));
	emit_num(e, settings, "port", 53);
	emit_str(e, emit_obj(e, dns, "proxySettings"), "tag", EMIT_DNS_UP);
	o = emit_item(e, outbounds);
	emit_str(e, o, "tag", EMIT_DNS_UP);
	emit_str(e, o, "protocol", "loopback");
	emit_str(e, emit_obj(e, o, "settings"), "inboundTag", EMIT_DNS_UP);
}

/* Other names are not the mesh's business: the resolver's, as far as addresses are asked for. */
static void other_names(struct emit *e, cJSON *settings)
{
	enum { NOT_IMPLEMENTED = 4, REFUSED = 5 };
	cJSON *rules = emit_list(e, settings, "rules"), *r;
	bool asked = emit_asks_resolver(e);

	if (asked) {
		r = emit_item(e, rules);
		emit_str(e, r, "action", "hijack");
		emit_str(e, r, "qType", "1,28");
	}
	r = emit_item(e, rules);
	emit_str(e, r, "action", "return");
	emit_num(e, r, "rCode", asked ? NOT_IMPLEMENTED : REFUSED);
}

void emit_dns_outbound(struct emit *e, cJSON *outbounds)
{
	cJSON *o, *s, *hosts;

	if (!emit_has_dns(e))
		return;
	o = emit_item(e, outbounds);
	emit_str(e, o, "tag", OUT);
	emit_str(e, o, "protocol", "dns");
	s = emit_obj(e, o, "settings");
	zones(e, s, "zones");
	hosts = emit_obj(e, s, "hosts");
	for (size_t i = 0; i < e->m->n_nodes; i++)
		if (!emit_dns_by_hub(e) || (int)i == e->node)
			one_node(e, hosts, &e->m->nodes[i]);
	other_names(e, s);
	if (emit_dns_by_hub(e))
		to_hub(e, outbounds, o, s);
	if (!emit_asks_resolver(e))
		return;
	o = emit_item(e, outbounds);
	emit_str(e, o, "tag", EMIT_DNS_OWN);
	emit_str(e, o, "protocol", "freedom");
}

void emit_dns_rules(struct emit *e, cJSON *rules)
{
	char text[64];
	struct ip ip;
	cJSON *r;

	if (!emit_has_dns(e) || !mesh_name_server(e->m, &ip))
		return;
	if (emit_asks_resolver(e))
		emit_one(e, emit_rule(e, rules, "names of the world", EMIT_DNS_OWN), "inboundTag",
			 EMIT_DNS_OWN);
	r = emit_rule(e, rules, "names", OUT);
	if (e->m->nodes[e->node].kind == MESH_SITE)
		emit_local_tags(e, r);
	emit_one(e, r, "ip", ip_text(&ip, text, sizeof(text)));
	emit_num(e, r, "port", 53);
}
