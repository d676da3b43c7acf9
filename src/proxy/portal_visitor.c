#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/trace.h"
#include "proxy/portal_int.h"

enum {
	HOLD_MS = 3000,	       /* how long a visitor waits for a bridge that was here lately */
	LATELY_MS = 10000,
	HELD_MAX = 1024,
	VERDICT_MS = 20000,    /* for the far side's dial; then the session begins unanswered */
	RETHINK_MS = 500,      /* meanwhile: is the carrier still worth waiting for? */
	MOVES_MAX = 3,	       /* from carriers that died or fell silent */
};

/* A visitor that waits: for a carrier, or for the far side's verdict. */
struct visitor {
	struct flow *f;
	struct portal *p;
	struct portal_carrier *c; /* whose verdict is awaited; NULL: held */
	struct list node;	  /* in the carrier's pending or the portal's held */
	struct flow_opening opening;
	struct mux_verdict verdict;
	struct stream *session;
	struct timer timer;
	uint64_t since_ms;
	unsigned moves;
	struct garbage garbage;
};

static void visitor_destroy(struct garbage *g)
{
	free(container_of(g, struct visitor, garbage));
}

static void visitor_free(struct visitor *v)
{
	timer_stop(&v->timer);
	list_del(&v->node);
	if (!v->c)
		v->p->n_held--;
	v->garbage.destroy = visitor_destroy;
	loop_free_later(v->p->o.home, &v->garbage);
}

static void on_cancel(struct flow_opening *o)
{
	struct visitor *v = container_of(o, struct visitor, opening);

	stream_close(v->session, -ERR_CLOSED);
	visitor_free(v);
}

/* @c: whose verdict it waits for; NULL: for any carrier. */
static struct visitor *visitor_new(struct portal *p, struct portal_carrier *c, struct flow *f,
				   void (*on_due)(struct timer *t), uint32_t ms)
{
	struct visitor *v = calloc(1, sizeof(*v));

	if (!v) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return NULL;
	}
	v->f = f;
	v->p = p;
	v->c = c;
	v->since_ms = loop_now(p->o.home);
	list_add_tail(c ? &c->pending : &p->held, &v->node);
	if (!c)
		p->n_held++;
	v->opening.cancel = on_cancel;
	f->opening = &v->opening;
	timer_init(&v->timer, p->o.home, on_due);
	timer_start(&v->timer, ms);
	return v;
}

static void on_verdict(struct mux_verdict *mv, int err)
{
	struct visitor *v = container_of(mv, struct visitor, verdict);
	struct flow *f = v->f;
	struct stream *s = v->session;

	visitor_free(v);
	if (err) {
		stream_close(s, err);
		flow_failed(f, err, "said by the bridge");
	} else {
		flow_connected(f, s, true);
	}
}

static void on_line(struct mux_verdict *mv, struct span text)
{
	trace_pass(container_of(mv, struct visitor, verdict)->f, text);
}

static void place(struct portal *p, struct flow *f, unsigned moves);

/* To another carrier, or to wait for one: nothing of the flow has been sent yet. */
static void move(struct visitor *v)
{
	struct portal *p = v->p;
	struct flow *f = v->f;
	unsigned moves = v->moves + 1;

	mux_ask_verdict(v->session, NULL);
	stream_close(v->session, -ERR_CLOSED);
	visitor_free(v);
	f->opening = NULL;
	place(p, f, moves);
}

void portal_visitor_move_all(struct list *visitors)
{
	while (!list_empty(visitors))
		move(list_first(visitors, struct visitor, node));
}

static bool should_move(const struct visitor *v)
{
	const struct portal_carrier *other = portal_carrier_pick(v->p, v->f);

	return v->moves < MOVES_MAX && other && other != v->c &&
	       mux_unanswered_ms(other->mux) == 0 &&
	       mux_unanswered_ms(v->c->mux) >= RETHINK_MS + 2ull * mux_rtt_ms(v->c->mux);
}

static void on_no_verdict(struct timer *t)
{
	struct visitor *v = container_of(t, struct visitor, timer);

	if (should_move(v)) {
		move(v);
	} else if (loop_now(v->p->o.home) - v->since_ms < VERDICT_MS) {
		timer_start(t, RETHINK_MS);
	} else { /* as with a peer that cannot tell */
		mux_ask_verdict(v->session, NULL);
		on_verdict(&v->verdict, 0);
	}
}

static void open_tcp(struct portal *p, struct portal_carrier *c, struct flow *f,
		     const struct mux_request *req, unsigned moves)
{
	struct stream *s = mux_open(c->mux, req);
	struct visitor *v;

	if (!s) {
		flow_failed(f, -ERR_LIMIT, "unable to find an available mux client");
		return;
	}
	trace_say(f, "by the carrier of bridge %s, rtt %u ms%s", c->from, mux_rtt_ms(c->mux),
		  mux_peer_is_ours(c->mux) ? "" :
					     "; stock: it cannot say whether the target answers");
	if (!f->hook || !mux_peer_is_ours(c->mux)) {
		flow_connected(f, s, true);
		return;
	}
	v = visitor_new(p, c, f, on_no_verdict, RETHINK_MS);
	if (!v) {
		stream_close(s, -ERR_NOMEM);
		return;
	}
	v->session = s;
	v->moves = moves;
	v->verdict = (struct mux_verdict){on_verdict, on_line};
	mux_ask_verdict(s, &v->verdict);
}

