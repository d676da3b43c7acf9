#include "vpn/deliver.h"

#include <stdlib.h>

#include "base/err.h"
#include "proto/echo.h"

struct deliver {
	struct dgram d;
	struct dgram *below;
	struct dgram_user on_below;
	const struct deliver_terms *t;
	enum flow_origin origin;
	bool echo;
	struct addr target; /* as the flow names it */
	struct ipport real; /* where that is */
};

static struct deliver *of(struct dgram *d)
{
	return container_of(d, struct deliver, d);
}

static bool allowed(const struct deliver_terms *t, enum flow_origin origin, unsigned net,
		    const struct ipport *to)
{
	struct conf_range unused;

	return !t->rules || final_rules_allow(t->rules, origin, net, to, &unused);
}

int deliver_place(const struct deliver_terms *t, const struct flow *f, struct ipport *to)
{
	conf_map_forth(t->conf->maps, t->conf->n_maps, &to->ip);
	return allowed(t, f->origin, f->net, to) ? 0 : -ERR_BLOCKED;
}

static void deliver_send(struct dgram *d, const struct addr *party, struct buf *pkt)
{
	struct deliver *v = of(d);
	struct ipport to = v->real;
	struct addr real;

	if (party->kind == ADDR_IP && !addr_eq(party, &v->target)) {
		to = (struct ipport){party->ip, party->port};
		conf_map_forth(v->t->conf->maps, v->t->conf->n_maps, &to.ip);
		if (v->echo || !allowed(v->t, v->origin, CONF_UDP, &to)) {
			buf_free(pkt);
			return;
		}
	} else if (party->kind == ADDR_NAME && !addr_eq(party, &v->target)) {
		buf_free(pkt);
		return;
	}
	real = addr_from_ipport(&to);
	dgram_send(v->below, &real, pkt);
}

static void destroy(struct garbage *g)
{
	free(of(container_of(g, struct dgram, garbage)));
}

static void deliver_close(struct dgram *d, int err)
{
	struct deliver *v = of(d);

	dgram_close(v->below, err);
	d->garbage.destroy = destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops deliver_ops = {
	.name = "delivery",
	.send = deliver_send,
	.close = deliver_close,
};

/* A router of the LAN is known by its mapped address, too. Takes @pkt; gives it, or NULL. */
static struct buf *unmap_offender(const struct deliver *v, struct buf *pkt)
{
	struct buf *out;
	struct echo e;
	struct wr w;

	if (echo_decode(&e, buf_span(pkt)) != 0 || e.kind != ECHO_ERROR ||
	    !conf_map_back(v->t->conf->maps, v->t->conf->n_maps, &e.offender))
		return pkt;
	buf_free(pkt);
	out = buf_new_big(ECHO_ERROR_MAX);
	if (!out)
		return NULL;
	w = wr_of(out->data, ECHO_ERROR_MAX);
	echo_encode(&w, &e);
	out->len = (uint32_t)w.n;
	return out;
}

static void on_packet(struct dgram_user *u, struct dgram *below, const struct addr *from,
		      struct buf *pkt)
{
	struct deliver *v = container_of(u, struct deliver, on_below);
	struct addr seen = *from;

	(void)below;
	if (v->echo) {
		pkt = unmap_offender(v, pkt);
		if (pkt)
			dgram_deliver(&v->d, &v->target, pkt);
		return;
	}
	if (seen.kind == ADDR_IP)
		conf_map_back(v->t->conf->maps, v->t->conf->n_maps, &seen.ip);
	dgram_deliver(&v->d, &seen, pkt);
}

static void on_bounce(struct dgram_user *u, struct dgram *below, const struct addr *to, int err)
{
	struct deliver *v = container_of(u, struct deliver, on_below);
	struct addr seen = *to;

	(void)below;
	if (seen.kind == ADDR_IP)
		conf_map_back(v->t->conf->maps, v->t->conf->n_maps, &seen.ip);
	dgram_bounced(&v->d, &seen, err);
}

static void on_end(struct dgram_user *u, struct dgram *below, int err)
{
	struct deliver *v = container_of(u, struct deliver, on_below);

	(void)below;
	dgram_ended(&v->d, err);
}

struct dgram *deliver_dgram_new(const struct deliver_terms *t, const struct flow *f,
				const struct ipport *real, struct dgram *below)
{
	struct deliver *v = calloc(1, sizeof(*v));

	if (!v) {
		dgram_close(below, -ERR_NOMEM);
		return NULL;
	}
	dgram_init(&v->d, &deliver_ops, f->loop);
	v->below = below;
	v->on_below = (struct dgram_user){on_packet, on_end, on_bounce};
	v->t = t;
	v->origin = f->origin;
	v->echo = flow_is_echo(f);
	v->target = f->target;
	v->real = *real;
	dgram_attach(below, &v->on_below);
	return &v->d;
}
