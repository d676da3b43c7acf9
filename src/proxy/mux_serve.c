#include "proxy/mux_serve.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/flow.h"
#include "proto/muxcool.h"

struct mux_serve {
	struct loop *loop;
	struct mux_user on_mux;
	struct mux *mux;
	struct mux_serve_conf conf;
	struct mux_serve_user *user;
	struct orphan orphan;
	struct garbage garbage;
};

/* Passes the far side's verdict back along the session. One for each TCP session. */
struct session_hook {
	struct flow_hook hook;
	struct garbage garbage;
};

static void hook_verdict(struct flow_hook *h, struct stream **in, int err)
{
	(void)h;
	if (*in)
		mux_give_verdict(*in, err);
}

static void hook_line(struct flow_hook *h, struct stream *in, const char *text)
{
	(void)h;
	mux_give_line(in, text);
}

static void hook_destroy(struct garbage *g)
{
	free(container_of(g, struct session_hook, garbage));
}

static void hook_ended(struct flow_hook *h, struct loop *l)
{
	struct session_hook *s = container_of(h, struct session_hook, hook);

	s->garbage.destroy = hook_destroy;
	loop_free_later(l, &s->garbage);
}

/* Rules and addresses are not for everybody who may use this server; whoever we dialled knows
 * enough of us. */
static bool may_trace(const struct mux_serve_conf *c)
{
	return c->origin != FLOW_FROM_SERVER || c->core->conf->control.remote_trace;
}

static void on_session(struct mux_user *u, struct mux *m, const struct mux_request *req,
		       struct stream *s, struct dgram *d)
{
	struct mux_serve *v = container_of(u, struct mux_serve, on_mux);
	const struct mux_serve_conf *c = &v->conf;
	struct session_hook *hook = NULL;
	struct flow *f;
	bool told;

	(void)m;
	if (v->user && v->user->on_session && v->user->on_session(v->user, req, s, d))
		return;
	f = flow_new(c->core, v->loop, req->net);
	if (f && s) {
		hook = calloc(1, sizeof(*hook));
		if (hook) {
			hook->hook = (struct flow_hook){hook_verdict, hook_ended, hook_line};
			f->hook = &hook->hook;
			f->traced = req->trace && may_trace(c);
		}
	}
	if (!f) {
		stream_close(s, -ERR_LIMIT);
		dgram_close(d, -ERR_LIMIT);
		return;
	}
	f->origin = c->origin;
	f->in_tag = c->in_tag;
	f->user = c->user;
	f->level = c->level;
	f->sniff = c->sniff;
	f->hops = c->hops + 1;
	f->came_by = c->came_by;
	/* A portal knows where its visitors come from; a user of ours may not say it himself. */
	told = c->origin == FLOW_FROM_REVERSE && req->source.ip.family;
	f->source = told ? req->source : c->source;
	if (!told && c->twin.family && req->target.kind == ADDR_IP &&
	    req->target.ip.family == c->twin.family)
		f->source.ip = c->twin;
	f->local = told ? req->local : c->local;
	f->target = req->target;
	f->in = s;
	f->in_dgram = d;
	f->in_half_close = true; /* if the session can, which it knows */
	flow_dispatch(f);
}

static void serve_destroy(struct garbage *g)
{
	free(container_of(g, struct mux_serve, garbage));
}

static void forget(struct mux_serve *v)
{
	loop_disown(&v->orphan);
	v->garbage.destroy = serve_destroy;
	loop_free_later(v->loop, &v->garbage);
}

static void on_mux_end(struct mux_user *u, struct mux *m, int err, const char *why)
{
	struct mux_serve *v = container_of(u, struct mux_serve, on_mux);

	(void)m;
	if (err == -ERR_BLOCKED)
		log_info("mux", "carrier of [%s] refused: %s (user %s)", v->conf.in_tag, why,
			 v->conf.user);
	else
		log_debug("mux", "carrier of [%s] ended: %s%s%s", v->conf.in_tag, err_name(err),
			  why ? ": " : "", why ? why : "");
	forget(v);
	if (v->user)
		v->user->on_end(v->user, err, why);
}

static void on_loop_end(struct orphan *o)
{
	struct mux_serve *v = container_of(o, struct mux_serve, orphan);

	mux_serve_close(v, -ERR_CLOSED);
	if (v->user)
		v->user->on_end(v->user, -ERR_CLOSED, NULL);
}

struct mux_serve *mux_serve_start(struct stream *carrier, struct bufq *early,
				  const struct mux_serve_conf *conf, struct mux_serve_user *user)
{
	struct mux_serve *v = calloc(1, sizeof(*v));
	struct mux_config mc = {.role = MUX_SERVER,
				.addresses = conf->addresses,
				.udp_only = conf->udp_only};

	if (!v) {
		stream_close(carrier, -ERR_NOMEM);
		return NULL;
	}
	v->loop = carrier->loop;
	v->conf = *conf;
	v->user = user;
	v->on_mux = (struct mux_user){on_session, on_mux_end};
	/* The lone UDP session of XUDP has a reader that dislikes most frames. */
	mc.xudp_single = early && muxcool_is_xudp(bufq_pullup(early, MUXCOOL_KEEP_HEAD));
	v->mux = mux_new(carrier, early, &mc, &v->on_mux);
	if (!v->mux) {
		free(v);
		return NULL;
	}
	v->orphan.end = on_loop_end;
	loop_adopt(v->loop, &v->orphan);
	return v;
}

struct mux *mux_serve_mux(struct mux_serve *v)
{
	return v->mux;
}

void mux_serve_close(struct mux_serve *v, int err)
{
	mux_close(v->mux, err);
	forget(v);
}
