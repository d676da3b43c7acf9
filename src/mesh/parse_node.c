/* hubs, sites and phones: what the file says of each node. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "crypto/base64.h"
#include "mesh/parse.h"

static const struct word softwares[] = {
	{"garenne", MESH_GARENNE}, {"xray", MESH_XRAY}, {"v2ray", MESH_V2RAY}, {NULL, 0}};
static const struct word securities[] = {
	{"reality", MESH_REALITY}, {"tls", MESH_TLS}, {"none", MESH_CLEAR}, {NULL, 0}};
static const struct word apps[] = {{"v2rayng", MESH_APP_V2RAYNG},
				   {"sing-box", MESH_APP_SING_BOX},
				   {"other", MESH_APP_OTHER},
				   {NULL, 0}};

bool mesh_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= MESH_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && name[0] != '-' &&
	       name[n - 1] != '-';
}

static void expected(const struct jnode *n, const char *what)
{
	char found[FOUND_MAX];

	jnode_error(n, "found %s, expected %s", jnode_found(n, found, sizeof(found)), what);
}

/* ---- addresses ---- */

static void virtual_parse(struct mesh_parser *p, const struct jnode *node, int family,
			  struct ip *out)
{
	const struct prefix *range = family == 4 ? &p->m->range4 : &p->m->range6;
	const char *key = family == 4 ? "ip" : "ip6";
	char text[64];
	struct jnode n;

	if (!jnode_get(node, key, &n)) {
		if (family == 4)
			expected(&n, "the node's address in the mesh; \"garenne mesh add\" chooses one");
		return;
	}
	if (!cJSON_IsString(n.v) || ip_parse(out, span_str(n.v->valuestring)) != 0 ||
	    out->family != family) {
		memset(out, 0, sizeof(*out));
		expected(&n, family == 4 ? "an IPv4 address" : "an IPv6 address");
	} else if (range->ip.family == 0 && family == 6) {
		jnode_error(&n, "this mesh has no IPv6: \"ipv6\" is not set");
	} else if (range->ip.family && !prefix_has(range, out)) {
		jnode_error(&n, "found \"%.60s\", expected an address in the mesh's range %s",
			    n.v->valuestring, prefix_text(range, text, sizeof(text)));
	}
}

static bool prefix_member(const struct jnode *obj, const char *key, struct prefix *out)
{
	struct jnode n;
	char text[64];

	jnode_get(obj, key, &n);
	if (!n.v || !cJSON_IsString(n.v) || prefix_parse(out, span_str(n.v->valuestring)) != 0 ||
	    out->len == 0) {
		memset(out, 0, sizeof(*out));
		expected(&n, "a prefix like 192.168.1.0/24");
		return false;
	}
	if (strcmp(prefix_text(out, text, sizeof(text)), n.v->valuestring) == 0 ||
	    out->ip.family == 6)
		return true;
	jnode_error(&n, "found \"%.60s\", which has bits behind the first %u; expected \"%s\"",
		    n.v->valuestring, out->len, text);
	return false;
}

/* Mapped addresses must be the mesh's own: anything else might be somebody's on the internet. */
static void seen_check(struct mesh_parser *p, const struct jnode *n, const struct mesh_lan *lan)
{
	const struct prefix *range =
		lan->real.ip.family == 4 ? &p->m->mapped : &p->m->range6;
	char a[64];

	if (lan->seen.len != lan->real.len || lan->seen.ip.family != lan->real.ip.family)
		jnode_error(n, "found /%u of IPv%u for /%u of IPv%u, expected the same length: each "
			       "address stands for one",
			    lan->seen.len, lan->seen.ip.family, lan->real.len,
			    lan->real.ip.family);
	else if (range->ip.family == 0 || !prefix_has(range, &lan->seen.ip) ||
		 lan->seen.len < range->len)
		jnode_error(n, "found \"%.60s\", expected a prefix in the range for mapped LANs, %s",
			    n->v->valuestring,
			    range->ip.family ? prefix_text(range, a, sizeof(a)) : "which is not set");
}

enum mesh_delivery mesh_parse_delivery(const struct jnode *obj, enum mesh_delivery otherwise)
{
	static const struct word words[] = {{"dial", MESH_DIAL},
					    {"proxy", MESH_PROXY},
					    {"transparent", MESH_TRANSPARENT},
					    {NULL, 0}};

	return (enum mesh_delivery)jnode_word(obj, "delivery", words, (int)otherwise);
}

