/*
 * A hub: one inbound for all nodes, each with two accounts (one offers the site
 * itself, one opens flows), a portal for each site, the policy as rules over
 * accounts and virtual addresses, and what else has a port here.
 */
#include <stdio.h>

#include "crypto/secret.h"
#include "mesh/part.h"

static void account(struct emit *e, cJSON *users, const struct uuid *uuid, const char *email,
		    const char *name)
{
	cJSON *u = emit_item(e, users);
	char id[UUID_TEXT], text[EMIT_TEXT];

	snprintf(text, sizeof(text), "%s%s", email, name);
	uuid_text(uuid, id);
	emit_str(e, u, "id", id);
	emit_str(e, u, "email", text);
	secret_wipe(id, sizeof(id));
}

static cJSON *last(cJSON *list)
{
	return cJSON_GetArrayItem(list, cJSON_GetArraySize(list) - 1);
}

static void portal_tag(const struct mesh_node *site, char out[EMIT_TEXT])
{
	snprintf(out, EMIT_TEXT, "to.%s", site->name);
}

static void bridge_name(const struct emit *e, const struct mesh_node *site, char out[EMIT_TEXT])
{
	snprintf(out, EMIT_TEXT, "%s.%s.bridge.%s", site->name, e->m->nodes[e->node].name,
		 e->m->domain);
}

/* The account of a node's flows, with the addresses that these come from: its own, and for
 * machines in its LANs theirs, as the mesh sees them. */
static void flow_account(struct emit *e, cJSON *users, size_t node)
{
	const struct mesh_node *v = &e->m->nodes[node];
	char text[64];
	cJSON *list;

	account(e, users, &e->keys[node].id, "", v->name);
	if (*mesh_flow(e->m, (size_t)e->node) && v->software != MESH_V2RAY) /* which knows none */
		emit_str(e, last(users), "flow", e->m->flow);
	if (e->m->nodes[e->node].software != MESH_GARENNE)
		return;
	list = emit_list(e, last(users), "source");
	emit_text(e, list, ip_text(&v->ip4, text, sizeof(text)));
	if (v->ip6.family)
		emit_text(e, list, ip_text(&v->ip6, text, sizeof(text)));
	for (size_t i = 0; i < v->n_lans; i++)
		emit_text(e, list, prefix_text(&v->lans[i].seen, text, sizeof(text)));
}

/* ---- nodes that are to join ---- */

#define JOIN "join"
#define JOIN_USER "join.hub" /* no node's name has a dot */

static void join_account(struct emit *e, cJSON *users)
{
	uint8_t short_id[MESH_SHORT_ID];
	struct uuid id;

	if (mesh_keys_join(&e->keys[e->node], &id, short_id) != 0)
		e->failed = true;
	account(e, users, &id, JOIN_USER, "");
}

/* The first rule of all, without a condition but the account: there is nothing else that it could
 * reach. */
static void join_rule(struct emit *e, cJSON *rules)
{
	if (mesh_serves_tickets(&e->m->nodes[e->node]))
		emit_one(e, emit_rule(e, rules, "join", JOIN), "user", JOIN_USER);
}

static void join_outbound(struct emit *e, cJSON *outbounds)
{
	cJSON *o;

	if (!mesh_serves_tickets(&e->m->nodes[e->node]))
		return;
	o = emit_item(e, outbounds);
	emit_str(e, o, "tag", JOIN);
	emit_str(e, o, "protocol", "join");
	emit_str(e, emit_obj(e, o, "settings"), "tickets", e->m->nodes[e->node].hub.tickets);
}

/* ---- the inbounds ---- */

