#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "crypto/secret.h"
#include "net/connect.h"
#include "net/reality_int.h"
#include "net/stream_front.h"
#include "net/stream_rate.h"
#include "net/stream_tls.h"
#include "net/tls_alert.h"
#include "net/tls_engine.h"
#include "net/tls_keylog.h"
#include "proto/proxyproto.h"

enum state {
	STATE_CONNECTING = 0, /* leaves when the target answers the phone, or does not */
	STATE_LISTENING,      /* leaves at the end of a ClientHello, or when there will be none */
	STATE_MIRRORING,      /* leaves when the target's flight is known, or is none */
	STATE_FINISHING,      /* leaves with the client's Finished */
};

struct reality_accept {
	struct reality_server *rs;
	struct reality_log *log;
	struct loop *loop;
	struct reality_user *user;
	struct reality_peer peer;
	enum state state;
	struct stream *client, *target;
	struct stream_user on_client, on_target;
	struct connect *connect;
	struct connect_user on_connect;
	struct bufq heard; /* a copy of all that the client has said */
	struct bufq up;	   /* the same, as far as the target has not taken it */
	struct bufq down;  /* what the target has said */
	size_t hello_end;  /* in @heard, once it is known */
	struct reality_finding found;
	struct defer start; /* there are bytes already */
	/* FINISHING */
	struct tls_engine *engine;
	struct reality_session session;
	struct tls_dir client_keys;
	struct bufq in, out;
	unsigned ccs;
	size_t name; /* in the settings: what the client asked for */
	enum reality_alpn alpn;
	struct garbage garbage;
};

static void accept_destroy(struct garbage *g)
{
	free(container_of(g, struct reality_accept, garbage));
}

static void let_go(struct stream **s, int err)
{
	if (!*s)
		return;
	stream_want(*s, 0);
	stream_attach(*s, NULL);
	stream_close(*s, err);
	*s = NULL;
}

/* Whatever is still held is closed with @err. */
static void dispose(struct reality_accept *a, int err)
{
	connect_cancel(a->connect);
	a->connect = NULL;
	defer_cancel(&a->start);
	let_go(&a->client, err);
	let_go(&a->target, err);
	bufq_clear(&a->heard);
	bufq_clear(&a->up);
	bufq_clear(&a->down);
	bufq_clear(&a->in);
	bufq_clear(&a->out);
	if (a->engine)
		a->engine->ops->free(a->engine);
	a->engine = NULL;
	tls_dir_fini(&a->client_keys);
	secret_wipe(&a->session, sizeof(a->session));
	secret_wipe(&a->found, sizeof(a->found));
	a->garbage.destroy = accept_destroy;
	loop_free_later(a->loop, &a->garbage);
}

/* ---- the three ends ---- */

/* In order, whatever it was: a replayer who gives up must not be told apart by a reset. */
static void fail(struct reality_accept *a, int err, const char *why)
{
	struct reality_result res = {.err = err, .why = why};
	struct reality_user *user = a->user;

	let_go(&a->client, 0);
	dispose(a, err);
	user->on_done(user, &res);
}

static struct stream *release(struct stream **s)
{
	struct stream *out = *s;

	*s = NULL;
	stream_want(out, 0);
	stream_attach(out, NULL);
	return out;
}

/* Both connections as they would be without us. */
static void give_stranger(struct reality_accept *a)
{
	struct reality_result res = {0};
	struct reality_user *user = a->user;
	struct bufq early = a->up, down = a->down;

	bufq_init(&a->up);
	bufq_init(&a->down);
	res.client = stream_rate_new(release(&a->client), &a->rs->conf->up);
	res.target = stream_rate_new(release(&a->target), &a->rs->conf->down);
	if (res.target)
		res.target = stream_front_new(res.target, &down);
	bufq_clear(&down);
	res.early = &early;
	if (!res.target || !res.client) {
		stream_close(res.client, -ERR_NOMEM);
		stream_close(res.target, -ERR_NOMEM);
		res = (struct reality_result){.err = -ERR_NOMEM, .why = "out of memory"};
	}
	dispose(a, 0);
	user->on_done(user, &res);
	bufq_clear(&early);
}

