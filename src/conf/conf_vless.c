/* VLESS settings of both sides. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "conf/map.h"
#include "conf/sections.h"
#include "conf/value_parse.h"
#include "crypto/uuid5.h"

static const char vision[] = "xtls-rprx-vision";

/* An id is what a password is elsewhere: a message shows only its beginning. */
static void id_parse(const struct jnode *obj, struct uuid *out)
{
	enum { SHOWN = 4 };
	struct jnode n;
	const char *text;
	int rc;

	if (!jnode_get(obj, "id", &n)) {
		jnode_error(&n,
			    "invalid UUID: found nothing, expected a UUID or 1-30 bytes of text");
		return;
	}
	if (!cJSON_IsString(n.v)) {
		jnode_error(&n, "invalid UUID: expected a UUID or 1-30 bytes of text in quotes");
		return;
	}
	text = n.v->valuestring;
	rc = uuid5_parse(out, span_str(text));
	if (rc == -ERR_NOMEM)
		jnode_error(&n, "out of memory");
	else if (rc != 0)
		jnode_error(&n,
			    "invalid UUID: found \"%.*s...\" (%zu bytes), expected a UUID or 1-30 "
			    "bytes of text",
			    SHOWN, text, strlen(text));
}

static enum conf_flow flow_parse(const struct jnode *obj, const char *what, bool server,
				 enum conf_flow def)
{
	struct jnode n;
	const char *text;

	if (!jnode_get(obj, "flow", &n))
		return def;
	text = jnode_text(&n, "");
	if (*text == 0)
		return server ? def : CONF_FLOW_NONE;
	if (strcmp(text, vision) == 0)
		return CONF_FLOW_VISION;
	if (!server && strcmp(text, "xtls-rprx-vision-udp443") == 0)
		return CONF_FLOW_VISION_UDP443;
	jnode_error(&n, "%s doesn't support \"%.40s\" in this version, expected \"\" or \"%s\"",
		    what, text, vision);
	return def;
}

static void testseed_parse(const struct jnode *obj, uint32_t out[4])
{
	static const uint32_t defaults[4] = {900, 500, 900, 256};
	struct jnode n, it;
	size_t i = 0;

	memcpy(out, defaults, sizeof(defaults));
	if (!jnode_get(obj, "testseed", &n))
		return;
	if (jnode_count(&n) == 0)
		return;
	if (jnode_count(&n) != 4) {
		jnode_error(&n, "found %zu numbers, expected exactly 4", jnode_count(&n));
		return;
	}
	jnode_each(it, &n)
	{
		out[i] = (uint32_t)jnode_integer(&it, 0, 65535, defaults[i]);
		i++;
	}
}

/* ---- inbound ---- */

static void user_reverse(const struct jnode *user, struct conf_vless_user *out)
{
	static const struct key keys[] = {
		KNOWN("tag"),
		KNOWN("forward"),
		{"sniffing", KEY_REFUSED,
		 "VLESS users: inbound's \"reverse\" can't have \"sniffing\""},
		KEYS_END,
	};
	struct jnode n;

	if (!jnode_get(user, "reverse", &n) || !jnode_object(&n, keys))
		return;
	out->reverse_tag = jnode_str(&n, "tag", "");
	out->reverse_forward = jnode_bool(&n, "forward", false);
	if (*out->reverse_tag == 0)
		jnode_error(&n, "VLESS users: \"tag\" can't be empty for \"reverse\"");
}

/* His own address, one of each family at most. */
static void own_source(const struct jnode *n, const char *text, struct conf_vless_user *out)
{
	struct ip ip, *to;

	if (ip_parse(&ip, span_str(text)) != 0) {
		jnode_error(n, "found \"%.60s\", expected an IP address or a prefix", text);
		return;
	}
	to = ip.family == 6 ? &out->source6 : &out->source4;
	if (to->family)
		jnode_error(n, "found \"%.60s\", a second IPv%u address, expected one of each "
			       "family at most", text, ip.family);
	else
		*to = ip;
}

static void user_source(const struct jnode *user, struct conf_vless_user *out)
{
	struct conf_strs l = jnode_strs(user, "source");
	struct prefix *v = conf_arena_array(user->ld->arena, l.n, sizeof(*v));
	struct jnode n;

	jnode_get(user, "source", &n);
	for (size_t i = 0; v && i < l.n; i++) {
		if (!strchr(l.v[i], '/'))
			own_source(&n, l.v[i], out);
		if (prefix_parse(&v[out->n_sources], span_str(l.v[i])) == 0)
			out->n_sources++;
		else if (strchr(l.v[i], '/'))
			jnode_error(&n, "found \"%.60s\", expected an IP address or a prefix",
				    l.v[i]);
	}
	out->sources = v;
}

