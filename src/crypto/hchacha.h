/* HChaCha20 (draft-irtf-cfrg-xchacha-03 2.2): a subkey from a key and 16 bytes of nonce. */
#ifndef GARENNE_CRYPTO_HCHACHA_H
#define GARENNE_CRYPTO_HCHACHA_H

#include <stdint.h>

enum { HCHACHA_NONCE = 16 };

void hchacha20(uint8_t out[32], const uint8_t key[32], const uint8_t nonce[HCHACHA_NONCE]);

#endif
