/* realitySettings: the server's half, then the client's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/sections.h"
#include "conf/value_parse.h"
#include "crypto/base64.h"

/* Key material in the one form that Xray takes: base64url without padding. The text stays out of
 * messages. */
static bool key_parse(const struct jnode *n, const char *name, uint8_t out[CONF_REALITY_KEY_LEN])
{
	const char *text;

	if (!cJSON_IsString(n->v)) {
		jnode_error(n, "invalid \"%s\": expected text in quotes", name);
		return false;
	}
	text = n->v->valuestring;
	if (base64_decode(out, CONF_REALITY_KEY_LEN, span_str(text), BASE64_URL | BASE64_RAW,
			  NULL) == CONF_REALITY_KEY_LEN)
		return true;
	jnode_error(n,
		    "invalid \"%s\": expected 43 characters of base64url without padding (32 "
		    "bytes), as \"garenne x25519\" prints them",
		    name);
	return false;
}

/* One key, or a list of them while they are being changed: the newest first. */
static void keys_parse(const struct jnode *obj, struct conf_reality_server *out)
{
	uint8_t(*v)[CONF_REALITY_KEY_LEN];
	struct jnode n, it;
	bool list;

	if (!jnode_get(obj, "privateKey", &n) ||
	    (cJSON_IsString(n.v) && n.v->valuestring[0] == 0)) {
		jnode_error(&n, "empty \"privateKey\"");
		return;
	}
	list = cJSON_IsArray(n.v);
	v = conf_arena_array(n.ld->arena, list ? jnode_count(&n) : 1, sizeof(*v));
	if (list && jnode_count(&n) == 0)
		jnode_error(&n, "empty \"privateKey\"");
	if (!v)
		return;
	if (!list) {
		out->n_keys = key_parse(&n, "privateKey", v[0]);
	} else {
		jnode_each(it, &n) out->n_keys += key_parse(&it, "privateKey", v[out->n_keys]);
	}
	out->keys = (const uint8_t(*)[CONF_REALITY_KEY_LEN])v;
}

