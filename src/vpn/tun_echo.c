#include "vpn/tun_echo.h"

#include <stdlib.h>

#include "base/err.h"
#include "crypto/rand.h"
#include "crypto/siphash.h"
#include "proto/echo.h"
#include "proto/icmpmsg.h"
#include "vpn/pktsend.h"

enum { BUCKETS = 512, MESSAGE_MAX = 65535, ID_TRIES = 8 };

struct tun_echo {
	struct loop *loop;
	struct pktlink *link;
	const struct conf_in_tun *conf;
	struct inbound *in;
	struct list buckets[BUCKETS];
	size_t n;
	struct error_gate gate;
	uint8_t seed[SIPHASH_SEED];
	uint32_t next_id;
	uint8_t message[MESSAGE_MAX]; /* being built */
};

/* One asker (by address and identifier) and the host it asks. */
struct pinger {
	struct dgram d;
	struct tun_echo *e;
	struct list node;
	bool ours; /* of the outbound: we ask */
	struct ip asker, target;
	uint16_t id;
	uint16_t his_id;  /* ours only: the identifier in the flow */
	uint16_t last_len; /* of a payload, for what an error quotes */
};

static struct pinger *of(struct dgram *d)
{
	return container_of(d, struct pinger, d);
}

static struct list *bucket(struct tun_echo *e, const struct ip *asker, const struct ip *target,
			   uint16_t id)
{
	uint8_t b[34];
	struct wr w = wr_of(b, sizeof(b));

	wr_bytes(&w, asker->b, 16);
	wr_bytes(&w, target->b, 16);
	wr_u16(&w, id);
	return &e->buckets[siphash(e->seed, span_of(b, w.n)) % BUCKETS];
}

static struct pinger *find(struct tun_echo *e, const struct ip *asker, const struct ip *target,
			   uint16_t id, bool ours)
{
	struct pinger *p;

	list_each(p, bucket(e, asker, target, id), node)
		if (p->ours == ours && p->id == id && ip_eq(&p->asker, asker) &&
		    ip_eq(&p->target, target))
			return p;
	return NULL;
}

/* ---- packets out ---- */

static void send_echo(struct tun_echo *e, const struct ip *src, const struct ip *dst,
		      const struct icmpmsg_echo *m, uint8_t ttl, struct span payload)
{
	struct ippkt head = {.src = *src, .dst = *dst, .ttl = ttl, .frag_id = e->next_id++,
			     .proto = src->family == 4 ? IPPKT_ICMP : IPPKT_ICMP6};
	struct wr w = wr_of(e->message, sizeof(e->message));

	if (icmpmsg_echo_encode(&w, src, dst, m, payload) == 0)
		pktsend_long(e->link, e->link->mtu, &head, span_of(e->message, ICMPMSG_HEAD),
			     span_of(e->message + ICMPMSG_HEAD, w.n - ICMPMSG_HEAD));
}

/* An error about a request of @p, which is quoted as far as an asker looks. */
static void send_error(struct pinger *p, const struct echo *m)
{
	struct ippkt head = {.src = p->asker, .dst = p->target, .ttl = 1,
			     .proto = p->asker.family == 4 ? IPPKT_ICMP : IPPKT_ICMP6};
	struct icmpmsg_echo req = {.id = p->id, .seq = m->seq};
	uint8_t quote[IPPKT_V6_HEAD + ICMPMSG_HEAD];
	struct wr w = wr_of(quote, sizeof(quote));

	if (m->offender.family != p->asker.family ||
	    ippkt_encode_head(&w, &head, ICMPMSG_HEAD + (size_t)p->last_len) != 0 ||
	    icmpmsg_echo_encode(&w, &p->asker, &p->target, &req, span_of(NULL, 0)) != 0)
		return;
	pktsend_icmp(p->e->link, &p->e->gate, loop_now(p->e->loop), &m->offender, &p->asker,
		     m->type, m->code, m->info, span_of(quote, w.n));
}

/* ---- the carrier ---- */

