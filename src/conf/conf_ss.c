/* Shadowsocks settings of both sides: methods and keys. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "conf/sections.h"
#include "conf/value_parse.h"
#include "crypto/base64.h"
#include "crypto/secret.h"
#include "crypto/sha.h"

/* Classic names in any case; those of 2022 exactly as they are. */
static int method_find(const char *text)
{
	static const struct word classic[] = {
		{"aes-128-gcm", CONF_SS_AES_128_GCM},
		{"aead_aes_128_gcm", CONF_SS_AES_128_GCM},
		{"aes-256-gcm", CONF_SS_AES_256_GCM},
		{"aead_aes_256_gcm", CONF_SS_AES_256_GCM},
		{"chacha20-poly1305", CONF_SS_CHACHA20_POLY1305},
		{"chacha20-ietf-poly1305", CONF_SS_CHACHA20_POLY1305},
		{"aead_chacha20_poly1305", CONF_SS_CHACHA20_POLY1305},
		{"xchacha20-poly1305", CONF_SS_XCHACHA20_POLY1305},
		{"xchacha20-ietf-poly1305", CONF_SS_XCHACHA20_POLY1305},
		{"aead_xchacha20_poly1305", CONF_SS_XCHACHA20_POLY1305},
		{NULL, 0},
	};
	static const struct word modern[] = {
		{"2022-blake3-aes-128-gcm", CONF_SS_2022_AES_128_GCM},
		{"2022-blake3-aes-256-gcm", CONF_SS_2022_AES_256_GCM},
		{"2022-blake3-chacha20-poly1305", CONF_SS_2022_CHACHA20_POLY1305},
		{NULL, 0},
	};

	for (const struct word *w = modern; w->name; w++)
		if (strcmp(w->name, text) == 0)
			return w->value;
	return word_find(classic, text);
}

static size_t key_len(enum conf_ss_method m)
{
	return m == CONF_SS_AES_128_GCM || m == CONF_SS_2022_AES_128_GCM ? 16 : 32;
}

static enum conf_ss_method method_parse(const struct jnode *obj, const char *unknown)
{
	struct jnode n;
	const char *text;
	int value;

	jnode_get(obj, "method", &n);
	text = jnode_text(&n, "");
	value = method_find(text);
	if (value >= 0)
		return (enum conf_ss_method)value;
	if (strcasecmp(text, "none") == 0 || strcasecmp(text, "plain") == 0)
		jnode_error(&n, "%s: %s (sends everything in the clear and was removed)", unknown,
			    text);
	else
		jnode_error(&n,
			    "%s: \"%.40s\", expected 2022-blake3-aes-128-gcm, "
			    "2022-blake3-aes-256-gcm, 2022-blake3-chacha20-poly1305, aes-128-gcm, "
			    "aes-256-gcm, chacha20-ietf-poly1305 or xchacha20-ietf-poly1305",
			    unknown, text);
	return CONF_SS_AES_256_GCM;
}

/* ---- keys ---- */

/* Too long a key is hashed down as Xray does; most other programs refuse it. */
static void fit_key(const struct jnode *n, const uint8_t *raw, size_t len, size_t want,
		    struct conf_ss_key *out)
{
	uint8_t digest[SHA256_LEN];

	out->n = (uint8_t)want;
	if (len == want) {
		memcpy(out->b, raw, want);
		return;
	}
	jnode_warn(n,
		   "the key has %zu bytes, expected %zu; it is hashed down as in Xray, other "
		   "programs refuse it",
		   len, want);
	if (sha256(digest, span_of(raw, len)) != 0)
		jnode_error(n, "out of memory");
	memcpy(out->b, digest, want);
	secret_wipe(digest, sizeof(digest));
}

