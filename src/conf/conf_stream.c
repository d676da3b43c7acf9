/* streamSettings and sockopt. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/sections.h"
#include "conf/value_parse.h"

/* ---- sockopt ---- */

static void fast_open_parse(const struct jnode *obj, struct conf_sockopt *out)
{
	enum { DEFAULT_QUEUE = 256 };
	struct jnode n;
	int64_t v;

	if (!jnode_get(obj, "tcpFastOpen", &n))
		return;
	if (cJSON_IsBool(n.v)) {
		out->fast_open_given = true;
		out->fast_open = cJSON_IsTrue(n.v) ? DEFAULT_QUEUE : 0;
	} else if (cJSON_IsNumber(n.v)) {
		v = jnode_integer(&n, INT32_MIN, INT32_MAX, 0);
		out->fast_open_given = v != 0; /* 0 leaves the system's setting alone */
		out->fast_open = v > 0 ? (uint32_t)v : 0;
	} else {
		jnode_error(&n, "tcpFastOpen: only boolean and integer value is acceptable");
	}
}

static void happy_parse(const struct jnode *obj, struct conf_happy_eyeballs *out)
{
	enum { INTERLEAVE = 1, CONCURRENT = 4 };
	static const struct key keys[] = {KNOWN("prioritizeIPv6"), KNOWN("tryDelayMs"),
					  KNOWN("interleave"), KNOWN("maxConcurrentTry"), KEYS_END};
	struct jnode n;

	out->interleave = INTERLEAVE;
	out->max_concurrent = CONCURRENT;
	jnode_get(obj, "happyEyeballs", &n);
	if (!jnode_object(&n, keys))
		return;
	out->prioritize6 = jnode_bool(&n, "prioritizeIPv6", false);
	out->delay_ms = (uint32_t)jnode_int(&n, "tryDelayMs", 0, 60000, 0);
	out->interleave = (uint32_t)jnode_int(&n, "interleave", 0, 1000, INTERLEAVE);
	out->max_concurrent = (uint32_t)jnode_int(&n, "maxConcurrentTry", 0, 1000, CONCURRENT);
	if (out->interleave == 0)
		out->interleave = INTERLEAVE;
	if (out->max_concurrent == 0)
		out->max_concurrent = CONCURRENT;
}

/* Xray writes these numbers as texts; plain numbers are taken too. */
static int custom_number(const struct jnode *obj, const char *key, int def)
{
	struct jnode n;
	const char *text;
	char *end;
	long v;

	if (!jnode_get(obj, key, &n))
		return def;
	if (cJSON_IsNumber(n.v))
		return (int)jnode_integer(&n, INT32_MIN, INT32_MAX, def);
	text = jnode_text(&n, "");
	if (*text == 0)
		return def;
	errno = 0;
	v = strtol(text, &end, 0);
	if (errno != 0 || *end != 0 || v < INT32_MIN || v > INT32_MAX) {
		jnode_error(&n, "found \"%.40s\", expected a whole number", text);
		return def;
	}
	return (int)v;
}

static unsigned custom_networks(const struct jnode *obj)
{
	static const struct word words[] = {
		{"", CONF_TCP | CONF_UDP}, {"tcp", CONF_TCP}, {"udp", CONF_UDP}, {NULL, 0}};

	return (unsigned)jnode_word(obj, "network", words, CONF_TCP | CONF_UDP);
}

/* False when the entry is for another system. */
static bool custom_parse(const struct jnode *n, struct conf_custom_opt *out)
{
	enum { LEVEL_TCP = 6 };
	static const struct key keys[] = {KNOWN("system"), KNOWN("network"), KNOWN("level"),
					  KNOWN("opt"),	   KNOWN("value"),   KNOWN("type"),
					  KEYS_END};
	static const struct word types[] = {{"int", 0}, {"str", 1}, {NULL, 0}};
	const char *system;
	struct jnode opt;

	out->str = "";
	out->at = jnode_at(n);
	if (!jnode_object(n, keys))
		return false;
	system = jnode_str(n, "system", "");
	if (*system && strcasecmp(system, "linux") != 0)
		return false;
	out->networks = custom_networks(n);
	out->level = custom_number(n, "level", LEVEL_TCP);
	if (!jnode_get(n, "opt", &opt))
		jnode_error(&opt, "found nothing, expected the number of a socket option");
	out->opt = custom_number(n, "opt", 0);
	out->is_str = jnode_word(n, "type", types, 0) == 1;
	if (out->is_str)
		out->str = jnode_str(n, "value", "");
	else
		out->num = custom_number(n, "value", 0);
	return true;
}

