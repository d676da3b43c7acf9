/* A TCP session of a mux, as a stream. */
#include "base/err.h"
#include "proxy/mux_int.h"

static struct mux_session *of(struct stream *s)
{
	return container_of(s, struct mux_session, s);
}

static ssize_t session_read(struct stream *st, struct bufq *into, size_t max)
{
	struct mux_session *s = of(st);
	size_t n;

	if (bufq_empty(&s->rx))
		return s->err;
	n = bufq_move(into, &s->rx, max);
	if (n == 0)
		return -ERR_NOMEM;
	if (!bufq_empty(&s->rx) || s->err)
		stream_notify(st, STREAM_READ);
	mux_rx_drained(s, n);
	return (ssize_t)n;
}

static size_t room(const struct mux_session *s)
{
	size_t most = s->m->tx_total < MUX_TX_TOTAL ? (size_t)MUX_TX_SESSION : (size_t)BUF_READ;

	return s->tx.len < most ? most - s->tx.len : 0;
}

static ssize_t session_write(struct stream *st, struct bufq *from)
{
	struct mux_session *s = of(st);
	size_t n;

	if (s->dead)
		return s->err == -ERR_END ? -ERR_RESET : s->err;
	n = bufq_move(&s->tx, from, room(s));
	s->m->tx_total += n;
	if (n)
		mux_tx_ask(s);
	if (!bufq_empty(from))
		s->stalled = true;
	return (ssize_t)n;
}

static void session_want(struct stream *st, unsigned events)
{
	struct mux_session *s = of(st);
	unsigned now = 0;

	st->wanted = events;
	if (!bufq_empty(&s->rx) || s->err)
		now |= STREAM_READ;
	if (s->dead || room(s))
		now |= STREAM_WRITE;
	else if (events & STREAM_WRITE)
		s->stalled = true;
	stream_notify(st, now & events);
}

static void session_shutdown(struct stream *st)
{
	struct mux_session *s = of(st);

	if (s->dead || !s->m->peer_ours)
		return;
	s->want_fin = true;
	mux_tx_ask(s);
}

static void session_close(struct stream *st, int err)
{
	struct mux_session *s = of(st);

	s->user_gone = true;
	s->verdict = NULL;
	st->user = NULL;
	bufq_clear(&s->rx);
	if (s->dead || s->m->ended) {
		mux_session_drop(s);
		return;
	}
	if (err) {
		s->m->tx_total -= s->tx.len;
		bufq_clear(&s->tx);
	}
	s->want_fin = false;
	s->want_end = true;
	s->end_is_error = err != 0;
	mux_rx_resume(s);
	mux_tx_ask(s);
}

static const char *session_why(struct stream *st)
{
	struct mux_session *s = of(st);

	return s->m->ended ? "carrier lost" : NULL;
}

static bool session_half(struct stream *st)
{
	return of(st)->m->peer_ours;
}

static const struct stream_ops session_ops = {
	.name = "mux session",
	.read = session_read,
	.write = session_write,
	.want = session_want,
	.shutdown = session_shutdown,
	.close = session_close,
	.why = session_why,
	.can_half_close = session_half,
};

void mux_stream_init(struct mux_session *s)
{
	stream_init(&s->s, &session_ops, s->m->loop);
}

void mux_stream_event(struct mux_session *s, unsigned events)
{
	if (!s->is_dgram && !s->user_gone)
		stream_notify(&s->s, events);
}

bool mux_ask_verdict(struct stream *st, struct mux_verdict *v)
{
	struct mux_session *s = of(st);

	if (v && !s->m->peer_ours && !s->m->conf.ours)
		return false;
	s->verdict = v;
	return true;
}

void mux_give_verdict(struct stream *st, int err)
{
	struct mux_session *s;
	struct muxext x = {.has = err ? MUXEXT_REFUSED : MUXEXT_OPENED};

	if (st->ops != &session_ops)
		return;
	s = of(st);
	if (s->dead || !s->m->peer_ours)
		return;
	if (err)
		x.refusal = (uint8_t)muxext_refusal_from_err(err);
	mux_tx_ext(s->m, s->id, &x);
}

void mux_give_line(struct stream *st, const char *text)
{
	struct mux_session *s;
	struct muxext x = {.has = MUXEXT_LINE, .line = span_str(text)};

	if (st->ops != &session_ops)
		return;
	s = of(st);
	if (s->dead || !s->m->peer_ours)
		return;
	if (x.line.n > MUXEXT_LINE_MAX)
		x.line.n = MUXEXT_LINE_MAX;
	mux_tx_ext(s->m, s->id, &x);
}
