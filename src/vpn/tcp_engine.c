#include "vpn/tcp_engine.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

/* The one name that lwIP's errors and ours share. */
#define ERR_TIMEOUT LWIP_ERR_TIMEOUT
#include <hooks.h>
#include <lwip/init.h>
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#undef ERR_TIMEOUT

#include "base/err.h"
#include "base/log.h"
#include "crypto/rand.h"
#include "crypto/siphash.h"
#include "net/loop.h"
#include "proto/ippkt.h"
#include "proto/ipsum.h"
#include "proto/tcpseg.h"
#include "vpn/pktlink.h"
#include "vpn/tcp_conn.h"
#include "vpn/tcp_stack.h"

enum {
	SEGMENT_MAX = 65400, /* with its headers it still is an IP packet */
	TCP_SUM_AT = 16,
	MSS_MIN = 48, /* as Linux: nobody makes us send a packet for each byte */
	LOG_BURST = 10,
	LOG_EVERY_S = 60,
};

/* lwIP is made of globals; these are its other half. */
static struct {
	bool ready;
	struct netif netif;
	struct tcp_pcb_listen *listener;
	u8_t ext_id;
	u8_t timer_calls;    /* lwIP's own count, which it keeps to itself */
	struct tcp_conn *cur; /* whom the call is about */
	bool hold_acks;
	struct rx_pbuf *rx;   /* the packet that it is about; NULL: none, or lwIP is done with it */
	jmp_buf way_out;      /* of the call, when lwIP finds itself broken */
	unsigned long faults; /* times that it did */
	struct tcp_pcb *wrecks;
	struct log_rate told;
	uint8_t isn_key[16];
} engine;

/* A received packet, or what is left of it, inside of lwIP. */
struct rx_pbuf {
	struct pbuf_custom pc;
	struct buf *buf;
};

static void free_rx(struct pbuf *p)
{
	struct rx_pbuf *r = container_of(p, struct rx_pbuf, pc.pbuf);

	if (engine.rx == r)
		engine.rx = NULL;
	buf_free(r->buf);
	free(r);
}

/* ---- output ---- */

static bool is_bare_ack(const struct pbuf *p, const uint8_t *tcp, size_t head)
{
	return (tcp[13] & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) == TCP_ACK &&
	       p->tot_len == head;
}

/* Leaves the sum to the link, which wants that of the pseudo header in its place, or makes it. */
static void set_sum(const struct tcp_conn *c, struct pktout *o, uint8_t *tcp)
{
	struct ipsum s = ipsum_new();
	struct wr w = wr_of(tcp + TCP_SUM_AT, 2);

	ipsum_add_pseudo(&s, &c->local.ip, &c->remote.ip, IPPKT_TCP, o->len - o->head);
	if (tcp_stack_link(c->st)->csum) {
		o->sum_at = TCP_SUM_AT;
		wr_u16(&w, ipsum_fold(&s));
		return;
	}
	wr_u16(&w, 0);
	ipsum_add(&s, span_of(tcp, o->iov[0].iov_len - o->head));
	for (int i = 1; i < o->n_iov; i++)
		ipsum_add(&s, span_of(o->iov[i].iov_base, o->iov[i].iov_len));
	w = wr_of(tcp + TCP_SUM_AT, 2);
	wr_u16(&w, ipsum_field(&s));
}

static err_t send_packet(struct tcp_conn *c, struct pbuf *p, size_t ip_head)
{
	struct pktlink *link = tcp_stack_link(c->st);
	struct iovec iov[PKTLINK_IOV_MAX + 1];
	struct pktout o = {.iov = iov + 1, .len = p->tot_len, .head = (uint16_t)ip_head};
	uint8_t *tcp = (uint8_t *)p->payload + ip_head;

	o.family = c->local.ip.family;
	o.l4_head = (uint16_t)((tcp[12] >> 4) * 4);
	if (engine.hold_acks && is_bare_ack(p, tcp, ip_head + o.l4_head) && !c->pcb->ooseq) {
		c->ack_due = true;
		return ERR_OK;
	}
	for (struct pbuf *q = p; q; q = q->next) {
		if (o.n_iov == PKTLINK_IOV_MAX)
			return ERR_BUF;
		o.iov[o.n_iov++] = (struct iovec){q->payload, q->len};
	}
	if (o.len - ip_head - o.l4_head > c->mss && c->mss)
		o.gso_size = c->mss;
	set_sum(c, &o, tcp);
	c->unacked = 0;
	c->ack_due = false;
	return link->send(link, &o) == 0 ? ERR_OK : ERR_BUF;
}

