#include "vpn/out_tun.h"

#include <stdlib.h>

#include "base/err.h"
#include "crypto/rand.h"
#include "flow/trace.h"
#include "net/connect.h"
#include "vpn/deliver.h"
#include "vpn/tun.h"
#include "vpn/tun_echo.h"
#include "vpn/tun_udp.h"

enum { PORT_TRIES = 16, PORT_FIRST = 32768, PORT_COUNT = 28232 };

struct out_tun {
	struct outbound o;
	struct tun *tun;
	struct final_rules *rules;
	struct deliver_terms terms;
};

/* A name that is being resolved, or a connection that was not answered yet. */
struct opening {
	struct flow_opening opening;
	struct out_tun *o;
	struct resolve_req req;
	struct tcp_conn_user on_conn;
	struct tcp_conn *conn; /* NULL: not yet */
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
	resolve_cancel(&k->req);
	if (!k->conn)
		return;
	k->conn->user = NULL;
	stream_close(&k->conn->s, err);
}

static void on_cancel(struct flow_opening *fo)
{
	struct opening *k = container_of(fo, struct opening, opening);

	give_up(k, -ERR_CLOSED);
	retire(k);
}

static void failed(struct flow *f, int err, const char *why)
{
	trace_say(f, "%s", why ? why : err_name(err));
	flow_failed(f, err, why);
}

static void on_patience(struct timer *t)
{
	struct opening *k = container_of(t, struct opening, patience);

	give_up(k, -ERR_TIMEOUT);
	failed(retire(k), -ERR_TIMEOUT, "no answer from the host behind the device");
}

static const char *why_not(int err)
{
	switch (-err) {
	case ERR_REFUSED:
		return "the host behind the device refused";
	case ERR_LOOP:
		return "the SYN came back out of the device: this machine has no other way there";
	case ERR_UNREACH:
	case ERR_BLOCKED:
		return "a router behind the device says that the host cannot be reached";
	default:
		return "the host behind the device did not take the connection";
	}
}

/* What the server will see, as freedom tells it. */
static void trace_connected(struct flow *f, const struct tcp_conn *c)
{
	char remote[64], local[64];

	if (trace_on(f))
		trace_say(f, "connected to %s in %llu ms; it sees %s",
			  ipport_text(&c->remote, remote, sizeof(remote)),
			  (unsigned long long)(loop_now(f->loop) - f->started_ms),
			  ipport_text(&c->local, local, sizeof(local)));
}

static void on_state(struct tcp_conn_user *u, struct tcp_conn *c, int err)
{
	struct opening *k = container_of(u, struct opening, on_conn);
	struct flow *f;

	if (err) {
		give_up(k, err);
		failed(retire(k), err, why_not(err));
		return;
	}
	c->user = NULL;
	f = retire(k);
	trace_connected(f, c);
	flow_connected(f, &c->s, true);
}

/* From the originator's own port, or where that is taken from another. */
static struct tcp_conn *dial(struct out_tun *o, const struct ipport *source,
			     const struct ipport *to, struct opening *k)
{
	struct ipport from = *source;
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

static struct opening *opening_new(struct out_tun *o, struct flow *f)
{
	struct opening *k = calloc(1, sizeof(*k));

	if (!k) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return NULL;
	}
	k->o = o;
	k->f = f;
	k->opening.cancel = on_cancel;
	k->on_conn.on_state = on_state;
	timer_init(&k->patience, f->loop, on_patience);
	return k;
}

static void open_tcp(struct out_tun *o, struct flow *f, const struct ipport *from,
		     const struct ipport *to)
{
	struct opening *k = opening_new(o, f);

	if (!k)
		return;
	k->conn = dial(o, from, to, k);
	if (!k->conn) {
		failed(retire(k), -ERR_LIMIT, "no room for a connection into the device");
		return;
	}
	f->opening = &k->opening;
	timer_start(&k->patience, CONNECT_TIMEOUT_MS);
}

static void open_packets(struct out_tun *o, struct flow *f, const struct ipport *from,
			 const struct ipport *to)
{
	struct dgram *d = flow_is_echo(f) ?
				  tun_echo_open(tun_echo_of(o->tun), &from->ip, &to->ip) :
				  tun_udp_open(tun_udp_of(o->tun), from, to);

	if (!d) {
		failed(f, -ERR_LIMIT, "no room for an association into the device");
		return;
	}
	d = deliver_dgram_new(&o->terms, f, to, d);
	if (d)
		flow_connected_dgram(f, d);
	else
		flow_failed(f, -ERR_NOMEM, NULL);
}

/* The target is an address. */
static void open_at(struct out_tun *o, struct flow *f, struct ipport *to)
{
	struct ipport from = f->source;

	if (from.ip.family != to->ip.family && f->twin.family == to->ip.family)
		from.ip = f->twin;
	if (from.ip.family != to->ip.family) {
		failed(f, -ERR_UNREACH, "the originator has no address of the target's family");
		return;
	}
	if (deliver_place(&o->terms, f, to) != 0) {
		failed(f, -ERR_BLOCKED, "forbidden by the final rules of the tun outbound");
		return;
	}
	if (f->net == CONF_TCP)
		open_tcp(o, f, &from, to);
	else
		open_packets(o, f, &from, to);
}

static void on_resolved(struct resolve_req *q, const struct resolve_result *res)
{
	struct opening *k = container_of(q, struct opening, req);
	struct out_tun *o = k->o;
	struct flow *f = retire(k);
	struct ipport to = {.port = f->target.port};

	f->opening = NULL;
	if (res->err || res->n == 0) {
		failed(f, -ERR_RESOLVE, res->why);
		return;
	}
	to.ip = res->ip[0];
	open_at(o, f, &to);
}

/* Only addresses of the originator's family are of use. */
static void open_name(struct out_tun *o, struct flow *f)
{
	enum conf_strategy s = f->source.ip.family == 4 ? CONF_USE_IP4 : CONF_USE_IP6;
	struct opening *k = opening_new(o, f);

	if (!k)
		return;
	f->opening = &k->opening;
	k->req.on_done = on_resolved;
	resolve_start(core_resolver(o->o.core, f->loop), &k->req, f->target.name, s, 0);
}

static void out_open(struct outbound *ob, struct flow *f)
{
	struct out_tun *o = container_of(ob, struct out_tun, o);
	struct ipport to;

	if (!tun_tcp(o->tun)) {
		failed(f, -ERR_UNREACH, "the device is not open");
		return;
	}
	if (f->of_tun) {
		failed(f, -ERR_LOOP, "it came out of the device that it would go into");
		return;
	}
	if (!f->source.ip.family) {
		failed(f, -ERR_UNREACH, "nobody has told whose flow it is");
		return;
	}
	if (addr_to_ipport(&f->target, &to))
		open_at(o, f, &to);
	else
		open_name(o, f);
}

static void out_free(struct outbound *ob)
{
	struct out_tun *o = container_of(ob, struct out_tun, o);

	tun_unref(o->tun);
	final_rules_free(o->rules);
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
	size_t n = conf->tun.n_final_rules;

	if (!o)
		return NULL;
	o->tun = tun_ref(c);
	if (n)
		o->rules = final_rules_load(conf->tun.final_rules, n, "tun");
	if (!o->tun || (n && !o->rules)) {
		tun_unref(o->tun);
		free(o);
		return NULL;
	}
	o->terms = (struct deliver_terms){&conf->tun, o->rules};
	o->o = (struct outbound){
		.ops = &out_ops,
		.tag = conf->tag,
		.core = c,
		.home = tun_loop(o->tun),
	};
	return &o->o;
}
