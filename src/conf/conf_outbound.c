/* What all outbounds have in common, and the settings of the small ones. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "conf/sections.h"
#include "conf/value_parse.h"
#include "proto/httptemplate.h"

/* ---- socks and http ---- */

/* Placeholders that are not understood would reach the proxy as they are. */
static void header_check(const struct jnode *n, const struct conf_header *h)
{
	enum { FILLED_MAX = 16384 };
	static const struct httptemplate nobody;
	uint8_t *room = conf_arena_array(n->ld->arena, FILLED_MAX, 1);
	struct wr w = wr_of(room, room ? FILLED_MAX : 0);

	if (*h->name == 0 || strpbrk(h->name, " \t\r\n:") || strpbrk(h->value, "\r\n"))
		jnode_error(n, "not a header: blanks, colons or line breaks are in it");
	else if (room && httptemplate_fill(&w, span_str(h->value), &nobody) == -ERR_MALFORMED)
		jnode_error(n, "found a placeholder that is not understood; there are {{.Source}} "
			       "and {{.Target}}, and of both .Network, .Address, .Port and .NetAddr");
}

static void proxy_headers(const struct jnode *settings, struct conf_out_proxy *out)
{
	struct conf_header *v;
	struct jnode map, it;
	size_t n, i = 0;

	jnode_get(settings, "headers", &map);
	if (!jnode_map(&map))
		return;
	n = jnode_members(&map);
	v = conf_arena_array(map.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &map)
	{
		v[i].name = conf_arena_text(it.ld->arena, span_str(it.key));
		v[i].value = jnode_text(&it, "");
		header_check(&it, &v[i++]);
	}
	out->headers = v;
	out->n_headers = n;
}

static const struct key account_keys[] = {KNOWN("user"), KNOWN("pass"), KNOWN("email"),
					  KNOWN("level"), KEYS_END};

static void proxy_account(const struct jnode *obj, struct conf_out_proxy *out)
{
	struct jnode user;

	out->auth = jnode_get(obj, "user", &user);
	out->account.at = jnode_at(obj);
	out->account.user = jnode_str(obj, "user", "");
	out->account.pass = jnode_secret(obj, "pass");
	out->email = jnode_str(obj, "email", "");
	out->level = conf_parse_level(obj, "level");
	if (strlen(out->account.user) > 255 || strlen(out->account.pass) > 255)
		jnode_error(obj, "user name and password may have at most 255 bytes each");
}

static void proxy_server(const struct jnode *server, const char *name, bool flat,
			 struct conf_out_proxy *out)
{
	struct jnode users, user;

	conf_parse_server(server, "the server's address is not set", &out->server);
	if (flat) {
		proxy_account(server, out);
		return;
	}
	jnode_get(server, "users", &users);
	switch (jnode_count(&users)) {
	case 0:
		return;
	case 1:
		jnode_first(&users, &user);
		if (jnode_object(&user, account_keys))
			proxy_account(&user, out);
		return;
	default:
		jnode_error(
			&users,
			"%s servers: \"users\" should have one member at most. Multiple members in "
			"\"users\" should use multiple %s outbounds and routing balancer instead",
			name, name);
	}
}

static void proxy_parse(const struct jnode *settings, const char *name, bool http,
			struct conf_out_proxy *out)
{
	static const struct key socks_keys[] = {
		KNOWN("address"), KNOWN("port"),  KNOWN("user"),    KNOWN("pass"),
		KNOWN("email"),	  KNOWN("level"), KNOWN("servers"), KEYS_END,
	};
	static const struct key http_keys[] = {
		KNOWN("address"), KNOWN("port"),    KNOWN("user"),    KNOWN("pass"), KNOWN("email"),
		KNOWN("level"),	  KNOWN("servers"), KNOWN("headers"), KEYS_END,
	};
	static const struct key list_keys[] = {KNOWN("address"), KNOWN("port"), KNOWN("users"),
					       KEYS_END};
	struct jnode holder, server;

	out->account.user = out->account.pass = out->email = "";
	jnode_object(settings, http ? http_keys : socks_keys);
	if (http)
		proxy_headers(settings, out);
	if (conf_parse_server_object(settings, "servers", name, list_keys, &holder, &server))
		proxy_server(&server, name, server.v == settings->v, out);
}

/* ---- blackhole, loopback and join ---- */

static void blackhole_parse(const struct jnode *settings, struct conf_out_blackhole *out)
{
	static const struct key keys[] = {KNOWN("response"), KEYS_END};
	static const struct key response_keys[] = {KNOWN("type"), KNOWN("status"), KEYS_END};
	enum { STATUS = 403, NO_CONTENT = 204 };
	struct jnode n, type;
	const char *text;
	int64_t status;

	jnode_object(settings, keys);
	jnode_get(settings, "response", &n);
	if (!jnode_object(&n, response_keys))
		return;
	if (!jnode_get(&n, "type", &type)) {
		jnode_error(&type, "type not found in JSON context, expected none or http");
		return;
	}
	text = jnode_text(&type, "");
	out->http = strcasecmp(text, "http") == 0;
	if (!out->http && strcasecmp(text, "none") != 0)
		jnode_error(&type, "unknown config id: %.40s, expected none or http", text);
	status = jnode_int(&n, "status", NO_CONTENT, STATUS, STATUS);
	out->no_content = status == NO_CONTENT;
	jnode_get(&n, "status", &type);
	if (status != STATUS && status != NO_CONTENT)
		jnode_error(&type, "found %d, expected 403 or 204", (int)status);
}

