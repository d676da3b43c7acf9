#include "proto/sharelink.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"

static const char scheme[] = "vless://";
static const char vision[] = "xtls-rprx-vision";

const char *sharelink_fault_text(enum sharelink_fault f)
{
	static const char *const texts[] = {
		"no fault",
		"not a vless:// link",
		"the part before \"@\" is no id",
		"no server: expected host:port, IPv6 in brackets",
		"\"type\" names a transport other than tcp",
		"\"encryption\" is not none",
		"\"security\" is not none, tls or reality",
		"\"flow\" is unknown, or there is neither TLS nor REALITY",
		"\"allowInsecure\" is not done",
		"a value is too long or has control characters",
	};

	return (size_t)f < sizeof(texts) / sizeof(texts[0]) ? texts[f] : "unknown fault";
}

/* ---- writing ---- */

static bool plain(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static void put_text(struct wr *w, const char *text)
{
	wr_bytes(w, text, strlen(text));
}

static void put_escaped(struct wr *w, const char *text)
{
	static const char hex[] = "0123456789ABCDEF";

	for (const uint8_t *p = (const uint8_t *)text; *p; p++) {
		if (plain(*p)) {
			wr_u8(w, *p);
			continue;
		}
		wr_u8(w, '%');
		wr_u8(w, (uint8_t)hex[*p >> 4]);
		wr_u8(w, (uint8_t)hex[*p & 15]);
	}
}

static void put_key(struct wr *w, const char *key, const char *value)
{
	if (*value == 0)
		return;
	wr_u8(w, '&');
	put_text(w, key);
	wr_u8(w, '=');
	put_escaped(w, value);
}

static const char *const securities[] = {"none", "tls", "reality"};

/* All readers take this order, these keys, and no others need be there. */
static void put_link(struct wr *w, const struct sharelink *in)
{
	char server[ADDR_TEXT_MAX];

	put_text(w, scheme);
	put_escaped(w, in->id);
	wr_u8(w, '@');
	put_text(w, addr_text(&in->server, server, sizeof(server)));
	put_text(w, "?type=tcp&encryption=none");
	put_key(w, "security", securities[in->security]);
	put_key(w, "sni", in->sni);
	put_key(w, "fp", in->fp);
	put_key(w, "alpn", in->alpn);
	put_key(w, "pbk", in->pbk);
	put_key(w, "sid", in->sid);
	put_key(w, "spx", in->spx);
	put_key(w, "pcs", in->pcs);
	put_key(w, "flow", in->flow);
	if (*in->name) {
		wr_u8(w, '#');
		put_escaped(w, in->name);
	}
}

int sharelink_encode(struct wr *out, const struct sharelink *in)
{
	struct sharelink back;
	size_t begin = out->n;

	if ((unsigned)in->security > SHARELINK_REALITY)
		return -ERR_MALFORMED;
	put_link(out, in);
	if (out->bad)
		return -ERR_LIMIT;
	return sharelink_decode(&back, span_of(out->p + begin, out->n - begin), NULL) < 0
		       ? -ERR_MALFORMED
		       : 0;
}

/* ---- reading ---- */

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Escapes that are none stay as they are, and "+" is a plus sign. */
static bool unescape(char *out, size_t cap, struct span in)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		uint8_t c = in.p[i];

		if (c == '%' && in.n - i > 2 && hex_value(in.p[i + 1]) >= 0 &&
		    hex_value(in.p[i + 2]) >= 0) {
			c = (uint8_t)(hex_value(in.p[i + 1]) << 4 | hex_value(in.p[i + 2]));
			i += 2;
		}
		if (c < 0x20 || c == 0x7f || n + 1 >= cap)
			return false;
		out[n++] = (char)c;
	}
	out[n] = 0;
	return true;
}

/* Splits at the first @c; without it all is head and the tail is empty. */
static struct span cut(struct span *s, uint8_t c)
{
	const uint8_t *at = s->n ? memchr(s->p, c, s->n) : NULL;
	struct span head = *s;

	if (!at) {
		*s = span_of(s->p + s->n, 0);
		return head;
	}
	head.n = (size_t)(at - s->p);
	*s = span_of(at + 1, s->n - head.n - 1);
	return head;
}

static struct span trim(struct span s)
{
	while (s.n && s.p[0] <= ' ') {
		s.p++;
		s.n--;
	}
	while (s.n && s.p[s.n - 1] <= ' ')
		s.n--;
	return s;
}

struct query {
	struct sharelink *l;
	enum sharelink_fault fault;
	unsigned seen; /* bits: the first of a repeated key counts */
	bool security_given;
	char word[SHARELINK_TEXT_MAX];
};

static bool is(const struct query *q, const char *word)
{
	return strcasecmp(q->word, word) == 0;
}

