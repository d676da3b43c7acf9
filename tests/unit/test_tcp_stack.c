/*
 * Two stacks back to back in memory: a client's and a server's, with and without offloads, with
 * packets lost and out of order, refused, reset, half-closed, read slowly, by the thousand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* To break one of its connections; the name is also one of ours. */
#define ERR_TIMEOUT LWIP_ERR_TIMEOUT
#include <lwip/tcp.h>
#undef ERR_TIMEOUT

#include "base/buf.h"
#include "base/err.h"
#include "proto/ippkt.h"
#include "proto/tcpseg.h"
#include "vpn/tcp_engine.h"
#include "vpn/tcp_stack.h"

enum { WATCHDOG_MS = 60000, MIB = 1 << 20, FAULTS_MEANT = 8 };

struct bench;

/* A wire in one direction. */
struct wire {
	struct pktlink link;
	struct bench *b;
	struct tcp_stack **to;
	struct bufq queue; /* not for counting: packets are whole bufs */
	struct buf *late;  /* comes after the next one */
	struct defer deliver;
	unsigned count, lose_each, swap_each;
};

/* One end of a connection: sends @todo bytes of a pattern, expects @want of them. */
struct end {
	struct stream_user user;
	struct tcp_conn_user on_conn;
	struct tcp_conn *c;
	struct bench *b;
	size_t sent, todo, got, want;
	size_t helping;	 /* bytes per read; 0: as many as there are */
	struct timer pause; /* between helpings */
	bool shut, eof, done, never_reads;
	int err;
};

struct bench {
	struct loop *l;
	struct tcp_stack *client, *server;
	struct wire up, down;
	struct tcp_stack_user on_syn;
	struct timer watchdog;
	int refuse; /* verdict on every SYN; 0: accept */
	bool silent;
	struct end *ends; /* client's at even, server's at odd places */
	size_t n, next_server, open, finished;
	size_t todo_up, todo_down, helping;
	bool timed_out;
};

static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 31 + (at >> 8) * 7 + 3);
}

/* ---- wires ---- */

static void hand_over(struct wire *w, struct buf *pkt)
{
	struct ippkt ip;

	assert_true(ippkt_decode(&ip, buf_span(pkt)) == pkt->len);
	if (!w->link.csum)
		assert_true(tcpseg_sum_ok(&ip.src, &ip.dst,
					  span_of(pkt->data + ip.off, ip.total - ip.off)) ||
			    ip.proto != IPPKT_TCP);
	if (ip.proto == IPPKT_TCP)
		tcp_stack_input(*w->to, &ip, pkt);
	else
		buf_free(pkt);
}

static void on_deliver(struct defer *d)
{
	struct wire *w = container_of(d, struct wire, deliver);
	struct buf *pkt;

	while ((pkt = bufq_pop(&w->queue)) != NULL) {
		w->count++;
		if (w->lose_each && w->count % w->lose_each == 0) {
			buf_free(pkt);
			continue;
		}
		if (w->swap_each && !w->late && w->count % w->swap_each == 0) {
			w->late = pkt;
			continue;
		}
		hand_over(w, pkt);
		if (w->late) {
			pkt = w->late;
			w->late = NULL;
			hand_over(w, pkt);
		}
	}
}

static int wire_send(struct pktlink *l, const struct pktout *p)
{
	struct wire *w = container_of(l, struct wire, link);
	struct buf *b = buf_new_big(p->len);

	assert_non_null(b);
	for (int i = 0; i < p->n_iov; i++) {
		memcpy(b->data + b->len, p->iov[i].iov_base, p->iov[i].iov_len);
		b->len += (uint32_t)p->iov[i].iov_len;
	}
	assert_int_equal(b->len, p->len);
	assert_true(l->tso || p->len <= l->mtu);
	assert_true(p->gso_size == 0 || p->gso_size + 40u <= l->mtu);
	bufq_push(&w->queue, b);
	defer_ask(&w->deliver);
	return 0;
}

static void wire_init(struct wire *w, struct bench *b, struct tcp_stack **to, bool offloads)
{
	*w = (struct wire){.link = {.mtu = 1500, .csum = offloads, .tso = offloads,
				    .send = wire_send},
			   .b = b, .to = to};
	bufq_init(&w->queue);
	defer_init(&w->deliver, b->l, on_deliver);
}

