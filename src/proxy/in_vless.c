#include "proxy/in_vless.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/flow.h"
#include "flow/renewal.h"
#include "net/stream_tls.h"
#include "net/transport.h"
#include "proto/muxcool.h"
#include "proto/muxext.h"
#include "proto/vless.h"
#include "proxy/fallback.h"
#include "proxy/intake.h"
#include "proxy/portal.h"
#include "proxy/vision_stream.h"
#include "proxy/vless_cap.h"
#include "proxy/vless_packets.h"
#include "proxy/vless_stream.h"
#include "proxy/vless_users.h"

struct in_vless {
	struct inbound in;
	const struct conf_in_vless *conf;
	struct vless_users *users;
	struct intake_log log;
	bool vision; /* some user has the flow */
};

enum { INTAKE_LIMIT = 8192, WHY_MAX = 192, FLOW_SHOWN = 40 };

/* A connection until its request is understood. */
struct vless_conn {
	struct in_vless *owner;
	struct intake_user on_intake;
	struct intake intake;
	struct ipport source, local;
	const struct conf_vless_user *user;
	const struct conf_fallback *fallback;
	struct vless_request req; /* its spans are not valid after decode */
	bool judged;		  /* the first read was looked at for fallbacks */
	struct vless_cap peer; /* no bits: stock */
	bool vision;		  /* the flow of this connection */
	char why[WHY_MAX];
	char *sni, *alpn; /* only when there are fallbacks */
	struct garbage garbage;
};

static void conn_destroy(struct garbage *g)
{
	struct vless_conn *c = container_of(g, struct vless_conn, garbage);

	free(c->sni);
	free(c->alpn);
	free(c);
}

static void conn_free(struct vless_conn *c, struct loop *l)
{
	c->garbage.destroy = conn_destroy;
	loop_free_later(l, &c->garbage);
}

/* Fallbacks are decided by the first read alone: a visitor whose first bytes are short is not
 * one of ours, and must not be kept waiting for more. */
static bool falls_back(struct vless_conn *c, struct span in)
{
	const struct conf_in_vless *conf = c->owner->conf;
	struct uuid id;

	if (c->judged || conf->n_fallbacks == 0)
		return false;
	c->judged = true;
	if (in.n >= VLESS_FALLBACK_MIN && vless_id_decode(&id, in, NULL) > 0 &&
	    vless_users_find(c->owner->users, &id))
		return false;
	c->fallback = fallback_choose(conf, c->sni ? c->sni : "", c->alpn ? c->alpn : "", in);
	return c->fallback != NULL;
}

static ssize_t fail(struct intake *k, int err, const char *why)
{
	k->why = why;
	return err;
}

static ssize_t fail_user(struct vless_conn *c, struct intake *k, const char *why)
{
	snprintf(c->why, sizeof(c->why), "account %s%s%s", c->user->email,
		 *c->user->email ? " " : "", why);
	return fail(k, -ERR_UNSUPPORTED, c->why);
}

/* The flow that the client asks for, and whether this connection can have it. @behind: what has
 * come after the request. The words are Xray's. */
static ssize_t check_flow(struct vless_conn *c, struct intake *k, struct span flow,
			  struct span behind)
{
	uint8_t command = c->req.command;
	char room[VISION_WHY_MAX];
	const char *refusal;

	if (flow.n == 0) {
		if (c->user->flow != CONF_FLOW_NONE &&
		    (command == VLESS_TCP || (command == VLESS_MUX && !muxcool_is_xudp(behind))))
			return fail_user(c, k, "is rejected since the client flow is empty");
		return 0;
	}
	if (!span_eq(flow, span_str(VLESS_FLOW_VISION))) {
		snprintf(c->why, sizeof(c->why), "unknown request flow %.*s",
			 flow.n < FLOW_SHOWN ? (int)flow.n : FLOW_SHOWN, (const char *)flow.p);
		return fail(k, -ERR_UNSUPPORTED, c->why);
	}
	if (c->user->flow == CONF_FLOW_NONE)
		return fail_user(c, k, "is not able to use the flow " VLESS_FLOW_VISION);
	if (command == VLESS_UDP)
		return fail(k, -ERR_UNSUPPORTED, VLESS_FLOW_VISION " doesn't support UDP");
	refusal = vision_stream_refusal(k->s, room);
	if (refusal) {
		snprintf(c->why, sizeof(c->why), "%s", refusal);
		return fail(k, -ERR_UNSUPPORTED, c->why);
	}
	c->vision = true;
	return 0;
}

