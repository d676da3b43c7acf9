/* Mux, outgoing: whose turn it is, and frames. See mux.h. */
#include "base/err.h"
#include "proxy/mux_int.h"

static void on_flush(struct defer *d)
{
	mux_tx_flush(container_of(d, struct mux, flush));
}

void mux_tx_init(struct mux *m)
{
	list_init(&m->sparse);
	list_init(&m->bulk);
	defer_init(&m->flush, m->loop, on_flush);
}

void mux_tx_control(struct mux *m, struct span frame)
{
	/* Lost only when memory is out, and then the probe finds out. */
	if (!m->ended && bufq_append(&m->control, frame) == 0)
		defer_ask(&m->flush);
}

void mux_tx_ext(struct mux *m, uint16_t id, const struct muxext *ext)
{
	uint8_t bytes[MUXEXT_FRAME_MAX];
	struct wr w = wr_of(bytes, sizeof(bytes));

	if (muxext_encode(&w, id, ext) == 0)
		mux_tx_control(m, span_of(bytes, w.n));
}

static void put_end(struct bufq *q, uint16_t id, bool error)
{
	uint8_t bytes[MUXCOOL_KEEP_HEAD];
	struct muxcool_frame f = {.id = id,
				  .status = MUXCOOL_END,
				  .option = error ? MUXCOOL_ERROR : 0};
	struct wr w = wr_of(bytes, sizeof(bytes));

	muxcool_frame_encode(&w, &f, MUXCOOL_PLAIN);
	bufq_append(q, span_of(bytes, w.n));
}

void mux_tx_end(struct mux *m, uint16_t id, bool error)
{
	if (m->ended)
		return;
	put_end(&m->control, id, error);
	defer_ask(&m->flush);
}

/* Would a turn of @s bring anything? The end comes after the bytes, which may wait for credit. */
static bool has_work(const struct mux_session *s)
{
	if (s->head)
		return true;
	if (bufq_empty(&s->tx))
		return s->want_end || s->want_fin;
	return s->is_dgram || !s->m->peer_ours || s->sent < s->allowed;
}

void mux_tx_ask(struct mux_session *s)
{
	struct mux *m = s->m;

	if (m->ended || !list_empty(&s->turn) || !has_work(s))
		return;
	s->deficit = MUX_QUANTUM;
	list_add_tail(&m->sparse, &s->turn);
	defer_ask(&m->flush);
}

void mux_tx_forget(struct mux_session *s)
{
	list_del(&s->turn);
	s->m->tx_total -= s->tx.len;
	bufq_clear(&s->tx);
	buf_free(s->head);
	s->head = NULL;
}

/* Takes what is in @payload, which is not empty: one frame. The header goes in front where there is
 * room for it. */
static void put_data(struct mux *m, uint16_t id, struct bufq *payload)
{
	uint8_t head[MUXCOOL_KEEP_HEAD];
	struct wr w = wr_of(head, sizeof(head));
	struct buf *first;
	uint8_t *at;

	wr_u16(&w, MUXCOOL_META_MIN);
	wr_u16(&w, id);
	wr_u8(&w, MUXCOOL_KEEP);
	wr_u8(&w, MUXCOOL_DATA);
	wr_u16(&w, (unsigned)payload->len);
	first = bufq_pop(payload);
	at = buf_push(first, sizeof(head));
	if (at)
		memcpy(at, head, sizeof(head));
	else
		bufq_append(&m->out, span_of(head, sizeof(head)));
	bufq_push(&m->out, first);
	bufq_move(&m->out, payload, payload->len);
}

/* The next frame of a TCP session, within its credit: as long as there is something for it, so
 * that a record of the carrier holds one. Its bytes, 0 when there are none. */
