/* X25519 (RFC 7748): keys and the shared secret. Private keys need not be clamped. */
#ifndef GARENNE_CRYPTO_X25519_H
#define GARENNE_CRYPTO_X25519_H

#include <stdint.h>

enum { X25519_LEN = 32 };

/** A fresh pair; the private key comes clamped. 0 or -ERR_SYS. */
int x25519_keypair(uint8_t priv[X25519_LEN], uint8_t pub[X25519_LEN]);
/** 0 or -ERR_SYS. */
int x25519_public(uint8_t pub[X25519_LEN], const uint8_t priv[X25519_LEN]);
/** 0, or -ERR_MALFORMED when @peer is a point that makes the result all zeros. */
int x25519_shared(uint8_t out[X25519_LEN], const uint8_t priv[X25519_LEN],
		  const uint8_t peer[X25519_LEN]);

#endif
