/*
 * AES on single 16-byte blocks, for formats that use it as a plain permutation:
 * identity headers and packet headers of Shadowsocks 2022, header protection of
 * QUIC. Not a way to encrypt messages.
 */
#ifndef GARENNE_CRYPTO_AESBLOCK_H
#define GARENNE_CRYPTO_AESBLOCK_H

#include <stddef.h>
#include <stdint.h>

enum { AESBLOCK_LEN = 16 };

struct aesblock;

enum aesblock_way { AESBLOCK_ENCRYPT = 1, AESBLOCK_DECRYPT };

/** Copies @key of @key_len bytes, 16 or 32. Gives; NULL when memory is out or the length wrong. */
struct aesblock *aesblock_new(enum aesblock_way way, const uint8_t *key, size_t key_len);
/** Wipes the key. Takes NULL too. */
void aesblock_free(struct aesblock *b);
/** Another key of the same length, without allocating. 0 or -ERR_SYS. */
int aesblock_set_key(struct aesblock *b, const uint8_t *key);
/** One block; @out may be @in. 0 or -ERR_SYS. */
int aesblock_run(struct aesblock *b, uint8_t out[AESBLOCK_LEN], const uint8_t in[AESBLOCK_LEN]);
/** For a key that is used once. 0, or -ERR_SYS. */
int aesblock_once(enum aesblock_way way, const uint8_t *key, size_t key_len,
		  uint8_t out[AESBLOCK_LEN], const uint8_t in[AESBLOCK_LEN]);

#endif
