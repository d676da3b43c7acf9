#include "proto/proxyproto.h"

#include <stdio.h>

#include "base/err.h"

enum { SIGNATURE_LEN = 12, V2_HEAD = 16, UNIX_LEN = 216 };

static const uint8_t signature[SIGNATURE_LEN] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
						 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

/* Second byte of version 2: family and transport. */
enum { NOTHING = 0x00, TCP4 = 0x11, UDP4 = 0x12, TCP6 = 0x21, UDP6 = 0x22, UNIX1 = 0x31, UNIX2 };

/* The word up to the next blank, which is taken too; the last word has none behind it. */
static struct span take_word(struct span *line)
{
	const uint8_t *blank = line->n ? memchr(line->p, ' ', line->n) : NULL;
	struct span word = *line;

	if (blank) {
		word.n = (size_t)(blank - line->p);
		*line = span_of(blank + 1, line->n - word.n - 1);
	} else {
		*line = span_of(line->p + line->n, 0);
	}
	return word;
}

/* 0..65535 without leading zeros. */
static bool parse_port(struct span s, uint16_t *out)
{
	unsigned v = 0;

	if (s.n == 0 || s.n > 5 || (s.n > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s.p[i] - '0');
	}
	*out = (uint16_t)v;
	return v <= 0xffff;
}

/* An address in the notation of its keyword; an IPv4 address in IPv6 notation is still TCP6. */
static bool parse_ip(struct span s, bool v6, struct ip *out)
{
	bool colon = s.n && memchr(s.p, ':', s.n) != NULL;

	return colon == v6 && ip_parse(out, s) == 0 && s.p[0] != '[';
}

/* What stands between "PROXY " and CRLF. */
static bool parse_v1_line(struct proxyproto *p, struct span line)
{
	struct span keyword = take_word(&line);
	bool v6 = span_eq(keyword, span_str("TCP6"));

	if (span_eq(keyword, span_str("UNKNOWN")))
		return true;
	if (!v6 && !span_eq(keyword, span_str("TCP4")))
		return false;
	p->transport = PROXYPROTO_STREAM;
	if (!parse_ip(take_word(&line), v6, &p->source.ip) ||
	    !parse_ip(take_word(&line), v6, &p->target.ip) ||
	    !parse_port(take_word(&line), &p->source.port))
		return false;
	return parse_port(line, &p->target.port);
}

static ssize_t decode_v1(struct proxyproto *out, struct span in)
{
	static const char head[] = "PROXY ";
	const size_t head_len = sizeof(head) - 1;
	size_t look = in.n < PROXYPROTO_V1_MAX ? in.n : PROXYPROTO_V1_MAX;
	struct proxyproto p = {.version = 1};
	const uint8_t *lf;
	size_t len;

	if (memcmp(in.p, head, look < head_len ? look : head_len) != 0)
		return -ERR_MALFORMED;
	lf = memchr(in.p, '\n', look);
	if (!lf)
		return look < PROXYPROTO_V1_MAX ? 0 : -ERR_MALFORMED;
	len = (size_t)(lf - in.p);
	if (in.p[len - 1] != '\r' ||
	    !parse_v1_line(&p, span_of(in.p + head_len, len - 1 - head_len)))
		return -ERR_MALFORMED;
	*out = p;
	return (ssize_t)(len + 1);
}

/* The addresses at the front of a version 2 body; false when it is too short for them. */
static bool parse_v2_body(struct proxyproto *p, uint8_t family, struct span body)
{
	struct rd r = rd_of(body);
	bool v6 = family == TCP6 || family == UDP6;
	struct span source, target;

	if (family == NOTHING)
		return true;
	if (family == UNIX1 || family == UNIX2)
		return body.n >= UNIX_LEN;
	source = rd_take(&r, v6 ? 16 : 4);
	target = rd_take(&r, v6 ? 16 : 4);
	p->source.port = rd_u16(&r);
	p->target.port = rd_u16(&r);
	if (r.bad)
		return false;
	p->source.ip = v6 ? ip_v6(source.p) : ip_v4(source.p);
	p->target.ip = v6 ? ip_v6(target.p) : ip_v4(target.p);
	p->transport = family & 0x0f;
	return true;
}

static bool v2_family_known(uint8_t family)
{
	return family == NOTHING || family == TCP4 || family == UDP4 || family == TCP6 ||
	       family == UDP6 || family == UNIX1 || family == UNIX2;
}