static void in_user_parse(const struct jnode *n, enum conf_flow flow, struct conf_vless_user *out)
{
	static const struct key keys[] = {
		KNOWN("id"),
		KNOWN("email"),
		KNOWN("level"),
		KNOWN("flow"),
		KNOWN("reverse"),
		KNOWN("source"),
		{"encryption", KEY_REFUSED,
		 "VLESS users: \"encryption\" should not be in inbound settings"},
		QUIET("seed"),
		QUIET("testseed"),
		QUIET("testpre"),
		KEYS_END,
	};

	out->email = out->reverse_tag = "";
	out->at = jnode_at(n);
	if (!jnode_object(n, keys)) {
		if (!n->v || cJSON_IsNull(n->v))
			jnode_error(n, "VLESS users: invalid user");
		return;
	}
	id_parse(n, &out->id);
	out->email = jnode_str(n, "email", "");
	out->level = conf_parse_level(n, "level");
	out->flow = flow_parse(n, "VLESS users: \"flow\"", true, flow);
	user_reverse(n, out);
	user_source(n, out);
}

static void users_parse(const struct jnode *settings, struct conf_in_vless *out)
{
	enum conf_flow flow = flow_parse(settings, "VLESS \"settings.flow\"", true, CONF_FLOW_NONE);
	struct conf_vless_user *v;
	struct jnode list, it;
	size_t n, i = 0;

	jnode_get2(settings, "clients", "users", &list);
	n = jnode_count(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list) in_user_parse(&it, flow, &v[i++]);
	out->users = v;
	out->n_users = n;
}

static void decryption_check(const struct jnode *settings)
{
	struct jnode n;
	const char *text;

	jnode_get(settings, "decryption", &n);
	text = jnode_text(&n, "");
	if (*text == 0)
		jnode_error(
			&n,
			"VLESS settings: please add/set \"decryption\":\"none\" to every settings");
	else if (strncmp(text, "mlkem768x25519plus.", 19) == 0)
		jnode_error(&n, "VLESS Encryption (mlkem768x25519plus) is not supported, expected "
				"\"none\"");
	else if (strcmp(text, "none") != 0)
		jnode_error(&n, "VLESS settings: unsupported \"decryption\": %.40s", text);
}

/* 80, "80", "host:80", "/run/web.sock", "@abstract" */
static void dest_parse(const struct jnode *fallback, struct conf_fallback *out)
{
	static const char fill[] =
		"VLESS fallbacks: please fill in a valid value for every \"dest\"";
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	struct ip local = ip_v4(loopback);
	struct conf_ports ports;
	const char *text;
	struct jnode n;

	if (!jnode_get(fallback, "dest", &n)) {
		jnode_error(&n, "%s", fill);
		return;
	}
	text = cJSON_IsString(n.v) ? jnode_text(&n, "") : "";
	if (cJSON_IsNumber(n.v) || (*text && strspn(text, "0123456789") == strlen(text))) {
		ports = jnode_port_list(&n);
		if (ports.n == 1)
			out->dest = addr_from_ip(&local, ports.v[0].from);
		else
			jnode_error(&n, "%s", fill);
		return;
	}
	if (strcmp(text, "serve-ws-none") == 0)
		jnode_error(&n, "\"serve-ws-none\" is not supported");
	else if (*text == '/' || (*text == '@' && text[1]))
		out->dest_unix = text;
	else if (addr_parse(&out->dest, span_str(text)) != 0 || out->dest.port == 0)
		jnode_error(&n, "%s: found \"%.60s\", expected a port, host:port, /path or @name",
			    fill, text);
}

static void fallback_parse(const struct jnode *n, struct conf_fallback *out)
{
	static const struct key keys[] = {
		KNOWN("name"), KNOWN("alpn"), KNOWN("path"), KNOWN("dest"),
		KNOWN("xver"), QUIET("type"), KEYS_END,
	};
	struct jnode xver;

	out->name = out->alpn = out->path = out->dest_unix = "";
	out->at = jnode_at(n);
	if (!jnode_object(n, keys))
		return;
	out->name = conf_arena_lower(n->ld->arena, jnode_str(n, "name", ""));
	out->alpn = conf_arena_lower(n->ld->arena, jnode_str(n, "alpn", ""));
	out->path = jnode_str(n, "path", "");
	if (*out->path && *out->path != '/')
		jnode_error(n, "VLESS fallbacks: \"path\" must be empty or start with \"/\"");
	dest_parse(n, out);
	if (!jnode_get(n, "xver", &xver))
		return;
	if (cJSON_IsNumber(xver.v) && xver.v->valuedouble >= 0 && xver.v->valuedouble <= 2 &&
	    xver.v->valuedouble == (double)(int)xver.v->valuedouble)
		out->xver = (uint8_t)xver.v->valuedouble;
	else
		jnode_error(&xver, "VLESS fallbacks: invalid PROXY protocol version, \"xver\" only "
				   "accepts 0, 1, 2");
}

static void fallbacks_parse(const struct jnode *settings, struct conf_in_vless *out)
{
	struct conf_fallback *v;
	struct jnode list, it;
	size_t n, i = 0;

	jnode_get(settings, "fallbacks", &list);
	n = jnode_count(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list) fallback_parse(&it, &v[i++]);
	out->fallbacks = v;
	out->n_fallbacks = n;
}