static void key_parse(const struct jnode *n, struct span text, size_t want, struct conf_ss_key *out)
{
	enum { RAW_MAX = 256 };
	uint8_t raw[RAW_MAX];
	size_t bad_at = 0;
	ssize_t len = base64_decode(
		raw, sizeof(raw), text,
		BASE64_STD | BASE64_ANY_PAD | BASE64_SKIP_CRLF | BASE64_ANY_BITS, &bad_at);

	if (len == -ERR_LIMIT)
		jnode_error(n, "bad key: more than %d bytes, expected %zu", RAW_MAX, want);
	else if (len < 0)
		jnode_error(n,
			    "decode psk: illegal base64 data at input byte %zu; make a key with: "
			    "openssl rand -base64 %zu",
			    bad_at, want);
	else if ((size_t)len < want)
		jnode_error(n,
			    "bad key: found %zd bytes, expected %zu; make one with: openssl rand "
			    "-base64 %zu",
			    len, want, want);
	else
		fit_key(n, raw, (size_t)len, want, out);
	secret_wipe(raw, sizeof(raw));
}

static const char *password_text(const struct jnode *obj, struct jnode *n)
{
	const char *text = jnode_secret(obj, "password");

	if (jnode_get(obj, "password", n) && !cJSON_IsString(n->v))
		return ""; /* jnode_secret has said so */
	if (*text == 0)
		jnode_error(n, "Shadowsocks password is not specified.");
	return text;
}

/* ---- inbound ---- */

static const char relay[] = "a relay (users with \"address\") is not supported";

static const struct key in_user_keys[] = {
	KNOWN("password"),
	KNOWN("email"),
	KNOWN("level"),
	KNOWN("method"),
	{"address", KEY_REFUSED, relay},
	{"port", KEY_REFUSED, relay},
	KEYS_END,
};

static void user_2022(const struct jnode *n, enum conf_ss_method method, struct conf_ss_user *out)
{
	struct jnode own, password;
	const char *text;

	if (jnode_get(n, "method", &own) && *jnode_text(&own, ""))
		jnode_error(&own, "shadowsocks 2022 (multi-user): users must have empty method");
	out->method = method;
	text = password_text(n, &password);
	if (*text)
		key_parse(&password, span_str(text), key_len(method), &out->key);
}

static void user_classic(const struct jnode *n, struct conf_ss_user *out)
{
	struct jnode password;

	out->method = method_parse(n, "unsupported cipher method");
	if (conf_ss_is_2022(out->method))
		jnode_error(n, "unsupported cipher method: a 2022 method belongs beside "
			       "\"password\" of the inbound, not to a user");
	out->password = password_text(n, &password);
}

static void users_parse(const struct jnode *list, bool modern, struct conf_in_ss *out)
{
	size_t n = jnode_count(list), i = 0;
	struct conf_ss_user *v = conf_arena_array(list->ld->arena, n, sizeof(*v));
	struct jnode it;

	if (!v)
		return;
	jnode_each(it, list)
	{
		struct conf_ss_user *u = &v[i++];

		u->email = u->password = "";
		u->at = jnode_at(&it);
		if (!jnode_object(&it, in_user_keys)) {
			jnode_error(&it, "expected a user { }");
			continue;
		}
		u->email = jnode_str(&it, "email", "");
		u->level = conf_parse_level(&it, "level");
		if (modern)
			user_2022(&it, out->method, u);
		else
			user_classic(&it, u);
	}
	out->users = v;
	out->n_users = n;
	out->multi = true;
}

/* The settings themselves describe the one user. */
static void single_parse(const struct jnode *settings, struct conf_in_ss *out)
{
	struct conf_ss_user *u = conf_arena_array(settings->ld->arena, 1, sizeof(*u));
	struct jnode password;

	if (!u)
		return;
	u->at = jnode_at(settings);
	u->email = jnode_str(settings, "email", "");
	u->level = conf_parse_level(settings, "level");
	u->method = out->method;
	u->password = password_text(settings, &password);
	if (conf_ss_is_2022(out->method) && *u->password) {
		key_parse(&password, span_str(u->password), key_len(out->method), &u->key);
		u->password = "";
	}
	out->users = u;
	out->n_users = 1;
}

