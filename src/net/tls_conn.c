#include "net/tls_conn.h"

#include <ctype.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "crypto/secret.h"
#include "net/tls_alert.h"
#include "net/tls_issue.h"
#include "net/tls_keylog.h"
#include "net/tls_session.h"
#include "net/tls_verify.h"

static struct tls_conn *of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

static int client_prepare(struct tls_conn *c, const char *dialled)
{
	const struct conf_tls *conf = c->ctx->conf;
	SSL_SESSION *session;
	struct ip ip;

	tls_plain_name(c->name, *conf->server_name ? conf->server_name : dialled ? dialled : "");
	SSL_set_connect_state(c->ssl);
	if (*c->name && ip_parse(&ip, span_str(c->name)) != 0 &&
	    SSL_set_tlsext_host_name(c->ssl, c->name) != 1)
		return -ERR_NOMEM;
	session = c->ctx->sessions ? tls_sessions_take(c->ctx->sessions, c->name) : NULL;
	if (session) {
		SSL_set_session(c->ssl, session);
		SSL_SESSION_free(session);
	}
	return 0;
}

static SSL *new_ssl(struct tls_conn *c)
{
	struct tls_ctx *x = c->ctx;

	if (!x->server)
		return SSL_new(x->client);
	pthread_mutex_lock(&x->lock);
	c->pairs = tls_pairs_ref(x->pairs);
	pthread_mutex_unlock(&x->lock);
	return SSL_new(c->pairs->v[0]->ctx);
}

struct tls_conn *tls_conn_new(struct tls_ctx *x, const char *dialled)
{
	struct tls_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->ctx = tls_ctx_ref(x);
	c->ssl = new_ssl(c);
	if (!c->ssl || SSL_set_app_data(c->ssl, c) != 1 ||
	    tls_bio_attach(c->ssl, x->bio, &c->io) != 0)
		goto fail;
	if (x->server)
		SSL_set_accept_state(c->ssl);
	else if (client_prepare(c, dialled) != 0)
		goto fail;
	return c;
fail:
	tls_conn_free(c);
	ERR_clear_error();
	return NULL;
}

void tls_conn_free(struct tls_conn *c)
{
	if (!c)
		return;
	SSL_free(c->ssl);
	tls_pairs_unref(c->pairs);
	tls_ctx_unref(c->ctx);
	secret_wipe(c, sizeof(*c));
	free(c);
}

/* Words that help more than OpenSSL's own. NULL: there are none. */
static const char *plain_words(unsigned long e)
{
	if (ERR_GET_LIB(e) != ERR_LIB_SSL)
		return NULL;
	switch (ERR_GET_REASON(e)) {
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_UNKNOWN_PROTOCOL:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
		return "the peer does not speak TLS";
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
		return "the peer sends plain HTTP instead of TLS";
	case SSL_R_UNSUPPORTED_PROTOCOL:
		return "no TLS version in common";
	case SSL_R_NO_SHARED_CIPHER:
		return "no cipher in common";
	case SSL_R_NO_SUITABLE_KEY_SHARE:
	case SSL_R_NO_SHARED_GROUPS:
		return "no key exchange group in common";
	default:
		return NULL;
	}
}

const char *tls_conn_explain(struct tls_conn *c)
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_REASON(e);
	const char *words;

	if (c->io.broken)
		words = "out of memory";
	else if (*c->why)
		words = c->why;
	else if (ERR_GET_LIB(e) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET &&
		 reason <= SSL_AD_REASON_OFFSET + 255)
		words = tls_alert_text((uint8_t)(reason - SSL_AD_REASON_OFFSET));
	else
		words = plain_words(e);
	if (!words)
		words = ERR_reason_error_string(e);
	ERR_clear_error();
	return words ? words : "TLS failed without a reason";
}

bool tls_conn_may_go_fast(const struct tls_conn *c)
{
	const SSL_SESSION *session = SSL_get0_session(c->ssl);

	return SSL_version(c->ssl) == TLS1_3_VERSION && !c->ctx->conf->session_resumption &&
	       c->client.n > 0 && c->server.n > 0 && c->io.left == 0 && !SSL_has_pending(c->ssl) &&
	       session &&
	       SSL_SESSION_get_max_fragment_length(session) == TLSEXT_max_fragment_length_DISABLED;
}

