#include "vpn/in_tun.h"

#include <stdlib.h>

#include "base/err.h"
#include "vpn/tun.h"
#include "vpn/tun_flow.h"

struct in_tun {
	struct inbound in;
	struct tcp_stack_user on_syn;
	struct tun *tun;
};

/* Sniffing wants the client's first bytes, which come only after an answer. */
static bool early(const struct conf_inbound *conf)
{
	return conf->tun.early_accept || conf->sniff.enabled;
}

static void on_syn(struct tcp_stack_user *u, struct tcp_conn *c)
{
	struct in_tun *t = container_of(u, struct in_tun, on_syn);

	tun_flow_start(&t->in, c, early(t->in.conf));
}

static int tun_in_start(struct inbound *in)
{
	struct in_tun *t = container_of(in, struct in_tun, in);

	return tun_open(t->tun, in, &t->on_syn);
}

static void tun_in_stop(struct inbound *in)
{
	tun_stop(container_of(in, struct in_tun, in)->tun);
}

static void tun_in_free(struct inbound *in)
{
	struct in_tun *t = container_of(in, struct in_tun, in);

	tun_unref(t->tun);
	free(t);
}

static const struct inbound_ops in_ops = {
	.protocol = "tun",
	.start = tun_in_start,
	.stop = tun_in_stop,
	.free = tun_in_free,
};

struct inbound *in_tun_new(struct core *c, const struct conf_inbound *conf)
{
	struct in_tun *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->tun = tun_ref(c);
	if (!t->tun) {
		free(t);
		return NULL;
	}
	t->in = (struct inbound){.ops = &in_ops, .conf = conf, .core = c, .tag = conf->tag};
	t->on_syn.on_syn = on_syn;
	return &t->in;
}
