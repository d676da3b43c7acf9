/*
 * Authenticated encryption: AES-GCM, ChaCha20-Poly1305 (RFC 8439) and
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03).
 *
 * A context is made once per key. Sealing and opening set nothing but the nonce,
 * which is the caller's business: it must never repeat under one key. The tag
 * follows the ciphertext. One context serves both directions, but one thread.
 *
 * Input may be scattered over several spans; output is contiguous. A span of
 * the input may lie exactly where its output goes (working in place), or wholly
 * apart from the output; nothing in between.
 */
#ifndef GARENNE_CRYPTO_AEAD_H
#define GARENNE_CRYPTO_AEAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum aead_alg {
	AEAD_AES_128_GCM = 1,
	AEAD_AES_256_GCM,
	AEAD_CHACHA20_POLY1305,
	AEAD_XCHACHA20_POLY1305,
	AEAD_MAX_,
};

enum { AEAD_TAG = 16, AEAD_KEY_MAX = 32, AEAD_NONCE_MAX = 24 };

struct aead;

size_t aead_key_len(enum aead_alg alg);
size_t aead_nonce_len(enum aead_alg alg);

/** Copies @key (aead_key_len bytes). Gives; NULL when memory is out or libcrypto lacks @alg. */
struct aead *aead_new(enum aead_alg alg, const uint8_t *key);
/** Wipes the keys. Takes NULL too. */
void aead_free(struct aead *a);
/** Another key for the same algorithm, without allocating. 0 or -ERR_SYS. */
int aead_set_key(struct aead *a, const uint8_t *key);

/** Seals @in to @out, which gets @in.n + AEAD_TAG bytes. 0 or -ERR_SYS. */
int aead_seal(struct aead *a, const uint8_t *nonce, struct span ad, uint8_t *out, struct span in);
/** The same for @n spans one after the other. */
int aead_seal_parts(struct aead *a, const uint8_t *nonce, struct span ad, uint8_t *out,
		    const struct span *in, size_t n);

/**
 * Opens @in (ciphertext and tag) to @out, which gets @in.n - AEAD_TAG bytes.
 * 0, or -ERR_AUTH when the tag is wrong or @in is shorter than one; the output
 * then holds zeros.
 */
int aead_open(struct aead *a, const uint8_t *nonce, struct span ad, uint8_t *out, struct span in);
/** The same for @n spans one after the other; the tag too may be scattered. */
int aead_open_parts(struct aead *a, const uint8_t *nonce, struct span ad, uint8_t *out,
		    const struct span *in, size_t n);

#endif
