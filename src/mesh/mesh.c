#include "mesh/mesh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "conf/msg.h"
#include "mesh/parse.h"

static void range_parse(const struct jnode *root, const char *key, const char *def, int family,
			struct prefix *out)
{
	const char *text = jnode_str(root, key, def);
	char found[FOUND_MAX];
	struct jnode n;

	if (*text == 0)
		return;
	jnode_get(root, key, &n);
	if (prefix_parse(out, span_str(text)) != 0 || out->ip.family != family || out->len == 0) {
		memset(out, 0, sizeof(*out));
		jnode_error(&n, "found %s, expected an IPv%d prefix like %s",
			    jnode_found(&n, found, sizeof(found)), family,
			    family == 4 ? "100.64.0.0/10" : "fd12:3456:789a::/48");
	} else if (family == 6 && out->len > 48) {
		jnode_error(&n, "found /%u, expected /48 or shorter: LANs get a /64 each", out->len);
	}
}

static void domain_parse(struct mesh_parser *p, const struct jnode *root)
{
	char own[MESH_NAME_MAX + 8];
	struct jnode n;

	snprintf(own, sizeof(own), "%.*s.mesh", MESH_NAME_MAX, p->m->name);
	p->m->domain = jnode_str(root, "domain", conf_arena_text(p->ld.arena, span_str(own)));
	if (strspn(p->m->domain, "abcdefghijklmnopqrstuvwxyz0123456789-.") ==
		    strlen(p->m->domain) &&
	    strchr(p->m->domain, '.') && *p->m->domain != '.' && strlen(p->m->domain) <= 100)
		return;
	jnode_get(root, "domain", &n);
	jnode_error(&n, "found \"%.60s\", expected a name with a dot in lower case, like home.mesh",
		    p->m->domain);
}

/* Asked past the mesh, like everything that a node's program needs for itself. */
static void resolver_parse(struct mesh_parser *p, const struct jnode *root)
{
	const struct mesh *m = p->m;
	const struct prefix *ranges[] = {&m->range4, &m->mapped, &m->range6};
	const char *text = jnode_str(root, "resolver", "");
	struct ip *ip = &p->m->resolver;
	struct jnode n;

	if (*text == 0)
		return;
	jnode_get(root, "resolver", &n);
	if (ip_parse(ip, span_str(text)) != 0 || ip_is_any(ip)) {
		memset(ip, 0, sizeof(*ip));
		jnode_error(&n, "found \"%.60s\", expected the address of a name server", text);
	}
	for (size_t i = 0; i < 3; i++)
		if (ranges[i]->ip.family && ip->family && prefix_has(ranges[i], ip))
			jnode_error(&n, "%.60s is in the mesh, expected a name server outside of it", text);
}

static void flow_parse(struct mesh_parser *p, const struct jnode *root)
{
	struct jnode n;

	p->m->flow = jnode_str(root, "flow", "");
	if (*p->m->flow == 0 || strcmp(p->m->flow, "xtls-rprx-vision") == 0)
		return;
	jnode_get(root, "flow", &n);
	jnode_error(&n, "found \"%.40s\", expected \"\" or \"xtls-rprx-vision\"", p->m->flow);
}

static void head_parse(struct mesh_parser *p, const struct jnode *root)
{
	static const struct word words[] = {
		{"reality", MESH_REALITY}, {"tls", MESH_TLS}, {"none", MESH_CLEAR}, {NULL, 0}};
	struct mesh *m = p->m;
	char found[FOUND_MAX];
	struct jnode n;

	jnode_get(root, "mesh", &n);
	m->name = jnode_text(&n, "");
	if (!mesh_name_ok(m->name)) {
		jnode_error(&n, "found %s, expected a name for the mesh: a-z, 0-9 and \"-\"",
			    jnode_found(&n, found, sizeof(found)));
		m->name = "mesh";
	}
	domain_parse(p, root);
	flow_parse(p, root);
	range_parse(root, "ipv4", "100.64.0.0/10", 4, &m->range4);
	range_parse(root, "mapped", "198.18.0.0/15", 4, &m->mapped);
	range_parse(root, "ipv6", "", 6, &m->range6);
	resolver_parse(p, root);
	p->security = (enum mesh_security)jnode_word(root, "security", words, MESH_REALITY);
	if (m->range4.ip.family && m->mapped.ip.family && prefix_overlaps(&m->range4, &m->mapped)) {
		jnode_get(root, "mapped", &n);
		jnode_error(&n, "overlaps with \"ipv4\": virtual addresses and mapped LANs need "
				"ranges of their own");
	}
}

