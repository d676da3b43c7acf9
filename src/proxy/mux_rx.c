/* Mux, incoming: frames to sessions. See mux.h. */
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "conf/value.h"
#include "proxy/mux_int.h"

/* Slices smaller than this are copied together when they have to wait: a short one would
 * keep a whole read's memory alive. */
enum { PARK_COPY = BUF_SMALL };

/* A session that the peer may not go on with: it is told, and the user sees a reset. */
static void reset_session(struct mux_session *s, int err)
{
	mux_tx_forget(s);
	bufq_clear(&s->rx);
	mux_tx_end(s->m, s->id, true);
	s->dead = true;
	s->err = err;
	if (s->user_gone)
		mux_session_drop(s);
	else
		mux_stream_event(s, STREAM_READ | STREAM_WRITE);
}

void mux_rx_resume(struct mux_session *s)
{
	struct mux *m = s->m;

	if (m->rx_waits_for != s)
		return;
	m->rx_waits_for = NULL;
	if (m->ended)
		return;
	mux_set_want(m);
	stream_notify(m->carrier, STREAM_READ);
}

/* @s holds all it may: its sender is stock and cannot be paused by itself, or is ours and has
 * not heard of our window yet. */
static void over_bound(struct mux_session *s)
{
	struct mux *m = s->m;

	if (loop_now(m->loop) - s->drained_ms < MUX_STALL_MS) {
		m->rx_waits_for = s;
	} else {
		log_warn("mux", "session %u: reader has stopped with %zu bytes waiting, reset",
			 s->id, s->rx.len);
		reset_session(s, -ERR_LIMIT);
	}
}

void mux_rx_check_stall(struct mux *m)
{
	struct mux_session *s = m->rx_waits_for;

	if (!s || loop_now(m->loop) - s->drained_ms < MUX_STALL_MS)
		return;
	m->rx_waits_for = NULL;
	over_bound(s);
	mux_rx_ready(m);
}

/* What @s may hold. */
static size_t bound(const struct mux_session *s)
{
	size_t granted = s->m->peer_ours ? mux_window_left(&s->window) : 0;

	return granted > MUX_PARKED ? granted : (size_t)MUX_PARKED;
}

static void stream_payload(struct mux_session *s, size_t n)
{
	struct mux *m = s->m;
	size_t parked = s->rx.len;

	if (s->dead || s->user_gone || s->err) {
		bufq_drop(&m->in, n);
		return;
	}
	if (parked && n < PARK_COPY) {
		struct span piece = bufq_pullup(&m->in, n);

		bufq_append(&s->rx, piece);
		bufq_drop(&m->in, n);
	} else {
		bufq_move(&s->rx, &m->in, n);
	}
	if (!parked)
		mux_stream_event(s, STREAM_READ);
	if (s->rx.len > bound(s))
		over_bound(s);
}

static struct mux_pace pace_of(const struct mux *m)
{
	uint64_t now = loop_now_us(m->loop), dry = m->dry_since_us ? now - m->dry_since_us : 0;

	return (struct mux_pace){.now_us = now, .dry_us = m->dry_us + dry, .rtt_ms = m->rtt_ms};
}

void mux_rx_open(struct mux_session *s)
{
	struct mux_pace pace = pace_of(s->m);

	s->drained_ms = pace.now_us / 1000;
	mux_window_open(&s->window, &pace);
}

static void renew(struct mux_session *s)
{
	struct mux_pace pace = pace_of(s->m);
	struct muxext credit = {.has = MUXEXT_WINDOW,
				.credit = mux_window_renew(&s->window, s->rx.len == 0, &pace)};

	if (credit.credit)
		mux_tx_ext(s->m, s->id, &credit);
}

void mux_rx_drained(struct mux_session *s, size_t n)
{
	struct mux *m = s->m;

	s->window.consumed += n;
	s->drained_ms = loop_now(m->loop);
	if (s->rx.len <= bound(s) / 2)
		mux_rx_resume(s);
	if (m->peer_ours && !m->ended && !s->err && mux_window_is_low(&s->window))
		renew(s);
}

static void request_from_frame(struct mux_request *req, const struct muxcool_frame *f)
{
	memset(req, 0, sizeof(*req));
	req->net = f->network == MUXCOOL_TCP ? CONF_TCP : CONF_UDP;
	req->target = f->target;
	/* As stock peers do: only both together are of use. */
	if (f->source_network && f->local_network && f->source.kind == ADDR_IP &&
	    f->local.kind == ADDR_IP) {
		req->source_net = f->source_network == MUXCOOL_UDP ? CONF_UDP : CONF_TCP;
		addr_to_ipport(&f->source, &req->source);
		addr_to_ipport(&f->local, &req->local);
	}
}

