#include "proxy/out_mux.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/core.h"
#include "flow/dispatch.h"
#include "proto/muxcool.h"
#include "proxy/mux.h"
#include "proxy/mux_await.h"

enum {
	PORT_QUIC = 443,
	LIFETIME_STOCK = 128, /* sessions in a carrier's life, as stock clients count */
	LIFETIME_OURS = 60000,
	IDLE_CHECK_MS = 16000,
	WAITING_MAX = 4096,
	DOUBT_MS = 250, /* and two round trips: a probe unanswered for so long speaks against it */
	DIALS_MAX = 16,
};

struct out_mux;

/* Carriers of one kind, and the flows that wait for one. */
struct pool {
	struct out_mux *owner;
	size_t concurrency;
	struct list carriers, waiting;
	size_t n_waiting, n_dialing;
};

struct out_mux {
	struct outbound o;
	struct outbound *inner;
	const struct conf_mux *conf;
	struct pool tcp, udp;
	bool udp_apart;
	bool vision; /* its servers take no TCP in a mux */
};

struct mux_carrier {
	struct pool *pool;
	struct list node;
	struct flow_taker taker; /* while it is opened */
	struct mux *mux;
	struct mux_user on_mux;
	struct timer idle;
	size_t opened_before; /* when it was last looked at */
	struct garbage garbage;
};

struct waiting {
	struct pool *pool;
	struct list node;
	struct flow *f;
	struct flow_opening opening;
	struct garbage garbage;
};

static void carrier_destroy(struct garbage *g)
{
	free(container_of(g, struct mux_carrier, garbage));
}

static void carrier_forget(struct mux_carrier *c)
{
	timer_stop(&c->idle);
	list_del(&c->node);
	c->garbage.destroy = carrier_destroy;
	loop_free_later(c->pool->owner->o.home, &c->garbage);
}

static void waiting_destroy(struct garbage *g)
{
	free(container_of(g, struct waiting, garbage));
}

static struct flow *waiting_take(struct waiting *w)
{
	struct flow *f = w->f;

	f->opening = NULL;
	list_del(&w->node);
	w->pool->n_waiting--;
	w->garbage.destroy = waiting_destroy;
	loop_free_later(w->pool->owner->o.home, &w->garbage);
	return f;
}

static void on_cancel(struct flow_opening *o)
{
	waiting_take(container_of(o, struct waiting, opening));
}

static bool usable(const struct mux_carrier *c)
{
	size_t life = mux_peer_is_ours(c->mux) ? (size_t)LIFETIME_OURS : (size_t)LIFETIME_STOCK;

	return mux_sessions(c->mux) < c->pool->concurrency && mux_opened(c->mux) < life &&
	       mux_unanswered_ms(c->mux) < DOUBT_MS + 2ull * mux_rtt_ms(c->mux);
}

static struct mux_carrier *pick(struct pool *p)
{
	struct mux_carrier *c, *best = NULL;

	list_each(c, &p->carriers, node)
		if (usable(c) && (!best || mux_queued(c->mux) < mux_queued(best->mux)))
			best = c;
	return best;
}

static void open_on(struct mux_carrier *c, struct flow *f)
{
	struct mux_request req = {.net = f->net, .target = f->target, .trace = f->traced};
	bool no_echo = flow_is_echo(f) && !mux_peer_echoes(c->mux);
	struct stream *s = f->net == CONF_TCP ? mux_open(c->mux, &req) : NULL;
	struct dgram *d = f->net == CONF_UDP && !no_echo ? mux_open_dgram(c->mux, &req) : NULL;

	if (no_echo)
		flow_cannot_echo(f);
	else if (s && f->hook && mux_peer_is_ours(c->mux))
		mux_await_start(f, s);
	else if (s)
		flow_connected(f, s, true);
	else if (d)
		flow_connected_dgram(f, d);
	else
		flow_failed(f, -ERR_LIMIT, "unable to find an available mux client");
}

static void serve_waiting(struct pool *p)
{
	while (!list_empty(&p->waiting)) {
		struct mux_carrier *c = pick(p);

		if (!c)
			return;
		open_on(c, waiting_take(list_first(&p->waiting, struct waiting, node)));
	}
}