/* ---- ends ---- */

static void finish(struct end *e)
{
	if (e->done)
		return;
	e->done = true;
	timer_stop(&e->pause);
	stream_close(&e->c->s, 0);
	if (++e->b->finished == 2 * e->b->n)
		loop_stop(e->b->l);
}

static void take_in(struct end *e)
{
	struct bufq q;
	ssize_t n;

	bufq_init(&q);
	n = stream_read(&e->c->s, &q, e->helping ? e->helping : STREAM_READ_MAX);
	if (n == -ERR_EOF)
		e->eof = true;
	else if (n < 0)
		e->err = (int)n;
	for (struct buf *b = q.head; b; b = b->next)
		for (size_t i = 0; i < b->len; i++)
			assert_int_equal(b->data[i], pattern(e->got++));
	bufq_clear(&q);
}

static void give_out(struct end *e)
{
	static uint8_t bytes[8192];
	size_t part = e->todo - e->sent < sizeof(bytes) ? e->todo - e->sent : sizeof(bytes);
	struct bufq q;
	ssize_t n;

	bufq_init(&q);
	for (size_t i = 0; i < part; i++)
		bytes[i] = pattern(e->sent + i);
	assert_int_equal(bufq_append(&q, span_of(bytes, part)), 0);
	n = stream_write(&e->c->s, &q);
	if (n > 0)
		e->sent += (size_t)n;
	else if (n < 0)
		e->err = (int)n;
	bufq_clear(&q);
}

static void set_wants(struct end *e)
{
	stream_want(&e->c->s, (e->eof || e->never_reads || timer_on(&e->pause) ?
				       0u : (unsigned)STREAM_READ) |
				      (e->sent < e->todo ? (unsigned)STREAM_WRITE : 0u));
}

static void look(struct end *e)
{
	if (e->sent == e->todo && !e->shut) {
		e->shut = true;
		stream_shutdown(&e->c->s);
	}
	if (e->err || (e->eof && e->shut))
		finish(e);
	else
		set_wants(e);
}

static void on_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct end *e = container_of(u, struct end, user);

	(void)s;
	if (events & STREAM_READ) {
		take_in(e);
		if (e->helping)
			timer_start(&e->pause, 1);
	}
	if (!e->err && (events & STREAM_WRITE) && e->sent < e->todo)
		give_out(e);
	look(e);
}

static void on_pause(struct timer *t)
{
	set_wants(container_of(t, struct end, pause));
}

static void end_init(struct end *e, struct bench *b, struct tcp_conn *c, size_t todo, size_t want)
{
	e->b = b;
	e->c = c;
	e->todo = todo;
	e->want = want;
	e->user.on_event = on_event;
	timer_init(&e->pause, b->l, on_pause);
	stream_attach(&c->s, &e->user);
	set_wants(e);
	if (todo == 0)
		stream_want(&c->s, STREAM_READ);
}

static void on_state(struct tcp_conn_user *u, struct tcp_conn *c, int err)
{
	struct end *e = container_of(u, struct end, on_conn);

	c->user = NULL;
	e->err = err;
	if (err) {
		e->b->finished++; /* there is no other end */
		finish(e);
		return;
	}
	e->b->open++;
	end_init(e, e->b, c, e->b->todo_up, e->b->todo_down);
	look(e);
}

static void on_syn(struct tcp_stack_user *u, struct tcp_conn *c)
{
	struct bench *b = container_of(u, struct bench, on_syn);
	struct end *e = &b->ends[b->next_server];

	if (b->silent)
		return; /* stays pending */
	if (b->refuse) {
		tcp_conn_refuse(c, b->refuse);
		stream_close(&c->s, b->refuse);
		return;
	}
	b->next_server += 2;
	e->helping = b->helping;
	tcp_conn_accept(c);
	end_init(e, b, c, b->todo_down, b->todo_up);
	look(e);
}

static void on_watchdog(struct timer *t)
{
	struct bench *b = container_of(t, struct bench, watchdog);

	b->timed_out = true;
	loop_stop(b->l);
}

/* ---- the bench ---- */

static struct ipport at(uint8_t family, uint8_t host, uint16_t port)
{
	struct ipport a = {.port = port};

