/* Settings of the protocol "tun", in both directions. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "conf/map.h"
#include "conf/sections.h"
#include "conf/value_parse.h"

/* ---- the device ---- */

/* What the kernel takes as the name of a device, less what it would understand as a pattern. */
static bool name_ok(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > CONF_TUN_NAME_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (; *name; name++)
		if (*name <= ' ' || *name >= 0x7f || strchr("/:%", *name))
			return false;
	return true;
}

static const char *name_parse(const struct jnode *settings)
{
	const char *name = jnode_str(settings, "name", "");
	struct jnode n;

	if (*name == 0)
		return CONF_TUN_NAME;
	if (name_ok(name))
		return name;
	jnode_get(settings, "name", &n);
	jnode_error(&n, "found \"%.40s\", expected the name of a network device: 1 to %d bytes "
			"without blanks, \"/\", \":\" and \"%%\"", name, CONF_TUN_NAME_MAX);
	return CONF_TUN_NAME;
}

static bool addr_parse_one(const struct jnode *n, struct conf_tun_addr *out)
{
	const char *text = jnode_text(n, ""), *slash = strchr(text, '/');
	size_t host = slash ? (size_t)(slash - text) : strlen(text);
	struct prefix net;
	struct ip ip;

	if (prefix_parse(&net, span_str(text)) != 0 || ip_parse(&ip, span_of(text, host)) != 0 ||
	    ip_is_any(&ip)) {
		jnode_error(n, "found \"%.60s\", expected an address of the device like 10.77.0.2/24 "
			       "or fd00::2/64", text);
		return false;
	}
	*out = (struct conf_tun_addr){ip, net.len};
	if (ip_is_loopback(&ip) || (ip.family == 4 ? ip.b[0] >= 224 : ip.b[0] == 0xff)) {
		jnode_error(n, "%.60s cannot be an address of a device", text);
		return false;
	}
	if (net.len < (ip.family == 4 ? 32 : 127) && ip_eq(&net.ip, &ip)) {
		jnode_error(n, "%.60s is a network, expected an address in it", text);
		return false;
	}
	return true;
}

static void addrs_parse(const struct jnode *settings, struct conf_in_tun *out)
{
	struct conf_tun_addr *v;
	struct jnode list, it;
	size_t n, used = 0;

	jnode_get2(settings, "addresses", "gateway", &list);
	n = jnode_count(&list);
	if (n > CONF_TUN_ADDRS_MAX) {
		jnode_error(&list, "found %zu addresses, expected at most %d", n,
			    CONF_TUN_ADDRS_MAX);
		return;
	}
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list)
	{
		if (!addr_parse_one(&it, &v[used]))
			continue;
		for (size_t i = 0; i < used; i++)
			if (ip_eq(&v[i].ip, &v[used].ip))
				jnode_error(&it, "the same address stands in the list twice");
		used++;
	}
	out->addrs = v;
	out->n_addrs = used;
}

static void mtu_parse(const struct jnode *settings, struct conf_in_tun *out)
{
	struct jnode n;

	jnode_get(settings, "mtu", &n);
	out->mtu = (uint32_t)jnode_integer(&n, CONF_TUN_MTU_MIN, CONF_TUN_MTU_MAX, CONF_TUN_MTU);
	for (size_t i = 0; i < out->n_addrs && out->mtu < CONF_TUN_MTU_MIN6; i++) {
		if (out->addrs[i].ip.family != 6)
			continue;
		jnode_error(&n, "found %u, expected at least %d: the device has an IPv6 address",
			    out->mtu, CONF_TUN_MTU_MIN6);
		return;
	}
}

/* ---- prefixes ---- */

struct prefix_list {
	struct prefix *v;
	size_t n;
};

static bool prefix_eq(const struct prefix *a, const struct prefix *b)
{
	return a->len == b->len && ip_eq(&a->ip, &b->ip);
}

static void prefix_add(const struct jnode *n, struct prefix_list *out, const struct prefix *p)
{
	for (size_t i = 0; i < out->n; i++)
		if (prefix_eq(&out->v[i], p)) {
			jnode_warn(n, "is in the list twice");
			return;
		}
	out->v[out->n++] = *p;
}

