#include "conf/value_parse.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"

static struct span trim(struct span s)
{
	while (s.n > 0 && isspace(s.p[0]))
		s = span_of(s.p + 1, s.n - 1);
	while (s.n > 0 && isspace(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* The part before the next @sep; *@rest goes behind it, or gets a NULL pointer at the end. */
static struct span cut(struct span *rest, char sep)
{
	const uint8_t *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
	struct span head = *rest;

	if (!at) {
		*rest = (struct span){NULL, 0};
		return head;
	}
	head.n = (size_t)(at - rest->p);
	*rest = span_of(at + 1, rest->n - head.n - 1);
	return head;
}

const char *conf_env_get(const struct load *ld, const char *name)
{
	for (size_t i = 0; i < ld->conf->n_env; i++)
		if (strcmp(ld->conf->env[i].name, name) == 0)
			return ld->conf->env[i].value;
	return getenv(name);
}

/* The text itself, or the variable's value when it reads "env:NAME"; NULL with an error. */
static const char *resolve_env(const struct jnode *n, const char *text)
{
	const char *value;

	if (strncmp(text, "env:", 4) != 0)
		return text;
	value = conf_env_get(n->ld, text + 4);
	if (!value)
		jnode_error(n, "the environment has no variable \"%.60s\"", text + 4);
	return value;
}

/* ---- lists of texts ---- */

static struct conf_strs split_text(const struct jnode *n, const char *text)
{
	struct span rest = span_str(text);
	size_t count = 1, i = 0;
	const char **v;
	bool blanks = false;

	if (*text == 0)
		return (struct conf_strs){NULL, 0};
	for (const char *p = text; *p; p++)
		count += *p == ',';
	v = conf_arena_array(n->ld->arena, count, sizeof(*v));
	if (!v)
		return (struct conf_strs){NULL, 0};
	while (i < count) {
		struct span raw = cut(&rest, ','), item = trim(raw);

		blanks |= item.n != raw.n;
		v[i++] = conf_arena_text(n->ld->arena, item);
	}
	if (blanks)
		jnode_warn(n, "blanks round the commas are dropped here; Xray keeps them as part "
			      "of the names");
	return (struct conf_strs){v, count};
}

struct conf_strs jnode_string_list(const struct jnode *n)
{
	struct conf_strs none = {NULL, 0};
	struct jnode it;
	size_t count, i = 0;
	const char **v;

	if (!n->v || cJSON_IsNull(n->v))
		return none;
	if (cJSON_IsString(n->v))
		return split_text(n, n->v->valuestring);
	if (!cJSON_IsArray(n->v)) {
		char found[FOUND_MAX];

		jnode_error(n, "found %s, expected a list of texts [\"a\", \"b\"] or \"a,b\"",
			    jnode_found(n, found, sizeof(found)));
		return none;
	}
	count = jnode_count(n);
	v = conf_arena_array(n->ld->arena, count, sizeof(*v));
	if (!v)
		return none;
	jnode_each(it, n) v[i++] = jnode_text(&it, "");
	return (struct conf_strs){v, count};
}

struct conf_strs jnode_strs(const struct jnode *obj, const char *key)
{
	struct jnode n;

	jnode_get(obj, key, &n);
	return jnode_string_list(&n);
}

unsigned jnode_network_set(const struct jnode *n, unsigned def)
{
	struct conf_strs list = jnode_string_list(n);
	unsigned set = 0;

	if (!n->v)
		return def;
	for (size_t i = 0; i < list.n; i++) {
		if (strcasecmp(list.v[i], "tcp") == 0)
			set |= CONF_TCP;
		else if (strcasecmp(list.v[i], "udp") == 0)
			set |= CONF_UDP;
		else
			jnode_error(n, "found \"%.40s\", expected tcp, udp or \"tcp,udp\"",
				    list.v[i]);
	}
	return set ? set : def;
}

unsigned jnode_networks(const struct jnode *obj, const char *key, unsigned def)
{
	struct jnode n;

	jnode_get(obj, key, &n);
	return jnode_network_set(&n, def);
}

/* ---- ports ---- */

static int parse_u16(struct span s, uint16_t *out)
{
	unsigned v = 0;

	s = trim(s);
	if (s.n == 0 || s.n > 5)
		return -ERR_MALFORMED;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -ERR_MALFORMED;
		v = v * 10 + (unsigned)(s.p[i] - '0');
	}
	if (v > 65535)
		return -ERR_MALFORMED;
	*out = (uint16_t)v;
	return 0;
}

static bool parse_range_item(const struct jnode *n, struct span item, struct conf_port_range *out)
{
	struct span rest = item, first = cut(&rest, '-');
	int rc = parse_u16(first, &out->from);

	item = trim(item);
	if (rc == 0) {
		out->to = out->from;
		if (rest.p)
			rc = parse_u16(rest, &out->to);
	}
	if (rc != 0) {
		jnode_error(
			n,
			"invalid port: found \"%.*s\", expected 0..65535 or a range like 1000-2000",
			item.n < 40 ? (int)item.n : 40, (const char *)item.p);
		return false;
	}
	if (out->from > out->to) {
		jnode_error(n, "invalid port range: %u-%u ends before it begins", out->from,
			    out->to);
		return false;
	}
	return true;
}

static struct conf_ports parse_port_text(const struct jnode *n, const char *text)
{
	struct conf_ports ports = {.given = true};
	struct conf_port_range *v;
	struct span rest;
	size_t count = 1, used = 0;

	text = resolve_env(n, text);
	if (!text)
		return ports;
	for (const char *p = text; *p; p++)
		count += *p == ',';
	v = conf_arena_array(n->ld->arena, count, sizeof(*v));
	if (!v)
		return ports;
	rest = span_str(text);
	for (size_t i = 0; i < count; i++)
		used += parse_range_item(n, cut(&rest, ','), &v[used]);
	ports.v = v;
	ports.n = used;
	return ports;
}

struct conf_ports jnode_port_list(const struct jnode *n)
{
	struct conf_ports ports = {.given = n->v && !cJSON_IsNull(n->v)};
	struct conf_port_range *v;
	char found[FOUND_MAX];

	if (!ports.given)
		return ports;
	if (cJSON_IsString(n->v))
		return parse_port_text(n, n->v->valuestring);
	if (!cJSON_IsNumber(n->v)) {
		jnode_error(n, "found %s, expected a port, or a list like \"53,443,1000-2000\"",
			    jnode_found(n, found, sizeof(found)));
		return ports;
	}
	/* Xray takes the number 0 for "no ports" and cuts larger ones to 16 bits */
	if (n->v->valuedouble == 0)
		return ports;
	if (!(n->v->valuedouble >= 1 && n->v->valuedouble <= 65535) ||
	    n->v->valuedouble != (double)(uint16_t)n->v->valuedouble) {
		jnode_error(n, "invalid port: %s, expected 1..65535",
			    jnode_found(n, found, sizeof(found)));
		return ports;
	}
	v = conf_arena_array(n->ld->arena, 1, sizeof(*v));
	if (!v)
		return ports;
	v->from = v->to = (uint16_t)n->v->valuedouble;
	ports.v = v;
	ports.n = 1;
	return ports;
}

struct conf_ports jnode_ports(const struct jnode *obj, const char *key)
{
	struct jnode n;

	jnode_get(obj, key, &n);
	return jnode_port_list(&n);
}

uint16_t jnode_port(const struct jnode *obj, const char *key)
{
	return (uint16_t)jnode_int(obj, key, 0, 65535, 0);
}

/* ---- addresses ---- */

bool jnode_host_value(const struct jnode *n, struct addr *out)
{
	char found[FOUND_MAX];
	const char *text;

	if (!n->v || cJSON_IsNull(n->v))
		return false;
	if (!cJSON_IsString(n->v)) {
		jnode_error(n,
			    "invalid address: %s, expected an IP address or a host name in quotes",
			    jnode_found(n, found, sizeof(found)));
		return false;
	}
	text = resolve_env(n, n->v->valuestring);
	if (!text)
		return false;
	/* dots alone are a placeholder that somebody forgot to fill in */
	if (strspn(text, ".-_ ") < strlen(text) &&
	    addr_set_host(out, trim(span_str(text)), out->port) == 0)
		return true;
	jnode_error(n,
		    "invalid address: %s, expected an IP address or a host name of letters, "
		    "digits, '-', '.' and '_'",
		    jnode_found(n, found, sizeof(found)));
	return false;
}

bool jnode_host(const struct jnode *obj, const char *key, struct addr *out)
{
	struct jnode n;

	jnode_get(obj, key, &n);
	return jnode_host_value(&n, out);
}

bool jnode_ip(const struct jnode *obj, const char *key, struct ip *out)
{
	struct jnode n;
	char found[FOUND_MAX];

	if (!jnode_get(obj, key, &n))
		return false;
	if (cJSON_IsString(n.v) && ip_parse(out, trim(span_str(n.v->valuestring))) == 0)
		return true;
	jnode_error(&n, "not an IP address: %s", jnode_found(&n, found, sizeof(found)));
	return false;
}

bool jnode_redirect(const struct jnode *n, const char *what, struct addr *out)
{
	struct addr a = {.kind = ADDR_NONE};
	char found[FOUND_MAX];
	const char *text = jnode_text(n, "");
	const char *colon = strrchr(text, ':');
	bool ok = colon != NULL;

	if (!n->v || cJSON_IsNull(n->v) || *text == 0)
		return false;
	if (ok && colon[1] != 0)
		ok = parse_u16(span_str(colon + 1), &a.port) == 0;
	if (ok && colon != text) {
		struct span host = span_of(text, (size_t)(colon - text));

		ok = addr_set_host(&a, host, a.port) == 0 &&
		     (!memchr(host.p, ':', host.n) || host.p[0] == '[');
	}
	if (!ok) {
		jnode_error(n, "invalid %s: %s, expected host:port, :port or host:0", what,
			    jnode_found(n, found, sizeof(found)));
		return false;
	}
	if (a.kind == ADDR_IP && ip_is_any(&a.ip)) {
		uint16_t port = a.port;

		memset(&a, 0, sizeof(a));
		a.port = port;
	}
	*out = a;
	return true;
}

/* ---- numbers with a shape ---- */

/* A decimal number with an optional minus; *@s goes behind it. */
static bool take_i32(const char **s, int32_t *out)
{
	bool minus = **s == '-';
	int64_t v = 0;
	int digits = 0;

	*s += minus;
	for (; **s >= '0' && **s <= '9' && digits < 10; (*s)++, digits++)
		v = v * 10 + (**s - '0');
	if (digits == 0 || v > INT32_MAX)
		return false;
	*out = (int32_t)(minus ? -v : v);
	return true;
}

static bool parse_range_text(const char *s, struct conf_range *out)
{
	struct conf_range r;

	if (!take_i32(&s, &r.from))
		return false;
	r.to = r.from;
	if (*s == '-') {
		s++;
		if (!take_i32(&s, &r.to))
			return false;
	}
	if (*s != 0)
		return false;
	*out = r.from <= r.to ? r : (struct conf_range){r.to, r.from};
	return true;
}

struct conf_range jnode_range(const struct jnode *obj, const char *key, struct conf_range def)
{
	struct conf_range r;
	char found[FOUND_MAX];
	struct jnode n;

	if (!jnode_get(obj, key, &n))
		return def;
	if (cJSON_IsNumber(n.v)) {
		r.from = r.to = (int32_t)jnode_integer(&n, INT32_MIN, INT32_MAX, 0);
		return r;
	}
	if (cJSON_IsString(n.v) && parse_range_text(n.v->valuestring, &r))
		return r;
	jnode_error(&n,
		    "found %s. Invalid integer range, expected either string of form \"1-2\" or "
		    "plain integer.",
		    jnode_found(&n, found, sizeof(found)));
	return def;
}

/* One "12.5ms" at *@s, in milliseconds. */
static bool take_duration(const char **s, double *ms)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = {{"ns", 1e-6}, {"us", 1e-3}, {"\xc2\xb5s", 1e-3}, {"ms", 1},
		     {"s", 1e3},   {"m", 6e4},	 {"h", 3.6e6}};
	double v = 0, scale = 1;
	int digits = 0;

	for (; **s >= '0' && **s <= '9'; (*s)++, digits++)
		v = v * 10 + (**s - '0');
	if (**s == '.')
		for ((*s)++; **s >= '0' && **s <= '9'; (*s)++, digits++)
			v += (**s - '0') * (scale /= 10);
	if (digits == 0)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t n = strlen(units[i].unit);

		if (strncmp(*s, units[i].unit, n) == 0) {
			*s += n;
			*ms += v * units[i].ms;
			return true;
		}
	}
	return false;
}