static void multi_2022(const struct jnode *settings, const struct jnode *list,
		       struct conf_in_ss *out)
{
	struct jnode password;
	const char *text = password_text(settings, &password);

	if (out->method == CONF_SS_2022_CHACHA20_POLY1305)
		jnode_error(settings, "shadowsocks 2022 (multi-user): only blake3-aes-*-gcm "
				      "methods are supported");
	else if (*text)
		key_parse(&password, span_str(text), key_len(out->method), &out->identity);
	users_parse(list, true, out);
}

void conf_parse_ss_in(const struct jnode *settings, struct conf_in_ss *out)
{
	static const struct key keys[] = {
		KNOWN("method"),
		KNOWN("password"),
		KNOWN("network"),
		KNOWN("email"),
		KNOWN("level"),
		KNOWN("users"),
		KNOWN("clients"),
		{"ivCheck", KEY_NO_EFFECT, "has no effect: replays are always refused"},
		{"ota", KEY_NO_EFFECT, "has no effect: one-time authentication is gone"},
		{"udp", KEY_NO_EFFECT, "has no effect, write \"network\": \"tcp,udp\""},
		KEYS_END,
	};
	struct jnode list, method;
	bool many;

	jnode_object(settings, keys);
	out->networks = jnode_networks(settings, "network", CONF_TCP);
	many = jnode_get2(settings, "clients", "users", &list) && jnode_count(&list) > 0;
	if (many && !jnode_get(settings, "method", &method)) {
		users_parse(&list, false, out);
		return;
	}
	out->method = method_parse(settings, "unknown cipher method");
	if (!many)
		single_parse(settings, out);
	else if (conf_ss_is_2022(out->method))
		multi_2022(settings, &list, out);
	else
		users_parse(&list, false, out);
}

/* ---- outbound ---- */

/* "key" or "identity:...:key" */
static void keys_parse(const struct jnode *n, const char *text, struct conf_out_ss *out)
{
	size_t count = 1, i = 0;
	struct conf_ss_key *v;
	const char *colon;

	for (const char *p = text; *p; p++)
		count += *p == ':';
	if (count > 1 && out->method == CONF_SS_2022_CHACHA20_POLY1305) {
		jnode_error(n,
			    "2022-blake3-chacha20-poly1305 takes exactly one key, found %zu "
			    "divided by ':'",
			    count);
		return;
	}
	v = conf_arena_array(n->ld->arena, count, sizeof(*v));
	if (!v)
		return;
	for (;; text = colon + 1) {
		colon = strchr(text, ':');
		key_parse(n, span_of(text, colon ? (size_t)(colon - text) : strlen(text)),
			  key_len(out->method), &v[i++]);
		if (!colon)
			break;
	}
	out->keys = v;
	out->n_keys = i;
}

static const struct key out_keys[] = {
	KNOWN("address"),
	KNOWN("port"),
	KNOWN("method"),
	KNOWN("password"),
	KNOWN("email"),
	KNOWN("level"),
	KNOWN("servers"),
	{"uot", KEY_NO_EFFECT, "has no effect: UDP travels as UDP"},
	QUIET("uotVersion"),
	{"ivCheck", KEY_NO_EFFECT, "has no effect"},
	{"ota", KEY_NO_EFFECT, "has no effect: one-time authentication is gone"},
	KEYS_END,
};

void conf_parse_ss_out(const struct jnode *settings, struct conf_out_ss *out)
{
	struct jnode holder, server, password;
	const char *text;

	out->password = out->email = "";
	jnode_object(settings, out_keys);
	if (!conf_parse_server_object(settings, "servers", "Shadowsocks", out_keys, &holder,
				      &server))
		return;
	conf_parse_server(&server, "Shadowsocks server address is not set.", &out->server);
	out->email = jnode_str(&server, "email", "");
	out->level = conf_parse_level(&server, "level");
	out->method = method_parse(&server, "unknown cipher method");
	text = password_text(&server, &password);
	if (!conf_ss_is_2022(out->method))
		out->password = text;
	else if (*text)
		keys_parse(&password, text, out);
}