static void customs_parse(const struct jnode *obj, struct conf_sockopt *out)
{
	struct conf_custom_opt *v;
	struct jnode list, it;
	size_t n, used = 0;

	jnode_get(obj, "customSockopt", &list);
	n = jnode_count(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list) used += custom_parse(&it, &v[used]);
	out->custom = v;
	out->n_custom = used;
}

static void keepalive_parse(const struct jnode *n, struct conf_sockopt *out)
{
	int32_t idle = (int32_t)jnode_int(n, "tcpKeepAliveIdle", INT32_MIN, INT32_MAX, 0);
	int32_t interval = (int32_t)jnode_int(n, "tcpKeepAliveInterval", INT32_MIN, INT32_MAX, 0);

	if ((idle > 0 && interval < 0) || (idle < 0 && interval > 0))
		jnode_error(n, "invalid TcpKeepAliveIdle or TcpKeepAliveInterval value: %d %d",
			    idle, interval);
	out->keepalive_idle_s = idle;
	out->keepalive_interval_s = interval;
}

static void port_strategy_check(const struct jnode *obj)
{
	struct jnode n;
	const char *text;

	jnode_get(obj, "addressPortStrategy", &n);
	text = jnode_text(&n, "");
	if (*text && strcasecmp(text, "none") != 0)
		jnode_error(&n, "unsupported address and port strategy: %.40s, expected none",
			    text);
}

static void sockopt_parse(const struct jnode *obj, struct conf_sockopt *out)
{
	static const struct key keys[] = {
		KNOWN("mark"),
		KNOWN("interface"),
		KNOWN("tcpFastOpen"),
		KNOWN("tproxy"),
		KNOWN("acceptProxyProtocol"),
		KNOWN("domainStrategy"),
		KNOWN("dialerProxy"),
		KNOWN("tcpKeepAliveIdle"),
		KNOWN("tcpKeepAliveInterval"),
		KNOWN("tcpUserTimeout"),
		KNOWN("tcpCongestion"),
		KNOWN("tcpWindowClamp"),
		KNOWN("tcpMaxSeg"),
		KNOWN("tcpMptcp"),
		KNOWN("v6only"),
		KNOWN("happyEyeballs"),
		KNOWN("customSockopt"),
		KNOWN("addressPortStrategy"),
		QUIET("tcpNoDelay"),
		QUIET("penetrate"),
		QUIET("trustedXForwardedFor"),
		KEYS_END,
	};
	static const struct word tproxies[] = {{"off", CONF_TPROXY_OFF},
					       {"", CONF_TPROXY_OFF},
					       {"redirect", CONF_TPROXY_REDIRECT},
					       {"tproxy", CONF_TPROXY_TPROXY},
					       {NULL, 0}};
	struct jnode n;

	out->interface = out->dialer_proxy = out->congestion = "";
	jnode_get(obj, "sockopt", &n);
	out->at = jnode_at(&n);
	happy_parse(&n, &out->happy);
	if (!jnode_object(&n, keys))
		return;
	out->mark = (uint32_t)jnode_int(&n, "mark", INT32_MIN, UINT32_MAX, 0);
	out->interface = jnode_str(&n, "interface", "");
	fast_open_parse(&n, out);
	out->tproxy = (enum conf_tproxy)jnode_word(&n, "tproxy", tproxies, CONF_TPROXY_OFF);
	out->strategy = jnode_strategy(&n, "domainStrategy", "unsupported domain strategy");
	out->dialer_proxy = jnode_str(&n, "dialerProxy", "");
	keepalive_parse(&n, out);
	out->user_timeout_ms = (uint32_t)jnode_int(&n, "tcpUserTimeout", 0, INT32_MAX, 0);
	out->congestion = jnode_str(&n, "tcpCongestion", "");
	out->window_clamp = (uint32_t)jnode_int(&n, "tcpWindowClamp", 0, INT32_MAX, 0);
	out->max_seg = (uint32_t)jnode_int(&n, "tcpMaxSeg", 0, 65535, 0);
	out->mptcp = jnode_bool(&n, "tcpMptcp", false);
	out->v6only = jnode_bool(&n, "v6only", false);
	customs_parse(&n, out);
	port_strategy_check(&n);
}

/* ---- transport and security ---- */