static void prefix_item(const struct jnode *n, bool with_default, struct prefix_list *out)
{
	static const struct prefix all4 = {.ip = {.family = 4}}, all6 = {.ip = {.family = 6}};
	const char *text = jnode_text(n, ""), *slash = strchr(text, '/');
	struct prefix p;
	struct ip ip;

	if (with_default && strcasecmp(text, "default") == 0) {
		prefix_add(n, out, &all4);
		prefix_add(n, out, &all6);
		return;
	}
	if (prefix_parse(&p, span_str(text)) != 0) {
		jnode_error(n, "found \"%.60s\", expected a prefix like 198.18.0.0/15 or fd00::/8%s",
			    text, with_default ? ", or \"default\"" : "");
		return;
	}
	if (slash && ip_parse(&ip, span_of(text, (size_t)(slash - text))) == 0 &&
	    !ip_eq(&ip, &p.ip))
		jnode_warn(n, "bits behind the first %u do not count: \"%.60s\"", p.len, text);
	prefix_add(n, out, &p);
}

/* A list of prefixes without duplicates; "default" stands for everything of both families. */
static struct prefix_list prefixes_parse(const struct jnode *list, bool with_default)
{
	struct prefix_list out = {0};
	size_t n = jnode_count(list);
	struct jnode it;

	if (n > CONF_TUN_ROUTES_MAX) {
		jnode_error(list, "found %zu prefixes, expected at most %d", n,
			    CONF_TUN_ROUTES_MAX);
		return out;
	}
	out.v = conf_arena_array(list->ld->arena, 2 * n, sizeof(*out.v));
	if (out.v)
		jnode_each(it, list) prefix_item(&it, with_default, &out);
	return out;
}

static void routes_parse(const struct jnode *settings, struct conf_in_tun *out)
{
	struct prefix_list routes, excludes;
	struct jnode list;

	jnode_get2(settings, "routes", "autoSystemRoutingTable", &list);
	routes = prefixes_parse(&list, true);
	jnode_get(settings, "exclude", &list);
	excludes = prefixes_parse(&list, false);
	out->routes = routes.v;
	out->n_routes = routes.n;
	out->excludes = excludes.v;
	out->n_excludes = excludes.n;
	for (size_t i = 0; i < routes.n; i++) {
		out->default4 |= routes.v[i].len == 0 && routes.v[i].ip.family == 4;
		out->default6 |= routes.v[i].len == 0 && routes.v[i].ip.family == 6;
		for (size_t k = 0; k < excludes.n; k++)
			if (prefix_eq(&routes.v[i], &excludes.v[k]))
				jnode_error(&list, "excludes what \"routes\" leads into the TUN");
	}
	if (excludes.n && !routes.n)
		jnode_warn(&list, "without \"routes\" there is nothing to exclude");
}

/* ---- names ---- */

/* A prefix stands for the names of its addresses. */
static void dns_domains_parse(const struct jnode *settings, struct conf_in_tun *out)
{
	struct jnode list, it;
	struct prefix p;

	out->dns_domains = jnode_strs(settings, "dnsDomains");
	jnode_get(settings, "dnsDomains", &list);
	jnode_each(it, &list)
	{
		const char *text = jnode_text(&it, "");

		if (strchr(text, '/') && prefix_parse(&p, span_str(text)) != 0)
			jnode_error(&it, "found \"%.60s\", expected a domain, or a prefix for the names "
					 "of its addresses", text);
	}
}

static void dns_parse(const struct jnode *settings, struct conf_in_tun *out)
{
	struct jnode list, it;
	struct ip *v;
	size_t n, used = 0;

	jnode_get(settings, "dns", &list);
	n = jnode_count(&list);
	if (n > CONF_TUN_DNS_MAX) {
		jnode_error(&list, "found %zu name servers, expected at most %d", n,
			    CONF_TUN_DNS_MAX);
		return;
	}
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	dns_domains_parse(settings, out);
	if (!v)
		return;
	jnode_each(it, &list)
	{
		const char *text = jnode_text(&it, "");

		if (ip_parse(&v[used], span_str(text)) == 0 && !ip_is_any(&v[used]))
			used++;
		else
			jnode_error(&it, "found \"%.60s\", expected the address of a name server",
				    text);
	}
	out->dns = v;
	out->n_dns = used;
}

/* ---- the whole ---- */

static const char *interface_parse(const struct jnode *settings, const char *own)
{
	const char *name = jnode_str(settings, "autoOutboundsInterface", "");
	struct jnode n;

	/* The mark follows the default route wherever it goes: nothing is bound to a device. */
	if (*name == 0 || strcasecmp(name, "auto") == 0)
		return "";
	jnode_get(settings, "autoOutboundsInterface", &n);
	if (!name_ok(name))
		jnode_error(&n, "found \"%.40s\", expected \"auto\" or the name of a network device",
			    name);
	else if (strcmp(name, own) == 0)
		jnode_error(&n, "our own connections would leave by the TUN itself: a loop");
	return name;
}

