#include "proxy/portal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/core.h"
#include "proto/reversectl.h"
#include "proxy/control.h"
#include "proxy/mux.h"

enum portal_state {
	PORTAL_NEVER = 0,
	PORTAL_UP,
	PORTAL_LOST,
};

enum {
	PEER_TEXT = 128,
	HOLD_MS = 3000,	       /* how long a visitor waits for a bridge that was here lately */
	LATELY_MS = 10000,
	HELD_MAX = 1024,
	VERDICT_MS = 20000,    /* for the far side's dial; then the session begins unanswered */
	DRAIN_STOCK = 256,     /* sessions in a carrier's life, as stock portals count */
	DRAIN_OURS = 60000,    /* ids are 16 bits */
	DRAINED_IDLE_MS = 5000,
	FRESH_MS = 3000,       /* a carrier heard of within this is preferred */
	CARRIERS_MAX = 256,
};

struct portal {
	struct outbound o;
	const struct conf_portal *conf; /* NULL: VLESS */
	struct list carriers;
	size_t n_carriers;
	atomic_int live;
	enum reversectl_name name; /* the one that bridges here understood last */
	struct list held;
	size_t n_held;

	enum portal_state state;
	uint64_t since_ms;
	char last_from[PEER_TEXT]; /* of the last carrier */
	char last_error[160];
	bool told;		/* the present state was reported to a visitor's log */
	char stray[80];		/* another domain that somebody tried to register here */
	unsigned strays;
};

struct carrier {
	struct portal *p;
	struct list node;
	struct mux *mux;
	struct mux_user on_mux;
	struct control *control;
	struct control_user on_control;
	bool draining;
	char from[PEER_TEXT];
	struct timer idle; /* after draining */
	struct garbage garbage;
};

/* A visitor that waits: for a carrier, or for the far side's verdict. */
struct visitor {
	struct flow *f;
	struct portal *p;
	struct list node; /* in held, or lone */
	struct flow_opening opening;
	struct mux_verdict verdict;
	struct stream *session;
	struct timer timer;
	struct garbage garbage;
};

static struct portal *of(struct outbound *o)
{
	return container_of(o, struct portal, o);
}

static void set_state(struct portal *p, enum portal_state st)
{
	if (p->state == st)
		return;
	p->state = st;
	p->since_ms = loop_now(p->o.home);
	p->told = false;
}

/* ---- carriers ---- */

static void carrier_destroy(struct garbage *g)
{
	free(container_of(g, struct carrier, garbage));
}

static void carrier_forget(struct carrier *c)
{
	struct portal *p = c->p;

	timer_stop(&c->idle);
	control_stop(c->control);
	c->control = NULL;
	list_del(&c->node);
	p->n_carriers--;
	if (!c->draining)
		atomic_fetch_sub(&p->live, 1);
	c->garbage.destroy = carrier_destroy;
	loop_free_later(p->o.home, &c->garbage);
}

static void on_mux_end(struct mux_user *u, struct mux *m, int err, const char *why)
{
	struct carrier *c = container_of(u, struct carrier, on_mux);
	struct portal *p = c->p;

	(void)m;
	snprintf(p->last_error, sizeof(p->last_error), "%s%s%s",
		 err == -ERR_EOF ? "closed by peer" : err_name(err), why ? ": " : "",
		 why ? why : "");
	memcpy(p->last_from, c->from, sizeof(p->last_from));
	log_line(p->n_carriers == 1 ? LOG_WARN : LOG_INFO, 0, "portal",
		 "[%s] bridge %s is gone (%s), %zu carriers left", p->o.tag, c->from,
		 p->last_error, p->n_carriers - 1);
	carrier_forget(c);
	if (p->n_carriers == 0)
		set_state(p, PORTAL_LOST);
}

/* Bridges never open sessions. */
static void on_session(struct mux_user *u, struct mux *m, const struct mux_request *req,
		       struct stream *s, struct dgram *d)
{
	(void)u;
	(void)m;
	(void)req;
	stream_close(s, -ERR_UNSUPPORTED);
	dgram_close(d, -ERR_UNSUPPORTED);
}

static void on_control_name(struct control_user *u, enum reversectl_name name)
{
	container_of(u, struct carrier, on_control)->p->name = name;
}

static void on_drained_idle(struct timer *t)
{
	struct carrier *c = container_of(t, struct carrier, idle);

	if (mux_sessions(c->mux) > 0) {
		timer_start(&c->idle, DRAINED_IDLE_MS);
		return;
	}
	log_info("portal", "[%s] drained carrier of %s closed", c->p->o.tag, c->from);
	mux_close(c->mux, 0);
	carrier_forget(c);
}

