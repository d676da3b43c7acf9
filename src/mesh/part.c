#include "mesh/part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- parts ---- */

static void part_add(struct mesh_part *v, size_t *n, const struct prefix *seen, const char *tag,
		     const char *name)
{
	if (*n == PARTS_MAX)
		return;
	v[*n].seen = *seen;
	snprintf(v[*n].tag, PART_TAG, "%s%s", tag, name);
	(*n)++;
}

static bool mapped(const struct mesh_lan *lan)
{
	return !ip_eq(&lan->real.ip, &lan->seen.ip);
}

static const char *delivery_tag(enum mesh_delivery d)
{
	static const char *const tags[] = {"lan", "lan.proxy", "lan.transparent"};

	return tags[d];
}

static void parts_ours(struct emit *e, const struct mesh_rule *r, struct mesh_part *out, size_t *n)
{
	struct prefix places[80];
	size_t count = mesh_places(e->m, e->node, places, 80);

	for (size_t i = 0; i < count; i++)
		part_add(out, n, &places[i],
			 delivery_tag(r ? mesh_delivery(e->m, r, e->node, &places[i]) : MESH_DIAL),
			 "");
}

size_t mesh_parts(struct emit *e, const struct mesh_rule *r, struct mesh_part out[PARTS_MAX])
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	struct prefix p;
	size_t n = 0;

	if (v->software == MESH_GARENNE) {
		parts_ours(e, r, out, &n);
		return n;
	}
	p = (struct prefix){v->ip4, 32};
	part_add(out, &n, &p, "self", "");
	p = (struct prefix){v->ip6, 128};
	if (v->ip6.family)
		part_add(out, &n, &p, "self6", "");
	for (size_t i = 0; i < v->n_lans; i++)
		if (!mapped(&v->lans[i]))
			part_add(out, &n, &v->lans[i].seen, "lan", "");
	for (size_t i = 0; i < v->n_hosts; i++) {
		p = (struct prefix){v->hosts[i].seen, v->hosts[i].seen.family == 4 ? 32 : 128};
		if (!ip_eq(&v->hosts[i].seen, &v->hosts[i].real))
			part_add(out, &n, &p, "host.", v->hosts[i].name);
	}
	return n;
}

const char *mesh_part_of(struct emit *e, const struct mesh_forward *f, char out[PART_TAG])
{
	struct mesh_part *v = calloc(PARTS_MAX, sizeof(*v));
	size_t n = v ? mesh_parts(e, NULL, v) : 0;

	snprintf(out, PART_TAG, "block");
	e->failed |= !v;
	for (size_t i = 0; i < n; i++)
		if (prefix_has(&v[i].seen, &f->to.prefix.ip))
			memcpy(out, v[i].tag, PART_TAG);
	free(v);
	if (strcmp(out, "lan") == 0 && mesh_delivers(e->m, e->node, f->delivery))
		snprintf(out, PART_TAG, "%s", delivery_tag(f->delivery));
	return out;
}

static void one_map(struct emit *e, cJSON *list, const struct prefix *from, const struct prefix *to)
{
	cJSON *o = emit_item(e, list);
	char text[64];

	emit_str(e, o, "from", prefix_text(from, text, sizeof(text)));
	emit_str(e, o, "to", prefix_text(to, text, sizeof(text)));
}

static cJSON *outbound(struct emit *e, cJSON *outbounds, const char *tag, const char *protocol)
{
	cJSON *o = emit_item(e, outbounds);

	emit_str(e, o, "tag", tag);
	emit_str(e, o, "protocol", protocol);
	return emit_obj(e, o, "settings");
}

static cJSON *freedom(struct emit *e, cJSON *outbounds, const char *tag)
{
	cJSON *s = outbound(e, outbounds, tag, "freedom");

	emit_str(e, s, "domainStrategy", "UseIP");
	return s;
}

static void final_rules(struct emit *e, cJSON *settings, const struct prefix *v, size_t n)
{
	cJSON *r;

	if (e->m->nodes[e->node].software == MESH_V2RAY)
		return;
	r = emit_item(e, emit_list(e, settings, "finalRules"));
	emit_str(e, r, "action", "allow");
	emit_prefixes(e, r, "ip", v, n);
}

