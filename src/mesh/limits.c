/* What a node's owner must know: what its program cannot do, and what it needs. */
#include <string.h>

#include "mesh/emit.h"

/*
 * What does not work with a node, one line for each kind of thing:
 *
 *     no ping from and to it: ...
 *
 * "from" is what its own users and its LAN begin, "to" what they are asked, "through" what a hub
 * hands on for others. The lab runs everything between everybody and takes these lines at their
 * word (tests/lab/t_mesh_stock.py).
 */
enum { FROM = 1, TO = 2, THROUGH = 4 };

struct limit {
	const char *what;
	unsigned dirs; /* of a site; what a hub does not do to its own it does not do for others */
	const char *why;
};

static void limit_note(struct emit *e, const struct limit *l, unsigned dirs)
{
	static const char *const texts[] = {
		[FROM] = "from",
		[TO] = "to",
		[THROUGH] = "through",
		[FROM | TO] = "from and to",
		[FROM | THROUGH] = "from and through",
		[TO | THROUGH] = "to and through",
		[FROM | TO | THROUGH] = "from, to and through",
	};

	/* Nobody begins anything where there is no way in. */
	if (!emit_has_local(&e->m->nodes[e->node]))
		dirs &= ~(unsigned)FROM;
	if (dirs)
		emit_note(e, "no %s %s it: %s", l->what, texts[dirs], l->why);
}

static void limit_table(struct emit *e, const struct limit *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		limit_note(e, &v[i], v[i].dirs);
}

/* What is only reached because the file says its name. */
static bool has_mapped(const struct mesh_node *v)
{
	for (size_t i = 0; i < v->n_lans; i++)
		if (!ip_eq(&v->lans[i].real.ip, &v->lans[i].seen.ip))
			return true;
	return false;
}

/* What all stock programs have in common. */
static void limits_stock(struct emit *e)
{
	static const struct limit site[] = {
		{"ping", FROM | TO, "its program carries TCP and UDP only"},
		{"verdict", FROM | TO, "connections are accepted before anybody has dialled: closed and "
				       "filtered ports look open, then the connection ends"},
		{"half-close", FROM | TO, "who ends his direction ends the connection"},
		{"own address", TO, "what it serves itself sees its neighbours of the mesh as coming from "
				    "127.0.0.1"},
		{"second UDP target", TO, "all that one local port sends to its own address or to one "
					  "mapped machine arrives at the port that was asked first; "
					  "v2ray sends to each by itself"},
		{"lookup", FROM, "it answers no questions for names; programs with the proxy send it "
				 "the name itself"},
		{"trace", FROM | TO, "it does not tell what it decides"},
	};
	static const struct limit unnamed = {"unnamed machine", TO,
					     "it cannot map prefixes: of a LAN with \"as\" only the "
					     "machines in \"hosts\" are reached"};
	const struct mesh_node *v = &e->m->nodes[e->node];
	bool hub = v->kind == MESH_HUB;

	for (size_t i = 0; i < sizeof(site) / sizeof(site[0]); i++)
		limit_note(e, &site[i], site[i].dirs | (hub && site[i].dirs == (FROM | TO) ? THROUGH : 0));
	if (has_mapped(v))
		limit_note(e, &unnamed, TO);
	if (hub)
		limit_note(e, &(struct limit){"sender", 0, "the sites are not told whose flow it is: "
					      "there rules say what may be reached, here who may do it"},
			   FROM | THROUGH);
	if (!hub && !emit_has_local(v))
		emit_note(e, "has no way into the mesh itself: set \"socks\"");
}

/* What is done by hand where our own packages do not do it. */
static void steps(struct emit *e, const char *path, const char *test, const char *unit)
{
	const struct mesh_node *v = &e->m->nodes[e->node];

	emit_note(e, "to run it: %s.json goes to %s, where the service's user must be able to read it; "
		     "\"%s %s\"; \"systemctl enable %s\"; \"systemctl restart %s\" then and after each "
		     "change, for it reloads nothing",
		  v->name, path, test, path, unit, unit);
	if (v->kind == MESH_HUB && *v->hub.cert && !emit_has_front(v))
		emit_note(e, "the service's user must be able to read %s and %s, too", v->hub.cert,
			  v->hub.key);
}

static void limits_xray(struct emit *e)
{
	static const struct limit big = {"large datagram", FROM, "it breaks what is longer than 7000 bytes"};
	const struct mesh_node *v = &e->m->nodes[e->node];

	emit_note(e, "needs Xray 25.10.15 or newer, which the file says; from 26.5.3 on it also "
		     "obeys \"finalRules\", the second lock behind the rules");
	steps(e, "/usr/local/etc/xray/config.json", "xray run -test -c", "xray");
	for (size_t i = 0; i < e->m->n_hubs && v->kind == MESH_SITE; i++)
		if (*e->m->nodes[i].hub.pin && *e->m->nodes[i].hub.cert)
			emit_note(e, "needs Xray 26.1.18 or newer to check the pin of %s",
				  e->m->nodes[i].name);
	limits_stock(e);
	if (v->kind == MESH_SITE)
		limit_table(e, &big, 1);
	else
		emit_note(e, "mixes up UDP answers that come from another port than the one that was asked, "
			     "when several flows have such at once");
}

static void limits_v2ray(struct emit *e)
{
	static const struct limit site[] = {
		{"large datagram", FROM | TO, "it has room for 2048 bytes"},
		{"sender", TO, "it is not told whose flow it is: its own rules say what may be reached, "
			       "the hub's who may do it"},
	};
	static const struct limit hub[] = {
		{"large datagram", FROM | TO | THROUGH, "it has room for 2048 bytes"},
		{"second UDP target", THROUGH, "answers do not say whom they are from"},
	};
	const struct mesh_node *v = &e->m->nodes[e->node];

	emit_note(e, "needs v2ray 4.34; newer ones work as far as they have the classic reverse proxy");
	steps(e, "/etc/v2ray/config.json", "v2ray -test -config", "v2ray");
	limits_stock(e);
	if (v->kind == MESH_HUB) {
		limit_table(e, hub, sizeof(hub) / sizeof(hub[0]));
		emit_note(e, "notices a lost site late: for up to 30 s flows are led to a connection that "
			     "is gone");
		return;
	}
	limit_table(e, site, sizeof(site) / sizeof(site[0]));
	emit_note(e, "notices a lost hub late");
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
		emit_note(e, "a hub that is not garenne does not say whose flow it is: rules about who hold "
			     "at the hub only");
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
