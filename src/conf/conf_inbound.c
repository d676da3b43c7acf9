/* What all inbounds have in common, and the settings of tunnel, socks and http. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/sections.h"
#include "conf/value_parse.h"

/* ---- tunnel ---- */

static bool port_map_key(const struct jnode *n, uint16_t *out)
{
	char *end;
	unsigned long v = strtoul(n->key, &end, 10);

	if (n->key[0] < '0' || n->key[0] > '9' || *end != 0 || v > 65535) {
		jnode_error(
			n,
			"invalid portMap: \"%.40s\", expected a local port from 0 to 65535 as key",
			n->key);
		return false;
	}
	*out = (uint16_t)v;
	return true;
}

static void port_map_parse(const struct jnode *settings, struct conf_in_tunnel *out)
{
	struct conf_port_map *v;
	struct jnode map, it;
	size_t n, used = 0;

	jnode_get(settings, "portMap", &map);
	if (!jnode_map(&map))
		return;
	n = jnode_members(&map);
	v = conf_arena_array(map.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &map) used +=
		port_map_key(&it, &v[used].local) && jnode_redirect(&it, "portMap", &v[used].to);
	out->map = v;
	out->n_map = used;
}

static void tunnel_parse(const struct jnode *settings, struct conf_in_tunnel *out)
{
	static const struct key keys[] = {
		KNOWN("allowedNetwork"),
		KNOWN("network"),
		KNOWN("rewriteAddress"),
		KNOWN("address"),
		KNOWN("rewritePort"),
		KNOWN("port"),
		KNOWN("portMap"),
		KNOWN("followRedirect"),
		KNOWN("userLevel"),
		QUIET("timeout"),
		KEYS_END,
	};
	struct jnode n;

	jnode_object(settings, keys);
	jnode_get2(settings, "network", "allowedNetwork", &n);
	out->networks = jnode_network_set(&n, CONF_TCP);
	jnode_get2(settings, "address", "rewriteAddress", &n);
	jnode_host_value(&n, &out->rewrite);
	jnode_get2(settings, "port", "rewritePort", &n);
	out->rewrite.port = (uint16_t)jnode_integer(&n, 0, 65535, 0);
	port_map_parse(settings, out);
	out->follow_redirect = jnode_bool(settings, "followRedirect", false);
	out->level = conf_parse_level(settings, "userLevel");
}

/* ---- socks and http ---- */

/* A later account with the same user name replaces the earlier one. */
static size_t account_add(struct conf_account *v, size_t n, const struct jnode *it)
{
	static const struct key keys[] = {KNOWN("user"), KNOWN("pass"), QUIET("email"),
					  QUIET("level"), KEYS_END};
	struct conf_account a = {.at = jnode_at(it)};

	if (!jnode_object(it, keys))
		return n;
	a.user = jnode_str(it, "user", "");
	a.pass = jnode_secret(it, "pass");
	if (strlen(a.user) > 255 || strlen(a.pass) > 255)
		jnode_error(it, "user name and password may have at most 255 bytes each");
	for (size_t i = 0; i < n; i++) {
		if (strcmp(v[i].user, a.user) != 0)
			continue;
		jnode_warn(it, "user \"%.40s\" is already at line %d; this password counts", a.user,
			   v[i].at.line);
		v[i] = a;
		return n;
	}
	v[n] = a;
	return n + 1;
}

static const struct conf_account *accounts_parse(const struct jnode *settings, size_t *count)
{
	struct conf_account *v;
	struct jnode list, it;
	size_t n = 0;

	*count = 0;
	jnode_get2(settings, "accounts", "users", &list);
	v = conf_arena_array(list.ld->arena, jnode_count(&list), sizeof(*v));
	if (!v)
		return NULL;
	jnode_each(it, &list) n = account_add(v, n, &it);
	*count = n;
	return v;
}

