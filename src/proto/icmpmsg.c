#include "proto/icmpmsg.h"

#include "base/err.h"
#include "proto/ippkt.h"
#include "proto/ipsum.h"

enum { V4_REPLY = 0, V4_REQUEST = 8, V6_REQUEST = 128, V6_REPLY = 129 };

ssize_t icmpmsg_echo_decode(struct icmpmsg_echo *out, uint8_t family, struct span in)
{
	struct rd r = rd_of(in);
	uint8_t type = rd_u8(&r), code = rd_u8(&r);
	struct icmpmsg_echo e;

	rd_u16(&r);
	e.id = rd_u16(&r);
	e.seq = rd_u16(&r);
	if (r.bad)
		return -ERR_MALFORMED;
	e.reply = type == (family == 4 ? V4_REPLY : V6_REPLY);
	if (code != 0 || (!e.reply && type != (family == 4 ? V4_REQUEST : V6_REQUEST)))
		return -ERR_UNSUPPORTED;
	*out = e;
	return ICMPMSG_HEAD;
}

static struct ipsum sum_of(const struct ip *src, const struct ip *dst, struct span head,
			   struct span body)
{
	struct ipsum s = ipsum_new();

	if (src->family == 6)
		ipsum_add_pseudo(&s, src, dst, IPPKT_ICMP6, (uint32_t)(head.n + body.n));
	ipsum_add(&s, head);
	ipsum_add(&s, body);
	return s;
}

/* ---- errors ---- */

static bool error4(struct icmpmsg_quote *q)
{
	enum { UNREACHABLE = 3, PORT = 3, TOO_BIG = 4, EXCEEDED = 11 };

	if (q->type == EXCEEDED)
		q->what = ICMPMSG_TIME_EXCEEDED;
	else if (q->type != UNREACHABLE)
		return false;
	else if (q->code == PORT)
		q->what = ICMPMSG_PORT_UNREACH;
	else if (q->code == TOO_BIG)
		q->what = ICMPMSG_TOO_BIG;
	else if (q->code == 9 || q->code == 10 || q->code == 13)
		q->what = ICMPMSG_PROHIBITED;
	else
		q->what = q->code == 0 ? ICMPMSG_NET_UNREACH : ICMPMSG_HOST_UNREACH;
	q->mtu = q->what == ICMPMSG_TOO_BIG ? q->rest & 0xffff : 0;
	return true;
}

static bool error6(struct icmpmsg_quote *q)
{
	enum { UNREACHABLE = 1, TOO_BIG = 2, EXCEEDED = 3 };

	if (q->type == EXCEEDED)
		q->what = ICMPMSG_TIME_EXCEEDED;
	else if (q->type == TOO_BIG)
		q->what = ICMPMSG_TOO_BIG;
	else if (q->type != UNREACHABLE)
		return false;
	else if (q->code == 4)
		q->what = ICMPMSG_PORT_UNREACH;
	else if (q->code == 1 || q->code == 5 || q->code == 6)
		q->what = ICMPMSG_PROHIBITED;
	else
		q->what = q->code == 0 ? ICMPMSG_NET_UNREACH : ICMPMSG_HOST_UNREACH;
	q->mtu = q->what == ICMPMSG_TOO_BIG ? q->rest : 0;
	return true;
}

/* The quoted header: not whole packets, so ippkt_decode would not have it. False: later fragment. */
static bool quoted4(struct icmpmsg_quote *q, struct rd *r)
{
	struct span head = rd_take(r, IPPKT_V4_HEAD);
	size_t len = r->bad ? 0 : (size_t)(head.p[0] & 15) * 4;

	if (r->bad || head.p[0] >> 4 != 4 || len < IPPKT_V4_HEAD)
		return false;
	rd_take(r, len - IPPKT_V4_HEAD);
	q->proto = head.p[9];
	q->src = ip_v4(head.p + 12);
	q->dst = ip_v4(head.p + 16);
	return ((head.p[6] & 0x1f) | head.p[7]) == 0;
}

static bool quoted6(struct icmpmsg_quote *q, struct rd *r)
{
	enum { FRAGMENT = 44 };
	struct span head = rd_take(r, IPPKT_V6_HEAD);

	if (r->bad || head.p[0] >> 4 != 6)
		return false;
	q->proto = head.p[6];
	q->src = ip_v6(head.p + 8);
	q->dst = ip_v6(head.p + 24);
	if (q->proto == FRAGMENT) {
		head = rd_take(r, IPPKT_V6_FRAG_HEAD);
		if (r->bad || (head.p[2] | (head.p[3] & 0xf8)) != 0)
			return false;
		q->proto = head.p[0];
	}
	return true;
}

