/* What a node's owner must know: what its program cannot do, and what it needs. */
#include <string.h>

#include "mesh/emit.h"

static void limits_xray(struct emit *e)
{
	const struct mesh_node *v = &e->m->nodes[e->node];

	emit_note(e, "needs Xray 25.10.15 or newer, which the file says; from 26.5.3 on it also "
		     "obeys \"finalRules\", the second lock behind the rules");
	emit_note(e, "accepts every connection at once and cannot refuse one as the far end does: "
		     "closed ports look open for a moment");
	emit_note(e, "cannot answer a ping truthfully; pings to it stay without an answer");
	if (v->kind == MESH_HUB)
		emit_note(e, "does not tell the sites whose flow it sends them: they know the public "
			     "address only, so rules about who may reach what hold at the hub, and at "
			     "the sites only those about what may be reached at all");
	for (size_t i = 0; i < v->n_lans; i++)
		if (!ip_eq(&v->lans[i].real.ip, &v->lans[i].seen.ip)) {
			emit_note(e, "cannot map prefixes: of a LAN with \"as\" only the machines in "
				     "\"hosts\" can be reached");
			break;
		}
	if (v->kind == MESH_SITE && v->socks.kind == ADDR_NONE)
		emit_note(e, "has no way into the mesh itself: set \"socks\"");
}

static void limits_v2ray(struct emit *e)
{
	const struct mesh_node *v = &e->m->nodes[e->node];

	emit_note(e, "is reached by the classic reverse proxy, which does not say whose flow it is: "
		     "its own rules say what may be reached, the hub's who may do it");
	emit_note(e, "accepts every connection at once, cannot be pinged, notices a lost hub late");
	for (size_t i = 0; i < v->n_lans; i++)
		if (!ip_eq(&v->lans[i].real.ip, &v->lans[i].seen.ip)) {
			emit_note(e, "cannot map prefixes: of a LAN with \"as\" only the machines in "
				     "\"hosts\" can be reached");
			break;
		}
	if (e->m->n_hubs > 1)
		emit_note(e, "is reached through all hubs, but leads its own users to the first only: "
			     "v2ray 4 has no observatory");
}

static void limits_phone(struct emit *e)
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	const struct mesh_hub *h = &e->m->nodes[0].hub;

	emit_note(e, "cannot be reached, only reach; its app answers pings by itself or drops them");
	switch (v->app) {
	case MESH_APP_V2RAYNG:
		emit_note(e, "needs the profile (%s.v2rayng.json): with the link alone the app's own "
			     "rules send the mesh's addresses past the hub. The link is enough for "
			     "the exit and for names below %s", v->name, e->m->domain);
		emit_note(e, "in the app: import the file as custom configuration; with IPv6, switch "
			     "\"bypass LAN\" off in the VPN settings");
		break;
	case MESH_APP_SING_BOX:
		emit_note(e, "needs the profile (%s.sing-box.json): sing-box reads no links; NekoBox "
			     "and Hiddify read them, and need \"bypass LAN\" switched off", v->name);
		break;
	case MESH_APP_OTHER:
		emit_note(e, "gets a link only: addresses of the mesh work if the app's rules send no "
			     "private address (100.64.0.0/10, 198.18.0.0/15) direct; names below %s "
			     "work anyhow", e->m->domain);
		break;
	}
	if (e->m->n_hubs > 1)
		emit_note(e, "uses one hub at a time: its profile the first (or the one it leaves by), "
			     "a link its own; a hub's own address is reached through that hub only");
	if (h->security == MESH_TLS && *h->pin && v->app != MESH_APP_V2RAYNG)
		emit_note(e, "cannot check the hub's certificate, which nobody has signed: take one of "
			     "a public authority, or REALITY");
	if (h->security == MESH_CLEAR)
		emit_note(e, "talks to the hub in the clear, which newer apps refuse");
}

