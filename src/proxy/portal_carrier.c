#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "proxy/portal_int.h"

enum {
	DRAIN_STOCK = 256,     /* sessions in a carrier's life, as stock portals count */
	DRAIN_OURS = 60000,    /* ids are 16 bits */
	DRAINED_IDLE_MS = 5000,
	FRESH_MS = 3000,       /* a carrier heard of within this is preferred */
	CARRIERS_MAX = 256,
};

static void carrier_destroy(struct garbage *g)
{
	free(container_of(g, struct portal_carrier, garbage));
}

static void carrier_forget(struct portal_carrier *c)
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
	struct portal_carrier *c = container_of(u, struct portal_carrier, on_mux);
	struct portal *p = c->p;
	struct list stranded;

	(void)m;
	list_init(&stranded);
	list_splice_tail(&stranded, &c->pending);
	snprintf(p->last_error, sizeof(p->last_error), "%s%s%s",
		 err == -ERR_EOF ? "closed by peer" : err_name(err), why ? ": " : "",
		 why ? why : "");
	memcpy(p->last_from, c->from, sizeof(p->last_from));
	log_line(p->n_carriers == 1 ? LOG_WARN : LOG_INFO, 0, "portal",
		 "[%s] bridge %s is gone (%s), %zu carriers left", p->o.tag, c->from,
		 p->last_error, p->n_carriers - 1);
	carrier_forget(c);
	if (p->n_carriers == 0)
		portal_set_state(p, PORTAL_LOST);
	portal_visitor_move_all(&stranded);
}

static void on_control_name(struct control_user *u, enum reversectl_name name)
{
	container_of(u, struct portal_carrier, on_control)->p->name = name;
}

static void on_drained_idle(struct timer *t)
{
	struct portal_carrier *c = container_of(t, struct portal_carrier, idle);

	if (mux_sessions(c->mux) > 0) {
		timer_start(&c->idle, DRAINED_IDLE_MS);
		return;
	}
	log_info("portal", "[%s] drained carrier of %s closed", c->p->o.tag, c->from);
	mux_close(c->mux, 0);
	carrier_forget(c);
}

static void carrier_drain(struct portal_carrier *c)
{
	c->draining = true;
	atomic_fetch_sub(&c->p->live, 1);
	control_drain(c->control);
	c->control = NULL;
	timer_start(&c->idle, DRAINED_IDLE_MS);
	log_info("portal", "[%s] carrier of %s has carried %zu sessions and drains", c->p->o.tag,
		 c->from, mux_opened(c->mux));
}

void portal_carrier_start(struct portal *p, struct stream *s, struct bufq *early, const char *from,
			  const char *user)
{
	struct portal_carrier *c = calloc(1, sizeof(*c)), *other;
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
	/* It may come instead of others, whose end nobody could tell us: until they answer it is
	 * preferred. */
	list_each(other, &p->carriers, node)
		mux_probe(other->mux);
	c->p = p;
	list_init(&c->pending);
	c->since_ms = loop_now(p->o.home);
	snprintf(c->from, sizeof(c->from), "%s%s%.50s", from, *user ? " user " : "", user);
	c->on_mux = (struct mux_user){.on_end = on_mux_end};
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
	portal_set_state(p, PORTAL_UP);
	portal_visitor_serve_held(p);
}

struct portal_carrier *portal_carrier_pick(struct portal *p, const struct flow *f)
{
	struct portal_carrier *c, *best = NULL;
	uint64_t now = loop_now(p->o.home), best_score = UINT64_MAX;

	list_each(c, &p->carriers, node) {
		uint64_t score = mux_sessions(c->mux) + mux_queued(c->mux) / BUF_DATA;

		if (mux_unanswered_ms(c->mux) > 0)
			score += 1u << 16;
		if (now - mux_last_heard_ms(c->mux) > FRESH_MS)
			score += 1u << 20;
		if (c->draining)
			score += 1u << 30;
		if (flow_is_echo(f) && !mux_peer_echoes(c->mux))
			score += 1ull << 40;
		if (score < best_score) {
			best = c;
			best_score = score;
		}
	}
	return best;
}

void portal_carrier_used(struct portal_carrier *c)
{
	size_t most = mux_peer_is_ours(c->mux) ? (size_t)DRAIN_OURS : (size_t)DRAIN_STOCK;

	if (!c->draining && mux_opened(c->mux) > most)
		carrier_drain(c);
}

void portal_carrier_check_all(struct portal *p)
{
	struct portal_carrier *c;

	list_each(c, &p->carriers, node)
		mux_check(c->mux);
}

void portal_carrier_describe_all(struct portal *p, cJSON *list)
{
	struct portal_carrier *c;

	list_each(c, &p->carriers, node) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddItemToArray(list, o);
		cJSON_AddStringToObject(o, "peer", c->from);
		cJSON_AddStringToObject(o, "state", c->draining ? "draining" : "up");
		cJSON_AddNumberToObject(o, "since_ms",
					(double)(loop_now(p->o.home) - c->since_ms));
		mux_describe(c->mux, o);
	}
}

void portal_carrier_close_all(struct portal *p)
{
	struct portal_carrier *c, *next;

	list_each_safe(c, next, &p->carriers, node) {
		mux_close(c->mux, -ERR_CLOSED);
		carrier_forget(c);
	}
}
