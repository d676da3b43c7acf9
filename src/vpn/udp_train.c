#include "vpn/udp_train.h"

#include <stdlib.h>

#include "crypto/rand.h"
#include "proto/ippkt.h"
#include "proto/ipsum.h"
#include "vpn/pktsend.h"

enum {
	TRAIN_MAX = 64,
	TRAIN_BYTES = 65000,
	UDP_SUM_AT = 6,
};

struct udp_train {
	struct loop *loop;
	struct pktlink *link;
	struct defer flush;
	uint32_t next_id;
	struct ipport from, to;
	size_t mtu, piece, bytes;
	unsigned n;
	struct buf *wagon[TRAIN_MAX];
};

static struct ippkt head_of(struct udp_train *t)
{
	return (struct ippkt){.src = t->from.ip,
			      .dst = t->to.ip,
			      .proto = IPPKT_UDP,
			      .frag_id = t->next_id++};
}

static void empty(struct udp_train *t)
{
	for (unsigned i = 0; i < t->n; i++)
		buf_free(t->wagon[i]);
	t->n = 0;
	t->bytes = 0;
}

/* The field as the link wants it: of the pseudo header, or of all. */
static uint16_t sum_field(const struct udp_train *t, const struct udp_head *h, bool left)
{
	struct ipsum s = ipsum_new();

	if (!left)
		return udp_sum(&t->from.ip, &t->to.ip, h, buf_span(t->wagon[0]));
	ipsum_add_pseudo(&s, &t->from.ip, &t->to.ip, IPPKT_UDP, h->len);
	return ipsum_fold(&s);
}

static void send_whole(struct udp_train *t)
{
	struct udp_head h = {t->from.port, t->to.port, (uint16_t)(IPPKT_UDP_HEAD + t->bytes)};
	uint8_t b[IPPKT_HEAD_MAX + IPPKT_UDP_HEAD];
	struct iovec iov[TRAIN_MAX + 2];
	struct wr w = wr_of(b, sizeof(b));
	struct ippkt ip = head_of(t);
	struct pktout o = {.iov = iov + 1, .family = ip.src.family, .udp = true};

	if (ippkt_encode_head(&w, &ip, h.len) != 0)
		return;
	o.head = (uint16_t)w.n;
	o.l4_head = IPPKT_UDP_HEAD;
	o.sum_at = t->link->csum ? UDP_SUM_AT : 0;
	o.gso_size = t->n > 1 ? (uint16_t)t->piece : 0;
	udp_head_encode(&w, &h, sum_field(t, &h, t->link->csum));
	o.len = (uint32_t)(w.n + t->bytes);
	o.iov[o.n_iov++] = (struct iovec){b, w.n};
	for (unsigned i = 0; i < t->n; i++)
		o.iov[o.n_iov++] = (struct iovec){t->wagon[i]->data, t->wagon[i]->len};
	t->link->send(t->link, &o);
}

static void send_fragments(struct udp_train *t)
{
	struct udp_head h = {t->from.port, t->to.port, (uint16_t)(IPPKT_UDP_HEAD + t->bytes)};
	uint8_t b[IPPKT_UDP_HEAD];
	struct wr w = wr_of(b, sizeof(b));
	struct ippkt ip = head_of(t);

	udp_head_encode(&w, &h, sum_field(t, &h, false));
	pktsend_long(t->link, t->mtu, &ip, span_of(b, w.n), buf_span(t->wagon[0]));
}

static void leave(struct udp_train *t)
{
	size_t head = (t->from.ip.family == 4 ? IPPKT_V4_HEAD : IPPKT_V6_HEAD) + IPPKT_UDP_HEAD;

	if (t->n == 1 && head + t->bytes > t->mtu)
		send_fragments(t);
	else if (t->n)
		send_whole(t);
	empty(t);
}

static void on_flush(struct defer *d)
{
	leave(container_of(d, struct udp_train, flush));
}

static bool fits(const struct udp_train *t, const struct ipport *from, const struct ipport *to,
		 const struct buf *b)
{
	return t->n && t->link->uso && t->n < TRAIN_MAX && b->len && b->len <= t->piece &&
	       t->wagon[t->n - 1]->len == t->piece && t->bytes + b->len <= TRAIN_BYTES &&
	       t->piece + IPPKT_V6_HEAD + IPPKT_UDP_HEAD <= t->mtu &&
	       ipport_eq(&t->from, from) && ipport_eq(&t->to, to);
}

void udp_train_send(struct udp_train *t, const struct ipport *from, const struct ipport *to,
		    uint16_t mtu, struct buf *payload)
{
	if (payload->len > 65535 - IPPKT_V4_HEAD - IPPKT_UDP_HEAD) {
		buf_free(payload);
		return;
	}
	if (!fits(t, from, to, payload)) {
		leave(t);
		t->from = *from;
		t->to = *to;
		t->mtu = mtu && mtu < t->link->mtu ? mtu : t->link->mtu;
		t->piece = payload->len;
	}
	t->wagon[t->n++] = payload;
	t->bytes += payload->len;
	defer_ask(&t->flush);
}

struct udp_train *udp_train_new(struct loop *l, struct pktlink *link)
{
	struct udp_train *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->loop = l;
	t->link = link;
	rand_fill(&t->next_id, sizeof(t->next_id));
	defer_init(&t->flush, l, on_flush);
	return t;
}

void udp_train_free(struct udp_train *t)
{
	if (!t)
		return;
	defer_cancel(&t->flush);
	empty(t);
	free(t);
}
