#include "proxy/tunnel_udp.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/rand.h"
#include "net/udp_listener.h"
#include "proxy/tunnel_target.h"

enum { BUCKETS = 1024 };

struct port {
	struct udp_listener_user on_packet;
	struct udp_listener *l;
	struct tunnel_udp *owner;
};

struct tunnel_udp {
	struct inbound *in;
	struct loop *loop;
	struct list buckets[BUCKETS];
	struct list by_age; /* longest silent first */
	size_t n_clients;
	uint64_t seed;
	bool stopped;
	struct log_rate rate;
	size_t n_ports;
	struct port ports[];
};

/* A client: the inbound side of a flow. */
struct client {
	struct dgram d;
	struct tunnel_udp *owner;
	struct list node, age;
	struct port *port;
	struct ipport from;  /* the client */
	struct ipport to;    /* where it sent last: with tproxy the original destination */
	struct addr target;  /* of the first packet */
};

static struct client *of(struct dgram *d)
{
	return container_of(d, struct client, d);
}

static struct list *bucket(struct tunnel_udp *u, const struct ipport *a)
{
	uint64_t hi, lo, h;

	memcpy(&hi, a->ip.b, 8);
	memcpy(&lo, a->ip.b + 8, 8);
	h = (hi ^ u->seed) * 0x9e3779b97f4a7c15u;
	h = (h ^ lo ^ h >> 29) * 0xbf58476d1ce4e5b9u;
	h = (h ^ a->port ^ h >> 32) * 0x94d049bb133111ebu;
	return &u->buckets[(h >> 40) % BUCKETS];
}

static void free_if_unused(struct tunnel_udp *u)
{
	if (u->stopped && u->n_clients == 0)
		free(u);
}

static bool tproxy(const struct tunnel_udp *u)
{
	return u->in->conf->stream.sockopt.tproxy == CONF_TPROXY_TPROXY;
}

static void client_send(struct dgram *d, const struct addr *party, struct buf *pkt)
{
	struct client *c = of(d);
	struct ipport from = c->to;

	if (c->owner->stopped) {
		buf_free(pkt);
		return;
	}
	/* A name cannot be forged; the client knows it by the address it sent to. */
	if (tproxy(c->owner))
		addr_to_ipport(party, &from);
	udp_listener_send(c->port->l, &from, &c->from, pkt);
}

static void client_destroy(struct garbage *g)
{
	struct client *c = of(container_of(g, struct dgram, garbage));
	struct tunnel_udp *u = c->owner;

	u->n_clients--;
	free(c);
	free_if_unused(u);
}

