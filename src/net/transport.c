#include "net/transport.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "net/reality_server.h"
#include "net/stream_front.h"
#include "net/stream_tls.h"
#include "net/tls_ctx.h"
#include "proto/proxyproto.h"

enum { LOG_BURST = 10, LOG_EVERY_S = 10 };

_Static_assert((int)TRANSPORT_WHY_MAX == (int)TLS_CTX_WHY_MAX, "one size for causes");

/* What one loop does for one listener; touched by that loop's thread alone. */
struct lane {
	struct list jobs; /* the oldest first */
	size_t n;
	struct log_rate log;
};

struct transport_server {
	const struct conf_stream *conf;
	struct tls_ctx *tls; /* NULL without */
	struct reality_server *reality; /* NULL without */
	struct lane lanes[TRANSPORT_LOOPS_MAX];
};

/* One connection until it is ready. */
struct job {
	struct transport_server *t;
	struct lane *lane;
	struct loop *loop;
	struct list node; /* lane->jobs */
	struct stream *lower; /* while the PROXY header is awaited */
	struct stream_user on_lower;
	struct bufq in;
	struct tls_handshake *tls;
	struct tls_user on_tls;
	struct reality_accept *reality;
	struct reality_user on_reality;
	struct timer deadline;
	struct defer evicted;
	struct orphan orphan;
	struct garbage garbage;
	struct transport_user *user;
	struct transport_info info;
};

struct transport_server *transport_server_new(const struct conf_stream *c, char *why)
{
	struct transport_server *t = calloc(1, sizeof(*t));

	if (!t) {
		memcpy(why, "out of memory", sizeof("out of memory"));
		return NULL;
	}
	t->conf = c;
	for (size_t i = 0; i < TRANSPORT_LOOPS_MAX; i++)
		list_init(&t->lanes[i].jobs);
	if (c->security == CONF_SEC_TLS) {
		t->tls = tls_ctx_new_server(c->tls, why);
		if (!t->tls) {
			free(t);
			return NULL;
		}
	}
	if (c->security == CONF_SEC_REALITY) {
		t->reality = reality_server_new(c->reality, why);
		if (!t->reality) {
			free(t);
			return NULL;
		}
	}
	return t;
}

void transport_server_free(struct transport_server *t)
{
	if (!t)
		return;
	tls_ctx_free(t->tls);
	reality_server_free(t->reality);
	free(t);
}

void transport_server_watch(struct transport_server *t, struct loop *l, struct resolver *r,
			    const struct conf_sockopt *opts)
{
	if (t->reality)
		reality_server_watch(t->reality, l, r);
	if (t->tls)
		tls_ctx_watch(t->tls, l, r, opts);
}

void transport_server_unwatch(struct transport_server *t)
{
	if (t->tls)
		tls_ctx_unwatch(t->tls);
	if (t->reality)
		reality_server_unwatch(t->reality);
}

void transport_server_renew(struct transport_server *t, const struct conf_stream *c)
{
	if (t->reality)
		reality_server_renew(t->reality, c->reality);
}

size_t transport_server_busy(const struct transport_server *t, unsigned loop_id)
{
	return t->lanes[loop_id].n;
}

static void job_destroy(struct garbage *g)
{
	free(container_of(g, struct job, garbage));
}

/* Whatever is still open is closed with @err. */
static void job_dispose(struct job *j, int err)
{
	if (j->tls)
		tls_cancel(j->tls, err);
	if (j->reality)
		reality_accept_cancel(j->reality, err);
	if (j->lower) {
		stream_want(j->lower, 0);
		stream_attach(j->lower, NULL);
		stream_close(j->lower, err);
	}
	j->tls = NULL;
	j->reality = NULL;
	j->lower = NULL;
	bufq_clear(&j->in);
	timer_stop(&j->deadline);
	defer_cancel(&j->evicted);
	loop_disown(&j->orphan);
	if (!list_empty(&j->node)) {
		list_del(&j->node);
		j->lane->n--;
	}
	j->garbage.destroy = job_destroy;
	loop_free_later(j->loop, &j->garbage);
}