uint32_t jnode_duration_value_ms(const struct jnode *n, uint32_t def)
{
	const char *s = n->v && cJSON_IsString(n->v) ? n->v->valuestring : "";
	char found[FOUND_MAX];
	double ms = 0;
	bool ok = *s != 0;

	if (!n->v || cJSON_IsNull(n->v))
		return def;
	if (strcmp(s, "0") == 0)
		return 0;
	while (ok && *s)
		ok = take_duration(&s, &ms);
	if (ok)
		return ms < (double)UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
	jnode_error(n, "found %s, expected a duration in quotes like \"10s\", \"1m30s\", \"500ms\"",
		    jnode_found(n, found, sizeof(found)));
	return def;
}

uint32_t jnode_duration_ms(const struct jnode *obj, const char *key, uint32_t def)
{
	struct jnode n;

	jnode_get(obj, key, &n);
	return jnode_duration_value_ms(&n, def);
}

/* ---- words ---- */

enum conf_strategy jnode_strategy(const struct jnode *obj, const char *key, const char *what)
{
	static const struct word words[] = {
		{"AsIs", CONF_AS_IS},
		{"", CONF_AS_IS},
		{"UseIP", CONF_USE_IP},
		{"UseIPv4", CONF_USE_IP4},
		{"UseIPv6", CONF_USE_IP6},
		{"UseIPv4v6", CONF_USE_IP46},
		{"UseIPv6v4", CONF_USE_IP64},
		{"ForceIP", CONF_FORCE_IP},
		{"ForceIPv4", CONF_FORCE_IP4},
		{"ForceIPv6", CONF_FORCE_IP6},
		{"ForceIPv4v6", CONF_FORCE_IP46},
		{"ForceIPv6v4", CONF_FORCE_IP64},
		{NULL, 0},
	};
	struct jnode n;
	const char *text;
	char list[200];
	int value;

