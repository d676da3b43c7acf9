#include "vpn/tun.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "proto/ippkt.h"
#include "proto/tcpseg.h"
#include "vpn/tun_dev.h"

enum { WHY_MAX = 200 };

struct tun {
	struct core *core;
	struct loop *loop;
	struct tun_dev_user on_packet;
	struct tun_dev *dev;
	struct tcp_stack *tcp;
	unsigned refs;
};

static void input_tcp(struct tun *t, const struct ippkt *ip, struct buf *pkt,
		      const struct tun_rx *rx)
{
	struct span seg = span_of(pkt->data + ip->off, ip->total - ip->off);

	if (ip->fragment || (!rx->summed && !tcpseg_sum_ok(&ip->src, &ip->dst, seg)))
		buf_free(pkt);
	else
		tcp_stack_input(t->tcp, ip, pkt);
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
	if (ip.proto == IPPKT_TCP)
		input_tcp(t, &ip, pkt, rx);
	else
		buf_free(pkt);
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
	tun_dev_free(t->dev);
	t->core->tun = NULL;
	free(t);
}

int tun_open(struct tun *t, const struct conf_in_tun *conf)
{
	char why[WHY_MAX];

	t->dev = tun_dev_new(t->loop, conf->name, (uint16_t)conf->mtu, &t->on_packet, why,
			     sizeof(why));
	if (!t->dev) {
		log_err("tun", "%s", why);
		return -ERR_SYS;
	}
	t->tcp = tcp_stack_new(t->loop, tun_dev_link(t->dev), NULL);
	if (t->tcp)
		return 0;
	log_err("tun", "%s", err_name(ERR_NOMEM));
	return -ERR_NOMEM;
}

void tun_start(struct tun *t)
{
	tun_dev_start(t->dev);
}

void tun_stop(struct tun *t)
{
	if (t->tcp)
		tcp_stack_listen(t->tcp, NULL);
}

struct loop *tun_loop(const struct tun *t)
{
	return t->loop;
}

struct tcp_stack *tun_tcp(const struct tun *t)
{
	return t->tcp;
}
