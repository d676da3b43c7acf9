/* Who the server is: a chain of certificates for a name, or REALITY's proof. */
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>

#include "base/err.h"
#include "crypto/mldsa65.h"
#include "net/tls13_int.h"
#include "net/tls13_peer.h"
#include "net/tls_verify.h"

/* The alert that says what is wrong with a chain. */
static enum tls_alert alert_for(int code)
{
	switch (code) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return TLS_ALERT_CERTIFICATE_EXPIRED;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return TLS_ALERT_UNKNOWN_CA;
	default:
		return TLS_ALERT_BAD_CERTIFICATE;
	}
}

/* As libssl prepares a chain of a server before it asks its callback. */
static bool prepare(X509_STORE_CTX *sc, struct tls_ctx *x, STACK_OF(X509) * chain)
{
	X509_STORE *store = SSL_CTX_get_cert_store(x->client);

	if (X509_STORE_CTX_init(sc, store, sk_X509_value(chain, 0), chain) != 1)
		return false;
	X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(sc),
					 SSL_CTX_get_security_level(x->client));
	return X509_STORE_CTX_set_default(sc, "ssl_server") == 1;
}

static int check_chain(struct tls13_client *c, STACK_OF(X509) * chain)
{
	X509_STORE_CTX *sc = X509_STORE_CTX_new();
	char why[TLS_WHY_MAX] = "";
	int err = 0;

	if (!sc || !prepare(sc, c->ctx, chain)) {
		err = tls13_no_memory(c);
	} else if (!tls_verify_chain(sc, c->ctx->conf, c->name, why)) {
		err = tls13_fail(c, alert_for(X509_STORE_CTX_get_error(sc)), "%s%s",
				 c->ctx->reality ? "REALITY: not our server, and its " : "", why);
	}
	X509_STORE_CTX_free(sc);
	ERR_clear_error();
	return err;
}

static int check_certificates(struct tls13_client *c, const struct tls13_chain *list)
{
	STACK_OF(X509) *chain = tls13_chain_parse(list);
	int err;

	if (!chain)
		return tls13_fail(c, TLS_ALERT_BAD_CERTIFICATE,
				  "the server's certificate is malformed");
	err = check_chain(c, chain);
	if (err == 0) {
		c->key = X509_get_pubkey(sk_X509_value(chain, 0));
		ERR_clear_error();
		if (!c->key)
			err = tls13_fail(c, TLS_ALERT_BAD_CERTIFICATE,
					 "the certificate's key is of an unknown kind");
	}
	sk_X509_pop_free(chain, X509_free);
	return err;
}

/* True when no second proof is asked for, or it holds: the first extension of the certificate. */
static bool mldsa_proves(const struct tls13_client *c, const struct reality_cert *cert)
{
	uint8_t digest[REALITY_MAC_LEN];

	if (!c->ctx->mldsa)
		return true;
	return reality_cert_digest(digest, c->auth_key, cert->key.p, span_of(c->hello, c->hello_n),
				   buf_span(c->server_hello)) == 0 &&
	       mldsa65_verify(c->ctx->mldsa, span_of(digest, sizeof(digest)), span_of(NULL, 0),
			      cert->extension) == 0;
}

/* True when the leaf carries what only our server can make. */
static bool reality_proves(const struct tls13_client *c, struct reality_cert *cert, struct span der)
{
	return reality_cert_decode(cert, der) == 0 && reality_cert_proves(cert, c->auth_key) &&
	       mldsa_proves(c, cert);
}

static int check_reality(struct tls13_client *c, const struct tls13_chain *list)
{
	struct reality_cert cert;
	int err;

	if (!reality_proves(c, &cert, list->der[0])) {
		err = check_certificates(c, list);
		c->real = err == 0;
		return err;
	}
	c->key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, cert.key.p, cert.key.n);
	if (!c->key)
		return tls13_no_memory(c);
	c->proven = true;
	return 0;
}

static int check_list(struct tls13_client *c, struct span body)
{
	struct tls13_chain list;

	switch (tls13_chain_decode(&list, body)) {
	case 0:
		break;
	case -ERR_LIMIT:
		return tls13_fail(c, TLS_ALERT_BAD_CERTIFICATE, "too many certificates");
	case -ERR_UNSUPPORTED:
		return tls13_fail(c, TLS_ALERT_ILLEGAL_PARAMETER,
				  "the server uses a delegated credential, which is not supported");
	default:
		return tls13_fail(c, TLS_ALERT_DECODE_ERROR, "a malformed certificate message");
	}
	return c->ctx->reality ? check_reality(c, &list) : check_certificates(c, &list);
}

int tls13_auth_certificate(struct tls13_client *c, struct span message, bool packed)
{
	struct span body = span_of(message.p + TLS_MSG_HEADER_LEN, message.n - TLS_MSG_HEADER_LEN);
	uint16_t algorithm = 0;
	uint8_t *plain;
	size_t n;
	int err;

	if (!packed)
		return check_list(c, body);
	plain = malloc(TLS13_CERTIFICATE_MAX);
	if (!plain)
		return tls13_no_memory(c);
	err = tls13_chain_inflate(plain, &n, body, &algorithm);
	if (err || !tls13_hello_offers(c, TLS_EXT_COMPRESS_CERTIFICATE, 1, algorithm))
		err = tls13_fail(c, TLS_ALERT_BAD_CERTIFICATE,
				 "the compressed certificate cannot be unpacked");
	else
		err = check_list(c, span_of(plain, n));
	free(plain);
	return err;
}

int tls13_auth_verify(struct tls13_client *c, struct span message)
{
	struct span body = span_of(message.p + TLS_MSG_HEADER_LEN, message.n - TLS_MSG_HEADER_LEN);
	uint8_t content[TLS13_SIGNED_MAX], th[SHA_LEN_MAX];
	struct span signature;
	uint16_t scheme;
	size_t n;

	if (tls13_verify_decode(&scheme, &signature, body) != 0)
		return tls13_fail(c, TLS_ALERT_DECODE_ERROR, "a malformed certificate verify");
	/* REALITY signs with Ed25519 whatever was offered. */
	if (!c->proven && !tls13_hello_offers(c, TLS_EXT_SIGNATURES, 2, scheme))
		return tls13_fail(c, TLS_ALERT_ILLEGAL_PARAMETER,
				  "the server signs by a scheme that was not offered");
	if (tls13_transcript_hash(&c->transcript, th) != 0)
		return tls13_no_memory(c);
	n = tls13_signed_content(content, true, span_of(th, sha_len(c->suite->hash)));
	if (!tls13_signature_holds(c->key, scheme, span_of(content, n), signature))
		return tls13_fail(c, TLS_ALERT_DECRYPT_ERROR,
				  "the server has not the key of its certificate");
	return 0;
}
