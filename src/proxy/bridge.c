#include "proxy/bridge.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/rand.h"
#include "flow/core.h"
#include "proto/reversectl.h"
#include "proxy/mux_serve.h"

enum bridge_state {
	BRIDGE_DIALING = 0,
	BRIDGE_CONNECTED,
	BRIDGE_UP,
};

enum {
	TICK_MS = 900, /* and up to a fifth more: a herd of bridges spreads out */
	ATTEMPTS_MAX = 4,
	ATTEMPT_MS = 8000,
	SESSIONS_MEAN = 16, /* stock bridges open another carrier beyond this mean */
	CARRIERS_MAX = 6,   /* censors count connections */
	SPARE_AFTER_MS = 2000,
	UNCONFIRMED_WARN_MS = 5000,
	UNCONFIRMED_MAX_MS = 20000,
	HURRY_MS = 5000, /* after a change of our own network a lost carrier is replaced at once */
	DOUBT_MS = 250,	 /* and one that does not answer, two round trips later than this */
};

struct bridge {
	struct core *core;
	struct loop *loop;
	const char *tag, *domain;
	struct outbound *out; /* VLESS: forced; NULL: the rules decide */
	const struct conf_sniff *sniff;
	enum flow_origin origin;
	const char *user;
	struct list carriers, attempts;
	unsigned n_attempts;
	struct timer tick;
	uint64_t hurry_until_ms;

	enum bridge_state state;
	uint64_t since_ms;
	char last_error[160];
	bool told_unconfirmed, told_failure;
};

struct attempt {
	struct bridge *b;
	struct list node;
	struct flow *f;
	struct flow_taker taker;
	uint64_t started_ms;
	struct garbage garbage;
};

struct bridge_carrier {
	struct bridge *b;
	struct list node;
	struct mux_serve *serve;
	struct mux_serve_user on_serve;
	struct dgram *control;
	struct dgram_user on_control;
	bool confirmed, draining;
	uint64_t since_ms;
	struct garbage garbage;
};

static const char *const state_text[] = {"dialing", "connected, not confirmed", "up"};

static void set_state(struct bridge *b, enum bridge_state st)
{
	if (b->state == st)
		return;
	log_line(LOG_INFO, 0, "bridge", "[%s] %s, after %llu s %s%s%s", b->tag, state_text[st],
		 (unsigned long long)(loop_now(b->loop) - b->since_ms) / 1000, state_text[b->state],
		 *b->last_error ? "; last error: " : "", b->last_error);
	b->state = st;
	b->since_ms = loop_now(b->loop);
}

/* What the state is, from the carriers as they are. */
static void review(struct bridge *b)
{
	struct bridge_carrier *c;
	enum bridge_state st = BRIDGE_DIALING;

	list_each(c, &b->carriers, node) {
		if (c->confirmed)
			st = BRIDGE_UP;
		else if (st == BRIDGE_DIALING)
			st = BRIDGE_CONNECTED;
	}
	if (st == BRIDGE_UP) {
		b->told_unconfirmed = b->told_failure = false;
		b->last_error[0] = 0;
	}
	set_state(b, st);
}

/* ---- carriers ---- */

static void carrier_destroy(struct garbage *g)
{
	free(container_of(g, struct bridge_carrier, garbage));
}

static void carrier_forget(struct bridge_carrier *c)
{
	list_del(&c->node);
	dgram_close(c->control, 0);
	c->control = NULL;
	c->garbage.destroy = carrier_destroy;
	loop_free_later(c->b->loop, &c->garbage);
}

static void control_packet(struct dgram_user *u, struct dgram *d, const struct addr *from,
			   struct buf *pkt)
{
	struct bridge_carrier *c = container_of(u, struct bridge_carrier, on_control);
	struct reversectl msg;

	(void)d;
	(void)from;
	if (reversectl_decode(&msg, buf_span(pkt)) == 0) {
		bool drain = msg.state != REVERSECTL_ACTIVE;

		if (drain && !c->draining)
			log_info("bridge", "[%s] the portal drains a carrier", c->b->tag);
		c->draining = drain;
	}
	buf_free(pkt);
}

