/*
 * A phone gets what its app can take: links, which any app reads, and a complete
 * profile, because the bundled rules of most apps send every private address
 * past the hub, those of the mesh included.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "mesh/emit.h"
#include "proto/sharelink.h"

static void copy(char *to, size_t cap, const char *text)
{
	snprintf(to, cap, "%s", text);
}

static char *link_text(struct emit *e, int hub)
{
	const struct mesh_node *v = &e->m->nodes[e->node];
	const struct mesh_hub *h = &e->m->nodes[hub].hub;
	struct sharelink l = {.server = h->address, .security = SHARELINK_NONE};
	char *text = calloc(1, SHARELINK_MAX);
	struct wr w = wr_of(text, text ? SHARELINK_MAX - 1 : 0);
	char id[UUID_TEXT], sid[MESH_SHORT_ID_TEXT];

	copy(l.id, sizeof(l.id), uuid_text(&e->keys[e->node].id, id));
	copy(l.flow, sizeof(l.flow), mesh_flow(e->m, (size_t)hub));
	snprintf(l.name, sizeof(l.name), "%s %s", e->m->name, e->m->nodes[hub].name);
	(void)v;
	if (h->security != MESH_CLEAR) {
		l.security = h->security == MESH_TLS ? SHARELINK_TLS : SHARELINK_REALITY;
		copy(l.sni, sizeof(l.sni), h->server_name);
		copy(l.fp, sizeof(l.fp), "chrome");
	}
	if (h->security == MESH_TLS) {
		copy(l.alpn, sizeof(l.alpn), "h2,http/1.1");
		copy(l.pcs, sizeof(l.pcs), h->pin);
		if (*l.sni == 0)
			addr_host_text(&h->address, l.sni, sizeof(l.sni));
	} else if (h->security == MESH_REALITY) {
		copy(l.pbk, sizeof(l.pbk), h->public_key);
		copy(l.sid, sizeof(l.sid), mesh_short_id_text(e->keys[e->node].short_id, sid));
		copy(l.spx, sizeof(l.spx), "/");
	}
	if (!text || sharelink_encode(&w, &l) != 0)
		e->failed = true;
	secret_wipe(&l, sizeof(l));
	secret_wipe(id, sizeof(id));
	return text;
}

static void links(struct emit *e)
{
	char *all = calloc(1, 1), *one, *more;

	for (size_t i = 0; i < e->m->n_hubs && all; i++) {
		one = link_text(e, (int)i);
		if (!one || asprintf(&more, "%s%s\n", all, one) == -1)
			more = NULL;
		secret_wipe(all, strlen(all));
		free(all);
		if (one)
			secret_wipe(one, strlen(one));
		free(one);
		all = more;
	}
	emit_file_text(e, all, MESH_FILE_LINK, ".link");
}

/* The hub through which a phone leaves, or the first. */
static int first_hub(const struct emit *e)
{
	const struct mesh_exit *x = mesh_exit_of(e->m, e->node);

	return x && e->m->nodes[x->through].kind == MESH_HUB ? x->through : 0;
}

/* ---- apps with Xray inside ---- */

static void v2rayng_inbounds(struct emit *e, cJSON *root)
{
	cJSON *in = emit_item(e, emit_list(e, root, "inbounds")), *s;

	emit_str(e, in, "tag", "socks");
	emit_str(e, in, "listen", "127.0.0.1");
	emit_num(e, in, "port", 10808);
	emit_str(e, in, "protocol", "socks");
	s = emit_obj(e, in, "settings");
	emit_str(e, s, "auth", "noauth");
	emit_bool(e, s, "udp", true);
}

static void v2rayng_rules(struct emit *e, cJSON *root)
{
	struct prefix routes[EMIT_PREFIXES];
	size_t n = mesh_routes(e->m, routes, EMIT_PREFIXES);
	bool leaves = mesh_exit_of(e->m, e->node) != NULL;
	cJSON *routing = emit_obj(e, root, "routing"), *rules, *r;
	char text[EMIT_TEXT];

	emit_str(e, routing, "domainStrategy", "AsIs");
	rules = emit_list(e, routing, "rules");
	r = emit_rule(e, rules, "into the mesh", "proxy");
	emit_prefixes(e, r, "ip", routes, n);
	snprintf(text, sizeof(text), "domain:%s", e->m->domain);
	emit_one(e, emit_rule(e, rules, "into the mesh by name", "proxy"), "domain", text);
	emit_private(e, emit_rule(e, rules, "this network", "direct"), "ip");
	emit_anything(e, emit_rule(e, rules, "everything else", leaves ? "proxy" : "direct"));
}

static void v2rayng(struct emit *e)
{
	cJSON *root = cJSON_CreateObject(), *outs, *o;
	char text[EMIT_TEXT];

	snprintf(text, sizeof(text), "%s %s", e->m->name, e->m->nodes[e->node].name);
	emit_str(e, root, "remarks", text);
	emit_str(e, emit_obj(e, root, "log"), "loglevel", "warning");
	v2rayng_inbounds(e, root);
	outs = emit_list(e, root, "outbounds");
	emit_to_hub(e, outs, "proxy", first_hub(e), &e->keys[e->node].id, NULL);
	o = emit_item(e, outs);
	emit_str(e, o, "tag", "direct");
	emit_str(e, o, "protocol", "freedom");
	emit_blackhole(e, outs);
	v2rayng_rules(e, root);
	emit_file(e, root, MESH_FILE_XRAY, ".v2rayng.json");
}

/* ---- apps with sing-box inside ---- */

/*
 * The TUN's own addresses are nobody's, and its prefix has room for the name server that
 * the app puts beside itself: without it sing-box 1.14 does not start. What the app tells
 * its programs about the mesh's names are addresses out of NAMES, which it takes back for
 * the names before a connection leaves: only the hub knows what they mean.
 */