	a.ip = family == 4 ? ip_v4((uint8_t[]){10, 0, 0, host}) :
			     ip_v6((uint8_t[]){0xfd, [15] = host});
	return a;
}

static void bench_init(struct bench *b, size_t n, bool offloads)
{
	memset(b, 0, sizeof(*b));
	b->l = loop_new(0);
	b->n = n;
	b->next_server = 1;
	b->ends = calloc(2 * n, sizeof(*b->ends));
	assert_non_null(b->ends);
	wire_init(&b->up, b, &b->server, offloads);
	wire_init(&b->down, b, &b->client, offloads);
	b->on_syn.on_syn = on_syn;
	b->client = tcp_stack_new(b->l, &b->up.link, NULL);
	b->server = tcp_stack_new(b->l, &b->down.link, &b->on_syn);
	assert_non_null(b->client);
	assert_non_null(b->server);
	timer_init(&b->watchdog, b->l, on_watchdog);
	timer_start(&b->watchdog, WATCHDOG_MS);
}

static void dial(struct bench *b, uint8_t family)
{
	for (size_t i = 0; i < b->n; i++) {
		struct end *e = &b->ends[2 * i];
		struct ipport from = at(family, (uint8_t)(2 + i / 20000),
					(uint16_t)(1024 + i % 20000));
		struct ipport to = at(family, 1, (uint16_t)(1 + i % 1000));

		e->b = b;
		e->on_conn.on_state = on_state;
		timer_init(&e->pause, b->l, on_pause);
		e->c = tcp_stack_connect(b->client, &from, &to, &e->on_conn);
		assert_non_null(e->c);
	}
}

static void bench_run(struct bench *b, uint8_t family)
{
	dial(b, family);
	loop_run(b->l);
	assert_false(b->timed_out);
}

static void bench_fini(struct bench *b)
{
	timer_stop(&b->watchdog);
	for (size_t i = 0; i < 2 * b->n; i++)
		if (b->ends[i].c && !b->ends[i].done)
			stream_close(&b->ends[i].c->s, -ERR_CLOSED);
	tcp_stack_free(b->client);
	tcp_stack_free(b->server);
	bufq_clear(&b->up.queue);
	bufq_clear(&b->down.queue);
	buf_free(b->up.late);
	buf_free(b->down.late);
	defer_cancel(&b->up.deliver);
	defer_cancel(&b->down.deliver);
	loop_free(b->l);
	free(b->ends);
	assert_int_equal(buf_live(), 0);
}

static void all_came(struct bench *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct end *c = &b->ends[2 * i], *s = &b->ends[2 * i + 1];

		assert_int_equal(c->err, 0);
		assert_int_equal(s->err, 0);
		assert_int_equal(c->got, b->todo_down);
		assert_int_equal(s->got, b->todo_up);
	}
}

static void both_ways(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct bench b;

		bench_init(&b, 1, i % 2);
		b.todo_up = 5 * MIB + 1;
		b.todo_down = 3 * MIB + 7;
		bench_run(&b, i < 2 ? 4 : 6);
		all_came(&b);
		bench_fini(&b);
	}
}

static void one_way_ends_first(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 1, true);
	b.todo_up = 0;
	b.todo_down = 2 * MIB;
	bench_run(&b, 4);
	all_came(&b);
	bench_fini(&b);
}

static void loss_and_disorder(void **state)
{
	(void)state;
	for (int offloads = 0; offloads < 2; offloads++) {
		struct bench b;

		bench_init(&b, 2, offloads);
		b.todo_up = b.todo_down = MIB / 2;
		b.up.lose_each = 41;
		b.down.lose_each = 37;
		b.up.swap_each = 11;
		b.down.swap_each = 13;
		bench_run(&b, 4);
		all_came(&b);
		bench_fini(&b);
	}
}

static void a_slow_reader(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 1, true);
	b.todo_up = MIB;
	b.helping = 5000;
	bench_run(&b, 4);
	all_came(&b);
	bench_fini(&b);
}

/* Somebody who never reads must not take more memory than a window and a queue. */
static void on_enough(struct timer *t)
{
	loop_stop(container_of(t, struct bench, watchdog)->l);
}

