/* Settings of freedom: redirect, fragments and noises. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "conf/sections.h"
#include "conf/value_parse.h"
#include "crypto/base64.h"

/* ---- fragments ---- */

static void fragment_packets(const struct jnode *obj, struct conf_fragment *out)
{
	struct jnode n;
	struct conf_range r;
	const char *text;

	out->kind = CONF_FRAGMENT_WRITES;
	out->first = 1;
	if (!jnode_get(obj, "packets", &n))
		return;
	text = cJSON_IsString(n.v) ? jnode_text(&n, "") : "-";
	if (*text == 0)
		return;
	if (strcasecmp(text, "tlshello") == 0) {
		out->kind = CONF_FRAGMENT_TLSHELLO;
		return;
	}
	r = jnode_range(obj, "packets", (struct conf_range){1, 1});
	if (r.from < 1)
		jnode_error(&n, "PacketsFrom can't be 0");
	out->first = (uint32_t)r.from;
	out->last = (uint32_t)r.to;
}

static void fragment_parse(const struct jnode *settings, struct conf_fragment *out)
{
	static const struct key keys[] = {KNOWN("packets"), KNOWN("length"), KNOWN("interval"),
					  KNOWN("maxSplit"), KEYS_END};
	static const struct conf_range zero = {0, 0};
	struct jnode n, part;

	jnode_get(settings, "fragment", &n);
	if (!jnode_object(&n, keys))
		return;
	fragment_packets(&n, out);
	if (!jnode_get(&n, "length", &part))
		jnode_error(&part, "Length can't be empty");
	else if (out->length = jnode_range(&n, "length", zero), out->length.from < 1)
		jnode_error(&part, "LengthMin can't be 0");
	if (!jnode_get(&n, "interval", &part))
		jnode_error(&part, "Interval can't be empty");
	out->interval_ms = jnode_range(&n, "interval", zero);
	out->max_split = jnode_range(&n, "maxSplit", zero);
	if (out->interval_ms.from < 0 || out->max_split.from < 0)
		jnode_error(&n, "interval and maxSplit cannot be negative");
}

/* ---- noises ---- */

enum noise_kind { NOISE_RAND, NOISE_STR, NOISE_HEX, NOISE_BASE64 };
enum { NOISE_MAX = 2048 };

static ssize_t decode_hex(uint8_t *out, const char *text)
{
	size_t n = strlen(text);

	if (n % 2 != 0 || n / 2 > NOISE_MAX || strspn(text, "0123456789abcdefABCDEF") != n)
		return -ERR_MALFORMED;
	for (size_t i = 0; i < n / 2; i++) {
		char pair[3] = {text[2 * i], text[2 * i + 1], 0};

		out[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return (ssize_t)(n / 2);
}

static void noise_packet(const struct jnode *n, enum noise_kind kind, struct conf_noise *out)
{
	const char *text = jnode_str(n, "packet", "");
	uint8_t *bytes = conf_arena_array(n->ld->arena, NOISE_MAX, 1);
	ssize_t len = -ERR_MALFORMED;
	struct jnode packet;

	if (!bytes)
		return;
	if (kind == NOISE_HEX) {
		len = decode_hex(bytes, text);
	} else if (kind == NOISE_BASE64) {
		len = base64_decode(bytes, NOISE_MAX, span_str(text), BASE64_STD | BASE64_ANY_PAD,
				    NULL);
	} else if (strlen(text) <= NOISE_MAX) {
		len = (ssize_t)strlen(text);
		memcpy(bytes, text, (size_t)len);
	}
	if (len <= 0) {
		jnode_get(n, "packet", &packet);
		jnode_error(&packet, "expected 1 to %d bytes in the form that \"type\" says",
			    NOISE_MAX);
		return;
	}
	out->packet = span_of(bytes, (size_t)len);
}

static void noise_parse(const struct jnode *n, struct conf_noise *out)
{
	static const struct key keys[] = {KNOWN("type"), KNOWN("packet"), KNOWN("delay"),
					  KNOWN("applyTo"), KEYS_END};
	static const struct word kinds[] = {{"rand", NOISE_RAND},
					    {"str", NOISE_STR},
					    {"hex", NOISE_HEX},
					    {"base64", NOISE_BASE64},
					    {NULL, 0}};
	static const struct word families[] = {
		{"ip", 6}, {"", 6}, {"ipv4", 2}, {"ipv6", 4}, {NULL, 0}};
	static const struct conf_range zero = {0, 0};
	enum noise_kind kind;
	int family;

	out->at = jnode_at(n);
	if (!jnode_object(n, keys))
		return;
	kind = (enum noise_kind)jnode_word(n, "type", kinds, NOISE_RAND);
	out->random = kind == NOISE_RAND;
	if (out->random) {
		out->random_len = jnode_range(n, "packet", zero);
		if (out->random_len.from < 1 || out->random_len.to > NOISE_MAX)
			jnode_error(n, "packet: expected a length from 1 to %d", NOISE_MAX);
	} else {
		noise_packet(n, kind, out);
	}
	out->delay_ms = jnode_range(n, "delay", zero);
	if (out->delay_ms.from < 0)
		jnode_error(n, "delay cannot be negative");
	family = jnode_word(n, "applyTo", families, 6);
	out->ipv4 = family & 2;
	out->ipv6 = family & 4;
}

static void noises_parse(const struct jnode *settings, struct conf_out_freedom *out)
{
	struct conf_noise *v;
	struct jnode list, it;
	size_t n, i = 0;

	jnode_get(settings, "noises", &list);
	n = jnode_count(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list) noise_parse(&it, &v[i++]);
	out->noises = v;
	out->n_noises = n;
}

/* ---- the whole ---- */

void conf_parse_freedom(const struct jnode *settings, struct conf_out_freedom *out)
{
	static const struct key keys[] = {
		KNOWN("targetStrategy"),
		KNOWN("domainStrategy"),
		KNOWN("redirect"),
		KNOWN("map"),
		KNOWN("proxyProtocol"),
		KNOWN("userLevel"),
		KNOWN("finalRules"),
		KNOWN("fragment"),
		KNOWN("noises"),
		QUIET("timeout"),
		{"noise", KEY_REFUSED, "\"noise\" has been removed, use the list \"noises\""},
		{"ipsBlocked", KEY_NO_EFFECT,
		 "NOTHING IS BLOCKED by this any more; use \"finalRules\""},
		KEYS_END,
	};
	struct jnode n;
	const char *strategy;

	jnode_object(settings, keys);
	strategy = jnode_get(settings, "targetStrategy", &n) && *jnode_text(&n, "")
			   ? "targetStrategy"
			   : "domainStrategy";
	out->strategy = jnode_strategy(settings, strategy, "unsupported domain strategy");
	jnode_get(settings, "redirect", &n);
	jnode_redirect(&n, "redirect address", &out->redirect);
	conf_parse_maps(settings, "map", &out->maps, &out->n_maps);
	out->proxy_protocol = (uint8_t)jnode_int(settings, "proxyProtocol", 0, 2, 0);
	out->level = conf_parse_level(settings, "userLevel");
	conf_parse_final_rules(settings, &out->final_rules, &out->n_final_rules);
	fragment_parse(settings, &out->fragment);
	noises_parse(settings, out);
}
