#include "vpn/tcp_conn.h"

#include <stdlib.h>

#include "base/err.h"
#include "proto/icmpmsg.h"
#include "proto/ippkt.h"
#include "proto/tcpseg.h"
#include "vpn/tcp_engine.h"
#include "vpn/tcp_stack.h"

enum {
	LINGER_MS = 60000, /* what was taken is delivered in this time, or never */
	TOMB_MS = 2000,	   /* a TUN neither delays packets nor changes their order */
	COPY_MAX = 2048,   /* less is copied, so that it does not keep a large block */
};

/* ---- readiness ---- */

static size_t tx_limit(const struct tcp_conn *c)
{
	return tcp_stack_crowded(c->st) ? (size_t)TCP_CONN_TX_WAIT : (size_t)TCP_CONN_TX;
}

static size_t tx_room(const struct tcp_conn *c)
{
	size_t wait = c->tx_wait.len, all = wait + c->tx_sent.len, limit = tx_limit(c);
	size_t room = wait < TCP_CONN_TX_WAIT ? TCP_CONN_TX_WAIT - wait : 0;

	if (all >= limit)
		return 0;
	return room < limit - all ? room : limit - all;
}

static unsigned readiness(const struct tcp_conn *c)
{
	unsigned events = 0;

	if (!bufq_empty(&c->rx) || c->eof || c->state == TCP_CONN_DEAD)
		events |= STREAM_READ;
	if (c->state == TCP_CONN_DEAD || tx_room(c) > 0)
		events |= STREAM_WRITE;
	return events;
}

static void look(struct tcp_conn *c)
{
	if (!c->closed && (readiness(c) & c->s.wanted))
		defer_ask(&c->s.kick);
}

static void on_kick(struct defer *d)
{
	struct tcp_conn *c = tcp_conn_of(container_of(d, struct stream, kick));
	unsigned events = readiness(c) & c->s.wanted;

	if (events && c->s.user)
		c->s.user->on_event(c->s.user, &c->s, events);
	look(c);
}

/* ---- the end of it ---- */

static void destroy(struct garbage *g)
{
	free(tcp_conn_of(container_of(g, struct stream, garbage)));
}

/* The engine is done with it, and so is the user of the stream. */
static void conn_free(struct tcp_conn *c)
{
	if (c->gone)
		return;
	c->gone = true;
	tcp_stack_forget(c->st, c);
	tcp_stack_account(c->st, -(ssize_t)c->rx.len, -(ssize_t)(c->tx_wait.len + c->tx_sent.len));
	buf_free(c->syn);
	bufq_clear(&c->rx);
	bufq_clear(&c->tx_wait);
	bufq_clear(&c->tx_sent);
	stream_dispose(&c->s, destroy);
}

static void tell(struct tcp_conn *c, int err)
{
	if (c->told || !c->user)
		return;
	c->told = true;
	c->user->on_state(c->user, c, err);
}

static void part_from_user(struct tcp_conn *c)
{
	struct tcp_conn_user *u = c->user;

	c->user = NULL;
	if (u && u->on_gone)
		u->on_gone(u, c);
}

static void drop_tx(struct tcp_conn *c)
{
	tcp_stack_account(c->st, 0, -(ssize_t)(c->tx_wait.len + c->tx_sent.len));
	bufq_clear(&c->tx_wait);
	bufq_clear(&c->tx_sent);
}

/* The engine has let go of the connection: after each call into it. */
static void settle(struct tcp_conn *c)
{
	if (c->pcb) {
		tcp_stack_time(c->st, c, tcp_engine_timed(c));
		if (c->state == TCP_CONN_OPEN)
			tell(c, 0);
		return;
	}
	if (c->state == TCP_CONN_DEAD || c->state == TCP_CONN_PENDING)
		return;
	c->state = TCP_CONN_DEAD;
	tcp_stack_time(c->st, c, false);
	drop_tx(c);
	if (c->err == 0)
		c->eof = true;
	if (c->tomb)
		tcp_stack_wane(c->st, c, TOMB_MS);
	else if (c->closed)
		conn_free(c);
	else
		tcp_stack_untable(c->st, c);
	look(c);
	tell(c, c->err ? c->err : -ERR_RESET);
}

static void stir(struct tcp_conn *c)
{
	settle(c);
	if (c->pcb)
		tcp_stack_dirty(c->st, c);
}

void tcp_conn_expire(struct tcp_conn *c)
{
	if (c->pcb) {
		tcp_engine_abort(c);
		settle(c);
		return;
	}
	c->tomb = false;
	tcp_stack_untable(c->st, c);
	if (c->closed)
		conn_free(c);
}

void tcp_conn_drop(struct tcp_conn *c)
{
	part_from_user(c);
	c->closed = true;
	if (c->pcb)
		tcp_engine_abort(c);
	conn_free(c);
}

/* ---- the stream ---- */

