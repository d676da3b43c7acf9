/*
 * Segments as a hostile client of the TUN would make them, against the stack and the engine below
 * it. Bytes are steps: a segment whose numbers are near those of the connection (so that most are
 * in the window), or any bytes at all; between them the owner accepts, reads, writes, closes. What
 * must hold: no step reads or writes where it should not, every packet that leaves is one, and at
 * the end nothing is left.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/ippkt.h"
#include "proto/tcpseg.h"
#include "vpn/tcp_engine.h"
#include "vpn/tcp_stack.h"

enum { STEPS_MAX = 200, HELPING = 20000, CLIENT_ISN = 1000 };

struct bench {
	struct loop *l;
	struct tcp_stack *st;
	struct pktlink link;
	struct tcp_stack_user on_syn;
	struct stream_user user;
	struct tcp_conn_user on_conn;
	struct tcp_conn *c; /* the one that is played with; NULL: closed */
	uint32_t seen;	    /* what the stack sent last: its next number */
	unsigned full;	    /* so many packets the link does not take */
};

static struct bench *bench_of(struct pktlink *l)
{
	return container_of(l, struct bench, link);
}

static int on_send(struct pktlink *l, const struct pktout *p)
{
	static uint8_t flat[65536 + 40];
	struct wr w = wr_of(flat, sizeof(flat));
	struct ippkt ip;
	struct tcpseg t;

	for (int i = 0; i < p->n_iov; i++)
		wr_bytes(&w, p->iov[i].iov_base, p->iov[i].iov_len);
	if (bench_of(l)->full > 0) {
		bench_of(l)->full--;
		return -ERR_LIMIT;
	}
	if (w.bad || w.n != p->len || ippkt_decode(&ip, span_of(flat, w.n)) != (ssize_t)w.n)
		abort();
	if (ip.proto != IPPKT_TCP)
		return 0;
	if (tcpseg_decode(&t, span_of(flat + ip.off, w.n - ip.off)) < 0)
		abort();
	if (!(t.flags & TCPSEG_RST))
		bench_of(l)->seen = t.seq + (uint32_t)(w.n - ip.off - t.head) +
				    !!(t.flags & (TCPSEG_SYN | TCPSEG_FIN));
	return 0;
}

static void on_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct bench *b = container_of(u, struct bench, user);
	struct bufq q;
	ssize_t n;

	(void)events;
	bufq_init(&q);
	n = stream_read(s, &q, HELPING);
	bufq_clear(&q);
	if (n < 0 && n != -ERR_EOF) {
		stream_close(s, (int)n);
		b->c = NULL;
	} else if (n < 0) {
		stream_want(s, 0);
	}
}

static void on_state(struct tcp_conn_user *u, struct tcp_conn *c, int err)
{
	(void)u;
	(void)c;
	(void)err;
}

static void on_gone(struct tcp_conn_user *u, struct tcp_conn *c)
{
	(void)c;
	container_of(u, struct bench, on_conn)->c = NULL;
}

static void on_syn(struct tcp_stack_user *u, struct tcp_conn *c)
{
	struct bench *b = container_of(u, struct bench, on_syn);

	if (b->c) {
		stream_close(&c->s, -ERR_LIMIT);
		return;
	}
	b->c = c;
	c->user = &b->on_conn;
	stream_attach(&c->s, &b->user);
	stream_want(&c->s, STREAM_READ);
}

/* The payload behind the IP header as a packet from the client. */
static void feed(struct bench *b, struct span seg)
{
	struct ippkt head = {.src = ip_v4((uint8_t[]){10, 0, 0, 2}),
			     .dst = ip_v4((uint8_t[]){10, 0, 0, 1}), .proto = IPPKT_TCP}, ip;
	struct buf *pkt = buf_new_big(IPPKT_V4_HEAD + seg.n);
	struct wr w = wr_of(pkt->data, IPPKT_V4_HEAD + seg.n);

	ippkt_encode_head(&w, &head, seg.n);
	wr_bytes(&w, seg.p, seg.n);
	pkt->len = (uint32_t)w.n;
	if (ippkt_decode(&ip, buf_span(pkt)) < 0)
		abort();
	tcp_stack_input(b->st, &ip, pkt);
}