static void mesh_inbound(struct emit *e, cJSON *inbounds)
{
	const struct mesh *m = e->m;
	const struct mesh_hub *h = &m->nodes[e->node].hub;
	cJSON *in = emit_item(e, inbounds), *s, *users;
	char tag[EMIT_TEXT];

	emit_str(e, in, "tag", "mesh");
	if (emit_has_front(&m->nodes[e->node]))
		emit_str(e, in, "listen", "127.0.0.1");
	else if (*h->listen)
		emit_str(e, in, "listen", h->listen);
	emit_num(e, in, "port", emit_has_front(&m->nodes[e->node]) ?
					emit_front_port(m, &m->nodes[e->node]) :
					h->address.port);
	emit_str(e, in, "protocol", "vless");
	s = emit_obj(e, in, "settings");
	emit_str(e, s, "decryption", "none");
	users = emit_list(e, s, "clients");
	for (size_t i = 0; i < m->n_nodes; i++) {
		if (!emit_has_account(e, i, e->node))
			continue;
		flow_account(e, users, i);
		if (m->nodes[i].kind != MESH_SITE)
			continue;
		account(e, users, &e->keys[i].portal, "portal.", m->nodes[i].name);
		portal_tag(&m->nodes[i], tag);
		if (!mesh_classic(m, i, (size_t)e->node))
			emit_str(e, emit_obj(e, last(users), "reverse"), "tag", tag);
	}
	if (mesh_serves_tickets(&m->nodes[e->node]))
		join_account(e, users);
	emit_server_stream(e, in, e->node);
}

static void forward_inbounds(struct emit *e, cJSON *inbounds)
{
	for (size_t i = 0; i < e->m->n_forwards; i++) {
		const struct mesh_forward *f = &e->m->forwards[i];
		char text[EMIT_TEXT];
		cJSON *in, *s;

		if (f->hub != e->node)
			continue;
		in = emit_item(e, inbounds);
		snprintf(text, sizeof(text), "forward.%s", f->name);
		emit_str(e, in, "tag", text);
		if (*f->listen)
			emit_str(e, in, "listen", f->listen);
		emit_num(e, in, "port", f->port);
		emit_str(e, in, "protocol", "dokodemo-door");
		s = emit_obj(e, in, "settings");
		emit_str(e, s, "address", ip_text(&f->to.prefix.ip, text, sizeof(text)));
		emit_num(e, s, "port", f->to_port);
		emit_str(e, s, "network",
			 f->networks == CONF_TCP ? "tcp" : f->networks == CONF_UDP ? "udp" : "tcp,udp");
	}
}

/* ---- classic portals ---- */

/* True when node @i is a site that offers itself to this hub in the classic way. */
static bool classic(const struct emit *e, size_t i)
{
	return e->m->nodes[i].kind == MESH_SITE && mesh_classic(e->m, i, (size_t)e->node);
}

static bool has_classic(const struct emit *e)
{
	for (size_t i = e->m->n_hubs; i < e->m->n_nodes; i++)
		if (classic(e, i))
			return true;
	return false;
}

static void portals(struct emit *e, cJSON *root)
{
	const struct mesh *m = e->m;
	cJSON *list = emit_list(e, emit_obj(e, root, "reverse"), "portals");
	char text[EMIT_TEXT];

	for (size_t i = m->n_hubs; i < m->n_nodes; i++) {
		cJSON *p;

		if (!classic(e, i))
			continue;
		p = emit_item(e, list);
		portal_tag(&m->nodes[i], text);
		emit_str(e, p, "tag", text);
		bridge_name(e, &m->nodes[i], text);
		emit_str(e, p, "domain", text);
		snprintf(text, sizeof(text), "portal.%s", m->nodes[i].name);
		emit_one(e, p, "user", text);
	}
}

