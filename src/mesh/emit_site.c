/*
 * A site: it offers itself to every hub, judges by itself what comes in, and
 * leads its own users into the mesh. Nothing in its file depends on which other
 * sites there are, as long as their LANs are mapped.
 */
#include <stdio.h>
#include <string.h>

#include "mesh/part.h"

void emit_blackhole(struct emit *e, cJSON *outbounds)
{
	cJSON *o = emit_item(e, outbounds);

	emit_str(e, o, "tag", "block");
	emit_str(e, o, "protocol", "blackhole");
}

void emit_private(struct emit *e, cJSON *obj, const char *key)
{
	size_t n;
	const struct prefix *v = ip_private_table(&n);

	emit_prefixes(e, obj, key, v, n);
}

void emit_exit(struct emit *e, cJSON *outbounds, const char *tag)
{
	cJSON *o = emit_item(e, outbounds), *s, *list, *r;

	emit_str(e, o, "tag", tag);
	emit_str(e, o, "protocol", "freedom");
	s = emit_obj(e, o, "settings");
	if (e->m->nodes[e->node].software == MESH_V2RAY)
		return;
	list = emit_list(e, s, "finalRules");
	r = emit_item(e, list);
	emit_str(e, r, "action", "block");
	emit_private(e, r, "ip");
	emit_str(e, emit_item(e, list), "action", "allow");
}

static bool is_exit(const struct emit *e)
{
	for (size_t i = 0; i < e->m->n_exits; i++)
		if (e->m->exits[i].through == e->node)
			return true;
	return false;
}

static bool is_v2ray(const struct emit *e)
{
	return e->m->nodes[e->node].software == MESH_V2RAY;
}

static bool classic(const struct emit *e, size_t hub)
{
	return mesh_classic(e->m, (size_t)e->node, hub);
}

static bool has_classic(const struct emit *e)
{
	for (size_t i = 0; i < e->m->n_hubs; i++)
		if (classic(e, i))
			return true;
	return false;
}

static bool single_hub(const struct emit *e)
{
	return e->m->n_hubs == 1 || is_v2ray(e);
}

/* ---- outbounds ---- */

static void hub_outbounds(struct emit *e, cJSON *outbounds)
{
	const struct mesh *m = e->m;
	char tag[EMIT_TEXT];

	for (size_t i = 0; i < m->n_hubs; i++) {
		emit_hub_tag(e, (int)i, tag);
		emit_to_hub(e, outbounds, tag, (int)i, &e->keys[e->node].id, NULL);
	}
	for (size_t i = 0; i < m->n_hubs; i++) {
		snprintf(tag, sizeof(tag), "portal.%s", m->nodes[i].name);
		emit_to_hub(e, outbounds, tag, (int)i, &e->keys[e->node].portal,
			    classic(e, i) ? NULL : "mesh");
	}
}

static void bridges(struct emit *e, cJSON *root)
{
	cJSON *list = emit_list(e, emit_obj(e, root, "reverse"), "bridges"), *b;
	char text[EMIT_TEXT];

	for (size_t i = 0; i < e->m->n_hubs; i++) {
		if (!classic(e, i))
			continue;
		b = emit_item(e, list);
		emit_str(e, b, "tag", "mesh");
		snprintf(text, sizeof(text), "%s.%s.bridge.%s", e->m->nodes[e->node].name,
			 e->m->nodes[i].name, e->m->domain);
		emit_str(e, b, "domain", text);
	}
}

/* ---- failover ---- */

static void balancer(struct emit *e, cJSON *root, cJSON *routing)
{
	cJSON *b = emit_item(e, emit_list(e, routing, "balancers")), *o;
	char text[EMIT_TEXT];

	emit_str(e, b, "tag", "hubs");
	emit_one(e, b, "selector", "hub.");
	emit_str(e, emit_obj(e, b, "strategy"), "type", "leastPing");
	emit_hub_tag(e, 0, text);
	emit_str(e, b, "fallbackTag", text);
	o = emit_obj(e, root, "observatory");
	emit_one(e, o, "subjectSelector", "hub.");
	snprintf(text, sizeof(text), "http://probe.%s/", e->m->domain);
	emit_str(e, o, "probeURL", text);
	emit_str(e, o, "probeInterval", "10s");
	emit_bool(e, o, "enableConcurrency", true);
}

