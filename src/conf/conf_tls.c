/* tlsSettings. Keys and certificates are only looked for here; net reads them. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf/sections.h"
#include "conf/value_parse.h"

/* Relative to $XRAY_LOCATION_CERT, else to the folder of the file that names it. */
static const char *locate(const struct jnode *n, const char *name)
{
	const char *dir = conf_env_get(n->ld, "XRAY_LOCATION_CERT");
	const char *slash = strrchr(n->doc->file, '/');
	char path[4096];
	int len;

	if (*name == '/' || *name == 0)
		return name;
	if (dir && *dir)
		len = snprintf(path, sizeof(path), "%s/%s", dir, name);
	else if (slash)
		len = snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - n->doc->file),
			       n->doc->file, name);
	else
		return name;
	if (len < 0 || (size_t)len >= sizeof(path)) {
		jnode_error(n, "the path is too long");
		return name;
	}
	return conf_arena_text(n->ld->arena, span_str(path));
}

static const char *readable_file(const struct jnode *obj, const char *key)
{
	struct jnode n;
	const char *path;

	if (!jnode_get(obj, key, &n))
		return "";
	path = jnode_text(&n, "");
	if (*path == 0)
		return "";
	path = locate(&n, path);
	if (access(path, R_OK) != 0)
		jnode_error(&n, "failed to parse certificate > cannot read %.400s: %s", path,
			    strerror(errno));
	return path;
}

/* A list of lines, as in the files of Xray, joined again; or one text. */
static const char *pem_text(const struct jnode *obj, const char *key)
{
	struct jnode n, it;
	size_t len = 0, at = 0;
	char *text;

	if (!jnode_get(obj, key, &n))
		return "";
	if (cJSON_IsString(n.v))
		return jnode_text(&n, "");
	if (jnode_count(&n) == 0)
		return "";
	jnode_each(it, &n)
	{
		if (!cJSON_IsString(it.v)) {
			jnode_error(&it, "expected a line of PEM text in quotes");
			return "";
		}
		len += strlen(it.v->valuestring) + 1;
	}
	text = conf_arena_array(n.ld->arena, len + 1, 1);
	if (!text)
		return "";
	jnode_each(it, &n)
	{
		size_t line = strlen(it.v->valuestring);

		memcpy(text + at, it.v->valuestring, line);
		text[at + line] = '\n';
		at += line + 1;
	}
	return text;
}

static void cert_parse(const struct jnode *n, struct conf_cert *out)
{
	static const struct key keys[] = {
		KNOWN("certificateFile"),
		KNOWN("certificate"),
		KNOWN("keyFile"),
		KNOWN("key"),
		KNOWN("usage"),
		KNOWN("ocspStapling"),
		KNOWN("oneTimeLoading"),
		KNOWN("buildChain"),
		KEYS_END,
	};
	static const struct word usages[] = {{"encipherment", CONF_CERT_SERVE},
					     {"", CONF_CERT_SERVE},
					     {"verify", CONF_CERT_VERIFY},
					     {"issue", CONF_CERT_ISSUE},
					     {NULL, 0}};

	out->cert_file = out->key_file = out->cert_pem = out->key_pem = "";
	out->at = jnode_at(n);
	if (!jnode_object(n, keys))
		return;
	out->usage = (enum conf_cert_usage)jnode_word(n, "usage", usages, CONF_CERT_SERVE);
	out->build_chain = jnode_bool(n, "buildChain", false);
	out->cert_file = readable_file(n, "certificateFile");
	out->key_file = readable_file(n, "keyFile");
	if (*out->cert_file == 0)
		out->cert_pem = pem_text(n, "certificate");
	if (*out->key_file == 0)
		out->key_pem = pem_text(n, "key");
	out->ocsp_s = (uint32_t)jnode_int(n, "ocspStapling", 0, UINT32_MAX, 0);
	out->one_time = jnode_bool(n, "oneTimeLoading", false) ||
			(*out->cert_file == 0 && *out->key_file == 0);
	if (*out->cert_file == 0 && *out->cert_pem == 0)
		jnode_error(n, "failed to parse certificate > neither certificateFile nor "
			       "certificate is given");
	else if (out->usage != CONF_CERT_VERIFY && *out->key_file == 0 && *out->key_pem == 0)
		jnode_error(n, "failed to parse certificate > neither keyFile nor key is given");
}

static void certs_parse(const struct jnode *obj, struct conf_tls *out)
{
	struct conf_cert *v;
	struct jnode list, it;
	size_t n, i = 0;

	jnode_get(obj, "certificates", &list);
	n = jnode_count(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list) cert_parse(&it, &v[i++]);
	out->certs = v;
	out->n_certs = n;
}

