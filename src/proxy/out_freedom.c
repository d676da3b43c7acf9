#include "proxy/out_freedom.h"

#include <stdlib.h>

#include "base/err.h"
#include "flow/dialer.h"
#include "flow/trace.h"
#include "flow/via.h"
#include "net/stream_tcp.h"
#include "proto/proxyproto.h"
#include "proxy/freedom.h"
#include "proxy/stream_fragment.h"
#include "proxy/swallow.h"

/* Unsent bytes in the kernel, as for every dialled connection. */
enum { UNSENT_BOUND = 128 << 10 };

/* A connection being opened. */
struct opening {
	struct flow_opening opening;
	struct connect_gate gate;
	struct connect_user on_connect;
	struct dial_user on_dialed;
	struct out_freedom *o;
	struct flow *f;
	struct connect *connect; /* one of the two */
	struct dial *dial;
	struct conf_range delay_s; /* of the rule that said no last */
	struct garbage garbage;
};

struct addr freedom_unmap(const struct out_freedom *o, const struct addr *from)
{
	struct addr out = *from;

	if (out.kind == ADDR_IP)
		conf_map_back(o->conf->freedom.maps, o->conf->freedom.n_maps, &out.ip);
	return out;
}

struct addr freedom_redirect(const struct out_freedom *o, const struct addr *to)
{
	const struct addr *r = &o->conf->freedom.redirect;
	struct addr out = *to;

	if (out.kind == ADDR_IP)
		conf_map_forth(o->conf->freedom.maps, o->conf->freedom.n_maps, &out.ip);
	if (r->kind != ADDR_NONE) {
		out = *r;
		out.port = to->port;
	}
	if (r->port)
		out.port = r->port;
	return out;
}

enum conf_strategy freedom_strategy(const struct out_freedom *o, const struct flow *f)
{
	enum conf_strategy s = o->conf->freedom.strategy;

	if (f && f->own_query)
		return CONF_AS_IS;
	if (s == CONF_AS_IS) /* the same thing, written on the outbound */
		s = o->conf->target_strategy;
	return s != CONF_AS_IS ? s : o->conf->stream.sockopt.strategy;
}

static void destroy(struct garbage *g)
{
	free(container_of(g, struct opening, garbage));
}

/* Lets go of the flow and returns it. */
static struct flow *retire(struct opening *k)
{
	struct flow *f = k->f;

	k->garbage.destroy = destroy;
	loop_free_later(f->loop, &k->garbage);
	return f;
}

static void on_cancel(struct flow_opening *fo)
{
	struct opening *k = container_of(fo, struct opening, opening);

	connect_cancel(k->connect);
	if (k->dial)
		dial_cancel(k->dial);
	retire(k);
}

static bool may_dial(struct connect_gate *g, const struct ipport *to)
{
	struct opening *k = container_of(g, struct opening, gate);

	return final_rules_allow(k->o->rules, k->f->origin, CONF_TCP, to, &k->delay_s);
}

/* The first bytes of a fresh connection: a few, so there is room for them. 0 or -ERR_*. */
static int say_proxy(const struct out_freedom *o, const struct flow *f, struct stream *s,
		     const struct ipport *remote)
{
	struct proxyproto p = {.version = o->conf->freedom.proxy_protocol,
			       .transport = PROXYPROTO_STREAM,
			       .source = f->source,
			       .target = *remote};
	uint8_t text[PROXYPROTO_ENCODE_MAX];
	struct wr w = wr_of(text, sizeof(text));
	struct bufq q;
	ssize_t n;

	if (p.version == 0)
		return 0;
	if (p.source.ip.family == 0 || p.target.ip.family == 0)
		p.transport = PROXYPROTO_UNKNOWN;
	if (proxyproto_encode(&w, &p) != 0)
		return -ERR_SYS;
	bufq_init(&q);
	if (bufq_append(&q, span_of(text, w.n)) != 0)
		return -ERR_NOMEM;
	n = stream_write(s, &q);
	if (n >= 0 && !bufq_empty(&q))
		n = -ERR_SYS;
	bufq_clear(&q);
	return n < 0 ? (int)n : 0;
}

static void connected(struct out_freedom *o, struct flow *f, struct stream *s,
		      const struct ipport *remote)
{
	int err = say_proxy(o, f, s, remote);

	if (err) {
		stream_close(s, err);
		flow_failed(f, err, "the PROXY header could not be written");
		return;
	}
	s = stream_fragment_new(s, &o->conf->freedom.fragment);
	flow_connected(f, s, true);
}

/* What the server will see, or what it said. */
static void trace_result(struct flow *f, const struct connect_result *res)
{
	char remote[64], local[64];

	if (!trace_on(f))
		return;
	if (res->stream)
		trace_say(f, "connected to %s in %llu ms; it sees %s",
			  ipport_text(&res->remote, remote, sizeof(remote)),
			  (unsigned long long)(loop_now(f->loop) - f->started_ms),
			  ipport_text(&res->local, local, sizeof(local)));
	else if (res->err == -ERR_BLOCKED)
		trace_say(f, "forbidden by the final rules of freedom");
	else
		trace_say(f, "%s", res->why ? res->why : err_name(res->err));
}