static void seed_parse(const struct jnode *obj, struct conf_reality_server *out)
{
	uint8_t *seed;
	struct jnode n;

	if (!jnode_get(obj, "mldsa65Seed", &n) || (cJSON_IsString(n.v) && n.v->valuestring[0] == 0))
		return;
	seed = conf_arena_array(n.ld->arena, CONF_REALITY_KEY_LEN, 1);
	if (!seed || !key_parse(&n, "mldsa65Seed", seed))
		return;
	for (size_t i = 0; i < out->n_keys; i++)
		if (memcmp(out->keys[i], seed, CONF_REALITY_KEY_LEN) == 0)
			jnode_error(&n, "invalid \"mldsa65Seed\": it is the \"privateKey\"; "
					"expected a seed of its own");
	out->mldsa_seed = seed;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void short_id_parse(const struct jnode *n, const char *name,
			   uint8_t out[CONF_REALITY_SHORT_ID_LEN])
{
	const char *text = jnode_text(n, "");
	size_t len = strlen(text);

	if (len > 2 * CONF_REALITY_SHORT_ID_LEN) {
		jnode_error(n, "too long \"%s\": %.40s, expected at most 16 hexadecimal digits",
			    name, text);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		int v = hex_digit(text[i]);

		if (v < 0 || len % 2) {
			jnode_error(n,
				    "invalid \"%s\": %.40s, expected an even number of hexadecimal "
				    "digits",
				    name, text);
			return;
		}
		out[i / 2] = (uint8_t)(out[i / 2] << 4 | v);
	}
}

static void short_ids_parse(const struct jnode *obj, struct conf_reality_server *out)
{
	uint8_t(*v)[CONF_REALITY_SHORT_ID_LEN];
	struct jnode list, it;
	size_t i = 0;

	jnode_get(obj, "shortIds", &list);
	out->n_short_ids = jnode_count(&list);
	if (out->n_short_ids == 0) {
		jnode_error(&list, "empty \"shortIds\"");
		return;
	}
	v = conf_arena_array(list.ld->arena, out->n_short_ids, sizeof(*v));
	if (!v) {
		out->n_short_ids = 0;
		return;
	}
	jnode_each(it, &list)
	{
		char name[32];

		snprintf(name, sizeof(name), "shortIds[%zu]", i);
		short_id_parse(&it, name, v[i++]);
	}
	out->short_ids = (const uint8_t(*)[CONF_REALITY_SHORT_ID_LEN])v;
}

static void names_parse(const struct jnode *obj, struct conf_reality_server *out)
{
	struct jnode n;

	jnode_get(obj, "serverNames", &n);
	out->names = jnode_strs(obj, "serverNames");
	if (out->names.n == 0)
		jnode_error(&n, "empty \"serverNames\"");
}

/* "x.y.z"; what is missing is 0. */
static uint32_t version_parse(const struct jnode *obj, const char *key)
{
	const char *text = jnode_str(obj, key, "");
	uint32_t v = 0;
	struct jnode n;

	if (*text == 0)
		return 0;
	jnode_get(obj, key, &n);
	for (int i = 0; i < 3; i++) {
		char *end;
		unsigned long part = 0;

		if (*text) {
			part = strtoul(text, &end, 10);
			if (*text < '0' || *text > '9' || (*end && *end != '.') || part > 255) {
				jnode_error(&n, "\"%s[%d]\" should be less than 256", key, i);
				return 0;
			}
			text = *end ? end + 1 : end;
		}
		v = v << 8 | (uint32_t)part;
	}
	if (*text)
		jnode_error(&n, "invalid \"%s\": expected three numbers, as in 26.3.27", key);
	return v;
}

static void versions_parse(const struct jnode *obj, struct conf_reality_server *out)
{
	out->min_version = version_parse(obj, "minClientVer");
	out->max_version = version_parse(obj, "maxClientVer");
	if (out->max_version && out->min_version > out->max_version)
		jnode_error(obj, "minClientVer is above maxClientVer");
}

static void rate_parse(const struct jnode *obj, const char *key, struct conf_fallback_rate *out)
{
	static const struct key keys[] = {KNOWN("afterBytes"), KNOWN("bytesPerSec"),
					  KNOWN("burstBytesPerSec"), KEYS_END};
	struct jnode n;

	jnode_get(obj, key, &n);
	if (!jnode_object(&n, keys))
		return;
	out->after_bytes = (uint64_t)jnode_int(&n, "afterBytes", 0, INT64_MAX, 0);
	out->bytes_per_s = (uint64_t)jnode_int(&n, "bytesPerSec", 0, INT64_MAX, 0);
	out->burst_bytes = (uint64_t)jnode_int(&n, "burstBytesPerSec", 0, INT64_MAX, 0);
	if (out->burst_bytes < out->bytes_per_s)
		out->burst_bytes = out->bytes_per_s;
}

/* A port of this machine, host:port, or a unix socket. */
static void target_parse(const struct jnode *obj, struct conf_reality_server *out)
{
	static const char fill[] = "please fill in a valid value for \"target\"";
	struct conf_ports ports;
	const char *text;
	struct jnode n;

	out->target_unix = out->master_key_log = "";
	out->own = &obj->ld->conf->own;
	if (!jnode_get2(obj, "target", "dest", &n)) {
		jnode_error(&n, "%s", fill);
		return;
	}
	text = cJSON_IsString(n.v) ? jnode_text(&n, "") : "";
	if (cJSON_IsNumber(n.v) || (*text && strspn(text, "0123456789") == strlen(text))) {
		ports = jnode_port_list(&n);
		if (ports.n == 1 && ports.v[0].from && ports.v[0].from == ports.v[0].to)
			addr_set_host(&out->target, span_str("localhost"), ports.v[0].from);
		else
			jnode_error(&n, "%s", fill);
	} else if (*text == '/' || (*text == '@' && text[1])) {
		out->target_unix = text;
	} else if (addr_parse(&out->target, span_str(text)) != 0 || out->target.port == 0) {
		jnode_error(&n, "%s: found \"%.60s\", expected a port, host:port, /path or @name",
			    fill, text);
	}
}

static void xver_parse(const struct jnode *obj, struct conf_reality_server *out)
{
	struct jnode n;

	if (!jnode_get(obj, "xver", &n))
		return;
	if (cJSON_IsNumber(n.v) && n.v->valuedouble >= 0 && n.v->valuedouble <= 2 &&
	    n.v->valuedouble == (double)(int)n.v->valuedouble)
		out->xver = (uint8_t)n.v->valuedouble;
	else
		jnode_error(&n, "invalid PROXY protocol version, \"xver\" only accepts 0, 1, 2");
}

static const struct key server_keys[] = {
	KNOWN("target"),
	KNOWN("dest"),
	QUIET("type"),
	KNOWN("xver"),
	KNOWN("serverNames"),
	KNOWN("privateKey"),
	KNOWN("shortIds"),
	KNOWN("minClientVer"),
	KNOWN("maxClientVer"),
	KNOWN("maxTimeDiff"),
	KNOWN("mldsa65Seed"),
	KNOWN("limitFallbackUpload"),
	KNOWN("limitFallbackDownload"),
	KNOWN("masterKeyLog"),
	{"show", KEY_NO_EFFECT, "has no effect; \"loglevel\": \"debug\" shows each decision"},
	/* a client's, which Xray passes over too */
	QUIET("serverName"),
	QUIET("fingerprint"),
	QUIET("publicKey"),
	QUIET("password"),
	QUIET("shortId"),
	QUIET("mldsa65Verify"),
	QUIET("spiderX"),
	KEYS_END,
};

const struct conf_reality_server *conf_parse_reality_server(const struct jnode *obj)
{
	struct conf_reality_server *out = conf_arena_array(obj->ld->arena, 1, sizeof(*out));
	struct jnode n;

	if (!out)
		return NULL;
	out->target_unix = "";
	if (!jnode_get(obj, "realitySettings", &n)) {
		jnode_error(&n, "REALITY: Empty \"realitySettings\".");
		return out;
	}
	out->at = jnode_at(&n);
	if (!jnode_object(&n, server_keys))
		return out;
	target_parse(&n, out);
	xver_parse(&n, out);
	names_parse(&n, out);
	keys_parse(&n, out);
	short_ids_parse(&n, out);
	versions_parse(&n, out);
	out->max_diff_ms = (uint64_t)jnode_int(&n, "maxTimeDiff", 0, INT64_MAX, 0);
	seed_parse(&n, out);
	out->master_key_log = jnode_str(&n, "masterKeyLog", "");
	rate_parse(&n, "limitFallbackUpload", &out->up);
	rate_parse(&n, "limitFallbackDownload", &out->down);
	return out;
}

/* ---- the client's half ---- */

static void public_key_parse(const struct jnode *obj, struct conf_reality_client *out)
{
	struct jnode n;

	if (!jnode_get2(obj, "password", "publicKey", &n) ||
	    (cJSON_IsString(n.v) && n.v->valuestring[0] == 0))
		jnode_error(&n, "empty \"password\": expected the server's public key");
	else
		key_parse(&n, "password", out->key);
}

static void mldsa_key_parse(const struct jnode *obj, struct conf_reality_client *out)
{
	uint8_t *key;
	struct jnode n;

	if (!jnode_get(obj, "mldsa65Verify", &n) ||
	    (cJSON_IsString(n.v) && n.v->valuestring[0] == 0))
		return;
	key = conf_arena_array(n.ld->arena, CONF_REALITY_MLDSA_LEN, 1);
	if (key && base64_decode(key, CONF_REALITY_MLDSA_LEN, span_str(jnode_text(&n, "")),
				 BASE64_URL | BASE64_RAW, NULL) != CONF_REALITY_MLDSA_LEN)
		jnode_error(&n, "invalid \"mldsa65Verify\": expected 2603 characters of base64url "
				"without padding (1952 bytes)");
	out->mldsa_key = key;
}

enum {
	SPIDER_PADDING_MAX = 4096,
	SPIDER_TIMES_MAX = 100,
	SPIDER_MS_MAX = 60000,
};

static int32_t spider_number(const char *text, char **end, int32_t max)
{
	long v = strtol(text, end, 10);

	return v < 0 ? 0 : v > max ? max : (int32_t)v;
}

/* One "n" or "lo-hi" of the query; what is no number counts as 0, as in Xray. */
static struct conf_range spider_range(const char *text, int32_t max)
{
	struct conf_range r = {0, 0};
	char *end;

	r.from = spider_number(text, &end, max);
	r.to = *end == '-' ? spider_number(end + 1, &end, max) : r.from;
	if (r.to < r.from)
		r.to = r.from;
	return r;
}

/* True when the part of the query at @at, "x=...", is for us. */
static bool spider_knob(const char *at, struct conf_spider *out)
{
	const struct {
		char letter;
		int32_t max;
		struct conf_range *to;
	} knobs[] = {{'p', SPIDER_PADDING_MAX, &out->padding},
		     {'c', CONF_SPIDER_WORKERS_MAX, &out->concurrency},
		     {'t', SPIDER_TIMES_MAX, &out->times},
		     {'i', SPIDER_MS_MAX, &out->interval},
		     {'r', SPIDER_MS_MAX, &out->delay}};

	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		if (at[0] != knobs[i].letter || at[1] != '=')
			continue;
		*knobs[i].to = spider_range(at + 2, knobs[i].max);
		return true;
	}
	return false;
}