static void on_mux_end(struct mux_user *u, struct mux *m, int err, const char *why)
{
	struct mux_carrier *c = container_of(u, struct mux_carrier, on_mux);

	(void)m;
	log_debug("mux", "[%s] carrier ended: %s%s%s", c->pool->owner->o.tag, err_name(err),
		  why ? ": " : "", why ? why : "");
	carrier_forget(c);
}

/* Two looks in a row without a session, and none opened between them. */
static void on_idle(struct timer *t)
{
	struct mux_carrier *c = container_of(t, struct mux_carrier, idle);
	size_t opened = mux_opened(c->mux);

	if (mux_sessions(c->mux) == 0 && opened == c->opened_before) {
		mux_close(c->mux, 0);
		carrier_forget(c);
		return;
	}
	c->opened_before = mux_sessions(c->mux) == 0 ? opened : 0;
	timer_start(&c->idle, IDLE_CHECK_MS);
}

/* Nobody else will bring a carrier: who waits hears why. */
static void fail_waiting(struct pool *p, int err, const char *why)
{
	if (p->n_dialing)
		return;
	while (!list_empty(&p->waiting))
		dispatch_elsewhere(waiting_take(list_first(&p->waiting, struct waiting, node)), err,
				   why);
}

static void on_taken(struct flow_taker *t, struct stream *out, int err, const char *why)
{
	struct mux_carrier *c = container_of(t, struct mux_carrier, taker);
	struct pool *p = c->pool;
	struct mux_config mc = {.role = MUX_CLIENT};

	p->n_dialing--;
	if (out) {
		c->on_mux = (struct mux_user){.on_end = on_mux_end};
		c->mux = mux_new(out, NULL, &mc, &c->on_mux);
	}
	if (!c->mux) {
		carrier_forget(c);
		fail_waiting(p, err ? err : -ERR_NOMEM, why);
		return;
	}
	list_add_tail(&p->carriers, &c->node);
	timer_start(&c->idle, IDLE_CHECK_MS);
	serve_waiting(p);
}

static void dial(struct pool *p)
{
	struct out_mux *m = p->owner;
	struct mux_carrier *c = calloc(1, sizeof(*c));
	struct flow *f = flow_new(m->o.core, m->o.home, CONF_TCP);

	if (!c || !f) {
		if (f)
			flow_abort(f, -ERR_NOMEM);
		free(c);
		fail_waiting(p, -ERR_NOMEM, NULL);
		return;
	}
	c->pool = p;
	list_init(&c->node);
	timer_init(&c->idle, m->o.home, on_idle);
	c->taker.taken = on_taken;
	f->taker = &c->taker;
	f->out = m->inner;
	addr_set_host(&f->target, span_str(MUXCOOL_NAME), MUXCOOL_PORT);
	p->n_dialing++;
	flow_dispatch(f);
}

static void open_in(struct pool *p, struct flow *f)
{
	struct mux_carrier *c = pick(p);
	struct waiting *w;

	if (c) {
		open_on(c, f);
		return;
	}
	w = p->n_waiting < WAITING_MAX ? calloc(1, sizeof(*w)) : NULL;
	if (!w) {
		flow_failed(f, -ERR_LIMIT, "too many flows wait for a carrier");
		return;
	}
	w->pool = p;
	w->f = f;
	w->opening.cancel = on_cancel;
	f->opening = &w->opening;
	list_add_tail(&p->waiting, &w->node);
	p->n_waiting++;
	/* As many carriers as the waiting will fill. */
	if (p->n_waiting > p->n_dialing * p->concurrency)
		dial(p);
}

static void straight(struct out_mux *m, struct flow *f)
{
	m->inner->ops->open(m->inner, f);
}