static void loopback_parse(const struct jnode *settings, struct conf_out_loopback *out)
{
	static const struct key keys[] = {KNOWN("inboundTag"), KNOWN("sniffing"), KEYS_END};
	struct jnode tag;

	jnode_object(settings, keys);
	out->inbound_tag = jnode_str(settings, "inboundTag", "");
	if (*out->inbound_tag == 0) {
		jnode_get(settings, "inboundTag", &tag);
		jnode_error(&tag, "found nothing, expected the inbound tag that rules shall see");
	}
	jnode_sniff(settings, "sniffing", &out->sniff);
}

static void join_parse(const struct jnode *settings, struct conf_out_join *out)
{
	static const struct key keys[] = {KNOWN("tickets"), KEYS_END};
	struct jnode folder;

	jnode_object(settings, keys);
	out->tickets = jnode_str(settings, "tickets", "");
	jnode_get(settings, "tickets", &folder);
	if (*out->tickets == 0)
		jnode_error(&folder, "found nothing, expected the folder where tickets are kept");
}

/* ---- common ---- */

static void send_through_parse(const struct jnode *outbound, struct conf_send_through *out)
{
	struct jnode n;
	const char *text;

	if (!jnode_get(outbound, "sendThrough", &n))
		return;
	text = jnode_text(&n, "");
	if (*text == 0)
		return;
	if (strcasecmp(text, "origin") == 0)
		out->kind = CONF_VIA_ORIGIN;
	else if (strcasecmp(text, "srcip") == 0)
		out->kind = CONF_VIA_SRCIP;
	else if (prefix_parse(&out->prefix, span_str(text)) != 0)
		jnode_error(&n,
			    "unable to send through: %.60s, expected an IP address, a prefix, "
			    "origin or srcip",
			    text);
	else if (!ip_is_any(&out->prefix.ip) || out->prefix.len == 0)
		out->kind = out->prefix.len == 0 ? CONF_VIA_NONE : CONF_VIA_PREFIX;
}

/* With a raw transport, dialling through a tag is the same in both of its spellings. */
static void proxy_settings_parse(const struct jnode *outbound, struct conf_sockopt *out)
{
	static const struct key keys[] = {KNOWN("tag"), KNOWN("transportLayer"), KEYS_END};
	struct jnode n;
	const char *tag;

	jnode_get(outbound, "proxySettings", &n);
	if (!jnode_object(&n, keys))
		return;
	jnode_bool(&n, "transportLayer", false);
	tag = jnode_str(&n, "tag", "");
	if (*tag == 0)
		jnode_error(&n, "Proxy tag is not set.");
	else if (*out->dialer_proxy)
		jnode_error(&n, "proxySettings.tag is conflicted with sockopt.dialerProxy");
	else
		out->dialer_proxy = tag;
}

static void mux_parse(const struct jnode *outbound, struct conf_mux *out)
{
	enum { CONCURRENCY = 8 };
	static const struct key keys[] = {KNOWN("enabled"), KNOWN("concurrency"),
					  KNOWN("xudpConcurrency"), KNOWN("xudpProxyUDP443"),
					  KEYS_END};
	static const struct word words[] = {{"reject", CONF_UDP443_REJECT},
					    {"", CONF_UDP443_REJECT},
					    {"allow", CONF_UDP443_ALLOW},
					    {"skip", CONF_UDP443_SKIP},
					    {NULL, 0}};
	struct jnode n, udp443;
	const char *text;
	int value;

	jnode_get(outbound, "mux", &n);
	out->at = jnode_at(&n);
	out->concurrency = CONCURRENCY;
	if (!jnode_object(&n, keys))
		return;
	out->enabled = jnode_bool(&n, "enabled", false);
	out->concurrency = (int16_t)jnode_int(&n, "concurrency", INT16_MIN, INT16_MAX, CONCURRENCY);
	if (out->concurrency == 0)
		out->concurrency = CONCURRENCY;
	out->xudp_concurrency = (int16_t)jnode_int(&n, "xudpConcurrency", INT16_MIN, INT16_MAX, 0);
	jnode_get(&n, "xudpProxyUDP443", &udp443);
	text = jnode_text(&udp443, "");
	value = word_find(words, text);
	if (value < 0)
		jnode_error(&udp443,
			    "unknown \"xudpProxyUDP443\": %.40s, expected reject, allow or skip",
			    text);
	else
		out->udp443 = (enum conf_udp443)value;
}

