/*
 * Key derivation: HKDF (RFC 5869) with any SHA, the labelled expansion of TLS
 * 1.3 and QUIC (RFC 8446 7.1), and OpenSSL's old EVP_BytesToKey with MD5 by
 * which Shadowsocks turns passwords into keys.
 */
#ifndef GARENNE_CRYPTO_KDF_H
#define GARENNE_CRYPTO_KDF_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "crypto/sha.h"

/** Pseudo-random key of sha_len(@alg) bytes into @prk. 0 or -ERR_NOMEM. */
int kdf_extract(enum sha_alg alg, uint8_t *prk, struct span salt, struct span ikm);

/** @n bytes (at most 255 * sha_len) into @out. 0, -ERR_LIMIT or -ERR_NOMEM. */
int kdf_expand(enum sha_alg alg, uint8_t *out, size_t n, struct span prk, struct span info);

/** Extract and expand in one. Errors as kdf_expand. */
int kdf_hkdf(enum sha_alg alg, uint8_t *out, size_t n, struct span ikm, struct span salt,
	     struct span info);

/**
 * HKDF-Expand-Label: @label without the "tls13 " prefix, at most 249 bytes;
 * @context at most 255 bytes. Errors as kdf_expand.
 */
int kdf_expand_label(enum sha_alg alg, uint8_t *out, size_t n, struct span prk, const char *label,
		     struct span context);

/** EVP_BytesToKey: MD5, no salt, one round; @n bytes into @out. */
void kdf_bytes_to_key(uint8_t *out, size_t n, struct span password);

#endif
