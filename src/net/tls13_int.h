/* What the files of the TLS 1.3 client share: tls13_client.c (records and states), tls13_hello.c
 * (both hellos), tls13_auth.c (who the server is). */
#ifndef GARENNE_NET_TLS13_INT_H
#define GARENNE_NET_TLS13_INT_H

#include <openssl/x509.h>

#include "base/addr.h"
#include "crypto/kex.h"
#include "crypto/tls13.h"
#include "net/tls13_client.h"
#include "net/tls_alert.h"
#include "net/tls_conn.h"
#include "net/tls_record.h"
#include "proto/fingerprint.h"
#include "proto/reality.h"
#include "proto/tlshello.h"

enum tls13_state {
	TLS13_START = 0,   /* nothing has been sent */
	TLS13_HELLO,	   /* a ServerHello or HelloRetryRequest is awaited */
	TLS13_EXTENSIONS,  /* EncryptedExtensions */
	TLS13_CERTIFICATE, /* a certificate, perhaps after a request for ours */
	TLS13_VERIFY,	   /* the proof that the server has the certificate's key */
	TLS13_FINISHED,
	TLS13_DONE,
	TLS13_FAILED,
};

struct tls13_client {
	struct tls_ctx *ctx;
	enum tls13_state state;
	char name[ADDR_NAME_MAX + 1]; /* what is asked for and verified */
	bool named;		      /* it goes into the hello: a name, not an address */
	bool retried;
	bool asked;  /* for a certificate of ours */
	bool alps;   /* application settings were agreed on: ours are due */
	bool proven; /* REALITY: the server has proved itself */
	bool real;   /* REALITY: a valid certificate instead */
	struct kex *kex[FINGERPRINT_SHARES_MAX];
	size_t n_kex;
	uint8_t random[TLS_RANDOM_LEN], seed[FINGERPRINT_SEED_LEN];
	uint8_t auth_key[REALITY_KEY_LEN];
	uint8_t hello[FINGERPRINT_HELLO_MAX]; /* the last ClientHello as sent */
	size_t hello_n;
	struct buf *server_hello; /* REALITY with ML-DSA-65 */
	const struct tls13_suite *suite;
	struct tls13_transcript transcript;
	struct tls13_schedule schedule;
	struct tls_secret client, server; /* handshake traffic secrets, then application */
	struct tls_dir rd, wr;		  /* with @protected */
	bool protected;
	bool finished_sent;    /* ours is out: @client and @server are the application's */
	struct bufq messages;  /* handshake bytes that are not yet a whole message */
	EVP_PKEY *key;	       /* of the server's certificate */
	unsigned idle;	       /* records in a row without a message */
	unsigned record_limit; /* content of a record that the server takes */
	char alpn[256];
	enum tls_alert alert; /* what a failure tells the peer; 0: nothing */
	char why[TLS_WHY_MAX];
};

/** Sets the failure; returns -ERR_TLS. */
int tls13_fail(struct tls13_client *c, enum tls_alert alert, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int tls13_no_memory(struct tls13_client *c);
/** Sets the alert and returns -ERR_TLS; c->why is set already. */
int tls13_refuse(struct tls13_client *c, enum tls_alert alert);

/** Makes the first hello. 0 or -ERR_*. */
int tls13_hello_first(struct tls13_client *c);
/** A whole ServerHello or HelloRetryRequest: 1 when the keys are on, 0 when there is a second
 * hello to be sent, or -ERR_*. */
int tls13_hello_answer(struct tls13_client *c, struct span message);

/** A whole Certificate, or with @packed CompressedCertificate, message. 0 or -ERR_*. */
int tls13_auth_certificate(struct tls13_client *c, struct span message, bool packed);
/** A whole CertificateVerify, which the transcript does not contain yet. 0 or -ERR_*. */
int tls13_auth_verify(struct tls13_client *c, struct span message);
/** True when the last hello offers @value in the list of extension @type, whose length takes
 * @prefix bytes. */
bool tls13_hello_offers(const struct tls13_client *c, uint16_t type, size_t prefix, uint16_t value);

#endif