static void root_parse(struct mesh_parser *p, const struct jnode *root)
{
	static const struct key keys[] = {
		KNOWN("mesh"),	 KNOWN("domain"), KNOWN("security"), KNOWN("flow"),
		KNOWN("ipv4"),	 KNOWN("ipv6"),	  KNOWN("mapped"),   KNOWN("hubs"),
		KNOWN("sites"),	 KNOWN("phones"), KNOWN("groups"),   KNOWN("policy"),
		KNOWN("exits"),	 KNOWN("forwards"), KNOWN("expect"),
		KNOWN("resolver"), KEYS_END,
	};
	struct conf_msgs *msgs = p->ld.msgs;

	if (!jnode_object(root, keys))
		return;
	head_parse(p, root);
	mesh_parse_nodes(p, root);
	/* Rules name nodes: they say little while those are wrong. */
	if (msgs->errors == 0)
		mesh_parse_rules(p, root);
	if (msgs->errors == 0)
		mesh_check(p);
}

struct mesh *mesh_parse(const char *file, struct span text, struct conf_msgs *msgs)
{
	struct mesh *m = calloc(1, sizeof(*m));
	struct mesh_parser p = {.m = m};
	struct json_doc doc = {0};
	struct conf_at at = {.path = ""};
	struct conf none = {0};
	struct jnode root;

	if (m)
		m->arena = conf_arena_new();
	if (!m || !m->arena) {
		conf_msg_add(msgs, CONF_MSG_ERROR, &at, 0, "out of memory");
		free(m);
		return NULL;
	}
	at.file = conf_arena_text(m->arena, span_str(file));
	p.ld = (struct load){.conf = &none, .arena = m->arena, .msgs = msgs, .strict = true};
	if (json_parse(&doc, at.file, text, msgs) == 0) {
		root = (struct jnode){&p.ld, &doc, doc.root, NULL, "", -1};
		root_parse(&p, &root);
	}
	json_free(&doc);
	if (conf_arena_failed(m->arena))
		conf_msg_add(msgs, CONF_MSG_ERROR, &at, 0, "out of memory");
	if (msgs->errors == 0)
		return m;
	mesh_free(m);
	return NULL;
}

void mesh_free(struct mesh *m)
{
	if (!m)
		return;
	conf_arena_free(m->arena);
	free(m);
}

/* ---- looking things up ---- */

int mesh_find(const struct mesh *m, struct span name)
{
	for (size_t i = 0; i < m->n_nodes; i++)
		if (span_eq(span_str(m->nodes[i].name), name))
			return (int)i;
	return MESH_NOBODY;
}

static bool node_has(const struct mesh_node *n, const struct ip *ip)
{
	if (ip_eq(&n->ip4, ip) || ip_eq(&n->ip6, ip))
		return true;
	for (size_t i = 0; i < n->n_lans; i++)
		if (prefix_has(&n->lans[i].seen, ip))
			return true;
	return false;
}

int mesh_owner(const struct mesh *m, const struct ip *ip)
{
	for (size_t i = 0; ip->family && i < m->n_nodes; i++)
		if (node_has(&m->nodes[i], ip))
			return (int)i;
	return MESH_NOBODY;
}

bool mesh_inside(const struct mesh *m, const struct ip *ip)
{
	return (m->range4.ip.family && prefix_has(&m->range4, ip)) ||
	       (m->range6.ip.family && prefix_has(&m->range6, ip)) ||
	       (m->mapped.ip.family && prefix_has(&m->mapped, ip)) ||
	       mesh_owner(m, ip) != MESH_NOBODY;
}

size_t mesh_places(const struct mesh *m, int node, struct prefix *out, size_t max)
{
	const struct mesh_node *v = &m->nodes[node];
	size_t n = 0;

	if (v->ip4.family && n < max)
		out[n++] = (struct prefix){v->ip4, 32};
	if (v->ip6.family && n < max)
		out[n++] = (struct prefix){v->ip6, 128};
	for (size_t i = 0; i < v->n_lans && n < max; i++)
		out[n++] = v->lans[i].seen;
	return n;
}

size_t mesh_routes(const struct mesh *m, struct prefix *out, size_t max)
{
	const struct prefix *ranges[] = {&m->range4, &m->mapped, &m->range6};
	size_t n = 0;

	for (size_t i = 0; i < 3; i++)
		if (ranges[i]->ip.family && n < max)
			out[n++] = *ranges[i];
	for (size_t i = 0; i < m->n_nodes; i++)
		for (size_t k = 0; k < m->nodes[i].n_lans && n < max; k++) {
			const struct prefix *seen = &m->nodes[i].lans[k].seen;
			bool in = false;

			for (size_t r = 0; r < 3; r++)
				in |= ranges[r]->ip.family && prefix_has(ranges[r], &seen->ip);
			if (!in)
				out[n++] = *seen;
		}
	return n;
}

char *mesh_routes_text(const struct mesh *m, int family, char out[MESH_ROUTES_TEXT])
{
	struct prefix v[256];
	size_t n = mesh_routes(m, v, 256), at = 0;
	char text[64];

	*out = 0;
	for (size_t i = 0; i < n && at < MESH_ROUTES_TEXT - sizeof(text) - 2; i++)
		if (v[i].ip.family == family)
			at += (size_t)snprintf(out + at, MESH_ROUTES_TEXT - at, "%s%s", at ? ", " : "",
					       prefix_text(&v[i], text, sizeof(text)));
	return out;
}

