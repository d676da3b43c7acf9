/*
 * SHA3 and SHAKE (FIPS 202). A function absorbs any number of bytes and is then
 * squeezed; SHAKE gives as many as are asked for, in pieces of any size, which
 * is what rejection sampling needs and libcrypto 3.0 has no call for.
 */
#ifndef GARENNE_CRYPTO_KECCAK_H
#define GARENNE_CRYPTO_KECCAK_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum keccak_fn {
	KECCAK_SHA3_256 = 0,
	KECCAK_SHA3_512,
	KECCAK_SHAKE128,
	KECCAK_SHAKE256,
};

/* Bytes that one permutation yields: squeezing whole blocks wastes nothing. */
enum { KECCAK_BLOCK128 = 168, KECCAK_BLOCK256 = 136 };

/* Holds what was absorbed; whoever absorbed secrets wipes it. */
struct keccak {
	uint64_t a[25];
	uint8_t rate, at, suffix;
	uint8_t squeezing;
};

void keccak_init(struct keccak *h, enum keccak_fn fn);
/** Not after the first keccak_squeeze. */
void keccak_absorb(struct keccak *h, struct span in);
/** The next @n bytes of output. A SHA3 digest is the first 32 or 64 of them. */
void keccak_squeeze(struct keccak *h, uint8_t *out, size_t n);

/** All in one: @n bytes of output for the concatenated @parts; leaves nothing behind. */
void keccak_hash(enum keccak_fn fn, uint8_t *out, size_t n, const struct span *parts,
		 size_t n_parts);

#endif
