#include "flow/flow.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/core.h"
#include "flow/fan.h"
#include "flow/flowlog.h"
#include "flow/history.h"
#include "flow/sniffer.h"
#include "flow/tally.h"

/* More live flows on one worker are refused: memory stays bounded whatever comes. */
enum { FLOWS_MAX = 100000 };

/* UDP has no end of its own: a question without an answer is forgotten sooner. */
enum { UDP_UNANSWERED_MS = 30000, UDP_DNS_MS = 10000, PORT_DNS = 53 };

static atomic_uint_fast64_t next_id = 1;

struct flow *flow_new(struct core *c, struct loop *l, unsigned net)
{
	struct worker *w = core_worker(c, l);
	struct flow *f;

	if (w->n_flows >= FLOWS_MAX)
		return NULL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->id = atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
	f->core = c;
	f->loop = l;
	f->net = (uint8_t)net;
	f->in_tag = f->user = f->protocol = "";
	f->started_ms = loop_now(l);
	bufq_init(&f->early);
	list_init(&f->start.node);
	list_add_tail(&w->flows, &f->all);
	w->n_flows++;
	return f;
}

static void flow_destroy(struct garbage *g)
{
	struct flow *f = container_of(g, struct flow, garbage);

	free(f->seen_name);
	free(f->asked);
	sniff_attrs_free(f->attrs);
	free(f);
}

/* The last step of every flow: one line, off the list, freed at the end of the turn. */
static void flow_end(struct flow *f, int err, bool in_side, const char *why)
{
	struct worker *w = core_worker(f->core, f->loop);

	flowlog_end(f, err, in_side, why);
	tally_add(f, err, why);
	history_add(w->history, f, err, in_side, why);
	f->state = FLOW_ENDED;
	defer_cancel(&f->start);
	bufq_clear(&f->early);
	if (f->hook && f->hook->ended)
		f->hook->ended(f->hook, f->loop);
	list_del(&f->all);
	w->n_flows--;
	f->garbage.destroy = flow_destroy;
	loop_free_later(f->loop, &f->garbage);
}

static void give_verdict(struct flow *f, int err)
{
	if (f->hook && f->hook->verdict)
		f->hook->verdict(f->hook, &f->in, err);
}

static void on_relay_end(struct relay_user *u, struct relay *r, int err, bool a_side,
			 const char *why)
{
	struct flow *f = container_of(u, struct flow, on_relay);

	f->up = r->up.bytes;
	f->down = r->down.bytes;
	f->in = NULL;
	flow_end(f, err, a_side, why);
}

static uint32_t ms_of(uint32_t s)
{
	return s > UINT32_MAX / 1000 ? UINT32_MAX : s * 1000;
}

/* The taker is told last: it may start the next flow at once. */
static void to_taker(struct flow *f, struct stream *out, int err, const char *why)
{
	struct flow_taker *t = f->taker;

	f->taker = NULL;
	flow_end(f, err, false, why);
	t->taken(t, out, err, why);
}

struct stream *flow_take_in(struct flow *f, struct bufq *early)
{
	struct stream *s = f->in;

	bufq_move(early, &f->early, f->early.len);
	f->in = NULL;
	give_verdict(f, 0);
	flow_end(f, 0, false, "became a carrier");
	return s;
}

void flow_connected(struct flow *f, struct stream *out, bool out_half_close)
{
	const struct conf_policy *p = conf_policy(f->core->conf, f->level);
	struct relay_limits limits = {
		.idle = ms_of(p->conn_idle_s),
		.up_only = ms_of(p->uplink_only_s),
		.down_only = ms_of(p->downlink_only_s),
		.a_half_close = f->in_half_close,
		.b_half_close = out_half_close,
	};

	f->opening = NULL;
	if (f->taker) {
		to_taker(f, out, 0, NULL);
		return;
	}
	f->state = FLOW_RELAYING;
	give_verdict(f, 0);
	f->on_relay.on_end = on_relay_end;
	relay_start(&f->relay, f->in, out, &f->early, &limits, &f->on_relay);
}

void flow_failed(struct flow *f, int err, const char *why)
{
	f->opening = NULL;
	if (f->taker) {
		to_taker(f, NULL, err, why);
		return;
	}
	give_verdict(f, err);
	/* The client asked and got no answer; to it this is an end, not a reset. */
	stream_close(f->in, 0);
	dgram_close(f->in_dgram, err);
	f->in = NULL;
	f->in_dgram = NULL;
	flow_end(f, err, false, why);
}