/* ---- rules ---- */

/* By whichever hub answers fastest, or by one that must be it. */
static void to_hubs(struct emit *e, cJSON *rule, int hub)
{
	char text[EMIT_TEXT];

	cJSON_DeleteItemFromObject(rule, "outboundTag");
	if (hub == MESH_NOBODY && !single_hub(e)) {
		emit_str(e, rule, "balancerTag", "hubs");
		return;
	}
	emit_hub_tag(e, hub == MESH_NOBODY ? 0 : hub, text);
	emit_str(e, rule, "outboundTag", text);
}

/* The bridge's own connections, which go through the rules like anybody's. */
static void bridge_rules(struct emit *e, cJSON *rules)
{
	char text[EMIT_TEXT], out[EMIT_TEXT];

	for (size_t i = 0; i < e->m->n_hubs; i++) {
		cJSON *r;

		if (!classic(e, i))
			continue;
		snprintf(text, sizeof(text), "to %s", e->m->nodes[i].name);
		snprintf(out, sizeof(out), "portal.%s", e->m->nodes[i].name);
		r = emit_rule(e, rules, text, out);
		emit_one(e, r, "inboundTag", "mesh");
		snprintf(text, sizeof(text), "full:%s.%s.bridge.%s", e->m->nodes[e->node].name,
			 e->m->nodes[i].name, e->m->domain);
		emit_one(e, r, "domain", text);
	}
}

static void incoming_exit(struct emit *e, cJSON *rules)
{
	const struct mesh *m = e->m;
	char tag[EMIT_TEXT];
	cJSON *r;

	r = emit_rule(e, rules, "exits: private addresses", "block");
	emit_one(e, r, "inboundTag", "mesh");
	emit_private(e, r, "ip");
	for (size_t i = 0; i < m->n_exits; i++) {
		const struct mesh_exit *x = &m->exits[i];

		if (x->through != e->node)
			continue;
		snprintf(tag, sizeof(tag), "exits[%zu]", i);
		r = emit_rule(e, rules, tag, "exit");
		emit_one(e, r, "inboundTag", "mesh");
		if (mesh_sources_known(m) && !is_v2ray(e))
			emit_prefixes(e, r, "source", x->from.prefixes, x->from.n_prefixes);
		emit_anything(e, r);
	}
}

static void incoming(struct emit *e, cJSON *rules)
{
	struct prefix routes[EMIT_PREFIXES];
	size_t n = mesh_routes(e->m, routes, EMIT_PREFIXES);
	char text[EMIT_TEXT];
	cJSON *r;

	mesh_rules_here(e, rules, MESH_BY_SOURCE);
	for (size_t i = 0; i < e->m->n_forwards; i++)
		if (e->m->forwards[i].to.node == e->node)
			mesh_forward_here(e, rules, &e->m->forwards[i]);
	if (is_exit(e)) {
		r = emit_rule(e, rules, "default deny", "block");
		emit_one(e, r, "inboundTag", "mesh");
		emit_prefixes(e, r, "ip", routes, n);
		r = emit_rule(e, rules, "default deny by name", "block");
		emit_one(e, r, "inboundTag", "mesh");
		snprintf(text, sizeof(text), "domain:%s", e->m->domain);
		emit_one(e, r, "domain", text);
		incoming_exit(e, rules);
	}
	r = emit_rule(e, rules, is_exit(e) ? "default deny of the rest" : "default deny", "block");
	emit_one(e, r, "inboundTag", "mesh");
}

/* The site's own places by its own users never leave it. */
static void own_places(struct emit *e, cJSON *rules)
{
	struct mesh_part parts[PARTS_MAX];
	size_t n = mesh_parts(e, NULL, parts);

	for (size_t k = 0; k < n; k++) {
		struct mesh_place place = {e->node, parts[k].seen};
		char tag[EMIT_TEXT];
		cJSON *r;

		snprintf(tag, sizeof(tag), "own place %zu", k + 1);
		r = emit_rule(e, rules, tag, parts[k].tag);
		emit_local_tags(e, r);
		emit_prefixes(e, r, "ip", &parts[k].seen, 1);
		if (!emit_domains(e, NULL, e->node, &place, 1))
			continue;
		snprintf(tag, sizeof(tag), "own place %zu by name", k + 1);
		r = emit_rule(e, rules, tag, parts[k].tag);
		emit_local_tags(e, r);
		emit_domains(e, r, e->node, &place, 1);
	}
}

