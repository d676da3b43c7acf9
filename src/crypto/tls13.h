/*
 * The key schedule of TLS 1.3 (RFC 8446 section 7.1), without PSK and early
 * data, and the transcript hash (section 4.4.1). For both ends.
 *
 *   tls13_schedule_init -> _handshake (shared secret, hash of ClientHello..ServerHello)
 *                       -> _master    (hash of ClientHello..server Finished)
 *
 * Everything secret is wiped by its fini or by whoever holds a tls_secret.
 */
#ifndef GARENNE_CRYPTO_TLS13_H
#define GARENNE_CRYPTO_TLS13_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "crypto/aead.h"
#include "crypto/sha.h"

/* Cipher suites, RFC 8446 appendix B.4. */
enum {
	TLS_AES_128_GCM = 0x1301,
	TLS_AES_256_GCM = 0x1302,
	TLS_CHACHA20 = 0x1303,
};

enum {
	TLS_SECRET_MAX = 48,
	TLS_IV_LEN = 12,
	/* 64 blanks, the longer of two labels, a zero, a hash: section 4.4.3 */
	TLS13_SIGNED_MAX = 64 + 34 + TLS_SECRET_MAX,
};

struct tls13_suite {
	uint16_t id;
	enum sha_alg hash;
	enum aead_alg aead;
};

/** NULL for anything but the three suites above. Static. */
const struct tls13_suite *tls13_suite_find(uint16_t id);

/* A traffic secret. Wiped by whoever holds it. */
struct tls_secret {
	uint8_t b[TLS_SECRET_MAX];
	uint8_t n;
};

/** Write key (aead_key_len of the suite) and IV of a traffic secret, section 7.3. 0 or -ERR_NOMEM.
 */
int tls13_traffic_keys(const struct tls13_suite *s, const struct tls_secret *secret,
		       uint8_t key[AEAD_KEY_MAX], uint8_t iv[TLS_IV_LEN]);
/** The next generation of a traffic secret, section 7.2, in place. 0 or -ERR_NOMEM (unchanged). */
int tls13_secret_update(enum sha_alg hash, struct tls_secret *secret);
/** The verify_data of a Finished message (section 4.4.4), sha_len(@hash) bytes into @out: @base is
 * the sender's handshake traffic secret, @th the transcript hash up to here. 0 or -ERR_NOMEM. */
int tls13_finished(enum sha_alg hash, uint8_t *out, const struct tls_secret *base,
		   const uint8_t *th);
/** What a CertificateVerify signs (section 4.4.3): @th is the hash of the transcript up to the
 * Certificate message. Returns the bytes in @out. */
size_t tls13_signed_content(uint8_t out[TLS13_SIGNED_MAX], bool server, struct span th);

struct evp_md_ctx_st;

/* Running hash over handshake messages, headers included. */
struct tls13_transcript {
	struct evp_md_ctx_st *ctx;
	enum sha_alg hash;
};

/** 0 or -ERR_NOMEM; then no fini is needed. */
int tls13_transcript_init(struct tls13_transcript *t, enum sha_alg hash);
/** Harmless on zeroed memory. */
void tls13_transcript_fini(struct tls13_transcript *t);
int tls13_transcript_add(struct tls13_transcript *t, struct span message);
/** The hash up to here into @out (sha_len bytes); more may be added afterwards. 0 or -ERR_NOMEM. */
int tls13_transcript_hash(const struct tls13_transcript *t, uint8_t *out);
/** What a HelloRetryRequest does: all so far is replaced by a message that holds its hash. */
int tls13_transcript_restart(struct tls13_transcript *t);

struct tls13_schedule {
	enum sha_alg hash;
	struct tls_secret now; /* early, handshake or master secret */
};

/** The early secret of a connection without PSK. 0 or -ERR_NOMEM. */
int tls13_schedule_init(struct tls13_schedule *s, enum sha_alg hash);
/** Goes on to the handshake secret; gives the handshake traffic secrets. 0 or -ERR_NOMEM. */
int tls13_schedule_handshake(struct tls13_schedule *s, struct span shared, const uint8_t *th,
			     struct tls_secret *client, struct tls_secret *server);
/** Goes on to the master secret; gives the application traffic secrets. 0 or -ERR_NOMEM. */
int tls13_schedule_master(struct tls13_schedule *s, const uint8_t *th, struct tls_secret *client,
			  struct tls_secret *server);
/** Wipes. Harmless on zeroed memory. */
void tls13_schedule_fini(struct tls13_schedule *s);

#endif
