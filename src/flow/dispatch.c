#include "flow/dispatch.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/core.h"
#include "flow/ferry.h"
#include "flow/flowlog.h"
#include "flow/sniffer.h"
#include "net/resolve.h"
#include "proto/muxcool.h"
#include "route/router.h"

enum {
	HOPS_MAX = 8,	   /* ways through loopback, mux in mux: more is a loop */
	MEMBERS_MAX = 256, /* outbounds that a balancer is shown */
};

/* A flow whose rules wait for addresses. */
struct lookup {
	struct flow *f;
	struct flow_opening opening;
	struct resolve_req req;
	struct route_pick pick;
	struct ip ips[RESOLVE_MAX];
	struct garbage garbage;
};

static void refuse(struct flow *f, int err, const char *why)
{
	flowlog_rejected(f, why);
	log_line(LOG_INFO, f->id, "dispatch", "%s", why);
	flow_failed(f, err, why);
}

/* ---- opening ---- */

static void open_now(struct flow *f)
{
	f->state = FLOW_OPENING;
	flowlog_accepted(f);
	f->out->ops->open(f->out, f);
}

/* A flow on its way to another loop. */
struct removal {
	struct post post;
	struct flow *f;
};

static void on_arrived(struct loop *l, struct post *p)
{
	struct removal *m = container_of(p, struct removal, post);
	struct flow *f = m->f;
	struct worker *w = core_worker(f->core, l);

	list_add_tail(&w->flows, &f->all);
	w->n_flows++;
	free(m);
	open_now(f);
}

/* Both ways of reaching @home leave the flow with an inbound side that belongs to it. */
static bool bring_inbound(struct flow *f, struct loop *home)
{
	if (f->in && stream_move(f->in, home) != 0)
		f->in = ferry_stream(f->in, home);
	if (f->in_dgram)
		f->in_dgram = ferry_dgram(f->in_dgram, home);
	return f->in || f->in_dgram || f->taker;
}

static void move_home(struct flow *f)
{
	struct loop *home = f->out->home;
	struct worker *w = core_worker(f->core, f->loop);
	struct removal *m = malloc(sizeof(*m));

	if (!m || !bring_inbound(f, home)) {
		free(m);
		refuse(f, -ERR_NOMEM, "out of memory");
		return;
	}
	list_del(&f->all);
	w->n_flows--;
	f->loop = home;
	m->f = f;
	m->post.run = on_arrived;
	loop_post(home, &m->post);
}

static void open_flow(struct flow *f)
{
	if (f->out->home && f->out->home != f->loop)
		move_home(f);
	else
		open_now(f);
}

/* ---- choosing ---- */

static int by_tag(const void *a, const void *b)
{
	const struct balance_member *x = a, *y = b;

	return strcmp(x->tag, y->tag);
}

static struct outbound *balanced(struct flow *f, struct balancer *b)
{
	struct core *c = f->core;
	struct balance_member m[MEMBERS_MAX];
	size_t n = 0;
	const char *tag;

	for (size_t i = 0; i < c->n_outbounds && n < MEMBERS_MAX; i++) {
		struct outbound *o = c->outbounds[i];

		if (!*o->tag)
			continue;
		m[n++] = (struct balance_member){
			.tag = o->tag,
			.dead = o->ops->alive && !o->ops->alive(o),
			.stats = o->stats,
		};
	}
	qsort(m, n, sizeof(m[0]), by_tag);
	tag = balancer_pick(b, m, n);
	return tag ? core_outbound(c, tag) : NULL;
}

static void default_route(struct flow *f)
{
	if (f->core->n_outbounds == 0) {
		refuse(f, -ERR_NOROUTE, "default outbound handler not exist");
		return;
	}
	f->out = f->core->outbounds[0];
	open_flow(f);
}

