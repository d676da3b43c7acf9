#include "proxy/vless_packets.h"

#include <stdlib.h>

#include "base/err.h"
#include "proto/vless.h"

/* What may wait for a slow stream; more is dropped, as on any network. */
enum { TX_BOUND = 256 << 10 };

struct vless_packets {
	struct dgram d;
	struct stream *s;
	struct stream_user on_stream;
	struct bufq in, out;
};

static void want(struct vless_packets *p)
{
	stream_want(p->s, STREAM_READ | (bufq_empty(&p->out) ? 0u : (unsigned)STREAM_WRITE));
}

static void ended(struct vless_packets *p, int err)
{
	stream_want(p->s, 0);
	if (p->d.user && p->d.user->on_end)
		p->d.user->on_end(p->d.user, &p->d, err);
}

/* Hands up every whole datagram. False when the user has closed us meanwhile. */
static bool deliver(struct vless_packets *p)
{
	static const struct addr nobody; /* all of them belong to the one target */

	for (;;) {
		uint8_t prefix[VLESS_PACKET_PREFIX];
		struct bufq one;
		size_t n;

		if (bufq_peek(&p->in, prefix, sizeof(prefix)) < sizeof(prefix))
			return true;
		n = (size_t)(prefix[0] << 8 | prefix[1]);
		if (p->in.len < sizeof(prefix) + n)
			return true;
		bufq_drop(&p->in, sizeof(prefix));
		if (n == 0)
			continue;
		bufq_init(&one);
		bufq_pullup(&p->in, n);
		bufq_move(&one, &p->in, n);
		if (one.head && one.head->len == n)
			dgram_deliver(&p->d, &nobody, bufq_pop(&one));
		bufq_clear(&one);
		if (!p->s)
			return false;
	}
}

static int flush(struct vless_packets *p)
{
	ssize_t n = bufq_empty(&p->out) ? 0 : stream_write(p->s, &p->out);

	return n < 0 ? (int)n : 0;
}

static void on_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct vless_packets *p = container_of(u, struct vless_packets, on_stream);
	ssize_t n = 0;
	int err = 0;

	if (events & STREAM_WRITE)
		err = flush(p);
	if (!err && (events & STREAM_READ)) {
		n = stream_read(s, &p->in, STREAM_READ_MAX);
		if (!deliver(p))
			return;
		err = n < 0 ? (int)n : 0;
	}
	if (err)
		ended(p, err == -ERR_END ? -ERR_EOF : err);
	else
		want(p);
}

static void packets_send(struct dgram *d, const struct addr *party, struct buf *pkt)
{
	struct vless_packets *p = container_of(d, struct vless_packets, d);
	uint8_t prefix[VLESS_PACKET_PREFIX];
	uint8_t *at;

	(void)party;
	if (pkt->len == 0 || pkt->len > VLESS_PACKET_SEND || p->out.len > TX_BOUND ||
	    vless_packet_prefix(prefix, pkt->len) != 0) {
		buf_free(pkt);
		return;
	}
	at = buf_push(pkt, sizeof(prefix));
	if (at)
		memcpy(at, prefix, sizeof(prefix));
	else if (bufq_append(&p->out, span_of(prefix, sizeof(prefix))) != 0) {
		buf_free(pkt);
		return;
	}
	bufq_push(&p->out, pkt);
	/* A failure shows when the stream is read. */
	if (flush(p) == 0)
		want(p);
}

static void packets_destroy(struct garbage *g)
{
	free(container_of(container_of(g, struct dgram, garbage), struct vless_packets, d));
}

static void packets_close(struct dgram *d, int err)
{
	struct vless_packets *p = container_of(d, struct vless_packets, d);

	d->user = NULL;
	bufq_clear(&p->in);
	bufq_clear(&p->out);
	stream_close(p->s, err == -ERR_EOF ? 0 : err);
	p->s = NULL;
	d->garbage.destroy = packets_destroy;
	loop_free_later(d->loop, &d->garbage);
}

static const struct dgram_ops packets_ops = {
	.name = "vless packets",
	.send = packets_send,
	.close = packets_close,
};

struct dgram *vless_packets_new(struct stream *s)
{
	struct vless_packets *p = calloc(1, sizeof(*p));

	if (!p) {
		stream_close(s, -ERR_NOMEM);
		return NULL;
	}
	dgram_init(&p->d, &packets_ops, s->loop);
	p->s = s;
	p->on_stream.on_event = on_event;
	stream_attach(s, &p->on_stream);
	stream_want(s, STREAM_READ);
	return &p->d;
}
