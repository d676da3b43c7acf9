/*
 * One SSL object and what OpenSSL's callbacks need to find behind it. Made by a
 * context; driven by the handshake, afterwards by the generic engine or thrown
 * away. Private to net.
 */
#ifndef GARENNE_NET_TLS_CONN_H
#define GARENNE_NET_TLS_CONN_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/addr.h"
#include "net/tls_bio.h"
#include "net/tls_cert.h"
#include "net/tls_ctx.h"
#include "net/tls_engine.h"
#include "net/tls_record.h"

struct conf_reality_client;
struct spider_web;
struct fingerprint;
struct mldsa65_pub;
struct ocsp_stapler;
struct tls_issuer;
struct tls_sessions;

struct tls_ctx {
	atomic_uint refs; /* the owner's and one for each tls_conn */
	const struct conf_tls *conf;
	const struct conf_reality_client *reality; /* client of REALITY, else NULL */
	struct spider_web *web;			   /* with @reality: known pages of the site */
	struct mldsa65_pub *mldsa; /* with REALITY: what the server's second proof must fit, or NULL */
	atomic_ullong warned_ms; /* with REALITY: when the log was last told of a real certificate */
	struct conf_tls own;			   /* with REALITY: what @conf points to */
	struct fingerprint *fp; /* client: hellos are made of it by tls13_client.h; NULL: OpenSSL */
	const char *profile;	/* with @fp: its name */
	bool hello_alpn;	/* with @fp: hellos name @alpn */
	bool server;
	BIO_METHOD *bio;
	SSL_CTX *client;	       /* client */
	struct tls_sessions *sessions; /* client with resumption, else NULL */
	pthread_mutex_t lock;	       /* for @pairs */
	struct tls_pairs *pairs;       /* server */
	struct tls_issuer *issuer;     /* server: signs for names that no pair has; or NULL */
	struct tls_renewal *renewals;  /* server: what reloading remembers, one per pair */
	struct timer reload;
	bool watched;
	struct ocsp_stapler *stapler; /* while watched, if some certificate wants it; or NULL */
	uint8_t *alpn; /* our list as it goes over the wire: length, name, ... */
	size_t alpn_len;
	int keylog_fd; /* tls_keylog.h */
};

struct tls_conn {
	SSL *ssl;
	struct tls_bio io;
	struct tls_ctx *ctx;	 /* a reference */
	struct tls_pairs *pairs; /* server: a reference to those it may choose from */
	/* TLS 1.3 application traffic secrets, as soon as OpenSSL has them; length 0 before */
	struct tls_secret client, server;
	char name[ADDR_NAME_MAX + 1]; /* client: what is verified */
	char why[TLS_WHY_MAX];	      /* set by callbacks that refuse */
};

struct tls_ctx *tls_ctx_ref(struct tls_ctx *x);
void tls_ctx_unref(struct tls_ctx *x);

/** @dialled: for clients the host that was dialled, used unless the settings name one; NULL for
 * servers. Gives, or NULL when memory is out. */
struct tls_conn *tls_conn_new(struct tls_ctx *x, const char *dialled);
/** Wipes. Takes NULL too. */
void tls_conn_free(struct tls_conn *c);
/** Words for the last failure of an OpenSSL call on @c; empties OpenSSL's queue of errors.
 * Valid until the next one. */
const char *tls_conn_explain(struct tls_conn *c);
/** The server name that the client asked for, lower case, fit for a log; "" for none. */
void tls_conn_sni(const struct tls_conn *c, char out[ADDR_NAME_MAX + 1]);
/** False when the settings or the peer's extensions ask for what only OpenSSL does. */
bool tls_conn_may_go_fast(const struct tls_conn *c);

/* The callbacks of a connection, for the context that sets them. */
int tls_conn_on_servername(SSL *ssl, int *alert, void *arg);
int tls_conn_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		     const unsigned char *theirs, unsigned theirs_len, void *arg);
int tls_conn_on_verify(X509_STORE_CTX *sc, void *arg);
void tls_conn_on_keylog(const SSL *ssl, const char *line);
int tls_conn_on_session(SSL *ssl, SSL_SESSION *session);

/** The generic engine. Takes @c, whose handshake is complete. Gives, or NULL. */
struct tls_engine *tls_ssl_new(struct tls_conn *c);

#endif
