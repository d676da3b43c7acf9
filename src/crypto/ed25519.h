/* Ed25519 (RFC 8032): signatures with keys as raw bytes. A private key is any 32 random bytes. */
#ifndef GARENNE_CRYPTO_ED25519_H
#define GARENNE_CRYPTO_ED25519_H

#include <stdint.h>

#include "base/span.h"

enum { ED25519_LEN = 32, ED25519_SIG = 64 };

/** A fresh pair. 0 or -ERR_SYS. */
int ed25519_keypair(uint8_t priv[ED25519_LEN], uint8_t pub[ED25519_LEN])
	__attribute__((warn_unused_result));
/** 0 or -ERR_SYS. */
int ed25519_public(uint8_t pub[ED25519_LEN], const uint8_t priv[ED25519_LEN])
	__attribute__((warn_unused_result));
/** @pub must be that of @priv, always: two signatures of one message under different ones would
 * give the private key away. 0 or -ERR_SYS. */
int ed25519_sign(uint8_t sig[ED25519_SIG], const uint8_t priv[ED25519_LEN],
		 const uint8_t pub[ED25519_LEN], struct span msg)
	__attribute__((warn_unused_result));
/** 0, or -ERR_AUTH: not a signature of @msg with that key. */
int ed25519_verify(const uint8_t pub[ED25519_LEN], struct span msg, const uint8_t sig[ED25519_SIG])
	__attribute__((warn_unused_result));

#endif
