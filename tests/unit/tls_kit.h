/*
 * What the tests of TLS share: certificates made on the spot, settings, two
 * kinds of ends (one of our streams; a plain OpenSSL peer) that send a known
 * pattern and check what they get, and turning a loop until something is so.
 */
#ifndef TESTS_TLS_KIT_H
#define TESTS_TLS_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "net/stream_tcp.h"
#include "net/stream_tls.h"
#include "net/tls_ctx.h"

#define KIT_UNUSED __attribute__((unused))

/* ---- certificates ---- */

struct kit_cert {
	X509 *x;
	EVP_PKEY *key;
	char *cert_pem, *key_pem;
};

struct kit_cert_spec {
	const char *cn;
	const char *san; /* "DNS:a.test,IP:127.0.0.1", or NULL */
	const char *key;	       /* "P-384", "RSA", "ED25519"; NULL: P-256 */
	const struct kit_cert *issuer; /* NULL: signs itself */
	bool ca;
	long from_s, to_s; /* relative to now; both 0: one hour back to one day ahead */
};

KIT_UNUSED static char *kit_pem(X509 *x, EVP_PKEY *key)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *at, *out;
	long n;

	if (x)
		PEM_write_bio_X509(b, x);
	else
		PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
	n = BIO_get_mem_data(b, &at);
	out = calloc(1, (size_t)n + 1);
	memcpy(out, at, (size_t)n);
	BIO_free(b);
	return out;
}

KIT_UNUSED static void kit_extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX v;
	X509_EXTENSION *e;

	X509V3_set_ctx(&v, x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &v, nid, value);
	assert_non_null(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

static inline EVP_PKEY *kit_key(const char *kind)
{
	if (kind && strcmp(kind, "RSA") == 0)
		return EVP_RSA_gen(2048);
	if (kind && strcmp(kind, "ED25519") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	return EVP_EC_gen(kind ? kind : "P-256");
}

KIT_UNUSED static struct kit_cert kit_cert_make(const struct kit_cert_spec *spec)
{
	static long serial = 1;
	struct kit_cert c = {.x = X509_new(), .key = kit_key(spec->key)};
	X509_NAME *name = X509_get_subject_name(c.x);

	assert_non_null(c.key);
	X509_set_version(c.x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x), serial++);
	X509_gmtime_adj(X509_getm_notBefore(c.x), spec->to_s ? spec->from_s : -3600);
	X509_gmtime_adj(X509_getm_notAfter(c.x), spec->to_s ? spec->to_s : 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)spec->cn, -1,
				   -1, 0);
	X509_set_issuer_name(c.x, spec->issuer ? X509_get_subject_name(spec->issuer->x) : name);
	X509_set_pubkey(c.x, c.key);
	kit_extension(c.x, NID_basic_constraints, spec->ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (spec->san)
		kit_extension(c.x, NID_subject_alt_name, spec->san);
	EVP_PKEY *by = spec->issuer ? spec->issuer->key : c.key;
	X509_sign(c.x, by, EVP_PKEY_is_a(by, "ED25519") ? NULL : EVP_sha256());
	c.cert_pem = kit_pem(c.x, NULL);
	c.key_pem = kit_pem(NULL, c.key);
	return c;
}

KIT_UNUSED static void kit_cert_free(struct kit_cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
	free(c->cert_pem);
	free(c->key_pem);
	memset(c, 0, sizeof(*c));
}

KIT_UNUSED static struct conf_pin kit_pin(const struct kit_cert *c)
{
	struct conf_pin p;
	unsigned n = sizeof(p.sha256);

	X509_digest(c->x, EVP_sha256(), p.sha256, &n);
	return p;
}

/* ---- settings ---- */

static const char *const kit_alpn_default[] = {"h2", "http/1.1"};

KIT_UNUSED static struct conf_tls kit_conf(void)
{
	return (struct conf_tls){.server_name = "",
				 .alpn = {kit_alpn_default, 2},
				 .disable_system_root = true,
				 .master_key_log = ""};
}

KIT_UNUSED static struct conf_cert kit_conf_cert(const struct kit_cert *c,
						 enum conf_cert_usage usage)
{
	return (struct conf_cert){.at = {"test", 1, "certificates[0]"},
				  .usage = usage,
				  .cert_file = "",
				  .key_file = "",
				  .cert_pem = c->cert_pem,
				  .key_pem = usage == CONF_CERT_SERVE ? c->key_pem : ""};
}

/* ---- the loop ---- */

KIT_UNUSED static void kit_turn(struct loop *l)
{
	ev_run(loop_ev(l), EVRUN_NOWAIT);
}

/* Gives up after a number of idle turns; a watchdog ends a test that hangs. */
#define kit_until(l, cond) \
	do { \
		alarm(120); \
		while (!(cond)) \
			kit_turn(l); \
		alarm(0); \
	} while (0)

KIT_UNUSED static void kit_pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
}

/* ---- the pattern ---- */