bool mesh_name_server(const struct mesh *m, struct ip *out)
{
	const struct prefix *range = m->range4.ip.family ? &m->range4 : &m->range6;
	unsigned bytes = range->ip.family == 4 ? 4 : 16;

	if (range->ip.family == 0 || range->len > bytes * 8 - 8)
		return false;
	*out = range->ip;
	for (unsigned i = range->len; i < bytes * 8 - 1; i++)
		out->b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return true;
}

/* Hubs, sites and phones get a 64th of the range each, or in IPv6 a /64. */
struct prefix mesh_kind_range(const struct mesh *m, enum mesh_kind kind, int family)
{
	const struct prefix *all = family == 4 ? &m->range4 : &m->range6;
	struct prefix out = *all;

	if (all->ip.family == 0)
		return out;
	if (family == 6) {
		out.ip.b[7] |= (uint8_t)kind;
		out.len = 64;
	} else if (all->len <= 18) {
		uint32_t low = (uint32_t)kind << (32 - all->len - 6);

		for (int i = 0; i < 4; i++)
			out.ip.b[i] |= (uint8_t)(low >> (24 - 8 * i));
		out.len = (uint8_t)(all->len + 6);
	}
	return out;
}

const char *mesh_kind_name(enum mesh_kind kind)
{
	static const char *const names[] = {"hub", "site", "phone"};

	return names[kind];
}

const char *mesh_software_name(enum mesh_software s)
{
	static const char *const names[] = {"garenne", "xray", "v2ray"};

	return names[s];
}

const char *mesh_security_name(enum mesh_security s)
{
	static const char *const names[] = {"reality", "tls", "none"};

	return names[s];
}

bool mesh_classic(const struct mesh *m, size_t site, size_t hub)
{
	return m->nodes[site].software == MESH_V2RAY || m->nodes[hub].software == MESH_V2RAY;
}

const char *mesh_flow(const struct mesh *m, size_t hub)
{
	return m->nodes[hub].software == MESH_V2RAY ? "" : m->flow;
}

bool mesh_sources_known(const struct mesh *m)
{
	for (size_t i = 0; i < m->n_hubs; i++)
		if (m->nodes[i].software != MESH_GARENNE)
			return false;
	return true;
}

bool mesh_delivers(const struct mesh *m, int node, enum mesh_delivery d)
{
	const struct mesh_node *v = &m->nodes[node];

	if (d == MESH_DIAL)
		return true;
	return v->software == MESH_GARENNE && mesh_sources_known(m) &&
	       (d == MESH_PROXY || v->tun);
}

enum mesh_delivery mesh_delivery(const struct mesh *m, const struct mesh_rule *r, int node,
				 const struct prefix *place)
{
	const struct mesh_node *v = &m->nodes[node];
	enum mesh_delivery d = v->delivery;

	for (size_t i = 0; i < v->n_lans; i++)
		if (prefix_has(&v->lans[i].seen, &place->ip))
			d = v->lans[i].delivery;
	if (r && r->delivers)
		d = r->delivery;
	return mesh_delivers(m, node, d) ? d : MESH_DIAL;
}

static unsigned by_policy(const struct mesh *m, int node, const struct prefix *place)
{
	unsigned out = 0;

	for (size_t i = 0; i < m->n_rules; i++)
		for (size_t k = 0; m->rules[i].allow && k < m->rules[i].n_to; k++)
			if (m->rules[i].to[k].node == node &&
			    prefix_overlaps(place, &m->rules[i].to[k].prefix))
				out |= 1u << mesh_delivery(m, &m->rules[i], node, place);
	for (size_t i = 0; i < m->n_forwards; i++) {
		const struct mesh_forward *f = &m->forwards[i];

		if (f->to.node == node && prefix_overlaps(place, &f->to.prefix))
			out |= 1u << (mesh_delivers(m, node, f->delivery) ? f->delivery : MESH_DIAL);
	}
	return out;
}

unsigned mesh_deliveries(const struct mesh *m, int node, const struct prefix *place)
{
	struct prefix places[80];
	size_t n = place ? 0 : mesh_places(m, node, places, 80);
	unsigned out = place ? by_policy(m, node, place) : 0;

	for (size_t i = 0; i < n; i++)
		out |= by_policy(m, node, &places[i]);
	return out;
}

const char *mesh_delivery_name(enum mesh_delivery d)
{
	static const char *const names[] = {"dial", "proxy", "transparent"};

	return names[d];
}

bool mesh_serves_tickets(const struct mesh_node *hub)
{
	return hub->kind == MESH_HUB && hub->software == MESH_GARENNE && *hub->hub.tickets;
}

const struct mesh_exit *mesh_exit_of(const struct mesh *m, int node)
{
	for (size_t i = 0; i < m->n_exits; i++)
		if (m->exits[i].from.member[node] && m->exits[i].through != node)
			return &m->exits[i];
	return NULL;
}