/* Hexadecimal with or without colons, blanks round it. */
static bool pin_decode(const char *text, struct conf_pin *out)
{
	size_t digits = 0;

	for (; *text; text++) {
		int c = tolower((unsigned char)*text), v;

		if (c == ':' || isspace(c))
			continue;
		if (!isxdigit(c) || digits == 2 * CONF_PIN_LEN)
			return false;
		v = isdigit(c) ? c - '0' : c - 'a' + 10;
		out->sha256[digits / 2] =
			(uint8_t)(digits % 2 ? out->sha256[digits / 2] | v : v << 4);
		digits++;
	}
	return digits == 2 * CONF_PIN_LEN;
}

/* Texts divided by commas; unlike other lists, blanks are no part of them in Xray either. */
static struct conf_strs comma_list(const struct jnode *obj, const char *key, char sep)
{
	struct jnode n;
	const char *text, *end;
	const char **v;
	size_t count = 1, i = 0;

	if (!jnode_get(obj, key, &n))
		return (struct conf_strs){NULL, 0};
	if (cJSON_IsArray(n.v))
		return jnode_string_list(&n);
	text = jnode_text(&n, "");
	for (const char *p = text; *p; p++)
		count += *p == sep;
	v = conf_arena_array(n.ld->arena, count, sizeof(*v));
	if (!v)
		return (struct conf_strs){NULL, 0};
	for (;; text = end + 1) {
		size_t len;

		end = strchr(text, sep);
		len = end ? (size_t)(end - text) : strlen(text);
		while (len > 0 && isspace((unsigned char)*text)) {
			text++;
			len--;
		}
		while (len > 0 && isspace((unsigned char)text[len - 1]))
			len--;
		if (len > 0)
			v[i++] = conf_arena_text(n.ld->arena, span_of(text, len));
		if (!end)
			break;
	}
	return (struct conf_strs){v, i};
}

static void pins_parse(const struct jnode *obj, struct conf_tls *out)
{
	struct conf_strs list = comma_list(obj, "pinnedPeerCertSha256", ',');
	struct conf_pin *v = conf_arena_array(obj->ld->arena, list.n, sizeof(*v));
	struct jnode n;

	if (!v)
		return;
	jnode_get(obj, "pinnedPeerCertSha256", &n);
	for (size_t i = 0; i < list.n; i++)
		if (!pin_decode(list.v[i], &v[i]))
			jnode_error(&n,
				    "incorrect pinnedPeerCertSha256 length: %.80s, expected 64 "
				    "hexadecimal digits",
				    list.v[i]);
	out->pins = v;
	out->n_pins = list.n;
}

static void versions_parse(const struct jnode *n, struct conf_tls *out)
{
	static const struct word words[] = {{"1.0", CONF_TLS_1_0},  {"1.1", CONF_TLS_1_1},
					    {"1.2", CONF_TLS_1_2},  {"1.3", CONF_TLS_1_3},
					    {"", CONF_TLS_DEFAULT}, {NULL, 0}};

	out->min_version =
		(enum conf_tls_version)jnode_word(n, "minVersion", words, CONF_TLS_DEFAULT);
	out->max_version =
		(enum conf_tls_version)jnode_word(n, "maxVersion", words, CONF_TLS_DEFAULT);
	if (out->min_version && out->max_version && out->min_version > out->max_version)
		jnode_error(n, "minVersion is above maxVersion");
}

static void curves_parse(const struct jnode *obj, struct conf_tls *out)
{
	static const char *const known[] = {
		"curvep256",	  "curvep384",	       "curvep521",	    "x25519",
		"x25519mlkem768", "secp256r1mlkem768", "secp384r1mlkem1024"};
	struct conf_strs list = jnode_strs(obj, "curvePreferences");
	const char **v = conf_arena_array(obj->ld->arena, list.n, sizeof(*v));
	struct jnode n;

	if (!v)
		return;
	jnode_get(obj, "curvePreferences", &n);
	for (size_t i = 0; i < list.n; i++) {
		bool found = false;

		v[i] = conf_arena_lower(obj->ld->arena, list.v[i]);
		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			found |= strcmp(known[k], v[i]) == 0;
		if (!found)
			jnode_warn(&n,
				   "unknown curve \"%.40s\", ignored; known are CurveP256, "
				   "CurveP384, CurveP521, X25519 and X25519MLKEM768",
				   list.v[i]);
	}
	out->curves = (struct conf_strs){v, list.n};
}