static err_t on_output4(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
	(void)n;
	(void)to;
	return engine.cur ? send_packet(engine.cur, p, IPPKT_V4_HEAD) : ERR_OK;
}

static err_t on_output6(struct netif *n, struct pbuf *p, const ip6_addr_t *to)
{
	(void)n;
	(void)to;
	return engine.cur ? send_packet(engine.cur, p, IPPKT_V6_HEAD) : ERR_OK;
}

u32_t lwip_core_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
		    u16_t remote_port)
{
	uint8_t b[2 * sizeof(ip_addr_t) + 4];
	struct wr w = wr_of(b, sizeof(b));

	wr_bytes(&w, local_ip, sizeof(*local_ip));
	wr_bytes(&w, remote_ip, sizeof(*remote_ip));
	wr_u16(&w, local_port);
	wr_u16(&w, remote_port);
	/* RFC 6528: a clock of 4 microseconds and a secret of the four numbers. */
	return (u32_t)(siphash(engine.isn_key, span_of(b, w.n)) + loop_now(NULL) * 250);
}

/* ---- the connection of a call ---- */

/* lwIP's clock is right whenever it looks, also after a time in which no timer ran: a connection
 * that began by an old one would be overdue at the first tick. */
static void enter(struct tcp_conn *c)
{
	tcp_ticks = (u32_t)(loop_now(NULL) / TCP_SLOW_INTERVAL);
	engine.cur = c;
	engine.netif.mtu = tcp_stack_link(c->st)->mtu;
	engine.netif.mtu6 = engine.netif.mtu;
	tcp_active_pcbs = c->pcb;
	if (c->pcb)
		c->pcb->next = NULL;
}

/* TIME_WAIT is ours to keep: a tombstone weighs less, and gives way to a new SYN. */
static void bury(struct tcp_conn *c)
{
	c->tomb = true;
	c->tomb_seq = c->pcb->snd_nxt;
	c->tomb_ack = c->pcb->rcv_nxt;
	tcp_abort(c->pcb);
}

/*
 * Each call into lwIP that may meet an assertion is
 *
 *	if (entered(c))
 *		...;
 *	leave(c);
 *
 * where a broken one ends the first part: the lists hold nothing but this connection, and what lwIP
 * calls only records, so that nobody else is in the middle of anything.
 */
#define entered(c) (enter(c), _setjmp(engine.way_out) == 0)

/* What lwIP had of it is kept and not touched any more: any of it may be wrong. */
static void give_up(struct tcp_conn *c)
{
	struct tcp_pcb *pcb = c->pcb;

	c->pcb = NULL;
	if (c->err == 0)
		c->err = -ERR_RESET;
	if (engine.rx)
		free_rx(&engine.rx->pc.pbuf);
	tcp_bound_pcbs = tcp_tw_pcbs = tcp_input_pcb = NULL;
	tcp_listen_pcbs.listen_pcbs = NULL;
	if (!pcb)
		return;
	pcb->next = engine.wrecks;
	engine.wrecks = pcb;
	tcp_stack_send_bare(c->st, c, TCPSEG_RST | TCPSEG_ACK, pcb->snd_nxt, pcb->rcv_nxt);
}

void lwip_core_broken(const char *what, const char *file, int line)
{
	struct tcp_conn *c = engine.cur;
	char from[64], to[64];
	uint32_t muted;

	if (!c) {
		fprintf(stderr, "lwIP: %s (%s:%d)\n", what, file, line);
		abort();
	}
	engine.faults++;
	if (log_rate_pass(&engine.told, loop_now(NULL), LOG_BURST, LOG_EVERY_S, &muted)) {
		ipport_text(&c->remote, from, sizeof(from));
		ipport_text(&c->local, to, sizeof(to));
		log_err("tun", "a fault of lwIP, please report it: %s (%s:%d); %s > %s is reset",
			what, file, line, from, to);
		if (muted)
			log_err("tun", "%u more such lines were left out", muted);
	}
	give_up(c);
	longjmp(engine.way_out, 1);
}