#define TUN4 "172.19.0.1/30"
#define TUN6 "fdfe:dcba:9876::1/126"
#define NAMES "172.19.64.0/18"

static void sing_box_tun(struct emit *e, cJSON *root)
{
	cJSON *in = emit_item(e, emit_list(e, root, "inbounds")), *list;
	struct prefix routes[EMIT_PREFIXES];
	size_t n = mesh_routes(e->m, routes, EMIT_PREFIXES);

	emit_str(e, in, "type", "tun");
	emit_str(e, in, "tag", "tun");
	list = emit_list(e, in, "address");
	emit_text(e, list, TUN4);
	if (e->m->nodes[e->node].ip6.family)
		emit_text(e, list, TUN6);
	emit_bool(e, in, "auto_route", true);
	emit_bool(e, in, "strict_route", true);
	if (mesh_exit_of(e->m, e->node))
		return;
	emit_prefixes(e, in, "route_address", routes, n);
	emit_text(e, cJSON_GetObjectItem(in, "route_address"), NAMES);
}

static void sing_box_dns(struct emit *e, cJSON *root)
{
	cJSON *dns = emit_obj(e, root, "dns"), *servers = emit_list(e, dns, "servers"), *s;

	s = emit_item(e, servers);
	emit_str(e, s, "type", "local");
	emit_str(e, s, "tag", "local");
	s = emit_item(e, servers);
	emit_str(e, s, "type", "fakeip");
	emit_str(e, s, "tag", "mesh");
	emit_str(e, s, "inet4_range", NAMES);
	s = emit_item(e, emit_list(e, dns, "rules"));
	emit_one(e, s, "domain_suffix", e->m->domain);
	emit_str(e, s, "server", "mesh");
	emit_str(e, dns, "final", "local");
}

static void sing_box_tls(struct emit *e, cJSON *o, const struct mesh_hub *h)
{
	cJSON *t = emit_obj(e, o, "tls"), *u, *r;
	char text[ADDR_TEXT_MAX];

	emit_bool(e, t, "enabled", true);
	emit_str(e, t, "server_name",
		 *h->server_name ? h->server_name
				 : addr_host_text(&h->address, text, sizeof(text)));
	u = emit_obj(e, t, "utls");
	emit_bool(e, u, "enabled", true);
	emit_str(e, u, "fingerprint", "chrome");
	if (h->security != MESH_REALITY)
		return;
	r = emit_obj(e, t, "reality");
	emit_bool(e, r, "enabled", true);
	emit_str(e, r, "public_key", h->public_key);
	emit_str(e, r, "short_id", mesh_short_id_text(e->keys[e->node].short_id, text));
}

static void sing_box_proxy(struct emit *e, cJSON *root)
{
	const struct mesh_hub *h = &e->m->nodes[first_hub(e)].hub;
	cJSON *list = emit_list(e, root, "outbounds"), *o = emit_item(e, list);
	char id[UUID_TEXT], host[ADDR_TEXT_MAX];

	emit_str(e, o, "type", "vless");
	emit_str(e, o, "tag", "proxy");
	emit_str(e, o, "server", addr_host_text(&h->address, host, sizeof(host)));
	emit_num(e, o, "server_port", h->address.port);
	emit_str(e, o, "uuid", uuid_text(&e->keys[e->node].id, id));
	secret_wipe(id, sizeof(id));
	if (*mesh_flow(e->m, (size_t)first_hub(e)))
		emit_str(e, o, "flow", e->m->flow);
	emit_str(e, o, "packet_encoding",
		 e->m->nodes[first_hub(e)].software == MESH_V2RAY ? "" : "xudp");
	if (h->security != MESH_CLEAR)
		sing_box_tls(e, o, h);
	o = emit_item(e, list);
	emit_str(e, o, "type", "direct");
	emit_str(e, o, "tag", "direct");
}

static void sing_box(struct emit *e)
{
	struct prefix routes[EMIT_PREFIXES];
	size_t n = mesh_routes(e->m, routes, EMIT_PREFIXES);
	cJSON *root = cJSON_CreateObject(), *route, *rules, *r;

	emit_str(e, emit_obj(e, root, "log"), "level", "warn");
	sing_box_dns(e, root);
	sing_box_tun(e, root);
	sing_box_proxy(e, root);
	route = emit_obj(e, root, "route");
	rules = emit_list(e, route, "rules");
	r = emit_item(e, rules);
	emit_prefixes(e, r, "ip_cidr", routes, n);
	emit_str(e, r, "outbound", "proxy");
	r = emit_item(e, rules);
	emit_one(e, r, "domain_suffix", e->m->domain);
	emit_str(e, r, "outbound", "proxy");
	r = emit_item(e, rules);
	emit_num(e, r, "port", 53);
	emit_str(e, r, "action", "hijack-dns");
	r = emit_item(e, rules);
	emit_bool(e, r, "ip_is_private", true);
	emit_str(e, r, "outbound", "direct");
	emit_str(e, route, "final", mesh_exit_of(e->m, e->node) ? "proxy" : "direct");
	emit_str(e, route, "default_domain_resolver", "local");
	emit_bool(e, route, "auto_detect_interface", true);
	emit_file(e, root, MESH_FILE_SING_BOX, ".sing-box.json");
}

void emit_phone(struct emit *e)
{
	links(e);
	if (e->m->nodes[e->node].app == MESH_APP_V2RAYNG)
		v2rayng(e);
	else if (e->m->nodes[e->node].app == MESH_APP_SING_BOX)
		sing_box(e);
	emit_limits(e);
}
