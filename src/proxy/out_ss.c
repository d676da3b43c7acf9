#include "proxy/out_ss.h"

#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/rand.h"
#include "flow/core.h"
#include "flow/via.h"
#include "net/dgram_udp.h"
#include "proto/ssudp.h"
#include "proxy/client.h"
#include "proxy/ss_keys.h"
#include "proxy/ss_stream.h"

struct out_ss {
	struct outbound o;
	const struct conf_outbound *conf;
	struct dialer *dialer;
	struct ss_chain keys;
};

struct ss_client {
	struct client c;
	struct out_ss *v;
};

/* A UDP association with the server. */
struct ss_assoc {
	struct dgram d;
	struct out_ss *v;
	struct dgram *sock;
	struct dgram_user on_sock;
	struct ssudp_client *modern;
	struct ssaead_packets *classic;
	struct addr target; /* for packets without an address */
};

/* ---- TCP ---- */

static void client_done(struct client *c, struct flow *f, struct stream *s, struct bufq *rest)
{
	struct out_ss *v = container_of(c, struct ss_client, c)->v;

	(void)rest; /* the request leaves with the flow's first bytes */
	s = ss_stream_client(s, &v->keys, &f->target, f->taker != NULL);
	if (s)
		flow_connected(f, s, true);
	else
		flow_failed(f, -ERR_NOMEM, NULL);
}

static void client_free(struct client *c)
{
	free(container_of(c, struct ss_client, c));
}

static const struct client_ops client_ops = {
	.done = client_done,
	.free = client_free,
};

static void open_tcp(struct out_ss *v, struct flow *f)
{
	struct ss_client *k = calloc(1, sizeof(*k));

	if (!k) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	k->v = v;
	client_start(&k->c, &client_ops, v->dialer, &v->conf->ss.server, f);
}

/* ---- UDP ---- */

static int seal(struct ss_assoc *a, const struct addr *to, const struct buf *pkt, struct buf *out,
		size_t room)
{
	struct wr w = wr_of(out->data, room);
	int err;

	if (a->modern) {
		struct ssudp_packet p = {.addr = *to, .payload = buf_span(pkt)};
		uint8_t nonce[SSUDP_NONCE];

		err = rand_bytes(nonce, sizeof(nonce));
		if (!err)
			err = ssudp_client_seal(a->modern, &w, &p, nonce, (uint64_t)time(NULL));
	} else {
		uint8_t salt[SS_SALT_MAX];

		err = rand_bytes(salt, sizeof(salt));
		if (!err)
			err = ssaead_packet_seal(a->classic, &w, 0, salt, to, buf_span(pkt));
	}
	out->len = (uint32_t)w.n;
	return err;
}

static void assoc_send(struct dgram *d, const struct addr *party, struct buf *pkt)
{
	struct ss_assoc *a = container_of(d, struct ss_assoc, d);
	const struct addr *to = party->kind == ADDR_NONE ? &a->target : party;
	size_t room = pkt->len + (a->modern ? ssudp_client_overhead(a->modern, to, 0) :
					      ssaead_packet_overhead(a->classic, 0, to));
	struct buf *out = buf_new_big(room);

	if (out && seal(a, to, pkt, out, room) == 0)
		dgram_send(a->sock, &a->v->conf->ss.server, out);
	else
		buf_free(out);
	buf_free(pkt);
}

static void on_reply(struct dgram_user *u, struct dgram *d, const struct addr *from,
		     struct buf *pkt)
{
	struct ss_assoc *a = container_of(u, struct ss_assoc, on_sock);
	struct addr party;
	struct buf *b = NULL;

	(void)d;
	(void)from; /* whoever holds the key is the server */
	if (a->modern) {
		struct ss2022_time now = {.unix_s = (uint64_t)time(NULL),
					  .mono_ms = loop_now(a->d.loop)};
		struct ssudp_packet p;

		if (ssudp_client_open(a->modern, &p, pkt->data, pkt->len, &now, NULL) == 0) {
			party = p.addr;
			b = buf_copy(p.payload);
		}
	} else {
		struct buf *room = buf_new_big(pkt->len);
		struct ssaead_packet p;

		if (room && ssaead_packet_open(a->classic, &p, buf_span(pkt), room->data) == 0) {
			party = p.addr;
			b = buf_copy(p.payload);
		}
		buf_free(room);
	}
	buf_free(pkt);
	if (b)
		dgram_deliver(&a->d, &party, b);
}

