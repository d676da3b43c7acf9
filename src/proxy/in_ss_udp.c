#include "proxy/in_ss_udp.h"

#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/rand.h"
#include "net/udp_listener.h"
#include "proto/ssudp.h"

enum {
	CLIENTS_MAX = 16384, /* sessions at a time; more are dropped until some end */
	BUCKETS = 4096,
};

struct ss_socket {
	struct udp_listener_user on_packet;
	struct udp_listener *l;
	struct in_ss_udp *owner;
};

struct in_ss_udp {
	struct inbound *in;
	const struct conf_in_ss *conf;
	struct loop *loop;
	struct ssudp_server *modern;
	struct ssaead_packets *classic;
	size_t n_clients;
	bool stopped;
	struct list buckets[BUCKETS];
	size_t n_sockets;
	struct garbage garbage;
	struct ss_socket sockets[];
};

/* One session: a flow's inbound side. */
struct ss_client {
	struct dgram d;
	struct in_ss_udp *owner;
	struct list node;
	struct udp_listener *l;
	struct ipport from, to; /* of its last packet: answers go there, from here */
	struct addr target;	/* of its first */
	size_t user;
	uint64_t id;		       /* 2022 */
	struct ssudp_session *session; /* 2022 */
};

static void owner_free_if_unused(struct in_ss_udp *u);

static struct list *bucket(struct in_ss_udp *u, uint64_t h)
{
	h *= 0x9e3779b97f4a7c15u;
	return &u->buckets[(h >> 40) % BUCKETS];
}

static uint64_t hash_of(const struct ipport *a)
{
	uint64_t hi, lo;

	memcpy(&hi, a->ip.b, 8);
	memcpy(&lo, a->ip.b + 8, 8);
	return hi * 31 + lo * 7 + a->port;
}

/* ---- a client as a datagram carrier ---- */

static struct ss_client *of(struct dgram *d)
{
	return container_of(d, struct ss_client, d);
}

static int seal(struct ss_client *c, const struct addr *party, const struct buf *pkt,
		struct buf *out, size_t room)
{
	struct in_ss_udp *u = c->owner;
	struct wr w = wr_of(out->data, room);
	int err;

	if (c->session) {
		struct ssudp_packet p = {.addr = *party, .payload = buf_span(pkt)};
		uint8_t nonce[SSUDP_NONCE];

		err = rand_bytes(nonce, sizeof(nonce));
		if (!err)
			err = ssudp_session_seal(c->session, &w, &p, nonce, (uint64_t)time(NULL));
	} else {
		uint8_t salt[SS_SALT_MAX];

		err = rand_bytes(salt, sizeof(salt));
		if (!err)
			err = ssaead_packet_seal(u->classic, &w, c->user, salt, party,
						 buf_span(pkt));
	}
	out->len = (uint32_t)w.n;
	return err;
}

static void client_send(struct dgram *d, const struct addr *party, struct buf *pkt)
{
	struct ss_client *c = of(d);
	const struct addr *from = party->kind == ADDR_NONE ? &c->target : party;
	size_t room;
	struct buf *out;

	if (c->owner->stopped) {
		buf_free(pkt);
		return;
	}
	room = pkt->len + (c->session ?
				   ssudp_session_overhead(c->session, from, 0) :
				   ssaead_packet_overhead(c->owner->classic, c->user, from));
	out = buf_new_big(room);
	if (out && seal(c, from, pkt, out, room) == 0)
		udp_listener_send(c->l, &c->to, &c->from, out);
	else
		buf_free(out);
	buf_free(pkt);
}

static void client_destroy(struct garbage *g)
{
	struct ss_client *c = of(container_of(g, struct dgram, garbage));
	struct in_ss_udp *u = c->owner;

	ssudp_session_free(c->session);
	free(c);
	u->n_clients--;
	owner_free_if_unused(u);
}

