/* A UDP session of a mux (XUDP: each packet may have its own address), as datagrams. */
#include "base/err.h"
#include "conf/value.h"
#include "proxy/mux_int.h"

static struct mux_session *of(struct dgram *d)
{
	return container_of(d, struct mux_session, d);
}

/*
 * Whether a frame must say whom its datagram is from. Stock portals keep one address for all
 * sessions of a carrier, so that an answer under way takes that of the next one: no address, no
 * mistake, and without one it is from the session's target.
 */
static bool tells_party(const struct mux_session *s, const struct addr *party)
{
	const struct mux *m = s->m;
	struct ipport from;

	if (party->kind == ADDR_NONE)
		return false;
	if (m->conf.role != MUX_SERVER || m->conf.xudp_single || m->peer_ours)
		return true;
	return !addr_to_ipport(party, &from) || !ipport_eq(&from, &s->target);
}

/* The frame in front of one datagram: joined to the New frame if that has not left yet. */
static struct buf *frame(struct mux_session *s, const struct addr *party, struct buf *pkt)
{
	uint8_t head[MUXCOOL_HEAD_MAX] = {0};
	struct wr w = wr_of(head, sizeof(head));
	struct buf *b;
	uint8_t *at;

	if (s->head) { /* set Data in the options, and the length behind the metadata */
		wr_bytes(&w, s->head->data, s->head->len);
		head[5] |= MUXCOOL_DATA;
		wr_u16(&w, pkt->len);
		buf_free(s->head);
		s->head = NULL;
	} else {
		struct muxcool_frame f = {.id = s->id,
					  .status = MUXCOOL_KEEP,
					  .option = MUXCOOL_DATA,
					  .data_len = (uint16_t)pkt->len};

		if (tells_party(s, party)) {
			f.network = MUXCOOL_UDP;
			f.target = *party;
		}
		if (muxcool_frame_encode(&w, &f, MUXCOOL_PLAIN) != 0)
			return NULL;
	}
	at = buf_push(pkt, w.n);
	if (at) {
		memcpy(at, head, w.n);
		return pkt;
	}
	b = buf_new_big(w.n + pkt->len);
	if (!b)
		return NULL;
	memcpy(b->data, head, w.n);
	memcpy(b->data + w.n, pkt->data, pkt->len);
	b->len = (uint32_t)(w.n + pkt->len);
	buf_free(pkt);
	return b;
}

static size_t longest(const struct mux *m)
{
	return m->dgram_max && !m->peer_ours ? m->dgram_max : MUXCOOL_SEND_MAX;
}

void mux_limit_dgrams(struct mux *m, size_t max)
{
	m->dgram_max = max;
}

static void session_send(struct dgram *d, const struct addr *party, struct buf *pkt)
{
	struct mux_session *s = of(d);
	bool ours = s->m->peer_ours || s->m->conf.ours;
	struct buf *b;

	/* Stock peers give up the whole carrier over a datagram that is too long, and do not know
	 * empty ones. */
	if (s->dead || (pkt->len == 0 && !ours) || pkt->len > longest(s->m) ||
	    s->tx.len > MUX_TX_DGRAM) {
		buf_free(pkt);
		return;
	}
	b = frame(s, party, pkt);
	if (!b) {
		buf_free(pkt);
		return;
	}
	s->m->tx_total += b->len;
	bufq_push(&s->tx, b);
	mux_tx_ask(s);
}

/* The peer's datagram came back here. */
static void session_bounce(struct dgram *d, const struct addr *to, int err)
{
	struct mux_session *s = of(d);
	struct muxext x = {.has = MUXEXT_BOUNCED,
			   .bounce = (uint8_t)muxext_refusal_from_err(err)};

	if (s->dead || !(s->m->peer_caps & MUXEXT_CAP_BOUNCE) ||
	    s->m->control.len > MUX_TX_BOUNCES || !addr_to_ipport(to, &x.bounced))
		return;
	mux_tx_ext(s->m, s->id, &x);
}

static void session_close(struct dgram *d, int err)
{
	struct mux_session *s = of(d);

	s->user_gone = true;
	d->user = NULL;
	if (s->dead || s->m->ended) {
		mux_session_drop(s);
		return;
	}
	if (s->m->conf.xudp_single) { /* its end is the end of the carrier */
		struct mux *m = s->m;

		mux_session_drop(s);
		mux_die(m, -ERR_EOF, NULL);
		return;
	}
	s->want_end = true;
	s->end_is_error = err != 0 && err != -ERR_EOF;
	mux_tx_ask(s);
}

static const struct dgram_ops session_dgram_ops = {
	.name = "mux UDP session",
	.send = session_send,
	.close = session_close,
	.bounce = session_bounce,
};

void mux_dgram_init(struct mux_session *s)
{
	dgram_init(&s->d, &session_dgram_ops, s->m->loop);
}

void mux_dgram_packet(struct mux_session *s, const struct addr *party, struct buf *pkt)
{
	/* An address in New is that of its first datagram, which is the session's target. */
	dgram_deliver(&s->d, party, pkt);
}

void mux_dgram_bounced(struct mux_session *s, const struct muxext *x)
{
	struct addr to = addr_from_ipport(&x->bounced);

	dgram_bounced(&s->d, &to, -muxext_refusal_to_err(x->bounce));
}

void mux_dgram_ended(struct mux_session *s, int err)
{
	struct dgram_user *u = s->d.user;

	if (u && u->on_end)
		u->on_end(u, &s->d, err);
}
