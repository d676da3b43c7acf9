#include "vpn/tcp_stack.h"

#include <stdlib.h>

#include "base/err.h"
#include "crypto/rand.h"
#include "crypto/siphash.h"
#include "proto/ippkt.h"
#include "proto/tcpseg.h"
#include "vpn/pktsend.h"
#include "vpn/tcp_engine.h"

enum {
	BUCKETS = 32768,
	SOURCES = 4096, /* counters of pending SYNs */
	SLOW_EACH = 2,	/* ticks: lwIP's slow timer is its fast one halved */
	MTU_MIN4 = 552, /* as Linux: nobody makes us send less in a packet by saying so */
	MTU_MIN6 = 1280, /* RFC 8200, section 5 */
};

struct tcp_stack {
	struct loop *loop;
	struct pktlink *link;
	struct tcp_stack_user *user;
	struct timer tick;
	struct defer flush;
	bool flush_again;
	unsigned ticks;
	struct list timed, dirty;
	struct list waning[2]; /* closed ones, tombstones: each in the order of its time */
	size_t n_conns, n_pending;
	size_t rx, tx;
	struct error_gate gate;
	uint8_t seed[SIPHASH_SEED];
	uint16_t pending_of[SOURCES];
	struct tcp_conn *bucket[BUCKETS];
};

/* ---- the table ---- */

static struct tcp_conn **bucket(struct tcp_stack *st, const struct ipport *local,
				const struct ipport *remote)
{
	uint8_t b[36];
	struct wr w = wr_of(b, sizeof(b));

	wr_bytes(&w, local->ip.b, 16);
	wr_bytes(&w, remote->ip.b, 16);
	wr_u16(&w, local->port);
	wr_u16(&w, remote->port);
	return &st->bucket[siphash(st->seed, span_of(b, w.n)) % BUCKETS];
}

static struct tcp_conn *find(struct tcp_stack *st, const struct ipport *local,
			     const struct ipport *remote)
{
	struct tcp_conn *c = *bucket(st, local, remote);

	while (c && !(c->remote.port == remote->port && c->local.port == local->port &&
		      ip_eq(&c->remote.ip, &remote->ip) && ip_eq(&c->local.ip, &local->ip)))
		c = c->next;
	return c;
}

static void table(struct tcp_stack *st, struct tcp_conn *c)
{
	struct tcp_conn **b = bucket(st, &c->local, &c->remote);

	c->next = *b;
	*b = c;
	c->in_table = true;
	st->n_conns++;
}

void tcp_stack_untable(struct tcp_stack *st, struct tcp_conn *c)
{
	struct tcp_conn **at;

	if (!c->in_table)
		return;
	for (at = bucket(st, &c->local, &c->remote); *at != c; at = &(*at)->next)
		;
	*at = c->next;
	c->in_table = false;
	st->n_conns--;
}

void tcp_stack_forget(struct tcp_stack *st, struct tcp_conn *c)
{
	tcp_stack_untable(st, c);
	list_del(&c->timed);
	list_del(&c->dirty);
	list_del(&c->waning);
}

/* ---- pending ones ---- */

static uint16_t *pending_of(struct tcp_stack *st, const struct ip *source)
{
	return &st->pending_of[siphash(st->seed, span_of(source->b, 16)) % SOURCES];
}

void tcp_stack_decided(struct tcp_stack *st, struct tcp_conn *c)
{
	st->n_pending--;
	(*pending_of(st, &c->remote.ip))--;
}

/* Takes @pkt. Beyond the bounds a SYN is lost: it comes again. */
static void input_syn(struct tcp_stack *st, const struct ipport *local,
		      const struct ipport *remote, struct buf *pkt)
{
	uint16_t *of_source = pending_of(st, &remote->ip);
	struct tcp_conn *c = NULL;

	if (st->user && st->n_conns < TCP_STACK_CONNS && st->n_pending < TCP_STACK_PENDING &&
	    *of_source < TCP_STACK_PENDING_SOURCE)
		c = tcp_conn_new(st, local, remote);
	if (!c) {
		buf_free(pkt);
		return;
	}
	c->syn = pkt;
	st->n_pending++;
	(*of_source)++;
	table(st, c);
	st->user->on_syn(st->user, c);
}

/* ---- packets ---- */

void tcp_stack_send_reset(struct tcp_stack *st, struct span packet)
{
	struct ippkt ip;
	struct tcpseg t, r;

	if (ippkt_decode(&ip, packet) < 0 ||
	    tcpseg_decode(&t, span_of(packet.p + ip.off, ip.total - ip.off)) < 0 ||
	    !tcpseg_refusal(&r, &t, ip.total - ip.off - t.head))
		return;
	pktsend_tcp(st->link, &ip.dst, &ip.src, &r);
}

