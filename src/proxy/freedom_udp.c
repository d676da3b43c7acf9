/*
 * UDP of freedom: a layer over a socket's datagrams for what is not plain
 * sending. Redirected packets all go to one place and their answers carry no
 * source; those of a map keep apart and their answers come from where they were
 * sent to. In front of the first packet come a PROXY header (in the packet) and
 * noises (packets of their own, with pauses, during which the user's wait).
 */
#include <stdlib.h>

#include "base/err.h"
#include "crypto/rand.h"
#include "flow/dialer.h"
#include "flow/via.h"
#include "net/dgram_udp.h"
#include "proto/proxyproto.h"
#include "proxy/draw.h"
#include "proxy/freedom.h"
#include "proxy/pkt.h"

enum {
	PORT_DNS = 53,	    /* noises would only confuse a name server */
	HELD_MAX = 16,	    /* packets that wait for the noises */
	NOISE_MAX = 65507,
};

struct held {
	struct addr to;
	struct buf *pkt;
};

struct freedom_udp {
	struct dgram d;
	struct dgram *below;
	struct dgram_user on_below;
	const struct out_freedom *o;
	struct connect_gate *gate; /* where the carrier below does not ask it; or NULL */
	struct ipport source;
	struct addr target; /* of the flow, for packets without an address */
	bool header;	 /* the PROXY header is still to be sent */
	bool began;	 /* noises were thought of */
	size_t noise;	 /* the next one */
	struct addr first; /* where the noises go */
	struct timer pause;
	struct held held[HELD_MAX];
	size_t n_held;
};

static struct freedom_udp *of(struct dgram *d)
{
	return container_of(d, struct freedom_udp, d);
}

/* Takes @pkt, gives it with the header, or NULL. */
static struct buf *add_header(struct freedom_udp *u, const struct addr *to, struct buf *pkt)
{
	struct proxyproto p = {.version = u->o->conf->freedom.proxy_protocol,
			       .transport = PROXYPROTO_DGRAM,
			       .source = u->source};
	uint8_t text[PROXYPROTO_ENCODE_MAX];
	struct wr w = wr_of(text, sizeof(text));

	u->header = false;
	/* The address of a name is known to the socket below only, and version 1 knows no UDP. */
	if (p.version == 1)
		return pkt;
	if (p.source.ip.family == 0 || !addr_to_ipport(to, &p.target))
		p.transport = PROXYPROTO_UNKNOWN;
	if (proxyproto_encode(&w, &p) != 0) {
		buf_free(pkt);
		return NULL;
	}
	return pkt_prepend(pkt, span_of(text, w.n));
}

/* Through another outbound names are resolved elsewhere: only a literal address can be judged. */
static bool may_go(const struct freedom_udp *u, const struct addr *to)
{
	struct ipport at;

	return !u->gate || !addr_to_ipport(to, &at) || u->gate->may(u->gate, &at);
}

/* Takes @pkt; @to is where it really goes. */
static void send_now(struct freedom_udp *u, const struct addr *to, struct buf *pkt)
{
	if (!may_go(u, to)) {
		buf_free(pkt);
		return;
	}
	if (u->header)
		pkt = add_header(u, to, pkt);
	if (pkt)
		dgram_send(u->below, to, pkt);
}

static bool noise_fits(const struct conf_noise *n, const struct addr *to)
{
	if (to->kind != ADDR_IP)
		return n->ipv4 && n->ipv6;
	return to->ip.family == 4 ? n->ipv4 : n->ipv6;
}

static struct buf *noise_make(const struct conf_noise *n)
{
	size_t len = n->random ? draw_range(n->random_len) : n->packet.n;
	struct buf *b = len <= NOISE_MAX ? buf_new_big(len) : NULL;

	if (!b)
		return NULL;
	if (n->random)
		rand_fill(b->data, len);
	else if (len)
		memcpy(b->data, n->packet.p, len);
	b->len = (uint32_t)len;
	return b;
}

static bool noisy(const struct freedom_udp *u)
{
	return u->began && u->noise < u->o->conf->freedom.n_noises;
}

/* Sends noises until one wants a pause behind it; afterwards what has waited. */
static void make_noise(struct freedom_udp *u)
{
	while (noisy(u)) {
		const struct conf_noise *n = &u->o->conf->freedom.noises[u->noise++];
		struct buf *b;
		uint32_t ms;

		if (!noise_fits(n, &u->first))
			continue;
		b = noise_make(n);
		if (b)
			dgram_send(u->below, &u->first, b);
		ms = draw_range(n->delay_ms);
		if (ms) {
			timer_start(&u->pause, ms);
			return;
		}
	}
	for (size_t i = 0; i < u->n_held; i++)
		send_now(u, &u->held[i].to, u->held[i].pkt);
	u->n_held = 0;
}