/* A site offers itself by a name that nobody else may ask for. */
static void portal_rules(struct emit *e, cJSON *rules)
{
	const struct mesh *m = e->m;
	char tag[EMIT_TEXT], text[EMIT_TEXT + 8], name[EMIT_TEXT];
	cJSON *r;

	for (size_t i = m->n_hubs; i < m->n_nodes; i++) {
		if (!classic(e, i))
			continue;
		portal_tag(&m->nodes[i], tag);
		snprintf(text, sizeof(text), "portal of %s", m->nodes[i].name);
		r = emit_rule(e, rules, text, tag);
		emit_one(e, r, "inboundTag", "mesh");
		snprintf(text, sizeof(text), "portal.%s", m->nodes[i].name);
		emit_one(e, r, "user", text);
		bridge_name(e, &m->nodes[i], name);
		snprintf(text, sizeof(text), "full:%s", name);
		emit_one(e, r, "domain", text);
	}
	snprintf(text, sizeof(text), "domain:bridge.%s", m->domain);
	emit_one(e, emit_rule(e, rules, "portals of others", "block"), "domain", text);
}

/* ---- rules ---- */

static void forward_rules(struct emit *e, cJSON *rules)
{
	for (size_t i = 0; i < e->m->n_forwards; i++) {
		const struct mesh_forward *f = &e->m->forwards[i];
		char tag[EMIT_TEXT], out[EMIT_TEXT], in[EMIT_TEXT];

		if (f->hub != e->node)
			continue;
		snprintf(tag, sizeof(tag), "forwards[%zu] %s", i, f->name);
		snprintf(in, sizeof(in), "forward.%s", f->name);
		if (f->to.node == e->node)
			mesh_part_of(e, f, out);
		else
			portal_tag(&e->m->nodes[f->to.node], out);
		emit_one(e, emit_rule(e, rules, tag, out), "inboundTag", in);
	}
}

static void policy_rules(struct emit *e, cJSON *rules)
{
	const struct mesh *m = e->m;
	bool local = emit_has_local(&m->nodes[e->node]);
	char tag[EMIT_TEXT];

	for (size_t i = 0; i < m->n_nodes; i++) {
		if (m->nodes[i].kind == MESH_SITE) {
			portal_tag(&m->nodes[i], tag);
			mesh_rules_away(e, rules, (int)i, tag, MESH_BY_USER);
		} else {
			emit_hub_tag(e, (int)i, tag);
		}
		if (local && m->nodes[i].kind != MESH_PHONE && (int)i != e->node)
			mesh_rules_away(e, rules, (int)i, tag, MESH_BY_LOCAL);
	}
	mesh_rules_here(e, rules, MESH_BY_USER);
}

/* What the policy says nothing about stays where it is. */
static void denial_rules(struct emit *e, cJSON *rules)
{
	struct prefix routes[EMIT_PREFIXES];
	size_t n = mesh_routes(e->m, routes, EMIT_PREFIXES);
	char text[EMIT_TEXT];
	cJSON *r = emit_rule(e, rules, "default deny", "block");

	emit_prefixes(e, r, "ip", routes, n);
	snprintf(text, sizeof(text), "domain:%s", e->m->domain);
	emit_one(e, emit_rule(e, rules, "default deny by name", "block"), "domain", text);
}

/* Whose flows leave by @x through this hub; another hub's users go there by themselves. */
static bool leaves_here(const struct emit *e, const struct mesh_exit *x, size_t node)
{
	bool elsewhere = x->through != e->node && e->m->nodes[x->through].kind == MESH_HUB;

	return !elsewhere && x->from.member[node] && (int)node != x->through &&
	       emit_has_account(e, node, e->node);
}

static void one_exit(struct emit *e, cJSON *rules, const struct mesh_exit *x)
{
	const struct mesh *m = e->m;
	char tag[EMIT_TEXT], out[EMIT_TEXT];
	cJSON *r, *list;
	bool any = false;

	if (x->through == e->node)
		snprintf(out, sizeof(out), "exit");
	else if (m->nodes[x->through].kind == MESH_SITE)
		portal_tag(&m->nodes[x->through], out);
	else
		emit_hub_tag(e, x->through, out);
	for (size_t i = 0; i < m->n_nodes; i++)
		any |= leaves_here(e, x, i);
	snprintf(tag, sizeof(tag), "exits[%zu] through %s", x->number - 1,
		 m->nodes[x->through].name);
	if (any) {
		r = emit_rule(e, rules, tag, out);
		emit_one(e, r, "inboundTag", "mesh");
		list = emit_list(e, r, "user");
		for (size_t i = 0; i < m->n_nodes; i++)
			if (leaves_here(e, x, i))
				emit_text(e, list, m->nodes[i].name);
	}
	if (!emit_has_local(&m->nodes[e->node]) || !x->from.member[e->node])
		return;
	snprintf(tag, sizeof(tag), "exits[%zu] from here", x->number - 1);
	emit_local_tags(e, emit_rule(e, rules, tag, out));
}

