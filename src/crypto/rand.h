/*
 * Random bytes. Two sources:
 *
 *   rand_bytes  for keys, salts, nonces, session ids: straight from the
 *               generator of libcrypto, which survives fork()
 *   rand_fill   for padding lengths and fillers: small draws from a buffer that
 *               each thread refills, so that a few bytes cost a memcpy. After
 *               fork() parent and child draw the same fillers, hence never keys
 */
#ifndef GARENNE_CRYPTO_RAND_H
#define GARENNE_CRYPTO_RAND_H

#include <stddef.h>
#include <stdint.h>

/** Fills @out with @n bytes fit for secrets. 0 or -ERR_SYS (then @out holds zeros). */
int rand_bytes(void *out, size_t n) __attribute__((warn_unused_result));

/** Fills @out with @n filler bytes; zeros should the generator fail. Not for secrets. */
void rand_fill(void *out, size_t n);

/** A filler number in 0..@bound-1, without bias; @bound at least 1. Not for secrets. */
uint32_t rand_below(uint32_t bound);

#endif