static void grow_window(struct tcp_conn *c, size_t n)
{
	size_t most = c->pcb ? tcp_engine_window_max(c) : 0, more;

	/* The reader keeps up, and has shown so for a whole window. */
	if (!bufq_empty(&c->rx) || c->seen < c->wnd || c->wnd >= most || tcp_stack_crowded(c->st))
		return;
	more = most - c->wnd < n ? most - c->wnd : n;
	c->wnd += (uint32_t)more;
	c->owed += (uint32_t)more;
	c->seen = 0;
}

static ssize_t conn_read(struct stream *s, struct bufq *into, size_t max)
{
	struct tcp_conn *c = tcp_conn_of(s);
	size_t n;

	if (bufq_empty(&c->rx)) {
		if (c->state == TCP_CONN_DEAD && c->err)
			return c->err;
		return c->eof ? -ERR_EOF : 0;
	}
	n = bufq_move(into, &c->rx, max);
	if (n == 0)
		return -ERR_NOMEM;
	tcp_stack_account(c->st, -(ssize_t)n, 0);
	if (c->pcb) {
		c->owed += (uint32_t)n;
		grow_window(c, n);
		tcp_stack_dirty(c->st, c);
	}
	return (ssize_t)n;
}

/* Small ones are packed: a packet has room for few pieces. */
static size_t take_one(struct bufq *to, struct bufq *from, size_t room)
{
	struct buf *b = from->head;
	size_t n = b->len < room ? b->len : room;

	if (b->len > COPY_MAX)
		return bufq_move(to, from, n);
	if (bufq_append(to, span_of(b->data, n)) != 0)
		return 0;
	bufq_drop(from, n);
	return n;
}

static ssize_t conn_write(struct stream *s, struct bufq *from)
{
	struct tcp_conn *c = tcp_conn_of(s);
	size_t room = tx_room(c), taken = 0;

	if (c->state == TCP_CONN_DEAD)
		return c->err ? c->err : -ERR_RESET;
	if (c->shut)
		return -ERR_RESET;
	while (taken < room && !bufq_empty(from)) {
		size_t n = take_one(&c->tx_wait, from, room - taken);

		if (n == 0)
			break;
		taken += n;
	}
	if (taken == 0)
		return room && !bufq_empty(from) ? -ERR_NOMEM : 0;
	tcp_stack_account(c->st, 0, (ssize_t)taken);
	if (c->pcb)
		tcp_stack_dirty(c->st, c);
	return (ssize_t)taken;
}

static void conn_want(struct stream *s, unsigned events)
{
	s->wanted = events;
	look(tcp_conn_of(s));
}

static void conn_shutdown(struct stream *s)
{
	struct tcp_conn *c = tcp_conn_of(s);

	c->shut = true;
	if (c->pcb)
		tcp_stack_dirty(c->st, c);
}

static void close_open(struct tcp_conn *c, int err)
{
	bool unread = !bufq_empty(&c->rx);

	tcp_stack_account(c->st, -(ssize_t)c->rx.len, 0);
	bufq_clear(&c->rx);
	if (err || unread) {
		tcp_engine_abort(c);
		settle(c);
		return;
	}
	c->shut = true;
	tcp_stack_wane(c->st, c, LINGER_MS);
	tcp_stack_dirty(c->st, c);
}

static void conn_close(struct stream *s, int err)
{
	struct tcp_conn *c = tcp_conn_of(s);

	s->user = NULL;
	s->wanted = 0;
	part_from_user(c);
	c->closed = true;
	if (c->state == TCP_CONN_PENDING)
		tcp_conn_refuse(c, -ERR_REFUSED);
	if (c->pcb)
		close_open(c, err);
	else if (!c->tomb)
		conn_free(c);
}

static const struct stream_ops ops = {
	.name = "tun",
	.read = conn_read,
	.write = conn_write,
	.want = conn_want,
	.shutdown = conn_shutdown,
	.close = conn_close,
};

struct tcp_conn *tcp_conn_new(struct tcp_stack *st, const struct ipport *local,
			      const struct ipport *remote)
{
	struct tcp_conn *c = calloc(1, sizeof(*c));
	struct loop *l = tcp_stack_loop(st);

	if (!c)
		return NULL;
	stream_init(&c->s, &ops, l);
	defer_init(&c->s.kick, l, on_kick); /* ours looks at the queues */
	c->st = st;
	c->local = *local;
	c->remote = *remote;
	c->wnd = TCP_CONN_WND;
	list_init(&c->timed);
	list_init(&c->dirty);
	list_init(&c->waning);
	bufq_init(&c->rx);
	bufq_init(&c->tx_wait);
	bufq_init(&c->tx_sent);
	return c;
}

/* ---- the verdict ---- */

void tcp_conn_accept(struct tcp_conn *c)
{
	struct buf *syn = c->syn;
	struct ippkt ip;

	if (c->state != TCP_CONN_PENDING || !syn)
		return;
	c->syn = NULL;
	tcp_stack_decided(c->st, c);
	if (ippkt_decode(&ip, buf_span(syn)) < 0)
		return;
	c->state = TCP_CONN_OPENING;
	if (tcp_engine_accept(c, &ip, syn) != 0)
		c->err = -ERR_NOMEM;
	stir(c);
}