static uint32_t udp_idle_ms(const struct flow *f)
{
	uint32_t idle = ms_of(conf_policy(f->core->conf, f->level)->conn_idle_s);
	uint32_t cap = f->target.port == PORT_DNS ? UDP_DNS_MS :
		       f->down == 0 && !f->fan	  ? UDP_UNANSWERED_MS :
						    idle;

	return idle < cap ? idle : cap;
}

static void end_dgrams(struct flow *f, int err, bool in_side)
{
	timer_stop(&f->idle);
	fan_end(f, err);
	dgram_close(f->in_dgram, err);
	dgram_close(f->out_dgram, err);
	f->in_dgram = f->out_dgram = NULL;
	flow_end(f, err, in_side, NULL);
}

static void on_udp_idle(struct timer *t)
{
	/* Silence is how a UDP flow ends. */
	end_dgrams(container_of(t, struct flow, idle), 0, false);
}

static void on_in_packet(struct dgram_user *u, struct dgram *d, const struct addr *party,
			 struct buf *pkt)
{
	struct flow *f = container_of(u, struct flow, on_in_dgram);

	(void)d;
	timer_extend(&f->idle, udp_idle_ms(f));
	if (fan_takes(f, party, pkt))
		return;
	f->up += pkt->len;
	if (f->asked && party->kind == ADDR_NAME && strcmp(party->name, f->asked->name) == 0) {
		struct addr to = f->target;

		to.port = party->port;
		dgram_send(f->out_dgram, &to, pkt);
		return;
	}
	dgram_send(f->out_dgram, party, pkt);
}

static void on_out_packet(struct dgram_user *u, struct dgram *d, const struct addr *party,
			  struct buf *pkt)
{
	struct flow *f = container_of(u, struct flow, on_out_dgram);

	(void)d;
	f->down += pkt->len;
	timer_extend(&f->idle, udp_idle_ms(f));
	dgram_send(f->in_dgram, party, pkt);
}

void flow_answer(struct flow *f, const struct addr *party, struct buf *pkt)
{
	timer_extend(&f->idle, udp_idle_ms(f));
	dgram_send(f->in_dgram, party, pkt);
}

static void on_in_end(struct dgram_user *u, struct dgram *d, int err)
{
	(void)d;
	end_dgrams(container_of(u, struct flow, on_in_dgram), err == -ERR_EOF ? 0 : err, true);
}

static void on_out_end(struct dgram_user *u, struct dgram *d, int err)
{
	(void)d;
	end_dgrams(container_of(u, struct flow, on_out_dgram), err == -ERR_EOF ? 0 : err, false);
}

static void on_out_bounce(struct dgram_user *u, struct dgram *d, const struct addr *to, int err)
{
	(void)d;
	dgram_bounce(container_of(u, struct flow, on_out_dgram)->in_dgram, to, err);
}

void flow_connected_dgram(struct flow *f, struct dgram *out)
{
	f->opening = NULL;
	f->state = FLOW_RELAYING;
	f->out_dgram = out;
	give_verdict(f, 0);
	f->on_in_dgram = (struct dgram_user){on_in_packet, on_in_end, NULL};
	f->on_out_dgram = (struct dgram_user){on_out_packet, on_out_end, on_out_bounce};
	timer_init(&f->idle, f->loop, on_udp_idle);
	timer_start(&f->idle, udp_idle_ms(f));
	dgram_attach(out, &f->on_out_dgram);
	dgram_attach(f->in_dgram, &f->on_in_dgram);
}

void flow_abort(struct flow *f, int err)
{
	if (f->state == FLOW_ENDED)
		return;
	if (f->state == FLOW_RELAYING && f->net == CONF_TCP) {
		f->up = f->relay.up.bytes;
		f->down = f->relay.down.bytes;
		relay_abort(&f->relay, err);
		f->in = NULL;
		flow_end(f, err, false, NULL);
	} else if (f->state == FLOW_RELAYING) {
		end_dgrams(f, err, false);
	} else {
		if (f->opening) {
			struct flow_opening *o = f->opening;

			f->opening = NULL;
			o->cancel(o);
		}
		if (f->taker) {
			to_taker(f, NULL, err, NULL);
			return;
		}
		stream_close(f->in, err);
		dgram_close(f->in_dgram, err);
		f->in = NULL;
		f->in_dgram = NULL;
		flow_end(f, err, false, NULL);
	}
}