static void network_check(const struct jnode *obj)
{
	static const struct {
		const char *name;
		int kind; /* 0 ours, 1 known and not ours, 2 gone from Xray too */
	} names[] = {
		{"raw", 0},	  {"tcp", 0},	       {"", 0},
		{"xhttp", 1},	  {"splithttp", 1},    {"kcp", 1},
		{"mkcp", 1},	  {"grpc", 1},	       {"ws", 1},
		{"websocket", 1}, {"httpupgrade", 1},  {"hysteria", 1},
		{"h2", 2},	  {"h3", 2},	       {"http", 2},
		{"quic", 2},	  {"domainsocket", 2}, {"ds", 2},
	};
	struct jnode n;
	const char *text;

	jnode_get2(obj, "method", "network", &n);
	text = jnode_text(&n, "");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(names[i].name, text) != 0)
			continue;
		if (names[i].kind == 1)
			jnode_error(&n, "transport \"%s\" is not supported, expected raw (tcp)",
				    text);
		else if (names[i].kind == 2)
			jnode_error(&n,
				    "transport \"%s\" is not supported (Xray has removed it too), "
				    "expected raw (tcp)",
				    text);
		return;
	}
	jnode_error(&n, "Config: unknown transport protocol: %.40s, expected raw (tcp)", text);
}

static bool raw_parse(const struct jnode *obj)
{
	static const struct key keys[] = {KNOWN("header"), KNOWN("acceptProxyProtocol"), KEYS_END};
	struct jnode n, header, type;
	const char *text;

	jnode_get2(obj, "rawSettings", "tcpSettings", &n);
	if (!jnode_object(&n, keys))
		return false;
	if (jnode_get(&n, "header", &header) && cJSON_IsObject(header.v)) {
		jnode_get(&header, "type", &type);
		text = jnode_text(&type, "");
		if (strcasecmp(text, "http") == 0)
			jnode_error(&type, "invalid TCP header config > the fake HTTP header is "
					   "not supported, expected none");
		else if (*text && strcasecmp(text, "none") != 0)
			jnode_error(&type, "invalid TCP header config > unknown config id: %.40s",
				    text);
	}
	return jnode_bool(&n, "acceptProxyProtocol", false);
}

static enum conf_security security_parse(const struct jnode *obj)
{
	struct jnode n;
	const char *text;

	jnode_get(obj, "security", &n);
	text = jnode_text(&n, "");
	if (*text == 0 || strcasecmp(text, "none") == 0)
		return CONF_SEC_NONE;
	if (strcasecmp(text, "tls") == 0)
		return CONF_SEC_TLS;
	if (strcasecmp(text, "reality") == 0)
		return CONF_SEC_REALITY;
	if (strcasecmp(text, "xtls") == 0)
		jnode_error(&n, "The feature \"Legacy XTLS\" has been removed and migrated to "
				"\"xtls-rprx-vision with TLS or REALITY\".");
	else
		jnode_error(&n, "Unknown security \"%.40s\", expected none, tls or reality", text);
	return CONF_SEC_NONE;
}

static const struct key stream_keys[] = {
	KNOWN("network"),
	KNOWN("method"),
	KNOWN("security"),
	KNOWN("rawSettings"),
	KNOWN("tcpSettings"),
	KNOWN("tlsSettings"),
	KNOWN("sockopt"),
	/* settings of what was not chosen mean nothing; what was chosen has its own error */
	QUIET("realitySettings"),
	QUIET("xhttpSettings"),
	QUIET("splithttpSettings"),
	QUIET("kcpSettings"),
	QUIET("grpcSettings"),
	QUIET("wsSettings"),
	QUIET("httpupgradeSettings"),
	QUIET("hysteriaSettings"),
	QUIET("httpSettings"),
	QUIET("quicSettings"),
	QUIET("dsSettings"),
	QUIET("xtlsSettings"),
	{"finalmask", KEY_REFUSED,
	 "finalmask is not supported; without it the traffic would look different"},
	{"address", KEY_NO_EFFECT, "belongs to the transport xhttp"},
	{"port", KEY_NO_EFFECT, "belongs to the transport xhttp"},
	KEYS_END,
};

void conf_parse_stream(const struct jnode *obj, bool server, struct conf_stream *out)
{
	struct jnode n, sockopt;

	jnode_get(obj, "streamSettings", &n);
	out->at = jnode_at(&n);
	jnode_object(&n, stream_keys);
	network_check(&n);
	out->security = security_parse(&n);
	if (out->security == CONF_SEC_TLS)
		out->tls = conf_parse_tls(&n, server);
	else if (out->security == CONF_SEC_REALITY && server)
		out->reality = conf_parse_reality_server(&n);
	else if (out->security == CONF_SEC_REALITY)
		out->reality_out = conf_parse_reality_client(&n);
	sockopt_parse(&n, &out->sockopt);
	jnode_get(&n, "sockopt", &sockopt);
	out->accept_proxy = raw_parse(&n);
	if (jnode_bool(&sockopt, "acceptProxyProtocol", false))
		out->accept_proxy = true;
}
