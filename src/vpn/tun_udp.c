#include "vpn/tun_udp.h"

#include <stdlib.h>

#include "base/err.h"
#include "crypto/rand.h"
#include "crypto/siphash.h"
#include "flow/flow.h"
#include "proto/ipsum.h"
#include "vpn/pktsend.h"
#include "vpn/udp_train.h"

enum { BUCKETS = 4096, PORT_TRIES = 16, FIRST_MAX = 2048 };

struct tun_udp {
	struct loop *loop;
	struct pktlink *link;
	struct inbound *in;
	struct udp_train *train;
	struct list by_age; /* of clients: longest silent first */
	struct list buckets[BUCKETS];
	size_t n;
	struct error_gate gate;
	uint8_t seed[SIPHASH_SEED];
};

struct assoc;

/* The ear at a client's flow, which may outlive the association. */
struct ear {
	struct flow_hook hook;
	struct assoc *a; /* NULL: closed */
};

struct assoc {
	struct dgram d;
	struct tun_udp *u;
	struct list node, age;
	bool ours;	   /* of the outbound */
	uint16_t mtu;	   /* ours only: of a router on the way; 0: none has said */
	struct ipport end; /* the client; or whom we speak for */
	struct ipport target;
	struct ear *ear; /* NULL: the flow is over, or of the outbound */
	struct buf *first; /* the packet that began it, until the verdict */
	uint16_t last_len; /* of a client's datagram, for what an error quotes */
};

static struct assoc *of(struct dgram *d)
{
	return container_of(d, struct assoc, d);
}

static struct list *bucket(struct tun_udp *u, const struct ipport *a)
{
	uint8_t b[18];
	struct wr w = wr_of(b, sizeof(b));

	wr_bytes(&w, a->ip.b, 16);
	wr_u16(&w, a->port);
	return &u->buckets[siphash(u->seed, span_of(b, w.n)) % BUCKETS];
}

/* Of a client. */
static struct assoc *find(struct tun_udp *u, const struct ipport *end)
{
	struct assoc *a;

	list_each(a, bucket(u, end), node)
		if (!a->ours && ipport_eq(&a->end, end))
			return a;
	return NULL;
}

/* Of the outbound: the one that speaks with @party as @end, else any that speaks as @end, since
 * others may answer, too. */
static struct assoc *find_ours(struct tun_udp *u, const struct ipport *end,
			       const struct ipport *party)
{
	struct assoc *a, *any = NULL;

	list_each(a, bucket(u, end), node)
	{
		if (!a->ours || !ipport_eq(&a->end, end))
			continue;
		if (ipport_eq(&a->target, party))
			return a;
		any = any ? any : a;
	}
	return any;
}

/* ---- the carrier ---- */

static void assoc_send(struct dgram *d, const struct addr *party, struct buf *pkt)
{
	struct assoc *a = of(d);
	struct ipport to = a->target;

	/* A name cannot be an address: the client knows it as what it sent to. */
	addr_to_ipport(party, &to);
	if (to.ip.family != a->end.ip.family || to.port == 0)
		buf_free(pkt);
	else if (a->ours)
		udp_train_send(a->u->train, &a->end, &to, a->mtu, pkt);
	else
		udp_train_send(a->u->train, &to, &a->end, 0, pkt);
}

/* What a router says for a flow, or a packet of one, that ended like this; false: nothing. */
static bool complaint(int err, enum icmpmsg_error *what)
{
	switch (-err) {
	case ERR_NONE:
	case ERR_TIMEOUT:
	case ERR_LIMIT:
	case ERR_NOMEM:
	case ERR_CLOSED:
		return false;
	case ERR_REFUSED:
		*what = ICMPMSG_PORT_UNREACH;
		return true;
	case ERR_BLOCKED:
		*what = ICMPMSG_PROHIBITED;
		return true;
	default:
		*what = ICMPMSG_HOST_UNREACH;
		return true;
	}
}

/* The packet itself is gone: its heads are quoted, by which the client finds the socket. */
static void assoc_bounce(struct dgram *d, const struct addr *party, int err)
{
	struct assoc *a = of(d);
	struct ippkt ip = {.src = a->end.ip, .proto = IPPKT_UDP, .ttl = 1};
	struct udp_head udp = {.sport = a->end.port, .len = a->last_len};
	uint8_t quote[IPPKT_HEAD_MAX + IPPKT_UDP_HEAD];
	struct wr w = wr_of(quote, sizeof(quote));
	enum icmpmsg_error what;
	struct ipport to;

	if (a->ours || !complaint(err, &what) || !addr_to_ipport(party, &to) ||
	    to.ip.family != a->end.ip.family)
		return;
	ip.dst = to.ip;
	udp.dport = to.port;
	if (ippkt_encode_head(&w, &ip, udp.len) == 0 && udp_head_encode(&w, &udp, 0) == 0)
		pktsend_bounce(a->u->link, &a->u->gate, loop_now(a->u->loop), &to.ip, &a->end.ip,
			       what, span_of(quote, w.n));
}

