#include "vpn/tun.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/inbound.h"
#include "proto/icmpmsg.h"
#include "proto/ippkt.h"
#include "proto/tcpseg.h"
#include "vpn/tun_dev.h"
#include "vpn/tun_echo.h"
#include "vpn/tun_frag.h"
#include "vpn/tun_udp.h"

enum { WHY_MAX = 200 };

struct tun {
	struct core *core;
	struct loop *loop;
	struct tun_dev_user on_packet;
	struct tun_dev *dev;
	struct tcp_stack *tcp;
	struct tun_udp *udp;
	struct tun_echo *echo;
	struct tun_frag *frag;
	unsigned refs;
};

static void input_tcp(struct tun *t, const struct ippkt *ip, struct buf *pkt,
		      const struct tun_rx *rx)
{
	struct span seg = span_of(pkt->data + ip->off, ip->total - ip->off);

	if (!rx->summed && !tcpseg_sum_ok(&ip->src, &ip->dst, seg))
		buf_free(pkt);
	else
		tcp_stack_input(t->tcp, ip, pkt);
}

static void input_udp(struct tun *t, const struct ippkt *ip, struct buf *pkt,
		      const struct tun_rx *rx)
{
	struct span d = span_of(pkt->data + ip->off, ip->total - ip->off);

	if (!rx->summed && !udp_sum_ok(ip, d))
		buf_free(pkt);
	else
		tun_udp_input(t->udp, ip, pkt, rx->udp_pieces ? rx->gso_size : 0);
}

/* Somebody says that a packet which left by the device did not arrive. False: it is no error. */
static bool input_error(struct tun *t, const struct ippkt *ip, const struct buf *pkt)
{
	struct span msg = span_of(pkt->data + ip->off, ip->total - ip->off);
	struct icmpmsg_quote q;

	if (icmpmsg_quote_decode(&q, ip->src.family, msg) < 0 ||
	    !icmpmsg_sum_ok(&ip->src, &ip->dst, msg))
		return false;
	if (q.proto == IPPKT_TCP)
		tcp_stack_error(t->tcp, &q);
	else if (q.proto == IPPKT_UDP)
		tun_udp_error(t->udp, &q);
	else
		tun_echo_error(t->echo, &ip->src, &q);
	return true;
}

/* A packet that is whole; takes @pkt. */
static void input(struct tun *t, const struct ippkt *ip, struct buf *pkt, const struct tun_rx *rx)
{
	if (ip->proto == IPPKT_TCP)
		input_tcp(t, ip, pkt, rx);
	else if (ip->proto == IPPKT_UDP)
		input_udp(t, ip, pkt, rx);
	else if (ip->proto == (ip->src.family == 4 ? IPPKT_ICMP : IPPKT_ICMP6) &&
		 !input_error(t, ip, pkt))
		tun_echo_input(t->echo, ip, pkt);
	else
		buf_free(pkt);
}

static void input_fragment(struct tun *t, const struct ippkt *ip, struct buf *pkt)
{
	struct tun_rx unknown = {.summed = false};
	struct ippkt whole;

	if (ip->proto == IPPKT_TCP) { /* no sender does that: TCP knows the MTU */
		buf_free(pkt);
		return;
	}
	pkt = tun_frag_input(t->frag, ip, pkt);
	if (pkt && ippkt_decode(&whole, buf_span(pkt)) > 0)
		input(t, &whole, pkt, &unknown);
	else
		buf_free(pkt);
}

static void on_packet(struct tun_dev_user *u, struct buf *pkt, const struct tun_rx *rx)
{
	struct tun *t = container_of(u, struct tun, on_packet);
	struct ippkt ip;

	if (ippkt_decode(&ip, buf_span(pkt)) < 0 ||
	    (ip.src.family == 4 && !ippkt_head_sum_ok(buf_span(pkt)))) {
		buf_free(pkt);
		return;
	}
	pkt->len = ip.total;
	if (ip.fragment)
		input_fragment(t, &ip, pkt);
	else
		input(t, &ip, pkt, rx);
}

struct tun *tun_ref(struct core *c)
{
	struct tun *t = c->tun;

	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return NULL;
		t->core = c;
		t->loop = c->workers[0].loop;
		t->on_packet.on_packet = on_packet;
		c->tun = t;
	}
	t->refs++;
	return t;
}

void tun_unref(struct tun *t)
{
	if (!t || --t->refs)
		return;
	tcp_stack_free(t->tcp);
	tun_udp_free(t->udp);
	tun_echo_free(t->echo);
	tun_frag_free(t->frag);
	tun_dev_free(t->dev);
	t->core->tun = NULL;
	free(t);
}

static int make_parts(struct tun *t, const struct conf_in_tun *conf)
{
	struct pktlink *link = tun_dev_link(t->dev);

	t->tcp = tcp_stack_new(t->loop, link, NULL);
	t->udp = tun_udp_new(t->loop, link);
	t->echo = tun_echo_new(t->loop, link, conf);
	t->frag = tun_frag_new(t->loop);
	return t->tcp && t->udp && t->echo && t->frag ? 0 : -ERR_NOMEM;
}

int tun_open(struct tun *t, struct inbound *in, struct tcp_stack_user *on_syn)
{
	const struct conf_in_tun *conf = &in->conf->tun;
	char why[WHY_MAX];

	t->dev = tun_dev_new(t->loop, conf->name, (uint16_t)conf->mtu, &t->on_packet, why,
			     sizeof(why));
	if (!t->dev) {
		log_err("tun", "[%s] %s", in->tag, why);
		return -ERR_SYS;
	}
	if (make_parts(t, conf) != 0) {
		log_err("tun", "[%s] %s", in->tag, err_name(ERR_NOMEM));
		return -ERR_NOMEM;
	}
	tcp_stack_listen(t->tcp, on_syn);
	tun_udp_listen(t->udp, in);
	tun_echo_listen(t->echo, in);
	tun_dev_start(t->dev);
	return 0;
}

void tun_stop(struct tun *t)
{
	if (!t->frag)
		return;
	tcp_stack_listen(t->tcp, NULL);
	tun_udp_listen(t->udp, NULL);
	tun_echo_listen(t->echo, NULL);
}

struct loop *tun_loop(const struct tun *t)
{
	return t->loop;
}

struct tcp_stack *tun_tcp(const struct tun *t)
{
	return t->tcp;
}

struct tun_udp *tun_udp_of(const struct tun *t)
{
	return t->udp;
}

struct tun_echo *tun_echo_of(const struct tun *t)
{
	return t->echo;
}