static void control_end(struct dgram_user *u, struct dgram *d, int err)
{
	struct bridge_carrier *c = container_of(u, struct bridge_carrier, on_control);

	dgram_close(d, err);
	c->control = NULL;
}

/* The control session is the portal's word that it has understood us. */
static bool on_session(struct mux_serve_user *u, const struct mux_request *req, struct stream *s,
		       struct dgram *d)
{
	struct bridge_carrier *c = container_of(u, struct bridge_carrier, on_serve);

	if (req->target.kind != ADDR_NAME || !reversectl_is_internal(req->target.name))
		return false;
	if (s) /* nobody opens it by TCP; a portal that did would wait for ever */
		stream_close(s, 0);
	if (!d)
		return true;
	dgram_close(c->control, 0);
	mux_limit_dgrams(mux_serve_mux(c->serve), reversectl_dgram_max(req->target.name));
	c->control = d;
	c->on_control = (struct dgram_user){control_packet, control_end, NULL};
	dgram_attach(d, &c->on_control);
	if (!c->confirmed) {
		c->confirmed = true;
		review(c->b);
	}
	return true;
}

static void on_serve_end(struct mux_serve_user *u, int err, const char *why)
{
	struct bridge_carrier *c = container_of(u, struct bridge_carrier, on_serve);
	struct bridge *b = c->b;

	snprintf(b->last_error, sizeof(b->last_error), "carrier %s%s%s",
		 err == -ERR_EOF ? "closed by the portal" : err_name(err), why ? ": " : "",
		 why ? why : "");
	if (c->confirmed && !c->draining)
		log_warn("bridge", "[%s] lost a carrier: %s", b->tag, b->last_error);
	carrier_forget(c);
	review(b);
	/* The next tick is near enough for one, and spreads a herd. When the change was ours there
	 * is none. */
	if (loop_now(b->loop) < b->hurry_until_ms)
		timer_start(&b->tick, 1);
}

static void carrier_start(struct bridge *b, struct stream *s, const struct outbound *via)
{
	struct bridge_carrier *c = calloc(1, sizeof(*c));
	struct mux_serve_conf conf = {
		.core = b->core,
		.in_tag = b->tag,
		.user = b->user,
		.origin = b->origin,
		.sniff = b->sniff,
		.addresses = b->out != NULL,
		.came_by = via,
	};

	if (!c) {
		stream_close(s, -ERR_NOMEM);
		return;
	}
	c->b = b;
	c->since_ms = loop_now(b->loop);
	c->on_serve = (struct mux_serve_user){on_session, on_serve_end};
	c->serve = mux_serve_start(s, NULL, &conf, &c->on_serve);
	if (!c->serve) {
		free(c);
		return;
	}
	list_add_tail(&b->carriers, &c->node);
	review(b);
}

/* ---- attempts ---- */

static void attempt_destroy(struct garbage *g)
{
	free(container_of(g, struct attempt, garbage));
}

static void attempt_forget(struct attempt *a)
{
	list_del(&a->node);
	a->b->n_attempts--;
	a->garbage.destroy = attempt_destroy;
	loop_free_later(a->b->loop, &a->garbage);
}

static bool has_active(const struct bridge *b)
{
	const struct bridge_carrier *c;

	list_each(c, &b->carriers, node)
		if (!c->draining)
			return true;
	return false;
}

static void cancel_attempts(struct bridge *b)
{
	struct attempt *a;

	while ((a = list_first(&b->attempts, struct attempt, node)) != NULL) {
		struct flow *f = a->f;

		attempt_forget(a);
		f->taker = NULL;
		flow_abort(f, -ERR_CLOSED);
	}
}

