/*
 * The handshake: OpenSSL, or for a browser's hello our own client, between two
 * queues, driven by the lower stream's events. At its end the connection goes
 * over to an engine (tls_engine.h) and the SSL object is usually thrown away.
 */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/rand.h"
#include "net/spider.h"
#include "net/stream_tls.h"
#include "net/tls13_client.h"
#include "net/tls_conn.h"

struct tls_handshake {
	struct stream_user below;
	struct stream *lower;
	struct tls_ctx *ctx;
	struct tls_conn *conn;	  /* server: NULL until the first record is complete */
	struct tls13_client *own; /* instead of @conn */
	struct tls_user *user;
	struct bufq in, out;
	struct defer start;
	struct timer late; /* the connection is gone already, the user does not know yet */
	struct garbage garbage;
};

/* Bytes that may wait unread by OpenSSL: more than one record never needs to. */
enum { IN_MAX = TLS_HEADER_LEN + TLS_CIPHER_MAX_12 };

enum { REAL_WARN_MS = 60000 };

static void destroy(struct garbage *g)
{
	free(container_of(g, struct tls_handshake, garbage));
}

static void dispose(struct tls_handshake *h)
{
	struct loop *l = h->start.loop;

	defer_cancel(&h->start);
	timer_stop(&h->late);
	tls_conn_free(h->conn);
	tls13_client_free(h->own);
	h->conn = NULL;
	h->own = NULL;
	bufq_clear(&h->in);
	bufq_clear(&h->out);
	h->garbage.destroy = destroy;
	loop_free_later(l, &h->garbage);
}

static void fail(struct tls_handshake *h, int err, const char *why)
{
	char text[TLS_WHY_MAX] = "TLS failed without a reason";
	struct tls_user *user = h->user;
	size_t n = why ? strlen(why) : 0;

	if (n > 0) { /* it may lie in what is freed now */
		n = n < sizeof(text) - 1 ? n : sizeof(text) - 1;
		memcpy(text, why, n);
		text[n] = 0;
	}
	stream_want(h->lower, 0);
	stream_attach(h->lower, NULL);
	stream_close(h->lower, 0); /* not a reset: an alert may be on its way */
	dispose(h);
	user->on_done(user, NULL, NULL, err, text);
}

static struct tls_engine *make_engine(struct tls_handshake *h, bool *fast)
{
	struct tls_conn *c = h->conn;
	bool server = h->ctx->server;
	struct tls_engine *e = NULL;
	int err;

	*fast = false;
	if (tls_conn_may_go_fast(c)) {
		uint16_t suite = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(c->ssl));

		e = tls_fast_new(suite, server, server ? &c->client : &c->server,
				 server ? &c->server : &c->client, &err);
		*fast = e != NULL;
	}
	if (!e) {
		h->conn = NULL;
		e = tls_ssl_new(c);
	}
	return e;
}

/* The stream, if there is one, is what the user gets. */
static void hand_over(struct tls_handshake *h, struct tls_engine *e, const struct tls_info *info)
{
	struct tls_user *user = h->user;
	struct stream *s;

	stream_want(h->lower, 0);
	s = stream_tls_new(h->lower, e, &h->in, &h->out);
	dispose(h);
	if (s)
		user->on_done(user, s, info, 0, NULL);
	else
		user->on_done(user, NULL, NULL, -ERR_NOMEM, "out of memory");
}

static void succeed(struct tls_handshake *h)
{
	SSL *ssl = h->conn->ssl;
	char sni[ADDR_NAME_MAX + 1] = "", alpn[256] = "";
	struct tls_info info = {.version = (unsigned)SSL_version(ssl),
				.cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)),
				.alpn = alpn,
				.sni = sni,
				.resumed = SSL_session_reused(ssl) == 1};
	const unsigned char *name;
	struct tls_engine *e;
	unsigned n;

	if (h->ctx->server)
		tls_conn_sni(h->conn, sni);
	SSL_get0_alpn_selected(ssl, &name, &n);
	if (n > 0 && n < sizeof(alpn))
		memcpy(alpn, name, n);
	e = make_engine(h, &info.fast);
	if (e)
		hand_over(h, e, &info);
	else
		fail(h, -ERR_NOMEM, "out of memory");
}

static const char real_certificate[] =
	"REALITY: received real certificate: wrong public key, short id, serverName or client "
	"version, or the clocks differ, or somebody on the way answers";

