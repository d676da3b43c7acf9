#include "net/ocsp_staple.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "net/connect.h"
#include "net/http_call.h"
#include "net/ocsp.h"
#include "net/tls_cert.h"

enum { HEAD_MAX = OCSP_PATH_MAX + ADDR_TEXT_MAX + 256, STATUS_OK = 200 };

/* One certificate. Exactly one of timer, connect and call is at work. */
struct task {
	struct ocsp_stapler *o;
	struct tls_pair *pair; /* NULL: no certificate here */
	uint32_t every_s;
	bool failed; /* and that has been said */
	struct ocsp_place place;
	struct timer timer;
	struct connect *connect;
	struct connect_user on_connect;
	struct http_call *call;
	struct http_call_user on_call;
};

struct ocsp_stapler {
	struct ocsp_terms terms;
	size_t max;
	struct task tasks[];
};

static X509 *leaf_of(const struct task *t)
{
	return SSL_CTX_get0_certificate(t->pair->ctx);
}

/* The first certificate behind the leaf, if it is its issuer's. */
static X509 *issuer_of(const struct task *t)
{
	STACK_OF(X509) *chain = NULL;
	X509 *x;

	SSL_CTX_get0_chain_certs(t->pair->ctx, &chain);
	x = chain && sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : NULL;
	return x && X509_check_issued(x, leaf_of(t)) == X509_V_OK ? x : NULL;
}

static const char *name_of(const struct task *t)
{
	return t->pair->n_names ? t->pair->names[0] : "a certificate without a name";
}

static void again(struct task *t, uint64_t in_s)
{
	timer_start(&t->timer, in_s * 1000);
}

static void give_up(struct task *t, const char *why)
{
	uint32_t s = t->every_s;

	log_line(t->failed ? LOG_DEBUG : LOG_WARN, 0, "tls", "no OCSP answer for %s: %s", name_of(t),
		 why);
	t->failed = true;
	s = s < OCSP_RETRY_MIN_S ? OCSP_RETRY_MIN_S : s > OCSP_RETRY_MAX_S ? OCSP_RETRY_MAX_S : s;
	again(t, s);
}

static void judge(struct task *t, struct span der)
{
	const char *why;
	time_t until;

	if (ocsp_answer_check(der, leaf_of(t), issuer_of(t), &until, &why) != 0) {
		give_up(t, why);
		return;
	}
	tls_pair_staple(t->pair, der, until);
	log_line(t->failed ? LOG_INFO : LOG_DEBUG, 0, "tls", "OCSP answer for %s: good", name_of(t));
	t->failed = false;
	again(t, t->every_s);
}

static void on_call(struct http_call_user *u, struct stream *s, const struct http_answer *a)
{
	struct task *t = container_of(u, struct task, on_call);
	char why[64];

	t->call = NULL;
	stream_close(s, 0);
	if (a->err) {
		give_up(t, a->why ? a->why : err_name(a->err));
	} else if (a->status != STATUS_OK) {
		snprintf(why, sizeof(why), "the responder says %u", a->status);
		give_up(t, why);
	} else {
		judge(t, a->body);
	}
}

/* The whole request into memory that the caller frees; its length in *@n. */
static uint8_t *request(const struct task *t, size_t *n)
{
	char host[ADDR_TEXT_MAX];
	uint8_t *der, *all;
	size_t len;
	int head;

	if (ocsp_question(&der, &len, leaf_of(t), issuer_of(t)) != 0)
		return NULL;
	all = malloc(HEAD_MAX + len);
	if (all) {
		head = snprintf((char *)all, HEAD_MAX,
				"POST %s HTTP/1.1\r\nHost: %s\r\n"
				"Content-Type: application/ocsp-request\r\n"
				"Content-Length: %zu\r\nConnection: close\r\n\r\n",
				t->place.path, addr_text(&t->place.at, host, sizeof(host)), len);
		memcpy(all + head, der, len);
		*n = (size_t)head + len;
	}
	OPENSSL_free(der);
	return all;
}

static void on_connect(struct connect_user *u, struct connect *c, const struct connect_result *res)
{
	struct task *t = container_of(u, struct task, on_connect);
	uint8_t *all;
	size_t n;

	(void)c;
	t->connect = NULL;
	if (!res->stream) {
		give_up(t, res->why ? res->why : err_name(res->err));
		return;
	}
	all = request(t, &n);
	if (!all) {
		stream_close(res->stream, 0);
		give_up(t, "out of memory");
		return;
	}
	t->on_call.on_done = on_call;
	t->call = http_call_start(res->stream, span_of(all, n), OCSP_ANSWER_MAX, OCSP_TIMEOUT_MS,
				  &t->on_call);
	free(all);
	if (!t->call)
		give_up(t, "out of memory");
}

static void ask(struct task *t)
{
	struct connect_req req = {.opts = t->o->terms.opts};

	if (ocsp_place(&t->place, leaf_of(t)) != 0) {
		give_up(t, "it names no responder that is asked by plain HTTP");
		return;
	}
	if (!issuer_of(t)) {
		give_up(t, "its issuer's certificate is not behind it in the file");
		return;
	}
	req.to = t->place.at;
	t->on_connect.on_connect = on_connect;
	t->connect = connect_start(t->o->terms.loop, t->o->terms.resolver, &req, &t->on_connect);
	if (!t->connect)
		give_up(t, "out of memory");
}

static void on_time(struct timer *timer)
{
	ask(container_of(timer, struct task, timer));
}

static void stop(struct task *t)
{
	timer_stop(&t->timer);
	connect_cancel(t->connect);
	if (t->call)
		http_call_cancel(t->call);
	tls_pair_unref(t->pair);
	t->connect = NULL;
	t->call = NULL;
	t->pair = NULL;
	t->failed = false;
}

struct ocsp_stapler *ocsp_stapler_new(const struct ocsp_terms *terms, size_t max)
{
	struct ocsp_stapler *o = calloc(1, sizeof(*o) + max * sizeof(o->tasks[0]));

	if (!o)
		return NULL;
	o->terms = *terms;
	o->max = max;
	for (size_t i = 0; i < max; i++) {
		o->tasks[i].o = o;
		timer_init(&o->tasks[i].timer, terms->loop, on_time);
	}
	return o;
}

void ocsp_stapler_free(struct ocsp_stapler *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->max; i++)
		stop(&o->tasks[i]);
	free(o);
}

void ocsp_stapler_set(struct ocsp_stapler *o, size_t i, struct tls_pair *p, uint32_t every_s)
{
	struct task *t = &o->tasks[i];

	if (t->pair == p)
		return;
	stop(t);
	t->pair = tls_pair_ref(p);
	t->every_s = every_s;
	again(t, 0);
}
