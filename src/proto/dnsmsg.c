#include "proto/dnsmsg.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "base/err.h"

enum {
	FLAG_REPLY = 0x8000,
	FLAG_AUTHORITY = 0x0400,
	FLAG_TRUNCATED = 0x0200,
	FLAG_RECURSE = 0x0100,
	FLAG_CAN_RECURSE = 0x0080,
	MASK_OPERATION = 0x7800,
	MASK_RCODE = 0x000f,

	WIRE_NAME_MAX = 255,
	LABEL_MAX = 63,
	POINTER = 0xc0, /* the two bits that make a length a pointer */
	POINTER_TO_QUESTION = 0xc000 | DNSMSG_HEAD,
	TTL_MAX = 0x7fffffff, /* RFC 2181 section 8: what is larger means 0 */
};

static bool append_label(char text[DNSMSG_NAME_MAX + 1], size_t *len, struct span label)
{
	if (*len)
		text[(*len)++] = '.';
	for (size_t i = 0; i < label.n; i++) {
		uint8_t c = label.p[i];

		if (c <= 0x20 || c >= 0x7f || c == '.' || c == '\\')
			return false;
		text[(*len)++] = (char)c;
	}
	return true;
}

/*
 * The name at @at, which moves behind it. Pointers lead strictly backwards, so that
 * the walk ends; the bound on the length in the wire format bounds the text as well.
 */
static bool read_name(struct span msg, size_t *at, char text[DNSMSG_NAME_MAX + 1])
{
	size_t pos = *at, below = *at, len = 0, wire = 1, after = 0;

	while (pos < msg.n && msg.p[pos] != 0) {
		uint8_t n = msg.p[pos];

		if ((n & POINTER) == POINTER) {
			if (msg.n - pos < 2)
				return false;
			if (after == 0)
				after = pos + 2;
			pos = (size_t)(n & ~POINTER) << 8 | msg.p[pos + 1];
			if (pos < DNSMSG_HEAD || pos >= below)
				return false;
			below = pos;
			continue;
		}
		wire += 1 + (size_t)n;
		if (n > LABEL_MAX || n > msg.n - pos - 1 || wire > WIRE_NAME_MAX ||
		    !append_label(text, &len, span_of(msg.p + pos + 1, n)))
			return false;
		pos += 1 + (size_t)n;
	}
	if (pos >= msg.n)
		return false;
	if (len == 0)
		text[len++] = '.';
	text[len] = 0;
	*at = after ? after : pos + 1;
	return true;
}

static bool skip_name(struct rd *r)
{
	for (;;) {
		uint8_t n = rd_u8(r);

		if ((n & POINTER) == POINTER) {
			rd_u8(r);
			return !r->bad;
		}
		if (n > LABEL_MAX)
			return false;
		rd_take(r, n);
		if (r->bad || n == 0)
			return !r->bad;
	}
}

static bool write_name(struct wr *w, const char *name)
{
	size_t wire = 1;

	if (strcmp(name, ".") != 0) {
		for (;;) {
			size_t n = strcspn(name, ".");

			wire += 1 + n;
			if (n == 0 || n > LABEL_MAX || wire > WIRE_NAME_MAX)
				return false;
			wr_u8(w, (unsigned)n);
			wr_bytes(w, name, n);
			if (name[n] == 0 || name[n + 1] == 0)
				break; /* with or without a final dot */
			name += n + 1;
		}
	}
	wr_u8(w, 0);
	return true;
}

struct head {
	uint16_t id, flags, questions, answers;
};

static bool read_head(struct rd *r, struct head *h)
{
	h->id = rd_u16(r);
	h->flags = rd_u16(r);
	h->questions = rd_u16(r);
	h->answers = rd_u16(r);
	rd_u32(r);
	return !r->bad;
}

/* The question behind the head; the reader moves behind it. */
static bool read_question(struct span msg, struct rd *r, char *name, uint16_t *type,
			  uint16_t *class)
{
	size_t at = DNSMSG_HEAD;

	if (!read_name(msg, &at, name))
		return false;
	rd_take(r, at - DNSMSG_HEAD);
	*type = rd_u16(r);
	*class = rd_u16(r);
	return !r->bad;
}