static const char *cipher_name(uint16_t suite)
{
	switch (suite) {
	case TLS_AES_128_GCM:
		return "TLS_AES_128_GCM_SHA256";
	case TLS_AES_256_GCM:
		return "TLS_AES_256_GCM_SHA384";
	default:
		return "TLS_CHACHA20_POLY1305_SHA256";
	}
}

static void give_ours(struct reality_accept *a)
{
	struct tls_info info = {.version = TLS_VERSION_1_3,
				.cipher = cipher_name(a->session.suite),
				.alpn = "",
				.sni = a->rs->conf->names.v[a->name],
				.fast = true};
	struct reality_result res = {.info = &info};
	struct reality_user *user = a->user;
	struct tls_engine *engine = a->engine;
	struct reality_tail tail = reality_probes_tail(a->rs->probes, a->name, a->alpn);

	for (unsigned i = 0; i < tail.n; i++)
		if (tls_fast_pad(engine, tail.len[i], &a->out) != 0)
			break; /* memory is out: what follows will say so */
	a->engine = NULL;
	res.ours = stream_tls_new(release(&a->client), engine, &a->in, &a->out);
	if (!res.ours)
		res = (struct reality_result){.err = -ERR_NOMEM, .why = "out of memory"};
	dispose(a, 0);
	user->on_done(user, &res);
}

/* ---- towards the target ---- */

static void set_wants(struct reality_accept *a)
{
	unsigned client = 0, target = STREAM_READ;

	if (a->state == STATE_LISTENING && bufq_empty(&a->up))
		client = STREAM_READ;
	if (a->state == STATE_FINISHING)
		client = STREAM_READ | (bufq_empty(&a->out) ? 0u : (unsigned)STREAM_WRITE);
	if (!bufq_empty(&a->up))
		target |= STREAM_WRITE;
	if (a->client)
		stream_want(a->client, client);
	if (a->target)
		stream_want(a->target, target);
}

/* A target that breaks is an answer too, and whoever joins the two will pass it on. */
static bool flush_up(struct reality_accept *a)
{
	return bufq_empty(&a->up) || stream_write(a->target, &a->up) >= 0;
}

static void put_proxy_header(struct reality_accept *a)
{
	struct proxyproto p = {.version = a->rs->conf->xver,
			       .source = a->peer.source,
			       .target = a->peer.local};
	uint8_t b[PROXYPROTO_ENCODE_MAX];
	struct wr w = wr_of(b, sizeof(b));

	if (p.version == 0)
		return;
	if (p.source.ip.family && p.target.ip.family)
		p.transport = PROXYPROTO_STREAM;
	if (proxyproto_encode(&w, &p) == 0)
		bufq_append(&a->up, span_of(b, w.n));
}

/* ---- whose is it? ---- */

static void log_verdict(struct reality_accept *a, enum reality_verdict v, struct span name)
{
	const struct reality_id *id = &a->found.id;
	const char *text = reality_verdict_text(v);
	uint64_t now = loop_now(a->loop);
	char shown[128];
	size_t n = 0;

	for (; n < name.n && n < sizeof(shown) - 1; n++)
		shown[n] = name.p[n] > ' ' && name.p[n] < 127 ? (char)name.p[n] : '?';
	shown[n] = 0;
	if (v == REALITY_OURS)
		log_debug("reality", "a client of version %u.%u.%u, server name \"%s\", key %zu",
			  id->version[0], id->version[1], id->version[2], shown,
			  a->found.key_index);
	else if (a->found.known) /* it has our public key: somebody's settings are wrong */
		reality_server_log(LOG_WARN, &a->log->clients, now, &a->peer.source,
				   "%s; passed on to the target (version %u.%u.%u, clock %+lld s, "
				   "server name \"%s\")",
				   text, id->version[0], id->version[1], id->version[2],
				   (long long)id->time_s - (long long)time(NULL), shown);
	else
		reality_server_log(LOG_INFO, &a->log->noise, now, &a->peer.source,
				   "%s; passed on to the target (server name \"%s\")", text,
				   shown);
}