/* Keys whose value is a word that must be one of a few. */
static enum sharelink_fault take_word(struct query *q, const char *key)
{
	if (strcmp(key, "type") == 0)
		return is(q, "tcp") || is(q, "raw") ? SHARELINK_FAULT_NONE : SHARELINK_FAULT_TYPE;
	if (strcmp(key, "headerType") == 0)
		return is(q, "none") ? SHARELINK_FAULT_NONE : SHARELINK_FAULT_TYPE;
	if (strcmp(key, "encryption") == 0)
		return is(q, "none") ? SHARELINK_FAULT_NONE : SHARELINK_FAULT_ENCRYPTION;
	if (strcmp(key, "security") == 0) {
		for (int i = 0; i <= SHARELINK_REALITY; i++)
			if (is(q, securities[i])) {
				q->l->security = (enum sharelink_security)i;
				q->security_given = true;
				return SHARELINK_FAULT_NONE;
			}
		return SHARELINK_FAULT_SECURITY;
	}
	return is(q, "0") || is(q, "false") ? SHARELINK_FAULT_NONE : SHARELINK_FAULT_INSECURE;
}

static void take_pair(struct query *q, struct span key, struct span value)
{
	struct sharelink *l = q->l;
	const struct {
		const char *name;
		char *to; /* NULL: a word */
		size_t cap;
	} keys[] = {
		{"type", NULL, 0},	    {"headerType", NULL, 0},
		{"encryption", NULL, 0},    {"security", NULL, 0},
		{"allowInsecure", NULL, 0}, {"insecure", NULL, 0},
		{"sni", l->sni, sizeof(l->sni)},    {"fp", l->fp, sizeof(l->fp)},
		{"alpn", l->alpn, sizeof(l->alpn)}, {"pbk", l->pbk, sizeof(l->pbk)},
		{"sid", l->sid, sizeof(l->sid)},    {"spx", l->spx, sizeof(l->spx)},
		{"pcs", l->pcs, sizeof(l->pcs)},    {"flow", l->flow, sizeof(l->flow)},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!span_eq(key, span_str(keys[i].name)))
			continue;
		if (value.n == 0 || (q->seen & 1u << i))
			return;
		q->seen |= 1u << i;
		if (!(keys[i].to ? unescape(keys[i].to, keys[i].cap, value)
				 : unescape(q->word, sizeof(q->word), value)))
			q->fault = SHARELINK_FAULT_TEXT;
		else if (!keys[i].to)
			q->fault = take_word(q, keys[i].name);
		return;
	}
}

static enum sharelink_fault take_query(struct sharelink *l, struct span in)
{
	struct query q = {.l = l};

	while (in.n && q.fault == SHARELINK_FAULT_NONE) {
		struct span value = cut(&in, '&'), key = cut(&value, '=');

		take_pair(&q, key, value);
	}
	if (!q.security_given && *l->pbk)
		l->security = SHARELINK_REALITY;
	return q.fault;
}

static enum sharelink_fault take_server(struct sharelink *l, struct span in)
{
	if (in.n && in.p[in.n - 1] == '/')
		in.n--;
	return addr_parse(&l->server, in) == 0 && l->server.port ? SHARELINK_FAULT_NONE
								 : SHARELINK_FAULT_SERVER;
}

/* What apps assume where a link is silent. */
static enum sharelink_fault settle(struct sharelink *l)
{
	bool secure = l->security != SHARELINK_NONE;

	if (*l->flow && (!secure || strncmp(l->flow, vision, sizeof(vision) - 1) != 0 ||
			 (l->flow[sizeof(vision) - 1] &&
			  strcmp(l->flow + sizeof(vision) - 1, "-udp443") != 0)))
		return SHARELINK_FAULT_FLOW;
	if (secure && *l->fp == 0)
		memcpy(l->fp, "chrome", sizeof("chrome"));
	if (secure && *l->sni == 0 && l->server.kind == ADDR_NAME)
		snprintf(l->sni, sizeof(l->sni), "%s", l->server.name);
	return SHARELINK_FAULT_NONE;
}

static enum sharelink_fault parse(struct sharelink *l, struct span in)
{
	struct span head, id, query, server;
	enum sharelink_fault f;

	if (in.n > SHARELINK_MAX)
		return SHARELINK_FAULT_TEXT;
	if (in.n < sizeof(scheme) - 1 ||
	    strncasecmp((const char *)in.p, scheme, sizeof(scheme) - 1) != 0)
		return SHARELINK_FAULT_SCHEME;
	in = span_of(in.p + sizeof(scheme) - 1, in.n - (sizeof(scheme) - 1));
	head = cut(&in, '#');
	if (!unescape(l->name, sizeof(l->name), in))
		return SHARELINK_FAULT_TEXT;
	query = head;
	server = cut(&query, '?');
	id = cut(&server, '@');
	if (!unescape(l->id, sizeof(l->id), id) || *l->id == 0)
		return SHARELINK_FAULT_ID;
	f = take_server(l, server);
	if (!f)
		f = take_query(l, query);
	return f ? f : settle(l);
}

ssize_t sharelink_decode(struct sharelink *out, struct span in, enum sharelink_fault *fault)
{
	struct sharelink l;
	enum sharelink_fault f;

	memset(&l, 0, sizeof(l));
	f = parse(&l, trim(in));
	if (fault)
		*fault = f;
	if (f != SHARELINK_FAULT_NONE)
		return -ERR_MALFORMED;
	*out = l;
	return (ssize_t)in.n;
}
