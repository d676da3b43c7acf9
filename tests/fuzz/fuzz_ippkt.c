/*
 * Any bytes as an IP packet, and its payload as what it says to be. What is decoded lies inside of
 * the packet; a header that is written anew from it is read back the same.
 */
#include <stdlib.h>

#include "proto/icmpmsg.h"
#include "proto/ippkt.h"
#include "proto/tcpseg.h"

static void check_again(const struct ippkt *p)
{
	static uint8_t b[IPPKT_HEAD_MAX + 65536];
	struct wr w = wr_of(b, sizeof(b));
	size_t payload = p->total - p->off;
	struct ippkt again;

	if (ippkt_encode_head(&w, p, payload) != 0)
		return; /* with fewer extension headers it is never longer, with a new one it may be */
	if (ippkt_decode(&again, span_of(b, w.n + payload)) != (ssize_t)(w.n + payload) ||
	    !ip_eq(&again.src, &p->src) || !ip_eq(&again.dst, &p->dst) ||
	    again.frag_off != p->frag_off || again.more != p->more)
		abort();
}

static void check_payload(const struct ippkt *p, struct span l4)
{
	struct icmpmsg_quote q;
	struct icmpmsg_echo e;
	struct tcpseg t;
	struct udp_head u;
	ssize_t n;

	n = tcpseg_decode(&t, l4);
	if (n > 0 && (n != t.head || (size_t)n > l4.n))
		abort();
	tcpseg_sum_ok(&p->src, &p->dst, l4);
	if (udp_head_decode(&u, l4) > 0 && u.len > l4.n)
		abort();
	udp_sum_ok(p, l4);
	icmpmsg_echo_decode(&e, p->src.family, l4);
	if (icmpmsg_quote_decode(&q, p->src.family, l4) > 0 &&
	    (q.src.family != p->src.family || q.dst.family != p->src.family))
		abort();
	icmpmsg_sum_ok(&p->src, &p->dst, l4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct ippkt p;
	ssize_t n = ippkt_decode(&p, in);

	ippkt_head_sum_ok(in);
	if (n == 0 || n > (ssize_t)size)
		abort();
	if (n < 0)
		return 0;
	if (p.off > p.total || p.total != (uint32_t)n || p.src.family != p.dst.family)
		abort();
	check_payload(&p, span_of(data + p.off, p.total - p.off));
	/* Only the last header names what follows; of others the writer makes none. */
	if (p.proto != 0 && p.proto != 43 && p.proto != 44 && p.proto != 60)
		check_again(&p);
	return 0;
}