static void client_close(struct dgram *d, int err)
{
	struct ss_client *c = of(d);

	(void)err;
	list_del(&c->node);
	d->garbage.destroy = client_destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops client_ops = {
	.name = "shadowsocks client",
	.send = client_send,
	.close = client_close,
};

static struct ss_client *client_new(struct in_ss_udp *u, size_t user, uint64_t id, uint64_t hash)
{
	struct ss_client *c;

	if (u->n_clients >= CLIENTS_MAX)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	dgram_init(&c->d, &client_ops, u->loop);
	c->owner = u;
	c->user = user;
	c->id = id;
	list_add_tail(bucket(u, hash), &c->node);
	u->n_clients++;
	return c;
}

static void client_begin(struct ss_client *c, const struct addr *target)
{
	struct in_ss_udp *u = c->owner;
	const struct conf_ss_user *user = &u->conf->users[c->user];
	struct conn_info info = {.source = c->from, .local = c->to};
	struct flow *f = inbound_flow(u->in, u->loop, CONF_UDP, &info);

	c->target = *target;
	if (!f) {
		dgram_close(&c->d, -ERR_LIMIT);
		return;
	}
	f->origin = FLOW_FROM_SERVER;
	f->user = user->email;
	f->level = user->level;
	f->target = *target;
	f->in_dgram = &c->d;
	flow_dispatch(f);
}

/* Hands up the payload: a slice of @pkt, which it takes. */
static void deliver(struct ss_client *c, const struct addr *target, struct span payload,
		    struct buf *pkt, bool fresh)
{
	struct addr to = *target;
	struct buf *b = buf_copy(payload);

	buf_free(pkt);
	if (!b)
		return;
	dgram_deliver(&c->d, &to, b);
	if (fresh)
		client_begin(c, &to);
}

/* ---- packets ---- */

static struct ss_client *find_session(struct in_ss_udp *u, uint64_t id, size_t user)
{
	struct ss_client *c;

	list_each(c, bucket(u, id), node)
		if (c->id == id && c->user == user)
			return c;
	return NULL;
}

static void packet_2022(struct ss_socket *s, const struct ipport *from, const struct ipport *to,
			struct buf *pkt)
{
	struct in_ss_udp *u = s->owner;
	struct ssudp_head head;
	struct ssudp_packet p;
	struct ss_client *c;
	struct ssudp_session *trial = NULL;
	uint64_t own;
	bool fresh;

	if (ssudp_head_open(u->modern, &head, pkt->data, pkt->len) != 0) {
		buf_free(pkt);
		return;
	}
	c = find_session(u, head.session, (size_t)head.user);
	fresh = !c;
	if (fresh && rand_bytes(&own, sizeof(own)) == 0)
		trial = ssudp_session_new(u->modern, &head, own);
	if ((fresh && !trial) ||
	    ssudp_session_open(c ? c->session : trial, &p, &head, pkt->data, (uint64_t)time(NULL),
			       NULL) != 0) {
		ssudp_session_free(trial);
		buf_free(pkt);
		return;
	}
	if (fresh) {
		c = client_new(u, (size_t)head.user, head.session, head.session);
		if (!c) {
			ssudp_session_free(trial);
			buf_free(pkt);
			return;
		}
		c->session = trial;
	}
	c->l = s->l;
	c->from = *from;
	c->to = *to;
	deliver(c, &p.addr, p.payload, pkt, fresh);
}

static void packet_classic(struct ss_socket *s, const struct ipport *from,
			   const struct ipport *to, struct buf *pkt)
{
	struct in_ss_udp *u = s->owner;
	struct buf *room = buf_new_big(pkt->len);
	struct ssaead_packet p;
	struct ss_client *c;
	bool fresh;

	if (!room || ssaead_packet_open(u->classic, &p, buf_span(pkt), room->data) != 0) {
		buf_free(room);
		buf_free(pkt);
		return;
	}
	buf_free(pkt);
	list_each(c, bucket(u, hash_of(from)), node)
		if (ipport_eq(&c->from, from) && c->user == p.user)
			break;
	fresh = &c->node == bucket(u, hash_of(from));
	if (fresh) {
		c = client_new(u, p.user, 0, hash_of(from));
		if (!c) {
			buf_free(room);
			return;
		}
	}
	c->l = s->l;
	c->from = *from;
	c->to = *to;
	deliver(c, &p.addr, p.payload, room, fresh);
}

static void on_packet(struct udp_listener_user *lu, struct udp_listener *l,
		      const struct ipport *from, const struct ipport *to, struct buf *pkt)
{
	struct ss_socket *s = container_of(lu, struct ss_socket, on_packet);

	(void)l;
	if (s->owner->modern)
		packet_2022(s, from, to, pkt);
	else
		packet_classic(s, from, to, pkt);
}

/* ---- life ---- */

static void owner_destroy(struct in_ss_udp *u)
{
	ssudp_server_free(u->modern);
	ssaead_packets_free(u->classic);
	free(u);
}

static void owner_free_if_unused(struct in_ss_udp *u)
{
	if (u->stopped && u->n_clients == 0)
		owner_destroy(u);
}

void in_ss_udp_stop(struct in_ss_udp *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < u->n_sockets; i++)
		udp_listener_close(u->sockets[i].l);
	u->stopped = true;
	owner_free_if_unused(u);
}

static int open_socket(struct in_ss_udp *u, uint16_t port)
{
	struct ss_socket *s = &u->sockets[u->n_sockets];
	struct udp_listener_spec spec = {.at = {u->in->conf->listen.ip, port},
					 .opts = &u->in->conf->stream.sockopt};
	char why[NET_WHY_MAX];

	s->owner = u;
	s->on_packet.on_packet = on_packet;
	s->l = udp_listener_new(u->loop, &spec, &s->on_packet, why);
	if (!s->l) {
		log_err("inbound", "failed to start [%s] (%s:%d): %s", u->in->tag,
			u->in->conf->at.file, u->in->conf->at.line, why);
		return -ERR_SYS;
	}
	u->n_sockets++;
	return 0;
}

struct in_ss_udp *in_ss_udp_start(struct inbound *in, const struct conf_in_ss *conf,
				  const struct ss_people *people)
{
	const struct conf_ports *ports = &in->conf->listen.ports;
	size_t n = 0;
	struct in_ss_udp *u;
	int err = 0;

	for (size_t i = 0; i < ports->n; i++)
		n += (size_t)(ports->v[i].to - ports->v[i].from) + 1;
	u = calloc(1, sizeof(*u) + n * sizeof(u->sockets[0]));
	if (!u)
		return NULL;
	u->in = in;
	u->conf = conf;
	u->loop = in->core->workers[0].loop;
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&u->buckets[i]);
	if (people->method->kind == SS_2022)
		u->modern = ssudp_server_new(&people->modern);
	else
		u->classic = ssaead_packets_new(people->classic, people->n);
	if (!u->modern && !u->classic)
		err = -ERR_NOMEM;
	for (size_t i = 0; i < ports->n && !err; i++)
		for (unsigned p = ports->v[i].from; p <= ports->v[i].to && !err; p++)
			err = open_socket(u, (uint16_t)p);
	if (!err)
		return u;
	in_ss_udp_stop(u);
	return NULL;
}
