#include "flow/inbound.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "flow/stranger.h"
#include "net/listen.h"
#include "net/stream_tcp.h"
#include "net/transport.h"

enum {
	UNSENT_BOUND = 128 << 10, /* see dialer.c */
	UNIX_TEXT = 128,
};

/* A connection on its way to the loop that will serve it. */
struct arrival {
	struct post post;
	struct inbound *in;
	struct accepted a;
};

/* A connection until its security is done. */
struct entrance {
	struct inbound *in;
	struct transport_user on_ready;
	struct ipport original;
	struct loop *loop;
	struct garbage garbage;
};

static void entrance_destroy(struct garbage *g)
{
	free(container_of(g, struct entrance, garbage));
}

static void on_ready(struct transport_user *u, struct stream *s, const struct transport_info *t,
		     int err, const char *why)
{
	struct entrance *e = container_of(u, struct entrance, on_ready);

	if (s) {
		struct conn_info info = {.source = t->source,
					 .local = t->local,
					 .original = e->original,
					 .sni = t->sni,
					 .alpn = t->alpn,
					 .tls_version = t->tls_version};

		e->in->ops->serve(e->in, s, &info);
	}
	(void)err;
	(void)why; /* transport has said it, at its own rate */
	e->garbage.destroy = entrance_destroy;
	loop_free_later(e->loop, &e->garbage);
}

/* A visitor of a port with REALITY: the target answers. */
static void on_stranger(struct transport_user *u, struct stream *client, struct stream *target,
			struct bufq *early)
{
	struct entrance *e = container_of(u, struct entrance, on_ready);

	stranger_start(core_worker(e->in->core, e->loop), client, target, early);
	e->garbage.destroy = entrance_destroy;
	loop_free_later(e->loop, &e->garbage);
}

static void admit(struct inbound *in, struct loop *l, const struct accepted *a)
{
	const struct conf_sockopt *so = &in->conf->stream.sockopt;
	struct entrance *e = calloc(1, sizeof(*e));
	struct stream *s;

	if (!e) {
		close(a->fd);
		return;
	}
	e->in = in;
	e->loop = l;
	e->on_ready.on_ready = on_ready;
	e->on_ready.on_stranger = on_stranger;
	e->on_ready.resolver = core_resolver(in->core, l);
	if (so->tproxy != CONF_TPROXY_OFF)
		sock_original_dst(a->fd, so->tproxy, &e->original);
	s = stream_tcp_new(l, a->fd);
	if (!s) {
		free(e);
		return;
	}
	stream_tcp_limit_unsent(s, UNSENT_BOUND);
	transport_server_accept(in->transport, s, &a->peer, &a->local, &e->on_ready);
}

static void on_arrival(struct loop *l, struct post *p)
{
	struct arrival *r = container_of(p, struct arrival, post);

	admit(r->in, l, &r->a);
	free(r);
}

struct inbound_listener {
	struct listener_user user;
	struct inbound *in;
	struct listener *l;
};

static void on_accept(struct listener_user *u, struct listener *l, const struct accepted *a)
{
	struct inbound_listener *il = container_of(u, struct inbound_listener, user);
	struct core *c = il->in->core;
	struct loop *to = core_spread(c);
	struct arrival *r;

	(void)l;
	if (loop_is_mine(to)) {
		admit(il->in, to, a);
		return;
	}
	r = malloc(sizeof(*r));
	if (!r) {
		close(a->fd);
		return;
	}
	*r = (struct arrival){.post = {.run = on_arrival}, .in = il->in, .a = *a};
	loop_post(to, &r->post);
}

static int listen_at(struct inbound *in, const struct listen_spec *spec)
{
	struct inbound_listener *il = calloc(1, sizeof(*il));
	char why[NET_WHY_MAX];

	if (!il)
		return -ERR_NOMEM;
	il->in = in;
	il->user.on_accept = on_accept;
	il->l = listener_new(in->core->workers[0].loop, spec, &il->user, why);
	if (!il->l) {
		log_err("inbound", "failed to start [%s] (%s:%d): %s", in->tag, in->conf->at.file,
			in->conf->at.line, why);
		free(il);
		return -ERR_SYS;
	}
	in->listeners[in->n_listeners++] = il;
	log_info("inbound", "[%s] %s listening on %s", in->tag, in->ops->protocol,
		 listener_name(il->l));
	return 0;
}

static size_t count_ports(const struct conf_listen *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->ports.n; i++)
		n += (size_t)(l->ports.v[i].to - l->ports.v[i].from) + 1;
	return n;
}

static int listen_tcp(struct inbound *in)
{
	const struct conf_listen *l = &in->conf->listen;
	struct listen_spec spec = {.opts = &in->conf->stream.sockopt};
	size_t n = l->kind == CONF_LISTEN_UNIX ? 1 : count_ports(l);
	char path[UNIX_TEXT];
	int err = 0;

	in->listeners = calloc(n ? n : 1, sizeof(*in->listeners));
	if (!in->listeners)
		return -ERR_NOMEM;
	if (l->kind == CONF_LISTEN_UNIX) {
		snprintf(path, sizeof(path), l->unix_mode < 0 ? "%s" : "%s,0%o", l->unix_path,
			 (unsigned)l->unix_mode);
		spec.path = path;
		return listen_at(in, &spec);
	}
	spec.at.ip = l->ip;
	for (size_t i = 0; i < l->ports.n && !err; i++)
		for (unsigned p = l->ports.v[i].from; p <= l->ports.v[i].to && !err; p++) {
			spec.at.port = (uint16_t)p;
			err = listen_at(in, &spec);
		}
	return err;
}

int inbound_prepare(struct inbound *in)
{
	char why[TRANSPORT_WHY_MAX];

	in->transport = transport_server_new(&in->conf->stream, why);
	if (in->transport)
		return 0;
	log_err("inbound", "[%s] at %s:%d: %s", in->tag, in->conf->at.file, in->conf->at.line, why);
	return -ERR_TLS;
}

int inbound_start(struct inbound *in)
{
	int err = in->ops->serve ? listen_tcp(in) : 0;

	if (!err && in->ops->start)
		err = in->ops->start(in);
	if (err)
		inbound_stop(in);
	else
		transport_server_watch(in->transport, in->core->workers[0].loop,
				       in->core->workers[0].resolver, &in->core->conf->own);
	return err;
}

void inbound_describe(const struct inbound *in, cJSON *into)
{
	cJSON *list = cJSON_AddArrayToObject(into, "listen");

	for (size_t i = 0; i < in->n_listeners; i++)
		cJSON_AddItemToArray(list,
				     cJSON_CreateString(listener_name(in->listeners[i]->l)));
}

void inbound_stop(struct inbound *in)
{
	if (in->ops->stop)
		in->ops->stop(in);
	transport_server_unwatch(in->transport);
	for (size_t i = 0; i < in->n_listeners; i++) {
		listener_close(in->listeners[i]->l);
		free(in->listeners[i]);
	}
	in->n_listeners = 0;
	free(in->listeners);
	in->listeners = NULL;
}

void inbound_free(struct inbound *in)
{
	struct transport_server *t;

	if (!in)
		return;
	inbound_stop(in);
	t = in->transport;
	in->ops->free(in);
	transport_server_free(t);
}

struct flow *inbound_flow(struct inbound *in, struct loop *l, unsigned net,
			  const struct conn_info *info)
{
	struct flow *f = flow_new(in->core, l, net);

	if (!f)
		return NULL;
	f->in_tag = in->tag;
	f->sniff = &in->conf->sniff;
	f->source = info->source;
	f->local = info->local;
	f->in_half_close = true;
	return f;
}