/* Of a node, or of one of its LANs. */
static enum mesh_delivery delivery_parse(const struct jnode *obj, const struct mesh_node *node,
					 enum mesh_delivery otherwise)
{
	enum mesh_delivery d = mesh_parse_delivery(obj, otherwise);
	struct jnode n;

	if (!jnode_get(obj, "delivery", &n) || d == MESH_DIAL)
		return d;
	if (node->software != MESH_GARENNE)
		jnode_error(&n, "found \"%s\", expected \"dial\": only garenne delivers otherwise",
			    mesh_delivery_name(d));
	else if (d == MESH_TRANSPARENT && !node->tun)
		jnode_error(&n, "found \"transparent\", which is the work of a TUN, and the node has "
				"none; expected \"dial\" or \"proxy\"");
	return d;
}

static void lan_parse(struct mesh_parser *p, const struct jnode *n, const struct mesh_node *node,
		      struct mesh_lan *out)
{
	static const struct key keys[] = {KNOWN("prefix"), KNOWN("as"), KNOWN("delivery"), KEYS_END};
	struct jnode as;

	out->at = jnode_at(n);
	if (!jnode_object(n, keys) || !prefix_member(n, "prefix", &out->real))
		return;
	out->delivery = delivery_parse(n, node, node->delivery);
	out->seen = out->real;
	if (jnode_get(n, "as", &as) && prefix_member(n, "as", &out->seen))
		seen_check(p, &as, out);
}

static void lans_parse(struct mesh_parser *p, const struct jnode *node, struct mesh_node *out)
{
	enum { LANS_MAX = 64 };
	struct mesh_lan *v;
	struct jnode list, it;
	size_t n, i = 0;

	jnode_get(node, "lans", &list);
	n = jnode_count(&list);
	if (n > LANS_MAX) {
		jnode_error(&list, "found %zu LANs, expected at most %d", n, LANS_MAX);
		return;
	}
	v = conf_arena_array(p->ld.arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list) lan_parse(p, &it, out, &v[i++]);
	out->lans = v;
	out->n_lans = n;
}

static void host_parse(const struct jnode *n, const struct mesh_node *node, struct mesh_host *out)
{
	bool wrong = false;

	out->at = jnode_at(n);
	out->name = conf_arena_text(n->ld->arena, span_str(n->key));
	if (!mesh_name_ok(out->name))
		jnode_error(n, "is no name for a host: a-z, 0-9 and \"-\", at most %d bytes",
			    MESH_NAME_MAX);
	if (!cJSON_IsString(n->v) || ip_parse(&out->real, span_str(n->v->valuestring)) != 0) {
		expected(n, "the host's address in the LAN");
		return;
	}
	for (size_t i = 0; i < node->n_lans; i++) {
		wrong |= node->lans[i].real.ip.family == 0; /* which has been said */
		if (prefix_has(&node->lans[i].real, &out->real)) {
			out->seen = prefix_rebase(&node->lans[i].seen, &out->real);
			return;
		}
	}
	if (!wrong)
		expected(n, "an address in one of the site's LANs");
}

static void hosts_parse(const struct jnode *node, struct mesh_node *out)
{
	struct mesh_host *v;
	struct jnode map, it;
	size_t n, i = 0;

	jnode_get(node, "hosts", &map);
	if (!jnode_map(&map))
		return;
	n = jnode_members(&map);
	v = conf_arena_array(map.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &map) host_parse(&it, out, &v[i++]);
	out->hosts = v;
	out->n_hosts = n;
}

/* ---- hubs ---- */

static void reality_parse(struct mesh_parser *p, const struct jnode *n, struct mesh_hub *out)
{
	uint8_t key[32];
	struct jnode member;
	struct addr target;

	(void)p;
	jnode_get(n, "target", &member);
	out->target = jnode_text(&member, "");
	if (addr_parse(&target, span_str(out->target)) != 0 || target.port == 0)
		expected(&member, "the web site that this hub looks like, host:port");
	else if (*out->server_name == 0 && target.kind == ADDR_NAME)
		out->server_name = conf_arena_text(n->ld->arena, span_str(target.name));
	else if (*out->server_name == 0)
		jnode_error(n, "\"target\" is no name: \"serverName\" must say what clients show");
	jnode_get(n, "publicKey", &member);
	out->public_key = jnode_text(&member, "");
	if (base64_decode(key, sizeof(key), span_str(out->public_key), BASE64_URL | BASE64_RAW,
			  NULL) != (ssize_t)sizeof(key))
		expected(&member, "43 characters of base64url, as \"garenne x25519\" prints them");
}

