#include "proxy/mux.h"

#include <stdlib.h>

#include "base/err.h"
#include "conf/value.h"
#include "proxy/mux_int.h"
#include "proxy/vision_stream.h"

void mux_set_want(struct mux *m)
{
	stream_want(m->carrier, (m->rx_waits_for ? 0u : (unsigned)STREAM_READ) |
					(bufq_empty(&m->out) ? 0u : (unsigned)STREAM_WRITE));
}

static void on_carrier_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct mux *m = container_of(u, struct mux, on_carrier);

	(void)s;
	if (events & STREAM_WRITE) {
		m->drained_ms = loop_now(m->loop);
		mux_tx_flush(m);
	}
	if (!m->ended && (events & STREAM_READ))
		mux_rx_ready(m);
}

/* A frame for a session that does not exist: whoever lives answers it with End. It has one
 * byte of payload, because stock software answers only frames that carry data. */
static void probe(struct mux *m, uint64_t now)
{
	uint8_t bytes[MUXCOOL_KEEP_HEAD + 1];
	struct muxcool_frame f = {.id = MUX_PROBE_ID,
				  .status = MUXCOOL_KEEP,
				  .option = MUXCOOL_DATA,
				  .data_len = 1};
	struct wr w = wr_of(bytes, sizeof(bytes));

	muxcool_frame_encode(&w, &f, MUXCOOL_PLAIN);
	wr_u8(&w, 0);
	mux_tx_control(m, span_of(bytes, w.n));
	if (!m->probing || m->heard_ms >= m->asked_ms)
		m->asked_ms = now;
	m->probing = true;
	m->probed_ms = now;
}

/* Ours all do, others by experience. */
static bool knows_probes(const struct mux *m)
{
	return m->answers || m->peer_ours;
}

/* Somebody who is known to answer is given little time, others more; and so is a slow line that
 * still takes what we have for it. That the system has room for a probe says nothing. */
static bool is_dead(const struct mux *m, uint64_t now, uint64_t silent)
{
	if (!m->probing || m->heard_ms > m->probed_ms || silent < MUX_DEAD_AFTER_MS)
		return false;
	if (silent >= MUX_DEAD_BUSY_MS)
		return true;
	return knows_probes(m) && now - m->drained_ms >= MUX_DEAD_AFTER_MS;
}

static void on_check(struct timer *t)
{
	struct mux *m = container_of(t, struct mux, check);

	if (m->rx_waits_for || !knows_probes(m))
		return;
	/* Behind much of our own on a slow line the probe takes its time; that the line takes
	 * more of it is a sign of life too. */
	if (loop_now(m->loop) - m->drained_ms < MUX_CHECK_MS)
		timer_start(&m->check, MUX_CHECK_MS);
	else
		mux_die(m, -ERR_TIMEOUT, "no sign of life after the network changed");
}

void mux_check(struct mux *m)
{
	if (m->ended || m->conf.xudp_single)
		return;
	probe(m, loop_now(m->loop));
	timer_start(&m->check, MUX_CHECK_MS);
}

void mux_probe(struct mux *m)
{
	if (!m->ended && !m->conf.xudp_single)
		probe(m, loop_now(m->loop));
}

uint64_t mux_unanswered_ms(const struct mux *m)
{
	uint64_t now = loop_now(m->loop);

	if (m->ended || !knows_probes(m) || !m->probing || m->heard_ms >= m->asked_ms)
		return 0;
	return now > m->asked_ms ? now - m->asked_ms : 1;
}

static void on_tick(struct timer *t)
{
	struct mux *m = container_of(t, struct mux, tick);
	uint64_t now = loop_now(m->loop), silent = now - m->heard_ms;

	timer_start(&m->tick, MUX_TICK_MS);
	mux_rx_check_stall(m);
	if (m->ended || m->conf.xudp_single)
		return;
	/* Not reading, because a session's reader is slow, is our own doing. */
	if (m->rx_waits_for)
		return;
	if (is_dead(m, now, silent)) {
		mux_die(m, -ERR_TIMEOUT, "carrier is silent");
		return;
	}
	/* At first once even if there is traffic: to learn whether this peer answers. */
	if ((silent >= MUX_PROBE_AFTER_MS || !m->probed_ms) &&
	    (!m->probing || now - m->probed_ms >= 2 * MUX_TICK_MS))
		probe(m, now);
}

struct mux *mux_new(struct stream *carrier, struct bufq *early, const struct mux_config *conf,
		    struct mux_user *user)
{
	struct mux *m = calloc(1, sizeof(*m));