static void socks_parse(const struct jnode *settings, struct conf_in_socks *out)
{
	static const struct key keys[] = {
		KNOWN("auth"), KNOWN("users"),	   KNOWN("accounts"),	       KNOWN("udp"),
		KNOWN("ip"),   KNOWN("userLevel"), KNOWN("replyAfterConnect"), QUIET("timeout"),
		KEYS_END,
	};
	static const struct word auths[] = {{"noauth", 0}, {"password", 1}, {NULL, 0}};
	struct jnode ip;

	jnode_object(settings, keys);
	out->auth = jnode_word(settings, "auth", auths, 0) == 1;
	out->accounts = accounts_parse(settings, &out->n_accounts);
	out->udp = jnode_bool(settings, "udp", false);
	if (jnode_ip(settings, "ip", &out->udp_ip) && ip_is_any(&out->udp_ip)) {
		jnode_get(settings, "ip", &ip);
		jnode_warn(&ip, "an unspecified address cannot be told to clients; theirs is used");
		memset(&out->udp_ip, 0, sizeof(out->udp_ip));
	}
	out->reply_after_connect = jnode_bool(settings, "replyAfterConnect", false);
	out->level = conf_parse_level(settings, "userLevel");
	if (out->auth && out->n_accounts == 0)
		jnode_error(settings, "auth is \"password\", but nobody is listed in \"users\"");
	else if (!out->auth && out->n_accounts > 0)
		jnode_warn(settings, "users are listed, but without \"auth\": \"password\" nobody "
				     "is asked for one");
}

static void http_parse(const struct jnode *settings, struct conf_in_http *out)
{
	static const struct key keys[] = {
		KNOWN("users"),	    KNOWN("accounts"),		KNOWN("allowTransparent"),
		KNOWN("userLevel"), KNOWN("replyAfterConnect"), QUIET("timeout"),
		KEYS_END,
	};

	jnode_object(settings, keys);
	out->accounts = accounts_parse(settings, &out->n_accounts);
	out->allow_transparent = jnode_bool(settings, "allowTransparent", false);
	out->reply_after_connect = jnode_bool(settings, "replyAfterConnect", false);
	out->level = conf_parse_level(settings, "userLevel");
}

/* ---- where it listens ---- */

static bool listen_unix(const struct jnode *n, const char *text, struct conf_listen *out)
{
	const char *comma = strrchr(text, ',');
	char *end;
	long mode;

	if (*text != '/' && (*text != '@' || text[1] == 0))
		return false;
	out->kind = CONF_LISTEN_UNIX;
	out->unix_path = text;
	if (!comma || *text == '@')
		return true;
	mode = strtol(comma + 1, &end, 8);
	if (comma[1] == 0 || *end != 0 || mode < 0 || mode > 0777) {
		jnode_error(n, "found \"%.60s\", expected a mode like 0660 behind the comma",
			    comma + 1);
		return true;
	}
	out->unix_mode = (int)mode;
	out->unix_path = conf_arena_text(n->ld->arena, span_of(text, (size_t)(comma - text)));
	return true;
}

static void listen_address(const struct jnode *n, struct conf_listen *out)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	const char *text = cJSON_IsString(n->v) ? jnode_text(n, "") : "";
	struct addr a = {.kind = ADDR_NONE};

	if (listen_unix(n, text, out) || !jnode_host_value(n, &a))
		return;
	if (a.kind == ADDR_NAME && strcasecmp(a.name, "localhost") == 0)
		a.ip = ip_v4(loopback);
	else if (a.kind == ADDR_NAME) {
		jnode_error(n,
			    "unable to listen on domain address: %.60s, expected an IP address, "
			    "localhost, /path or @name",
			    a.name);
		return;
	}
	if (ip_is_any(&a.ip))
		return;
	out->kind = CONF_LISTEN_IP;
	out->ip = a.ip;
}