/* Somebody should look; but connections may be many. */
static void warn_of_real(struct tls_handshake *h)
{
	unsigned long long now = loop_now(h->lower->loop), last = atomic_load(&h->ctx->warned_ms);

	if (last && now - last < REAL_WARN_MS)
		return;
	if (atomic_compare_exchange_strong(&h->ctx->warned_ms, &last, now ? now : 1))
		log_warn("reality", "%s: %s", tls13_client_name(h->own), real_certificate);
}

static void tell_of_real(struct tls_handshake *h)
{
	struct tls_user *user = h->user;

	dispose(h);
	user->on_done(user, NULL, NULL, -ERR_AUTH, real_certificate);
}

static void on_late(struct timer *t)
{
	tell_of_real(container_of(t, struct tls_handshake, late));
}

/* A server that shows a real certificate does not know us: somebody else goes on as a browser. */
static void give_to_spider(struct tls_handshake *h, struct tls_engine *e)
{
	const struct conf_spider *conf = &h->ctx->reality->spider;
	struct spider_visit visit = {.conf = conf,
				     .host = tls13_client_name(h->own),
				     .profile = h->ctx->profile,
				     .alpn = tls13_client_alpn(h->own),
				     .web = h->ctx->web};
	uint32_t wait = (uint32_t)conf->delay.from +
			rand_below((uint32_t)(conf->delay.to - conf->delay.from) + 1);
	struct stream *s;

	warn_of_real(h);
	stream_want(h->lower, 0);
	s = stream_tls_new(h->lower, e, &h->in, &h->out);
	h->lower = NULL;
	if (s)
		spider_start(s, &visit);
	if (wait > 0)
		timer_start(&h->late, wait);
	else
		tell_of_real(h);
}

static void succeed_own(struct tls_handshake *h)
{
	char alpn[256];
	struct tls_info info = {.version = TLS1_3_VERSION,
				.cipher = tls13_client_cipher(h->own),
				.alpn = alpn,
				.sni = "",
				.fast = true};
	int err;
	struct tls_engine *e = tls13_client_engine(h->own, &err);

	snprintf(alpn, sizeof(alpn), "%s", tls13_client_alpn(h->own));

	if (!e)
		fail(h, err, "out of memory");
	else if (tls13_client_trusted(h->own))
		hand_over(h, e, &info);
	else
		give_to_spider(h, e);
}

static int flush(struct tls_handshake *h)
{
	ssize_t n = bufq_empty(&h->out) ? 0 : stream_write(h->lower, &h->out);

	return n < 0 ? (int)n : 0;
}

/* A silent or slow stranger gets no SSL object: it waits for a whole first record. */
static int ensure_conn(struct tls_handshake *h)
{
	if (h->conn)
		return 0;
	if (tls_record_ready(&h->in) == 0)
		return -ERR_EOF;
	h->conn = tls_conn_new(h->ctx, NULL);
	return h->conn ? 0 : -ERR_NOMEM;
}

enum step { STEP_MORE = 0, STEP_DONE, STEP_FAILED };

static enum step own_step(struct tls_handshake *h, int *err, const char **why)
{
	int n = tls13_client_step(h->own, &h->in, &h->out);

	if (n < 0) {
		*err = n;
		*why = tls13_client_why(h->own);
		flush(h); /* the alert */
		return STEP_FAILED;
	}
	*err = flush(h);
	*why = stream_why(h->lower);
	if (*err)
		return STEP_FAILED;
	return n ? STEP_DONE : STEP_MORE;
}

/* Lets OpenSSL work on what there is. */
static enum step openssl_step(struct tls_handshake *h, int *err, const char **why)
{
	int n = ensure_conn(h);

	if (n == -ERR_EOF)
		return STEP_MORE;
	*err = -ERR_NOMEM;
	*why = "out of memory";
	if (n)
		return STEP_FAILED;
	h->conn->io.in = &h->in;
	h->conn->io.out = &h->out;
	ERR_clear_error();
	n = SSL_do_handshake(h->conn->ssl);
	if (n != 1 && SSL_get_error(h->conn->ssl, n) != SSL_ERROR_WANT_READ) {
		*err = h->conn->io.broken ? -ERR_NOMEM : -ERR_TLS;
		*why = tls_conn_explain(h->conn);
		flush(h); /* the alert */
		return STEP_FAILED;
	}
	*err = flush(h);
	if (*err) {
		*why = stream_why(h->lower);
		return STEP_FAILED;
	}
	return n == 1 ? STEP_DONE : STEP_MORE;
}