ssize_t dnsmsg_query_decode(struct dnsmsg_query *out, struct span in)
{
	struct rd r = rd_of(in);
	struct dnsmsg_query q;
	struct head h;

	if (!read_head(&r, &h) || h.flags & FLAG_REPLY)
		return -ERR_MALFORMED;
	if (h.flags & MASK_OPERATION || h.questions != 1)
		return -ERR_UNSUPPORTED;
	q.id = h.id;
	q.recurse = (h.flags & FLAG_RECURSE) != 0;
	if (!read_question(in, &r, q.name, &q.type, &q.class))
		return -ERR_MALFORMED;
	*out = q;
	return (ssize_t)(in.n - r.n);
}

static int write_question(struct wr *w, const struct dnsmsg_query *q, unsigned flags)
{
	wr_u16(w, q->id);
	wr_u16(w, flags | (q->recurse ? FLAG_RECURSE : 0));
	wr_u16(w, 1);
	wr_u16(w, 0);
	wr_u32(w, 0);
	if (!write_name(w, q->name))
		return -ERR_MALFORMED;
	wr_u16(w, q->type);
	wr_u16(w, q->class);
	return w->bad ? -ERR_LIMIT : 0;
}

int dnsmsg_query_encode(struct wr *out, const struct dnsmsg_query *in)
{
	return write_question(out, in, 0);
}

enum {
	TYPE_OPT = 41,
	OPTION_SUBNET = 8,
	OPTION_PADDING = 12,
	SUBNET_MAX = 8 + 16,
	OPTION_HEAD = 4,
};

/* Bits behind the prefix are zero; bytes behind it are left out. */
static void write_subnet(struct wr *w, const struct ip *ip)
{
	unsigned bits = ip->family == 4 ? DNSMSG_SUBNET4 : DNSMSG_SUBNET6;

	wr_u16(w, OPTION_SUBNET);
	wr_u16(w, 4 + bits / 8);
	wr_u16(w, ip->family == 4 ? 1 : 2);
	wr_u8(w, bits);
	wr_u8(w, 0);
	wr_bytes(w, ip->b, bits / 8);
}

int dnsmsg_query_edns_encode(struct wr *out, const struct dnsmsg_query *in,
			     const struct dnsmsg_edns *edns)
{
	static const uint8_t zeros[DNSMSG_PAD];
	uint8_t room[SUBNET_MAX + OPTION_HEAD + DNSMSG_PAD];
	struct wr options = wr_of(room, sizeof(room));
	size_t start = out->n, pad;
	int err = write_question(out, in, 0);

	if (err)
		return err;
	if (edns->client.family)
		write_subnet(&options, &edns->client);
	if (edns->pad) {
		/* name, type, size, flags and length of the record are eleven bytes */
		pad = out->n - start + 11 + options.n + OPTION_HEAD;
		pad = (DNSMSG_PAD - pad % DNSMSG_PAD) % DNSMSG_PAD;
		wr_u16(&options, OPTION_PADDING);
		wr_u16(&options, (unsigned)pad);
		wr_bytes(&options, zeros, pad);
	}
	wr_u8(out, 0);
	wr_u16(out, TYPE_OPT);
	wr_u16(out, DNSMSG_EDNS_UDP);
	wr_u32(out, 0);
	wr_u16(out, (unsigned)options.n);
	wr_bytes(out, room, options.n);
	if (out->bad)
		return -ERR_LIMIT;
	out->p[start + 11] = 1; /* additional records */
	return 0;
}

static bool fits_question(const struct ip *ip, const struct dnsmsg_query *q)
{
	if (q->class != DNSMSG_IN)
		return false;
	return (q->type == DNSMSG_A && ip->family == 4) ||
	       (q->type == DNSMSG_AAAA && ip->family == 6);
}

static void write_record(struct wr *w, const struct ip *ip, const struct dnsmsg_query *q,
			 uint32_t ttl)
{
	size_t len = ip->family == 4 ? 4 : 16;

	wr_u16(w, POINTER_TO_QUESTION);
	wr_u16(w, q->type);
	wr_u16(w, DNSMSG_IN);
	wr_u32(w, ttl > TTL_MAX ? TTL_MAX : ttl);
	wr_u16(w, (unsigned)len);
	wr_bytes(w, ip->b, len);
}

