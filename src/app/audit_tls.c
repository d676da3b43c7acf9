#include "app/audit_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "net/sock_unix.h"
#include "proto/proxyproto.h"

enum { SERVE_S = 10 };

/* ---- a client ---- */

static void wait_less(int fd, unsigned ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static enum knock_end how_ended(SSL *ssl, int n)
{
	int saved = errno;

	switch (SSL_get_error(ssl, n)) {
	case SSL_ERROR_WANT_READ:
		return KNOCK_OPEN;
	case SSL_ERROR_SYSCALL:
		return saved == ECONNRESET ? KNOCK_RESET : KNOCK_FIN;
	default:
		return KNOCK_FIN;
	}
}

static void read_answer(SSL *ssl, int fd, const struct patience *p, struct reply *r)
{
	while (r->n < REPLY_MAX) {
		int n;

		errno = 0;
		n = SSL_read(ssl, r->b + r->n, (int)(REPLY_MAX - r->n));
		if (n <= 0) {
			r->end = how_ended(ssl, n);
			return;
		}
		r->n += (size_t)n;
		wait_less(fd, p->quiet);
	}
}

static bool prepare(SSL *ssl, int fd, const char *name, const char *alpn)
{
	char host[ADDR_NAME_MAX + 1]; /* the macro takes no const */

	snprintf(host, sizeof(host), "%s", name);
	if (*alpn && SSL_set_alpn_protos(ssl, (const uint8_t *)alpn, (unsigned)strlen(alpn)) != 0)
		return false;
	if (*name && SSL_set_tlsext_host_name(ssl, host) != 1)
		return false;
	return SSL_set_fd(ssl, fd) == 1;
}

void audit_ask_tls(const struct ipport *to, const char *name, const char *alpn, struct span say,
		   const struct patience *p, struct reply *r, char got[AUDIT_ALPN_MAX])
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int fd = knock_dial(to, p->first);
	SSL *ssl = ctx && fd != -1 ? SSL_new(ctx) : NULL;
	const uint8_t *chosen;
	unsigned n;

	r->n = 0;
	r->end = KNOCK_OPEN;
	r->unreachable = true;
	got[0] = 0;
	if (ssl && prepare(ssl, fd, name, alpn) && SSL_connect(ssl) == 1) {
		r->unreachable = false;
		SSL_get0_alpn_selected(ssl, &chosen, &n);
		if (n < AUDIT_ALPN_MAX)
			snprintf(got, AUDIT_ALPN_MAX, "%.*s", (int)n,
				 n ? (const char *)chosen : "");
		if (SSL_write(ssl, say.p, (int)say.n) == (int)say.n)
			read_answer(ssl, fd, p, r);
	}
	ERR_clear_error();
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	if (fd != -1)
		close(fd);
}

/* ---- a bare server ---- */