static void somebody_who_never_reads(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 1, true);
	b.todo_up = 64 * (size_t)MIB;
	b.ends[1].never_reads = true;
	timer_init(&b.watchdog, b.l, on_enough);
	timer_start(&b.watchdog, 300);
	bench_run(&b, 4);
	assert_true(b.ends[0].sent > 0);
	assert_true(b.ends[0].sent <= TCP_CONN_TX + TCP_CONN_WND);
	bench_fini(&b);
}

static void refused(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 1, true);
	b.refuse = -ERR_REFUSED;
	bench_run(&b, 6);
	assert_int_equal(b.ends[0].err, -ERR_REFUSED);
	bench_fini(&b);
}

static void on_reset_time(struct timer *t)
{
	struct bench *b = container_of(t, struct bench, watchdog);
	struct end *e = &b->ends[0];

	timer_init(&b->watchdog, b->l, on_watchdog);
	timer_start(&b->watchdog, WATCHDOG_MS);
	e->done = true;
	b->finished++;
	stream_close(&e->c->s, -ERR_RESET);
}

/* lwIP finds one of eight connections broken, at either end: when bytes come, when some are to be
 * sent, or by its timer. That one is reset, and nothing else happens. */
struct breaking {
	struct timer timer;
	struct bench *b;
	size_t which;
	enum { BY_STATE, BY_QUEUE } how;
};

static void on_break(struct timer *t)
{
	struct breaking *k = container_of(t, struct breaking, timer);
	struct tcp_pcb *pcb = k->b->ends[k->which].c->pcb;

	if (!pcb || pcb->state != ESTABLISHED || k->b->ends[k->which].got < MIB) {
		timer_start(t, 1);
	} else if (k->how == BY_STATE) {
		pcb->state = LISTEN;
	} else if (!pcb->unacked) {
		timer_start(t, 1);
	} else {
		pcb->snd_queuelen = 0;
	}
}

static void a_fault_costs_one_connection(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FAULTS_MEANT; i++) {
		struct bench b;
		struct breaking k = {.b = &b, .which = 2 + i % 2, .how = i / 2 % 2 ? BY_QUEUE : BY_STATE};
		unsigned long before = tcp_engine_faults();

		bench_init(&b, 8, i / 4);
		b.todo_up = b.todo_down = 4 * MIB;
		timer_init(&k.timer, b.l, on_break);
		timer_start(&k.timer, 1);
		bench_run(&b, 4);
		assert_int_equal(tcp_engine_faults(), before + 1);
		for (size_t e = 0; e < 16; e++) {
			bool hit = e / 2 == 1;

			assert_int_equal(b.ends[e].err, hit ? -ERR_RESET : 0);
			if (!hit)
				assert_int_equal(b.ends[e].got, 4 * MIB);
		}
		bench_fini(&b);
	}
}

static void reset_in_the_middle(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 1, true);
	b.todo_up = b.todo_down = 1u << 30;
	timer_init(&b.watchdog, b.l, on_reset_time);
	timer_start(&b.watchdog, 50);
	bench_run(&b, 4);
	assert_int_equal(b.ends[1].err, -ERR_RESET);
	bench_fini(&b);
}

static void ten_thousand(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 10000, true);
	b.todo_up = 100;
	b.todo_down = 3000;
	/* As many SYNs of one address at once are too many: those that are lost come again. */
	bench_run(&b, 4);
	assert_int_equal(b.open, 10000);
	all_came(&b);
	bench_fini(&b);
}

static void pending_ones_are_bounded(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, 5000, true);
	b.silent = true;
	timer_init(&b.watchdog, b.l, on_enough);
	timer_start(&b.watchdog, 100);
	bench_run(&b, 4);
	assert_int_equal(tcp_stack_count(b.server), TCP_STACK_PENDING_SOURCE);
	bench_fini(&b);
}

/* ---- a client made by hand ---- */

enum { BEYOND_RTO = 40 }; /* ticks */

struct handmade {
	struct loop *l;
	struct pktlink link;
	struct tcp_stack *st;
	struct tcp_stack_user on_syn;
	struct stream_user user;
	struct tcp_conn *c;
	uint32_t seen; /* the stack's next number */
	uint32_t data; /* the number of its first byte of data */
	bool full;     /* the link takes nothing */
};