static void carrier_drain(struct carrier *c)
{
	c->draining = true;
	atomic_fetch_sub(&c->p->live, 1);
	control_drain(c->control);
	c->control = NULL;
	timer_start(&c->idle, DRAINED_IDLE_MS);
	log_info("portal", "[%s] carrier of %s has carried %zu sessions and drains", c->p->o.tag,
		 c->from, mux_opened(c->mux));
}

static void serve_held(struct portal *p);

static void carrier_start(struct portal *p, struct stream *s, struct bufq *early,
			  const char *from, const char *user)
{
	struct carrier *c = calloc(1, sizeof(*c));
	struct mux_config mc = {.role = MUX_CLIENT, .addresses = p->conf == NULL};
	const char *fixed = p->conf ? p->conf->control_name : "";

	if (!c || p->n_carriers >= CARRIERS_MAX) {
		log_warn("portal", "[%s] bridge %s refused: %s", p->o.tag, from,
			 c ? "too many carriers" : "out of memory");
		free(c);
		bufq_clear(early);
		stream_close(s, -ERR_LIMIT);
		return;
	}
	c->p = p;
	snprintf(c->from, sizeof(c->from), "%s%s%.50s", from, *user ? " user " : "", user);
	c->on_mux = (struct mux_user){on_session, on_mux_end};
	c->mux = mux_new(s, early, &mc, &c->on_mux);
	if (!c->mux) {
		free(c);
		return;
	}
	list_add_tail(&p->carriers, &c->node);
	p->n_carriers++;
	atomic_fetch_add(&p->live, 1);
	timer_init(&c->idle, p->o.home, on_drained_idle);
	c->on_control.on_name = on_control_name;
	c->control = control_start(c->mux, p->o.home, p->conf ? p->name : REVERSECTL_XRAY,
				   p->conf && !*fixed, fixed, &c->on_control);
	log_line(p->state == PORTAL_UP ? LOG_INFO : LOG_WARN, 0, "portal",
		 "[%s] bridge %s connected, %zu carriers", p->o.tag, c->from, p->n_carriers);
	set_state(p, PORTAL_UP);
	serve_held(p);
}

/* Few sessions and little waiting to leave; not one that has fallen silent, if there is
 * another. NULL when there is none at all. */
static struct carrier *pick(struct portal *p)
{
	struct carrier *c, *best = NULL;
	uint64_t now = loop_now(p->o.home), best_score = UINT64_MAX;

	list_each(c, &p->carriers, node) {
		uint64_t score = mux_sessions(c->mux) + mux_queued(c->mux) / BUF_DATA;

		if (now - mux_last_heard_ms(c->mux) > FRESH_MS)
			score += 1u << 20;
		if (c->draining)
			score += 1u << 30;
		if (score < best_score) {
			best = c;
			best_score = score;
		}
	}
	return best;
}

/* ---- visitors ---- */

static void visitor_destroy(struct garbage *g)
{
	free(container_of(g, struct visitor, garbage));
}

static void visitor_free(struct visitor *v)
{
	timer_stop(&v->timer);
	if (!list_empty(&v->node)) {
		list_del(&v->node);
		v->p->n_held--;
	}
	v->garbage.destroy = visitor_destroy;
	loop_free_later(v->p->o.home, &v->garbage);
}

static void on_cancel(struct flow_opening *o)
{
	struct visitor *v = container_of(o, struct visitor, opening);

	stream_close(v->session, -ERR_CLOSED);
	visitor_free(v);
}

static struct visitor *visitor_new(struct portal *p, struct flow *f,
				   void (*on_due)(struct timer *t), uint32_t ms)
{
	struct visitor *v = calloc(1, sizeof(*v));

	if (!v) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return NULL;
	}
	v->f = f;
	v->p = p;
	list_init(&v->node);
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

/* No word for so long: as with a peer that cannot tell. */
static void on_verdict_late(struct timer *t)
{
	struct visitor *v = container_of(t, struct visitor, timer);

	mux_ask_verdict(v->session, NULL);
	on_verdict(&v->verdict, 0);
}

static void open_tcp(struct portal *p, struct carrier *c, struct flow *f,
		     const struct mux_request *req)
{
	struct stream *s = mux_open(c->mux, req);
	struct visitor *v;

	if (!s) {
		flow_failed(f, -ERR_LIMIT, "unable to find an available mux client");
		return;
	}
	if (!f->hook || !mux_peer_is_ours(c->mux)) {
		flow_connected(f, s, true);
		return;
	}
	v = visitor_new(p, f, on_verdict_late, VERDICT_MS);
	if (!v) {
		stream_close(s, -ERR_NOMEM);
		return;
	}
	v->session = s;
	v->verdict.on_verdict = on_verdict;
	mux_ask_verdict(s, &v->verdict);
}