unsigned long tcp_engine_faults(void)
{
	return engine.faults;
}

static void leave(struct tcp_conn *c)
{
	tcp_active_pcbs = NULL;
	if (c->pcb && c->pcb->state == TIME_WAIT)
		bury(c);
	/* Congestion between us and the local kernel, or the link behind it, is not for us to
	 * control: what is under way is bounded, and a lost segment halves nothing. */
	if (c->pcb && c->pcb->state >= ESTABLISHED)
		c->pcb->cwnd = c->pcb->ssthresh = TCP_SND_BUF;
	engine.cur = NULL;
	engine.hold_acks = false;
}

/* ---- what lwIP calls ---- */

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct tcp_conn *c = arg;

	(void)pcb;
	(void)err;
	if (!p) {
		tcp_conn_on_eof(c);
		return ERR_OK;
	}
	for (struct pbuf *q = p; q; q = q->next) {
		struct rx_pbuf *r = container_of(q, struct rx_pbuf, pc.pbuf);
		size_t off = (size_t)((uint8_t *)q->payload - r->buf->data);
		struct buf *b = buf_slice(r->buf, off, q->len);

		/* Once acknowledged it must not be lost: without memory there is no connection. */
		if (!b) {
			c->err = -ERR_NOMEM;
			pbuf_free(p);
			tcp_abort(c->pcb);
			return ERR_ABRT;
		}
		tcp_conn_on_data(c, b);
	}
	pbuf_free(p);
	return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t n)
{
	(void)pcb;
	tcp_conn_on_sent(arg, n);
	return ERR_OK;
}

static void on_err(void *arg, err_t err)
{
	struct tcp_conn *c = arg;

	if (c->err == 0)
		c->err = err == ERR_CLSD ? 0 :
			 err == ERR_RST && c->state == TCP_CONN_OPENING ? -ERR_REFUSED :
			 err == ERR_RST ? -ERR_RESET : -ERR_TIMEOUT;
}

static void on_destroy(u8_t id, void *data)
{
	struct tcp_conn *c = data;

	(void)id;
	if (c)
		c->pcb = NULL;
}

/* A segment of the engine is this many of the peer's, if somebody cuts it. */
static void set_mss(struct tcp_conn *c, u16_t mss)
{
	unsigned k = tcp_stack_link(c->st)->tso ? SEGMENT_MAX / mss : 1;

	c->mss = mss;
	c->pcb->mss = (u16_t)(mss * (k ? k : 1));
}

static void enlarge_segments(struct tcp_conn *c)
{
	set_mss(c, c->pcb->mss < MSS_MIN ? (u16_t)MSS_MIN : c->pcb->mss);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct tcp_conn *c = arg;

	(void)err;
	enlarge_segments(c);
	pcb->rcv_wnd = pcb->rcv_ann_wnd = TCP_CONN_WND;
	tcp_conn_on_open(c);
	return ERR_OK;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	if (!pcb || err != ERR_OK)
		return ERR_VAL;
	tcp_conn_on_open(arg);
	return ERR_OK;
}

static const struct tcp_ext_arg_callbacks conn_callbacks = {.destroy = on_destroy};

static void adopt(struct tcp_conn *c, struct tcp_pcb *pcb)
{
	c->pcb = pcb;
	tcp_ext_arg_set_callbacks(pcb, engine.ext_id, &conn_callbacks);
	tcp_ext_arg_set(pcb, engine.ext_id, c);
	tcp_arg(pcb, c);
	tcp_recv(pcb, on_recv);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_err);
	tcp_nagle_disable(pcb);
}

