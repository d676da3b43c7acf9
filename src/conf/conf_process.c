/* The sections that concern the process as a whole: log, policy, api, metrics, version. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/sections.h"
#include "conf/value_parse.h"

/* ---- log ---- */

static enum log_level log_level(const struct jnode *obj)
{
	static const struct word words[] = {
		{"debug", LOG_DEBUG},
		{"info", LOG_INFO},
		{"warning", LOG_WARN},
		{"error", LOG_ERROR},
		{"none", LOG_NONE},
		{"", LOG_WARN},
		{NULL, 0},
	};
	struct jnode n;
	const char *text;
	int value;

	jnode_get(obj, "loglevel", &n);
	text = jnode_text(&n, "");
	value = word_find(words, text);
	if (value >= 0)
		return (enum log_level)value;
	jnode_warn(&n,
		   "found \"%.40s\", expected debug, info, warning, error or none; \"warning\" is "
		   "used",
		   text);
	return LOG_WARN;
}

/* "/16" or "/16+/48": bits that stay visible. */
static bool mask_custom(const char *text, struct log_mask *out)
{
	unsigned v4, v6 = 0;
	char *end;

	if (text[0] != '/' || text[1] < '0' || text[1] > '9')
		return false;
	v4 = (unsigned)strtoul(text + 1, &end, 10);
	if (strncmp(end, "+/", 2) == 0 && end[2] >= '0' && end[2] <= '9')
		v6 = (unsigned)strtoul(end + 2, &end, 10);
	if (*end != 0 || v4 > 32 || v4 % 8 != 0 || v6 > 128)
		return false;
	*out = (struct log_mask){(uint8_t)v4, (uint8_t)v6};
	return true;
}

static struct log_mask log_mask_of(const struct jnode *obj)
{
	struct log_mask mask = {32, 128};
	struct jnode n;
	const char *text;

	jnode_get(obj, "maskAddress", &n);
	text = jnode_text(&n, "");
	if (strcasecmp(text, "quarter") == 0)
		mask = (struct log_mask){8, 16};
	else if (strcasecmp(text, "half") == 0)
		mask = (struct log_mask){16, 32};
	else if (strcasecmp(text, "full") == 0)
		mask = (struct log_mask){0, 0};
	else if (*text && !mask_custom(text, &mask))
		jnode_error(&n,
			    "found \"%.40s\", expected quarter, half, full or like \"/16+/48\" "
			    "(the first a multiple of 8)",
			    text);
	return mask;
}

void section_log(const struct jnode *n, struct conf_log *out)
{
	static const struct key keys[] = {
		KNOWN("access"), KNOWN("error"),       KNOWN("loglevel"),
		KNOWN("dnsLog"), KNOWN("maskAddress"), KEYS_END,
	};
	const char *access, *error;

	out->setup.level = LOG_WARN;
	out->setup.mask = (struct log_mask){32, 128};
	out->setup.access_off = true;
	if (!jnode_object(n, keys))
		return;
	access = jnode_str(n, "access", "");
	error = jnode_str(n, "error", "");
	out->setup.level = strcasecmp(error, "none") == 0 ? LOG_NONE : log_level(n);
	out->setup.error_path = *error && strcasecmp(error, "none") != 0 ? error : NULL;
	out->setup.access_path = *access ? access : NULL;
	out->setup.access_off = strcasecmp(access, "none") == 0 ||
				strcasecmp(jnode_str(n, "loglevel", ""), "none") == 0;
	if (out->setup.access_off)
		out->setup.access_path = NULL;
	out->dns_log = jnode_bool(n, "dnsLog", false);
	out->setup.mask = log_mask_of(n);
}

/* ---- policy ---- */

enum {
	HANDSHAKE_S = 60,
	CONN_IDLE_S = 300,
	CONN_IDLE_LEVEL1_S = 600, /* without any policy object, as in Xray and v2ray */
	UPLINK_ONLY_S = 1,
	DOWNLINK_ONLY_S = 1,
	BUFFER_KIB = 512,
};

/* The variable counts MiB, 0 for no limit. */
static int32_t default_buffer(const struct load *ld)
{
	const char *text = conf_env_get(ld, "XRAY_RAY_BUFFER_SIZE");
	char *end;
	unsigned long mib;

	if (!text || *text < '0' || *text > '9')
		return BUFFER_KIB;
	mib = strtoul(text, &end, 10);
	if (*end != 0 || mib > INT32_MAX / 1024)
		return BUFFER_KIB;
	return mib == 0 ? -1 : (int32_t)mib * 1024;
}

static uint32_t seconds(const struct jnode *obj, const char *key, uint32_t def)
{
	struct jnode n;
	uint32_t s;

	if (!jnode_get(obj, key, &n))
		return def;
	s = (uint32_t)jnode_integer(&n, 0, UINT32_MAX, def);
	if (s == 0 && (strcasecmp(key, "connIdle") == 0 || strcasecmp(key, "handshake") == 0))
		jnode_warn(&n, "0 seconds close every connection at once");
	return s;
}

static void policy_level(const struct jnode *n, const struct conf_policy *other,
			 struct conf_policy *out)
{
	static const struct key keys[] = {
		KNOWN("handshake"),	    KNOWN("connIdle"),	      KNOWN("uplinkOnly"),
		KNOWN("downlinkOnly"),	    KNOWN("bufferSize"),      KNOWN("statsUserUplink"),
		KNOWN("statsUserDownlink"), KNOWN("statsUserOnline"), KEYS_END,
	};
	unsigned long level;
	char *end;