static void client_close(struct dgram *d, int err)
{
	struct client *c = of(d);

	(void)err;
	list_del(&c->node);
	list_del(&c->age);
	d->garbage.destroy = client_destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops client_ops = {
	.name = "tunnel client",
	.send = client_send,
	.close = client_close,
};

/* True when there is room now. A flow that is still being opened cannot be told to go. */
static bool make_room(struct tunnel_udp *u)
{
	struct client *c;

	if (u->n_clients < TUNNEL_UDP_CLIENTS)
		return true;
	c = list_first(&u->by_age, struct client, age);
	if (c && c->d.user)
		c->d.user->on_end(c->d.user, &c->d, -ERR_LIMIT);
	return false; /* the room is there from the next turn on */
}

static struct client *find(struct tunnel_udp *u, const struct port *p, const struct ipport *from)
{
	struct client *c;

	list_each(c, bucket(u, from), node) {
		if (c->port != p || !ipport_eq(&c->from, from))
			continue;
		list_del(&c->age);
		list_add_tail(&u->by_age, &c->age);
		return c;
	}
	return NULL;
}

static struct client *client_new(struct port *p, const struct ipport *from,
				 const struct ipport *to, const struct addr *target)
{
	struct tunnel_udp *u = p->owner;
	struct conn_info info = {.source = *from, .local = *to};
	struct client *c = make_room(u) ? calloc(1, sizeof(*c)) : NULL;
	struct flow *f = c ? inbound_flow(u->in, u->loop, CONF_UDP, &info) : NULL;

	if (!f) {
		free(c);
		return NULL;
	}
	dgram_init(&c->d, &client_ops, u->loop);
	c->owner = u;
	c->port = p;
	c->from = *from;
	c->to = *to;
	c->target = *target;
	list_add_tail(bucket(u, from), &c->node);
	list_add_tail(&u->by_age, &c->age);
	u->n_clients++;
	f->origin = FLOW_FROM_LOCAL;
	f->level = u->in->conf->tunnel.level;
	f->target = *target;
	f->in_dgram = &c->d;
	flow_dispatch(f);
	return c;
}

static void complain(struct tunnel_udp *u, const struct ipport *from, int err)
{
	char text[ADDR_TEXT_MAX];
	uint32_t muted = 0;

	if (!log_on(LOG_INFO) || !log_rate_pass(&u->rate, loop_now(u->loop), 5, 60, &muted))
		return;
	log_info("tunnel", "%s: UDP packet dropped: %s (%u more not shown)",
		 ipport_text(from, text, sizeof(text)), err_name(err), muted);
}

static void on_packet(struct udp_listener_user *lu, struct udp_listener *l,
		      const struct ipport *from, const struct ipport *to, struct buf *pkt)
{
	struct port *p = container_of(lu, struct port, on_packet);
	struct tunnel_udp *u = p->owner;
	struct ipport at = udp_listener_at(l);
	struct tunnel_arrival a = {
		.local = {to->ip, at.port},
		.original = tproxy(u) ? *to : (struct ipport){.port = 0},
		.sni = "",
	};
	struct addr target;
	struct client *c;
	int err = tunnel_target(&target, u->in->conf, &a);

	if (err) {
		complain(u, from, err);
		buf_free(pkt);
		return;
	}
	c = find(u, p, from);
	if (!c)
		c = client_new(p, from, to, &target);
	if (!c) {
		buf_free(pkt);
		return;
	}
	c->to = *to;
	dgram_deliver(&c->d, &target, pkt);
}

static int open_port(struct tunnel_udp *u, uint16_t port)
{
	struct port *p = &u->ports[u->n_ports];
	struct udp_listener_spec spec = {.at = {u->in->conf->listen.ip, port},
					 .opts = &u->in->conf->stream.sockopt};
	char why[NET_WHY_MAX];

	p->owner = u;
	p->on_packet.on_packet = on_packet;
	p->l = udp_listener_new(u->loop, &spec, &p->on_packet, why);
	if (!p->l) {
		log_err("inbound", "failed to start [%s] (%s:%d): %s", u->in->tag,
			u->in->conf->at.file, u->in->conf->at.line, why);
		return -ERR_SYS;
	}
	u->n_ports++;
	return 0;
}

struct tunnel_udp *tunnel_udp_start(struct inbound *in)
{
	const struct conf_ports *ports = &in->conf->listen.ports;
	struct tunnel_udp *u;
	size_t n = 0;
	int err = 0;

	for (size_t i = 0; i < ports->n; i++)
		n += (size_t)(ports->v[i].to - ports->v[i].from) + 1;
	u = calloc(1, sizeof(*u) + n * sizeof(u->ports[0]));
	if (!u)
		return NULL;
	u->in = in;
	u->loop = in->core->workers[0].loop;
	list_init(&u->by_age);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&u->buckets[i]);
	rand_fill(&u->seed, sizeof(u->seed));
	for (size_t i = 0; i < ports->n && !err; i++)
		for (unsigned p = ports->v[i].from; p <= ports->v[i].to && !err; p++)
			err = open_port(u, (uint16_t)p);
	if (!err)
		return u;
	tunnel_udp_stop(u);
	return NULL;
}

void tunnel_udp_stop(struct tunnel_udp *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < u->n_ports; i++)
		udp_listener_close(u->ports[i].l);
	u->stopped = true;
	free_if_unused(u);
}