/* The options of the SYN are known, its answer is not yet sent. */
static err_t on_passive_open(u8_t id, struct tcp_pcb_listen *l, struct tcp_pcb *pcb)
{
	struct tcp_conn *c = engine.cur;

	(void)id;
	(void)l;
	adopt(c, pcb);
	enlarge_segments(c);
	pcb->rcv_wnd = pcb->rcv_ann_wnd = TCP_CONN_WND;
	return ERR_OK;
}

static const struct tcp_ext_arg_callbacks listen_callbacks = {.passive_open = on_passive_open};

/* ---- set-up ---- */

static err_t on_netif(struct netif *n)
{
	n->output = on_output4;
	n->output_ip6 = on_output6;
	n->flags = NETIF_FLAG_UP | NETIF_FLAG_LINK_UP;
	n->name[0] = 't';
	n->name[1] = 'n';
	return ERR_OK;
}

/* It is never found by its port: it is put into the list, with the right one, for one SYN. */
static int make_listener(void)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY), *l;

	if (!pcb || tcp_bind(pcb, IP_ANY_TYPE, 0) != ERR_OK)
		return -ERR_NOMEM;
	l = tcp_listen(pcb);
	if (!l)
		return -ERR_NOMEM;
	tcp_accept(l, on_accept);
	tcp_ext_arg_set_callbacks(l, engine.ext_id, &listen_callbacks);
	engine.listener = (struct tcp_pcb_listen *)(void *)l;
	tcp_listen_pcbs.listen_pcbs = NULL;
	tcp_bound_pcbs = NULL;
	return 0;
}

int tcp_engine_init(void)
{
	ip4_addr_t any, mask;

	if (engine.ready)
		return 0;
	if (rand_bytes(engine.isn_key, sizeof(engine.isn_key)) != 0)
		return -ERR_SYS;
	lwip_init();
	/* Its addresses mean nothing, but a route needs one. */
	IP4_ADDR(&any, 192, 0, 2, 1);
	IP4_ADDR(&mask, 255, 255, 255, 255);
	if (!netif_add(&engine.netif, &any, &mask, &any, NULL, on_netif, NULL))
		return -ERR_NOMEM;
	netif_set_default(&engine.netif);
	engine.ext_id = tcp_ext_arg_alloc_id();
	if (make_listener() != 0)
		return -ERR_NOMEM;
	engine.ready = true;
	return 0;
}

/* ---- input ---- */

static void to_lwip(ip_addr_t *out, const struct ip *ip)
{
	if (ip->family == 4) {
		ip4_addr_t a;

		memcpy(&a.addr, ip->b, 4);
		ip_addr_copy_from_ip4(*out, a);
	} else {
		ip6_addr_t a = {.addr = {0}};

		memcpy(a.addr, ip->b, 16);
		ip_addr_copy_from_ip6(*out, a);
	}
}

/* What tcp_input is told beside the segment itself. */
static void set_context(const struct ippkt *ip, void *head)
{
	ip_data.current_netif = ip_data.current_input_netif = &engine.netif;
	ip_data.current_ip4_header = ip->src.family == 4 ? head : NULL;
	ip_data.current_ip6_header = ip->src.family == 6 ? head : NULL;
	ip_data.current_ip_header_tot_len = (u16_t)ip->off;
	to_lwip(&ip_data.current_iphdr_src, &ip->src);
	to_lwip(&ip_data.current_iphdr_dest, &ip->dst);
}

/* Takes @pkt. */
static void feed(const struct ippkt *ip, struct buf *pkt)
{
	struct rx_pbuf *r = malloc(sizeof(*r));
	size_t len = ip->total - ip->off;
	struct pbuf *p;

	if (!r || len > 0xffff) {
		buf_free(pkt);
		free(r);
		return;
	}
	r->buf = pkt;
	r->pc.custom_free_function = free_rx;
	p = pbuf_alloced_custom(PBUF_RAW, (u16_t)len, PBUF_REF, &r->pc, pkt->data + ip->off,
				(u16_t)len);
	set_context(ip, pkt->data);
	engine.rx = r;
	tcp_input(p, &engine.netif);
	engine.rx = NULL;
}

void tcp_engine_input(struct tcp_conn *c, const struct ippkt *ip, struct buf *pkt)
{
	if (entered(c)) {
		engine.hold_acks = true;
		feed(ip, pkt);
	}
	leave(c);
}

