#include "flow/dns_flows.h"

#include <stdlib.h>

#include "base/err.h"
#include "net/dgram_xpipe.h"

struct dns_call {
	struct flow_taker taker;
	struct flow *f;
	struct dns_call_user *user;
	struct loop *loop;
	struct garbage garbage;
};

static struct flow *query_flow(struct dns_door *d, struct loop *l, unsigned net,
			       const struct addr *to, const char *tag)
{
	struct flow *f = flow_new(container_of(d, struct dns_flows, door)->core, l, net);

	if (!f)
		return NULL;
	f->in_tag = tag;
	f->target = *to;
	f->own_query = true;
	return f;
}

static struct dgram *on_packets(struct dns_door *d, struct loop *l, const struct addr *to,
				const char *tag)
{
	struct dgram *end[2];
	struct flow *f;

	if (dgram_xpipe_new(l, l, end) != 0)
		return NULL;
	f = query_flow(d, l, CONF_UDP, to, tag);
	if (!f) {
		dgram_close(end[0], -ERR_NOMEM);
		dgram_close(end[1], -ERR_NOMEM);
		return NULL;
	}
	f->in_dgram = end[1];
	flow_dispatch(f);
	return end[0];
}

static void destroy(struct garbage *g)
{
	free(container_of(g, struct dns_call, garbage));
}

static void let_go(struct dns_call *c)
{
	c->garbage.destroy = destroy;
	loop_free_later(c->loop, &c->garbage);
}

static void on_taken(struct flow_taker *t, struct stream *out, int err, const char *why)
{
	struct dns_call *c = container_of(t, struct dns_call, taker);

	let_go(c);
	c->user->on_open(c->user, out, err, why);
}

static struct dns_call *on_connect(struct dns_door *d, struct loop *l, const struct addr *to,
				   const char *tag, struct dns_call_user *u)
{
	struct dns_call *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->f = query_flow(d, l, CONF_TCP, to, tag);
	if (!c->f) {
		free(c);
		return NULL;
	}
	c->taker.taken = on_taken;
	c->user = u;
	c->loop = l;
	c->f->taker = &c->taker;
	flow_dispatch(c->f);
	return c;
}

static void on_cancel(struct dns_door *d, struct dns_call *c)
{
	(void)d;
	c->f->taker = NULL;
	flow_abort(c->f, -ERR_CLOSED);
	let_go(c);
}

void dns_flows_init(struct dns_flows *d, struct core *c)
{
	d->door = (struct dns_door){on_packets, on_connect, on_cancel};
	d->core = c;
}