	if (!m) {
		stream_close(carrier, -ERR_NOMEM);
		return NULL;
	}
	m->loop = carrier->loop;
	m->carrier = carrier;
	m->user = user;
	m->conf = *conf;
	list_init(&m->sessions);
	mux_tx_init(m);
	m->heard_ms = loop_now(m->loop);
	if (early)
		bufq_move(&m->in, early, early->len);
	m->on_carrier.on_event = on_carrier_event;
	vision_stream_carrier(carrier);
	stream_attach(carrier, &m->on_carrier);
	stream_want(carrier, STREAM_READ);
	if (!bufq_empty(&m->in))
		stream_notify(carrier, STREAM_READ);
	timer_init(&m->check, m->loop, on_check);
	timer_init(&m->tick, m->loop, on_tick);
	timer_start(&m->tick, MUX_TICK_MS);
	return m;
}

static void mux_destroy(struct garbage *g)
{
	struct mux *m = container_of(g, struct mux, garbage);

	for (size_t i = 0; i < MUX_PAGES; i++)
		free(m->pages[i]);
	free(m);
}

static void stop(struct mux *m, int err)
{
	struct list all;

	m->ended = true;
	timer_stop(&m->tick);
	timer_stop(&m->check);
	defer_cancel(&m->flush);
	bufq_clear(&m->in);
	bufq_clear(&m->control);
	bufq_clear(&m->out);
	/* A user that is told may close other sessions too: each is taken off a list of its own. */
	list_init(&all);
	list_splice_tail(&all, &m->sessions);
	while (!list_empty(&all)) {
		struct mux_session *s = list_first(&all, struct mux_session, all);

		list_del(&s->all);
		list_add_tail(&m->sessions, &s->all);
		mux_tx_forget(s);
		if (s->user_gone) {
			mux_session_drop(s);
			continue;
		}
		s->dead = true;
		s->err = err ? err : -ERR_RESET;
		if (s->is_dgram)
			mux_dgram_ended(s, s->err);
		else
			mux_stream_event(s, STREAM_READ | STREAM_WRITE);
	}
	stream_close(m->carrier, err);
	m->carrier = NULL;
}

/* Sessions whose users have not closed them yet still point here: the last one out frees. */
static void free_if_unused(struct mux *m)
{
	if (m->ended && m->n_sessions == 0 && !m->garbage.destroy) {
		m->garbage.destroy = mux_destroy;
		loop_free_later(m->loop, &m->garbage);
	}
}

void mux_close(struct mux *m, int err)
{
	if (!m || m->ended)
		return;
	m->user = NULL;
	stop(m, err);
	free_if_unused(m);
}

void mux_die(struct mux *m, int err, const char *why)
{
	struct mux_user *u = m->user;
	const char *text = why ? why : stream_why(m->carrier);
	char copy[160] = "";

	if (m->ended)
		return;
	if (text)
		strncpy(copy, text, sizeof(copy) - 1);
	m->user = NULL;
	/* The peer may be alive and only confused: an end in order lets it read what we said. */
	stop(m, err == -ERR_EOF ? 0 : err);
	if (u)
		u->on_end(u, m, err, text ? copy : NULL);
	free_if_unused(m);
}

struct mux_session *mux_session_find(const struct mux *m, uint16_t id)
{
	struct mux_session **page = m->pages[id / MUX_PAGE];

	return page ? page[id % MUX_PAGE] : NULL;
}

static int table_set(struct mux *m, uint16_t id, struct mux_session *s)
{
	struct mux_session ***page = &m->pages[id / MUX_PAGE];

	if (!*page)
		*page = calloc(MUX_PAGE, sizeof(**page));
	if (!*page)
		return -ERR_NOMEM;
	(*page)[id % MUX_PAGE] = s;
	return 0;
}

struct mux_session *mux_session_new(struct mux *m, uint16_t id, const struct mux_request *req)
{
	struct mux_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (table_set(m, id, s) != 0) {
		free(s);
		return NULL;
	}
	s->m = m;
	s->id = id;
	s->net = req->net;
	s->is_dgram = req->net == CONF_UDP;
	mux_rx_open(s);
	s->allowed = m->peer_ours ? m->peer_window : 0;
	list_init(&s->turn);
	list_add_tail(&m->sessions, &s->all);
	m->n_sessions++;
	m->n_opened++;
	if (s->is_dgram) {
		addr_to_ipport(&req->target, &s->target);
		mux_dgram_init(s);
	} else {
		mux_stream_init(s);
	}
	return s;
}

static void session_destroy(struct garbage *g)
{
	struct stream *st = container_of(g, struct stream, garbage);

	free(container_of(st, struct mux_session, s));
}

static void session_destroy_dgram(struct garbage *g)
{
	struct dgram *d = container_of(g, struct dgram, garbage);

	free(container_of(d, struct mux_session, d));
}