int tcp_engine_accept(struct tcp_conn *c, const struct ippkt *ip, struct buf *syn)
{
	if (entered(c)) {
		engine.listener->local_port = c->local.port;
		engine.listener->callback_arg = c;
		tcp_listen_pcbs.listen_pcbs = engine.listener;
		feed(ip, syn);
		tcp_listen_pcbs.listen_pcbs = NULL;
	}
	leave(c);
	return c->pcb ? 0 : -ERR_NOMEM;
}

static void dial(struct tcp_conn *c)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(c->local.ip.family == 4 ? IPADDR_TYPE_V4 :
									IPADDR_TYPE_V6);
	ip_addr_t local, remote;

	if (!pcb)
		return;
	to_lwip(&local, &c->local.ip);
	to_lwip(&remote, &c->remote.ip);
	adopt(c, pcb);
	if (tcp_bind(pcb, &local, c->local.port) != ERR_OK ||
	    tcp_connect(pcb, &remote, c->remote.port, on_connected) != ERR_OK)
		tcp_abort(pcb);
	tcp_bound_pcbs = NULL;
}

int tcp_engine_connect(struct tcp_conn *c)
{
	if (entered(c))
		dial(c);
	leave(c);
	return c->pcb ? 0 : -ERR_NOMEM;
}

/* ---- sending ---- */

static uint32_t in_flight(const struct tcp_pcb *pcb)
{
	return pcb->snd_lbb - pcb->lastack;
}

/*
 * How much of @want may be handed to the engine now. Only what fits the window: the engine's queue
 * stays short, and no large segment has to wait for a window that has shrunk. A crumb is kept back
 * while enough is under way for an acknowledgement to come soon; when nothing is under way and the
 * window is closed, one segment starts the engine's probes. And nothing behind a segment that waits,
 * for a window or for the link: lwIP would add to it, and takes for granted that it is no longer
 * than one made now, which windows and paths may have made untrue.
 */
static size_t may_send(const struct tcp_conn *c, size_t want)
{
	const struct tcp_pcb *pcb = c->pcb;
	uint32_t flying = in_flight(pcb), wnd = LWIP_MIN(pcb->snd_wnd, pcb->cwnd);
	size_t room = wnd > flying ? wnd - flying : 0, least;

	if (pcb->unsent)
		return 0;
	if (room > pcb->snd_buf)
		room = pcb->snd_buf;
	if (flying == 0 && room == 0)
		return want < c->mss ? want : c->mss;
	if (want <= room) {
		size_t crumb = want % pcb->mss;

		return (flying >= 4u * c->mss || want > crumb) && !c->shut ? want - crumb : want;
	}
	least = LWIP_MIN(2u * c->mss, pcb->snd_wnd_max / 2);
	if (room < least && flying > 0)
		return 0;
	return room > pcb->mss ? room - room % pcb->mss : room;
}

static void push(struct tcp_conn *c)
{
	size_t n = may_send(c, c->tx_wait.len);

	while (n > 0) {
		struct buf *b = c->tx_wait.head;
		size_t part = b->len < n ? b->len : n;
		const uint8_t *at = b->data;

		if (part > 0xffff)
			part = 0xffff;
		if (tcp_sndqueuelen(c->pcb) > TCP_SND_QUEUELEN / 2 ||
		    tcp_write(c->pcb, at, (u16_t)part, n > part ? TCP_WRITE_FLAG_MORE : 0) != ERR_OK)
			break;
		if (bufq_move(&c->tx_sent, &c->tx_wait, part) != part) {
			c->err = -ERR_NOMEM; /* the engine refers to what we cannot keep */
			tcp_abort(c->pcb);
			return;
		}
		n -= part;
	}
	tcp_output(c->pcb);
}

void tcp_engine_push(struct tcp_conn *c)
{
	if (!c->pcb->unsent && may_send(c, c->tx_wait.len) == 0)
		return;
	if (entered(c))
		push(c);
	leave(c);
}

