/* Words as hashes and stream ciphers use them. For this folder only. */
#ifndef GARENNE_CRYPTO_WORDS_H
#define GARENNE_CRYPTO_WORDS_H

#include <stdint.h>

static inline uint32_t word_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* @n in 1..31 */
static inline uint32_t word_rotl(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static inline uint32_t word_rotr(uint32_t v, unsigned n)
{
	return v >> n | v << (32 - n);
}

static inline uint64_t word_le64(const uint8_t *p)
{
	return (uint64_t)word_le32(p) | (uint64_t)word_le32(p + 4) << 32;
}

static inline void word_put_le64(uint8_t *p, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

/* @n in 1..63 */
static inline uint64_t word_rotl64(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

#endif