/* What the account may do. */
static ssize_t check_request(struct vless_conn *c, struct intake *k, struct span behind)
{
	struct vless_addons a;
	bool bridge = *c->user->reverse_tag != 0;

	if (vless_addons_decode(&a, c->req.addons) != 0)
		return fail(k, -ERR_MALFORMED, "failed to decode request header addons");
	if (bridge && c->req.command != VLESS_REVERSE && !c->user->reverse_forward)
		return fail(k, -ERR_AUTH,
			    "for safety reasons, a user with \"reverse\" is not allowed to use "
			    "forward proxy; \"forward\": true in his \"reverse\" allows it");
	if (!bridge && c->req.command == VLESS_REVERSE)
		return fail(k, -ERR_AUTH, "user is not allowed to create reverse proxy");
	c->peer = vless_cap_decode(c->req.addons);
	return check_flow(c, k, a.flow, behind);
}

static ssize_t on_decode(struct intake_user *u, struct intake *k, struct span in)
{
	struct vless_conn *c = container_of(u, struct vless_conn, on_intake);
	enum vless_fault fault = VLESS_FAULT_NONE;
	struct uuid id;
	ssize_t n;

	if (in.n == 0)
		return 0;
	if (falls_back(c, in)) {
		intake_finish(k);
		return 0;
	}
	n = vless_id_decode(&id, in, &fault);
	if (n == 0)
		return 0;
	if (n < 0)
		return fail(k, -ERR_AUTH, vless_fault_text(fault));
	if (!c->user)
		c->user = vless_users_find(c->owner->users, &id);
	if (!c->user)
		return fail(k, -ERR_AUTH, "invalid request user id");
	n = vless_request_decode(&c->req, in, &fault);
	if (n < 0)
		return fail(k, -ERR_MALFORMED, vless_fault_text(fault));
	if (n > 0) {
		ssize_t err = check_request(c, k, span_of(in.p + n, in.n - (size_t)n));

		if (err)
			return err;
		intake_finish(k);
	}
	return n;
}

/* May the user say that a flow is somebody's, and could that one reach the target? */
static bool may_say(const struct vless_conn *c, const struct ip *ip)
{
	const struct addr *to = &c->req.target;

	if (!ip->family || (to->kind == ADDR_IP && to->ip.family != ip->family))
		return false;
	for (size_t i = 0; i < c->user->n_sources; i++)
		if (prefix_has(&c->user->sources[i], ip))
			return true;
	return false;
}

/* A user with an address of his own comes from there, wherever his connection comes from; or from
 * one of those for which he speaks. */
static void set_source(const struct vless_conn *c, struct flow *f)
{
	const struct conf_vless_user *u = c->user;
	bool v6 = c->req.target.kind == ADDR_IP && c->req.target.ip.family == 6;

	if (may_say(c, &c->peer.source.ip)) {
		f->source = c->peer.source;
		return;
	}
	f->source = c->source;
	if (v6 ? u->source6.family : u->source4.family) {
		f->source.ip = v6 ? u->source6 : u->source4;
		f->twin = v6 ? u->source4 : u->source6;
	} else if (u->source4.family || u->source6.family) {
		f->source.ip = v6 ? u->source4 : u->source6;
	}
}

static void to_flow(struct vless_conn *c, struct flow *f, struct stream *s)
{
	f->origin = FLOW_FROM_SERVER;
	set_source(c, f);
	f->local = c->local;
	f->user = c->user->email;
	f->level = c->user->level;
	f->vless_route = vless_route(&c->req.id);
	f->target = c->req.target;
	f->in = s;
	f->in_half_close = c->peer.bits & VLESS_CAP_HALF_CLOSE;
}