ssize_t icmpmsg_quote_decode(struct icmpmsg_quote *out, uint8_t family, struct span in)
{
	struct rd r = rd_of(in);
	struct icmpmsg_quote q = {.type = rd_u8(&r)};

	q.code = rd_u8(&r);
	rd_u16(&r);
	q.rest = rd_u32(&r);
	if (r.bad)
		return -ERR_MALFORMED;
	if (!(family == 4 ? error4(&q) : error6(&q)))
		return -ERR_UNSUPPORTED;
	if (!(family == 4 ? quoted4(&q, &r) : quoted6(&q, &r)))
		return r.bad ? -ERR_MALFORMED : -ERR_UNSUPPORTED;
	for (int i = 0; i < 4; i++)
		q.word[i] = rd_u16(&r);
	if (r.bad)
		return -ERR_MALFORMED;
	if (q.proto != IPPKT_TCP && q.proto != IPPKT_UDP &&
	    q.proto != (family == 4 ? IPPKT_ICMP : IPPKT_ICMP6))
		return -ERR_UNSUPPORTED;
	*out = q;
	return ICMPMSG_HEAD;
}

bool icmpmsg_sum_ok(const struct ip *src, const struct ip *dst, struct span in)
{
	struct ipsum s = sum_of(src, dst, in, span_of(NULL, 0));

	return ipsum_field(&s) == 0;
}

int icmpmsg_encode(struct wr *out, const struct ip *src, const struct ip *dst, uint8_t type,
		   uint8_t code, uint32_t rest, struct span body)
{
	uint8_t b[ICMPMSG_HEAD];
	struct wr w = wr_of(b, sizeof(b)), field = wr_of(b + 2, 2);
	struct ipsum s;

	wr_u8(&w, type);
	wr_u8(&w, code);
	wr_u16(&w, 0);
	wr_u32(&w, rest);
	s = sum_of(src, dst, span_of(b, sizeof(b)), body);
	wr_u16(&field, ipsum_field(&s));
	wr_bytes(out, b, sizeof(b));
	wr_bytes(out, body.p, body.n);
	return out->bad ? -ERR_LIMIT : 0;
}

int icmpmsg_echo_encode(struct wr *out, const struct ip *src, const struct ip *dst,
			const struct icmpmsg_echo *e, struct span payload)
{
	uint8_t type = src->family == 4 ? (e->reply ? V4_REPLY : V4_REQUEST) :
					  (e->reply ? V6_REPLY : V6_REQUEST);

	return icmpmsg_encode(out, src, dst, type, 0, (uint32_t)e->id << 16 | e->seq, payload);
}

int icmpmsg_error_encode(struct wr *out, const struct ip *src, const struct ip *dst,
			 enum icmpmsg_error what, uint32_t mtu, struct span packet)
{
	static const uint8_t v4[][2] = {
		[ICMPMSG_NET_UNREACH] = {3, 0},	 [ICMPMSG_HOST_UNREACH] = {3, 1},
		[ICMPMSG_PORT_UNREACH] = {3, 3}, [ICMPMSG_PROHIBITED] = {3, 13},
		[ICMPMSG_TOO_BIG] = {3, 4},	 [ICMPMSG_TIME_EXCEEDED] = {11, 0},
	};
	static const uint8_t v6[][2] = {
		[ICMPMSG_NET_UNREACH] = {1, 0},	 [ICMPMSG_HOST_UNREACH] = {1, 3},
		[ICMPMSG_PORT_UNREACH] = {1, 4}, [ICMPMSG_PROHIBITED] = {1, 1},
		[ICMPMSG_TOO_BIG] = {2, 0},	 [ICMPMSG_TIME_EXCEEDED] = {3, 0},
	};
	const uint8_t *n = src->family == 4 ? v4[what] : v6[what];
	size_t quote = src->family == 4 ? ICMPMSG_QUOTE_V4 : ICMPMSG_QUOTE_V6;

	if (packet.n > quote)
		packet.n = quote;
	return icmpmsg_encode(out, src, dst, n[0], n[1], what == ICMPMSG_TOO_BIG ? mtu : 0, packet);
}