static void log_failure(struct job *j, int err, const char *why)
{
	char source[ADDR_TEXT_MAX];
	uint32_t muted;

	if (err == -ERR_CLOSED || !log_on(LOG_INFO) ||
	    !log_rate_pass(&j->lane->log, loop_now(j->loop), LOG_BURST, LOG_EVERY_S, &muted))
		return;
	ipport_text(&j->info.source, source, sizeof(source));
	log_info("transport", "%s: %s%s%s", source, err_name(err), why ? ": " : "", why ? why : "");
	if (muted)
		log_info("transport", "%u more such lines were left out", muted);
}

static void job_fail(struct job *j, int err, const char *why)
{
	struct transport_user *user = j->user;

	log_failure(j, err, why);
	job_dispose(j, err);
	user->on_ready(user, NULL, NULL, err, why);
}

static void job_succeed(struct job *j, struct stream *s)
{
	struct transport_user *user = j->user;

	job_dispose(j, 0);
	user->on_ready(user, s, &j->info, 0, NULL);
}

static void on_tls(struct tls_user *u, struct stream *s, const struct tls_info *info, int err,
		   const char *why)
{
	struct job *j = container_of(u, struct job, on_tls);

	j->tls = NULL;
	if (!s) {
		job_fail(j, err, why);
		return;
	}
	j->info.sni = info->sni;
	j->info.alpn = info->alpn;
	j->info.tls_version = info->version;
	job_succeed(j, s);
}

static void job_stranger(struct job *j, const struct reality_result *res)
{
	struct transport_user *user = j->user;

	job_dispose(j, 0);
	if (user->on_stranger) {
		user->on_stranger(user, res->client, res->target, res->early);
		return;
	}
	stream_close(res->client, 0);
	stream_close(res->target, 0);
	user->on_ready(user, NULL, NULL, -ERR_AUTH, "not one of ours");
}

static void on_reality(struct reality_user *u, const struct reality_result *res)
{
	struct job *j = container_of(u, struct job, on_reality);

	j->reality = NULL;
	if (res->client) {
		job_stranger(j, res);
		return;
	}
	if (!res->ours) {
		job_fail(j, res->err, res->why);
		return;
	}
	j->info.sni = res->info->sni;
	j->info.alpn = res->info->alpn;
	j->info.tls_version = res->info->version;
	job_succeed(j, res->ours);
}

static void job_reality(struct job *j, struct stream *lower)
{
	struct reality_peer peer = {
		.source = j->info.source, .local = j->info.local, .resolver = j->user->resolver};

	j->on_reality.on_done = on_reality;
	j->reality = reality_accept_start(j->t->reality, lower, &j->in, &peer, &j->on_reality);
	if (!j->reality)
		job_fail(j, -ERR_NOMEM, "out of memory");
}

/* The connection's own first byte is next. */
static void job_secure(struct job *j)
{
	struct stream *lower = j->lower;

	j->lower = NULL;
	stream_want(lower, 0);
	stream_attach(lower, NULL);
	if (j->t->reality) {
		job_reality(j, lower);
		return;
	}
	if (!j->t->tls) {
		struct stream *s = stream_front_new(lower, &j->in);

		if (s)
			job_succeed(j, s);
		else
			job_fail(j, -ERR_NOMEM, "out of memory");
		return;
	}
	j->on_tls.on_done = on_tls;
	j->tls = tls_server_start(lower, &j->in, j->t->tls, &j->on_tls);
	if (!j->tls)
		job_fail(j, -ERR_NOMEM, "out of memory");
}