static void on_pause_over(struct timer *t)
{
	make_noise(container_of(t, struct freedom_udp, pause));
}

static void udp_send(struct dgram *d, const struct addr *to, struct buf *pkt)
{
	struct freedom_udp *u = of(d);
	struct addr real = freedom_redirect(u->o, to->kind == ADDR_NONE ? &u->target : to);

	if (!u->began && may_go(u, &real)) {
		u->began = true;
		u->first = real;
		if (real.port == PORT_DNS)
			u->noise = u->o->conf->freedom.n_noises;
		make_noise(u);
	}
	if (!timer_on(&u->pause)) {
		send_now(u, &real, pkt);
	} else if (u->n_held < HELD_MAX) {
		u->held[u->n_held++] = (struct held){real, pkt};
	} else {
		buf_free(pkt);
	}
}

static void destroy(struct garbage *g)
{
	free(of(container_of(g, struct dgram, garbage)));
}

static void udp_close(struct dgram *d, int err)
{
	struct freedom_udp *u = of(d);

	timer_stop(&u->pause);
	while (u->n_held)
		buf_free(u->held[--u->n_held].pkt);
	dgram_close(u->below, err);
	d->garbage.destroy = destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops udp_ops = {
	.name = "freedom",
	.send = udp_send,
	.close = udp_close,
};

static void on_packet(struct dgram_user *du, struct dgram *below, const struct addr *from,
		      struct buf *pkt)
{
	static const struct addr nobody;
	struct freedom_udp *u = container_of(du, struct freedom_udp, on_below);

	struct addr seen = freedom_unmap(u->o, from);

	(void)below;
	dgram_deliver(&u->d, freedom_redirects(u->o) ? &nobody : &seen, pkt);
}

static void on_bounce(struct dgram_user *du, struct dgram *below, const struct addr *to, int err)
{
	struct freedom_udp *u = container_of(du, struct freedom_udp, on_below);
	struct addr seen = freedom_redirects(u->o) ? u->target : freedom_unmap(u->o, to);

	(void)below;
	dgram_bounced(&u->d, &seen, err);
}

static void on_end(struct dgram_user *du, struct dgram *below, int err)
{
	struct freedom_udp *u = container_of(du, struct freedom_udp, on_below);

	(void)below;
	if (u->d.user)
		u->d.user->on_end(u->d.user, &u->d, err);
}

/* Takes @below. */
static struct dgram *wrap(struct out_freedom *o, const struct flow *f, struct dgram *below)
{
	struct freedom_udp *u = calloc(1, sizeof(*u));

	if (!u) {
		dgram_close(below, -ERR_NOMEM);
		return NULL;
	}
	dgram_init(&u->d, &udp_ops, f->loop);
	u->below = below;
	u->on_below = (struct dgram_user){on_packet, on_end, on_bounce};
	u->o = o;
	u->source = f->source;
	u->target = f->target;
	u->gate = o->dialer ? &o->packets[f->origin].gate : NULL;
	u->header = o->conf->freedom.proxy_protocol != 0;
	timer_init(&u->pause, f->loop, on_pause_over);
	dgram_attach(below, &u->on_below);
	return &u->d;
}

void freedom_open_udp(struct out_freedom *o, struct flow *f)
{
	const struct conf_out_freedom *conf = &o->conf->freedom;
	struct dgram_udp_spec spec = {
		.opts = &o->conf->stream.sockopt,
		.local = via_address(&o->conf->via, f),
		.strategy = freedom_strategy(o, f),
		.target = freedom_redirect(o, &f->target),
		.gate = &o->packets[f->origin].gate,
	};
	char why[NET_WHY_MAX];
	bool through = o->dialer && dialer_is_through(o->dialer);
	struct dgram *d;

	if (o->conf->stream.security != CONF_SEC_NONE) {
		flow_failed(f, -ERR_UNSUPPORTED, "freedom does not carry UDP through TLS");
		return;
	}
	d = through ? dialer_dgram(o->dialer, f->loop, &spec, f, why)
		    : dgram_udp_new(f->loop, core_resolver(o->o.core, f->loop), &spec, why);
	if (!d) {
		flow_failed(f, -ERR_SYS, why);
		return;
	}
	if (through || freedom_redirects(o) || conf->n_maps || conf->proxy_protocol == 2 ||
	    conf->n_noises)
		d = wrap(o, f, d);
	if (d)
		flow_connected_dgram(f, d);
	else
		flow_failed(f, -ERR_NOMEM, NULL);
}
