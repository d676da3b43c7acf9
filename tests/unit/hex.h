/* Vectors read into arrays: see codec.h for the form of the text. */
#ifndef GARENNE_TESTS_HEX_H
#define GARENNE_TESTS_HEX_H

#include "codec.h"

/* Decodes to @out of @cap bytes and returns how many. */
static inline size_t hex_read(uint8_t *out, size_t cap, const char *text)
{
	struct span s = hex(text);

	assert_true(s.n <= cap);
	memcpy(out, s.p, s.n);
	free_hex(s);
	return s.n;
}

#define assert_hex(got, text)                                                                      \
	do {                                                                                       \
		struct span want_ = hex(text);                                                     \
		assert_memory_equal(got, want_.p, want_.n);                                        \
		free_hex(want_);                                                                   \
	} while (0)

#endif