void conf_parse_vless_in(const struct jnode *settings, struct conf_in_vless *out)
{
	static const struct key keys[] = {
		KNOWN("users"), KNOWN("clients"),  KNOWN("decryption"),	  KNOWN("fallbacks"),
		KNOWN("flow"),	KNOWN("testseed"), QUIET("selectedAuth"), KEYS_END};

	jnode_object(settings, keys);
	decryption_check(settings);
	users_parse(settings, out);
	fallbacks_parse(settings, out);
	testseed_parse(settings, out->testseed);
}

/* ---- outbound ---- */

static void encryption_check(const struct jnode *obj)
{
	struct jnode n;
	const char *text;

	jnode_get(obj, "encryption", &n);
	text = jnode_text(&n, "");
	if (*text == 0)
		jnode_error(&n,
			    "VLESS users: please add/set \"encryption\":\"none\" for every user");
	else if (strncmp(text, "mlkem768x25519plus.", 19) == 0)
		jnode_error(&n, "VLESS Encryption (mlkem768x25519plus) is not supported, expected "
				"\"none\"");
	else if (strcmp(text, "none") != 0)
		jnode_error(&n, "VLESS users: unsupported \"encryption\": %.40s", text);
}

static void out_user_parse(const struct jnode *n, struct conf_out_vless *out)
{
	out->user.at = jnode_at(n);
	id_parse(n, &out->user.id);
	encryption_check(n);
	out->user.email = jnode_str(n, "email", "");
	out->user.level = conf_parse_level(n, "level");
	out->user.flow = flow_parse(n, "VLESS users: \"flow\"", false, CONF_FLOW_NONE);
}

static void out_reverse_parse(const struct jnode *settings, struct conf_out_vless *out)
{
	static const struct key keys[] = {KNOWN("tag"), KNOWN("sniffing"), KEYS_END};
	struct jnode n;

	jnode_get(settings, "reverse", &n);
	jnode_sniff(&n, "sniffing", &out->reverse_sniff);
	if (!jnode_object(&n, keys))
		return;
	out->user.reverse_tag = jnode_str(&n, "tag", "");
	if (*out->user.reverse_tag == 0)
		jnode_error(&n, "VLESS reverse: \"tag\" can't be empty");
}

static void vnext_parse(const struct jnode *settings, struct conf_out_vless *out)
{
	static const struct key keys[] = {KNOWN("address"), KNOWN("port"), KNOWN("users"),
					  KEYS_END};
	static const struct key user_keys[] = {
		KNOWN("id"),
		KNOWN("encryption"),
		KNOWN("flow"),
		KNOWN("email"),
		KNOWN("level"),
		{"reverse", KEY_REFUSED,
		 "VLESS users: please use simplified outbound's config style to use \"reverse\""},
		QUIET("security"),
		QUIET("alterId"),
		QUIET("seed"),
		KEYS_END,
	};
	struct jnode list, server, users, user;

	jnode_get(settings, "vnext", &list);
	if (jnode_count(&list) != 1) {
		jnode_error(&list, "VLESS settings: \"vnext\" should have one and only one member. "
				   "Multiple endpoints in \"vnext\" should use multiple VLESS "
				   "outbounds and routing balancer instead");
		return;
	}
	jnode_first(&list, &server);
	if (!jnode_object(&server, keys))
		return;
	conf_parse_server(&server, "VLESS vnext: \"address\" is not set", &out->server);
	jnode_get(&server, "users", &users);
	if (jnode_count(&users) != 1) {
		jnode_error(&users, "VLESS vnext: \"users\" should have one and only one member. "
				    "Multiple members in \"users\" should use multiple VLESS "
				    "outbounds and routing balancer instead");
		return;
	}
	jnode_first(&users, &user);
	if (jnode_object(&user, user_keys))
		out_user_parse(&user, out);
	else
		jnode_error(&user, "VLESS users: invalid user");
}

void conf_parse_vless_out(const struct jnode *settings, struct conf_out_vless *out)
{
	static const struct key keys[] = {
		KNOWN("address"), KNOWN("port"),     KNOWN("id"),    KNOWN("encryption"),
		KNOWN("flow"),	  KNOWN("email"),    KNOWN("level"), KNOWN("reverse"),
		KNOWN("testpre"), KNOWN("testseed"), KNOWN("vnext"), QUIET("seed"),
		KNOWN("garenne"), KNOWN("tellSource"), KEYS_END,
	};
	struct jnode address, vnext;

	out->user.email = out->user.reverse_tag = "";
	out->user.at = jnode_at(settings);
	jnode_object(settings, keys);
	testseed_parse(settings, out->testseed);
	out->testpre = (uint32_t)jnode_int(settings, "testpre", 0, 1000, 0);
	out->garenne = jnode_bool(settings, "garenne", false);
	conf_parse_maps(settings, "tellSource", &out->tell, &out->n_tell);
	if (!jnode_get(settings, "address", &address)) {
		vnext_parse(settings, out);
		return;
	}
	if (jnode_get(settings, "vnext", &vnext))
		jnode_warn(&vnext, "has no effect beside \"address\"");
	conf_parse_server(settings, "VLESS settings: \"address\" is not set", &out->server);
	out_user_parse(settings, out);
	out_reverse_parse(settings, out);
}