/* The path, without those parts of its query that are for us: p, c, t, i, r. */
static void spider_parse(const struct jnode *obj, struct conf_reality_client *out)
{
	const char *text = jnode_str(obj, "spiderX", ""), *query, *at, *end;
	size_t n = strlen(text);
	struct jnode node;
	char *path;

	out->spider.path = "/";
	if (n == 0)
		return;
	path = conf_arena_array(obj->ld->arena, n + 1, 1);
	if (*text != '/' || strpbrk(text, " \r\n\t")) {
		jnode_get(obj, "spiderX", &node);
		jnode_error(&node, "invalid \"spiderX\": %.60s, expected a path that begins with /",
			    text);
		return;
	}
	if (!path)
		return;
	out->spider.path = path;
	query = strchr(text, '?');
	n = query ? (size_t)(query - text) : n;
	memcpy(path, text, n);
	for (at = query ? query + 1 : ""; *at; at = *end ? end + 1 : end) {
		end = at + strcspn(at, "&");
		if (spider_knob(at, &out->spider))
			continue;
		path[n] = n == (size_t)(query - text) ? '?' : '&';
		memcpy(path + n + 1, at, (size_t)(end - at));
		n += 1 + (size_t)(end - at);
	}
}

static void client_version_parse(const struct jnode *obj, struct conf_reality_client *out)
{
	uint32_t v = version_parse(obj, "clientVer");

	if (v == 0)
		v = CONF_REALITY_CLIENT_VERSION;
	for (int i = 0; i < 3; i++)
		out->version[i] = (uint8_t)(v >> (16 - 8 * i));
}