static void on_taken(struct flow_taker *t, struct stream *out, int err, const char *why)
{
	struct attempt *a = container_of(t, struct attempt, taker);
	struct bridge *b = a->b;
	const struct outbound *via = a->f->out;
	bool was_active = has_active(b);

	attempt_forget(a);
	if (out) {
		carrier_start(b, out, via);
		if (!was_active)
			cancel_attempts(b); /* the first to get through wins */
		return;
	}
	snprintf(b->last_error, sizeof(b->last_error), "%s%s%s", err_name(err), why ? ": " : "",
		 why ? why : "");
	log_line(b->told_failure ? LOG_INFO : LOG_WARN, 0, "bridge",
		 "[%s] no connection to the portal: %s", b->tag, b->last_error);
	b->told_failure = true;
}

static void attempt_start(struct bridge *b)
{
	struct attempt *a = calloc(1, sizeof(*a));
	struct flow *f = flow_new(b->core, b->loop, CONF_TCP);

	if (!a || !f) {
		if (f) {
			flow_abort(f, -ERR_NOMEM);
		}
		free(a);
		return;
	}
	a->b = b;
	a->f = f;
	a->started_ms = loop_now(b->loop);
	a->taker.taken = on_taken;
	list_add_tail(&b->attempts, &a->node);
	b->n_attempts++;
	f->in_tag = b->tag;
	f->user = b->user;
	f->taker = &a->taker;
	f->out = b->out;
	f->registers = b->out != NULL;
	addr_set_host(&f->target, span_str(b->domain), 0);
	flow_dispatch(f);
}

/* ---- the clock ---- */

static void drop_hopeless(struct bridge *b, uint64_t now)
{
	struct bridge_carrier *c, *cn;
	struct attempt *a, *an;

	list_each_safe(a, an, &b->attempts, node) {
		struct flow *f = a->f;

		if (now - a->started_ms < ATTEMPT_MS)
			continue;
		snprintf(b->last_error, sizeof(b->last_error), "no answer within %d s",
			 ATTEMPT_MS / 1000);
		attempt_forget(a);
		f->taker = NULL;
		flow_abort(f, -ERR_TIMEOUT);
	}
	list_each_safe(c, cn, &b->carriers, node) {
		uint64_t age = now - c->since_ms;

		if (c->confirmed || age < UNCONFIRMED_WARN_MS)
			continue;
		if (!b->told_unconfirmed)
			log_warn("bridge",
				 "[%s] connected but not confirmed: the portal has not spoken for "
				 "%llu s. Wrong key or domain, a missing rule there, or an earlier "
				 "rule here takes '%s'",
				 b->tag, (unsigned long long)age / 1000, b->domain);
		b->told_unconfirmed = true;
		if (age < UNCONFIRMED_MAX_MS || mux_sessions(mux_serve_mux(c->serve)) > 0)
			continue;
		mux_serve_close(c->serve, 0);
		carrier_forget(c);
	}
}

static uint64_t patience(const struct bridge_carrier *c)
{
	return DOUBT_MS + 2ull * mux_rtt_ms(mux_serve_mux(c->serve));
}

/* Our network has changed, and since then it has not answered: the way to the portal need not be
 * what it was. It may live yet, but should not be waited for. */
static bool in_doubt(const struct bridge *b, const struct bridge_carrier *c, uint64_t now)
{
	return now < b->hurry_until_ms && mux_unanswered_ms(mux_serve_mux(c->serve)) >= patience(c);
}

/* Another carrier: none is there, the mean load is high, or the spare is missing. */
static bool wants_more(const struct bridge *b, uint64_t now)
{
	const struct bridge_carrier *c;
	size_t n = 0, sessions = 0;
	bool settled = false;

	list_each(c, &b->carriers, node) {
		if (c->draining || in_doubt(b, c, now))
			continue;
		n++;
		sessions += mux_sessions(mux_serve_mux(c->serve));
		if (c->confirmed && now - c->since_ms > SPARE_AFTER_MS)
			settled = true;
	}
	if (n == 0)
		return b->n_attempts < ATTEMPTS_MAX;
	if (b->n_attempts > 0 || n >= CARRIERS_MAX)
		return false;
	return sessions / n > SESSIONS_MEAN || (n == 1 && settled);
}