/* A hub's own address is at that hub, whichever is the fastest. */
static void hub_places(struct emit *e, cJSON *rules)
{
	for (size_t i = 0; i < e->m->n_hubs && !single_hub(e); i++) {
		const struct mesh_node *v = &e->m->nodes[i];
		struct prefix own[2] = {{v->ip4, 32}, {v->ip6, 128}};
		struct mesh_place place = {(int)i, {v->ip4.family ? v->ip4 : v->ip6,
						    v->ip4.family ? 32 : 128}};
		size_t first = v->ip4.family == 0, last = v->ip6.family ? 2 : 1;
		char tag[EMIT_TEXT];
		cJSON *r;

		snprintf(tag, sizeof(tag), "to %s", v->name);
		r = emit_rule(e, rules, tag, "");
		to_hubs(e, r, (int)i);
		emit_local_tags(e, r);
		emit_prefixes(e, r, "ip", own + first, last - first);
		snprintf(tag, sizeof(tag), "to %s by name", v->name);
		r = emit_rule(e, rules, tag, "");
		to_hubs(e, r, (int)i);
		emit_local_tags(e, r);
		emit_domains(e, r, (int)i, &place, 1);
	}
}

static void outgoing(struct emit *e, cJSON *rules)
{
	struct prefix routes[EMIT_PREFIXES];
	size_t n = mesh_routes(e->m, routes, EMIT_PREFIXES);
	const struct mesh_exit *x;
	char text[EMIT_TEXT];
	cJSON *r;

	if (!emit_has_local(&e->m->nodes[e->node]))
		return;
	emit_dns_rules(e, rules);
	own_places(e, rules);
	if (emit_dns_by_hub(e)) {
		r = emit_rule(e, rules, "names of others", "");
		to_hubs(e, r, MESH_NOBODY);
		emit_one(e, r, "inboundTag", EMIT_DNS_UP);
	}
	hub_places(e, rules);
	r = emit_rule(e, rules, "into the mesh", "");
	to_hubs(e, r, MESH_NOBODY);
	emit_local_tags(e, r);
	emit_prefixes(e, r, "ip", routes, n);
	r = emit_rule(e, rules, "into the mesh by name", "");
	to_hubs(e, r, MESH_NOBODY);
	emit_local_tags(e, r);
	snprintf(text, sizeof(text), "domain:%s", e->m->domain);
	emit_one(e, r, "domain", text);
	x = mesh_exit_of(e->m, e->node);
	if (!x)
		return;
	r = emit_rule(e, rules, "to the exit", "");
	to_hubs(e, r, e->m->nodes[x->through].kind == MESH_HUB ? x->through : MESH_NOBODY);
	emit_local_tags(e, r);
}

void emit_site(struct emit *e)
{
	cJSON *root = cJSON_CreateObject(), *list, *routing;

	emit_head(e, root);
	emit_names(e, root);
	emit_local_inbounds(e, emit_list(e, root, "inbounds"));
	list = emit_list(e, root, "outbounds");
	emit_blackhole(e, list);
	mesh_part_outbounds(e, list);
	if (is_exit(e))
		emit_exit(e, list, "exit");
	hub_outbounds(e, list);
	emit_dns_outbound(e, list);
	if (has_classic(e))
		bridges(e, root);
	routing = emit_obj(e, root, "routing");
	list = emit_list(e, routing, "rules");
	if (has_classic(e))
		bridge_rules(e, list);
	incoming(e, list);
	outgoing(e, list);
	emit_anything(e, emit_rule(e, list, "nothing else", "block"));
	if (!single_hub(e))
		balancer(e, root, routing);
	emit_file(e, root, emit_file_kind(e), ".json");
	emit_limits(e);
}
