#include "flow/dialer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/via.h"
#include "net/connect.h"
#include "net/dgram_xpipe.h"
#include "net/ledger.h"
#include "net/stream_tcp.h"
#include "net/transport.h"

enum {
	/* Unsent bytes in the kernel: enough for a fast line, little enough that what is urgent
	 * does not queue behind what is not. */
	DIAL_UNSENT = 128 << 10,
	BALANCED_MS = 4000, /* a SYN may be lost twice */
};

struct dialer {
	struct core *core;
	const struct conf_outbound *conf;
	struct transport_client *transport;
};

struct dial {
	struct dialer *d;
	struct loop *loop;
	struct dial_user *user;
	struct addr server;
	struct connect *connect;
	struct connect_user on_connect;
	struct transport_dial *handshake;
	struct transport_user on_ready;
	struct flow *flow; /* when another outbound dials for us */
	struct flow_taker taker;
	struct garbage garbage;
};

struct dialer *dialer_new(struct core *c, const struct conf_outbound *o)
{
	struct dialer *d = calloc(1, sizeof(*d));
	char why[TRANSPORT_WHY_MAX];

	if (!d)
		return NULL;
	d->core = c;
	d->conf = o;
	d->transport = transport_client_new(&o->stream, why);
	if (!d->transport) {
		log_err("dial", "outbound [%s] at %s:%d: %s", o->tag, o->at.file, o->at.line, why);
		free(d);
		return NULL;
	}
	return d;
}

void dialer_free(struct dialer *d)
{
	if (!d)
		return;
	transport_client_free(d->transport);
	free(d);
}

static void dial_destroy(struct garbage *g)
{
	free(container_of(g, struct dial, garbage));
}

static void dial_forget(struct dial *k)
{
	k->garbage.destroy = dial_destroy;
	loop_free_later(k->loop, &k->garbage);
}

static void finish(struct dial *k, struct stream *s, int err, const char *why)
{
	dial_forget(k);
	k->user->on_dialed(k->user, s, err, why);
}

static void on_ready(struct transport_user *u, struct stream *s, const struct transport_info *info,
		     int err, const char *why)
{
	struct dial *k = container_of(u, struct dial, on_ready);

	(void)info;
	k->handshake = NULL;
	finish(k, s, err, why);
}

/* The way to the server stands; now what streamSettings puts on it. */
static void secure(struct dial *k, struct stream *s)
{
	char host[ADDR_TEXT_MAX];

	if (k->d->conf->stream.security == CONF_SEC_NONE) {
		finish(k, s, 0, NULL);
		return;
	}
	k->on_ready.on_ready = on_ready;
	k->handshake = transport_client_start(k->d->transport, s,
					      addr_host_text(&k->server, host, sizeof(host)),
					      &k->on_ready);
	if (!k->handshake)
		finish(k, NULL, -ERR_NOMEM, NULL);
}

static void on_connect(struct connect_user *u, struct connect *c, const struct connect_result *res)
{
	struct dial *k = container_of(u, struct dial, on_connect);

	(void)c;
	k->connect = NULL;
	if (!res->stream) {
		finish(k, NULL, res->err, res->why);
		return;
	}
	ledger_add_peer(loop_ledger(k->loop), &res->remote);
	stream_tcp_limit_unsent(res->stream, DIAL_UNSENT);
	secure(k, res->stream);
}

static void on_taken(struct flow_taker *t, struct stream *out, int err, const char *why)
{
	struct dial *k = container_of(t, struct dial, taker);

	k->flow = NULL;
	if (out)
		secure(k, out);
	else
		finish(k, NULL, err, why);
}

static const char *through_tag(const struct conf_outbound *o)
{
	return o->stream.sockopt.dialer_proxy;
}

/* A flow of ours to @to by the other outbound; NULL when there is none, or no memory. */
static struct flow *flow_through(struct dialer *d, struct loop *l, unsigned net,
				 const struct addr *to, const struct flow *for_flow)
{
	struct flow *f = flow_new(d->core, l, net);

	if (!f)
		return NULL;
	f->out = core_outbound(d->core, through_tag(d->conf));
	if (!f->out) {
		flow_abort(f, -ERR_NOROUTE);
		return NULL;
	}
	f->hops = for_flow ? for_flow->hops + 1 : 1;
	f->target = *to;
	return f;
}

static bool start_through(struct dial *k, const struct flow *for_flow)
{
	struct flow *f = flow_through(k->d, k->loop, CONF_TCP, &k->server, for_flow);

	if (!f)
		return false;
	k->taker.taken = on_taken;
	f->taker = &k->taker;
	k->flow = f;
	flow_dispatch(f);
	return true;
}

static bool start_socket(struct dial *k, const struct flow *for_flow)
{
	const struct conf_sockopt *so = &k->d->conf->stream.sockopt;
	struct connect_req req = {
		.to = k->server,
		.opts = so,
		.local = via_address(&k->d->conf->via, for_flow),
		.strategy = for_flow && for_flow->own_query ? CONF_AS_IS : so->strategy,
		/* Where another server may be tried a silent one is not waited for as long. */
		.timeout_ms = for_flow && for_flow->balancer ? BALANCED_MS : 0,
	};

	k->on_connect.on_connect = on_connect;
	k->connect = connect_start(k->loop, core_resolver(k->d->core, k->loop), &req,
				   &k->on_connect);
	return k->connect != NULL;
}

struct dial *dialer_dial(struct dialer *d, struct loop *l, const struct addr *server,
			 const struct flow *for_flow, struct dial_user *user)
{
	struct dial *k = calloc(1, sizeof(*k));
	bool ok;

	if (!k)
		return NULL;
	k->d = d;
	k->loop = l;
	k->user = user;
	k->server = *server;
	ok = *through_tag(d->conf) ? start_through(k, for_flow) : start_socket(k, for_flow);
	if (!ok) {
		dial_forget(k);
		return NULL;
	}
	return k;
}

void dial_cancel(struct dial *k)
{
	if (k->connect)
		connect_cancel(k->connect);
	if (k->handshake)
		transport_cancel(k->handshake);
	if (k->flow) {
		struct flow *f = k->flow;

		f->taker = NULL;
		flow_abort(f, -ERR_CLOSED);
	}
	dial_forget(k);
}

bool dialer_is_through(const struct dialer *d)
{
	return *through_tag(d->conf) != 0;
}

struct dgram *dialer_dgram(struct dialer *d, struct loop *l, const struct dgram_udp_spec *spec,
			   const struct flow *for_flow, char why[NET_WHY_MAX])
{
	struct dgram *end[2];
	struct flow *f;

	if (!dialer_is_through(d))
		return dgram_udp_new(l, core_resolver(d->core, l), spec, why);
	if (dgram_xpipe_new(l, l, end) == 0) {
		f = flow_through(d, l, CONF_UDP, &spec->target, for_flow);
		if (f) {
			f->in_dgram = end[1];
			flow_dispatch(f);
			return end[0];
		}
		dgram_close(end[0], -ERR_NOMEM);
		dgram_close(end[1], -ERR_NOMEM);
	}
	snprintf(why, NET_WHY_MAX, "out of memory");
	return NULL;
}
