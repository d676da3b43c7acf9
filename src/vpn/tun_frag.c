#include "vpn/tun_frag.h"

#include <stdlib.h>

#include "base/list.h"

struct piece {
	struct buf *b; /* its payload */
	uint32_t off;
};

/* A packet that is not whole yet. */
struct puzzle {
	struct list node;
	struct ippkt head;
	uint64_t due_ms;
	uint32_t have, whole; /* bytes; @whole 0: the last piece is missing */
	unsigned n;
	struct piece piece[TUN_FRAG_PIECES]; /* in order */
};

struct tun_frag {
	struct loop *loop;
	struct list puzzles; /* oldest first */
	size_t n, bytes;
	struct timer expiry;
};

static void puzzle_free(struct tun_frag *g, struct puzzle *p)
{
	for (unsigned i = 0; i < p->n; i++)
		buf_free(p->piece[i].b);
	g->bytes -= p->have;
	g->n--;
	list_del(&p->node);
	free(p);
}

static void on_expiry(struct timer *t)
{
	struct tun_frag *g = container_of(t, struct tun_frag, expiry);
	uint64_t now = loop_now(g->loop);
	struct puzzle *p;

	while ((p = list_first(&g->puzzles, struct puzzle, node)) != NULL && p->due_ms <= now)
		puzzle_free(g, p);
	if (p)
		timer_start(&g->expiry, p->due_ms - now);
}

static struct puzzle *puzzle_find(struct tun_frag *g, const struct ippkt *ip)
{
	struct puzzle *p;

	list_each(p, &g->puzzles, node)
		if (p->head.frag_id == ip->frag_id && p->head.proto == ip->proto &&
		    ip_eq(&p->head.src, &ip->src) && ip_eq(&p->head.dst, &ip->dst))
			return p;
	return NULL;
}

static struct puzzle *puzzle_new(struct tun_frag *g, const struct ippkt *ip)
{
	struct puzzle *p;

	if (g->n == TUN_FRAG_PACKETS)
		puzzle_free(g, list_first(&g->puzzles, struct puzzle, node));
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->head = *ip;
	p->due_ms = loop_now(g->loop) + TUN_FRAG_MS;
	list_add_tail(&g->puzzles, &p->node);
	g->n++;
	if (!timer_on(&g->expiry))
		timer_start(&g->expiry, TUN_FRAG_MS);
	return p;
}

/* Puts [@off, @off+len of @b) in its place; takes @b. False: the packet is spoilt. */
static bool place(struct tun_frag *g, struct puzzle *p, uint32_t off, bool more, struct buf *b)
{
	uint32_t end = off + b->len;
	unsigned i = p->n;

	while (i > 0 && p->piece[i - 1].off > off)
		i--;
	if (p->n == TUN_FRAG_PIECES || g->bytes + b->len > TUN_FRAG_BYTES || end > 65535 ||
	    (more && b->len % 8) || (p->whole && end > p->whole) ||
	    (i > 0 && p->piece[i - 1].off + p->piece[i - 1].b->len > off) ||
	    (i < p->n && end > p->piece[i].off) || (!more && p->whole && p->whole != end) ||
	    (!more && i < p->n)) {
		buf_free(b);
		return false;
	}
	memmove(&p->piece[i + 1], &p->piece[i], (p->n - i) * sizeof(p->piece[0]));
	p->piece[i] = (struct piece){b, off};
	p->n++;
	p->have += b->len;
	g->bytes += b->len;
	if (!more)
		p->whole = end;
	return true;
}

static struct buf *assemble(const struct puzzle *p)
{
	struct ippkt head = p->head;
	struct buf *b;
	struct wr w;

	head.fragment = head.more = false;
	head.frag_off = 0;
	b = buf_new_big(ippkt_head_len(&head) + p->whole);
	if (!b)
		return NULL;
	w = wr_of(b->data, ippkt_head_len(&head) + p->whole);
	if (ippkt_encode_head(&w, &head, p->whole) != 0) {
		buf_free(b);
		return NULL;
	}
	for (unsigned i = 0; i < p->n; i++)
		wr_bytes(&w, p->piece[i].b->data, p->piece[i].b->len);
	b->len = (uint32_t)w.n;
	return b;
}

struct buf *tun_frag_input(struct tun_frag *g, const struct ippkt *ip, struct buf *pkt)
{
	struct puzzle *p = puzzle_find(g, ip);
	struct buf *whole;

	pkt->len = ip->total;
	buf_pull(pkt, ip->off);
	if (pkt->len == 0) {
		buf_free(pkt);
		return NULL;
	}
	if (!p)
		p = puzzle_new(g, ip);
	if (!p) {
		buf_free(pkt);
		return NULL;
	}
	if (!place(g, p, ip->frag_off, ip->more, pkt)) {
		puzzle_free(g, p);
		return NULL;
	}
	if (!p->whole || p->have < p->whole)
		return NULL;
	whole = assemble(p);
	puzzle_free(g, p);
	return whole;
}

struct tun_frag *tun_frag_new(struct loop *l)
{
	struct tun_frag *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->loop = l;
	list_init(&g->puzzles);
	timer_init(&g->expiry, l, on_expiry);
	return g;
}

void tun_frag_free(struct tun_frag *g)
{
	if (!g)
		return;
	timer_stop(&g->expiry);
	while (!list_empty(&g->puzzles))
		puzzle_free(g, list_first(&g->puzzles, struct puzzle, node));
	free(g);
}