void tls_conn_sni(const struct tls_conn *c, char out[ADDR_NAME_MAX + 1])
{
	const char *sni = SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);
	size_t n = 0;

	for (; sni && sni[n] && n < ADDR_NAME_MAX; n++) {
		unsigned char ch = (unsigned char)sni[n];

		out[n] = ch > 0x20 && ch < 0x7f ? (char)tolower(ch) : '?';
	}
	out[n] = 0;
}

/* What no certificate is there for is issued. A client without a name gets the first certificate,
 * as ever, or when there is none, one without a name. */
static bool issues_for(const struct tls_conn *c, const char *sni)
{
	if (!c->ctx->issuer)
		return false;
	if (!*sni)
		return !c->ctx->conf->reject_unknown_sni &&
		       !SSL_CTX_get0_certificate(c->pairs->v[0]->ctx);
	return !tls_pairs_choose(c->pairs, sni, true);
}

int tls_conn_on_servername(SSL *ssl, int *alert, void *arg)
{
	struct tls_conn *c = of(ssl);
	const struct tls_pair *p;
	char sni[ADDR_NAME_MAX + 1];

	(void)arg;
	tls_conn_sni(c, sni);
	if (issues_for(c, sni)) {
		if (tls_issuer_serve(c->ctx->issuer, ssl, sni, c->why) == 0)
			return SSL_TLSEXT_ERR_OK;
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	p = tls_pairs_choose(c->pairs, sni, c->ctx->conf->reject_unknown_sni);
	if (!p) {
		snprintf(c->why, sizeof(c->why), "rejectUnknownSni: no certificate for %.200s",
			 *sni ? sni : "a client without SNI");
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	if (SSL_get_SSL_CTX(ssl) != p->ctx && !SSL_set_SSL_CTX(ssl, p->ctx)) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	return SSL_TLSEXT_ERR_OK;
}

/* The next name of a wire list; empty at its end. */
static struct span next_name(struct rd *r)
{
	return rd_take(r, rd_u8(r));
}

static bool list_has(struct span list, struct span name)
{
	struct rd r = rd_of(list);

	while (r.n > 0 && !r.bad)
		if (span_eq(next_name(&r), name))
			return true;
	return false;
}

int tls_conn_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		     const unsigned char *theirs, unsigned theirs_len, void *arg)
{
	const struct tls_ctx *x = arg;
	struct span our = span_of(x->alpn, x->alpn_len), their = span_of(theirs, theirs_len);
	struct rd r = rd_of(our);
	struct tls_conn *c = of(ssl);

	if (our.n == 0)
		return SSL_TLSEXT_ERR_NOACK;
	while (r.n > 0) {
		struct span name = next_name(&r);

		if (list_has(their, name)) {
			*out = name.p;
			*out_len = (unsigned char)name.n;
			return SSL_TLSEXT_ERR_OK;
		}
	}
	/* Go forgives HTTP/1.1 clients of an HTTP/2 server. */
	if (list_has(our, span_str("h2")) && list_has(their, span_str("http/1.1")))
		return SSL_TLSEXT_ERR_NOACK;
	snprintf(c->why, sizeof(c->why), "no application protocol (ALPN) in common");
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int tls_conn_on_verify(X509_STORE_CTX *sc, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(sc, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_conn *c = of(ssl);

	(void)arg;
	return tls_verify_chain(sc, c->ctx->conf, c->name, c->why);
}

static bool hex_secret(struct tls_secret *out, const char *hex)
{
	struct tls_secret s = {.n = 0};

	for (; isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1]); hex += 2) {
		unsigned hi = (unsigned)OPENSSL_hexchar2int((unsigned char)hex[0]);
		unsigned lo = (unsigned)OPENSSL_hexchar2int((unsigned char)hex[1]);

		if (s.n == TLS_SECRET_MAX)
			return false;
		s.b[s.n++] = (uint8_t)(hi << 4 | lo);
	}
	*out = s;
	secret_wipe(&s, sizeof(s));
	return true;
}

/* "LABEL client-random secret", the last two in hexadecimal: the key log format of NSS. */
void tls_conn_on_keylog(const SSL *ssl, const char *line)
{
	struct tls_conn *c = of(ssl);
	const char *secret = strrchr(line, ' ');

	if (!c || !secret)
		return;
	if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0)
		hex_secret(&c->client, secret + 1);
	else if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0)
		hex_secret(&c->server, secret + 1);
	tls_keylog_line(c->ctx->keylog_fd, line);
}

int tls_conn_on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_conn *c = of(ssl);

	if (!c->ctx->sessions)
		return 0;
	tls_sessions_put(c->ctx->sessions, c->name, session);
	return 1;
}
