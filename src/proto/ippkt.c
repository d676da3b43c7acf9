#include "proto/ippkt.h"

#include "base/err.h"
#include "proto/ipsum.h"

enum {
	V4_DF = 0x4000,
	V4_MF = 0x2000,
	V4_OFF = 0x1fff,
	V6_MF = 0x0001,
	V6_OFF = 0xfff8,
	EXT_HOP = 0,
	EXT_ROUTE = 43,
	EXT_FRAGMENT = 44,
	EXT_DEST = 60,
};

bool ip_is_group(const struct ip *ip)
{
	if (ip->family == 6)
		return ip->b[0] == 0xff;
	return ip->b[0] >= 224 && (ip->b[0] < 240 || (ip->b[0] & ip->b[1] & ip->b[2] &
						      ip->b[3]) == 255);
}

static bool bad_source(const struct ip *ip)
{
	return ip_is_any(ip) || ip_is_group(ip);
}

static ssize_t decode_v4(struct ippkt *out, struct span in)
{
	struct rd r = rd_of(in);
	struct ippkt p = {.total = 0};
	uint8_t first = rd_u8(&r);
	uint16_t frag;
	uint8_t a[4];

	p.tos = rd_u8(&r);
	p.total = rd_u16(&r);
	p.frag_id = rd_u16(&r);
	frag = rd_u16(&r);
	p.ttl = rd_u8(&r);
	p.proto = rd_u8(&r);
	rd_u16(&r);
	rd_copy(&r, a, sizeof(a));
	p.src = ip_v4(a);
	rd_copy(&r, a, sizeof(a));
	p.dst = ip_v4(a);
	p.off = (first & 0xfu) * 4;
	if (r.bad || p.off < IPPKT_V4_HEAD || p.off > p.total || p.total > in.n ||
	    bad_source(&p.src))
		return -ERR_MALFORMED;
	p.dont_fragment = frag & V4_DF;
	p.more = frag & V4_MF;
	p.frag_off = (uint16_t)((frag & V4_OFF) * 8);
	p.fragment = p.more || p.frag_off;
	*out = p;
	return (ssize_t)p.total;
}

/* Walks the extension headers. 0 or -ERR_MALFORMED. */
static int walk(struct ippkt *p, struct rd *r, const uint8_t *begin)
{
	for (int n = 0; n <= IPPKT_EXT_MAX; n++) {
		uint8_t next, len;
		uint16_t frag;

		p->off = (uint32_t)(r->p - begin);
		switch (p->proto) {
		case EXT_HOP:
		case EXT_ROUTE:
		case EXT_DEST:
			next = rd_u8(r);
			len = rd_u8(r);
			rd_take(r, len * 8u + 6);
			break;
		case EXT_FRAGMENT:
			next = rd_u8(r);
			rd_u8(r);
			frag = rd_u16(r);
			p->frag_id = rd_u32(r);
			p->frag_off = frag & V6_OFF;
			p->more = frag & V6_MF;
			p->fragment = p->more || p->frag_off;
			break;
		default:
			return 0;
		}
		if (r->bad)
			return -ERR_MALFORMED;
		p->proto = next;
		/* What follows in a later fragment is the middle of something. */
		if (p->frag_off) {
			p->off = (uint32_t)(r->p - begin);
			return 0;
		}
	}
	return -ERR_MALFORMED;
}

static bool mapped(const uint8_t b[16])
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(b, prefix, sizeof(prefix)) == 0;
}

static ssize_t decode_v6(struct ippkt *out, struct span in)
{
	struct rd r = rd_of(in);
	struct ippkt p = {.dont_fragment = true};
	uint32_t first = rd_u32(&r);
	uint8_t a[16], b[16];
	size_t len;

	len = rd_u16(&r);
	p.proto = rd_u8(&r);
	p.ttl = rd_u8(&r);
	rd_copy(&r, a, sizeof(a));
	rd_copy(&r, b, sizeof(b));
	if (r.bad || len > r.n || mapped(a) || mapped(b))
		return -ERR_MALFORMED;
	p.tos = (uint8_t)(first >> 20);
	p.src = ip_v6(a);
	p.dst = ip_v6(b);
	r.n = len;
	p.total = (uint32_t)(IPPKT_V6_HEAD + len);
	if (bad_source(&p.src) || walk(&p, &r, in.p) != 0)
		return -ERR_MALFORMED;
	*out = p;
	return (ssize_t)p.total;
}

ssize_t ippkt_decode(struct ippkt *out, struct span in)
{
	if (in.n == 0)
		return -ERR_MALFORMED;
	switch (in.p[0] >> 4) {
	case 4:
		return decode_v4(out, in);
	case 6:
		return decode_v6(out, in);
	default:
		return -ERR_MALFORMED;
	}
}

