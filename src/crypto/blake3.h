/*
 * BLAKE3 (https://github.com/BLAKE3-team/BLAKE3-specs), portable, one thread:
 * hash, keyed hash and key derivation, any input and output length. libcrypto
 * does not have it. Fast enough for what it is used for, which is keys.
 */
#ifndef GARENNE_CRYPTO_BLAKE3_H
#define GARENNE_CRYPTO_BLAKE3_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
	BLAKE3_KEY = 32,
	BLAKE3_BLOCK = 64,
	BLAKE3_CHUNK = 1024,
	BLAKE3_DEPTH = 54, /* of the tree over 2^64 bytes */
};

/* Holds input and keys: wiped by blake3_final. Initialised by one of the three functions. */
struct blake3 {
	uint32_t key[8];
	uint32_t cv[8]; /* of the chunk being filled */
	uint64_t chunk; /* its number */
	uint8_t block[BLAKE3_BLOCK];
	uint8_t block_len;
	uint8_t blocks; /* compressed in this chunk */
	uint8_t flags;
	uint8_t depth;
	uint32_t stack[BLAKE3_DEPTH][8]; /* chaining values of finished subtrees */
};

void blake3_init(struct blake3 *h);
void blake3_init_keyed(struct blake3 *h, const uint8_t key[BLAKE3_KEY]);
/** @context: a fixed text of the application, unlike any other's. */
void blake3_init_derive(struct blake3 *h, const char *context);
void blake3_update(struct blake3 *h, struct span in);
/** Writes @n bytes and wipes @h. */
void blake3_final(struct blake3 *h, uint8_t *out, size_t n);

/** Hash of @in in one call. */
void blake3_hash(uint8_t *out, size_t n, struct span in);
/** A key of @n bytes from the concatenated @parts, in one call. */
void blake3_derive_key(uint8_t *out, size_t n, const char *context, const struct span *parts,
		       size_t n_parts);

#endif