static enum step handshake_step(struct tls_handshake *h, int *err, const char **why)
{
	return h->own ? own_step(h, err, why) : openssl_step(h, err, why);
}

/* One helping from below. 1 when there are new bytes, 0 when not, -ERR_* with *@why. */
static int take_input(struct tls_handshake *h, const char **why)
{
	struct bufq q = {NULL, NULL, 0};
	ssize_t n;

	if (h->in.len >= IN_MAX)
		return 0;
	n = stream_read(h->lower, &q, IN_MAX);
	bufq_move_packed(&h->in, &q, q.len); /* single bytes must not hold a buf each */
	if (!bufq_empty(&q)) {
		bufq_clear(&q);
		n = -ERR_NOMEM;
	}
	if (n >= 0)
		return n > 0;
	if (n == -ERR_EOF || n == -ERR_END) {
		*why = "the peer closed the connection during the TLS handshake";
		return -ERR_RESET;
	}
	*why = stream_why(h->lower);
	if (!*why)
		*why = err_name((int)n);
	return (int)n;
}

static void turn(struct tls_handshake *h, bool readable)
{
	const char *why = NULL, *ended = NULL;
	int err = 0, got = readable ? take_input(h, &ended) : 0;
	enum step step;

	/* Bytes that came before an end still count: the last of them may be an alert. */
	step = got < 0 && bufq_empty(&h->in) ? STEP_MORE : handshake_step(h, &err, &why);
	if (step == STEP_MORE && got < 0) {
		step = STEP_FAILED;
		err = got;
		why = ended;
	}
	switch (step) {
	case STEP_DONE:
		if (h->own)
			succeed_own(h);
		else
			succeed(h);
		break;
	case STEP_FAILED:
		fail(h, err, why);
		break;
	case STEP_MORE:
		stream_want(h->lower,
			    STREAM_READ | (bufq_empty(&h->out) ? 0u : (unsigned)STREAM_WRITE));
		break;
	}
}

static void on_below(struct stream_user *u, struct stream *lower, unsigned events)
{
	(void)lower;
	turn(container_of(u, struct tls_handshake, below), events & STREAM_READ);
}

static void on_start(struct defer *d)
{
	turn(container_of(d, struct tls_handshake, start), false);
}

/* The client's half of it; a server waits for a first record. */
static int prepare(struct tls_handshake *h, struct tls_ctx *ctx, const char *dialled)
{
	int err = 0;

	if (ctx->server)
		return 0;
	if (ctx->fp) {
		h->own = tls13_client_new(ctx, dialled, &err);
		return err;
	}
	h->conn = tls_conn_new(ctx, dialled);
	return h->conn ? 0 : -ERR_NOMEM;
}

static struct tls_handshake *start(struct stream *lower, struct bufq *early, struct tls_ctx *ctx,
				   const char *dialled, struct tls_user *user)
{
	struct tls_handshake *h = calloc(1, sizeof(*h));

	if (!h || prepare(h, ctx, dialled) != 0) {
		free(h);
		if (early)
			bufq_clear(early);
		stream_close(lower, -ERR_NOMEM);
		return NULL;
	}
	h->below.on_event = on_below;
	h->lower = lower;
	h->ctx = ctx;
	h->user = user;
	if (early)
		bufq_move(&h->in, early, early->len);
	list_init(&h->garbage.node);
	defer_init(&h->start, lower->loop, on_start);
	timer_init(&h->late, lower->loop, on_late);
	stream_attach(lower, &h->below);
	defer_ask(&h->start);
	return h;
}

struct tls_handshake *tls_client_start(struct stream *lower, struct tls_ctx *ctx,
				       const char *dialled, struct tls_user *user)
{
	return start(lower, NULL, ctx, dialled, user);
}

struct tls_handshake *tls_server_start(struct stream *lower, struct bufq *early,
				       struct tls_ctx *ctx, struct tls_user *user)
{
	return start(lower, early, ctx, NULL, user);
}

void tls_cancel(struct tls_handshake *h, int err)
{
	if (h->lower) {
		stream_want(h->lower, 0);
		stream_attach(h->lower, NULL);
		stream_close(h->lower, err);
	}
	dispose(h);
}