bool ippkt_head_sum_ok(struct span in)
{
	struct ipsum s = ipsum_new();
	size_t n = in.n ? (in.p[0] & 0xfu) * 4 : 0;

	if (n < IPPKT_V4_HEAD || n > in.n)
		return false;
	ipsum_add(&s, span_of(in.p, n));
	return ipsum_field(&s) == 0;
}

size_t ippkt_head_len(const struct ippkt *p)
{
	if (p->src.family == 4)
		return IPPKT_V4_HEAD;
	return IPPKT_V6_HEAD + (p->fragment ? (size_t)IPPKT_V6_FRAG_HEAD : 0);
}

static void encode_v4(struct wr *out, const struct ippkt *p, size_t payload)
{
	uint8_t *head = out->p + out->n;
	struct ipsum s = ipsum_new();
	struct wr sum;

	wr_u8(out, 0x45);
	wr_u8(out, p->tos);
	wr_u16(out, (unsigned)(IPPKT_V4_HEAD + payload));
	wr_u16(out, p->frag_id & 0xffff);
	wr_u16(out, (p->dont_fragment ? (unsigned)V4_DF : 0) | (p->more ? (unsigned)V4_MF : 0) |
			    p->frag_off / 8u);
	wr_u8(out, p->ttl ? p->ttl : (unsigned)IPPKT_TTL);
	wr_u8(out, p->proto);
	wr_u16(out, 0);
	wr_bytes(out, p->src.b, 4);
	wr_bytes(out, p->dst.b, 4);
	ipsum_add(&s, span_of(head, IPPKT_V4_HEAD));
	sum = wr_of(head + 10, 2);
	wr_u16(&sum, ipsum_field(&s));
}

static void encode_v6(struct wr *out, const struct ippkt *p, size_t payload)
{
	size_t ext = p->fragment ? IPPKT_V6_FRAG_HEAD : 0;

	wr_u32(out, 6u << 28 | (uint32_t)p->tos << 20);
	wr_u16(out, (unsigned)(payload + ext));
	wr_u8(out, ext ? (unsigned)EXT_FRAGMENT : p->proto);
	wr_u8(out, p->ttl ? p->ttl : (unsigned)IPPKT_TTL);
	wr_bytes(out, p->src.b, 16);
	wr_bytes(out, p->dst.b, 16);
	if (!ext)
		return;
	wr_u8(out, p->proto);
	wr_u8(out, 0);
	wr_u16(out, (p->frag_off & (unsigned)V6_OFF) | (p->more ? (unsigned)V6_MF : 0));
	wr_u32(out, p->frag_id);
}

int ippkt_encode_head(struct wr *out, const struct ippkt *p, size_t payload)
{
	size_t head = ippkt_head_len(p);
	size_t most = p->src.family == 4 ? 65535 - head : 65535 - (head - IPPKT_V6_HEAD);

	if (out->bad || payload > most || head > out->cap - out->n)
		return -ERR_LIMIT;
	if (p->src.family == 4)
		encode_v4(out, p, payload);
	else
		encode_v6(out, p, payload);
	return 0;
}

ssize_t udp_head_decode(struct udp_head *out, struct span in)
{
	struct rd r = rd_of(in);
	struct udp_head h = {.sport = rd_u16(&r)};

	h.dport = rd_u16(&r);
	h.len = rd_u16(&r);
	rd_u16(&r);
	if (r.bad || h.len < IPPKT_UDP_HEAD || h.len > in.n)
		return -ERR_MALFORMED;
	*out = h;
	return IPPKT_UDP_HEAD;
}

bool udp_sum_ok(const struct ippkt *ip, struct span udp)
{
	struct ipsum s = ipsum_new();

	if (udp.n < IPPKT_UDP_HEAD)
		return false;
	if (udp.p[6] == 0 && udp.p[7] == 0)
		return ip->src.family == 4;
	ipsum_add_pseudo(&s, &ip->src, &ip->dst, IPPKT_UDP, (uint32_t)udp.n);
	ipsum_add(&s, udp);
	return ipsum_field(&s) == 0;
}

int udp_head_encode(struct wr *out, const struct udp_head *h, uint16_t sum)
{
	wr_u16(out, h->sport);
	wr_u16(out, h->dport);
	wr_u16(out, h->len);
	wr_u16(out, sum);
	return out->bad ? -ERR_LIMIT : 0;
}

uint16_t udp_sum(const struct ip *src, const struct ip *dst, const struct udp_head *head,
		 struct span payload)
{
	struct ipsum s = ipsum_new();
	uint8_t b[IPPKT_UDP_HEAD];
	struct wr w = wr_of(b, sizeof(b));
	uint16_t field;

	udp_head_encode(&w, head, 0);
	ipsum_add_pseudo(&s, src, dst, IPPKT_UDP, head->len);
	ipsum_add(&s, span_of(b, sizeof(b)));
	ipsum_add(&s, payload);
	field = ipsum_field(&s);
	return field ? field : 0xffff;
}