/* Does the file want what this node cannot do? */
static bool wants_more(const struct emit *e)
{
	const struct mesh_node *v = &e->m->nodes[e->node];

	for (size_t i = 0; i < v->n_lans; i++)
		if (!mesh_delivers(e->m, e->node, v->lans[i].delivery))
			return true;
	for (size_t i = 0; i < e->m->n_rules; i++)
		for (size_t k = 0; e->m->rules[i].delivers && k < e->m->rules[i].n_to; k++)
			if (e->m->rules[i].to[k].node == e->node &&
			    !mesh_delivers(e->m, e->node, e->m->rules[i].delivery))
				return true;
	return !mesh_delivers(e->m, e->node, v->delivery);
}

static void limits_delivery(struct emit *e)
{
	const struct mesh_node *v = &e->m->nodes[e->node];

	if (!wants_more(e))
		return;
	if (v->software != MESH_GARENNE)
		emit_note(e, "delivers by \"dial\", whatever rules say: its services see the site");
	else if (!mesh_sources_known(e->m))
		emit_note(e, "delivers by \"dial\", whatever \"delivery\" says: a hub that is not "
			     "garenne does not say whose flow it is");
	else
		emit_note(e, "delivers by \"dial\" where rules say \"transparent\": it has no TUN");
}

/* What a LAN must know for its answers to come back. */
static void limits_return(struct emit *e)
{
	const struct mesh_node *v = &e->m->nodes[e->node];

	for (size_t i = 0; i < v->n_lans; i++) {
		bool six = v->lans[i].real.ip.family == 6;
		char lan[64], routes[MESH_ROUTES_TEXT];

		if (!(mesh_deliveries(e->m, e->node, &v->lans[i].seen) & 1u << MESH_TRANSPARENT))
			continue;
		mesh_routes_text(e->m, six ? 6 : 4, routes);
		emit_note(e, "sends flows into %s from their originators' addresses: it must forward "
			     "(sysctl %s=1), and unless it is the LAN's router, that one needs routes "
			     "for %s to it", prefix_text(&v->lans[i].real, lan, sizeof(lan)),
			  six ? "net.ipv6.conf.all.forwarding" : "net.ipv4.ip_forward", routes);
	}
}

static void limits_ours(struct emit *e)
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	bool sources = mesh_sources_known(e->m);

	if (!sources && v->kind == MESH_SITE)
		emit_note(e, "a hub that is not garenne does not say whose flow it is: rules about who "
			     "hold at the hub only");
	for (size_t i = 0; i < v->n_lans; i++)
		if (ip_eq(&v->lans[i].real.ip, &v->lans[i].seen.ip))
			emit_note(e, "its LAN at line %d has no \"as\": every node of the mesh routes this "
				     "prefix, and all their files change when it does", v->lans[i].at.line);
	if (v->kind == MESH_SITE && !emit_has_local(v))
		emit_note(e, "has no way into the mesh itself: set \"tun\" or \"socks\"");
	limits_return(e);
}

/* True when some rule lets somebody reach the node's own address. */
static bool reachable(const struct emit *e)
{
	const struct ip *own = &e->m->nodes[e->node].ip4;

	for (size_t i = 0; i < e->m->n_rules; i++)
		for (size_t k = 0; e->m->rules[i].allow && k < e->m->rules[i].n_to; k++)
			if (prefix_has(&e->m->rules[i].to[k].prefix, own))
				return true;
	return false;
}

void emit_limits(struct emit *e)
{
	const struct mesh_node *v = &e->m->nodes[e->node];

	if (v->kind != MESH_PHONE && !v->tun && reachable(e))
		emit_note(e, "has no TUN: its own address stands for 127.0.0.1, so whoever may reach "
			     "it reaches what listens on loopback only");
	if (v->kind == MESH_PHONE)
		limits_phone(e);
	else if (v->software == MESH_XRAY)
		limits_xray(e);
	else if (v->software == MESH_V2RAY)
		limits_v2ray(e);
	else
		limits_ours(e);
	limits_delivery(e);
}
