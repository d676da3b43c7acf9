#include "vpn/pktsend.h"

#include "base/err.h"
#include "proto/ippkt.h"

/* @b holds the header's room and then @len bytes of payload. */
static void send_flat(struct pktlink *l, const struct ippkt *head, uint8_t *b, size_t len)
{
	struct wr w = wr_of(b, ippkt_head_len(head));
	struct iovec iov[2];
	struct pktout o = {.iov = iov + 1, .n_iov = 1, .family = head->src.family};

	if (ippkt_encode_head(&w, head, len) != 0)
		return;
	o.len = (uint32_t)(w.n + len);
	o.head = (uint16_t)w.n;
	iov[1] = (struct iovec){b, o.len};
	l->send(l, &o);
}

void pktsend_tcp(struct pktlink *l, const struct ip *src, const struct ip *dst,
		 const struct tcpseg *t)
{
	struct ippkt head = {.src = *src, .dst = *dst, .proto = IPPKT_TCP, .dont_fragment = true};
	uint8_t b[IPPKT_HEAD_MAX + TCPSEG_HEAD];
	struct wr w = wr_of(b + ippkt_head_len(&head), TCPSEG_HEAD);

	if (tcpseg_encode(&w, src, dst, t) == 0)
		send_flat(l, &head, b, w.n);
}

static bool gate_pass(struct error_gate *g, uint64_t now_ms)
{
	if (g->second != now_ms / 1000) {
		g->second = now_ms / 1000;
		g->sent = 0;
	}
	return g->sent++ < ERROR_GATE_PER_S;
}

static uint8_t icmp_of(const struct ip *ip)
{
	return ip->family == 4 ? IPPKT_ICMP : IPPKT_ICMP6;
}

/* RFC 1122, 3.2.2 and RFC 4443, 2.4 (e): what no error may be sent about. */
static bool may_complain(const struct ippkt *p, struct span packet)
{
	uint8_t type;

	if (ip_is_group(&p->dst) || p->frag_off)
		return false;
	if (p->proto != IPPKT_ICMP && p->proto != IPPKT_ICMP6)
		return true;
	if (p->off >= packet.n)
		return false;
	type = packet.p[p->off];
	return p->proto == IPPKT_ICMP ? type == 8 || type == 0 : type >= 128;
}

static void complain(struct pktlink *l, const struct ip *src, const struct ip *dst,
		     enum icmpmsg_error what, uint32_t mtu, struct span quote)
{
	struct ippkt head = {.src = *src, .dst = *dst, .proto = icmp_of(src)};
	uint8_t b[IPPKT_HEAD_MAX + ICMPMSG_HEAD + ICMPMSG_QUOTE_V6];
	struct wr w = wr_of(b + ippkt_head_len(&head), ICMPMSG_HEAD + ICMPMSG_QUOTE_V6);

	if (icmpmsg_error_encode(&w, src, dst, what, mtu, quote) == 0)
		send_flat(l, &head, b, w.n);
}

void pktsend_error(struct pktlink *l, struct error_gate *g, uint64_t now_ms, const struct ip *src,
		   const struct ip *dst, enum icmpmsg_error what, uint32_t mtu, struct span packet)
{
	struct ippkt about;

	if (ippkt_decode(&about, packet) >= 0 && may_complain(&about, packet) &&
	    gate_pass(g, now_ms))
		complain(l, src, dst, what, mtu, packet);
}

void pktsend_bounce(struct pktlink *l, struct error_gate *g, uint64_t now_ms, const struct ip *src,
		    const struct ip *dst, enum icmpmsg_error what, struct span heads)
{
	if (gate_pass(g, now_ms))
		complain(l, src, dst, what, 0, heads);
}

void pktsend_icmp(struct pktlink *l, struct error_gate *g, uint64_t now_ms, const struct ip *src,
		  const struct ip *dst, uint8_t type, uint8_t code, uint32_t rest,
		  struct span packet)
{
	struct ippkt head = {.src = *src, .dst = *dst, .proto = icmp_of(dst)};
	uint8_t b[IPPKT_HEAD_MAX + ICMPMSG_HEAD + ICMPMSG_QUOTE_V6];
	struct wr w = wr_of(b + ippkt_head_len(&head), ICMPMSG_HEAD + ICMPMSG_QUOTE_V6);

	if (!gate_pass(g, now_ms) || src->family != dst->family)
		return;
	if (packet.n > (src->family == 4 ? (size_t)ICMPMSG_QUOTE_V4 : (size_t)ICMPMSG_QUOTE_V6))
		packet.n = src->family == 4 ? ICMPMSG_QUOTE_V4 : ICMPMSG_QUOTE_V6;
	if (icmpmsg_encode(&w, src, dst, type, code, rest, packet) == 0)
		send_flat(l, &head, b, w.n);
}

/* One packet, or fragment: @first and then @rest. 0 or -ERR_*. */
static int send_piece(struct pktlink *l, const struct ippkt *ip, struct span first,
		      struct span rest)
{
	uint8_t b[IPPKT_HEAD_MAX + IPPKT_UDP_HEAD];
	struct wr w = wr_of(b, sizeof(b));
	struct iovec iov[3];
	struct pktout o = {.iov = iov + 1, .n_iov = rest.n ? 2 : 1, .family = ip->src.family};
	int err = ippkt_encode_head(&w, ip, first.n + rest.n);

	if (err)
		return err;
	o.head = (uint16_t)w.n;
	wr_bytes(&w, first.p, first.n);
	iov[1] = (struct iovec){b, w.n};
	iov[2] = (struct iovec){(void *)(uintptr_t)rest.p, rest.n};
	o.len = (uint32_t)(w.n + rest.n);
	return l->send(l, &o);
}

void pktsend_long(struct pktlink *l, size_t mtu, const struct ippkt *ip, struct span head_of_payload,
		  struct span rest)
{
	struct ippkt part = *ip;
	size_t room;

	if (ippkt_head_len(ip) + head_of_payload.n + rest.n <= mtu) {
		send_piece(l, ip, head_of_payload, rest);
		return;
	}
	part.fragment = true;
	room = (mtu - ippkt_head_len(&part)) & ~(size_t)7;
	while (rest.n) {
		size_t n = room - head_of_payload.n < rest.n ? room - head_of_payload.n : rest.n;

		part.more = n < rest.n;
		if (send_piece(l, &part, head_of_payload, span_of(rest.p, n)) != 0)
			return; /* the others would be in vain */
		part.frag_off = (uint16_t)(part.frag_off + head_of_payload.n + n);
		head_of_payload.n = 0;
		rest = span_of(rest.p + n, rest.n - n);
	}
}