static void picked(struct flow *f, const struct route_pick *p)
{
	f->rule = p->verdict == ROUTE_RULE ? p->rule : NULL;
	if (p->verdict == ROUTE_NONE) {
		default_route(f);
		return;
	}
	if (p->balancer) {
		f->out = balanced(f, p->balancer);
		if (f->out)
			open_flow(f);
		else
			default_route(f);
		return;
	}
	f->out = core_outbound(f->core, p->outbound_tag);
	if (f->out) {
		open_flow(f);
		return;
	}
	log_line(LOG_WARN, f->id, "dispatch", "non existing outTag: %s (rule %zu at %s:%d)",
		 p->outbound_tag, p->rule->number, p->rule->at.file, p->rule->at.line);
	refuse(f, -ERR_NOROUTE, "non existing outTag");
}

static void fill_attrs(const struct flow *f, struct route_attrs *a)
{
	*a = (struct route_attrs){
		.inbound_tag = f->in_tag,
		.network = f->net,
		.source = f->source,
		.local = f->local,
		.user = f->user,
		.vless_route = f->vless_route,
		.target = &f->target,
		.sniffed_name = f->seen_name ? f->seen_name : NULL,
		.protocol = f->protocol,
		.skip_resolve = f->taker != NULL,
	};
	if (f->attrs) {
		a->attr = sniff_attr;
		a->ctx = f->attrs;
	}
}

static void lookup_destroy(struct garbage *g)
{
	free(container_of(g, struct lookup, garbage));
}

static void lookup_free(struct lookup *k)
{
	k->garbage.destroy = lookup_destroy;
	loop_free_later(k->f->loop, &k->garbage);
}

static void on_cancel(struct flow_opening *o)
{
	struct lookup *k = container_of(o, struct lookup, opening);

	resolve_cancel(&k->req);
	lookup_free(k);
}

static void on_resolved(struct resolve_req *q, const struct resolve_result *res)
{
	struct lookup *k = container_of(q, struct lookup, req);
	struct flow *f = k->f;
	struct route_attrs a;

	f->opening = NULL;
	fill_attrs(f, &a);
	a.resolved = true;
	a.n_ips = res->err ? 0 : res->n;
	memcpy(k->ips, res->ip, sizeof(k->ips));
	a.ips = k->ips;
	router_pick(f->core->router, &a, &k->pick);
	lookup_free(k);
	picked(f, &k->pick);
}

static void look_up(struct flow *f, const struct route_pick *p)
{
	struct lookup *k = calloc(1, sizeof(*k));

	if (!k) {
		refuse(f, -ERR_NOMEM, "out of memory");
		return;
	}
	k->f = f;
	k->pick = *p;
	k->opening.cancel = on_cancel;
	f->opening = &k->opening;
	k->req.on_done = on_resolved;
	resolve_start(core_resolver(f->core, f->loop), &k->req, p->resolve, CONF_USE_IP, 0);
}

void dispatch_route(struct flow *f)
{
	struct route_pick p = {0};
	struct route_attrs a;

	f->state = FLOW_ROUTING;
	if (!f->core->router) {
		default_route(f);
		return;
	}
	fill_attrs(f, &a);
	if (router_pick(f->core->router, &a, &p) == ROUTE_NEED_IPS)
		look_up(f, &p);
	else
		picked(f, &p);
}

static void on_start(struct defer *d)
{
	struct flow *f = container_of(d, struct flow, start);

	if (f->hops > HOPS_MAX) {
		refuse(f, -ERR_LOOP, "the flow has come back too often: a loop of rules");
		return;
	}
	if (f->out) {
		open_flow(f);
		return;
	}
	/* What makes a connection a carrier of mux is not for a user of ours to say. */
	if (f->net == CONF_TCP && muxcool_is_carrier(&f->target) && !f->taker) {
		if (f->origin == FLOW_FROM_LOCAL) {
			refuse(f, -ERR_BLOCKED, "the mux carriers' name is not a destination");
			return;
		}
		f->out = f->core->mux_acceptor;
		open_flow(f);
		return;
	}
	if (f->sniff && f->sniff->enabled && sniffer_start(f))
		return;
	dispatch_route(f);
}

/* Begins at the end of the turn: whoever dispatches is never called back from inside. */
void flow_dispatch(struct flow *f)
{
	defer_init(&f->start, f->loop, on_start);
	defer_ask(&f->start);
}
