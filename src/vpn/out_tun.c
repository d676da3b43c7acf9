#include "vpn/out_tun.h"

#include <stdlib.h>

#include "base/err.h"
#include "crypto/rand.h"
#include "net/connect.h"
#include "proto/echo.h"
#include "vpn/tun.h"
#include "vpn/tun_echo.h"
#include "vpn/tun_udp.h"

enum { PORT_TRIES = 16, PORT_FIRST = 32768, PORT_COUNT = 28232 };

struct out_tun {
	struct outbound o;
	struct tun *tun;
};

/* A connection that was not answered yet. */
struct opening {
	struct flow_opening opening;
	struct tcp_conn_user on_conn;
	struct tcp_conn *conn;
	struct flow *f;
	struct timer patience;
	struct garbage garbage;
};

static void opening_destroy(struct garbage *g)
{
	free(container_of(g, struct opening, garbage));
}

static struct flow *retire(struct opening *k)
{
	struct flow *f = k->f;

	timer_stop(&k->patience);
	k->garbage.destroy = opening_destroy;
	loop_free_later(f->loop, &k->garbage);
	return f;
}

static void give_up(struct opening *k, int err)
{
	k->conn->user = NULL;
	stream_close(&k->conn->s, err);
}

static void on_cancel(struct flow_opening *fo)
{
	struct opening *k = container_of(fo, struct opening, opening);

	give_up(k, -ERR_CLOSED);
	retire(k);
}

static void on_patience(struct timer *t)
{
	struct opening *k = container_of(t, struct opening, patience);

	give_up(k, -ERR_TIMEOUT);
	flow_failed(retire(k), -ERR_TIMEOUT, "no answer from the host behind the device");
}

static void on_state(struct tcp_conn_user *u, struct tcp_conn *c, int err)
{
	struct opening *k = container_of(u, struct opening, on_conn);
	struct flow *f;

	if (err) {
		give_up(k, err);
		flow_failed(retire(k), err, "the host behind the device did not take the connection");
		return;
	}
	c->user = NULL;
	f = retire(k);
	flow_connected(f, &c->s, true);
}

static struct tcp_conn *dial(struct out_tun *o, const struct ipport *to, struct opening *k)
{
	struct ipport from = k->f->source;
	struct tcp_conn *c = NULL;

	if (from.port)
		c = tcp_stack_connect(tun_tcp(o->tun), &from, to, &k->on_conn);
	for (int i = 0; !c && i < PORT_TRIES; i++) {
		uint16_t r;

		if (rand_bytes(&r, sizeof(r)) != 0)
			return NULL;
		from.port = (uint16_t)(PORT_FIRST + r % PORT_COUNT);
		c = tcp_stack_connect(tun_tcp(o->tun), &from, to, &k->on_conn);
	}
	return c;
}

static void open_tcp(struct out_tun *o, struct flow *f, const struct ipport *to)
{
	struct opening *k = calloc(1, sizeof(*k));

	if (!k) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	k->f = f;
	k->opening.cancel = on_cancel;
	k->on_conn.on_state = on_state;
	timer_init(&k->patience, f->loop, on_patience);
	k->conn = dial(o, to, k);
	if (!k->conn) {
		flow_failed(retire(k), -ERR_LIMIT, "no room for a connection into the device");
		return;
	}
	f->opening = &k->opening;
	timer_start(&k->patience, CONNECT_TIMEOUT_MS);
}

static void open_udp(struct out_tun *o, struct flow *f, const struct ipport *to)
{
	struct dgram *d = to->port == ECHO_PORT ?
				  tun_echo_open(tun_echo_of(o->tun), &f->source.ip, &to->ip) :
				  tun_udp_open(tun_udp_of(o->tun), &f->source, &f->target);

	if (d)
		flow_connected_dgram(f, d);
	else
		flow_failed(f, -ERR_LIMIT, "no room for an association into the device");
}

static void out_open(struct outbound *ob, struct flow *f)
{
	struct out_tun *o = container_of(ob, struct out_tun, o);
	struct ipport to;

	if (!tun_tcp(o->tun)) {
		flow_failed(f, -ERR_UNREACH, "the device is not open");
		return;
	}
	if (!addr_to_ipport(&f->target, &to)) {
		flow_failed(f, -ERR_RESOLVE, "a name cannot be delivered into a device");
		return;
	}
	if (f->source.ip.family != to.ip.family) {
		flow_failed(f, -ERR_UNREACH, "the originator has no address of the target's family");
		return;
	}
	if (f->net == CONF_TCP)
		open_tcp(o, f, &to);
	else
		open_udp(o, f, &to);
}

static void out_free(struct outbound *ob)
{
	struct out_tun *o = container_of(ob, struct out_tun, o);

	tun_unref(o->tun);
	free(o);
}

static bool out_echoes(const struct outbound *o)
{
	(void)o;
	return true;
}

static const struct outbound_ops out_ops = {
	.protocol = "tun",
	.echoes = out_echoes,
	.open = out_open,
	.free = out_free,
};

struct outbound *out_tun_new(struct core *c, const struct conf_outbound *conf)
{
	struct out_tun *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->tun = tun_ref(c);
	if (!o->tun) {
		free(o);
		return NULL;
	}
	o->o = (struct outbound){
		.ops = &out_ops,
		.tag = conf->tag,
		.core = c,
		.home = tun_loop(o->tun),
	};
	return &o->o;
}
