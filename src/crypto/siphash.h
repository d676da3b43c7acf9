/*
 * SipHash-2-4 (Aumasson and Bernstein): a hash for tables whose keys strangers
 * choose. Without the seed nobody can aim at one bucket.
 */
#ifndef GARENNE_CRYPTO_SIPHASH_H
#define GARENNE_CRYPTO_SIPHASH_H

#include <stdint.h>

#include "base/span.h"

enum { SIPHASH_SEED = 16 };

uint64_t siphash(const uint8_t seed[SIPHASH_SEED], struct span in);

#endif
