/*
 * Who the server of a TLS 1.3 handshake is: its Certificate message, also
 * compressed, and its CertificateVerify (RFC 8446 sections 4.4.2 and 4.4.3, RFC
 * 8879). Whether that is the server we mean is asked of tls_verify.h.
 */
#ifndef GARENNE_NET_TLS13_PEER_H
#define GARENNE_NET_TLS13_PEER_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

#include "base/span.h"
#include "net/tls_cert.h"

enum {
	TLS13_CERTIFICATE_MAX = 65536, /* of the message, once decompressed */
	TLS13_CHAIN_MAX = 16,
};

/* Signature schemes, section 4.2.3. */
enum tls_scheme {
	TLS_ECDSA_P256 = 0x0403,
	TLS_ECDSA_P384 = 0x0503,
	TLS_ECDSA_P521 = 0x0603,
	TLS_RSA_PSS_256 = 0x0804,
	TLS_RSA_PSS_384 = 0x0805,
	TLS_RSA_PSS_512 = 0x0806,
	TLS_ED25519 = 0x0807,
};

/* The certificates of a message, in its bytes. */
struct tls13_chain {
	struct span der[TLS13_CHAIN_MAX];
	size_t n;
};

/** The body of a Certificate message. 0, -ERR_MALFORMED, -ERR_LIMIT for too many, or
 * -ERR_UNSUPPORTED for a delegated credential (RFC 9345). */
int tls13_chain_decode(struct tls13_chain *out, struct span body);
/** The body of a CompressedCertificate: that of the Certificate message into @out, which has
 * TLS13_CERTIFICATE_MAX bytes; *@n how many. @algorithm gets the number in the message, also on
 * failure. 0, -ERR_MALFORMED, -ERR_LIMIT, -ERR_UNSUPPORTED. */
int tls13_chain_inflate(uint8_t *out, size_t *n, struct span body, uint16_t *algorithm);
/** The same as OpenSSL's objects, the leaf first. Gives, or NULL: not certificates, or memory. */
STACK_OF(X509) * tls13_chain_parse(const struct tls13_chain *c);
/** The body of a CertificateVerify: its scheme and signature. 0 or -ERR_MALFORMED. */
int tls13_verify_decode(uint16_t *scheme, struct span *signature, struct span body);
/** True when @signature of @content by @scheme was made with @key, and the scheme fits the kind
 * of key. */
bool tls13_signature_holds(EVP_PKEY *key, uint16_t scheme, struct span content,
			   struct span signature);

#endif
