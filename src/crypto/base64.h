/*
 * Base64 (RFC 4648), strict: whatever is not exactly the expected form is
 * refused, with the place where it went wrong. Flags open what some formats need.
 */
#ifndef GARENNE_CRYPTO_BASE64_H
#define GARENNE_CRYPTO_BASE64_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/span.h"

enum {
	BASE64_STD = 0,		   /* alphabet with + and / */
	BASE64_URL = 1 << 0,	   /* alphabet with - and _ */
	BASE64_PADDED = 0,	   /* "=" up to a multiple of four, required */
	BASE64_RAW = 1 << 1,	   /* no "=" at all */
	BASE64_ANY_PAD = 1 << 2,   /* decoding: either */
	BASE64_SKIP_CRLF = 1 << 3, /* decoding: CR and LF mean nothing */
	BASE64_ANY_BITS = 1 << 4,  /* decoding: unused bits of the last digit need not be zero */
};

/** Bytes that @n bytes take when encoded, without a NUL. */
static inline size_t base64_len(size_t n, unsigned flags)
{
	if (flags & BASE64_RAW)
		return n / 3 * 4 + (n % 3 ? n % 3 + 1 : 0);
	return (n + 2) / 3 * 4;
}

/**
 * Decodes @text to @out of @cap bytes; @out may be the text itself. Returns the
 * number of bytes, -ERR_MALFORMED with *@bad_at (may be NULL) the offset of the
 * first byte that cannot be right (@text.n when it ends too early), or
 * -ERR_LIMIT when @cap is too small.
 */
ssize_t base64_decode(uint8_t *out, size_t cap, struct span text, unsigned flags, size_t *bad_at);

/** Encodes and adds a NUL. @cap more than base64_len; else -ERR_LIMIT. Returns the length. */
ssize_t base64_encode(char *out, size_t cap, struct span in, unsigned flags);

#endif