/* An empty zone's, as RFC 6303 section 3 has it. */
static bool write_soa(struct wr *w, size_t zone_at, uint32_t ttl)
{
	enum { SERIAL = 1, REFRESH = 3600, RETRY = 1200, EXPIRE = 604800, NOBODY = 16 };

	wr_u16(w, 0xc000u | (unsigned)(DNSMSG_HEAD + zone_at));
	wr_u16(w, DNSMSG_SOA);
	wr_u16(w, DNSMSG_IN);
	wr_u32(w, ttl);
	wr_u16(w, 2 + NOBODY + 5 * 4);
	wr_u16(w, 0xc000u | (unsigned)(DNSMSG_HEAD + zone_at));
	write_name(w, "nobody.invalid");
	wr_u32(w, SERIAL);
	wr_u32(w, REFRESH);
	wr_u32(w, RETRY);
	wr_u32(w, EXPIRE);
	wr_u32(w, ttl);
	return !w->bad;
}

/* Where in @name its end @zone begins, which is also its place in the wire format. */
static bool find_zone(const char *name, const char *zone, size_t *at)
{
	size_t n = strlen(name), z = strlen(zone);

	if (z == 0 || z > n || strcasecmp(name + n - z, zone) != 0)
		return false;
	*at = n - z;
	return n == z || name[n - z - 1] == '.';
}

int dnsmsg_answer_encode(struct wr *out, const struct dnsmsg_query *query,
			 const struct dnsmsg_answer *in)
{
	enum { FLAGS_AT = 2, ANSWERS_AT = 6, AUTHORITIES_AT = 9 };
	unsigned flags = FLAG_REPLY | FLAG_AUTHORITY | FLAG_CAN_RECURSE | (in->rcode & MASK_RCODE);
	size_t start = out->n, zone_at;
	unsigned answers = 0;
	uint8_t *head;
	int ret = write_question(out, query, flags);

	if (ret != 0)
		return ret;
	head = out->p + start;
	for (size_t i = 0; i < in->n; i++) {
		struct wr before = *out;

		if (!fits_question(&in->ips[i], query))
			continue;
		write_record(out, &in->ips[i], query, in->ttl);
		if (out->bad || answers == UINT16_MAX) {
			*out = before;
			head[FLAGS_AT] |= FLAG_TRUNCATED >> 8;
			break;
		}
		answers++;
	}
	head[ANSWERS_AT] = (uint8_t)(answers >> 8);
	head[ANSWERS_AT + 1] = (uint8_t)answers;
	if (answers == 0 && in->zone && find_zone(query->name, in->zone, &zone_at)) {
		struct wr before = *out;

		if (write_soa(out, zone_at, in->ttl))
			head[AUTHORITIES_AT] = 1;
		else
			*out = before; /* it may be left out */
	}
	return 0;
}

int dnsmsg_ptr_encode(struct wr *out, const struct dnsmsg_query *query, const char *host,
		      uint32_t ttl)
{
	enum { ANSWERS_AT = 7 };
	size_t start = out->n, len_at;
	int ret = write_question(out, query, FLAG_REPLY | FLAG_AUTHORITY | FLAG_CAN_RECURSE);

	if (ret != 0)
		return ret;
	wr_u16(out, POINTER_TO_QUESTION);
	wr_u16(out, DNSMSG_PTR);
	wr_u16(out, DNSMSG_IN);
	wr_u32(out, ttl > TTL_MAX ? TTL_MAX : ttl);
	len_at = out->n;
	wr_u16(out, 0);
	if (!write_name(out, host))
		return -ERR_MALFORMED;
	if (out->bad)
		return -ERR_LIMIT;
	out->p[len_at] = (uint8_t)((out->n - len_at - 2) >> 8);
	out->p[len_at + 1] = (uint8_t)(out->n - len_at - 2);
	out->p[start + ANSWERS_AT] = 1;
	return 0;
}

/* One label of one or more digits, and the dot behind it: its value, or -1. */
static int arpa_label(const char **name, unsigned base, unsigned digits, unsigned max)
{
	unsigned n = 0, v = 0;

	for (; isxdigit((unsigned char)**name) && n < digits; ++*name, n++) {
		unsigned char c = (unsigned char)**name;
		unsigned d = (unsigned)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);

		if (d >= base)
			return -1;
		v = v * base + d;
	}
	if (n == 0 || **name != '.' || v > max)
		return -1;
	++*name;
	return (int)v;
}

