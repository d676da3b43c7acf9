#include "net/reality_probe.h"

#include <limits.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "net/connect.h"
#include "net/tls_record.h"
#include "proto/proxyproto.h"

enum {
	HANDSHAKE_MS = 10000,
	KIND_CCS = REALITY_ALPNS, /* after the kinds of ALPN */
	KINDS,
};

/* How many change_cipher_spec records are sent, all in all, and what a refusal of them tells. */
static const struct {
	unsigned sent, limit;
} ccs_steps[] = {{2, 1}, {17, 16}, {33, 32}};

enum { CCS_STEPS = sizeof(ccs_steps) / sizeof(ccs_steps[0]) };

/* One question to the target. */
struct slot {
	struct reality_probes *owner;
	struct connect *connect;
	struct connect_user on_connect;
	struct stream *target;
	struct stream_user on_target;
	struct timer limit; /* of the handshake, then of listening */
	struct bufq in, out;
	SSL *ssl;
	size_t entry;
	uint64_t until_ms; /* when listening ends at the latest */
	size_t early; /* bytes that had come before our Finished went out: no tail */
	unsigned step; /* of ccs_steps, 0 before the first */
	bool busy, listening;
};

enum entry_state {
	ENTRY_TODO = 0,
	ENTRY_RUNNING,
	ENTRY_KNOWN,
	ENTRY_FAILED, /* becomes TODO again after a pause */
};

struct entry {
	struct reality_tail tail;
	unsigned ccs;
	enum entry_state state;
};

struct reality_probes {
	const struct conf_reality_server *conf;
	SSL_CTX *ctx;
	pthread_mutex_t lock; /* for what is found out */
	struct entry *entries; /* names times kinds */
	size_t n;
	struct loop *loop; /* NULL: not running */
	struct resolver *resolver;
	struct timer again;
	struct orphan orphan;
	struct slot slots[REALITY_PROBES_AT_ONCE];
};

static const char *const kind_names[KINDS] = {"no ALPN", "http/1.1", "h2", "h2, counting"};

static size_t kind_of(const struct slot *s)
{
	return s->entry % KINDS;
}

static const char *name_of(const struct slot *s)
{
	return s->owner->conf->names.v[s->entry / KINDS];
}

struct reality_probes *reality_probes_new(const struct conf_reality_server *c)
{
	struct reality_probes *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->conf = c;
	p->n = c->names.n * KINDS;
	p->entries = calloc(p->n ? p->n : 1, sizeof(*p->entries));
	p->ctx = SSL_CTX_new(TLS_client_method());
	/* The order that browsers have: a target that follows it makes tickets of their length. */
	if (!p->entries || !p->ctx || pthread_mutex_init(&p->lock, NULL) != 0 ||
	    SSL_CTX_set_min_proto_version(p->ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(p->ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
					     "TLS_CHACHA20_POLY1305_SHA256") != 1) {
		SSL_CTX_free(p->ctx);
		free(p->entries);
		free(p);
		return NULL;
	}
	SSL_CTX_set_verify(p->ctx, SSL_VERIFY_NONE, NULL);
	for (size_t i = 0; i < p->n; i++)
		p->entries[i].ccs = REALITY_CCS_MAX;
	return p;
}

void reality_probes_free(struct reality_probes *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->lock);
	SSL_CTX_free(p->ctx);
	free(p->entries);
	free(p);
}

struct reality_tail reality_probes_tail(struct reality_probes *p, size_t name,
					enum reality_alpn alpn)
{
	struct reality_tail t = {.n = 0};
	size_t i = name * KINDS + alpn;

	if (i >= p->n)
		return t;
	pthread_mutex_lock(&p->lock);
	t = p->entries[i].tail;
	pthread_mutex_unlock(&p->lock);
	return t;
}

unsigned reality_probes_ccs(struct reality_probes *p, size_t name)
{
	size_t i = name * KINDS + KIND_CCS;
	unsigned n;

	if (i >= p->n)
		return REALITY_CCS_MAX;
	pthread_mutex_lock(&p->lock);
	n = p->entries[i].ccs;
	pthread_mutex_unlock(&p->lock);
	return n;
}

/* ---- one probe ---- */

static void start_next(struct reality_probes *p);