static uint64_t utc_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Where the settings have the name; ours has one that is there. */
static size_t own_name(const struct reality_accept *a, struct span name)
{
	const struct conf_strs *names = &a->rs->conf->names;
	size_t i = 0;

	while (i + 1 < names->n && !span_eq(span_str(names->v[i]), name))
		i++;
	return i;
}

static enum reality_alpn own_alpn(const struct tlshello_client *h)
{
	struct span list = tlshello_alpn(h);

	if (list.n == 0)
		return REALITY_ALPN_NONE;
	return list.n >= 3 && memcmp(list.p, "\x02h2", 3) == 0 ? REALITY_ALPN_H2 :
								   REALITY_ALPN_OTHER;
}

/* The key that counts: a plain share, else the second half of a hybrid one. */
static const uint8_t *own_key(const struct tlshello_client *h)
{
	enum { HYBRID_LEN = 1184 + REALITY_KEY_LEN };
	struct span share;

	if (tlshello_share(h, TLS_GROUP_X25519, &share) && share.n == REALITY_KEY_LEN)
		return share.p;
	if (tlshello_share(h, TLS_GROUP_X25519MLKEM768, &share) && share.n == HYBRID_LEN)
		return share.p + HYBRID_LEN - REALITY_KEY_LEN;
	return NULL;
}

static enum reality_verdict judge(struct reality_accept *a, struct span message)
{
	struct reality_offer offer = {.hello = message};
	enum reality_verdict v = REALITY_NO_HELLO;
	struct tlshello_client h;

	if (message.n && tlshello_client_decode(&h, message) == (ssize_t)message.n &&
	    tlshello_sni(&h, &offer.name) != -ERR_MALFORMED) {
		offer.tls13 = tlshello_offers_13(&h);
		offer.key = own_key(&h);
		a->alpn = own_alpn(&h);
		v = reality_judge(&a->rs->rules, &offer, utc_ms(), &a->found);
	}
	a->name = own_name(a, offer.name);
	log_verdict(a, v, offer.name);
	return v;
}

/* Whether what has been heard is a hello: 1 ours, 0 not complete, -1 a stranger's. */
static int listen_to(struct reality_accept *a)
{
	struct span heard = bufq_pullup(&a->heard, a->heard.len);
	uint8_t *message;
	struct wr w;
	ssize_t n;
	int got = -1;

	message = malloc(heard.n ? heard.n : 1);
	if (!message)
		return -1;
	w = wr_of(message, heard.n);
	n = tlshello_join(&w, heard, NULL);
	if (n == 0 || n == -ERR_LIMIT) /* the message is longer than all that came */
		got = heard.n < REALITY_HEARD_MAX ? 0 : -1;
	if (n > 0 && judge(a, span_of(message, w.n)) == REALITY_OURS) {
		a->hello_end = (size_t)n;
		got = 1;
	} else if (got < 0 && n <= 0) {
		judge(a, span_of(NULL, 0));
	}
	free(message);
	return got;
}

/* Keeps a copy of what goes on to the target. False when memory is out. */
static bool remember(struct reality_accept *a, const struct bufq *q)
{
	for (const struct buf *b = q->head; b; b = b->next)
		if (bufq_append(&a->heard, buf_span(b)) != 0)
			return false;
	return true;
}

