/*
 * For targets that have something slow to do besides their decoder (a signature, a
 * key pair): ten million executions of the decoder must not wait for it. What
 * is rare depends on the input alone, so that a finding can be repeated.
 */
#ifndef TESTS_FUZZ_RARELY_H
#define TESTS_FUZZ_RARELY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* On a check whose comparisons are not to guide the fuzzer: they would be most of what it sees. */
#ifdef __clang__
#define UNTRACED __attribute__((no_sanitize("coverage")))
#else
#define UNTRACED
#endif

/* True for one input in @of. */
UNTRACED static inline bool rarely(const uint8_t *data, size_t size, unsigned of)
{
	uint64_t h = size + 1;

	for (size_t i = 0; i < size; i++)
		h = (h ^ data[i]) * UINT64_C(0x100000001b3);
	return (h * UINT64_C(0x9e3779b97f4a7c15) >> 32) % of == 0;
}

#endif
