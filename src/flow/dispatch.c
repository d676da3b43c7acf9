#include "flow/dispatch.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/core.h"
#include "flow/ferry.h"
#include "flow/flowlog.h"
#include "flow/sniffer.h"
#include "flow/target.h"
#include "flow/trace.h"
#include "net/ledger.h"
#include "net/resolve.h"
#include "net/sock.h"
#include "net/stream_xpipe.h"
#include "proto/echo.h"
#include "proto/muxcool.h"
#include "route/procinfo.h"
#include "route/router.h"

enum {
	HOPS_MAX = 8,	   /* ways through loopback, mux in mux: more is a loop */
	MEMBERS_MAX = 256, /* outbounds that a balancer is shown */
	DOWN_MS = 10000,   /* how long one whose server was not reached is passed over */
};

/* A flow whose rules wait for addresses. */
struct lookup {
	struct flow *f;
	struct flow_opening opening;
	struct resolve_req req;
	const struct router *router; /* that it began with: @pick goes on there */
	struct route_pick pick;
	struct ip ips[RESOLVE_MAX];
	struct garbage garbage;
};

static void refuse(struct flow *f, int err, const char *why)
{
	flowlog_rejected(f, why);
	trace_say(f, "refused: %s", why);
	log_line(LOG_INFO, f->id, "dispatch", "%s", why);
	flow_failed(f, err, why);
}

/* ---- opening ---- */

