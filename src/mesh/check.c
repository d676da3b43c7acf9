/* What is wrong with a mesh although each line of it can be understood. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/msg.h"
#include "mesh/parse.h"

void mesh_error(struct mesh_parser *p, const struct conf_at *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	conf_msg_addv(p->ld.msgs, CONF_MSG_ERROR, at, 0, fmt, ap);
	va_end(ap);
}

/* ---- addresses are unique ---- */

static void check_pair(struct mesh_parser *p, const struct mesh_node *a, const struct mesh_node *b)
{
	char x[64], y[64], t[ADDR_TEXT_MAX];

	if (a < b && a->kind == MESH_HUB && b->kind == MESH_HUB &&
	    addr_eq(&a->hub.address, &b->hub.address))
		mesh_error(p, &b->at, "found \"%s\", where everybody dials %s (line %d), too; expected "
				      "an address or port of its own",
			   addr_text(&b->hub.address, t, sizeof(t)), a->name, a->at.line);
	if ((a->ip4.family && ip_eq(&a->ip4, &b->ip4)) ||
	    (a->ip6.family && ip_eq(&a->ip6, &b->ip6)))
		mesh_error(p, &b->at, "has the same address as %s at line %d", a->name, a->at.line);
	for (size_t i = 0; i < a->n_lans; i++) {
		const struct prefix *seen = &a->lans[i].seen;

		if ((b->ip4.family && prefix_has(seen, &b->ip4)) ||
		    (b->ip6.family && prefix_has(seen, &b->ip6)))
			mesh_error(p, &b->at, "its address is in %s, a LAN of %s",
				   prefix_text(seen, x, sizeof(x)), a->name);
		for (size_t k = 0; a < b && k < b->n_lans; k++)
			if (prefix_overlaps(seen, &b->lans[k].seen))
				mesh_error(p, &b->lans[k].at,
					   "%s overlaps with %s of %s at line %d; give each an \"as\" "
					   "of its own, which \"garenne mesh add\" chooses",
					   prefix_text(&b->lans[k].seen, x, sizeof(x)),
					   prefix_text(seen, y, sizeof(y)), a->name,
					   a->lans[i].at.line);
	}
}

static void check_own_lans(struct mesh_parser *p, const struct mesh_node *n)
{
	char x[64];

	for (size_t i = 0; i < n->n_lans; i++)
		for (size_t k = 0; k < i; k++)
			if (prefix_overlaps(&n->lans[i].seen, &n->lans[k].seen))
				mesh_error(p, &n->lans[i].at, "%s overlaps with the LAN at line %d",
					   prefix_text(&n->lans[i].seen, x, sizeof(x)),
					   n->lans[k].at.line);
}

/* A real LAN inside a range of the mesh would be routed into the mesh by its own router. */
static void check_real_lan(struct mesh_parser *p, const struct mesh_lan *lan)
{
	const struct prefix *ranges[] = {&p->m->range4, &p->m->mapped, &p->m->range6};
	char x[64], y[64];

	for (size_t i = 0; i < 3; i++)
		if (ranges[i]->ip.family && prefix_overlaps(ranges[i], &lan->real))
			mesh_error(p, &lan->at, "%s overlaps with the mesh's own range %s",
				   prefix_text(&lan->real, x, sizeof(x)),
				   prefix_text(ranges[i], y, sizeof(y)));
}

static void check_name_server(struct mesh_parser *p, const struct mesh_node *n)
{
	char x[64];
	struct ip ip;

	if (!mesh_name_server(p->m, &ip))
		return;
	if (ip_eq(&n->ip4, &ip) || ip_eq(&n->ip6, &ip))
		mesh_error(p, &n->at, "has the address %s, which answers questions for names",
			   ip_text(&ip, x, sizeof(x)));
	for (size_t i = 0; i < n->n_lans; i++)
		if (prefix_has(&n->lans[i].seen, &ip))
			mesh_error(p, &n->lans[i].at, "has the address %s in it, which answers "
						      "questions for names",
				   ip_text(&ip, x, sizeof(x)));
}

/* ---- nodes fit together ---- */

static void check_xray(struct mesh_parser *p, const struct mesh_node *site)
{
	for (size_t i = 0; i < p->m->n_hubs; i++)
		if (p->m->nodes[i].software == MESH_V2RAY)
			mesh_error(p, &site->at, "the hub %s (v2ray) knows the classic reverse proxy only, "
						 "which Xray does no longer; expected garenne or v2ray here",
				   p->m->nodes[i].name);
}