static inline uint8_t kit_byte(uint64_t i, unsigned seed)
{
	return (uint8_t)(i * 131 + (i >> 8) * 17 + (i >> 16) * 7 + seed);
}

/* ---- an end made of one of our streams ---- */

struct kit_end {
	struct tls_user done;
	struct stream_user user;
	struct loop *loop;
	struct tls_handshake *hs;
	struct stream *s;
	bool finished; /* the handshake, one way or the other */
	int err;
	char why[300];
	unsigned version;
	bool resumed, fast;
	char alpn[64], sni[256];
	/* sending */
	unsigned seed;
	uint64_t to_send, sent;
	size_t chunk; /* size of the bufs that are written */
	bool shut_after, shut;
	struct bufq tx;
	/* receiving */
	uint64_t received;
	size_t read_max;
	bool paused, eof;
	int read_err;
	unsigned wrong;
};

KIT_UNUSED static void kit_end_wants(struct kit_end *e)
{
	unsigned w = 0;

	if (!e->s)
		return;
	if (!e->paused && !e->eof && !e->read_err)
		w |= STREAM_READ;
	if (e->sent < e->to_send || !bufq_empty(&e->tx))
		w |= STREAM_WRITE;
	stream_want(e->s, w);
}

KIT_UNUSED static void kit_end_fill(struct kit_end *e)
{
	while (e->tx.len < 100000 && e->sent < e->to_send) {
		size_t n = e->chunk ? e->chunk : BUF_DATA;
		struct buf *b;

		if (n > e->to_send - e->sent)
			n = (size_t)(e->to_send - e->sent);
		b = buf_new_big(n);
		for (size_t i = 0; i < n; i++)
			b->data[i] = kit_byte(e->sent + i, e->seed);
		b->len = (uint32_t)n;
		e->sent += n;
		bufq_push(&e->tx, b);
	}
}

KIT_UNUSED static void kit_end_write(struct kit_end *e)
{
	ssize_t n;

	kit_end_fill(e);
	if (!bufq_empty(&e->tx)) {
		n = stream_write(e->s, &e->tx);
		if (n < 0) {
			bufq_clear(&e->tx);
			e->sent = e->to_send;
			e->read_err = (int)n;
		}
	}
	if (e->shut_after && !e->shut && e->sent == e->to_send && bufq_empty(&e->tx)) {
		e->shut = true;
		stream_shutdown(e->s);
	}
}

KIT_UNUSED static void kit_check(uint64_t *at, unsigned seed, const uint8_t *p, size_t n,
				 unsigned *wrong)
{
	for (size_t i = 0; i < n; i++)
		*wrong += p[i] != kit_byte(*at + i, seed);
	*at += n;
}

KIT_UNUSED static void kit_end_read(struct kit_end *e)
{
	struct bufq q = {NULL, NULL, 0};
	size_t max = e->read_max ? e->read_max : STREAM_READ_MAX;
	ssize_t n = stream_read(e->s, &q, max);

	if (n > 0) {
		assert_int_equal(q.len, n);
		assert_true(q.len <= max);
	}
	for (struct buf *b = q.head; b; b = b->next)
		kit_check(&e->received, e->seed ^ 1, b->data, b->len, &e->wrong);
	bufq_clear(&q);
	if (n == -ERR_EOF)
		e->eof = true;
	else if (n < 0) {
		e->read_err = (int)n;
		snprintf(e->why, sizeof(e->why), "%s", stream_why(e->s) ? stream_why(e->s) : "");
	}
}

KIT_UNUSED static void kit_end_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct kit_end *e = container_of(u, struct kit_end, user);

	assert_ptr_equal(e->s, s);
	if (events & STREAM_READ)
		kit_end_read(e);
	if (events & STREAM_WRITE)
		kit_end_write(e);
	kit_end_wants(e);
}

KIT_UNUSED static void kit_end_on_done(struct tls_user *u, struct stream *s,
				       const struct tls_info *info, int err, const char *why)
{
	struct kit_end *e = container_of(u, struct kit_end, done);

	e->finished = true;
	e->hs = NULL;
	e->s = s;
	e->err = err;
	snprintf(e->why, sizeof(e->why), "%s", why ? why : "");
	if (!s)
		return;
	e->version = info->version;
	e->resumed = info->resumed;
	e->fast = info->fast;
	snprintf(e->alpn, sizeof(e->alpn), "%s", info->alpn);
	snprintf(e->sni, sizeof(e->sni), "%s", info->sni);
	stream_attach(s, &e->user);
	kit_end_write(e);
	kit_end_wants(e);
}

/* @seed chooses what we send; the other end must have @seed ^ 1. */
KIT_UNUSED static void kit_end_init(struct kit_end *e, struct loop *l, unsigned seed)
{
	memset(e, 0, sizeof(*e));
	e->done.on_done = kit_end_on_done;
	e->user.on_event = kit_end_event;
	e->loop = l;
	e->seed = seed;
}