static ssize_t decode_v2(struct proxyproto *out, struct span in)
{
	enum { LOCAL = 0x20, PROXY = 0x21 };
	struct proxyproto p = {.version = 2};
	struct rd r = rd_of(in);
	uint8_t command, family;
	struct span body;
	uint16_t len;

	if (memcmp(in.p, signature, in.n < SIGNATURE_LEN ? in.n : SIGNATURE_LEN) != 0)
		return -ERR_MALFORMED;
	rd_take(&r, SIGNATURE_LEN);
	command = rd_u8(&r);
	if (!r.bad && command != LOCAL && command != PROXY)
		return -ERR_MALFORMED;
	family = rd_u8(&r);
	if (!r.bad && command == PROXY && !v2_family_known(family))
		return -ERR_MALFORMED;
	len = rd_u16(&r);
	if (len > PROXYPROTO_V2_BODY_MAX)
		return -ERR_LIMIT;
	body = rd_take(&r, len);
	if (r.bad)
		return 0;
	if (command == PROXY && !parse_v2_body(&p, family, body))
		return -ERR_MALFORMED;
	*out = p;
	return V2_HEAD + len;
}

ssize_t proxyproto_decode(struct proxyproto *out, struct span in)
{
	if (in.n == 0)
		return 0;
	return in.p[0] == signature[0] ? decode_v2(out, in) : decode_v1(out, in);
}

/* IPv6 in text or bytes, IPv4 as its mapped form. */
static void to_v6(const struct ip *ip, uint8_t out[16])
{
	if (ip->family == 4) {
		memset(out, 0, 10);
		out[10] = out[11] = 0xff;
		memcpy(out + 12, ip->b, 4);
	} else {
		memcpy(out, ip->b, 16);
	}
}

static void to_text(const struct ip *ip, bool v6, char *out, size_t cap)
{
	char text[46];

	ip_text(ip, text, sizeof(text));
	snprintf(out, cap, "%s%s", v6 && ip->family == 4 ? "::ffff:" : "", text);
}

static void encode_v1(struct wr *w, const struct proxyproto *p, bool v6)
{
	char line[PROXYPROTO_V1_MAX + 1], source[54], target[54];
	int n;

	if (p->transport == PROXYPROTO_UNKNOWN) {
		n = snprintf(line, sizeof(line), "PROXY UNKNOWN\r\n");
	} else {
		to_text(&p->source.ip, v6, source, sizeof(source));
		to_text(&p->target.ip, v6, target, sizeof(target));
		n = snprintf(line, sizeof(line), "PROXY TCP%c %s %s %u %u\r\n", v6 ? '6' : '4',
			     source, target, p->source.port, p->target.port);
	}
	wr_bytes(w, line, (size_t)n);
}

static void encode_v2(struct wr *w, const struct proxyproto *p, bool v6)
{
	uint8_t ip[16];
	size_t len = v6 ? 16 : 4;

	wr_bytes(w, signature, SIGNATURE_LEN);
	if (p->transport == PROXYPROTO_UNKNOWN) {
		wr_u32(w, 0x20000000); /* LOCAL, no family, no bytes: what Xray sends */
		return;
	}
	wr_u8(w, 0x21);
	wr_u8(w, (v6 ? 0x20U : 0x10U) | p->transport);
	wr_u16(w, (unsigned)(2 * len + 4));
	for (int i = 0; i < 2; i++) {
		const struct ipport *a = i == 0 ? &p->source : &p->target;

		if (v6)
			to_v6(&a->ip, ip);
		wr_bytes(w, v6 ? ip : a->ip.b, len);
	}
	wr_u16(w, p->source.port);
	wr_u16(w, p->target.port);
}

int proxyproto_encode(struct wr *out, const struct proxyproto *in)
{
	bool known = in->transport != PROXYPROTO_UNKNOWN;
	bool v6 = in->source.ip.family == 6 || in->target.ip.family == 6;

	if ((in->version != 1 && in->version != 2) || in->transport > PROXYPROTO_DGRAM)
		return -ERR_MALFORMED;
	if (in->version == 1 && in->transport == PROXYPROTO_DGRAM)
		return -ERR_MALFORMED;
	if (known && (in->source.ip.family == 0 || in->target.ip.family == 0))
		return -ERR_MALFORMED;
	if (in->version == 1)
		encode_v1(out, in, v6);
	else
		encode_v2(out, in, v6);
	return out->bad ? -ERR_LIMIT : 0;
}