static int handmade_send(struct pktlink *l, const struct pktout *p)
{
	struct handmade *h = container_of(l, struct handmade, link);
	uint8_t flat[4096];
	struct wr w = wr_of(flat, sizeof(flat));
	struct ippkt ip;
	struct tcpseg t;

	if (h->full)
		return -ERR_LIMIT;
	for (int i = 0; i < p->n_iov; i++)
		wr_bytes(&w, p->iov[i].iov_base, p->iov[i].iov_len);
	assert_true(ippkt_decode(&ip, span_of(flat, w.n)) == (ssize_t)w.n);
	assert_true(tcpseg_decode(&t, span_of(flat + ip.off, w.n - ip.off)) > 0);
	h->seen = t.seq + (uint32_t)(w.n - ip.off - t.head) +
		  !!(t.flags & (TCPSEG_SYN | TCPSEG_FIN));
	return 0;
}

static void handmade_on_syn(struct tcp_stack_user *u, struct tcp_conn *c)
{
	struct handmade *h = container_of(u, struct handmade, on_syn);

	h->c = c;
	stream_attach(&c->s, &h->user);
	tcp_conn_accept(c);
}

static void handmade_on_event(struct stream_user *u, struct stream *s, unsigned events)
{
	(void)u;
	(void)s;
	(void)events;
}

static void say(struct handmade *h, uint8_t flags, uint32_t seq, uint32_t ack, uint16_t wnd,
		size_t n)
{
	static const uint8_t zeros[16];
	struct ippkt head = {.src = at(4, 2, 0).ip, .dst = at(4, 1, 0).ip, .proto = IPPKT_TCP}, ip;
	struct buf *pkt = buf_new_big(IPPKT_V4_HEAD + TCPSEG_HEAD + n);
	struct wr w = wr_of(pkt->data, IPPKT_V4_HEAD + TCPSEG_HEAD + n);

	ippkt_encode_head(&w, &head, TCPSEG_HEAD + n);
	wr_u16(&w, 4000);
	wr_u16(&w, 80);
	wr_u32(&w, seq);
	wr_u32(&w, ack);
	wr_u16(&w, (unsigned)(TCPSEG_HEAD / 4) << 12 | flags);
	wr_u16(&w, wnd);
	wr_u32(&w, 0);
	wr_bytes(&w, zeros, n);
	pkt->len = (uint32_t)w.n;
	assert_true(ippkt_decode(&ip, buf_span(pkt)) > 0);
	tcp_stack_input(h->st, &ip, pkt);
}

/* The client has said SYN, and was answered. */
static void handmade_init(struct handmade *h, uint16_t wnd)
{
	*h = (struct handmade){.l = loop_new(0),
			       .link = {.mtu = 1500, .csum = true, .send = handmade_send},
			       .on_syn = {handmade_on_syn}, .user = {handmade_on_event}};
	h->st = tcp_stack_new(h->l, &h->link, &h->on_syn);
	say(h, TCPSEG_SYN, 1000, 0, wnd, 0);
	assert_non_null(h->c);
}

static void handmade_open(struct handmade *h, uint16_t wnd)
{
	handmade_init(h, wnd);
	say(h, TCPSEG_ACK, 1001, h->seen, wnd, 0);
	h->data = h->seen;
}

static void handmade_fini(struct handmade *h)
{
	stream_close(&h->c->s, -ERR_CLOSED);
	tcp_stack_free(h->st);
	loop_free(h->l);
	assert_int_equal(buf_live(), 0);
}

static void write_zeros(struct handmade *h, size_t n)
{
	static const uint8_t zeros[1000];
	struct bufq q = {NULL, NULL, 0};

	assert_int_equal(bufq_append(&q, span_of(zeros, n)), 0);
	assert_int_equal(stream_write(&h->c->s, &q), n);
	tcp_conn_flush(h->c);
}

/* The window shuts while bytes are under way, they are taken back to be sent again, and only then
 * their acknowledgement comes. */