static void refuse_lists(const struct jnode *obj)
{
	static const char *const names[][2] = {{"serverNames", "serverName"},
					       {"shortIds", "shortId"}};
	struct jnode n;

	for (size_t i = 0; i < 2; i++)
		if (jnode_get(obj, names[i][0], &n) && jnode_count(&n) > 0)
			jnode_error(&n, "non-empty \"%s\", please use \"%s\" instead", names[i][0],
				    names[i][1]);
}

static const struct key client_keys[] = {
	KNOWN("serverName"),
	KNOWN("fingerprint"),
	KNOWN("password"),
	KNOWN("publicKey"),
	KNOWN("shortId"),
	KNOWN("mldsa65Verify"),
	KNOWN("spiderX"),
	KNOWN("clientVer"),
	KNOWN("masterKeyLog"),
	KNOWN("serverNames"),
	KNOWN("shortIds"),
	{"show", KEY_NO_EFFECT, "has no effect"},
	/* a server's, which Xray passes over too */
	QUIET("type"),
	QUIET("xver"),
	QUIET("privateKey"),
	QUIET("minClientVer"),
	QUIET("maxClientVer"),
	QUIET("maxTimeDiff"),
	QUIET("mldsa65Seed"),
	QUIET("limitFallbackUpload"),
	QUIET("limitFallbackDownload"),
	KEYS_END,
};

const struct conf_reality_client *conf_parse_reality_client(const struct jnode *obj)
{
	struct conf_reality_client *out = conf_arena_array(obj->ld->arena, 1, sizeof(*out));
	struct jnode n, it;

	if (!out)
		return NULL;
	out->server_name = out->master_key_log = "";
	out->fingerprint = "chrome";
	if (!jnode_get(obj, "realitySettings", &n)) {
		jnode_error(&n, "REALITY: Empty \"realitySettings\".");
		return out;
	}
	out->at = jnode_at(&n);
	if (!jnode_object(&n, client_keys))
		return out;
	refuse_lists(&n);
	out->server_name = jnode_str(&n, "serverName", "");
	out->fingerprint = conf_parse_fingerprint(&n, "chrome");
	if (strcmp(out->fingerprint, "unsafe") == 0 ||
	    strcmp(out->fingerprint, "hellogolang") == 0) {
		jnode_get(&n, "fingerprint", &it);
		jnode_error(&it, "invalid \"fingerprint\": %s, expected that of a browser",
			    out->fingerprint);
	}
	out->master_key_log = jnode_str(&n, "masterKeyLog", "");
	public_key_parse(&n, out);
	jnode_get(&n, "shortId", &it);
	short_id_parse(&it, "shortId", out->short_id);
	mldsa_key_parse(&n, out);
	spider_parse(&n, out);
	client_version_parse(&n, out);
	return out;
}