	jnode_get(obj, key, &n);
	text = jnode_text(&n, "");
	value = word_find(words, text);
	if (value >= 0)
		return (enum conf_strategy)value;
	jnode_error(&n, "%s: %.40s, expected one of: %s", what, text,
		    word_list(words, list, sizeof(list)));
	return CONF_AS_IS;
}

static unsigned sniff_protocols(const struct jnode *n)
{
	static const struct word words[] = {
		{"http", CONF_SNIFF_HTTP}, {"tls", CONF_SNIFF_TLS},
		{"https", CONF_SNIFF_TLS}, {"ssl", CONF_SNIFF_TLS},
		{"quic", CONF_SNIFF_QUIC}, {"fakedns", 0},
		{"fakedns+others", 0},	   {NULL, 0},
	};
	struct conf_strs list = jnode_string_list(n);
	unsigned set = 0;

	for (size_t i = 0; i < list.n; i++) {
		int value = word_find(words, list.v[i]);

		if (value < 0)
			jnode_error(n,
				    "failed to build sniffing config > unknown protocol: %.40s, "
				    "expected http, tls or quic",
				    list.v[i]);
		else if (value == 0)
			jnode_warn(n, "\"%s\" has no effect: there are no fake addresses here",
				   list.v[i]);
		else
			set |= (unsigned)value;
	}
	return set;
}

void jnode_sniff(const struct jnode *obj, const char *key, struct conf_sniff *out)
{
	static const struct key keys[] = {
		KNOWN("enabled"),   KNOWN("destOverride"),    KNOWN("metadataOnly"),
		KNOWN("routeOnly"), KNOWN("domainsExcluded"), KNOWN("ipsExcluded"),
		KEYS_END,
	};
	struct jnode n, list;

	jnode_get(obj, key, &n);
	out->at = jnode_at(&n);
	if (!jnode_object(&n, keys))
		return;
	out->enabled = jnode_bool(&n, "enabled", false);
	if (jnode_get(&n, "destOverride", &list))
		out->override = sniff_protocols(&list);
	out->metadata_only = jnode_bool(&n, "metadataOnly", false);
	out->route_only = jnode_bool(&n, "routeOnly", false);
	out->domains_excluded = jnode_strs(&n, "domainsExcluded");
	out->ips_excluded = jnode_strs(&n, "ipsExcluded");
}
