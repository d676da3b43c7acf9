/*
 * Echo exchanges of freedom: a UDP flow to port 0 carries requests (proto/echo.h), each
 * of which is put to the host itself. What comes back goes the same way.
 */
#include <stdlib.h>

#include "base/err.h"
#include "flow/via.h"
#include "net/ping_sock.h"
#include "proto/echo.h"
#include "proxy/freedom.h"

enum { ASKED_MAX = PING_PENDING };

/* What a request was called by its asker. */
struct asked {
	uint16_t id, seq;
};

struct freedom_echo {
	struct dgram d;
	struct ping_sock *ping;
	struct ping_user on_ping;
	const struct out_freedom *o;
	struct addr target; /* as the flow names it */
	struct asked asked[ASKED_MAX];
	uint32_t last;
};

static struct freedom_echo *of(struct dgram *d)
{
	return container_of(d, struct freedom_echo, d);
}

static void on_answer(struct ping_user *u, struct ping_sock *p, const struct ping_answer *a)
{
	struct freedom_echo *e = container_of(u, struct freedom_echo, on_ping);
	const struct asked *who = &e->asked[a->cookie % ASKED_MAX];
	struct addr from = addr_from_ip(&a->from, ECHO_PORT);
	struct addr offender = freedom_unmap(e->o, &from);
	struct echo out = {.kind = a->error ? ECHO_ERROR : ECHO_REPLY,
			   .ttl = a->ttl,
			   .id = who->id,
			   .seq = who->seq,
			   .payload = a->payload,
			   .type = a->type,
			   .code = a->code,
			   .info = a->info,
			   .offender = offender.ip};
	struct buf *b = buf_new_big(a->error ? ECHO_ERROR_MAX : ECHO_HEAD + a->payload.n);
	struct wr w;

	(void)p;
	if (!b)
		return;
	w = wr_of(b->data, a->error ? ECHO_ERROR_MAX : ECHO_HEAD + a->payload.n);
	if (echo_encode(&w, &out) != 0) {
		buf_free(b);
		return;
	}
	b->len = (uint32_t)w.n;
	dgram_deliver(&e->d, &e->target, b);
}

static bool is_for_us(const struct freedom_echo *e, const struct addr *to)
{
	return to->kind == ADDR_NONE || (to->port == ECHO_PORT && addr_eq(to, &e->target));
}

static void echo_send(struct dgram *d, const struct addr *to, struct buf *pkt)
{
	struct freedom_echo *e = of(d);
	struct echo in;

	if (is_for_us(e, to) && echo_decode(&in, span_of(pkt->data, pkt->len)) == 0 &&
	    in.kind == ECHO_REQUEST) {
		e->last++;
		e->asked[e->last % ASKED_MAX] = (struct asked){in.id, in.seq};
		ping_sock_send(e->ping, e->last, in.ttl, in.payload);
	}
	buf_free(pkt);
}

static void destroy(struct garbage *g)
{
	free(of(container_of(g, struct dgram, garbage)));
}

static void echo_close(struct dgram *d, int err)
{
	(void)err;
	ping_sock_free(of(d)->ping);
	d->garbage.destroy = destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops echo_ops = {
	.name = "echo",
	.send = echo_send,
	.close = echo_close,
};

void freedom_open_echo(struct out_freedom *o, struct flow *f)
{
	struct addr to = freedom_redirect(o, &f->target); /* its port has no meaning here */
	struct connect_gate *gate = &o->packets[f->origin].gate;
	struct ip local = via_address(&o->conf->via, f);
	struct ipport at = {.port = ECHO_PORT};
	struct freedom_echo *e;
	char why[NET_WHY_MAX];

	if (to.kind != ADDR_IP || o->dialer) {
		flow_failed(f, -ERR_UNSUPPORTED, "freedom pings addresses, by its own socket");
		return;
	}
	at.ip = to.ip;
	if (!gate->may(gate, &at)) {
		flow_failed(f, -ERR_BLOCKED, "forbidden by the final rules of freedom");
		return;
	}
	e = calloc(1, sizeof(*e));
	if (!e) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	dgram_init(&e->d, &echo_ops, f->loop);
	e->o = o;
	e->target = f->target;
	e->on_ping.on_answer = on_answer;
	e->ping = ping_sock_new(f->loop, &to.ip, &local, &o->conf->stream.sockopt, &e->on_ping, why);
	if (!e->ping) {
		free(e);
		flow_failed(f, -ERR_SYS, why);
		return;
	}
	flow_connected_dgram(f, &e->d);
}