void mux_session_drop(struct mux_session *s)
{
	struct mux *m = s->m;

	mux_tx_forget(s);
	bufq_clear(&s->rx);
	if (m->rx_session == s)
		m->rx_session = NULL;
	if (mux_session_find(m, s->id) == s)
		m->pages[s->id / MUX_PAGE][s->id % MUX_PAGE] = NULL;
	list_del(&s->all);
	m->n_sessions--;
	mux_rx_resume(s);
	if (s->is_dgram) {
		s->d.garbage.destroy = session_destroy_dgram;
		loop_free_later(m->loop, &s->d.garbage);
	} else {
		stream_dispose(&s->s, session_destroy);
	}
	free_if_unused(m);
}

static bool next_id(struct mux *m, uint16_t *id)
{
	for (unsigned tries = 0; tries <= MUX_ID_LAST; tries++) {
		m->last_id = m->last_id >= MUX_ID_LAST ? 1 : (uint16_t)(m->last_id + 1);
		if (!mux_session_find(m, m->last_id)) {
			*id = m->last_id;
			return true;
		}
	}
	return false;
}

static struct buf *encode_new(const struct mux *m, uint16_t id, const struct mux_request *req)
{
	struct muxcool_frame f = {
		.id = id,
		.status = MUXCOOL_NEW,
		.network = req->net == CONF_TCP ? MUXCOOL_TCP : MUXCOOL_UDP,
		.target = req->target,
	};
	struct buf *b = buf_new(MUXCOOL_HEAD_MAX);
	struct wr w;

	if (!b)
		return NULL;
	if (m->conf.addresses && req->source.ip.family && req->local.ip.family) {
		f.source_network = f.local_network =
			req->source_net == CONF_UDP ? MUXCOOL_UDP : MUXCOOL_TCP;
		f.source = addr_from_ipport(&req->source);
		f.local = addr_from_ipport(&req->local);
	}
	w = wr_of(b->data, MUXCOOL_HEAD_MAX);
	if (muxcool_frame_encode(&w, &f, m->conf.addresses ? MUXCOOL_REVERSE : MUXCOOL_PLAIN)) {
		buf_free(b);
		return NULL;
	}
	b->len = (uint32_t)w.n;
	return b;
}

/* Control goes first: before the session's own frame. The peer must know who we are before it has
 * anything to tell, which may be before it reads on. */
static void announce_trace(struct mux *m, uint16_t id)
{
	struct muxext x = {.has = MUXEXT_TRACE, .window = MUX_WINDOW_FIRST};

	if (!m->said_hello)
		x.has |= MUXEXT_HELLO;
	m->said_hello = true;
	mux_tx_ext(m, id, &x);
}

static struct mux_session *open_session(struct mux *m, const struct mux_request *req)
{
	struct mux_session *s;
	uint16_t id = 0;

	if (m->ended || (!m->conf.xudp_single && !next_id(m, &id)))
		return NULL;
	s = mux_session_new(m, id, req);
	if (!s)
		return NULL;
	s->head = encode_new(m, id, req);
	if (!s->head) {
		mux_session_drop(s);
		return NULL;
	}
	if (req->trace && (m->peer_ours || m->conf.ours))
		announce_trace(m, id);
	/* The one session of XUDP begins with its first datagram. */
	if (!m->conf.xudp_single)
		mux_tx_ask(s);
	return s;
}

struct stream *mux_open(struct mux *m, const struct mux_request *req)
{
	struct mux_session *s = open_session(m, req);

	return s ? &s->s : NULL;
}

struct dgram *mux_open_dgram(struct mux *m, const struct mux_request *req)
{
	struct mux_session *s = open_session(m, req);

	return s ? &s->d : NULL;
}

size_t mux_sessions(const struct mux *m)
{
	return m->n_sessions;
}

size_t mux_opened(const struct mux *m)
{
	return m->n_opened;
}

size_t mux_queued(const struct mux *m)
{
	return m->tx_total + m->out.len;
}

bool mux_peer_echoes(const struct mux *m)
{
	return m->peer_caps & MUXEXT_CAP_ECHO;
}

bool mux_peer_is_ours(const struct mux *m)
{
	return m->peer_ours;
}

uint32_t mux_rtt_ms(const struct mux *m)
{
	return m->rtt_ms;
}

uint64_t mux_last_heard_ms(const struct mux *m)
{
	return m->heard_ms;
}

void mux_describe(const struct mux *m, cJSON *into)
{
	cJSON_AddNumberToObject(into, "sessions", (double)m->n_sessions);
	cJSON_AddNumberToObject(into, "opened", (double)m->n_opened);
	cJSON_AddNumberToObject(into, "queued_bytes", (double)mux_queued(m));
	cJSON_AddBoolToObject(into, "garenne", m->peer_ours);
	if (m->rtt_ms)
		cJSON_AddNumberToObject(into, "rtt_ms", m->rtt_ms);
	cJSON_AddNumberToObject(into, "heard_ms_ago", (double)(loop_now(m->loop) - m->heard_ms));
}
