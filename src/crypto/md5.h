/*
 * MD5 (RFC 1321), of use only where an old format demands it. By hand because a
 * libcrypto in FIPS mode refuses it.
 */
#ifndef GARENNE_CRYPTO_MD5_H
#define GARENNE_CRYPTO_MD5_H

#include <stdint.h>

#include "base/span.h"

enum { MD5_LEN = 16 };

/** Digest of the concatenated @parts. @out may be one of them. */
void md5(uint8_t out[MD5_LEN], const struct span *parts, size_t n);

#endif