/* New bytes of the client's are in @q; takes them. */
static void take_heard(struct reality_accept *a, struct bufq *q)
{
	bool kept = remember(a, q);
	int got;

	bufq_move(&a->up, q, q->len);
	bufq_clear(q);
	if (!flush_up(a) || !kept) {
		give_stranger(a);
		return;
	}
	got = listen_to(a);
	if (got < 0) {
		give_stranger(a);
		return;
	}
	if (got > 0)
		a->state = STATE_MIRRORING;
	set_wants(a);
}

static void on_listening(struct reality_accept *a)
{
	struct bufq q = {NULL, NULL, 0};
	ssize_t n = stream_read(a->client, &q, REALITY_HEARD_MAX - a->heard.len);

	if (n == -ERR_EOF || n == -ERR_END)
		give_stranger(a); /* who will read this once more */
	else if (n < 0)
		fail(a, (int)n, "the client is gone");
	else if (n > 0)
		take_heard(a, &q);
}

/* ---- our answer ---- */

static void log_keys(const struct reality_accept *a, const uint8_t *random)
{
	const struct reality_session *s = &a->session;
	int fd = a->rs->keylog_fd;

	tls_keylog_put(fd, "CLIENT_HANDSHAKE_TRAFFIC_SECRET", random, &s->client_handshake);
	tls_keylog_put(fd, "SERVER_HANDSHAKE_TRAFFIC_SECRET", random, &s->server_handshake);
	tls_keylog_put(fd, "CLIENT_TRAFFIC_SECRET_0", random, &s->client_app);
	tls_keylog_put(fd, "SERVER_TRAFFIC_SECRET_0", random, &s->server_app);
}

static int make_answer(struct reality_accept *a, const struct reality_flight *f,
		       char why[REALITY_WHY_MAX])
{
	struct span heard = bufq_pullup(&a->heard, a->heard.len);
	struct wr hello = {0}, answer = {0};
	struct tlshello_client h;
	int err = -ERR_NOMEM;

	hello = wr_of(malloc(heard.n), heard.n);
	answer = wr_of(malloc(REALITY_ANSWER_MAX), REALITY_ANSWER_MAX);
	if (hello.p && answer.p && tlshello_join(&hello, heard, NULL) > 0 &&
	    tlshello_client_decode(&h, span_of(hello.p, hello.n)) > 0)
		err = reality_answer_encode(&answer, &a->session, f, &h, a->found.auth_key,
					    &a->rs->signer, why);
	if (err == 0) {
		log_keys(a, h.random.p);
		err = bufq_append(&a->out, span_of(answer.p, answer.n));
	}
	free(hello.p);
	free(answer.p);
	return err;
}

static int make_keys(struct reality_accept *a, const struct reality_flight *f)
{
	const struct reality_session *s = &a->session;
	uint16_t extra = f->slot[REALITY_SLOT_EXTRA];
	int err;

	a->engine = tls_fast_new(s->suite, true, &s->client_app, &s->server_app, &err);
	if (!a->engine)
		return err;
	err = tls_dir_init(&a->client_keys, s->suite, &s->client_handshake, false);
	if (err == 0 && extra)
		err = tls_fast_pad(a->engine, extra, &a->out);
	return err;
}

static bool flush_out(struct reality_accept *a)
{
	return bufq_empty(&a->out) || stream_write(a->client, &a->out) >= 0;
}

/* The target can do no more for this connection, and it shall not say so to the client. */
static void answer(struct reality_accept *a, const struct reality_flight *f)
{
	char why[REALITY_WHY_MAX] = "";
	int err = make_answer(a, f, why);

	if (err == -ERR_UNSUPPORTED) {
		reality_server_log(LOG_WARN, &a->log->target, loop_now(a->loop), &a->peer.source,
				   "%s: the client is passed on to the target", why);
		give_stranger(a);
		return;
	}
	if (err == 0)
		err = make_keys(a, f);
	if (err) {
		fail(a, err, "the handshake could not be made");
		return;
	}
	let_go(&a->target, 0);
	bufq_clear(&a->down);
	/* What came behind the hello is the client's next record; the target has had it too. */
	bufq_drop(&a->heard, a->hello_end);
	bufq_move(&a->in, &a->heard, a->heard.len);
	a->state = STATE_FINISHING;
	if (!flush_out(a)) {
		fail(a, -ERR_RESET, "the client is gone");
		return;
	}
	set_wants(a);
}