static struct mux_session *accept_session(struct mux *m, const struct muxcool_frame *f)
{
	struct mux_session *s = mux_session_find(m, f->id);
	struct mux_request req;

	if (s) /* a peer that reuses a live id has forgotten the old one */
		reset_session(s, -ERR_RESET);
	request_from_frame(&req, f);
	req.trace = m->traced_id && m->traced_id == f->id;
	m->traced_id = 0;
	s = mux_session_new(m, f->id, &req);
	if (!s) {
		mux_tx_end(m, f->id, true);
		return NULL;
	}
	m->user->on_session(m->user, m, &req, s->is_dgram ? NULL : &s->s,
			    s->is_dgram ? &s->d : NULL);
	return s;
}

static void hello(struct mux *m, uint16_t id, uint32_t capabilities, uint32_t window)
{
	struct mux_session *s;

	if (!m->peer_ours) {
		m->peer_ours = true;
		m->peer_caps = capabilities;
		m->peer_window = window;
		list_each(s, &m->sessions, all)
			s->allowed += window;
	}
	if (!m->said_hello && !m->conf.xudp_single) {
		struct muxext mine = {.has = MUXEXT_HELLO,
				      .capabilities = MUXEXT_CAP_ALL,
				      .window = MUX_WINDOW_FIRST};

		m->said_hello = true;
		mux_tx_ext(m, id, &mine);
	}
}

static void verdict(struct mux_session *s, int err)
{
	if (s->verdict_known)
		return;
	s->verdict_known = true;
	s->verdict_err = err;
	if (s->verdict) {
		struct mux_verdict *v = s->verdict;

		s->verdict = NULL;
		v->on_verdict(v, err);
	}
}

static void extension(struct mux *m, const struct muxcool_frame *f)
{
	struct mux_session *s = mux_session_find(m, f->id);
	struct muxext x;

	if (muxext_decode(&x, f) != 0)
		return;
	if (x.has & MUXEXT_HELLO)
		hello(m, f->id, x.capabilities, x.window);
	if (!s && x.has & MUXEXT_TRACE)
		m->traced_id = f->id;
	if (!s || s->dead)
		return;
	if (s->is_dgram) {
		if (x.has & MUXEXT_BOUNCED)
			mux_dgram_bounced(s, &x);
		return;
	}
	if ((x.has & MUXEXT_LINE) && s->verdict && s->verdict->on_line)
		s->verdict->on_line(s->verdict, x.line);
	if (x.has & MUXEXT_WINDOW) {
		s->allowed += x.credit;
		mux_tx_ask(s);
	}
	if (x.has & MUXEXT_OPENED)
		verdict(s, 0);
	if (x.has & MUXEXT_REFUSED)
		verdict(s, -muxext_refusal_to_err(x.refusal));
	if ((x.has & MUXEXT_FIN) && !s->err) {
		s->err = -ERR_EOF;
		mux_stream_event(s, STREAM_READ);
	}
}

static void ended(struct mux *m, const struct muxcool_frame *f)
{
	struct mux_session *s = mux_session_find(m, f->id);

	if (f->id == MUX_PROBE_ID && m->probing) {
		m->probing = false;
		m->answers = true;
		m->rtt_ms = (uint32_t)(loop_now(m->loop) - m->probed_ms);
		return;
	}
	if (!s || s->dead)
		return;
	/* The peer has forgotten the id: nothing more goes there, and no End either. */
	mux_tx_forget(s);
	s->want_end = s->want_fin = false;
	if (s->user_gone) {
		mux_session_drop(s);
		return;
	}
	s->dead = true;
	if (s->is_dgram) {
		mux_dgram_ended(s, -ERR_EOF);
		return;
	}
	verdict(s, -ERR_RESET);
	if (!s->err || s->err == -ERR_EOF)
		s->err = (f->option & MUXCOOL_ERROR) && m->peer_ours ? -ERR_RESET : -ERR_END;
	mux_stream_event(s, STREAM_READ | STREAM_WRITE);
}