static struct prefix host_prefix(const char *text)
{
	struct prefix p = {0};

	prefix_parse(&p, span_str(text));
	return p;
}

/* One outbound for each way of delivering: what is mapped is translated, nothing else may be
 * reached. */
static void lan_ours(struct emit *e, cJSON *outbounds, enum mesh_delivery d)
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	cJSON *s = d == MESH_TRANSPARENT ? outbound(e, outbounds, delivery_tag(d), "tun") :
					   freedom(e, outbounds, delivery_tag(d));
	cJSON *maps = cJSON_CreateArray();
	const struct ip *own[] = {&v->ip4, &v->ip6};
	struct prefix real[80];
	size_t n = 0;

	for (size_t i = 0; i < 2; i++) {
		struct prefix seen = {*own[i], i ? 128 : 32};

		if (own[i]->family == 0)
			continue;
		real[n] = v->tun ? seen : host_prefix(i ? "::1" : "127.0.0.1");
		if (!v->tun)
			one_map(e, maps, &seen, &real[n]);
		n++;
	}
	for (size_t i = 0; i < v->n_lans; i++) {
		if (mapped(&v->lans[i]))
			one_map(e, maps, &v->lans[i].seen, &v->lans[i].real);
		real[n++] = v->lans[i].real;
	}
	if (cJSON_GetArraySize(maps) > 0)
		cJSON_AddItemToObject(s, "map", maps);
	else
		cJSON_Delete(maps);
	if (d == MESH_PROXY)
		emit_num(e, s, "proxyProtocol", 2);
	final_rules(e, s, real, n);
}

static void redirected(struct emit *e, cJSON *outbounds, const char *tag, const struct ip *to)
{
	struct addr a = addr_from_ip(to, 0);
	struct prefix p = {*to, to->family == 4 ? 32 : 128};
	cJSON *s = freedom(e, outbounds, tag);
	char text[ADDR_TEXT_MAX];

	emit_str(e, s, "redirect", addr_text(&a, text, sizeof(text)));
	final_rules(e, s, &p, 1);
}

static void lan_stock(struct emit *e, cJSON *outbounds)
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	struct prefix plain[80];
	char tag[PART_TAG];
	struct prefix p;
	size_t n = 0;

	p = host_prefix("127.0.0.1");
	redirected(e, outbounds, "self", &p.ip);
	p = host_prefix("::1");
	if (v->ip6.family)
		redirected(e, outbounds, "self6", &p.ip);
	for (size_t i = 0; i < v->n_lans; i++)
		if (!mapped(&v->lans[i]))
			plain[n++] = v->lans[i].real;
	if (n)
		final_rules(e, freedom(e, outbounds, "lan"), plain, n);
	for (size_t i = 0; i < v->n_hosts; i++) {
		if (ip_eq(&v->hosts[i].seen, &v->hosts[i].real))
			continue;
		snprintf(tag, sizeof(tag), "host.%s", v->hosts[i].name);
		redirected(e, outbounds, tag, &v->hosts[i].real);
	}
}

void mesh_part_outbounds(struct emit *e, cJSON *outbounds)
{
	unsigned used = mesh_deliveries(e->m, e->node, NULL) | 1u << MESH_DIAL;

	if (e->m->nodes[e->node].software != MESH_GARENNE) {
		lan_stock(e, outbounds);
		return;
	}
	for (int d = 0; d < MESH_DELIVERIES; d++)
		if (used & 1u << d)
			lan_ours(e, outbounds, (enum mesh_delivery)d);
}

/* ---- rules ---- */

/* False when the rule is for nobody whom this node can tell. */
static bool can_tell(const struct emit *e, const struct mesh_rule *r, enum mesh_by by)
{
	const struct mesh *m = e->m;

	if (by == MESH_BY_LOCAL)
		return r->from.member[e->node];
	if (by == MESH_BY_SOURCE) /* refusing some is refusing all where nobody can be told */
		return r->allow || r->from.all ||
		       (mesh_sources_known(m) && m->nodes[e->node].software != MESH_V2RAY);
	for (size_t i = 0; i < m->n_nodes; i++)
		if (r->from.member[i] && emit_has_account(e, i, e->node))
			return true;
	return false;
}