void conf_parse_tun_in(const struct jnode *settings, struct conf_in_tun *out)
{
	static const struct key keys[] = {
		KNOWN("name"), KNOWN("mtu"), KNOWN("addresses"), KNOWN("gateway"),
		KNOWN("routes"), KNOWN("autoSystemRoutingTable"), KNOWN("exclude"),
		KNOWN("autoOutboundsInterface"), KNOWN("dns"), KNOWN("dnsDomains"),
		KNOWN("table"), KNOWN("mark"), KNOWN("priority"), KNOWN("killSwitch"),
		KNOWN("ping"), KNOWN("earlyAccept"), KNOWN("userLevel"), QUIET("desc"),
		KNOWN("resolvConf"),
		KEYS_END,
	};
	static const struct word pings[] = {{"forward", CONF_TUN_PING_FORWARD},
					    {"local", CONF_TUN_PING_LOCAL},
					    {"off", CONF_TUN_PING_OFF},
					    {NULL, 0}};
	enum { PRIORITY_MAX = 32760, TABLE_MIN = 1, RESERVED_FIRST = 253, RESERVED_LAST = 255 };
	struct jnode table;

	jnode_object(settings, keys);
	out->name = name_parse(settings);
	addrs_parse(settings, out);
	mtu_parse(settings, out);
	routes_parse(settings, out);
	dns_parse(settings, out);
	out->table = (uint32_t)jnode_int(settings, "table", TABLE_MIN, UINT32_MAX, 0);
	if (out->table >= RESERVED_FIRST && out->table <= RESERVED_LAST) {
		jnode_get(settings, "table", &table);
		jnode_error(&table, "found %u, expected a table of our own: 253 to 255 are the "
				    "system's", out->table);
	}
	out->mark = (uint32_t)jnode_int(settings, "mark", 1, UINT32_MAX, CONF_TUN_MARK);
	out->priority = (uint32_t)jnode_int(settings, "priority", 1, PRIORITY_MAX,
					    CONF_TUN_PRIORITY);
	out->kill_switch = jnode_bool(settings, "killSwitch", false);
	out->resolv_conf = jnode_bool(settings, "resolvConf", false);
	if (out->resolv_conf && !out->n_dns)
		jnode_warn(settings, "resolvConf does nothing without \"dns\"");
	out->outbounds_interface = interface_parse(settings, out->name);
	out->ping = (enum conf_tun_ping)jnode_word(settings, "ping", pings,
						   CONF_TUN_PING_FORWARD);
	out->early_accept = jnode_bool(settings, "earlyAccept", false);
	out->level = conf_parse_level(settings, "userLevel");
	if (out->kill_switch && !out->n_routes)
		jnode_warn(settings, "killSwitch does nothing without \"routes\"");
}

void conf_parse_tun_out(const struct jnode *settings, struct conf_out_tun *out)
{
	static const struct key keys[] = {KNOWN("inboundTag"), KNOWN("map"), KNOWN("finalRules"),
					  KNOWN("userLevel"), KEYS_END};

	jnode_object(settings, keys);
	out->inbound_tag = jnode_str(settings, "inboundTag", "");
	conf_parse_maps(settings, "map", &out->maps, &out->n_maps);
	conf_parse_final_rules(settings, &out->final_rules, &out->n_final_rules);
	out->level = conf_parse_level(settings, "userLevel");
}

/* ---- sockets of our own ---- */

/* A device without addresses and routes gets its packets by somebody else's doing. */
void conf_tun_own(const struct conf_in_tun *tun, struct conf_sockopt *own)
{
	if (tun->n_addrs || tun->n_routes)
		own->mark = tun->mark;
	own->interface = tun->outbounds_interface;
}

void conf_own_socket(struct conf_sockopt *so, const struct conf_sockopt *own)
{
	if (so->mark == 0)
		so->mark = own->mark;
	if (!so->interface || *so->interface == 0)
		so->interface = own->interface;
}

const struct conf_inbound *conf_tun_find(const struct conf *c)
{
	for (size_t i = 0; i < c->n_inbounds; i++)
		if (c->inbounds[i].proto == CONF_IN_TUN)
			return &c->inbounds[i];
	return NULL;
}
