#include "proxy/socks_relay.h"

#include <stdlib.h>

#include "base/err.h"
#include "proto/socks.h"
#include "proxy/pkt.h"

struct socks_relay {
	struct dgram d;
	struct dgram *below;
	struct dgram_user on_below;
	struct stream *control;
	struct stream_user on_control;
	struct addr relay, target;
};

static struct socks_relay *of(struct dgram *d)
{
	return container_of(d, struct socks_relay, d);
}

static void relay_send(struct dgram *d, const struct addr *to, struct buf *pkt)
{
	struct socks_relay *r = of(d);
	uint8_t head[SOCKS5_REQUEST_MAX];
	struct wr w = wr_of(head, sizeof(head));

	if (socks5_datagram_encode(&w, to->kind == ADDR_NONE ? &r->target : to) != 0) {
		buf_free(pkt);
		return;
	}
	pkt = pkt_prepend(pkt, span_of(head, w.n));
	if (pkt)
		dgram_send(r->below, &r->relay, pkt);
}

static void destroy(struct garbage *g)
{
	free(of(container_of(g, struct dgram, garbage)));
}

static void relay_close(struct dgram *d, int err)
{
	struct socks_relay *r = of(d);

	dgram_close(r->below, err);
	stream_close(r->control, 0);
	d->garbage.destroy = destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops relay_ops = {
	.name = "SOCKS relay",
	.send = relay_send,
	.close = relay_close,
};

static void ended(struct socks_relay *r, int err)
{
	stream_want(r->control, 0);
	if (r->d.user)
		r->d.user->on_end(r->d.user, &r->d, err);
}

/* A relay with a name has an address that only the socket below knows: its port must do. Another
 * outbound may not say who answers; only the relay was asked. */
static bool is_relay(const struct socks_relay *r, const struct addr *from)
{
	if (from->kind == ADDR_NONE)
		return true;
	return from->port == r->relay.port && (r->relay.kind != ADDR_IP || addr_eq(from, &r->relay));
}

static void on_packet(struct dgram_user *u, struct dgram *below, const struct addr *from,
		      struct buf *pkt)
{
	struct socks_relay *r = container_of(u, struct socks_relay, on_below);
	struct addr peer;
	ssize_t n = -ERR_MALFORMED;

	(void)below;
	if (is_relay(r, from))
		n = socks5_datagram_decode(&peer, buf_span(pkt));
	if (n < 0 || (size_t)n >= pkt->len) {
		buf_free(pkt);
		return;
	}
	buf_pull(pkt, (size_t)n);
	dgram_deliver(&r->d, &peer, pkt);
}

static void on_below_end(struct dgram_user *u, struct dgram *below, int err)
{
	(void)below;
	ended(container_of(u, struct socks_relay, on_below), err);
}

static void on_control(struct stream_user *u, struct stream *s, unsigned events)
{
	struct socks_relay *r = container_of(u, struct socks_relay, on_control);
	struct bufq waste;
	ssize_t n;

	(void)events;
	bufq_init(&waste);
	n = stream_read(s, &waste, STREAM_READ_MAX);
	bufq_clear(&waste);
	if (n < 0)
		ended(r, -ERR_EOF);
	else
		stream_want(s, STREAM_READ);
}

struct dgram *socks_relay_new(struct dgram *below, struct stream *control,
			      const struct addr *relay, const struct addr *target)
{
	struct socks_relay *r = calloc(1, sizeof(*r));

	if (!r) {
		dgram_close(below, -ERR_NOMEM);
		stream_close(control, 0);
		return NULL;
	}
	dgram_init(&r->d, &relay_ops, below->loop);
	r->below = below;
	r->on_below = (struct dgram_user){on_packet, on_below_end, NULL};
	r->control = control;
	r->on_control.on_event = on_control;
	r->relay = *relay;
	r->target = *target;
	dgram_attach(below, &r->on_below);
	stream_attach(control, &r->on_control);
	stream_want(control, STREAM_READ);
	return &r->d;
}