static bool is_exit(const struct emit *e)
{
	for (size_t i = 0; i < e->m->n_exits; i++)
		if (e->m->exits[i].through == e->node)
			return true;
	return false;
}

static void exit_rules(struct emit *e, cJSON *rules)
{
	cJSON *r;

	if (e->m->n_exits == 0)
		return;
	r = emit_rule(e, rules, "exits: private addresses", "block");
	emit_private(e, r, "ip");
	for (size_t i = 0; i < e->m->n_exits; i++)
		one_exit(e, rules, &e->m->exits[i]);
}

/* For this hub's own users: the other hubs' addresses are there, and nowhere else. */
static void hub_outbounds(struct emit *e, cJSON *outbounds)
{
	char tag[EMIT_TEXT];

	if (!emit_has_local(&e->m->nodes[e->node]))
		return;
	for (size_t i = 0; i < e->m->n_hubs; i++) {
		if ((int)i == e->node)
			continue;
		emit_hub_tag(e, (int)i, tag);
		emit_to_hub(e, outbounds, tag, (int)i, &e->keys[e->node].id, NULL);
	}
}

/* So that nodes with several hubs can tell whether this one is alive. */
static void probe_rule(struct emit *e, cJSON *rules)
{
	char text[EMIT_TEXT];

	if (e->m->n_hubs < 2)
		return;
	snprintf(text, sizeof(text), "full:probe.%s", e->m->domain);
	emit_one(e, emit_rule(e, rules, "probe", "probe"), "domain", text);
}

static void probe_outbound(struct emit *e, cJSON *outbounds)
{
	cJSON *o, *r;

	if (e->m->n_hubs < 2)
		return;
	o = emit_item(e, outbounds);
	emit_str(e, o, "tag", "probe");
	emit_str(e, o, "protocol", "blackhole");
	r = emit_obj(e, emit_obj(e, o, "settings"), "response");
	emit_str(e, r, "type", "http");
	if (e->m->nodes[e->node].software == MESH_GARENNE)
		emit_num(e, r, "status", 204);
}

void emit_hub(struct emit *e)
{
	cJSON *root = cJSON_CreateObject(), *list;

	emit_head(e, root);
	emit_names(e, root);
	list = emit_list(e, root, "inbounds");
	mesh_inbound(e, list);
	forward_inbounds(e, list);
	emit_local_inbounds(e, list);
	list = emit_list(e, root, "outbounds");
	emit_blackhole(e, list);
	mesh_part_outbounds(e, list);
	if (is_exit(e))
		emit_exit(e, list, "exit");
	hub_outbounds(e, list);
	probe_outbound(e, list);
	emit_dns_outbound(e, list);
	join_outbound(e, list);
	if (has_classic(e))
		portals(e, root);
	list = emit_list(e, emit_obj(e, root, "routing"), "rules");
	join_rule(e, list);
	if (has_classic(e))
		portal_rules(e, list);
	probe_rule(e, list);
	emit_dns_rules(e, list);
	forward_rules(e, list);
	policy_rules(e, list);
	denial_rules(e, list);
	exit_rules(e, list);
	emit_anything(e, emit_rule(e, list, "nothing else", "block"));
	emit_file(e, root, emit_file_kind(e), ".json");
	emit_front(e);
	emit_limits(e);
}