/* flags, distance to the expected number, acknowledged so far from the end, window, sizes. */
static void segment(struct bench *b, struct rd *r)
{
	uint8_t seg[60 + 4096] = {0}, flags = rd_u8(r);
	uint32_t seq = CLIENT_ISN + rd_u16(r), ack = b->seen - rd_u8(r);
	uint16_t wnd = rd_u16(r);
	size_t options = rd_u8(r) % 11 * 4, len = rd_u16(r) % 4096;
	struct wr w = wr_of(seg, sizeof(seg));

	wr_u16(&w, 4000);
	wr_u16(&w, 80);
	wr_u32(&w, seq);
	wr_u32(&w, ack);
	wr_u16(&w, (unsigned)((20 + options) / 4) << 12 | (flags & 0x3f));
	wr_u16(&w, wnd);
	wr_u32(&w, 0);
	rd_copy(r, wr_room(&w, options), options);
	wr_room(&w, len);
	feed(b, span_of(seg, w.n));
}

static void write_some(struct bench *b, size_t n)
{
	static const uint8_t zeros[4096];
	struct bufq q;

	bufq_init(&q);
	if (bufq_append(&q, span_of(zeros, n % sizeof(zeros) + 1)) == 0 &&
	    stream_write(&b->c->s, &q) < 0) {
		stream_close(&b->c->s, -ERR_RESET);
		b->c = NULL;
	}
	bufq_clear(&q);
}

/* A router says that packets of the path are smaller. */
static void path_shrinks(struct bench *b)
{
	struct icmpmsg_quote q = {.what = ICMPMSG_TOO_BIG, .mtu = 600,
				  .src = b->c->local.ip, .dst = b->c->remote.ip,
				  .proto = IPPKT_TCP,
				  .word = {b->c->local.port, b->c->remote.port,
					   (uint16_t)((b->seen - 1) >> 16), (uint16_t)(b->seen - 1)}};

	tcp_stack_error(b->st, &q);
}

static void own_step(struct bench *b, uint8_t what)
{
	struct stream *s = b->c ? &b->c->s : NULL;

	if (!s)
		return;
	switch (what % 8) {
	case 0:
		tcp_conn_accept(b->c);
		break;
	case 1:
		tcp_conn_refuse(b->c, -(int)(what / 8 % ERR_MAX_));
		break;
	case 2:
		stream_shutdown(s);
		break;
	case 3:
		b->c = NULL;
		stream_close(s, what & 8 ? -ERR_RESET : 0);
		break;
	case 4:
		stream_want(s, 0);
		break;
	case 5:
		stream_want(s, STREAM_READ | STREAM_WRITE);
		break;
	case 6:
		b->full = what / 8;
		if (what / 8 == 7)
			path_shrinks(b);
		break;
	default:
		write_some(b, what * 16u);
	}
}

/* One turn: the loop stops before it would sleep. */
static void turn(struct bench *b)
{
	loop_stop(b->l);
	loop_run(b->l);
}

static void step(struct bench *b, struct rd *r)
{
	uint8_t what = rd_u8(r);

	switch (what % 4) {
	case 0:
	case 1:
		segment(b, r);
		break;
	case 2:
		own_step(b, what / 4);
		break;
	default:
		feed(b, rd_take(r, what / 4 < r->n ? what / 4 : r->n));
	}
	if (what & 0x80)
		turn(b);
	if (b->c && (what & 0x40) && b->c->pcb)
		tcp_conn_tick(b->c, what & 0x20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_of(span_of(data, size));
	struct bench b = {.link = {.mtu = 1500, .csum = true, .tso = size & 1, .send = on_send}};

	b.l = loop_new(0);
	b.on_syn.on_syn = on_syn;
	b.user.on_event = on_event;
	b.on_conn.on_state = on_state;
	b.on_conn.on_gone = on_gone;
	b.st = tcp_stack_new(b.l, &b.link, &b.on_syn);
	if (!b.l || !b.st)
		abort();
	for (int i = 0; i < STEPS_MAX && r.n && !r.bad; i++)
		step(&b, &r);
	if (b.c)
		stream_close(&b.c->s, -ERR_CLOSED);
	tcp_stack_free(b.st);
	loop_free(b.l);
	if (buf_live() != 0 || tcp_engine_faults() != 0)
		abort();
	return 0;
}