bool dnsmsg_arpa_decode(struct ip *out, const char *name)
{
	const char *p = name;
	uint8_t b[16] = {0};
	int v;

	for (int i = 3; i >= 0 && (v = arpa_label(&p, 10, 3, 255)) >= 0; i--) {
		b[i] = (uint8_t)v;
		if (i == 0 && strcasecmp(p, "in-addr.arpa") == 0) {
			*out = ip_v4(b);
			return true;
		}
	}
	p = name;
	memset(b, 0, sizeof(b));
	for (int i = 31; i >= 0 && (v = arpa_label(&p, 16, 1, 15)) >= 0; i--)
		b[i / 2] |= (uint8_t)(v << (i % 2 ? 0 : 4));
	if (p - name != 64 || strcasecmp(p, "ip6.arpa") != 0)
		return false;
	*out = ip_v6(b);
	return true;
}

bool dnsmsg_arpa_zone(char out[DNSMSG_ARPA_TEXT], const struct prefix *p, unsigned i)
{
	unsigned bits = p->ip.family == 4 ? 8 : 4;
	unsigned labels = p->len ? (p->len + bits - 1) / bits : 1, n = 0;
	unsigned spare = labels * bits - p->len;

	if (i >> spare)
		return false;
	for (unsigned k = labels; k-- > 0;) {
		unsigned v = bits == 8 ? p->ip.b[k] : (p->ip.b[k / 2] >> (k % 2 ? 0 : 4)) & 15;

		if (k == labels - 1)
			v |= i;
		n += (unsigned)snprintf(out + n, DNSMSG_ARPA_TEXT - n, bits == 8 ? "%u." : "%x.", v);
	}
	snprintf(out + n, DNSMSG_ARPA_TEXT - n, "%s", bits == 8 ? "in-addr.arpa" : "ip6.arpa");
	return true;
}

/* One answer; false when it is cut or an address has the wrong length. */
static bool read_record(struct rd *r, struct dnsmsg_reply *p, bool *any)
{
	uint16_t type, class, len;
	struct span data;
	uint32_t ttl;

	if (!skip_name(r))
		return false;
	type = rd_u16(r);
	class = rd_u16(r);
	ttl = rd_u32(r);
	len = rd_u16(r);
	data = rd_take(r, len);
	if (r->bad)
		return false;
	if (class != DNSMSG_IN || (type != p->type && type != DNSMSG_CNAME))
		return true;
	if (type == DNSMSG_A || type == DNSMSG_AAAA) {
		if (len != (type == DNSMSG_A ? 4 : 16))
			return false;
		if (p->n < DNSMSG_IPS_MAX)
			p->ips[p->n++] = type == DNSMSG_A ? ip_v4(data.p) : ip_v6(data.p);
	}
	if (ttl > TTL_MAX)
		ttl = 0;
	if (!*any || ttl < p->ttl)
		p->ttl = ttl;
	*any = true;
	return true;
}

ssize_t dnsmsg_reply_decode(struct dnsmsg_reply *out, struct span in)
{
	struct rd r = rd_of(in);
	struct dnsmsg_reply p = {0};
	uint16_t class;
	bool any = false;
	struct head h;

	if (!read_head(&r, &h) || !(h.flags & FLAG_REPLY))
		return -ERR_MALFORMED;
	if (h.flags & MASK_OPERATION || h.questions > 1)
		return -ERR_UNSUPPORTED;
	p.id = h.id;
	p.rcode = h.flags & MASK_RCODE;
	p.truncated = (h.flags & FLAG_TRUNCATED) != 0;
	if (h.questions == 1 && !read_question(in, &r, p.name, &p.type, &class))
		return -ERR_MALFORMED;
	for (unsigned i = 0; i < h.answers; i++) {
		struct rd before = r;

		if (read_record(&r, &p, &any))
			continue;
		if (!p.truncated)
			return -ERR_MALFORMED;
		r = before; /* cut where the sender's room ended */
		break;
	}
	*out = p;
	return (ssize_t)(in.n - r.n);
}
