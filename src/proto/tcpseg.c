#include "proto/tcpseg.h"

#include "base/err.h"
#include "proto/ippkt.h"
#include "proto/ipsum.h"

enum { OPT_END = 0, OPT_NOP = 1, OPT_MSS = 2, OPT_SCALE = 3 };

/* One option; false when it is cut. */
static bool option(struct tcpseg *s, struct rd *r)
{
	uint8_t kind = rd_u8(r), len;
	struct span body;

	if (kind == OPT_END) {
		r->n = 0;
		return true;
	}
	if (kind == OPT_NOP)
		return true;
	len = rd_u8(r);
	if (r->bad || len < 2)
		return false;
	body = rd_take(r, len - 2u);
	if (r->bad)
		return false;
	if (kind == OPT_MSS) {
		if (len != 4)
			return false;
		s->mss = (uint16_t)(body.p[0] << 8 | body.p[1]);
	} else if (kind == OPT_SCALE) {
		if (len != 3)
			return false;
		s->scales = true;
	}
	return true;
}

ssize_t tcpseg_decode(struct tcpseg *out, struct span in)
{
	struct rd r = rd_of(in);
	struct tcpseg s = {.sport = rd_u16(&r)};
	uint16_t bits;

	s.dport = rd_u16(&r);
	s.seq = rd_u32(&r);
	s.ack = rd_u32(&r);
	bits = rd_u16(&r);
	s.wnd = rd_u16(&r);
	rd_u32(&r); /* sum, urgent pointer */
	s.head = (uint8_t)((bits >> 12) * 4);
	s.flags = bits & 0x3f;
	if (r.bad || s.head < TCPSEG_HEAD || s.head > in.n)
		return -ERR_MALFORMED;
	r.n = s.head - (size_t)TCPSEG_HEAD;
	while (r.n)
		if (!option(&s, &r))
			return -ERR_MALFORMED;
	*out = s;
	return s.head;
}

bool tcpseg_sum_ok(const struct ip *src, const struct ip *dst, struct span in)
{
	struct ipsum sum = ipsum_new();

	ipsum_add_pseudo(&sum, src, dst, IPPKT_TCP, (uint32_t)in.n);
	ipsum_add(&sum, in);
	return ipsum_field(&sum) == 0;
}

int tcpseg_encode(struct wr *out, const struct ip *src, const struct ip *dst,
		  const struct tcpseg *s)
{
	uint8_t b[TCPSEG_HEAD];
	struct wr w = wr_of(b, sizeof(b));
	struct ipsum sum = ipsum_new();
	struct wr field = wr_of(b + 16, 2);

	wr_u16(&w, s->sport);
	wr_u16(&w, s->dport);
	wr_u32(&w, s->seq);
	wr_u32(&w, s->ack);
	wr_u16(&w, TCPSEG_HEAD / 4 << 12 | s->flags);
	wr_u16(&w, s->wnd);
	wr_u32(&w, 0);
	ipsum_add_pseudo(&sum, src, dst, IPPKT_TCP, TCPSEG_HEAD);
	ipsum_add(&sum, span_of(b, sizeof(b)));
	wr_u16(&field, ipsum_field(&sum));
	wr_bytes(out, b, sizeof(b));
	return out->bad ? -ERR_LIMIT : 0;
}

bool tcpseg_refusal(struct tcpseg *out, const struct tcpseg *in, size_t payload)
{
	uint32_t len = (uint32_t)payload + !!(in->flags & TCPSEG_SYN) + !!(in->flags & TCPSEG_FIN);

	if (in->flags & TCPSEG_RST)
		return false;
	*out = (struct tcpseg){.sport = in->dport, .dport = in->sport, .head = TCPSEG_HEAD};
	if (in->flags & TCPSEG_ACK) {
		out->seq = in->ack;
		out->flags = TCPSEG_RST;
	} else {
		out->ack = in->seq + len;
		out->flags = TCPSEG_RST | TCPSEG_ACK;
	}
	return true;
}