static void credit(struct tcp_conn *c, size_t n)
{
	engine.hold_acks = true;
	while (n > 0) {
		u16_t part = n > 0xffff ? 0xffff : (u16_t)n;

		tcp_recved(c->pcb, part);
		n -= part;
	}
}

void tcp_engine_credit(struct tcp_conn *c, size_t n)
{
	if (entered(c))
		credit(c, n);
	leave(c);
}

void tcp_engine_ack(struct tcp_conn *c)
{
	/* The engine counts a packet of 64 KiB as one segment and would wait with its
	 * acknowledgement; the sender's slow start would stall. */
	if (!c->ack_due && c->unacked < 2u * c->mss)
		return;
	if (entered(c)) {
		tcp_ack_now(c->pcb);
		tcp_output(c->pcb);
	}
	leave(c);
}

void tcp_engine_shutdown(struct tcp_conn *c)
{
	if (entered(c))
		c->fin_sent = tcp_shutdown(c->pcb, 0, 1) == ERR_OK;
	leave(c);
}

bool tcp_engine_sent(const struct tcp_conn *c, uint32_t seq)
{
	return seq - c->pcb->lastack < c->pcb->snd_nxt - c->pcb->lastack;
}

void tcp_engine_shrink(struct tcp_conn *c, size_t mss)
{
	if (mss >= MSS_MIN && mss < c->mss)
		set_mss(c, (u16_t)mss);
}

void tcp_engine_abort(struct tcp_conn *c)
{
	if (entered(c))
		tcp_abort(c->pcb);
	leave(c);
}

size_t tcp_engine_window_max(const struct tcp_conn *c)
{
	return c->pcb->flags & TF_WND_SCALE ? (size_t)TCP_CONN_WND_MAX : 0xffff;
}

/* ---- time ---- */

/* lwIP asks for its timers; ours run while a connection needs them (tcp_engine_timed). */
void tcp_timer_needed(void)
{
}

bool tcp_engine_timed(const struct tcp_conn *c)
{
	const struct tcp_pcb *p = c->pcb;

	if (!p || p->state == FIN_WAIT_2)
		return false;
	return (p->state != ESTABLISHED && p->state != CLOSE_WAIT) || p->unacked || p->unsent ||
	       p->ooseq || p->persist_backoff ||
	       (p->flags & (TF_ACK_DELAY | TF_ACK_NOW | TF_FIN | TF_CLOSEPEND | TF_NAGLEMEMERR));
}

/* lwIP's timers run over its list, here of one, and count their calls in one byte so as not to
 * visit a connection twice. Each visit is meant: the mark of the last one is set back. */
static void visit(struct tcp_conn *c, void (*timer)(void))
{
	c->pcb->last_timer = engine.timer_calls;
	timer();
	engine.timer_calls++;
}

/* lwIP probes a window that is too small for what waits in front of it, and takes for granted that
 * this is still so when its timer runs. It is not when what was to be sent again is acknowledged
 * after all, when only the first of what the window lets out could be sent, or nothing of it since
 * the link was full. */
static void end_vain_probes(struct tcp_pcb *p)
{
	if (!p->unsent || p->unacked || p->unsent->len <= p->snd_wnd)
		p->persist_backoff = 0;
}

/* It also takes for granted that no part of a segment is longer than one made now: not so where the
 * path's packets have become smaller since. */
static void visit_slowly(struct tcp_conn *c)
{
	u16_t mss = c->pcb->mss;

	end_vain_probes(c->pcb);
	if (c->pcb->persist_backoff)
		c->pcb->mss = 0xffff;
	visit(c, tcp_slowtmr);
	if (c->pcb)
		c->pcb->mss = mss;
}

static void tick(struct tcp_conn *c, bool slow)
{
	u32_t ticks = tcp_ticks;

	visit(c, tcp_fasttmr);
	if (slow && c->pcb) {
		visit_slowly(c);
		tcp_ticks = ticks; /* the call counts, but time does not go by connections */
	}
	if (c->pcb && c->pcb->unsent) /* the link may have been full */
		tcp_output(c->pcb);
}

void tcp_engine_tick(struct tcp_conn *c, bool slow)
{
	if (entered(c))
		tick(c, slow);
	leave(c);
}
