#include "proxy/pkt.h"

struct buf *pkt_prepend(struct buf *pkt, struct span head)
{
	uint8_t *at = buf_push(pkt, head.n);
	struct buf *b;

	if (at) {
		memcpy(at, head.p, head.n);
		return pkt;
	}
	b = buf_new_big(head.n + pkt->len);
	if (b) {
		memcpy(b->data, head.p, head.n);
		memcpy(b->data + head.n, pkt->data, pkt->len);
		b->len = (uint32_t)(head.n + pkt->len);
	}
	buf_free(pkt);
	return b;
}