static void serve_udp(struct flow *f)
{
	f->in_dgram = vless_packets_new(f->in);
	f->in = NULL;
	if (f->in_dgram)
		flow_dispatch(f);
	else
		flow_failed(f, -ERR_NOMEM, NULL);
}

/* ---- the response, and when it is sent ---- */

/* Sends it as soon as the target has answered or failed, to a client that waits for it. */
struct response_hook {
	struct flow_hook hook;
	struct stream *vless; /* the layer with the response */
	struct garbage garbage;
};

static struct span response(uint8_t refusal, uint8_t out[VLESS_RESPONSE_MAX])
{
	uint8_t addons[VLESS_CAP_ADDONS_MAX];
	struct wr a = wr_of(addons, sizeof(addons)), w = wr_of(out, VLESS_RESPONSE_MAX);
	struct vless_cap cap = {.bits = VLESS_CAP_ALL, .refusal = refusal};
	struct vless_response resp;

	vless_cap_encode(&a, &cap);
	resp.addons = span_of(addons, a.n);
	vless_response_encode(&w, &resp);
	return span_of(out, w.n);
}

static void hook_verdict(struct flow_hook *h, struct stream **in, int err)
{
	struct response_hook *r = container_of(h, struct response_hook, hook);
	uint8_t head[VLESS_RESPONSE_MAX];

	if (*in)
		vless_stream_answer(r->vless,
				    response(err ? (uint8_t)muxext_refusal_from_err(err) : 0, head));
}

static void hook_destroy(struct garbage *g)
{
	free(container_of(g, struct response_hook, garbage));
}

static void hook_ended(struct flow_hook *h, struct loop *l)
{
	struct response_hook *r = container_of(h, struct response_hook, hook);

	r->garbage.destroy = hook_destroy;
	loop_free_later(l, &r->garbage);
}

/* Without memory the client waits until it gives up waiting. */
static void answer_in_time(struct flow *f, struct stream *vless)
{
	struct response_hook *r = calloc(1, sizeof(*r));

	if (!r)
		return;
	r->hook = (struct flow_hook){.verdict = hook_verdict, .ended = hook_ended};
	r->vless = vless;
	f->hook = &r->hook;
}

/* The layers between @below and the flow, the lower one in @vless. Takes both. */
static struct stream *wrap(struct vless_conn *c, struct stream *below, struct bufq *rest,
			   struct stream **vless)
{
	uint8_t head[VLESS_RESPONSE_MAX];
	struct vless_side side = {.head = response(0, head),
				  .half_close = c->peer.bits & VLESS_CAP_HALF_CLOSE};
	struct vision_side vision = {.id = &c->req.id, .seed = c->owner->conf->testseed};
	struct stream *s = vless_stream_new(below, rest, &side);

	*vless = s;
	if (s && c->vision)
		return vision_stream_new(s, below, &vision);
	if (s && c->owner->vision && stream_is_tls(below))
		stream_tls_single(below, false);
	return s;
}

static void serve_request(struct vless_conn *c, struct stream *below, struct bufq *rest)
{
	struct in_vless *v = c->owner;
	struct conn_info info = {.source = c->source, .local = c->local};
	struct stream *vless, *s = wrap(c, below, rest, &vless);
	struct flow *f;

	f = s ? inbound_flow(&v->in, s->loop, c->req.command == VLESS_UDP ? CONF_UDP : CONF_TCP,
			     &info) :
		NULL;
	if (!f) {
		stream_close(s, -ERR_LIMIT);
		return;
	}
	to_flow(c, f, s);
	if (c->req.command == VLESS_UDP) {
		serve_udp(f);
		return;
	}
	if (c->req.command == VLESS_MUX)
		addr_set_host(&f->target, span_str(MUXCOOL_NAME), 0);
	if (c->req.command == VLESS_REVERSE) {
		portal_register_vless(f, c->user->reverse_tag);
		return;
	}
	if (c->req.command == VLESS_TCP && (c->peer.bits & VLESS_CAP_VERDICT))
		answer_in_time(f, vless);
	flow_dispatch(f);
}