static void on_connect(struct connect_user *u, struct connect *c, const struct connect_result *res)
{
	struct opening *k = container_of(u, struct opening, on_connect);
	struct flow *f = retire(k);

	(void)c;
	trace_result(f, res);
	if (res->err == -ERR_BLOCKED) {
		swallow_flow(f, k->delay_s, "forbidden by the final rules of freedom");
	} else if (!res->stream) {
		flow_failed(f, res->err, res->why);
	} else {
		stream_tcp_limit_unsent(res->stream, UNSENT_BOUND);
		connected(k->o, f, res->stream, &res->remote);
	}
}

static void on_dialed(struct dial_user *u, struct stream *s, int err, const char *why)
{
	struct opening *k = container_of(u, struct opening, on_dialed);
	struct flow *f = retire(k);
	struct ipport unknown;

	if (!s) {
		flow_failed(f, err, why);
		return;
	}
	memset(&unknown, 0, sizeof(unknown));
	connected(k->o, f, s, &unknown);
}

/* Through another outbound the address is resolved elsewhere: only a literal one can be judged. */
static bool dial_start(struct opening *k, const struct addr *to)
{
	struct flow *f = k->f;
	struct ipport ipp;

	if (addr_to_ipport(to, &ipp) && !may_dial(&k->gate, &ipp)) {
		struct conf_range delay = k->delay_s;

		swallow_flow(retire(k), delay, "forbidden by the final rules of freedom");
		return true;
	}
	k->on_dialed.on_dialed = on_dialed;
	k->dial = dialer_dial(k->o->dialer, f->loop, to, f, &k->on_dialed);
	return k->dial != NULL;
}

static bool connect_begin(struct opening *k, const struct addr *to)
{
	struct out_freedom *o = k->o;
	struct flow *f = k->f;
	struct connect_req req = {
		.to = *to,
		.opts = &o->conf->stream.sockopt,
		.local = via_address(&o->conf->via, f),
		.strategy = freedom_strategy(o, f),
		.gate = &k->gate,
	};

	k->on_connect.on_connect = on_connect;
	k->connect = connect_start(f->loop, core_resolver(o->o.core, f->loop), &req,
				   &k->on_connect);
	return k->connect != NULL;
}

static void open_tcp(struct out_freedom *o, struct flow *f)
{
	struct addr to = freedom_redirect(o, &f->target);
	struct opening *k = calloc(1, sizeof(*k));

	if (!k) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	k->o = o;
	k->f = f;
	k->gate.may = may_dial;
	k->opening.cancel = on_cancel;
	f->opening = &k->opening;
	if (!(o->dialer ? dial_start(k, &to) : connect_begin(k, &to)))
		flow_failed(retire(k), -ERR_NOMEM, NULL);
}

static void freedom_open(struct outbound *ob, struct flow *f)
{
	struct out_freedom *o = container_of(ob, struct out_freedom, o);

	if (flow_is_echo(f))
		freedom_open_echo(o, f);
	else if (f->net == CONF_UDP)
		freedom_open_udp(o, f);
	else
		open_tcp(o, f);
}

static void freedom_free(struct outbound *ob)
{
	struct out_freedom *o = container_of(ob, struct out_freedom, o);

	dialer_free(o->dialer);
	final_rules_free(o->rules);
	free(o);
}

static bool freedom_echoes(const struct outbound *o)
{
	(void)o;
	return true;
}

static const struct outbound_ops freedom_ops = {
	.protocol = "freedom",
	.echoes = freedom_echoes,
	.open = freedom_open,
	.free = freedom_free,
};

static bool may_send(struct connect_gate *g, const struct ipport *to)
{
	struct freedom_gate *fg = container_of(g, struct freedom_gate, gate);
	struct conf_range unused;

	return final_rules_allow(fg->rules, fg->origin, CONF_UDP, to, &unused);
}

static bool needs_dialer(const struct conf_outbound *c)
{
	return c->stream.security != CONF_SEC_NONE || *c->stream.sockopt.dialer_proxy;
}

struct outbound *out_freedom_new(struct core *c, const struct conf_outbound *conf)
{
	struct out_freedom *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->o = (struct outbound){.ops = &freedom_ops, .tag = conf->tag, .core = c};
	o->conf = conf;
	o->rules = final_rules_load(conf->freedom.final_rules, conf->freedom.n_final_rules,
				    "freedom");
	if (o->rules && needs_dialer(conf)) {
		o->dialer = dialer_new(c, conf);
		if (!o->dialer) {
			freedom_free(&o->o);
			return NULL;
		}
		o->o.target_strategy = freedom_strategy(o, NULL);
	}
	if (!o->rules) {
		free(o);
		return NULL;
	}
	for (unsigned i = 0; i < 3; i++)
		o->packets[i] = (struct freedom_gate){{may_send}, o->rules, (enum flow_origin)i};
	return &o->o;
}