/* Looks for the PROXY header in front of j->in. 1 found, 0 more is needed, -ERR_*. */
static int take_header(struct job *j)
{
	struct proxyproto p;
	ssize_t n = proxyproto_decode(&p, bufq_pullup(&j->in, PROXYPROTO_DECODE_MAX));

	if (n <= 0)
		return (int)n;
	bufq_drop(&j->in, (size_t)n);
	if (p.transport == PROXYPROTO_STREAM) {
		j->info.source = p.source;
		j->info.local = p.target;
		j->info.proxied = true;
	}
	return 1;
}

static void on_lower_event(struct stream_user *u, struct stream *lower, unsigned events)
{
	struct job *j = container_of(u, struct job, on_lower);
	ssize_t n = stream_read(lower, &j->in, PROXYPROTO_DECODE_MAX);

	(void)events;
	if (n < 0) {
		job_fail(j, n == -ERR_EOF || n == -ERR_END ? -ERR_RESET : (int)n,
			 "closed before a PROXY header was complete");
		return;
	}
	n = take_header(j);
	if (n < 0)
		job_fail(j, (int)n, "no PROXY header, which acceptProxyProtocol asks for");
	else if (n > 0)
		job_secure(j);
}

static void on_deadline(struct timer *t)
{
	struct job *j = container_of(t, struct job, deadline);

	if (j->reality)
		reality_accept_yield(j->reality, -ERR_TIMEOUT);
	else
		job_fail(j, -ERR_TIMEOUT, "the handshake was not finished in time");
}

static void on_evicted(struct defer *d)
{
	struct job *j = container_of(d, struct job, evicted);

	if (j->reality)
		reality_accept_yield(j->reality, -ERR_LIMIT);
	else
		job_fail(j, -ERR_LIMIT, "too many handshakes, this was the oldest");
}

static void on_loop_over(struct orphan *o)
{
	job_fail(container_of(o, struct job, orphan), -ERR_CLOSED, "stopping");
}

/* The oldest makes room. Its user hears of it later: this is another connection's turn. */
static void evict_oldest(struct lane *lane)
{
	struct job *j = list_first(&lane->jobs, struct job, node);

	list_del(&j->node);
	lane->n--;
	timer_stop(&j->deadline);
	defer_ask(&j->evicted);
}

static struct job *job_new(struct transport_server *t, struct stream *lower,
			   struct transport_user *user)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->t = t;
	j->loop = lower->loop;
	j->lane = &t->lanes[loop_id(j->loop)];
	j->lower = lower;
	j->user = user;
	j->info.sni = j->info.alpn = "";
	timer_init(&j->deadline, j->loop, on_deadline);
	defer_init(&j->evicted, j->loop, on_evicted);
	list_init(&j->garbage.node);
	j->orphan.end = on_loop_over;
	loop_adopt(j->loop, &j->orphan);
	if (j->lane->n >= TRANSPORT_SLOTS)
		evict_oldest(j->lane);
	list_add_tail(&j->lane->jobs, &j->node);
	j->lane->n++;
	timer_start(&j->deadline, TRANSPORT_DEADLINE_MS);
	return j;
}

void transport_server_accept(struct transport_server *t, struct stream *lower,
			     const struct ipport *source, const struct ipport *local,
			     struct transport_user *user)
{
	struct transport_info plain = {.source = *source, .local = *local, .sni = "", .alpn = ""};
	struct job *j;

	if (!t->tls && !t->reality && !t->conf->accept_proxy) {
		user->on_ready(user, lower, &plain, 0, NULL);
		return;
	}
	j = job_new(t, lower, user);
	if (!j) {
		stream_close(lower, -ERR_NOMEM);
		user->on_ready(user, NULL, NULL, -ERR_NOMEM, "out of memory");
		return;
	}
	j->info.source = *source;
	j->info.local = *local;
	if (!t->conf->accept_proxy) {
		job_secure(j);
		return;
	}
	j->on_lower.on_event = on_lower_event;
	stream_attach(lower, &j->on_lower);
	stream_want(lower, STREAM_READ);
}

/* ---- the client's side ---- */