static void on_sock_end(struct dgram_user *u, struct dgram *d, int err)
{
	struct ss_assoc *a = container_of(u, struct ss_assoc, on_sock);

	(void)d;
	if (a->d.user && a->d.user->on_end)
		a->d.user->on_end(a->d.user, &a->d, err);
}

static void assoc_destroy(struct garbage *g)
{
	struct ss_assoc *a = container_of(container_of(g, struct dgram, garbage), struct ss_assoc, d);

	ssudp_client_free(a->modern);
	ssaead_packets_free(a->classic);
	free(a);
}

static void assoc_close(struct dgram *d, int err)
{
	struct ss_assoc *a = container_of(d, struct ss_assoc, d);

	dgram_close(a->sock, err);
	a->sock = NULL;
	d->garbage.destroy = assoc_destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops assoc_ops = {
	.name = "shadowsocks association",
	.send = assoc_send,
	.close = assoc_close,
};

static bool key_assoc(struct ss_assoc *a, const struct ss_chain *keys)
{
	if (keys->method->kind == SS_2022) {
		uint64_t session;

		if (rand_bytes(&session, sizeof(session)) == 0)
			a->modern = ssudp_client_new(keys, session);
	} else {
		struct ssaead_user u = {keys->method, *ss_chain_user(keys)};

		a->classic = ssaead_packets_new(&u, 1);
		ss_key_wipe(&u.key);
	}
	return a->modern || a->classic;
}

static void open_udp(struct out_ss *v, struct flow *f)
{
	struct dgram_udp_spec spec = {
		.opts = &v->conf->stream.sockopt,
		.local = via_address(&v->conf->via, f),
		.strategy = v->conf->stream.sockopt.strategy,
		.target = v->conf->ss.server,
	};
	char why[NET_WHY_MAX] = "out of memory";
	struct ss_assoc *a = calloc(1, sizeof(*a));

	if (a && key_assoc(a, &v->keys))
		a->sock = dialer_dgram(v->dialer, f->loop, &spec, f, why);
	if (!a || !a->sock) {
		if (a) {
			ssudp_client_free(a->modern);
			ssaead_packets_free(a->classic);
		}
		free(a);
		flow_failed(f, -ERR_SYS, why);
		return;
	}
	dgram_init(&a->d, &assoc_ops, f->loop);
	a->v = v;
	a->target = f->target;
	a->on_sock = (struct dgram_user){on_reply, on_sock_end, NULL};
	dgram_attach(a->sock, &a->on_sock);
	flow_connected_dgram(f, &a->d);
}

/* ---- the outbound ---- */

static void ss_open(struct outbound *o, struct flow *f)
{
	struct out_ss *v = container_of(o, struct out_ss, o);

	if (f->net == CONF_TCP)
		open_tcp(v, f);
	else
		open_udp(v, f);
}

static void ss_free(struct outbound *o)
{
	struct out_ss *v = container_of(o, struct out_ss, o);

	dialer_free(v->dialer);
	ss_chain_wipe(&v->keys);
	free(v);
}

static const struct outbound_ops ss_ops = {
	.protocol = "shadowsocks",
	.open = ss_open,
	.free = ss_free,
};

struct outbound *out_ss_new(struct core *c, const struct conf_outbound *conf)
{
	struct out_ss *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->o = (struct outbound){.ops = &ss_ops, .tag = conf->tag, .core = c};
	v->conf = conf;
	v->dialer = dialer_new(c, conf);
	if (!v->dialer || ss_keys_chain(&v->keys, &conf->ss) != 0) {
		log_err("app", "outbound [%s] at %s:%d: the Shadowsocks keys are no good",
			conf->tag, conf->at.file, conf->at.line);
		dialer_free(v->dialer);
		free(v);
		return NULL;
	}
	return &v->o;
}
