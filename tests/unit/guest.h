/* An inbound of one flow for tests of outbounds: a client's end, and what it is told. */
#ifndef GARENNE_TEST_GUEST_H
#define GARENNE_TEST_GUEST_H

#include "rig.h"

struct guest {
	struct flow_hook hook;
	int verdict, verdicts, ended;
	int fd; /* of the client; -1 for UDP */
	struct dgram d;
	struct addr from; /* of the last answer */
	struct addr back; /* of the last datagram that came back */
	int back_err;
	char got[512];
	size_t got_n;
};

static inline void guest_verdict(struct flow_hook *h, struct stream **in, int err)
{
	struct guest *g = container_of(h, struct guest, hook);

	(void)in;
	g->verdict = err;
	g->verdicts++;
}

static inline void guest_ended(struct flow_hook *h, struct loop *l)
{
	(void)l;
	container_of(h, struct guest, hook)->ended++;
}

static inline void guest_send(struct dgram *d, const struct addr *from, struct buf *pkt)
{
	struct guest *g = container_of(d, struct guest, d);

	g->from = *from;
	g->got_n = pkt->len;
	memcpy(g->got, pkt->data, pkt->len < sizeof(g->got) ? pkt->len : sizeof(g->got));
	buf_free(pkt);
}

static inline void guest_bounce(struct dgram *d, const struct addr *to, int err)
{
	struct guest *g = container_of(d, struct guest, d);

	g->back = *to;
	g->back_err = err;
}

static inline void guest_close(struct dgram *d, int err)
{
	(void)d;
	(void)err;
}

/* A flow to @to, ready for flow_dispatch. */
static inline struct flow *guest_visit(struct rig *r, struct guest *g, unsigned net,
				       const struct addr *to)
{
	static const struct dgram_ops ops = {
		.name = "guest", .send = guest_send, .close = guest_close,
		.bounce = guest_bounce};
	struct flow *f = flow_new(&r->core, r->l, net);

	memset(g, 0, sizeof(*g));
	g->hook = (struct flow_hook){.verdict = guest_verdict, .ended = guest_ended};
	g->fd = -1;
	f->hook = &g->hook;
	f->source = r->info.source;
	f->local = r->info.local;
	f->target = *to;
	f->in_half_close = true;
	if (net == CONF_TCP) {
		f->in = turn_pair(r->l, &g->fd);
	} else {
		dgram_init(&g->d, &ops, r->l);
		f->in_dgram = &g->d;
	}
	return f;
}

static inline void guest_leave(struct rig *r, struct guest *g)
{
	if (g->fd < 0)
		return;
	close(g->fd);
	turn_until(r->l, g->ended);
}

static inline void guest_put(struct guest *g, const struct addr *to, const char *text)
{
	dgram_deliver(&g->d, to, buf_copy(span_str(text)));
}

#endif