static void add_whose(struct emit *e, cJSON *rule, const struct mesh_from *from, enum mesh_by by)
{
	const struct mesh *m = e->m;
	cJSON *list;

	if (by == MESH_BY_LOCAL) {
		emit_local_tags(e, rule);
		return;
	}
	if (by == MESH_BY_SOURCE) {
		emit_one(e, rule, "inboundTag", "mesh");
		if (mesh_sources_known(m) && m->nodes[e->node].software != MESH_V2RAY)
			emit_prefixes(e, rule, "source", from->prefixes, from->n_prefixes);
		return;
	}
	emit_one(e, rule, "inboundTag", "mesh");
	list = emit_list(e, rule, "user");
	for (size_t i = 0; i < m->n_nodes; i++)
		if (from->member[i] && emit_has_account(e, i, e->node))
			emit_text(e, list, m->nodes[i].name);
}

/* Two conditions that no target meets both: an address, or a name. v2ray takes one range of ports
 * per rule. */
static void rule_pair(struct emit *e, cJSON *rules, const struct mesh_rule *r, const char *tag,
		      const char *outbound, const struct mesh_place *to, size_t n, enum mesh_by by)
{
	bool split = e->m->nodes[e->node].software == MESH_V2RAY && r->ports.given;
	size_t times = split ? r->ports.n : 1;
	struct prefix ips[EMIT_PREFIXES];
	char text[EMIT_TEXT + 40];

	for (size_t i = 0; i < n && i < EMIT_PREFIXES; i++)
		ips[i] = to[i].prefix;
	for (size_t t = 0; t < times * 2; t++) {
		struct conf_ports ports = r->ports;
		bool names = t % 2;
		cJSON *rule;

		if (names && !emit_domains(e, NULL, to[0].node, to, n))
			continue;
		if (split)
			ports = (struct conf_ports){&r->ports.v[t / 2], 1, true};
		snprintf(text, sizeof(text), "%s%s", tag, names ? " by name" : "");
		if (split && times > 1)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), " #%zu", t / 2 + 1);
		rule = emit_rule(e, rules, text, outbound);
		add_whose(e, rule, &r->from, by);
		if (names)
			emit_domains(e, rule, to[0].node, to, n);
		else
			emit_prefixes(e, rule, "ip", ips, n < EMIT_PREFIXES ? n : EMIT_PREFIXES);
		emit_ports(e, rule, &ports);
		emit_network(e, rule, r->networks);
	}
}

static size_t places_at(const struct mesh_rule *r, int node, struct mesh_place out[EMIT_PREFIXES])
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_to && n < EMIT_PREFIXES; i++)
		if (r->to[i].node == node)
			out[n++] = r->to[i];
	return n;
}

void mesh_rules_away(struct emit *e, cJSON *rules, int node, const char *outbound, enum mesh_by by)
{
	struct mesh_place to[EMIT_PREFIXES];
	char tag[EMIT_TEXT];

	for (size_t i = 0; i < e->m->n_rules; i++) {
		const struct mesh_rule *r = &e->m->rules[i];
		size_t n = places_at(r, node, to);

		if (n == 0 || !can_tell(e, r, by))
			continue;
		emit_rule_tag(r, e->m->nodes[node].name, tag);
		if (by == MESH_BY_LOCAL)
			snprintf(tag + strlen(tag), sizeof(tag) - strlen(tag), " from here");
		rule_pair(e, rules, r, tag, r->allow ? outbound : "block", to, n, by);
	}
}

/* What of @to lies in the parts with the tag of part @k; 0 when an earlier part has that tag. */
static size_t cut(const struct mesh_part *v, size_t parts, size_t k, const struct mesh_place *to,
		  size_t n, struct mesh_place out[EMIT_PREFIXES])
{
	size_t got = 0;

	for (size_t i = 0; i < k; i++)
		if (strcmp(v[i].tag, v[k].tag) == 0)
			return 0;
	for (size_t i = k; i < parts; i++)
		for (size_t t = 0; strcmp(v[i].tag, v[k].tag) == 0 && t < n; t++) {
			if (!prefix_overlaps(&v[i].seen, &to[t].prefix) || got == EMIT_PREFIXES)
				continue;
			out[got] = to[t];
			if (v[i].seen.len > to[t].prefix.len)
				out[got].prefix = v[i].seen;
			got++;
		}
	return got;
}