void tcp_stack_send_error(struct tcp_stack *st, enum icmpmsg_error what, struct span packet)
{
	struct ippkt ip;

	if (ippkt_decode(&ip, packet) >= 0)
		pktsend_error(st->link, &st->gate, loop_now(st->loop), &ip.dst, &ip.src, what, 0,
			      packet);
}

void tcp_stack_send_bare(struct tcp_stack *st, const struct tcp_conn *c, uint8_t flags,
			 uint32_t seq, uint32_t ack)
{
	struct tcpseg t = {.sport = c->local.port, .dport = c->remote.port, .seq = seq, .ack = ack,
			   .flags = flags, .wnd = 0xffff, .head = TCPSEG_HEAD};

	pktsend_tcp(st->link, &c->local.ip, &c->remote.ip, &t);
}

/* A SYN of our own, which this machine has routed into the device again: never a new connection. */
static bool came_back(struct tcp_stack *st, const struct ipport *to, const struct ipport *from)
{
	struct tcp_conn *c = find(st, from, to);

	if (!c || !c->dialed)
		return false;
	if (c->state == TCP_CONN_OPENING)
		tcp_conn_refuse(c, -ERR_LOOP);
	return true;
}

void tcp_stack_input(struct tcp_stack *st, const struct ippkt *ip, struct buf *pkt)
{
	struct ipport local = {ip->dst, 0}, remote = {ip->src, 0};
	struct tcp_conn *c;
	struct tcpseg t;

	if (ip_is_group(&ip->dst) ||
	    tcpseg_decode(&t, span_of(pkt->data + ip->off, ip->total - ip->off)) < 0) {
		buf_free(pkt);
		return;
	}
	local.port = t.dport;
	remote.port = t.sport;
	c = find(st, &local, &remote);
	if (c && c->tomb && (t.flags & (TCPSEG_SYN | TCPSEG_ACK)) == TCPSEG_SYN) {
		tcp_conn_expire(c); /* clients use their ports again sooner than TIME_WAIT is over */
		c = NULL;
	}
	if (c) {
		tcp_conn_input(c, ip, &t, pkt);
	} else if ((t.flags & (TCPSEG_SYN | TCPSEG_ACK | TCPSEG_RST)) == TCPSEG_SYN) {
		if (came_back(st, &local, &remote))
			buf_free(pkt);
		else
			input_syn(st, &local, &remote, pkt);
	} else {
		tcp_stack_send_reset(st, span_of(pkt->data, ip->total));
		buf_free(pkt);
	}
}

/* What an error means for one who waits for an answer; 0: nothing yet. */
static int failure(const struct icmpmsg_quote *q)
{
	switch (q->what) {
	case ICMPMSG_PORT_UNREACH:
		return -ERR_REFUSED;
	case ICMPMSG_NET_UNREACH:
	case ICMPMSG_HOST_UNREACH:
	case ICMPMSG_PROHIBITED:
		return -ERR_UNREACH;
	default:
		return 0;
	}
}

void tcp_stack_error(struct tcp_stack *st, const struct icmpmsg_quote *q)
{
	struct ipport local = {q->src, q->word[0]}, remote = {q->dst, q->word[1]};
	uint32_t seq = (uint32_t)q->word[2] << 16 | q->word[3];
	struct tcp_conn *c = find(st, &local, &remote);
	uint32_t heads = q->src.family == 4 ? IPPKT_V4_HEAD + TCPSEG_HEAD :
					      IPPKT_V6_HEAD + TCPSEG_HEAD;
	uint32_t least = q->src.family == 4 ? MTU_MIN4 : MTU_MIN6;

	if (!c || !c->pcb || !tcp_engine_sent(c, seq))
		return;
	if (q->what == ICMPMSG_TOO_BIG)
		tcp_engine_shrink(c, (q->mtu < least ? least : q->mtu) - heads);
	else if (c->dialed && c->state == TCP_CONN_OPENING && failure(q))
		tcp_conn_refuse(c, failure(q));
}

struct tcp_conn *tcp_stack_connect(struct tcp_stack *st, const struct ipport *local,
				   const struct ipport *remote, struct tcp_conn_user *user)
{
	struct tcp_conn *c = find(st, local, remote);

	if (c && c->tomb)
		tcp_conn_expire(c);
	else if (c)
		return NULL;
	c = st->n_conns < TCP_STACK_CONNS ? tcp_conn_new(st, local, remote) : NULL;
	if (!c)
		return NULL;
	table(st, c);
	c->state = TCP_CONN_OPENING;
	if (tcp_engine_connect(c) != 0) {
		tcp_conn_drop(c);
		return NULL;
	}
	c->dialed = true;
	c->user = user;
	tcp_stack_time(st, c, true);
	return c;
}