static size_t put_payload(struct mux_session *s)
{
	uint64_t credit = s->m->peer_ours ? s->allowed - s->sent : UINT64_MAX;
	struct bufq payload = {NULL, NULL, 0};
	size_t n;

	if (s->m->peer_ours && s->sent >= s->allowed)
		return 0;
	n = bufq_move(&payload, &s->tx, credit < BUF_READ ? (size_t)credit : (size_t)BUF_READ);
	if (n == 0)
		return 0;
	put_data(s->m, s->id, &payload);
	s->m->tx_total -= n;
	s->sent += n;
	return n;
}

/* Right behind the first New, which makes the id known: stock peers ignore it. In XUDP, where
 * nothing else depends on it, only to those who are known to be ours. */
static void put_hello(struct mux *m, uint16_t id)
{
	struct muxext hello = {.has = MUXEXT_HELLO,
			       .capabilities = MUXEXT_CAP_ALL,
			       .window = MUX_WINDOW_FIRST};

	if (m->said_hello || m->conf.role != MUX_CLIENT || (m->conf.xudp_single && !m->conf.ours))
		return;
	m->said_hello = true;
	mux_tx_ext(m, id, &hello);
	bufq_move(&m->out, &m->control, m->control.len);
}

/* The next datagram with its frame. Its bytes, 0 when there is none. */
static size_t put_datagram(struct mux_session *s)
{
	struct buf *b = bufq_pop(&s->tx);
	size_t n = b ? b->len : 0;

	if (b) {
		s->m->tx_total -= n;
		bufq_push(&s->m->out, b);
		put_hello(s->m, s->id);
	}
	return n;
}

/* The New frame of a TCP session; a UDP one's goes with its first datagram, as XUDP wants it. */
static void put_head(struct mux_session *s)
{
	struct buf *head = s->head;

	s->head = NULL;
	bufq_push(&s->m->out, head);
	put_hello(s->m, s->id);
}

/* One turn of @s: frames worth its deficit. True when it wants another. */
static bool serve(struct mux_session *s)
{
	struct mux *m = s->m;

	if (s->head) {
		put_head(s);
		s->deficit -= MUXCOOL_KEEP_HEAD;
	}
	while (s->deficit > 0) {
		size_t n = s->is_dgram ? put_datagram(s) : put_payload(s);

		if (n == 0)
			break;
		s->deficit -= (int32_t)n;
	}
	if (!bufq_empty(&s->tx))
		return has_work(s);
	if (s->want_fin) {
		struct muxext fin = {.has = MUXEXT_FIN};

		s->want_fin = false;
		mux_tx_ext(m, s->id, &fin);
		bufq_move(&m->out, &m->control, m->control.len);
	}
	if (s->want_end) {
		s->want_end = false;
		put_end(&m->out, s->id, s->end_is_error);
	}
	return false;
}

static void after_turn(struct mux_session *s, bool more)
{
	struct mux *m = s->m;

	list_del(&s->turn);
	if (more) {
		s->deficit += MUX_QUANTUM;
		if (s->deficit <= 0)
			s->deficit = 1;
		list_add_tail(&m->bulk, &s->turn);
	} else if (s->user_gone && bufq_empty(&s->tx)) {
		mux_session_drop(s);
		return;
	}
	if (s->stalled && s->tx.len < MUX_TX_SESSION / 2) {
		s->stalled = false;
		mux_stream_event(s, STREAM_WRITE);
	}
}

static void fill_stage(struct mux *m)
{
	bufq_move(&m->out, &m->control, m->control.len);
	while (m->out.len < MUX_TX_STAGE) {
		struct list *from = list_empty(&m->sparse) ? &m->bulk : &m->sparse;
		struct mux_session *s = list_first(from, struct mux_session, turn);

		if (!s)
			return;
		after_turn(s, serve(s));
	}
}

void mux_tx_flush(struct mux *m)
{
	if (m->ended)
		return;
	for (;;) {
		ssize_t n;

		fill_stage(m);
		if (bufq_empty(&m->out))
			break;
		n = stream_write(m->carrier, &m->out);
		if (n < 0) {
			mux_die(m, (int)n, NULL);
			return;
		}
		if (!bufq_empty(&m->out))
			break;
	}
	mux_set_want(m);
}