static void open_on(struct portal *p, struct portal_carrier *c, struct flow *f, unsigned moves)
{
	struct mux_request req = {.net = f->net,
				  .target = f->target,
				  .source = f->source,
				  .local = f->local,
				  .source_net = f->net,
				  .trace = f->traced};

	if (f->net == CONF_TCP) {
		open_tcp(p, c, f, &req, moves);
	} else if (flow_is_echo(f) && !mux_peer_echoes(c->mux)) {
		flow_cannot_echo(f);
		return;
	} else {
		struct dgram *d = mux_open_dgram(c->mux, &req);

		if (d)
			flow_connected_dgram(f, d);
		else
			flow_failed(f, -ERR_LIMIT, "unable to find an available mux client");
	}
	portal_carrier_used(c);
}

static void say_why_empty(struct portal *p, struct flow *f)
{
	static const char *const lead = "failed to process reverse connection > empty worker list";
	unsigned long long s = (loop_now(p->o.home) - p->since_ms) / 1000;
	const char *what = p->conf ? p->conf->domain : "VLESS reverse";
	char stray[160] = "";

	if (p->strays)
		snprintf(stray, sizeof(stray),
			 "; %u connections asked for '%s' instead, is the domain spelt alike?",
			 p->strays, p->stray);
	if (p->state == PORTAL_NEVER)
		trace_say(f, "no bridge has ever connected to portal '%s'%s", p->o.tag, stray);
	else
		trace_say(f, "no bridge: the last one, %s, was lost %llu s ago (%s)%s", p->last_from,
			  s, p->last_error, stray);
	if (p->state == PORTAL_NEVER)
		log_line(p->told ? LOG_INFO : LOG_WARN, f->id, "portal",
			 "%s: no bridge for '%s' has ever connected to portal '%s'%s", lead, what,
			 p->o.tag, stray);
	else
		log_line(p->told ? LOG_INFO : LOG_WARN, f->id, "portal",
			 "%s: the last bridge for '%s' at portal '%s' was %s, lost %llu s ago (%s)%s",
			 lead, what, p->o.tag, p->last_from, s, p->last_error, stray);
	p->told = true;
}

static void on_held_too_long(struct timer *t)
{
	struct visitor *v = container_of(t, struct visitor, timer);
	struct flow *f = v->f;
	struct portal *p = v->p;

	visitor_free(v);
	say_why_empty(p, f);
	flow_failed(f, -ERR_NOWORKER, NULL);
}

void portal_visitor_serve_held(struct portal *p)
{
	while (!list_empty(&p->held)) {
		struct visitor *v = list_first(&p->held, struct visitor, node);
		struct flow *f = v->f;
		struct portal_carrier *c = portal_carrier_pick(p, f);
		unsigned moves = v->moves;

		if (!c)
			return;
		visitor_free(v);
		f->opening = NULL;
		open_on(p, c, f, moves);
	}
}

static bool may_hold(const struct portal *p)
{
	return p->state == PORTAL_LOST && p->n_held < HELD_MAX &&
	       loop_now(p->o.home) - p->since_ms < LATELY_MS;
}

/* A bridge with another domain is treated as a visitor by every portal; it shows by port 0. */
static void note_stray(struct portal *p, const struct flow *f)
{
	if (!p->conf || f->target.kind != ADDR_NAME || f->target.port != 0)
		return;
	snprintf(p->stray, sizeof(p->stray), "%.79s", f->target.name);
	p->strays++;
}

static void place(struct portal *p, struct flow *f, unsigned moves)
{
	struct portal_carrier *c = portal_carrier_pick(p, f);

	if (moves > MOVES_MAX) {
		flow_failed(f, -ERR_NOWORKER, "carrier after carrier was lost");
	} else if (c) {
		open_on(p, c, f, moves);
	} else if (may_hold(p)) {
		struct visitor *v = visitor_new(p, NULL, f, on_held_too_long, HOLD_MS);

		if (v)
			v->moves = moves;
	} else {
		say_why_empty(p, f);
		flow_failed(f, -ERR_NOWORKER, NULL);
	}
}

void portal_visitor_open(struct portal *p, struct flow *f)
{
	note_stray(p, f);
	if (f->target.kind == ADDR_NAME && reversectl_is_internal(f->target.name))
		flow_failed(f, -ERR_BLOCKED, "the control session's name is not for visitors");
	else
		place(p, f, 0);
}