static void on_mirroring(struct reality_accept *a)
{
	ssize_t n = stream_read(a->target, &a->down, REALITY_FLIGHT_MAX - a->down.len);
	enum reality_flight_fault fault = REALITY_FLIGHT_OK;
	struct reality_flight f;
	int got;

	if (n == 0)
		return;
	got = reality_flight_decode(&f, bufq_pullup(&a->down, a->down.len), &fault);
	if (got > 0) {
		answer(a, &f);
		return;
	}
	if (got == 0 && n > 0 && a->down.len < REALITY_FLIGHT_MAX)
		return;
	reality_server_log(LOG_WARN, &a->log->target, loop_now(a->loop), &a->peer.source,
			   "the target cannot be used, %s: the client is passed on to it",
			   got == 0 ? "it breaks off" : reality_flight_text(fault));
	give_stranger(a);
}

/* ---- the client's Finished ---- */

static void refuse(struct reality_accept *a, enum tls_alert alert, const char *why)
{
	tls_fast_refuse(a->engine, (uint8_t)alert, &a->out);
	flush_out(a);
	fail(a, -ERR_TLS, why);
}

/* A record in front of a->in of @n bytes. True to go on with the next one. */
static bool take_plain(struct reality_accept *a, size_t n)
{
	uint8_t rec[TLS_HEADER_LEN + 2] = {0};

	bufq_peek(&a->in, rec, sizeof(rec));
	if (rec[0] == TLS_TYPE_ALERT) {
		fail(a, -ERR_TLS, tls_alert_text(rec[TLS_HEADER_LEN + 1]));
		return false;
	}
	if (rec[0] != TLS_TYPE_CCS || n != TLS_HEADER_LEN + 1 || rec[TLS_HEADER_LEN] != 1 ||
	    ++a->ccs > reality_probes_ccs(a->rs->probes, a->name)) {
		refuse(a, TLS_ALERT_UNEXPECTED_MESSAGE, "an unexpected record before Finished");
		return false;
	}
	bufq_drop(&a->in, n);
	return true;
}

static void take_finished(struct reality_accept *a)
{
	struct bufq content = {NULL, NULL, 0};
	struct span s;
	uint8_t type = 0;
	ssize_t n = tls_record_open(&a->client_keys, &a->in, &content, &type);

	s = bufq_pullup(&content, content.len);
	if (n < 0)
		refuse(a, TLS_ALERT_BAD_RECORD_MAC, "a record of the client fails authentication");
	else if (type == TLS_TYPE_ALERT && s.n == 2)
		fail(a, -ERR_TLS, tls_alert_text(s.p[1]));
	else if (type != TLS_TYPE_HANDSHAKE)
		refuse(a, TLS_ALERT_UNEXPECTED_MESSAGE, "an unexpected record before Finished");
	else if (!reality_answer_finished(&a->session, s))
		refuse(a, TLS_ALERT_DECRYPT_ERROR, "the client's Finished is wrong");
	else
		give_ours(a);
	bufq_clear(&content);
}

static void on_finishing(struct reality_accept *a, bool readable)
{
	ssize_t got = readable ? stream_read(a->client, &a->in, STREAM_READ_MAX) : 0, n;

	if (!flush_out(a)) {
		fail(a, -ERR_RESET, "the client has gone during the handshake");
		return;
	}
	for (;;) {
		uint8_t type = 0;

		n = tls_record_ready(&a->in);
		if (n < 0) {
			refuse(a, TLS_ALERT_UNEXPECTED_MESSAGE, "no TLS record before Finished");
			return;
		}
		if (n == 0) {
			if (got < 0)
				fail(a, -ERR_RESET, "the client has gone during the handshake");
			else
				set_wants(a);
			return;
		}
		bufq_peek(&a->in, &type, 1);
		if (type == TLS_TYPE_DATA) {
			take_finished(a);
			return;
		}
		if (!take_plain(a, (size_t)n))
			return;
	}
}

