/*
 * ML-DSA-65 (FIPS 204): signatures that no known quantum algorithm forges. The
 * pure form, with a context of up to 255 bytes, which is mostly empty.
 *
 * Both structs hold the matrix expanded (36 and 53 KiB): a key that is used for
 * every connection is expanded once. Making a signature takes a number of
 * attempts that chance decides; time and memory accesses tell nothing else of
 * the key. Nothing is allocated; a call takes up to 32 KiB of stack.
 */
#ifndef GARENNE_CRYPTO_MLDSA65_H
#define GARENNE_CRYPTO_MLDSA65_H

#include <stdint.h>

#include "base/span.h"

enum {
	MLDSA65_SEED = 32, /* "xi" of FIPS 204: a whole private key */
	MLDSA65_PUB = 1952,
	MLDSA65_SIG = 3309,
	MLDSA65_RANDOM = 32, /* "rnd": what a hedged signature draws */
	MLDSA65_CONTEXT_MAX = 255,
};

struct mldsa65_poly {
	int32_t c[256];
};

/* A public key, expanded. */
struct mldsa65_pub {
	struct mldsa65_poly a[6][5], t1[6];
	uint8_t tr[64];
};

/* A private key; bytes is the public key as others get it. */
struct mldsa65_key {
	uint8_t bytes[MLDSA65_PUB];
	uint8_t k[32];
	struct mldsa65_poly s1[5], s2[6], t0[6];
	struct mldsa65_pub pub;
};

/** The key that belongs to @seed. */
void mldsa65_key_set(struct mldsa65_key *k, const uint8_t seed[MLDSA65_SEED]);
void mldsa65_key_wipe(struct mldsa65_key *k);

/** Expands a public key. 0, or -ERR_MALFORMED: wrong length, and only that; every string of the
 * right length is a key. */
int mldsa65_pub_set(struct mldsa65_pub *out, struct span bytes);

/** Signs with fresh randomness. 0, -ERR_LIMIT: the context is too long, or -ERR_SYS. */
int mldsa65_sign(uint8_t sig[MLDSA65_SIG], const struct mldsa65_key *k, struct span msg,
		 struct span context) __attribute__((warn_unused_result));
/** The same with @random given; all zeros make the deterministic variant. */
int mldsa65_sign_from(uint8_t sig[MLDSA65_SIG], const struct mldsa65_key *k, struct span msg,
		      struct span context, const uint8_t random[MLDSA65_RANDOM])
	__attribute__((warn_unused_result));

/** Reads @sig as far as that goes without a key: the response into @z. 0, or -ERR_MALFORMED when
 * it is no signature of anything (see below); @z is untouched then. */
int mldsa65_sig_decode(struct mldsa65_poly z[5], struct span sig);
/** 0 when @sig is a signature of @msg, -ERR_MALFORMED when it is no signature of anything (length,
 * hints not canonical, numbers out of range), -ERR_AUTH when it is not one of this. */
int mldsa65_verify(const struct mldsa65_pub *pub, struct span msg, struct span context,
		   struct span sig) __attribute__((warn_unused_result));

#endif