static void slot_close(struct slot *s)
{
	connect_cancel(s->connect);
	s->connect = NULL;
	timer_stop(&s->limit);
	if (s->target) {
		stream_want(s->target, 0);
		stream_attach(s->target, NULL);
		stream_close(s->target, 0);
	}
	s->target = NULL;
	bufq_clear(&s->in);
	bufq_clear(&s->out);
	SSL_free(s->ssl);
	s->ssl = NULL;
	s->early = 0;
	s->step = 0;
	s->busy = s->listening = false;
}

static void log_tail(const struct slot *s)
{
	const struct reality_tail *t = &s->owner->entries[s->entry].tail;
	char text[REALITY_TAIL_MAX * 8] = "";
	size_t n = 0;

	for (unsigned i = 0; i < t->n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %u", t->len[i]);
	log_debug("reality", "after a handshake for \"%s\" with %s the target sends%s",
		  name_of(s), kind_names[kind_of(s)], t->n ? text : " nothing");
}

/* @why NULL: all went well. */
static void slot_end(struct slot *s, const char *why)
{
	struct reality_probes *p = s->owner;
	struct entry *e = &p->entries[s->entry];

	e->state = why ? ENTRY_FAILED : ENTRY_KNOWN;
	if (why)
		log_info("reality",
			 "the target's manners after a handshake for \"%s\" with %s are not known: "
			 "%s",
			 name_of(s), kind_names[kind_of(s)], why);
	else if (kind_of(s) != KIND_CCS)
		log_tail(s);
	slot_close(s);
	start_next(p);
}

static void note_record(struct slot *s, size_t total)
{
	struct reality_tail *t = &s->owner->entries[s->entry].tail;
	uint64_t now = loop_now(s->owner->loop);

	if (now + REALITY_PROBE_QUIET_MS < s->until_ms)
		timer_start(&s->limit, REALITY_PROBE_QUIET_MS);
	pthread_mutex_lock(&s->owner->lock);
	if (t->n < REALITY_TAIL_MAX)
		t->len[t->n++] = (uint16_t)total;
	pthread_mutex_unlock(&s->owner->lock);
}

/* What libssl wants to say. False when that cannot be said. */
static bool slot_flush(struct slot *s)
{
	uint8_t b[4096];
	int n;

	while ((n = BIO_read(SSL_get_wbio(s->ssl), b, sizeof(b))) > 0)
		if (bufq_append(&s->out, span_of(b, (size_t)n)) != 0)
			return false;
	if (!bufq_empty(&s->out) && stream_write(s->target, &s->out) < 0)
		return false;
	stream_want(s->target, STREAM_READ | (bufq_empty(&s->out) ? 0u : (unsigned)STREAM_WRITE));
	return true;
}

/* ---- how many change_cipher_spec records it takes ---- */

/* The answer; from here on the target sees a client who has finished and leaves. */
static void ccs_known(struct slot *s, unsigned limit)
{
	struct reality_probes *p = s->owner;

	pthread_mutex_lock(&p->lock);
	p->entries[s->entry].ccs = limit;
	pthread_mutex_unlock(&p->lock);
	if (limit == UINT_MAX)
		log_debug("reality", "for \"%s\" the target takes any number of change_cipher_spec",
			  name_of(s));
	else
		log_debug("reality", "for \"%s\" the target takes %u change_cipher_spec", name_of(s),
			  limit);
	if (limit == UINT_MAX)
		slot_flush(s);
	slot_end(s, NULL);
}

static void ccs_next(struct slot *s)
{
	static const uint8_t record[] = {TLS_TYPE_CCS, 3, 3, 0, 1, 1};
	unsigned sent = s->step ? ccs_steps[s->step - 1].sent : 0;

	if (s->step == CCS_STEPS) {
		ccs_known(s, UINT_MAX);
		return;
	}
	for (; sent < ccs_steps[s->step].sent; sent++)
		bufq_append(&s->out, span_of(record, sizeof(record)));
	s->step++;
	if (stream_write(s->target, &s->out) < 0) {
		slot_end(s, "it hung up");
		return;
	}
	stream_want(s->target, STREAM_READ | (bufq_empty(&s->out) ? 0u : (unsigned)STREAM_WRITE));
	timer_start(&s->limit, REALITY_CCS_MS);
}

/* An alert among what has come; protected ones are known by their length. */
static bool heard_alert(struct slot *s)
{
	enum { SEALED_ALERT = TLS_HEADER_LEN + 2 + 1 + TLS_TAG_LEN };
	uint8_t type = 0;
	ssize_t n;

	while ((n = tls_record_ready(&s->in)) > 0) {
		bufq_peek(&s->in, &type, 1);
		if (type == TLS_TYPE_ALERT || (type == TLS_TYPE_DATA && n == SEALED_ALERT))
			return true;
		bufq_drop(&s->in, (size_t)n);
	}
	return false;
}

/* A target that only hangs up has run out of patience with clients that do not finish. */
static void on_counting(struct slot *s, unsigned events)
{
	bool gone = !bufq_empty(&s->out) && stream_write(s->target, &s->out) < 0;

	if (events & STREAM_READ)
		gone |= stream_read(s->target, &s->in, STREAM_READ_MAX) < 0;
	if (heard_alert(s))
		ccs_known(s, ccs_steps[s->step - 1].limit);
	else if (gone)
		slot_end(s, "it hung up");
	else
		stream_want(s->target,
			    STREAM_READ | (bufq_empty(&s->out) ? 0u : (unsigned)STREAM_WRITE));
}

/* ---- the handshake, and what comes after it ---- */

static void start_listening(struct slot *s, size_t total)
{
	s->listening = true;
	s->early = s->in.len - total;
	pthread_mutex_lock(&s->owner->lock);
	s->owner->entries[s->entry].tail.n = 0;
	pthread_mutex_unlock(&s->owner->lock);
	s->until_ms = loop_now(s->owner->loop) + REALITY_PROBE_MS;
	timer_start(&s->limit, REALITY_PROBE_QUIET_MS);
}

/* A record of the target's handshake. False when that has failed. */
static bool take_handshake(struct slot *s, struct span rec)
{
	bool fine = BIO_write(SSL_get_rbio(s->ssl), rec.p, (int)rec.n) == (int)rec.n;
	int got = fine ? SSL_do_handshake(s->ssl) : -1;

	if (got != 1 && SSL_get_error(s->ssl, got) != SSL_ERROR_WANT_READ)
		return false;
	if (got == 1 && kind_of(s) == KIND_CCS) {
		s->listening = true;
		return true; /* the Finished stays where it is */
	}
	if (!slot_flush(s))
		return false;
	if (got == 1)
		start_listening(s, rec.n);
	return true;
}

/* A complete record of @total bytes in front of s->in. False when the handshake has failed. */
static bool take_record(struct slot *s, size_t total)
{
	struct span rec = bufq_pullup(&s->in, total);
	bool fine = rec.n == total;

	if (fine && s->early > 0) {
		s->early -= total < s->early ? total : s->early;
	} else if (fine && s->listening) {
		if (rec.p[0] == TLS_TYPE_DATA)
			note_record(s, total);
	} else if (fine) {
		fine = take_handshake(s, rec);
	}
	bufq_drop(&s->in, total);
	return fine;
}

static void on_target_event(struct stream_user *u, struct stream *target, unsigned events)
{
	struct slot *s = container_of(u, struct slot, on_target);
	ssize_t n;

	if (s->step > 0) {
		on_counting(s, events);
		return;
	}
	if (!slot_flush(s)) {
		slot_end(s, "the connection broke");
		return;
	}
	if (!(events & STREAM_READ))
		return;
	n = stream_read(target, &s->in, STREAM_READ_MAX);
	if (n < 0) {
		slot_end(s, s->listening ? NULL : "it hung up during the handshake");
		return;
	}
	while ((n = tls_record_ready(&s->in)) > 0) {
		if (!take_record(s, (size_t)n)) {
			slot_end(s, "the handshake failed");
			return;
		}
	}
	if (n < 0)
		slot_end(s, "it does not speak TLS");
	else if (kind_of(s) == KIND_CCS && s->listening && s->step == 0)
		ccs_next(s);
}

static void on_limit(struct timer *t)
{
	struct slot *s = container_of(t, struct slot, limit);

	if (s->step > 0)
		ccs_next(s);
	else
		slot_end(s, s->listening ? NULL : "it did not answer in time");
}

static bool slot_tls(struct slot *s)
{
	static const uint8_t http1[] = "\x08http/1.1", h2[] = "\x02h2\x08http/1.1";
	char name[ADDR_NAME_MAX + 1]; /* libssl takes no const one */
	size_t kind = kind_of(s);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	bool fine = true;
	int got;

	s->ssl = SSL_new(s->owner->ctx);
	if (!s->ssl || !in || !out) {
		BIO_free(in);
		BIO_free(out);
		return false;
	}
	snprintf(name, sizeof(name), "%s", name_of(s));
	SSL_set_bio(s->ssl, in, out);
	SSL_set_connect_state(s->ssl);
	if (*name)
		fine = SSL_set_tlsext_host_name(s->ssl, name) == 1;
	if (kind == REALITY_ALPN_OTHER)
		fine = fine && SSL_set_alpn_protos(s->ssl, http1, sizeof(http1) - 1) == 0;
	else if (kind != REALITY_ALPN_NONE)
		fine = fine && SSL_set_alpn_protos(s->ssl, h2, sizeof(h2) - 1) == 0;
	got = fine ? SSL_do_handshake(s->ssl) : 0;
	return fine && SSL_get_error(s->ssl, got) == SSL_ERROR_WANT_READ && slot_flush(s);
}

static void put_proxy_header(struct slot *s)
{
	struct proxyproto p = {.version = s->owner->conf->xver}; /* for ourselves */
	uint8_t b[PROXYPROTO_ENCODE_MAX];
	struct wr w = wr_of(b, sizeof(b));

	if (p.version && proxyproto_encode(&w, &p) == 0)
		bufq_append(&s->out, span_of(b, w.n));
}

static void on_connect(struct connect_user *u, struct connect *c, const struct connect_result *res)
{
	struct slot *s = container_of(u, struct slot, on_connect);

	(void)c;
	s->connect = NULL;
	if (res->err) {
		slot_end(s, res->why);
		return;
	}
	s->target = res->stream;
	s->on_target.on_event = on_target_event;
	stream_attach(s->target, &s->on_target);
	timer_start(&s->limit, HANDSHAKE_MS);
	put_proxy_header(s);
	if (!slot_tls(s))
		slot_end(s, "libssl refuses");
}

static void slot_start(struct slot *s, size_t entry)
{
	struct reality_probes *p = s->owner;
	struct connect_req req = {.to = p->conf->target, .opts = p->conf->own};

	if (*p->conf->target_unix)
		req.path = p->conf->target_unix;
	s->entry = entry;
	s->on_connect.on_connect = on_connect;
	s->connect = connect_start(p->loop, p->resolver, &req, &s->on_connect);
	s->busy = s->connect != NULL;
	p->entries[entry].state = s->busy ? ENTRY_RUNNING : ENTRY_FAILED;
}

/* ---- all of them ---- */

/* Fills the free slots; when there is nothing left to do, what has failed waits for its turn. */
static void start_next(struct reality_probes *p)
{
	bool busy = false, failed = false;
	size_t at = 0;

	for (size_t i = 0; i < REALITY_PROBES_AT_ONCE; i++) {
		while (!p->slots[i].busy && at < p->n) {
			if (p->entries[at].state == ENTRY_TODO)
				slot_start(&p->slots[i], at);
			at++;
		}
		busy |= p->slots[i].busy;
	}
	for (size_t i = 0; i < p->n; i++)
		failed |= p->entries[i].state == ENTRY_FAILED;
	if (!busy && failed)
		timer_start(&p->again, REALITY_PROBE_RETRY_MS);
}

static void on_again(struct timer *t)
{
	struct reality_probes *p = container_of(t, struct reality_probes, again);

	for (size_t i = 0; i < p->n; i++)
		if (p->entries[i].state == ENTRY_FAILED)
			p->entries[i].state = ENTRY_TODO;
	start_next(p);
}

static void on_loop_end(struct orphan *o)
{
	reality_probes_stop(container_of(o, struct reality_probes, orphan));
}

void reality_probes_start(struct reality_probes *p, struct loop *l, struct resolver *r)
{
	p->loop = l;
	p->resolver = r;
	p->orphan.end = on_loop_end;
	loop_adopt(l, &p->orphan);
	timer_init(&p->again, l, on_again);
	for (size_t i = 0; i < REALITY_PROBES_AT_ONCE; i++) {
		struct slot *s = &p->slots[i];

		memset(s, 0, sizeof(*s));
		s->owner = p;
		timer_init(&s->limit, l, on_limit);
	}
	/* Not at once: the target may be another inbound of ours, which is still to be opened. */
	timer_start(&p->again, REALITY_PROBE_DELAY_MS);
}

void reality_probes_stop(struct reality_probes *p)
{
	if (!p->loop)
		return;
	loop_disown(&p->orphan);
	timer_stop(&p->again);
	for (size_t i = 0; i < REALITY_PROBES_AT_ONCE; i++)
		slot_close(&p->slots[i]);
	p->loop = NULL;
}