static void to_asker(struct pinger *p, const struct echo *m)
{
	struct icmpmsg_echo reply = {.reply = true, .id = p->id, .seq = m->seq};

	if (m->kind == ECHO_REPLY)
		send_echo(p->e, &p->target, &p->asker, &reply, m->ttl, m->payload);
	else if (m->kind == ECHO_ERROR)
		send_error(p, m);
}

static void to_target(struct pinger *p, const struct echo *m)
{
	struct icmpmsg_echo req = {.id = p->id, .seq = m->seq};

	if (m->kind != ECHO_REQUEST)
		return;
	p->his_id = m->id;
	send_echo(p->e, &p->asker, &p->target, &req, m->ttl, m->payload);
}

static void pinger_send(struct dgram *d, const struct addr *party, struct buf *pkt)
{
	struct pinger *p = of(d);
	struct echo m;

	(void)party;
	if (echo_decode(&m, buf_span(pkt)) == 0) {
		if (p->ours)
			to_target(p, &m);
		else
			to_asker(p, &m);
	}
	buf_free(pkt);
}

static void pinger_destroy(struct garbage *g)
{
	free(of(container_of(g, struct dgram, garbage)));
}

static void pinger_close(struct dgram *d, int err)
{
	struct pinger *p = of(d);

	(void)err;
	list_del(&p->node);
	p->e->n--;
	d->garbage.destroy = pinger_destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops pinger_ops = {
	.name = "tun echo",
	.send = pinger_send,
	.close = pinger_close,
};

static struct pinger *pinger_new(struct tun_echo *e, const struct ip *asker,
				 const struct ip *target, uint16_t id, bool ours)
{
	struct pinger *p = e->n < TUN_ECHO_ASSOCS ? calloc(1, sizeof(*p)) : NULL;

	if (!p)
		return NULL;
	dgram_init(&p->d, &pinger_ops, e->loop);
	p->e = e;
	p->ours = ours;
	p->asker = *asker;
	p->target = *target;
	p->id = id;
	list_add_tail(bucket(e, asker, target, id), &p->node);
	e->n++;
	return p;
}

static struct pinger *begin(struct tun_echo *e, const struct ippkt *ip, uint16_t id)
{
	struct conn_info info = {.source = {ip->src, id}, .local = {ip->dst, ECHO_PORT}};
	struct pinger *p;
	struct flow *f;

	if (!e->in)
		return NULL;
	f = inbound_flow(e->in, e->loop, CONF_UDP, &info);
	p = f ? pinger_new(e, &ip->src, &ip->dst, id, false) : NULL;
	if (!p) {
		if (f)
			flow_abort(f, -ERR_LIMIT);
		return NULL;
	}
	f->origin = FLOW_FROM_LOCAL;
	f->of_tun = true;
	f->level = e->in->conf->tun.level;
	f->target = addr_from_ip(&ip->dst, ECHO_PORT);
	f->in_dgram = &p->d;
	flow_dispatch(f);
	return p;
}

/* ---- packets in ---- */

static void hand_up(struct pinger *p, const struct echo *m)
{
	size_t room = m->kind == ECHO_ERROR ? (size_t)ECHO_ERROR_MAX : ECHO_HEAD + m->payload.n;
	struct buf *b = buf_new_big(room);
	struct addr party = addr_from_ip(&p->target, ECHO_PORT);
	struct wr w;

	if (!b)
		return;
	w = wr_of(b->data, room);
	if (echo_encode(&w, m) != 0) {
		buf_free(b);
		return;
	}
	b->len = (uint32_t)w.n;
	dgram_deliver(&p->d, &party, b);
}

/* We are a router on its way, too: the last hop of a request that has one left is here. */
static void time_exceeded(struct tun_echo *e, const struct ippkt *ip, const struct buf *pkt)
{
	for (size_t i = 0; i < e->conf->n_addrs; i++)
		if (e->conf->addrs[i].ip.family == ip->src.family) {
			pktsend_error(e->link, &e->gate, loop_now(e->loop), &e->conf->addrs[i].ip,
				      &ip->src, ICMPMSG_TIME_EXCEEDED, 0, buf_span(pkt));
			return;
		}
}

static void input_request(struct tun_echo *e, const struct ippkt *ip, const struct buf *pkt,
			  const struct icmpmsg_echo *m, struct span payload)
{
	struct echo req = {.kind = ECHO_REQUEST, .ttl = (uint8_t)(ip->ttl - 1), .id = m->id,
			   .seq = m->seq, .payload = payload};
	struct icmpmsg_echo reply = {.reply = true, .id = m->id, .seq = m->seq};
	struct pinger *p = find(e, &ip->src, &ip->dst, m->id, true);

	if (p) { /* ours, which this machine has routed into the device again */
		dgram_ended(&p->d, -ERR_LOOP);
		return;
	}
	if (e->conf->ping == CONF_TUN_PING_LOCAL)
		send_echo(e, &ip->dst, &ip->src, &reply, 0, payload);
	if (e->conf->ping != CONF_TUN_PING_FORWARD)
		return;
	if (ip->ttl <= 1) {
		time_exceeded(e, ip, pkt);
		return;
	}
	p = find(e, &ip->src, &ip->dst, m->id, false);
	if (!p)
		p = begin(e, ip, m->id);
	if (!p)
		return;
	p->last_len = (uint16_t)payload.n;
	hand_up(p, &req);
}

static void input_reply(struct tun_echo *e, const struct ippkt *ip, const struct icmpmsg_echo *m,
			struct span payload)
{
	struct pinger *p = find(e, &ip->dst, &ip->src, m->id, true);
	struct echo got = {.kind = ECHO_REPLY, .ttl = ip->ttl, .seq = m->seq, .payload = payload};

	if (!p)
		return;
	got.id = p->his_id;
	hand_up(p, &got);
}

void tun_echo_error(struct tun_echo *e, const struct ip *from, const struct icmpmsg_quote *q)
{
	struct pinger *p = find(e, &q->src, &q->dst, q->word[2], true);
	struct echo m = {.kind = ECHO_ERROR, .type = q->type, .code = q->code, .info = q->rest,
			 .offender = *from, .seq = q->word[3]};

	if (!p)
		return;
	m.id = p->his_id;
	hand_up(p, &m);
}

void tun_echo_input(struct tun_echo *e, const struct ippkt *ip, struct buf *pkt)
{
	struct span body = span_of(pkt->data + ip->off, ip->total - ip->off);
	struct icmpmsg_echo m;

	if (!ip_is_group(&ip->dst) && icmpmsg_echo_decode(&m, ip->src.family, body) > 0 &&
	    icmpmsg_sum_ok(&ip->src, &ip->dst, body)) {
		struct span payload = span_of(body.p + ICMPMSG_HEAD, body.n - ICMPMSG_HEAD);

		if (m.reply)
			input_reply(e, ip, &m, payload);
		else
			input_request(e, ip, pkt, &m, payload);
	}
	buf_free(pkt);
}

/* ---- the rest ---- */

struct dgram *tun_echo_open(struct tun_echo *e, const struct ip *from, const struct ip *target)
{
	struct pinger *p;
	uint16_t id;

	for (int i = 0; i < ID_TRIES; i++) {
		if (rand_bytes(&id, sizeof(id)) != 0)
			return NULL;
		if (find(e, from, target, id, true))
			continue;
		p = pinger_new(e, from, target, id, true);
		return p ? &p->d : NULL;
	}
	return NULL;
}

void tun_echo_listen(struct tun_echo *e, struct inbound *in)
{
	e->in = in;
}

struct tun_echo *tun_echo_new(struct loop *l, struct pktlink *link, const struct conf_in_tun *conf)
{
	struct tun_echo *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->loop = l;
	e->link = link;
	e->conf = conf;
	rand_fill(e->seed, sizeof(e->seed));
	rand_fill(&e->next_id, sizeof(e->next_id));
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&e->buckets[i]);
	return e;
}

void tun_echo_free(struct tun_echo *e)
{
	free(e);
}
