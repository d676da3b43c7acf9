/*
 * What the tests of all codecs share: vectors written in hexadecimal, and inputs
 * that end exactly where their memory ends, so that a sanitizer sees the first
 * byte read too far.
 */
#ifndef GARENNE_TESTS_CODEC_H
#define GARENNE_TESTS_CODEC_H

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"

/* Blanks are allowed anywhere in @text. The result is freed with free_hex. */
static inline struct span hex(const char *text)
{
	uint8_t *b = malloc(strlen(text) / 2 + 1);
	size_t nibbles = 0;

	assert_non_null(b);
	for (const char *c = text; *c; c++) {
		if (isspace((unsigned char)*c))
			continue;
		assert_true(isxdigit((unsigned char)*c));
		unsigned v =
			(unsigned)(isdigit((unsigned char)*c) ? *c - '0' : (*c | 32) - 'a' + 10);

		b[nibbles / 2] = (uint8_t)(nibbles % 2 ? b[nibbles / 2] << 4 | v : v);
		nibbles++;
	}
	assert_int_equal(nibbles % 2, 0);
	return span_of(b, nibbles / 2);
}

static inline void free_hex(struct span s)
{
	free((void *)(uintptr_t)s.p);
}

/* The first @n bytes of @s in a block of exactly that size; freed with free_hex. */
static inline struct span exact(struct span s, size_t n)
{
	uint8_t *b = malloc(n ? n : 1);

	assert_non_null(b);
	if (n)
		memcpy(b, s.p, n);
	return span_of(b, n);
}

#define assert_bytes(writer, text)                                                                 \
	do {                                                                                       \
		struct span want_ = hex(text);                                                     \
		assert_int_equal((writer).n, want_.n);                                             \
		assert_memory_equal((writer).p, want_.p, want_.n);                                 \
		free_hex(want_);                                                                   \
	} while (0)

#endif