static void assoc_destroy(struct garbage *g)
{
	free(of(container_of(g, struct dgram, garbage)));
}

static void assoc_close(struct dgram *d, int err)
{
	struct assoc *a = of(d);

	(void)err;
	if (a->ear)
		a->ear->a = NULL;
	a->ear = NULL;
	buf_free(a->first);
	a->first = NULL;
	list_del(&a->node);
	list_del(&a->age);
	a->u->n--;
	d->garbage.destroy = assoc_destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops assoc_ops = {
	.name = "tun",
	.send = assoc_send,
	.close = assoc_close,
	.bounce = assoc_bounce,
};

static void on_verdict(struct flow_hook *h, struct stream **in, int err)
{
	struct assoc *a = container_of(h, struct ear, hook)->a;
	enum icmpmsg_error what;

	(void)in;
	if (!a)
		return;
	if (a->first && complaint(err, &what))
		pktsend_error(a->u->link, &a->u->gate, loop_now(a->u->loop), &a->target.ip,
			      &a->end.ip, what, 0, buf_span(a->first));
	buf_free(a->first);
	a->first = NULL;
}

static void on_flow_ended(struct flow_hook *h, struct loop *l)
{
	struct ear *e = container_of(h, struct ear, hook);

	(void)l;
	if (e->a)
		e->a->ear = NULL;
	free(e);
}

static void listen_to(struct assoc *a, struct flow *f, const struct buf *pkt)
{
	struct ear *e = calloc(1, sizeof(*e));

	if (!e)
		return;
	e->hook = (struct flow_hook){.verdict = on_verdict, .ended = on_flow_ended};
	e->a = a;
	a->ear = e;
	f->hook = &e->hook;
	if (pkt->len <= FIRST_MAX)
		a->first = buf_copy(buf_span(pkt));
}

static struct assoc *assoc_new(struct tun_udp *u, const struct ipport *end,
			       const struct ipport *target, bool ours)
{
	struct assoc *a = u->n < TUN_UDP_ASSOCS ? calloc(1, sizeof(*a)) : NULL;

	if (!a)
		return NULL;
	dgram_init(&a->d, &assoc_ops, u->loop);
	a->u = u;
	a->ours = ours;
	a->end = *end;
	a->target = *target;
	list_init(&a->age);
	list_add_tail(bucket(u, end), &a->node);
	u->n++;
	return a;
}

/* ---- clients ---- */

/* A flow that is still being opened cannot be told to go; the room is there in the next turn. */
static void make_room(struct tun_udp *u)
{
	struct assoc *a = list_first(&u->by_age, struct assoc, age);

	if (u->n >= TUN_UDP_ASSOCS && a && a->d.user)
		a->d.user->on_end(a->d.user, &a->d, -ERR_LIMIT);
}

static struct assoc *client_new(struct tun_udp *u, const struct ipport *from,
				const struct ipport *to, const struct buf *pkt)
{
	struct conn_info info = {.source = *from, .local = *to};
	struct assoc *a;
	struct flow *f;

	if (!u->in)
		return NULL;
	make_room(u);
	f = inbound_flow(u->in, u->loop, CONF_UDP, &info);
	a = f ? assoc_new(u, from, to, false) : NULL;
	if (!a) {
		if (f)
			flow_abort(f, -ERR_LIMIT);
		return NULL;
	}
	list_add_tail(&u->by_age, &a->age);
	listen_to(a, f, pkt);
	f->origin = FLOW_FROM_LOCAL;
	f->of_tun = true;
	f->level = u->in->conf->tun.level;
	f->target = addr_from_ipport(to);
	f->in_dgram = &a->d;
	flow_dispatch(f);
	return a;
}

/* Hands up the payload, which may be a train of datagrams. Takes @pkt. */
static void deliver(struct assoc *a, const struct ipport *party, struct buf *pkt, size_t piece)
{
	struct addr from = addr_from_ipport(party);

	while (piece && pkt->len > piece) {
		struct buf *b = buf_copy(span_of(pkt->data, piece));

		buf_pull(pkt, piece);
		if (b)
			dgram_deliver(&a->d, &from, b);
		if (list_empty(&a->node)) { /* closed by its user */
			buf_free(pkt);
			return;
		}
	}
	dgram_deliver(&a->d, &from, pkt);
}

/* A datagram of our own, which this machine has routed into the device again: it would go round for
 * ever. */
static bool came_back(struct tun_udp *u, const struct ipport *from, const struct ipport *to)
{
	struct assoc *a = find_ours(u, from, to);

	if (a)
		dgram_ended(&a->d, -ERR_LOOP);
	return a != NULL;
}

void tun_udp_input(struct tun_udp *u, const struct ippkt *ip, struct buf *pkt, uint16_t piece)
{
	struct ipport from = {ip->src, 0}, to = {ip->dst, 0};
	struct udp_head h;
	struct assoc *a;

	if (ip_is_group(&ip->dst) ||
	    udp_head_decode(&h, span_of(pkt->data + ip->off, ip->total - ip->off)) < 0 ||
	    h.dport == 0 || h.sport == 0) { /* port 0 stands for echo in a flow */
		buf_free(pkt);
		return;
	}
	from.port = h.sport;
	to.port = h.dport;
	if (came_back(u, &from, &to)) {
		buf_free(pkt);
		return;
	}
	a = find_ours(u, &to, &from);
	if (!a)
		a = find(u, &from);
	if (!a)
		a = client_new(u, &from, &to, pkt);
	if (!a) {
		buf_free(pkt);
		return;
	}
	if (!a->ours) {
		a->last_len = h.len;
		list_del(&a->age);
		list_add_tail(&u->by_age, &a->age);
	}
	pkt->len = ip->off + h.len;
	buf_pull(pkt, ip->off + (size_t)IPPKT_UDP_HEAD);
	deliver(a, a->ours ? &from : &to, pkt, piece);
}

/* ---- the outbound ---- */

void tun_udp_error(struct tun_udp *u, const struct icmpmsg_quote *q)
{
	struct ipport from = {q->src, q->word[0]}, to = {q->dst, q->word[1]};
	struct assoc *a = find_ours(u, &from, &to);
	struct addr party = addr_from_ipport(&to);
	enum { MTU_MIN6 = 1280 };

	if (!a)
		return;
	/* Routers cut what is too long for them themselves in IPv4, where we do not forbid it. */
	if (q->what == ICMPMSG_TOO_BIG && q->src.family == 6 && q->mtu >= MTU_MIN6 &&
	    (!a->mtu || q->mtu < a->mtu))
		a->mtu = (uint16_t)q->mtu;
	else if (q->what == ICMPMSG_PORT_UNREACH)
		dgram_bounced(&a->d, &party, -ERR_REFUSED);
	else if (q->what != ICMPMSG_TOO_BIG && q->what != ICMPMSG_TIME_EXCEEDED)
		dgram_bounced(&a->d, &party, -ERR_UNREACH);
}

static bool speaks(struct tun_udp *u, const struct ipport *end, const struct ipport *to)
{
	const struct assoc *a = find_ours(u, end, to);

	return a && ipport_eq(&a->target, to);
}

struct dgram *tun_udp_open(struct tun_udp *u, const struct ipport *from, const struct ipport *to)
{
	struct ipport end = *from;
	struct assoc *a;

	for (int i = 0; end.port == 0 || speaks(u, &end, to); i++) {
		uint16_t r;

		if (i == PORT_TRIES || rand_bytes(&r, sizeof(r)) != 0)
			return NULL;
		end.port = (uint16_t)(32768 + r % 28232); /* as Linux chooses them */
	}
	a = assoc_new(u, &end, to, true);
	return a ? &a->d : NULL;
}

/* ---- the rest ---- */

void tun_udp_listen(struct tun_udp *u, struct inbound *in)
{
	u->in = in;
}

struct tun_udp *tun_udp_new(struct loop *l, struct pktlink *link)
{
	struct tun_udp *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->train = udp_train_new(l, link);
	if (!u->train) {
		free(u);
		return NULL;
	}
	u->loop = l;
	u->link = link;
	rand_fill(u->seed, sizeof(u->seed));
	list_init(&u->by_age);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&u->buckets[i]);
	return u;
}

void tun_udp_free(struct tun_udp *u)
{
	if (!u)
		return;
	udp_train_free(u->train);
	free(u);
}