static void open_on(struct portal *p, struct carrier *c, struct flow *f)
{
	struct mux_request req = {.net = f->net,
				  .target = f->target,
				  .source = f->source,
				  .local = f->local,
				  .source_net = f->net};
	size_t most = mux_peer_is_ours(c->mux) ? (size_t)DRAIN_OURS : (size_t)DRAIN_STOCK;

	if (f->net == CONF_TCP) {
		open_tcp(p, c, f, &req);
	} else {
		struct dgram *d = mux_open_dgram(c->mux, &req);

		if (d)
			flow_connected_dgram(f, d);
		else
			flow_failed(f, -ERR_LIMIT, "unable to find an available mux client");
	}
	if (!c->draining && mux_opened(c->mux) > most)
		carrier_drain(c);
}

static void say_why_empty(struct portal *p, const struct flow *f)
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

static void serve_held(struct portal *p)
{
	while (!list_empty(&p->held)) {
		struct visitor *v = list_first(&p->held, struct visitor, node);
		struct flow *f = v->f;
		struct carrier *c = pick(p);

		if (!c)
			return;
		visitor_free(v);
		f->opening = NULL;
		open_on(p, c, f);
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

static void open_visitor(struct portal *p, struct flow *f)
{
	struct carrier *c = pick(p);

	note_stray(p, f);
	if (f->target.kind == ADDR_NAME && reversectl_is_internal(f->target.name)) {
		flow_failed(f, -ERR_BLOCKED, "the control session's name is not for visitors");
	} else if (c) {
		open_on(p, c, f);
	} else if (may_hold(p)) {
		struct visitor *v = visitor_new(p, f, on_held_too_long, HOLD_MS);

		if (v) {
			list_add_tail(&p->held, &v->node);
			p->n_held++;
		}
	} else {
		say_why_empty(p, f);
		flow_failed(f, -ERR_NOWORKER, NULL);
	}
}

/* ---- registration ---- */

static bool is_registration(const struct portal *p, const struct flow *f)
{
	if (!p->conf)
		return f->registers;
	return f->target.kind == ADDR_NAME && strcmp(f->target.name, p->conf->domain) == 0;
}

static bool may_register(const struct portal *p, const struct flow *f)
{
	if (!p->conf || p->conf->users.n == 0)
		return true;
	for (size_t i = 0; i < p->conf->users.n; i++)
		if (strcasecmp(p->conf->users.v[i], f->user) == 0)
			return true;
	return false;
}

static void open_registration(struct portal *p, struct flow *f)
{
	char from[64];
	const char *user = f->user;
	struct stream *s;
	struct bufq early;

	if (f->net != CONF_TCP) {
		flow_failed(f, -ERR_UNSUPPORTED, "a bridge registers by TCP");
		return;
	}
	ipport_text(&f->source, from, sizeof(from));
	if (!may_register(p, f)) {
		log_warn("portal", "[%s] %s user '%s' may not register as bridge", p->o.tag, from,
			 user);
		flow_failed(f, -ERR_AUTH, "this user may not register as bridge");
		return;
	}
	bufq_init(&early);
	s = flow_take_in(f, &early);
	carrier_start(p, s, &early, from, user);
}

static void portal_open(struct outbound *o, struct flow *f)
{
	struct portal *p = of(o);

	if (is_registration(p, f))
		open_registration(p, f);
	else
		open_visitor(p, f);
}

static bool portal_alive(const struct outbound *o)
{
	const struct portal *p = container_of(o, const struct portal, o);

	return atomic_load_explicit(&p->live, memory_order_relaxed) > 0;
}

static bool portal_registers(const struct outbound *o, const struct flow *f)
{
	return is_registration(container_of(o, const struct portal, o), f);
}

static void portal_free(struct outbound *o)
{
	struct portal *p = of(o);
	struct carrier *c, *next;

	list_each_safe(c, next, &p->carriers, node) {
		mux_close(c->mux, -ERR_CLOSED);
		carrier_forget(c);
	}
	free(p);
}

static const struct outbound_ops portal_ops = {
	.protocol = "portal",
	.open = portal_open,
	.alive = portal_alive,
	.registers = portal_registers,
	.free = portal_free,
};

static struct outbound *portal_make(struct core *core, const char *tag,
				    const struct conf_portal *conf)
{
	struct portal *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->o = (struct outbound){&portal_ops, tag, core, core_home(core, tag), NULL};
	p->conf = conf;
	p->name = REVERSECTL_V2FLY; /* the commonest of the classic ones */
	list_init(&p->carriers);
	list_init(&p->held);
	p->since_ms = loop_now(p->o.home);
	return &p->o;
}

struct outbound *portal_new(struct core *c, const struct conf_portal *conf)
{
	return portal_make(c, conf->tag, conf);
}

struct outbound *portal_new_vless(struct core *c, const char *tag)
{
	return portal_make(c, tag, NULL);
}

void portal_register_vless(struct flow *f, const char *tag)
{
	f->registers = true;
	f->out = core_outbound(f->core, tag);
	addr_set_host(&f->target, span_str("v1.rvs.cool"), 0);
	flow_dispatch(f);
}
