#include "vpn/tun_flow.h"

#include <stdlib.h>

#include "base/err.h"
#include "flow/flow.h"

struct tun_flow {
	struct flow_hook hook;
	struct tcp_conn_user on_conn;
	struct tcp_conn *conn; /* NULL: closed. Of the device's loop, as all but @f is */
	struct flow *f;	       /* until it moved to another loop, or ended */
	struct loop *home;
	int err;
	struct post verdict, ended;
};

static void decide(struct tun_flow *t)
{
	if (t->conn && t->err)
		tcp_conn_refuse(t->conn, t->err);
	else if (t->conn)
		tcp_conn_accept(t->conn);
}

static void on_verdict_post(struct loop *l, struct post *p)
{
	(void)l;
	decide(container_of(p, struct tun_flow, verdict));
}

static void on_verdict(struct flow_hook *h, struct flow *f, int err)
{
	struct tun_flow *t = container_of(h, struct tun_flow, hook);

	t->err = err;
	if (f->loop == t->home) {
		decide(t);
		return;
	}
	t->verdict.run = on_verdict_post;
	loop_post(t->home, &t->verdict);
}

static void tun_flow_free(struct tun_flow *t)
{
	if (t->conn)
		t->conn->user = NULL;
	free(t);
}

static void on_ended_post(struct loop *l, struct post *p)
{
	(void)l;
	tun_flow_free(container_of(p, struct tun_flow, ended));
}

static void on_ended(struct flow_hook *h, struct flow *f)
{
	struct tun_flow *t = container_of(h, struct tun_flow, hook);

	if (f->loop == t->home) {
		tun_flow_free(t);
		return;
	}
	t->ended.run = on_ended_post;
	loop_post(t->home, &t->ended);
}

/* The client gave up. Somebody who reads the stream, as the ferry to another loop does, sees it
 * there; until then the flow is on this loop. */
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
	t->home = c->s.loop;
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