KIT_UNUSED static void kit_end_client(struct kit_end *e, int fd, struct tls_ctx *x,
				      const char *name)
{
	e->hs = tls_client_start(stream_tcp_new(e->loop, fd), x, name, &e->done);
	assert_non_null(e->hs);
}

KIT_UNUSED static void kit_end_server(struct kit_end *e, int fd, struct tls_ctx *x)
{
	e->hs = tls_server_start(stream_tcp_new(e->loop, fd), NULL, x, &e->done);
	assert_non_null(e->hs);
}

KIT_UNUSED static void kit_end_close(struct kit_end *e, int err)
{
	if (e->hs)
		tls_cancel(e->hs, err);
	stream_close(e->s, err);
	bufq_clear(&e->tx);
	e->hs = NULL;
	e->s = NULL;
	kit_turn(e->loop);
}

/* ---- an end made of OpenSSL alone ---- */

struct kit_peer {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	unsigned seed;
	uint64_t to_send, sent, received;
	unsigned wrong;
	size_t chunk;
	bool shut_after, shut, eof, done;
	int error; /* SSL_ERROR_* that ended it */
	unsigned long reason;
};

KIT_UNUSED static void kit_peer_init(struct kit_peer *p, int fd, bool server, unsigned seed,
				     const struct kit_cert *cert)
{
	memset(p, 0, sizeof(*p));
	p->ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	SSL_CTX_set_mode(p->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (cert) {
		SSL_CTX_use_certificate(p->ctx, cert->x);
		SSL_CTX_use_PrivateKey(p->ctx, cert->key);
	}
	p->seed = seed;
	p->fd = fd;
}

/* After the settings of p->ctx are as wanted. */
/* Our server and, not started yet, OpenSSL as its client, on the two ends of a pair. */
KIT_UNUSED static void kit_visit(struct kit_end *e, struct kit_peer *p, struct loop *l,
				 struct tls_ctx *server)
{
	int fds[2];

	kit_pair(fds);
	kit_end_init(e, l, 10);
	kit_end_server(e, fds[0], server);
	kit_peer_init(p, fds[1], false, 11, NULL);
}

KIT_UNUSED static void kit_peer_start(struct kit_peer *p, bool server)
{
	p->ssl = SSL_new(p->ctx);
	SSL_set_fd(p->ssl, p->fd);
	if (server)
		SSL_set_accept_state(p->ssl);
	else
		SSL_set_connect_state(p->ssl);
}

KIT_UNUSED static void kit_peer_sni(struct kit_peer *p, const char *name)
{
	char copy[256];

	snprintf(copy, sizeof(copy), "%s", name);
	SSL_set_tlsext_host_name(p->ssl, copy);
}

KIT_UNUSED static bool kit_peer_failed(struct kit_peer *p, int n)
{
	int e = SSL_get_error(p->ssl, n);

	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return false;
	if (e == SSL_ERROR_ZERO_RETURN) {
		p->eof = true;
		return false;
	}
	p->error = e;
	p->reason = ERR_peek_error();
	return true;
}

KIT_UNUSED static void kit_peer_send(struct kit_peer *p)
{
	uint8_t b[40000];
	size_t n = p->chunk ? p->chunk : sizeof(b);
	int r;

	if (p->sent == p->to_send) {
		if (p->shut_after && !p->shut) {
			p->shut = true;
			SSL_shutdown(p->ssl);
		}
		return;
	}
	n = n > sizeof(b) ? sizeof(b) : n;
	n = n > p->to_send - p->sent ? (size_t)(p->to_send - p->sent) : n;
	for (size_t i = 0; i < n; i++)
		b[i] = kit_byte(p->sent + i, p->seed);
	r = SSL_write(p->ssl, b, (int)n);
	if (r > 0)
		p->sent += (uint64_t)r;
	else
		kit_peer_failed(p, r);
}

KIT_UNUSED static void kit_peer_step(struct kit_peer *p)
{
	uint8_t b[16384];
	int n;

	ERR_clear_error();
	if (p->error)
		return;
	if (!p->done) {
		n = SSL_do_handshake(p->ssl);
		if (n != 1) {
			kit_peer_failed(p, n);
			return;
		}
		p->done = true;
	}
	kit_peer_send(p);
	if (p->eof || p->error)
		return;
	n = SSL_read(p->ssl, b, sizeof(b));
	if (n > 0)
		kit_check(&p->received, p->seed ^ 1, b, (size_t)n, &p->wrong);
	else
		kit_peer_failed(p, n);
}

KIT_UNUSED static void kit_peer_free(struct kit_peer *p)
{
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	if (p->fd != -1)
		close(p->fd);
	p->fd = -1;
}

#define kit_until_peer(l, p, cond) \
	do { \
		alarm(120); \
		while (!(cond)) { \
			kit_turn(l); \
			kit_peer_step(p); \
		} \
		alarm(0); \
	} while (0)

KIT_UNUSED static void kit_loop_free(struct loop *l)
{
	for (int i = 0; i < 4; i++)
		kit_turn(l);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

#endif