static void acknowledged_behind_a_shut_window(void **state)
{
	struct handmade h;

	(void)state;
	handmade_open(&h, 60000);
	write_zeros(&h, 23);
	assert_int_equal(h.seen - h.data, 23);
	say(&h, TCPSEG_ACK, 1001, h.data, 60000, 1);
	say(&h, TCPSEG_ACK, 1002, h.data, 0, 1);
	for (int i = 0; i < BEYOND_RTO; i++)
		tcp_conn_tick(h.c, true);
	say(&h, TCPSEG_ACK, 1003, h.data + 23, 0, 0);
	for (int i = 0; i < BEYOND_RTO; i++)
		tcp_conn_tick(h.c, true);
	handmade_fini(&h);
}

/* What waits was made when no window was known; then there is one of less than twice that, but the
 * link is full. */
static void a_small_window_and_a_full_link(void **state)
{
	struct handmade h;

	(void)state;
	handmade_open(&h, 0);
	write_zeros(&h, 500);
	assert_int_equal(h.seen, h.data);
	h.full = true;
	say(&h, TCPSEG_ACK, 1001, h.data, 600, 0);
	write_zeros(&h, 10);
	h.full = false;
	tcp_conn_flush(h.c);
	assert_int_equal(h.seen - h.data, 500);
	say(&h, TCPSEG_ACK, 1001, h.seen, 600, 0);
	tcp_conn_flush(h.c);
	assert_int_equal(h.seen - h.data, 510);
	handmade_fini(&h);
}

/* A segment of before the path's packets became smaller is to be cut for a window that is larger
 * than one of now. */
static void a_smaller_path_and_a_small_window(void **state)
{
	struct handmade h;

	(void)state;
	handmade_open(&h, 60000);
	write_zeros(&h, 536);
	assert_int_equal(h.seen - h.data, 536);
	tcp_stack_error(h.st, &(struct icmpmsg_quote){
				      .what = ICMPMSG_TOO_BIG, .mtu = 552, .src = h.c->local.ip,
				      .dst = h.c->remote.ip, .proto = IPPKT_TCP,
				      .word = {80, 4000, (uint16_t)(h.data >> 16),
					       (uint16_t)h.data}});
	assert_int_equal(h.c->mss, 512);
	say(&h, TCPSEG_ACK, 1001, h.data, 60000, 1);
	say(&h, TCPSEG_ACK, 1002, h.data, 520, 1);
	for (int i = 0; i < BEYOND_RTO; i++)
		tcp_conn_tick(h.c, true);
	assert_int_equal(h.seen - h.data, 520);
	say(&h, TCPSEG_ACK, 1003, h.data + 520, 520, 0);
	assert_int_equal(h.seen - h.data, 536);
	handmade_fini(&h);
}

static void on_stop(struct timer *t)
{
	loop_stop(t->loop);
}

/* The first connection of all, after a time in which no clock was needed, is still being opened when
 * the first tick comes: it is not overdue. Has to be the first test. */
static void opened_slowly_after_silence(void **state)
{
	struct handmade h;
	struct timer stop;

	(void)state;
	handmade_init(&h, 60000);
	timer_init(&stop, h.l, on_stop);
	timer_start(&stop, 1500); /* a slow tick or two */
	loop_run(h.l);
	assert_non_null(h.c->pcb);
	say(&h, TCPSEG_ACK, 1001, h.seen, 60000, 0);
	assert_int_equal(h.c->state, TCP_CONN_OPEN);
	handmade_fini(&h);
}

static int no_other_fault(void **state)
{
	(void)state;
	return tcp_engine_faults() == FAULTS_MEANT ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opened_slowly_after_silence),
		cmocka_unit_test(both_ways),
		cmocka_unit_test(one_way_ends_first),
		cmocka_unit_test(loss_and_disorder),
		cmocka_unit_test(a_slow_reader),
		cmocka_unit_test(somebody_who_never_reads),
		cmocka_unit_test(refused),
		cmocka_unit_test(reset_in_the_middle),
		cmocka_unit_test(a_fault_costs_one_connection),
		cmocka_unit_test(ten_thousand),
		cmocka_unit_test(pending_ones_are_bounded),
		cmocka_unit_test(acknowledged_behind_a_shut_window),
		cmocka_unit_test(a_small_window_and_a_full_link),
		cmocka_unit_test(a_smaller_path_and_a_small_window),
	};

	return cmocka_run_group_tests(tests, NULL, no_other_fault);
}
