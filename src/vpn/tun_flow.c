#include "vpn/tun_flow.h"

#include <stdlib.h>

#include "base/err.h"
#include "flow/flow.h"

struct tun_flow {
	struct flow_hook hook;
	struct tcp_conn_user on_conn;
	struct tcp_conn *conn; /* NULL: closed */
	struct flow *f;	       /* out of reach once somebody uses the stream */
};

static void on_verdict(struct flow_hook *h, struct stream **in, int err)
{
	struct tun_flow *t = container_of(h, struct tun_flow, hook);

	(void)in;
	if (t->conn && err)
		tcp_conn_refuse(t->conn, err);
	else if (t->conn)
		tcp_conn_accept(t->conn);
}

static void on_ended(struct flow_hook *h, struct loop *l)
{
	struct tun_flow *t = container_of(h, struct tun_flow, hook);

	(void)l;
	if (t->conn)
		t->conn->user = NULL;
	free(t);
}

/* The client gave up. Whoever uses the stream, a relay or the ferry to another loop, sees it there;
 * until then the flow is on this loop. */
static void on_state(struct tcp_conn_user *u, struct tcp_conn *c, int err)
{
	struct tun_flow *t = container_of(u, struct tun_flow, on_conn);

	if (err && !c->s.user)
		flow_abort(t->f, err);
}

static void on_gone(struct tcp_conn_user *u, struct tcp_conn *c)
{
	(void)c;
	container_of(u, struct tun_flow, on_conn)->conn = NULL;
}

static struct tun_flow *tun_flow_new(struct tcp_conn *c, struct flow *f)
{
	struct tun_flow *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->hook = (struct flow_hook){.verdict = on_verdict, .ended = on_ended};
	t->on_conn = (struct tcp_conn_user){.on_state = on_state, .on_gone = on_gone};
	t->conn = c;
	t->f = f;
	c->user = &t->on_conn;
	f->hook = &t->hook;
	return t;
}

void tun_flow_start(struct inbound *in, struct tcp_conn *c, bool early)
{
	struct conn_info info = {.source = c->remote, .local = c->local};
	struct flow *f = inbound_flow(in, c->s.loop, CONF_TCP, &info);

	if (!f) {
		tcp_conn_refuse(c, -ERR_LIMIT);
		stream_close(&c->s, -ERR_LIMIT);
		return;
	}
	f->origin = FLOW_FROM_LOCAL;
	f->of_tun = true;
	f->level = in->conf->tun.level;
	f->target = addr_from_ipport(&c->local);
	f->in = &c->s;
	if (!tun_flow_new(c, f)) {
		tcp_conn_refuse(c, -ERR_NOMEM);
		flow_abort(f, -ERR_NOMEM);
		return;
	}
	if (early)
		tcp_conn_accept(c);
	flow_dispatch(f);
}
