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