/* ---- time ---- */

static bool idle(const struct tcp_stack *st)
{
	return list_empty(&st->timed) && list_empty(&st->waning[0]) && list_empty(&st->waning[1]);
}

static void arm(struct tcp_stack *st)
{
	if (!timer_on(&st->tick) && !idle(st))
		timer_start(&st->tick, TCP_ENGINE_TICK_MS);
}

void tcp_stack_time(struct tcp_stack *st, struct tcp_conn *c, bool on)
{
	if (!on) {
		list_del(&c->timed); /* the tick stops when it finds nobody */
	} else if (list_empty(&c->timed)) {
		list_add_tail(&st->timed, &c->timed);
		arm(st);
	}
}

void tcp_stack_wane(struct tcp_stack *st, struct tcp_conn *c, unsigned ms)
{
	list_del(&c->waning);
	c->due_ms = loop_now(st->loop) + ms;
	list_add_tail(&st->waning[c->tomb], &c->waning);
	arm(st);
}

static void expire(struct list *l, uint64_t now)
{
	struct tcp_conn *c;

	while ((c = list_first(l, struct tcp_conn, waning)) != NULL && c->due_ms <= now) {
		list_del(&c->waning);
		tcp_conn_expire(c);
	}
}

static void on_tick(struct timer *t)
{
	struct tcp_stack *st = container_of(t, struct tcp_stack, tick);
	bool slow = ++st->ticks % SLOW_EACH == 0;
	uint64_t now = loop_now(st->loop);
	struct list round;

	list_init(&round);
	list_splice_tail(&round, &st->timed);
	while (!list_empty(&round)) {
		struct tcp_conn *c = list_first(&round, struct tcp_conn, timed);

		list_del(&c->timed);
		list_add_tail(&st->timed, &c->timed);
		tcp_conn_tick(c, slow);
	}
	expire(&st->waning[0], now);
	expire(&st->waning[1], now);
	arm(st);
}

/* ---- once per turn ---- */

void tcp_stack_dirty(struct tcp_stack *st, struct tcp_conn *c)
{
	if (!list_empty(&c->dirty))
		return;
	list_add_tail(&st->dirty, &c->dirty);
	defer_ask(&st->flush);
}

/* Readers come first, so that one acknowledgement tells both what came and what room there is. */
static void on_flush(struct defer *d)
{
	struct tcp_stack *st = container_of(d, struct tcp_stack, flush);
	struct list round;

	st->flush_again = !st->flush_again;
	if (st->flush_again) {
		defer_ask(d);
		return;
	}
	list_init(&round);
	list_splice_tail(&round, &st->dirty);
	while (!list_empty(&round)) {
		struct tcp_conn *c = list_first(&round, struct tcp_conn, dirty);

		list_del(&c->dirty);
		tcp_conn_flush(c);
	}
}

/* ---- the rest ---- */

struct loop *tcp_stack_loop(const struct tcp_stack *st)
{
	return st->loop;
}

struct pktlink *tcp_stack_link(const struct tcp_stack *st)
{
	return st->link;
}

bool tcp_stack_crowded(const struct tcp_stack *st)
{
	return st->rx > TCP_STACK_RX / 2 || st->tx > TCP_STACK_TX / 2;
}

bool tcp_stack_full(const struct tcp_stack *st)
{
	return st->rx > TCP_STACK_RX;
}

void tcp_stack_account(struct tcp_stack *st, ssize_t rx, ssize_t tx)
{
	st->rx += (size_t)rx;
	st->tx += (size_t)tx;
}

size_t tcp_stack_count(const struct tcp_stack *st)
{
	return st->n_conns;
}

void tcp_stack_listen(struct tcp_stack *st, struct tcp_stack_user *user)
{
	st->user = user;
}

struct tcp_stack *tcp_stack_new(struct loop *l, struct pktlink *link, struct tcp_stack_user *user)
{
	struct tcp_stack *st = calloc(1, sizeof(*st));

	if (!st || tcp_engine_init() != 0) {
		free(st);
		return NULL;
	}
	st->loop = l;
	st->link = link;
	st->user = user;
	rand_fill(st->seed, sizeof(st->seed));
	list_init(&st->timed);
	list_init(&st->dirty);
	list_init(&st->waning[0]);
	list_init(&st->waning[1]);
	timer_init(&st->tick, l, on_tick);
	defer_init(&st->flush, l, on_flush);
	return st;
}

void tcp_stack_free(struct tcp_stack *st)
{
	if (!st)
		return;
	st->user = NULL;
	for (size_t i = 0; st->n_conns > 0; i++)
		while (st->bucket[i])
			tcp_conn_drop(st->bucket[i]);
	timer_stop(&st->tick);
	defer_cancel(&st->flush);
	free(st);
}