static void tls_parse(const struct jnode *n, struct mesh_hub *out)
{
	enum { PIN_TEXT = 64 };
	struct jnode member;

	out->cert = jnode_str(n, "certificate", "");
	out->key = jnode_str(n, "key", "");
	out->pin = jnode_str(n, "pin", "");
	if ((*out->cert == 0) != (*out->key == 0) || (*out->cert == 0 && *out->pin == 0)) {
		jnode_get(n, *out->cert ? "key" : "certificate", &member);
		expected(&member, "files on the hub under \"certificate\" and \"key\", or the "
				  "\"pin\" of one that is in the hub's key file");
	}
	jnode_get(n, "pin", &member);
	if (*out->pin && (strlen(out->pin) != PIN_TEXT ||
			  strspn(out->pin, "0123456789abcdef") != PIN_TEXT))
		expected(&member, "64 hexadecimal digits, as \"garenne tls hash\" prints them");
}

static void tickets_parse(const struct jnode *n, struct mesh_node *out)
{
	static const char folder[] = "/var/lib/garenne/tickets";
	bool ours = out->software == MESH_GARENNE;
	struct jnode member;

	out->hub.tickets = jnode_str(n, "tickets", ours ? folder : "");
	if (!jnode_get(n, "tickets", &member))
		return;
	if (!ours)
		jnode_error(&member, "has no meaning with \"software\": \"%s\": nodes join through "
				     "garenne only", mesh_software_name(out->software));
	else if (*out->hub.tickets && *out->hub.tickets != '/')
		expected(&member, "the absolute path of a folder on the hub, or \"\" if nobody shall "
				  "join through it");
}

static void hub_parse(struct mesh_parser *p, const struct jnode *n, struct mesh_hub *out)
{
	static const char *const only[][3] = {{"target", "publicKey", NULL},
					      {"certificate", "key", "pin"}};
	struct jnode member;

	out->listen = jnode_str(n, "listen", "");
	out->server_name = jnode_str(n, "serverName", "");
	out->security = (enum mesh_security)jnode_word(n, "security", securities,
						       (int)p->security);
	if (jnode_get(n, "address", &member))
		jnode_host(n, "address", &out->address);
	else
		expected(&member, "the name or address by which everybody dials the hub");
	out->address.port = (uint16_t)jnode_int(n, "port", 1, 65535, 443);
	if (out->security == MESH_REALITY)
		reality_parse(p, n, out);
	else if (out->security == MESH_TLS)
		tls_parse(n, out);
	for (size_t kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < 3 && only[kind][i]; i++)
			if (out->security != (enum mesh_security)kind &&
			    jnode_get(n, only[kind][i], &member))
				jnode_error(&member, "has no meaning with \"security\": \"%s\"",
					    mesh_security_name(out->security));
}

/* ---- nodes ---- */

/* 1080, or "192.168.1.1:1080" */
static void socks_parse(const struct jnode *node, struct mesh_node *out)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	struct ip local = ip_v4(loopback);
	struct jnode n;

	if (!jnode_get(node, "socks", &n))
		return;
	if (cJSON_IsNumber(n.v)) {
		out->socks = addr_from_ip(&local, (uint16_t)jnode_integer(&n, 1, 65535, 1080));
		return;
	}
	if (!cJSON_IsString(n.v) || addr_parse(&out->socks, span_str(n.v->valuestring)) != 0 ||
	    out->socks.kind != ADDR_IP || out->socks.port == 0) {
		memset(&out->socks, 0, sizeof(out->socks));
		expected(&n, "a port, or an address with a port, of a local SOCKS proxy");
	}
}

static const struct key hub_keys[] = {
	KNOWN("address"),    KNOWN("port"),	 KNOWN("ip"),	  KNOWN("ip6"),
	KNOWN("software"),   KNOWN("security"),	 KNOWN("listen"), KNOWN("serverName"),
	KNOWN("target"),     KNOWN("publicKey"), KNOWN("pin"),	  KNOWN("certificate"),
	KNOWN("key"),	     KNOWN("tun"),	 KNOWN("socks"),  KNOWN("delivery"),
	KNOWN("tickets"),    KNOWN("resolvConf"), KEYS_END,
};
static const struct key site_keys[] = {KNOWN("ip"),   KNOWN("ip6"), KNOWN("software"),
				       KNOWN("lans"), KNOWN("hosts"), KNOWN("tun"),
				       KNOWN("socks"), KNOWN("delivery"), KNOWN("resolvConf"),
				       KEYS_END};