const char *conf_parse_fingerprint(const struct jnode *obj, const char *otherwise)
{
	static const char *const known[] = {
		"chrome", "firefox", "safari", "ios",	     "android",		 "edge",
		"360",	  "qq",	     "random", "randomized", "randomizednoalpn", "unsafe",
	};
	const char *text = conf_arena_lower(obj->ld->arena, jnode_str(obj, "fingerprint", ""));
	struct jnode n;
	bool found = strncmp(text, "hello", 5) == 0;

	if (*text == 0)
		return otherwise;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		found |= strcmp(known[i], text) == 0;
	if (found)
		return text;
	jnode_get(obj, "fingerprint", &n);
	jnode_error(&n,
		    "unknown \"fingerprint\": %.40s, expected chrome, firefox, safari, ios, "
		    "android, edge, 360, qq, random, randomized, randomizednoalpn or unsafe",
		    text);
	return otherwise;
}

static void alpn_parse(const struct jnode *obj, struct conf_tls *out)
{
	static const char *const both[] = {"h2", "http/1.1"};
	struct jnode n;

	out->alpn = jnode_strs(obj, "alpn");
	if (out->alpn.n == 0) {
		out->alpn = (struct conf_strs){both, 2};
		return;
	}
	jnode_get(obj, "alpn", &n);
	for (size_t i = 0; i < out->alpn.n; i++)
		if (out->alpn.v[i][0] == 0 || strlen(out->alpn.v[i]) > 255)
			jnode_error(&n, "expected protocol names of 1 to 255 bytes");
}

static const struct key tls_keys[] = {
	KNOWN("serverName"),
	KNOWN("alpn"),
	KNOWN("fingerprint"),
	KNOWN("certificates"),
	KNOWN("disableSystemRoot"),
	KNOWN("allowInsecure"),
	KNOWN("rejectUnknownSni"),
	KNOWN("enableSessionResumption"),
	KNOWN("pinnedPeerCertSha256"),
	KNOWN("verifyPeerCertByName"),
	KNOWN("cipherSuites"),
	KNOWN("curvePreferences"),
	KNOWN("minVersion"),
	KNOWN("maxVersion"),
	KNOWN("masterKeyLog"),
	{"echConfigList", KEY_REFUSED,
	 "ECH is not supported; without it the server name would travel in the clear"},
	{"echServerKeys", KEY_NO_EFFECT, "ECH is not supported; clients get in without it"},
	QUIET("echSockopt"),
	QUIET("echForceQuery"),
	{"verifyPeerCertInNames", KEY_REFUSED,
	 "is not supported under this name, use \"verifyPeerCertByName\""},
	{"pinnedPeerCertificateChainSha256", KEY_REFUSED,
	 "is no longer supported, use \"pinnedPeerCertSha256\""},
	{"pinnedPeerCertificatePublicKeySha256", KEY_REFUSED,
	 "is no longer supported, use \"pinnedPeerCertSha256\""},
	{"allowInsecureCiphers", KEY_NO_EFFECT, "has no effect"},
	{"preferServerCipherSuites", KEY_NO_EFFECT, "has no effect"},
	QUIET("show"),
	KEYS_END,
};

const struct conf_tls *conf_parse_tls(const struct jnode *obj, bool server)
{
	struct conf_tls *out = conf_arena_array(obj->ld->arena, 1, sizeof(*out));
	struct jnode n, insecure;

	if (!out)
		return NULL;
	jnode_get(obj, "tlsSettings", &n);
	out->at = jnode_at(&n);
	jnode_object(&n, tls_keys);
	out->server_name = jnode_str(&n, "serverName", "");
	out->master_key_log = jnode_str(&n, "masterKeyLog", "");
	if (strcasecmp(out->master_key_log, "none") == 0)
		out->master_key_log = "";
	alpn_parse(&n, out);
	out->fingerprint = conf_parse_fingerprint(&n, "");
	certs_parse(&n, out);
	out->disable_system_root = jnode_bool(&n, "disableSystemRoot", false);
	out->reject_unknown_sni = jnode_bool(&n, "rejectUnknownSni", false);
	out->session_resumption = jnode_bool(&n, "enableSessionResumption", false);
	pins_parse(&n, out);
	out->verify_names = comma_list(&n, "verifyPeerCertByName", ',');
	out->cipher_suites = comma_list(&n, "cipherSuites", ':');
	curves_parse(&n, out);
	versions_parse(&n, out);
	out->allow_insecure = jnode_bool(&n, "allowInsecure", false);
	if (out->allow_insecure && !server && jnode_get(&n, "allowInsecure", &insecure))
		jnode_warn(&insecure,
			   "THE SERVER'S CERTIFICATE IS NOT CHECKED: anybody on the way can read "
			   "and change everything. Use \"pinnedPeerCertSha256\" or "
			   "\"verifyPeerCertByName\"; Xray refuses this setting");
	return out;
}