static void on_tick(struct timer *t)
{
	struct bridge *b = container_of(t, struct bridge, tick);
	uint64_t now = loop_now(b->loop);
	uint8_t jitter;

	rand_fill(&jitter, 1);
	timer_start(&b->tick, TICK_MS + jitter * (TICK_MS / 5) / 256);
	drop_hopeless(b, now);
	if (wants_more(b, now))
		attempt_start(b);
	review(b);
}

struct loop *bridge_loop(const struct bridge *b)
{
	return b->loop;
}

void bridge_network_changed(struct bridge *b)
{
	struct bridge_carrier *c;
	uint64_t wait = 1;

	b->hurry_until_ms = loop_now(b->loop) + HURRY_MS;
	cancel_attempts(b);
	list_each(c, &b->carriers, node) {
		mux_check(mux_serve_mux(c->serve));
		if (patience(c) > wait)
			wait = patience(c);
	}
	timer_start(&b->tick, wait < TICK_MS ? wait : (uint64_t)TICK_MS);
}

/* ---- making ---- */

static struct bridge *make(struct core *core, const char *tag)
{
	struct bridge *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->core = core;
	b->tag = tag;
	b->user = "";
	b->loop = core_home(core, tag);
	b->since_ms = loop_now(b->loop);
	list_init(&b->carriers);
	list_init(&b->attempts);
	timer_init(&b->tick, b->loop, on_tick);
	return b;
}

struct bridge *bridge_new(struct core *core, const struct conf_bridge *conf)
{
	struct bridge *b = make(core, conf->tag);

	if (b) {
		b->domain = conf->domain;
		b->origin = FLOW_FROM_LOCAL;
	}
	return b;
}

struct bridge *bridge_new_vless(struct core *core, const struct conf_outbound *conf,
				struct outbound *out)
{
	struct bridge *b = make(core, conf->vless.user.reverse_tag);

	if (b) {
		b->domain = "v1.rvs.cool";
		b->origin = FLOW_FROM_REVERSE;
		b->out = out;
		b->user = conf->vless.user.email;
		b->sniff = &conf->vless.reverse_sniff;
	}
	return b;
}

void bridge_start(struct bridge *b)
{
	timer_start(&b->tick, 1);
}

static void describe_carrier(struct bridge_carrier *c, cJSON *list)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddItemToArray(list, o);
	cJSON_AddStringToObject(o, "state",
				c->draining ? "draining" : c->confirmed ? "up" : "not confirmed");
	cJSON_AddNumberToObject(o, "since_ms", (double)(loop_now(c->b->loop) - c->since_ms));
	mux_describe(mux_serve_mux(c->serve), o);
}

void bridge_describe(struct bridge *b, cJSON *into)
{
	struct bridge_carrier *c;
	cJSON *list;

	cJSON_AddStringToObject(into, "tag", b->tag);
	cJSON_AddStringToObject(into, "domain", b->out ? "" : b->domain);
	cJSON_AddStringToObject(into, "state", state_text[b->state]);
	cJSON_AddNumberToObject(into, "since_ms", (double)(loop_now(b->loop) - b->since_ms));
	if (*b->last_error)
		cJSON_AddStringToObject(into, "last_error", b->last_error);
	cJSON_AddNumberToObject(into, "attempts", b->n_attempts);
	list = cJSON_AddArrayToObject(into, "carriers");
	list_each(c, &b->carriers, node)
		describe_carrier(c, list);
}

void bridge_free(struct bridge *b)
{
	struct bridge_carrier *c, *next;

	if (!b)
		return;
	timer_stop(&b->tick);
	cancel_attempts(b);
	list_each_safe(c, next, &b->carriers, node) {
		mux_serve_close(c->serve, -ERR_CLOSED);
		carrier_forget(c);
	}
	free(b);
}