static const struct word protocols[] = {
	{"freedom", CONF_OUT_FREEDOM},
	{"direct", CONF_OUT_FREEDOM},
	{"blackhole", CONF_OUT_BLACKHOLE},
	{"block", CONF_OUT_BLACKHOLE},
	{"vless", CONF_OUT_VLESS},
	{"shadowsocks", CONF_OUT_SHADOWSOCKS},
	{"socks", CONF_OUT_SOCKS},
	{"http", CONF_OUT_HTTP},
	{"dns", CONF_OUT_DNS},
	{"loopback", CONF_OUT_LOOPBACK},
	{"tun", CONF_OUT_TUN},
	{"join", CONF_OUT_JOIN},
	{NULL, 0},
};

static bool protocol_parse(const struct jnode *outbound, struct conf_outbound *out)
{
	int value = conf_parse_protocol(outbound, "outbound", protocols, &out->proto_name);

	if (value < 0)
		return false;
	out->proto = (enum conf_out_proto)value;
	return true;
}

static void settings_parse(const struct jnode *outbound, struct conf_outbound *out)
{
	struct jnode n;

	jnode_get(outbound, "settings", &n);
	switch (out->proto) {
	case CONF_OUT_FREEDOM:
		conf_parse_freedom(&n, &out->freedom);
		break;
	case CONF_OUT_BLACKHOLE:
		blackhole_parse(&n, &out->blackhole);
		break;
	case CONF_OUT_VLESS:
		conf_parse_vless_out(&n, &out->vless);
		break;
	case CONF_OUT_SHADOWSOCKS:
		conf_parse_ss_out(&n, &out->ss);
		break;
	case CONF_OUT_SOCKS:
		proxy_parse(&n, "SOCKS", false, &out->proxy);
		break;
	case CONF_OUT_HTTP:
		proxy_parse(&n, "HTTP", true, &out->proxy);
		break;
	case CONF_OUT_DNS:
		conf_parse_dnsout(&n, &out->dns);
		break;
	case CONF_OUT_LOOPBACK:
		loopback_parse(&n, &out->loopback);
		break;
	case CONF_OUT_TUN:
		conf_parse_tun_out(&n, &out->tun);
		break;
	case CONF_OUT_JOIN:
		join_parse(&n, &out->join);
		break;
	}
}

/* ---- in the clear ---- */

bool conf_server_is_private(const struct addr *a)
{
	static const char *const tops[] = {"lan",     "localdomain", "example",
					   "invalid", "localhost",   "test",
					   "local",   "home.arpa",   "internal"};
	size_t n = a->kind == ADDR_NAME ? strlen(a->name) : 0;

	if (a->kind == ADDR_IP)
		return ip_is_private(&a->ip);
	if (!strchr(a->name, '.'))
		return true;
	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
		size_t t = strlen(tops[i]);

		if (n > t && a->name[n - t - 1] == '.' && strcasecmp(a->name + n - t, tops[i]) == 0)
			return true;
	}
	return false;
}

/* Xray refuses this in the flat form only; there may also be an encrypted outbound below. */
static void clear_text_check(const struct jnode *outbound, const struct conf_outbound *out)
{
	static const char text[] = "vless without TLS or other encryption is prohibited unless the "
				   "server address is a private IP or domain";
	struct jnode settings, address;

	if (out->proto != CONF_OUT_VLESS || out->stream.security != CONF_SEC_NONE ||
	    out->vless.server.kind == ADDR_NONE || conf_server_is_private(&out->vless.server))
		return;
	jnode_get(outbound, "settings", &settings);
	if (jnode_get(&settings, "address", &address) && !*out->stream.sockopt.dialer_proxy)
		jnode_error(&address, "%s; add \"security\": \"tls\" to streamSettings", text);
	else
		jnode_warn(
			outbound,
			"everything is sent in the clear; without \"vnext\" Xray refuses this: %s",
			text);
}

void conf_parse_outbound(const struct jnode *n, struct conf_outbound *out)
{
	static const struct key keys[] = {
		KNOWN("protocol"),
		KNOWN("tag"),
		KNOWN("sendThrough"),
		KNOWN("settings"),
		KNOWN("streamSettings"),
		KNOWN("proxySettings"),
		KNOWN("mux"),
		KNOWN("targetStrategy"),
		KEYS_END,
	};

	out->tag = out->proto_name = "";
	out->at = jnode_at(n);
	if (!jnode_object(n, keys)) {
		if (!n->v || cJSON_IsNull(n->v))
			jnode_error(n, "found nothing, expected an outbound { }");
		return;
	}
	out->tag = jnode_str(n, "tag", "");
	if (!protocol_parse(n, out))
		return;
	send_through_parse(n, &out->via);
	out->target_strategy =
		jnode_strategy(n, "targetStrategy", "unsupported target domain strategy");
	conf_parse_stream(n, false, &out->stream);
	proxy_settings_parse(n, &out->stream.sockopt);
	mux_parse(n, &out->mux);
	settings_parse(n, out);
	clear_text_check(n, out);
}