static void listen_parse(const struct jnode *inbound, struct conf_listen *out)
{
	struct jnode listen, port;

	out->unix_path = "";
	out->unix_mode = -1;
	if (jnode_get(inbound, "listen", &listen))
		listen_address(&listen, out);
	out->ports = jnode_ports(inbound, "port");
	if (out->kind == CONF_LISTEN_UNIX || out->ports.n > 0)
		return;
	if (jnode_get(inbound, "port", &port)) {
		if (cJSON_IsNumber(port.v) && port.v->valuedouble == 0)
			jnode_error(&port, "invalid port: 0, expected 1..65535");
		return; /* anything else has its own error */
	}
	jnode_error(inbound, out->kind == CONF_LISTEN_IP
				     ? "Listen on specific ip without port in InboundDetour."
				     : "Listen on AnyIP but no Port(s) set in InboundDetour.");
}

/* Packets come from a device: there is nothing to listen on, and nothing lies on it. */
static void listen_nowhere(const struct jnode *inbound, struct conf_listen *out)
{
	struct jnode n;

	out->unix_path = "";
	out->unix_mode = -1;
	out->ports.given = true;
	if (jnode_get(inbound, "streamSettings", &n))
		jnode_warn(&n, "has no effect on a tun inbound");
}

/* ---- the whole ---- */

static const struct word protocols[] = {
	{"dokodemo-door", CONF_IN_TUNNEL},
	{"tunnel", CONF_IN_TUNNEL},
	{"socks", CONF_IN_SOCKS},
	{"mixed", CONF_IN_SOCKS},
	{"http", CONF_IN_HTTP},
	{"vless", CONF_IN_VLESS},
	{"shadowsocks", CONF_IN_SHADOWSOCKS},
	{"tun", CONF_IN_TUN},
	{NULL, 0},
};

static bool protocol_parse(const struct jnode *inbound, struct conf_inbound *out)
{
	int value = conf_parse_protocol(inbound, "inbound", protocols, &out->proto_name);

	if (value < 0)
		return false;
	out->proto = (enum conf_in_proto)value;
	return true;
}

static void settings_parse(const struct jnode *inbound, struct conf_inbound *out)
{
	struct jnode n;

	jnode_get(inbound, "settings", &n);
	switch (out->proto) {
	case CONF_IN_TUNNEL:
		tunnel_parse(&n, &out->tunnel);
		if (out->tunnel.follow_redirect && !out->stream.sockopt.tproxy)
			out->stream.sockopt.tproxy = CONF_TPROXY_REDIRECT;
		break;
	case CONF_IN_SOCKS:
		socks_parse(&n, &out->socks);
		break;
	case CONF_IN_HTTP:
		http_parse(&n, &out->http);
		break;
	case CONF_IN_VLESS:
		conf_parse_vless_in(&n, &out->vless);
		break;
	case CONF_IN_SHADOWSOCKS:
		conf_parse_ss_in(&n, &out->ss);
		break;
	case CONF_IN_TUN:
		conf_parse_tun_in(&n, &out->tun);
		break;
	}
}

void conf_parse_inbound(const struct jnode *n, struct conf_inbound *out)
{
	static const struct key keys[] = {
		KNOWN("protocol"), KNOWN("port"),     KNOWN("listen"),
		KNOWN("tag"),	   KNOWN("settings"), KNOWN("streamSettings"),
		KNOWN("sniffing"), QUIET("allocate"), KEYS_END,
	};

	out->tag = out->proto_name = "";
	out->at = jnode_at(n);
	if (!jnode_object(n, keys)) {
		if (!n->v || cJSON_IsNull(n->v))
			jnode_error(n, "found nothing, expected an inbound { }");
		return;
	}
	out->tag = jnode_str(n, "tag", "");
	if (!protocol_parse(n, out))
		return;
	if (out->proto == CONF_IN_TUN)
		listen_nowhere(n, &out->listen);
	else
		listen_parse(n, &out->listen);
	conf_parse_stream(n, true, &out->stream);
	jnode_sniff(n, "sniffing", &out->sniff);
	settings_parse(n, out);
}