struct transport_client {
	struct tls_ctx *tls; /* NULL without */
};

struct transport_dial {
	struct loop *loop;
	struct stream *plain; /* without TLS: only waiting for its turn */
	struct tls_handshake *tls;
	struct tls_user on_tls;
	struct timer deadline;
	struct defer turn;
	struct garbage garbage;
	struct transport_user *user;
};

struct transport_client *transport_client_new(const struct conf_stream *c, char *why)
{
	struct transport_client *t = calloc(1, sizeof(*t));

	if (!t) {
		memcpy(why, "out of memory", sizeof("out of memory"));
		return NULL;
	}
	if (c->security == CONF_SEC_NONE)
		return t;
	t->tls = c->security == CONF_SEC_REALITY ? tls_ctx_new_reality(c->reality_out, why)
						 : tls_ctx_new_client(c->tls, why);
	if (!t->tls) {
		free(t);
		return NULL;
	}
	return t;
}

void transport_client_free(struct transport_client *t)
{
	if (!t)
		return;
	tls_ctx_free(t->tls);
	free(t);
}

static void dial_destroy(struct garbage *g)
{
	free(container_of(g, struct transport_dial, garbage));
}

static void dial_dispose(struct transport_dial *d, int err)
{
	if (d->tls)
		tls_cancel(d->tls, err);
	stream_close(d->plain, err);
	d->tls = NULL;
	d->plain = NULL;
	timer_stop(&d->deadline);
	defer_cancel(&d->turn);
	d->garbage.destroy = dial_destroy;
	loop_free_later(d->loop, &d->garbage);
}

static void on_dial_tls(struct tls_user *u, struct stream *s, const struct tls_info *info, int err,
			const char *why)
{
	struct transport_dial *d = container_of(u, struct transport_dial, on_tls);
	struct transport_user *user = d->user;

	d->tls = NULL;
	dial_dispose(d, err);
	if (s) {
		struct transport_info ready = {
			.sni = info->sni, .alpn = info->alpn, .tls_version = info->version};

		user->on_ready(user, s, &ready, 0, NULL);
	} else {
		user->on_ready(user, NULL, NULL, err, why);
	}
}

static void on_dial_plain(struct defer *def)
{
	struct transport_dial *d = container_of(def, struct transport_dial, turn);
	struct transport_info ready = {.sni = "", .alpn = ""};
	struct transport_user *user = d->user;
	struct stream *s = d->plain;

	d->plain = NULL;
	dial_dispose(d, 0);
	user->on_ready(user, s, &ready, 0, NULL);
}

static void on_dial_deadline(struct timer *t)
{
	struct transport_dial *d = container_of(t, struct transport_dial, deadline);
	struct transport_user *user = d->user;

	dial_dispose(d, -ERR_TIMEOUT);
	user->on_ready(user, NULL, NULL, -ERR_TIMEOUT, "the TLS handshake was not finished in time");
}

struct transport_dial *transport_client_start(struct transport_client *t, struct stream *lower,
					      const char *host, struct transport_user *user)
{
	struct transport_dial *d = calloc(1, sizeof(*d));

	if (!d) {
		stream_close(lower, -ERR_NOMEM);
		return NULL;
	}
	d->loop = lower->loop;
	d->user = user;
	d->on_tls.on_done = on_dial_tls;
	timer_init(&d->deadline, d->loop, on_dial_deadline);
	defer_init(&d->turn, d->loop, on_dial_plain);
	list_init(&d->garbage.node);
	if (!t->tls) {
		d->plain = lower;
		defer_ask(&d->turn);
		return d;
	}
	d->tls = tls_client_start(lower, t->tls, host, &d->on_tls);
	if (!d->tls) {
		free(d);
		return NULL;
	}
	timer_start(&d->deadline, TRANSPORT_DEADLINE_MS);
	return d;
}

void transport_cancel(struct transport_dial *d)
{
	dial_dispose(d, -ERR_CLOSED);
}
