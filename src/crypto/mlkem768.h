/*
 * ML-KEM-768 (FIPS 203): a key agreement that no known quantum algorithm breaks.
 * One side makes a key and shows its encapsulation key; the other makes a
 * shared secret and a ciphertext from that; the ciphertext gives the first side
 * the same secret. A ciphertext that was not made so gives it a secret that
 * nobody else knows, never an error.
 *
 * Time and memory accesses do not depend on secrets. What is public (the
 * matrix, the encapsulation key) is kept expanded in the structs, so a key that
 * is used often is expanded once.
 */
#ifndef GARENNE_CRYPTO_MLKEM768_H
#define GARENNE_CRYPTO_MLKEM768_H

#include <stdint.h>

#include "base/span.h"

enum {
	MLKEM768_SEED = 64, /* "d" and "z" of FIPS 203: a whole private key */
	MLKEM768_EK = 1184,
	MLKEM768_CT = 1088,
	MLKEM768_SHARED = 32,
	MLKEM768_RANDOM = 32, /* "m": what an encapsulation draws */
};

struct mlkem768_poly {
	int16_t c[256];
};

/* The other side's encapsulation key, expanded. No secret. */
struct mlkem768_pub {
	struct mlkem768_poly a[3][3], t[3];
	uint8_t h[32];
};

/* A private key; ek is what the other side gets. */
struct mlkem768_key {
	uint8_t ek[MLKEM768_EK];
	uint8_t z[32];
	struct mlkem768_poly s[3];
	struct mlkem768_pub pub;
};

/** A fresh key. 0 or -ERR_SYS (then @k is wiped). */
int mlkem768_keygen(struct mlkem768_key *k) __attribute__((warn_unused_result));
/** The key that belongs to @seed: d, then z. */
void mlkem768_key_set(struct mlkem768_key *k, const uint8_t seed[MLKEM768_SEED]);
void mlkem768_key_wipe(struct mlkem768_key *k);

/** The three polynomials at the front of @ek, without expanding anything. Errors as below; @t is
 * untouched then. */
int mlkem768_ek_decode(struct mlkem768_poly t[3], struct span ek);
/** Expands @ek. 0, or -ERR_MALFORMED: wrong length, or a coefficient is not below the modulus
 * (FIPS 203, section 7.2); @out is untouched then. */
int mlkem768_pub_set(struct mlkem768_pub *out, struct span ek);

/** Makes a secret and the ciphertext that carries it. 0 or -ERR_SYS. */
int mlkem768_encaps(uint8_t shared[MLKEM768_SHARED], uint8_t ct[MLKEM768_CT],
		    const struct mlkem768_pub *pub) __attribute__((warn_unused_result));
/** The same from given random bytes @m, which are used once and never again. */
void mlkem768_encaps_from(uint8_t shared[MLKEM768_SHARED], uint8_t ct[MLKEM768_CT],
			  const struct mlkem768_pub *pub, const uint8_t m[MLKEM768_RANDOM]);

/** The secret that @ct carries. 0, or -ERR_MALFORMED: wrong length, and only that; @shared is
 * untouched then. */
int mlkem768_decaps(uint8_t shared[MLKEM768_SHARED], const struct mlkem768_key *k, struct span ct)
	__attribute__((warn_unused_result));

#endif