struct audit_server {
	const struct conf_tls *conf;
	SSL_CTX *ctx;
	pthread_t thread;
	bool running;
	int fd;
};

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *n,
		       const unsigned char *in, unsigned in_n, void *arg)
{
	const struct audit_server *s = arg;

	(void)ssl;
	for (size_t i = 0; i < s->conf->alpn.n; i++) {
		const char *want = s->conf->alpn.v[i];
		struct rd r = rd_of(span_of(in, in_n));

		while (r.n > 0 && !r.bad) {
			struct span name = rd_take(&r, rd_u8(&r));

			if (!span_eq(name, span_str(want)))
				continue;
			*out = name.p;
			*n = (unsigned char)name.n;
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* As every server with more than one site: any name will do, and is acknowledged. */
static int take_name(SSL *ssl, int *alert, void *arg)
{
	(void)ssl;
	(void)alert;
	(void)arg;
	return SSL_TLSEXT_ERR_OK;
}

static BIO *open_pem(const char *file, const char *text)
{
	return *file ? BIO_new_file(file, "r") : BIO_new_mem_buf(text, -1);
}

/* The leaf, its key, and what comes behind the leaf. */
static bool use_certificate(SSL_CTX *ctx, const struct conf_cert *c)
{
	BIO *certs = open_pem(c->cert_file, c->cert_pem), *keys = open_pem(c->key_file, c->key_pem);
	X509 *x = certs ? PEM_read_bio_X509(certs, NULL, NULL, NULL) : NULL;
	EVP_PKEY *key = keys ? PEM_read_bio_PrivateKey(keys, NULL, NULL, NULL) : NULL;
	bool fine = x && key && SSL_CTX_use_certificate(ctx, x) == 1 &&
		    SSL_CTX_use_PrivateKey(ctx, key) == 1;
	X509 *more;

	while (fine && (more = PEM_read_bio_X509(certs, NULL, NULL, NULL)) != NULL)
		fine = SSL_CTX_add0_chain_cert(ctx, more) == 1;
	ERR_clear_error();
	X509_free(x);
	EVP_PKEY_free(key);
	BIO_free(certs);
	BIO_free(keys);
	return fine;
}

struct audit_server *audit_server_new(const struct conf_tls *t)
{
	struct audit_server *s = calloc(1, sizeof(*s));
	bool fine = false;

	if (!s)
		return NULL;
	s->conf = t;
	s->ctx = SSL_CTX_new(TLS_server_method());
	for (size_t i = 0; s->ctx && i < t->n_certs && !fine; i++)
		fine = t->certs[i].usage == CONF_CERT_SERVE &&
		       use_certificate(s->ctx, &t->certs[i]);
	if (!fine) {
		audit_server_free(s);
		return NULL;
	}
	SSL_CTX_set_alpn_select_cb(s->ctx, choose_alpn, s);
	SSL_CTX_set_tlsext_servername_callback(s->ctx, take_name);
	/* Which cipher is preferred is every administrator's own choice: the same as ours. */
	SSL_CTX_set_options(s->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_ciphersuites(s->ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
					 "TLS_CHACHA20_POLY1305_SHA256");
	if (!t->session_resumption) {
		SSL_CTX_set_session_cache_mode(s->ctx, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_options(s->ctx, SSL_OP_NO_TICKET);
	}
	if (t->max_version == CONF_TLS_1_2)
		SSL_CTX_set_max_proto_version(s->ctx, TLS1_2_VERSION);
	return s;
}

void audit_server_free(struct audit_server *s)
{
	if (!s)
		return;
	SSL_CTX_free(s->ctx);
	free(s);
}

static void *serve(void *arg)
{
	struct audit_server *s = arg;
	SSL *ssl = SSL_new(s->ctx);

	wait_less(s->fd, SERVE_S * 1000);
	if (ssl && SSL_set_fd(ssl, s->fd) == 1)
		SSL_accept(ssl);
	ERR_clear_error();
	SSL_free(ssl);
	close(s->fd);
	return NULL;
}

int audit_server_visit(struct audit_server *s)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return -1;
	s->fd = pair[1];
	s->running = pthread_create(&s->thread, NULL, serve, s) == 0;
	if (s->running)
		return pair[0];
	close(pair[0]);
	close(pair[1]);
	return -1;
}

void audit_server_leave(struct audit_server *s)
{
	if (s->running)
		pthread_join(s->thread, NULL);
	s->running = false;
}

/* ---- a fallback ---- */

static int dial_unix(const char *name)
{
	struct sock_unix u;
	int fd;

	if (sock_unix_parse(&u, name) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd != -1 && connect(fd, (const struct sockaddr *)&u.sa, u.len) == 0)
		return fd;
	if (fd != -1)
		close(fd);
	return -1;
}

/* The visitor is this machine. */
static bool introduce(int fd, const struct conf_fallback *f)
{
	static const uint8_t here[4] = {127, 0, 0, 1};
	struct proxyproto head = {.version = f->xver, .transport = PROXYPROTO_STREAM};
	uint8_t b[PROXYPROTO_ENCODE_MAX];
	struct wr w = wr_of(b, sizeof(b));

	head.source = head.target = (struct ipport){.ip = ip_v4(here), .port = 443};
	return proxyproto_encode(&w, &head) == 0 && knock_send(fd, span_of(b, w.n));
}

int audit_dial_fallback(const struct conf_fallback *f, unsigned ms)
{
	struct ipport to;
	const char *why;
	int fd;

	if (f->dest.kind == ADDR_NONE)
		fd = dial_unix(f->dest_unix);
	else
		fd = knock_resolve(&to, &f->dest, &why) == 0 ? knock_dial(&to, ms) : -1;
	if (fd == -1 || f->xver == 0 || introduce(fd, f))
		return fd;
	close(fd);
	return -1;
}