static void open_udp(struct out_mux *m, struct flow *f)
{
	if (f->target.port == PORT_QUIC && m->conf->udp443 == CONF_UDP443_REJECT)
		flow_failed(f, -ERR_BLOCKED, "XUDP rejected UDP/443 traffic");
	else if (f->target.port == PORT_QUIC && m->conf->udp443 == CONF_UDP443_SKIP)
		straight(m, f);
	else if (m->udp_apart)
		open_in(&m->udp, f);
	else if (m->conf->xudp_concurrency < 0 || m->tcp.concurrency == 0)
		straight(m, f);
	else
		open_in(&m->tcp, f);
}

static void mux_out_open(struct outbound *o, struct flow *f)
{
	struct out_mux *m = container_of(o, struct out_mux, o);

	if (f->taker || f->registers) /* a carrier of somebody else's */
		straight(m, f);
	else if (f->net == CONF_UDP)
		open_udp(m, f);
	else if (m->tcp.concurrency == 0 || m->vision)
		straight(m, f);
	else
		open_in(&m->tcp, f);
}

/* What is being dialled may have gone out the old way; who waits is not made to wait for it. */
static void pool_network_changed(struct pool *p)
{
	struct mux_carrier *c;

	list_each(c, &p->carriers, node)
		mux_check(c->mux);
	if (!list_empty(&p->waiting) && p->n_dialing < DIALS_MAX)
		dial(p);
}

static void mux_out_network_changed(struct outbound *o)
{
	struct out_mux *m = container_of(o, struct out_mux, o);

	pool_network_changed(&m->tcp);
	pool_network_changed(&m->udp);
}

static void pool_free(struct pool *p)
{
	struct mux_carrier *c, *next;

	list_each_safe(c, next, &p->carriers, node) {
		mux_close(c->mux, -ERR_CLOSED);
		carrier_forget(c);
	}
}

static void mux_out_free(struct outbound *o)
{
	struct out_mux *m = container_of(o, struct out_mux, o);

	pool_free(&m->tcp);
	pool_free(&m->udp);
	m->inner->ops->free(m->inner);
	free(m);
}

static void describe_pool(struct pool *p, cJSON *list, const char *net)
{
	struct mux_carrier *c;

	list_each(c, &p->carriers, node) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddItemToArray(list, o);
		cJSON_AddStringToObject(o, "for", net);
		mux_describe(c->mux, o);
	}
}

static void mux_out_describe(struct outbound *o, cJSON *into)
{
	struct out_mux *m = container_of(o, struct out_mux, o);
	cJSON *list = cJSON_AddArrayToObject(into, "carriers");

	cJSON_AddNumberToObject(into, "waiting", (double)(m->tcp.n_waiting + m->udp.n_waiting));
	describe_pool(&m->tcp, list, m->udp_apart ? "tcp" : "all");
	describe_pool(&m->udp, list, "udp");
}

/* The carrier that the flow gets may be able to, or not. */
static bool mux_out_echoes(const struct outbound *o)
{
	(void)o;
	return true;
}

static const struct outbound_ops mux_out_ops = {
	.protocol = "mux",
	.echoes = mux_out_echoes,
	.open = mux_out_open,
	.network_changed = mux_out_network_changed,
	.describe = mux_out_describe,
	.free = mux_out_free,
};

static void pool_init(struct pool *p, struct out_mux *m, int concurrency)
{
	p->owner = m;
	p->concurrency = concurrency > 0 ? (size_t)concurrency : 0;
	list_init(&p->carriers);
	list_init(&p->waiting);
}

struct outbound *out_mux_new(struct core *c, const struct conf_outbound *conf,
			     struct outbound *inner)
{
	struct out_mux *m = calloc(1, sizeof(*m));

	if (!m) {
		inner->ops->free(inner);
		return NULL;
	}
	m->o = (struct outbound){.ops = &mux_out_ops,
				.tag = conf->tag,
				.core = c,
				.home = core_home(c, conf->tag)};
	m->inner = inner;
	m->conf = &conf->mux;
	pool_init(&m->tcp, m, conf->mux.concurrency);
	pool_init(&m->udp, m, conf->mux.xudp_concurrency);
	m->udp_apart = conf->mux.xudp_concurrency > 0;
	m->vision = conf->proto == CONF_OUT_VLESS && conf->vless.user.flow != CONF_FLOW_NONE;
	return &m->o;
}
