/*
 * The SHA family (FIPS 180-4) and HMAC (RFC 2104), one call each. A message is
 * given as a list of parts that are hashed one after the other, so nobody has
 * to join them first.
 */
#ifndef GARENNE_CRYPTO_SHA_H
#define GARENNE_CRYPTO_SHA_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum sha_alg {
	SHA_ALG_1 = 1,
	SHA_ALG_224,
	SHA_ALG_256,
	SHA_ALG_384,
	SHA_ALG_512,
	SHA_ALG_MAX_,
};

enum { SHA1_LEN = 20, SHA224_LEN = 28, SHA256_LEN = 32, SHA512_LEN = 64, SHA_LEN_MAX = 64 };

/** Bytes of a digest of @alg. */
size_t sha_len(enum sha_alg alg);

/** Digest of the concatenated @parts into @out (sha_len bytes). 0, or -ERR_NOMEM. */
int sha_digest(enum sha_alg alg, uint8_t *out, const struct span *parts, size_t n);

/** HMAC of the concatenated @parts into @out (sha_len bytes). 0, or -ERR_NOMEM. */
int sha_hmac(enum sha_alg alg, uint8_t *out, struct span key, const struct span *parts, size_t n);

int sha1(uint8_t out[SHA1_LEN], struct span in);
int sha224(uint8_t out[SHA224_LEN], struct span in);
int sha256(uint8_t out[SHA256_LEN], struct span in);

#endif