static const struct key phone_keys[] = {KNOWN("ip"), KNOWN("ip6"), KNOWN("app"), KEYS_END};

/* Words of the file, and names that hubs answer to themselves. */
static bool reserved(const char *name)
{
	static const char *const words[] = {"any",	"hubs",	 "sites", "phones",
					    "internet", "probe", "bridge"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(name, words[i]) == 0)
			return true;
	return false;
}

static void node_parse(struct mesh_parser *p, const struct jnode *n, struct mesh_node *out)
{
	static const struct key *const keys[] = {hub_keys, site_keys, phone_keys};
	struct jnode member;

	if (!mesh_name_ok(out->name))
		jnode_error(n, "is no name for a node: a-z, 0-9 and \"-\", at most %d bytes",
			    MESH_NAME_MAX);
	if (reserved(out->name))
		jnode_error(n, "found \"%s\", which means something else here; expected another name",
			    out->name);
	if (!jnode_object(n, keys[out->kind]))
		return;
	virtual_parse(p, n, 4, &out->ip4);
	virtual_parse(p, n, 6, &out->ip6);
	out->app = (enum mesh_app)jnode_word(n, "app", apps, MESH_APP_V2RAYNG);
	if (out->kind == MESH_PHONE)
		return;
	out->software = (enum mesh_software)jnode_word(n, "software", softwares, MESH_GARENNE);
	socks_parse(n, out);
	out->tun = jnode_bool(n, "tun", out->kind == MESH_SITE && out->software == MESH_GARENNE);
	jnode_get(n, "tun", &member);
	if (out->tun && out->software != MESH_GARENNE)
		jnode_error(&member, "found true, expected false: only garenne gets a TUN from here; "
				     "give the node \"socks\"");
	out->resolv_conf = jnode_bool(n, "resolvConf", false);
	jnode_get(n, "resolvConf", &member);
	if (out->resolv_conf && !out->tun)
		jnode_error(&member, "found true, and the node has no TUN whose name server it could "
				     "be");
	out->delivery = delivery_parse(n, out, MESH_DIAL);
	if (out->kind == MESH_HUB) {
		hub_parse(p, n, &out->hub);
		tickets_parse(n, out);
	}
	lans_parse(p, n, out);
	hosts_parse(n, out);
}

static void kind_parse(struct mesh_parser *p, const struct jnode *map, enum mesh_kind kind)
{
	struct mesh *m = p->m;
	struct jnode it;

	if (!jnode_map(map))
		return;
	jnode_each(it, map)
	{
		struct mesh_node *out = &m->nodes[m->n_nodes];
		int twin = mesh_find(m, span_str(it.key));

		out->at = jnode_at(&it);
		out->name = conf_arena_text(p->ld.arena, span_str(it.key));
		out->kind = kind;
		out->hub.listen = out->hub.server_name = out->hub.target = out->hub.public_key =
			out->hub.cert = out->hub.key = out->hub.pin = out->hub.tickets = "";
		if (twin != MESH_NOBODY)
			jnode_error(&it, "there is a %s of this name already, at line %d",
				    mesh_kind_name(m->nodes[twin].kind), m->nodes[twin].at.line);
		node_parse(p, &it, out);
		m->n_nodes++;
	}
}

void mesh_parse_nodes(struct mesh_parser *p, const struct jnode *root)
{
	static const char *const names[] = {"hubs", "sites", "phones"};
	struct jnode map[MESH_KINDS];
	size_t n = 0;

	for (int k = 0; k < MESH_KINDS; k++) {
		jnode_get(root, names[k], &map[k]);
		n += jnode_members(&map[k]);
	}
	if (n > MESH_NODES_MAX) {
		jnode_error(root, "found %zu nodes, expected at most %d", n, MESH_NODES_MAX);
		return;
	}
	p->m->nodes = conf_arena_array(p->ld.arena, n + 1, sizeof(*p->m->nodes));
	if (!p->m->nodes)
		return;
	for (int k = 0; k < MESH_KINDS; k++) {
		kind_parse(p, &map[k], (enum mesh_kind)k);
		if (k == MESH_HUB)
			p->m->n_hubs = p->m->n_nodes;
	}
	if (p->m->n_hubs == 0)
		jnode_error(&map[MESH_HUB], "found no hub, expected at least one");
}