static void answer_refused(struct tcp_conn *c, int err)
{
	switch (-err) {
	case ERR_TIMEOUT:
	case ERR_NOMEM:
	case ERR_LIMIT: /* the client will ask again */
	case ERR_CLOSED:
		return;
	case ERR_REFUSED:
	case ERR_RESET:
	case ERR_LOOP:
		tcp_stack_send_reset(c->st, buf_span(c->syn));
		return;
	case ERR_BLOCKED:
		tcp_stack_send_error(c->st, ICMPMSG_PROHIBITED, buf_span(c->syn));
		return;
	default:
		tcp_stack_send_error(c->st, ICMPMSG_HOST_UNREACH, buf_span(c->syn));
	}
}

void tcp_conn_refuse(struct tcp_conn *c, int err)
{
	if (c->state == TCP_CONN_PENDING && c->syn) {
		answer_refused(c, err);
		buf_free(c->syn);
		c->syn = NULL;
		tcp_stack_decided(c->st, c);
		tcp_stack_untable(c->st, c);
		c->state = TCP_CONN_DEAD;
		c->err = err;
	} else if (c->pcb) {
		c->err = err;
		tcp_engine_abort(c);
		settle(c);
	}
}

/* ---- packets ---- */

/* The SYN came again, or its sender has given up. Takes @pkt. */
static void input_pending(struct tcp_conn *c, const struct tcpseg *t, struct buf *pkt)
{
	if ((t->flags & TCPSEG_SYN) && !(t->flags & TCPSEG_ACK)) {
		buf_free(c->syn); /* the same, or of a new try from the same port */
		c->syn = pkt;
		return;
	}
	buf_free(pkt);
	if (!(t->flags & TCPSEG_RST))
		return;
	buf_free(c->syn);
	c->syn = NULL;
	tcp_stack_decided(c->st, c);
	tcp_stack_untable(c->st, c);
	c->state = TCP_CONN_DEAD;
	c->err = -ERR_RESET;
	look(c);
	tell(c, -ERR_RESET);
}

static void input_tomb(struct tcp_conn *c, const struct ippkt *ip, const struct tcpseg *t)
{
	if (t->flags & TCPSEG_RST)
		tcp_conn_expire(c);
	else if ((t->flags & TCPSEG_FIN) || ip->total - ip->off > t->head)
		tcp_stack_send_bare(c->st, c, TCPSEG_ACK, c->tomb_seq, c->tomb_ack);
}

void tcp_conn_input(struct tcp_conn *c, const struct ippkt *ip, const struct tcpseg *t,
		    struct buf *pkt)
{
	size_t payload = ip->total - ip->off - t->head;

	if (c->state == TCP_CONN_PENDING) {
		input_pending(c, t, pkt);
		return;
	}
	if (!c->pcb) {
		if (c->tomb)
			input_tomb(c, ip, t);
		buf_free(pkt);
		return;
	}
	if (payload && c->closed) { /* nobody will read it: as any host says so */
		buf_free(pkt);
		tcp_engine_abort(c);
		settle(c);
		return;
	}
	if (payload && tcp_stack_full(c->st)) {
		buf_free(pkt); /* comes again */
		return;
	}
	tcp_engine_input(c, ip, pkt);
	stir(c);
}

void tcp_conn_flush(struct tcp_conn *c)
{
	if (c->pcb && c->owed) {
		size_t n = c->owed;

		c->owed = 0;
		tcp_engine_credit(c, n);
	}
	if (c->pcb && c->state == TCP_CONN_OPEN && !bufq_empty(&c->tx_wait))
		tcp_engine_push(c);
	if (c->pcb && c->state == TCP_CONN_OPEN && c->shut && !c->fin_sent &&
	    bufq_empty(&c->tx_wait))
		tcp_engine_shutdown(c);
	if (c->pcb)
		tcp_engine_ack(c);
	settle(c);
}

void tcp_conn_tick(struct tcp_conn *c, bool slow)
{
	tcp_engine_tick(c, slow);
	stir(c);
}

/* ---- what the engine tells ---- */

void tcp_conn_on_open(struct tcp_conn *c)
{
	c->state = TCP_CONN_OPEN;
}

void tcp_conn_on_data(struct tcp_conn *c, struct buf *b)
{
	size_t n = b->len;

	c->unacked += (uint32_t)n;
	c->seen += (uint32_t)n;
	if (n > COPY_MAX || bufq_append(&c->rx, buf_span(b)) != 0)
		bufq_push(&c->rx, b);
	else
		buf_free(b);
	tcp_stack_account(c->st, (ssize_t)n, 0);
	look(c);
}

void tcp_conn_on_eof(struct tcp_conn *c)
{
	c->eof = true;
	look(c);
}

void tcp_conn_on_sent(struct tcp_conn *c, size_t n)
{
	if (n > c->tx_sent.len)
		n = c->tx_sent.len; /* our FIN counts as a byte */
	bufq_drop(&c->tx_sent, n);
	tcp_stack_account(c->st, 0, -(ssize_t)n);
	look(c);
}
