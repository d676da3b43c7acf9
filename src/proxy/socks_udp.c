#include "proxy/socks_udp.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/core.h"
#include "net/sock.h"
#include "net/udp_sock.h"
#include "proto/socks.h"
#include "proxy/pkt.h"

struct socks_udp {
	struct dgram d; /* the flow's inbound side, while there is a flow */
	struct udp_sock sock;
	struct stream *control;
	struct stream_user on_control;
	struct inbound *in;
	struct conn_info info;
	const char *user;
	uint32_t level;
	struct ipport client; /* port 0: has not sent anything yet */
	struct ipport said;   /* by the request: another address that it may send from */
	struct addr target;   /* of the flow: answers without a source came from there */
	bool flowing;
	bool over; /* the connection is gone, the flow has yet to notice */
	struct timer idle;
	struct orphan orphan;
	struct garbage garbage;
};

static void destroy(struct garbage *g)
{
	free(container_of(g, struct socks_udp, garbage));
}

/* Lets go of everything but the memory. */
static void retire(struct socks_udp *u)
{
	struct loop *l = u->sock.loop;

	timer_stop(&u->idle);
	loop_disown(&u->orphan);
	udp_sock_fini(&u->sock);
	stream_close(u->control, 0);
	u->control = NULL;
	u->garbage.destroy = destroy;
	loop_free_later(l, &u->garbage);
}

static uint64_t idle_ms(const struct socks_udp *u)
{
	return conf_policy(u->in->core->conf, u->level)->conn_idle_s * 1000ull;
}

static void assoc_send(struct dgram *d, const struct addr *from, struct buf *pkt)
{
	struct socks_udp *u = container_of(d, struct socks_udp, d);
	uint8_t head[SOCKS5_REQUEST_MAX];
	struct wr w = wr_of(head, sizeof(head));

	if (socks5_datagram_encode(&w, from->kind == ADDR_NONE ? &u->target : from) != 0) {
		buf_free(pkt);
		return;
	}
	pkt = pkt_prepend(pkt, span_of(head, w.n));
	if (pkt)
		udp_sock_send(&u->sock, NULL, &u->client, pkt);
}

static void assoc_close(struct dgram *d, int err)
{
	struct socks_udp *u = container_of(d, struct socks_udp, d);

	(void)err;
	u->flowing = false;
	if (u->over)
		retire(u);
	else
		timer_start(&u->idle, idle_ms(u));
}

static const struct dgram_ops assoc_ops = {
	.name = "SOCKS association",
	.send = assoc_send,
	.close = assoc_close,
};

/* The client is gone, or nothing was said for long. */
static void end(struct socks_udp *u)
{
	struct dgram_user *user = u->flowing ? u->d.user : NULL;

	if (!u->flowing) {
		retire(u);
		return;
	}
	u->over = true;
	udp_sock_fini(&u->sock);
	stream_want(u->control, 0);
	if (user)
		user->on_end(user, &u->d, -ERR_EOF);
}

static void on_idle(struct timer *t)
{
	end(container_of(t, struct socks_udp, idle));
}

static void on_loop_end(struct orphan *o)
{
	end(container_of(o, struct socks_udp, orphan));
}

static void on_control(struct stream_user *su, struct stream *s, unsigned events)
{
	struct socks_udp *u = container_of(su, struct socks_udp, on_control);
	struct bufq waste;
	ssize_t n;

	(void)events;
	bufq_init(&waste);
	n = stream_read(s, &waste, STREAM_READ_MAX);
	bufq_clear(&waste);
	if (n < 0)
		end(u);
	else
		stream_want(s, STREAM_READ);
}

/* The request says where the datagrams will come from; some programs (v2ray) say where they will
 * go instead, so the other end of the connection may send in any case. */
static bool is_client(const struct socks_udp *u, const struct ipport *from)
{
	if (u->client.port)
		return ipport_eq(&u->client, from);
	return u->client.ip.family == 0 || ip_eq(&u->client.ip, &from->ip) ||
	       (ip_eq(&u->said.ip, &from->ip) &&
		(u->said.port == 0 || u->said.port == from->port));
}

static bool begin_flow(struct socks_udp *u, const struct addr *target)
{
	struct flow *f = inbound_flow(u->in, u->sock.loop, CONF_UDP, &u->info);

	if (!f)
		return false;
	timer_stop(&u->idle);
	dgram_init(&u->d, &assoc_ops, u->sock.loop);
	u->flowing = true;
	u->target = *target;
	f->origin = FLOW_FROM_LOCAL;
	f->user = u->user;
	f->level = u->level;
	f->source = u->client;
	f->target = *target;
	f->in_dgram = &u->d;
	flow_dispatch(f);
	return true;
}

static void on_packet(struct udp_sock *s, const struct ipport *from, const struct ipport *to,
		      struct buf *pkt)
{
	struct socks_udp *u = container_of(s, struct socks_udp, sock);
	struct addr target;
	ssize_t n = -ERR_MALFORMED;

	(void)to;
	if (is_client(u, from))
		n = socks5_datagram_decode(&target, buf_span(pkt));
	if (n < 0 || (size_t)n >= pkt->len) {
		buf_free(pkt);
		return;
	}
	u->client = *from;
	buf_pull(pkt, (size_t)n);
	if (!u->flowing && !begin_flow(u, &target)) {
		buf_free(pkt);
		return;
	}
	dgram_deliver(&u->d, &target, pkt);
}

struct socks_udp *socks_udp_new(struct inbound *in, struct loop *l, const struct conn_info *info,
				const struct addr *from, const struct ip *ip, struct ipport *bound)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	struct ipport at = {.ip = ip->family ? *ip : ip_v4(loopback)};
	struct socks_udp *u = calloc(1, sizeof(*u));
	char why[NET_WHY_MAX];
	int fd;

	if (!u)
		return NULL;
	fd = sock_listen(SOCK_NET_UDP, &at, &in->conf->stream.sockopt, why);
	if (fd < 0) {
		log_warn("socks", "no UDP association: %s", why);
		free(u);
		return NULL;
	}
	u->sock.on_packet = on_packet;
	udp_sock_init(&u->sock, l, fd);
	watch_set(&u->sock.watch, 0); /* nothing is read before the client knows where to send */
	*bound = (struct ipport){at.ip, u->sock.at.port};
	u->in = in;
	u->info = *info;
	u->client.ip = info->source.ip;
	if (from->kind == ADDR_IP && !ip_is_any(&from->ip))
		addr_to_ipport(from, &u->said);
	timer_init(&u->idle, l, on_idle);
	list_init(&u->garbage.node);
	list_init(&u->orphan.node);
	return u;
}

void socks_udp_start(struct socks_udp *u, struct stream *control, const char *user,
		     uint32_t level)
{
	struct loop *l = u->sock.loop;

	u->control = control;
	u->user = user;
	u->level = level;
	u->on_control.on_event = on_control;
	u->orphan.end = on_loop_end;
	loop_adopt(l, &u->orphan);
	timer_start(&u->idle, idle_ms(u));
	watch_set(&u->sock.watch, WATCH_READ);
	stream_attach(control, &u->on_control);
	stream_want(control, STREAM_READ);
}

void socks_udp_free(struct socks_udp *u)
{
	if (!u)
		return;
	udp_sock_fini(&u->sock);
	free(u);
}