static void on_done(struct intake_user *u, struct intake *k, struct stream *s, struct bufq *rest)
{
	struct vless_conn *c = container_of(u, struct vless_conn, on_intake);
	struct loop *l = s->loop;

	(void)k;
	if (c->fallback && c->owner->vision && stream_is_tls(s))
		stream_tls_single(s, false);
	if (c->fallback)
		fallback_start(&c->owner->in, c->fallback, s, rest, &c->source, &c->local);
	else
		serve_request(c, s, rest);
	conn_free(c, l);
}

static void on_failed(struct intake_user *u, struct intake *k, int err)
{
	struct vless_conn *c = container_of(u, struct vless_conn, on_intake);

	(void)err;
	conn_free(c, k->deadline.loop);
}

static void vless_serve(struct inbound *in, struct stream *s, const struct conn_info *info)
{
	struct in_vless *v = container_of(in, struct in_vless, in);
	struct vless_conn *c = calloc(1, sizeof(*c));
	struct intake_terms terms = {
		.limit = INTAKE_LIMIT,
		.deadline_ms = conf_policy(in->core->conf, 0)->handshake_s * 1000ull,
		.log = &v->log,
		.source = info->source,
	};

	if (!c) {
		stream_close(s, -ERR_NOMEM);
		return;
	}
	c->owner = v;
	c->source = info->source;
	c->local = info->local;
	if (v->conf->n_fallbacks) {
		c->sni = strdup(info->sni);
		c->alpn = strdup(info->alpn);
	}
	/* What follows the blocks of Vision may not be TLS: no record more than needed is opened. */
	if (v->vision && stream_is_tls(s))
		stream_tls_single(s, true);
	c->on_intake = (struct intake_user){on_decode, on_done, on_failed};
	intake_start(&c->intake, s, NULL, &terms, &c->on_intake);
}

static bool offers_vision(const struct conf_in_vless *conf)
{
	for (size_t i = 0; i < conf->n_users; i++)
		if (conf->users[i].flow != CONF_FLOW_NONE)
			return true;
	return false;
}

struct vless_renewal {
	struct renewal r;
	struct in_vless *v;
	const struct conf_inbound *next;
	struct vless_users *users;
};

static void renewal_apply(struct renewal *r)
{
	struct vless_renewal *n = container_of(r, struct vless_renewal, r);
	struct vless_users *old = n->v->users;

	n->v->users = n->users;
	n->users = old;
	n->v->vision = offers_vision(&n->next->vless);
	transport_server_renew(n->v->in.transport, &n->next->stream);
}

static void renewal_free(struct renewal *r)
{
	struct vless_renewal *n = container_of(r, struct vless_renewal, r);

	vless_users_free(n->users);
	free(n);
}

static struct renewal *vless_renewal(struct inbound *in, const struct conf_inbound *next)
{
	struct vless_renewal *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->r = (struct renewal){.apply = renewal_apply, .free = renewal_free};
	n->v = container_of(in, struct in_vless, in);
	n->next = next;
	n->users = vless_users_new(next->vless.users, next->vless.n_users);
	if (n->users)
		return &n->r;
	free(n);
	return NULL;
}

static void vless_free(struct inbound *in)
{
	struct in_vless *v = container_of(in, struct in_vless, in);

	vless_users_free(v->users);
	free(v);
}

static const struct inbound_ops vless_ops = {
	.protocol = "vless",
	.serve = vless_serve,
	.renewal = vless_renewal,
	.free = vless_free,
};

struct inbound *in_vless_new(struct core *c, const struct conf_inbound *conf)
{
	struct in_vless *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->in = (struct inbound){.ops = &vless_ops, .conf = conf, .core = c, .tag = conf->tag};
	v->conf = &conf->vless;
	v->log.area = "vless";
	v->vision = offers_vision(&conf->vless);
	v->users = vless_users_new(conf->vless.users, conf->vless.n_users);
	if (!v->users) {
		free(v);
		return NULL;
	}
	return &v->in;
}