	*out = *other;
	level = strtoul(n->key, &end, 10);
	if (n->key[0] < '0' || n->key[0] > '9' || *end != 0 || level > UINT32_MAX)
		jnode_error(n, "found \"%.40s\", expected a user level as a decimal number",
			    n->key);
	out->level = (uint32_t)level;
	if (!jnode_object(n, keys))
		return;
	out->handshake_s = seconds(n, "handshake", other->handshake_s);
	out->conn_idle_s = seconds(n, "connIdle", other->conn_idle_s);
	out->uplink_only_s = seconds(n, "uplinkOnly", other->uplink_only_s);
	out->downlink_only_s = seconds(n, "downlinkOnly", other->downlink_only_s);
	out->buffer_kib =
		(int32_t)jnode_int(n, "bufferSize", INT32_MIN, INT32_MAX, other->buffer_kib);
	if (out->buffer_kib < 0)
		out->buffer_kib = -1;
	out->stats_uplink = jnode_bool(n, "statsUserUplink", false);
	out->stats_downlink = jnode_bool(n, "statsUserDownlink", false);
	out->stats_online = jnode_bool(n, "statsUserOnline", false);
}

static void policy_levels(const struct jnode *obj, struct conf_policies *out)
{
	struct conf_policy *v;
	struct jnode list, it;
	size_t n, i = 0;

	jnode_get(obj, "levels", &list);
	if (!jnode_map(&list))
		return;
	n = jnode_members(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list) policy_level(&it, &out->other, &v[i++]);
	out->levels = v;
	out->n_levels = n;
}

static void policy_system(const struct jnode *obj, struct conf_policies *out)
{
	static const struct key keys[] = {
		KNOWN("statsInboundUplink"),
		KNOWN("statsInboundDownlink"),
		KNOWN("statsOutboundUplink"),
		KNOWN("statsOutboundDownlink"),
		KEYS_END,
	};
	struct jnode n;

	jnode_get(obj, "system", &n);
	if (!jnode_object(&n, keys))
		return;
	out->stats_in_up = jnode_bool(&n, "statsInboundUplink", false);
	out->stats_in_down = jnode_bool(&n, "statsInboundDownlink", false);
	out->stats_out_up = jnode_bool(&n, "statsOutboundUplink", false);
	out->stats_out_down = jnode_bool(&n, "statsOutboundDownlink", false);
}

void section_policy(const struct jnode *n, struct conf_policies *out)
{
	static const struct key keys[] = {
		KNOWN("levels"),
		KNOWN("system"),
		KEYS_END,
	};
	struct conf_policy *one;

	out->other = (struct conf_policy){
		.handshake_s = HANDSHAKE_S,
		.conn_idle_s = CONN_IDLE_S,
		.uplink_only_s = UPLINK_ONLY_S,
		.downlink_only_s = DOWNLINK_ONLY_S,
		.buffer_kib = default_buffer(n->ld),
	};
	if (jnode_object(n, keys)) {
		policy_levels(n, out);
		policy_system(n, out);
		return;
	}
	one = conf_arena_array(n->ld->arena, 1, sizeof(*one));
	if (!one)
		return;
	*one = out->other;
	one->level = 1;
	one->conn_idle_s = CONN_IDLE_LEVEL1_S;
	out->levels = one;
	out->n_levels = 1;
}

/* ---- api, metrics, version ---- */

void section_api(const struct jnode *n, struct conf_api *out)
{
	static const struct key keys[] = {
		KNOWN("tag"),
		KNOWN("listen"),
		QUIET("services"),
		KEYS_END,
	};

	out->tag = out->listen = "";
	if (!jnode_object(n, keys))
		return;
	out->tag = jnode_str(n, "tag", "");
	out->listen = jnode_str(n, "listen", "");
	if (*out->tag == 0)
		jnode_error(n, "API tag can't be empty.");
	jnode_warn(n, "the gRPC interface of Xray is not offered; the control socket has the same "
		      "figures");
}

void section_metrics(const struct jnode *n, struct conf_api *out)
{
	static const struct key keys[] = {
		KNOWN("tag"),
		KNOWN("listen"),
		KEYS_END,
	};

	out->tag = out->listen = "";
	if (!jnode_object(n, keys))
		return;
	out->tag = jnode_str(n, "tag", "");
	out->listen = jnode_str(n, "listen", "");
	jnode_warn(n,
		   "Xray's metrics page is not offered; the control socket has the same figures");
}

void section_version(const struct jnode *n)
{
	static const struct key keys[] = {
		QUIET("min"),
		QUIET("max"),
		KEYS_END,
	};

	if (jnode_object(n, keys))
		jnode_warn(n, "speaks of versions of Xray and is not compared with ours");
}

/* ---- control ---- */

enum { NODE_NAME_MAX = 63 };

void section_control(const struct jnode *n, struct conf_control *out)
{
	static const struct key keys[] = {
		KNOWN("socket"),
		KNOWN("name"),
		KNOWN("remoteTrace"),
		KEYS_END,
	};
	struct jnode s;

	out->socket = out->name = "";
	if (!jnode_object(n, keys))
		return;
	out->name = jnode_str(n, "name", "");
	out->remote_trace = jnode_bool(n, "remoteTrace", false);
	if (strlen(out->name) > NODE_NAME_MAX)
		jnode_error(n, "name is longer than %d characters", NODE_NAME_MAX);
	if (!jnode_get(n, "socket", &s))
		return;
	if (cJSON_IsBool(s.v)) {
		out->off = cJSON_IsFalse(s.v);
		return;
	}
	out->socket = jnode_text(&s, "");
	if (*out->socket && *out->socket != '/' && *out->socket != '@')
		jnode_error(&s, "found \"%.60s\", expected an absolute path, \"@name\" or false",
			    out->socket);
}