static void check_v2ray(struct mesh_parser *p, const struct mesh_node *site)
{
	for (size_t i = 0; i < p->m->n_hubs; i++) {
		const struct mesh_node *hub = &p->m->nodes[i];

		if (hub->software == MESH_XRAY)
			mesh_error(p, &site->at, "v2ray knows the classic reverse proxy only, which "
						 "the hub %s (xray) does not do; expected hubs with "
						 "garenne or v2ray",
				   hub->name);
		else if (hub->hub.security == MESH_REALITY)
			mesh_error(p, &site->at, "v2ray knows no REALITY, which the hub %s wants; give "
						 "the hub \"security\": \"tls\"", hub->name);
		else if (*hub->hub.pin && *hub->hub.cert)
			mesh_error(p, &site->at, "v2ray cannot pin the certificate of the hub %s; it "
						 "must be one that every system trusts", hub->name);
	}
}

static void check_nodes(struct mesh_parser *p)
{
	struct mesh *m = p->m;

	for (size_t i = 0; i < m->n_nodes; i++) {
		const struct mesh_node *a = &m->nodes[i];

		for (size_t k = 0; k < m->n_nodes; k++)
			if (k != i && (k > i || a->n_lans))
				check_pair(p, a, &m->nodes[k]);
		check_own_lans(p, a);
		check_name_server(p, a);
		for (size_t k = 0; k < a->n_lans; k++)
			check_real_lan(p, &a->lans[k]);
		if (a->kind == MESH_SITE && a->software == MESH_XRAY)
			check_xray(p, a);
		if (a->kind == MESH_SITE && a->software == MESH_V2RAY)
			check_v2ray(p, a);
		if (a->kind == MESH_HUB && a->software == MESH_V2RAY && a->hub.security == MESH_REALITY)
			mesh_error(p, &a->at, "v2ray knows no REALITY; expected \"security\": \"tls\"");
		if (a->kind == MESH_HUB && a->hub.security == MESH_CLEAR && *m->flow)
			mesh_error(p, &a->at, "\"flow\" needs TLS or REALITY, found \"security\": "
					      "\"none\"");
	}
}

/* ---- ports of hubs ---- */

static void check_forwards(struct mesh_parser *p)
{
	const struct mesh *m = p->m;

	for (size_t i = 0; i < m->n_forwards; i++) {
		const struct mesh_forward *f = &m->forwards[i];

		if (f->port == m->nodes[f->hub].hub.address.port && (f->networks & CONF_TCP))
			mesh_error(p, &f->at, "port %u of %s is where the mesh itself listens", f->port,
				   m->nodes[f->hub].name);
		for (size_t k = 0; k < i; k++) {
			const struct mesh_forward *g = &m->forwards[k];

			if (strcmp(g->name, f->name) == 0)
				mesh_error(p, &f->at, "there is a forward \"%s\" already, at line %d",
					   f->name, g->at.line);
			else if (g->hub == f->hub && g->port == f->port &&
				 (g->networks & f->networks))
				mesh_error(p, &f->at, "port %u of %s is taken by \"%s\" at line %d",
					   f->port, m->nodes[f->hub].name, g->name, g->at.line);
		}
	}
}

static void check_exits(struct mesh_parser *p)
{
	const struct mesh *m = p->m;

	for (size_t node = 0; node < m->n_nodes; node++) {
		const struct mesh_exit *first = NULL;

		for (size_t i = 0; i < m->n_exits; i++) {
			const struct mesh_exit *e = &m->exits[i];

			if (!e->from.member[node] || e->through == (int)node)
				continue;
			if (first)
				mesh_error(p, &e->at, "%s has an exit already, at line %d",
					   m->nodes[node].name, first->at.line);
			else
				first = e;
		}
	}
}

static void check_groups(struct mesh_parser *p)
{
	const struct mesh *m = p->m;

	for (size_t i = 0; i < m->n_groups; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(m->groups[i].name, m->groups[k].name) == 0)
				mesh_error(p, &m->groups[i].at, "there is a group of this name at "
								"line %d", m->groups[k].at.line);
}

void mesh_check(struct mesh_parser *p)
{
	check_nodes(p);
	check_groups(p);
	check_forwards(p);
	check_exits(p);
}