/* A datagram is handed up whole. The frame's own address, if it has one, is the other party. */
static void datagram(struct mux *m, struct mux_session *s, const struct muxcool_frame *f)
{
	struct bufq one;
	struct buf *b;

	bufq_init(&one);
	bufq_pullup(&m->in, f->data_len);
	bufq_move(&one, &m->in, f->data_len);
	b = f->data_len ? bufq_pop(&one) : buf_new(0);
	if (b && b->len == f->data_len && s && !s->dead && !s->user_gone)
		mux_dgram_packet(s, &f->target, b);
	else
		buf_free(b);
	bufq_clear(&one);
}

/* Everything of a frame but its payload. The session that the payload is for, or NULL. */
static struct mux_session *dispatch_frame(struct mux *m, const struct muxcool_frame *f)
{
	struct mux_session *s;

	switch (f->status) {
	case MUXCOOL_NEW:
		if (m->conf.role != MUX_SERVER)
			return NULL;
		if (m->conf.udp_only && f->network == MUXCOOL_TCP && m->traced_id != f->id) {
			mux_die(m, -ERR_BLOCKED, "unexpected network TCP");
			return NULL;
		}
		return accept_session(m, f);
	case MUXCOOL_KEEP:
		if (!(f->option & MUXCOOL_DATA)) {
			extension(m, f);
			return NULL;
		}
		s = mux_session_find(m, f->id);
		if (!s && !m->conf.xudp_single)
			mux_tx_end(m, f->id, false);
		return s;
	case MUXCOOL_END:
		ended(m, f);
		return NULL;
	default:
		return NULL;
	}
}

/* One frame from the front of m->in. Bytes used, 0 when more are needed, -ERR_*. */
static ssize_t next_frame(struct mux *m)
{
	uint8_t rest[MUXCOOL_HEAD_MAX];
	struct muxcool_frame f;
	struct mux_session *s;
	struct span head = bufq_pullup(&m->in, m->in.len < MUXCOOL_HEAD_MAX ? m->in.len :
									      MUXCOOL_HEAD_MAX);
	ssize_t n = muxcool_frame_decode(&f, head,
					 m->conf.addresses ? MUXCOOL_REVERSE : MUXCOOL_PLAIN);

	if (n <= 0)
		return n;
	s = f.status == MUXCOOL_KEEP || f.status == MUXCOOL_NEW ? mux_session_find(m, f.id) : NULL;
	if ((f.status == MUXCOOL_NEW ? f.network == MUXCOOL_UDP : s && s->is_dgram) &&
	    m->in.len < (size_t)n + f.data_len)
		return 0;
	/* It is borrowed from what is dropped now. */
	if (f.rest.n) {
		memcpy(rest, f.rest.p, f.rest.n);
		f.rest.p = rest;
	}
	bufq_drop(&m->in, (size_t)n);
	s = dispatch_frame(m, &f);
	if (m->ended)
		return -ERR_CLOSED;
	if (s && s->is_dgram && (f.option & MUXCOOL_DATA)) {
		datagram(m, s, &f);
	} else {
		m->rx_session = s;
		m->rx_left = f.data_len;
	}
	return n;
}

static int parse(struct mux *m)
{
	while (!m->ended && !m->rx_waits_for && !bufq_empty(&m->in)) {
		ssize_t n;

		if (m->rx_left) {
			size_t take = m->rx_left < m->in.len ? m->rx_left : m->in.len;

			m->rx_left -= take;
			if (m->rx_session)
				stream_payload(m->rx_session, take);
			else
				bufq_drop(&m->in, take);
			continue;
		}
		n = next_frame(m);
		if (n <= 0)
			return (int)n;
	}
	return 0;
}

/* Much less than could have been read is all that was there. */
static void heard(struct mux *m, size_t n)
{
	uint64_t now_us = loop_now_us(m->loop);

	m->heard_ms = now_us / 1000;
	if (m->dry_since_us)
		m->dry_us += now_us - m->dry_since_us;
	m->dry_since_us = n < STREAM_READ_MAX / 2 ? now_us : 0;
	if (timer_on(&m->check))
		timer_stop(&m->check);
}

void mux_rx_ready(struct mux *m)
{
	ssize_t n = 0;
	int err;

	if (bufq_empty(&m->in) || !m->rx_waits_for) {
		n = stream_read(m->carrier, &m->in, STREAM_READ_FRAMED);
		if (n > 0)
			heard(m, (size_t)n);
	}
	err = parse(m);
	if (m->ended)
		return;
	if (err < 0)
		mux_die(m, err, "invalid frame");
	else if (n < 0 && !m->rx_waits_for)
		mux_die(m, (int)n, NULL);
	else
		mux_set_want(m);
}