/* ---- events ---- */

static void on_client_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct reality_accept *a = container_of(u, struct reality_accept, on_client);

	(void)s;
	if (a->state == STATE_LISTENING)
		on_listening(a);
	else if (a->state == STATE_FINISHING)
		on_finishing(a, events & STREAM_READ);
}

static void on_target_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct reality_accept *a = container_of(u, struct reality_accept, on_target);

	(void)s;
	if (a->state == STATE_LISTENING && (events & STREAM_READ)) {
		give_stranger(a); /* it speaks first, or leaves: no TLS server */
		return;
	}
	if (!flush_up(a)) {
		give_stranger(a);
		return;
	}
	if (a->state == STATE_MIRRORING && (events & STREAM_READ))
		on_mirroring(a);
	else
		set_wants(a);
}

static void on_start(struct defer *d)
{
	struct reality_accept *a = container_of(d, struct reality_accept, start);
	struct bufq q = a->in; /* what had been read before us */

	bufq_init(&a->in);
	take_heard(a, &q);
}

static void on_connect(struct connect_user *u, struct connect *c, const struct connect_result *res)
{
	struct reality_accept *a = container_of(u, struct reality_accept, on_connect);

	(void)c;
	a->connect = NULL;
	if (res->err) {
		reality_server_log(LOG_WARN, &a->log->target, loop_now(a->loop), &a->peer.source,
				   "the target cannot be reached: %s", res->why);
		fail(a, -ERR_CLOSED, NULL); /* the log has it */
		return;
	}
	a->target = res->stream;
	a->state = STATE_LISTENING;
	a->on_target.on_event = on_target_event;
	a->on_client.on_event = on_client_event;
	stream_attach(a->target, &a->on_target);
	stream_attach(a->client, &a->on_client);
	put_proxy_header(a);
	if (!flush_up(a)) {
		give_stranger(a);
		return;
	}
	if (!bufq_empty(&a->in))
		defer_ask(&a->start);
	set_wants(a);
}

struct reality_accept *reality_accept_start(struct reality_server *rs, struct stream *client,
					    struct bufq *early, const struct reality_peer *peer,
					    struct reality_user *user)
{
	struct reality_accept *a = calloc(1, sizeof(*a));
	struct connect_req req = {.to = rs->conf->target, .opts = rs->conf->own};

	if (!a) {
		stream_close(client, -ERR_NOMEM);
		return NULL;
	}
	a->rs = rs;
	a->loop = client->loop;
	a->log = &rs->log[loop_id(a->loop)];
	a->user = user;
	a->peer = *peer;
	a->client = client;
	if (early)
		bufq_move(&a->in, early, early->len);
	defer_init(&a->start, a->loop, on_start);
	list_init(&a->garbage.node);
	if (*rs->conf->target_unix)
		req.path = rs->conf->target_unix;
	a->on_connect.on_connect = on_connect;
	a->connect = connect_start(a->loop, peer->resolver, &req, &a->on_connect);
	if (!a->connect) {
		dispose(a, -ERR_NOMEM);
		return NULL;
	}
	return a;
}

void reality_accept_yield(struct reality_accept *a, int err)
{
	if (a->state == STATE_LISTENING || a->state == STATE_MIRRORING) {
		bufq_move(&a->up, &a->in, a->in.len);
		give_stranger(a);
	} else {
		fail(a, err, err == -ERR_TIMEOUT ? "the handshake was not finished in time" :
						   "too many handshakes, this was the oldest");
	}
}

void reality_accept_cancel(struct reality_accept *a, int err)
{
	dispose(a, err);
}