static void rule_here(struct emit *e, cJSON *rules, const struct mesh_rule *r, enum mesh_by by,
		      struct mesh_part *v)
{
	struct mesh_place to[EMIT_PREFIXES], some[EMIT_PREFIXES];
	size_t n = places_at(r, e->node, to), parts = mesh_parts(e, r, v);
	char tag[EMIT_TEXT + PART_TAG];

	if (n == 0 || !can_tell(e, r, by))
		return;
	emit_rule_tag(r, e->m->nodes[e->node].name, tag);
	if (by == MESH_BY_LOCAL)
		snprintf(tag + strlen(tag), sizeof(tag) - strlen(tag), " from here");
	if (!r->allow) {
		rule_pair(e, rules, r, tag, "block", to, n, by);
		return;
	}
	for (size_t k = 0; k < parts; k++) {
		size_t got = cut(v, parts, k, to, n, some);
		char own[EMIT_TEXT + 2 * PART_TAG];

		if (got == 0)
			continue;
		snprintf(own, sizeof(own), "%s%s%s", tag, strcmp(v[k].tag, "lan") ? " " : "",
			 strcmp(v[k].tag, "lan") ? v[k].tag : "");
		rule_pair(e, rules, r, own, v[k].tag, some, got, by);
	}
}

void mesh_rules_here(struct emit *e, cJSON *rules, enum mesh_by by)
{
	struct mesh_part *v = calloc(PARTS_MAX, sizeof(*v));

	e->failed |= !v;
	for (size_t i = 0; v && i < e->m->n_rules; i++)
		rule_here(e, rules, &e->m->rules[i], by, v);
	free(v);
}

/* Visitors are from outside of the mesh; whoever is inside has had the policy. Said with two rules:
 * older programs know no "!" in front of a prefix. */
static cJSON *forward_rule(struct emit *e, cJSON *rules, const struct mesh_forward *f,
			   const char *tag, const char *outbound)
{
	const struct conf_port_range range = {f->to_port, f->to_port};
	const struct conf_ports ports = {&range, 1, true};
	cJSON *rule = emit_rule(e, rules, tag, outbound);

	emit_one(e, rule, "inboundTag", "mesh");
	emit_prefixes(e, rule, "ip", &f->to.prefix, 1);
	emit_ports(e, rule, &ports);
	emit_network(e, rule, f->networks);
	return rule;
}

/* True when the policy has decided about everybody of the mesh, there, before a forward can. */
static bool decided(const struct emit *e, const struct mesh_forward *f)
{
	for (size_t i = 0; i < e->m->n_rules; i++) {
		const struct mesh_rule *r = &e->m->rules[i];

		if (!r->from.all || !conf_ports_has(&r->ports, f->to_port) ||
		    (r->networks && (f->networks & ~r->networks)))
			continue;
		for (size_t k = 0; k < r->n_to; k++)
			if (r->to[k].node == e->node && prefix_has(&r->to[k].prefix, &f->to.prefix.ip))
				return true;
	}
	return false;
}

void mesh_forward_here(struct emit *e, cJSON *rules, const struct mesh_forward *f)
{
	struct prefix inside[EMIT_PREFIXES];
	size_t n = mesh_routes(e->m, inside, EMIT_PREFIXES);
	char tag[EMIT_TEXT], part[PART_TAG];

	if (mesh_sources_known(e->m) && e->m->nodes[e->node].software != MESH_V2RAY &&
	    !decided(e, f)) {
		snprintf(tag, sizeof(tag), "forwards[%zu] %s not for the mesh", f->number - 1, f->name);
		emit_prefixes(e, forward_rule(e, rules, f, tag, "block"), "source", inside, n);
	}
	snprintf(tag, sizeof(tag), "forwards[%zu] %s", f->number - 1, f->name);
	forward_rule(e, rules, f, tag, mesh_part_of(e, f, part));
}