static void open_now(struct flow *f)
{
	f->state = FLOW_OPENING;
	flowlog_accepted(f);
	trace_route(f);
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

/* Whoever takes the outbound's stream lives on this loop, the outbound on another: it gets the end
 * of a pipe, at once, and the flow goes on with the other end as its inbound. */
static bool take_by_pipe(struct flow *f)
{
	struct flow_taker *t = f->taker;
	struct stream *end[2];

	if (stream_xpipe_new(f->loop, f->out->home, STREAM_READ_MAX, end) != 0)
		return false;
	f->taker = NULL;
	f->in = end[1];
	f->in_half_close = true;
	t->taken(t, end[0], 0, NULL);
	return true;
}

/* Both ways of reaching @home leave the flow with an inbound side that belongs to it. */
static bool bring_inbound(struct flow *f, struct loop *home)
{
	if (f->taker)
		return take_by_pipe(f);
	if (f->in && stream_move(f->in, home) != 0)
		f->in = ferry_stream(f->in, home, &f->hook);
	if (f->in_dgram)
		f->in_dgram = ferry_dgram(f->in_dgram, home, &f->hook);
	return f->in || f->in_dgram;
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

/* What a portal sent us would go back to it, and come again, and so on. */
static bool goes_back(struct flow *f)
{
	if (!f->came_by || f->came_by != f->out)
		return false;
	log_line(LOG_WARN, f->id, "dispatch",
		 "a flow that came in by a carrier of [%s] would leave by it again: a loop. No rule "
		 "for [%s] takes it, or the wrong one", f->out->tag, f->in_tag);
	refuse(f, -ERR_LOOP, "the way back to the portal is a loop");
	return true;
}

bool flow_is_echo(const struct flow *f)
{
	return f->net == CONF_UDP && f->target.kind != ADDR_NONE && f->target.port == ECHO_PORT;
}

/* Silence for the asker: no answer is invented, and a stock peer never sees the question. */
void flow_cannot_echo(struct flow *f)
{
	bool told = atomic_exchange_explicit(&f->out->told_no_echo, true, memory_order_relaxed);

	log_line(told ? LOG_DEBUG : LOG_WARN, f->id, "dispatch",
		 "pings are not carried by [%s] (%s): its far end does not understand them, or has "
		 "not said yet that it does", f->out->tag, f->out->ops->protocol);
	flow_failed(f, -ERR_UNSUPPORTED, "pings are not carried by this outbound");
}

static void open_flow(struct flow *f)
{
	if (goes_back(f))
		return;
	if (flow_is_echo(f) && !(f->out->ops->echoes && f->out->ops->echoes(f->out))) {
		flow_cannot_echo(f);
		return;
	}
	if (!target_resolve(f))
		dispatch_open(f);
}

void dispatch_open(struct flow *f)
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

static bool was_tried(const struct flow *f, const struct outbound *o)
{
	for (unsigned i = 0; i < f->n_tried; i++)
		if (f->tried[i] == o)
			return true;
	return false;
}

static const char *balanced(const struct flow *f)
{
	struct balance_member m[MEMBERS_MAX];
	const struct core *c = f->core;
	struct balancer *b = f->balancer;
	uint64_t now = loop_now(f->loop);
	size_t n = 0;

	for (size_t i = 0; i < c->n_outbounds && n < MEMBERS_MAX; i++) {
		struct outbound *o = c->outbounds[i];

		if (!balancer_selects(b, o->tag) || was_tried(f, o))
			continue;
		m[n++] = (struct balance_member){
			.tag = o->tag,
			.dead = now < o->down_until_ms || (o->ops->alive && !o->ops->alive(o)),
			.stats = o->stats,
		};
	}
	qsort(m, n, sizeof(m[0]), by_tag);
	return balancer_pick(b, m, n);
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

/* A tag that names nothing must not become the default: a typo in "block" would let all out. */
static void open_by_tag(struct flow *f, const char *tag)
{
	f->out = core_outbound(f->core, tag);
	if (f->out) {
		open_flow(f);
		return;
	}
	log_line(LOG_WARN, f->id, "dispatch", "non existing outTag: %s (rule %zu at %s:%d)", tag,
		 f->rule->number, f->rule->at.file, f->rule->at.line);
	refuse(f, -ERR_NOROUTE, "non existing outTag");
}

static void picked(struct flow *f, const struct route_pick *p)
{
	const char *tag = p->outbound_tag;

	f->rule = p->verdict == ROUTE_RULE ? p->rule : NULL;
	f->balancer = f->rule ? p->balancer : NULL;
	if (f->balancer)
		tag = balanced(f);
	if (f->rule && tag) {
		open_by_tag(f, tag);
		return;
	}
	f->rule = NULL; /* a balancer that finds nobody is like no rule */
	default_route(f);
}

void dispatch_reached(struct outbound *o)
{
	if (o->down_until_ms)
		o->down_until_ms = 0;
}

void dispatch_elsewhere(struct flow *f, int err, const char *why)
{
	struct outbound *tried = f->out;
	const char *tag = NULL;

	if (err != -ERR_NOMEM)
		tried->down_until_ms = loop_now(f->loop) + DOWN_MS;
	if (f->balancer && f->n_tried < sizeof(f->tried) / sizeof(f->tried[0])) {
		f->tried[f->n_tried++] = tried;
		tag = balanced(f);
	}
	f->out = tag ? core_outbound(f->core, tag) : NULL;
	if (!f->out || was_tried(f, f->out)) { /* a fallback may be one of them */
		f->out = tried;
		flow_failed(f, err, why);
		return;
	}
	log_line(LOG_INFO, f->id, "dispatch", "[%s] does not reach its server (%s), [%s] is tried",
		 tried->tag, why ? why : err_name(err), tag);
	trace_say(f, "the balancer tries [%s]", tag);
	f->opening = NULL;
	f->state = FLOW_ROUTING;
	target_restore(f);
	open_flow(f);
}

/* What rules may ask of a flow beyond its plain attributes. */
struct rule_view {
	const struct flow *f;
	struct procinfo owner;
};

static struct span view_attr(void *ctx, const char *name)
{
	struct rule_view *v = ctx;

	return sniff_attr(v->f->attrs, name);
}

static const struct route_process *view_process(void *ctx)
{
	struct rule_view *v = ctx;

	if (procinfo_find(&v->owner, v->f->net, &v->f->source) != 0)
		return NULL;
	return &v->owner.process;
}

static void fill_attrs(const struct flow *f, struct route_attrs *a, struct rule_view *v)
{
	v->f = f;
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
		.skip_resolve = f->taker != NULL || f->own_query,
	};
	a->ctx = v;
	if (f->attrs)
		a->attr = view_attr;
	if (router_wants_process(f->core->router))
		a->process = view_process;
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
	struct rule_view view;
	struct route_attrs a;

	f->opening = NULL;
	fill_attrs(f, &a, &view);
	a.resolved = true;
	a.n_ips = res->err ? 0 : res->n;
	memcpy(k->ips, res->ip, sizeof(k->ips));
	a.ips = k->ips;
	router_pick(k->router, &a, &k->pick);
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
	k->router = f->core->router;
	k->pick = *p;
	k->opening.cancel = on_cancel;
	f->opening = &k->opening;
	k->req.on_done = on_resolved;
	resolve_start(core_resolver(f->core, f->loop), &k->req, p->resolve, CONF_USE_IP, 0);
}

void dispatch_route(struct flow *f)
{
	struct route_pick p = {0};
	struct rule_view view;
	struct route_attrs a;

	f->state = FLOW_ROUTING;
	if (!f->core->router) {
		default_route(f);
		return;
	}
	fill_attrs(f, &a, &view);
	if (router_pick(f->core->router, &a, &p) == ROUTE_NEED_IPS)
		look_up(f, &p);
	else
		picked(f, &p);
}

bool dispatch_same_way(const struct flow *f, const struct addr *to)
{
	struct route_pick p = {0};
	struct rule_view view;
	struct route_attrs a;

	if (!f->core->router)
		return true;
	fill_attrs(f, &a, &view);
	a.target = to;
	a.sniffed_name = NULL;
	a.protocol = "";
	a.attr = NULL;
	switch (router_pick(f->core->router, &a, &p)) {
	case ROUTE_RULE:
		if (p.rule == f->rule || p.balancer)
			return p.rule == f->rule || p.balancer == f->balancer;
		return !f->balancer && f->out == core_outbound(f->core, p.outbound_tag);
	case ROUTE_NONE:
		return !f->balancer && f->out == f->core->outbounds[0];
	default:
		return false;
	}
}

/* Connections of ours do not go into the TUN: they are marked, their peers are pinned. If one does
 * all the same, it ends here, at its first packet, instead of going round. */
static bool is_our_own(struct flow *f)
{
	struct ledger *ledger = loop_ledger(f->loop);
	struct ipport to;
	const char *why;
	char text[ADDR_TEXT_MAX];

	if (!addr_to_ipport(&f->target, &to))
		return false;
	if (ledger_has_dial(ledger, f->net, &f->source, &to) && sock_is_local(&f->source.ip))
		why = "a connection of our own came back through the TUN: a loop";
	else if (ledger_has_peer(ledger, &to))
		why = "the TUN's own carrier goes there: through the TUN it would be a loop";
	else
		return false;
	log_line(LOG_WARN, f->id, "dispatch", "%s: %s. \"check --routes\" tells more",
		 addr_text(&f->target, text, sizeof(text)), why);
	refuse(f, -ERR_LOOP, why);
	return true;
}

static void on_start(struct defer *d)
{
	struct flow *f = container_of(d, struct flow, start);

	if (f->hops > HOPS_MAX) {
		refuse(f, -ERR_LOOP, "the flow has come back too often: a loop of rules");
		return;
	}
	if (f->of_tun && is_our_own(f))
		return;
	if (f->out) {
		f->forced = true;
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
	if (f->net == CONF_UDP)
		addr_to_ipport(&f->target, &f->first);
	defer_init(&f->start, f->loop, on_start);
	defer_ask(&f->start);
}
