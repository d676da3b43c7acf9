#include "crypto/aesblock.h"

#include <stdlib.h>

#include "base/err.h"
#include "crypto/algo.h"

struct aesblock {
	EVP_CIPHER_CTX *ctx; /* libcrypto wipes the key schedule when it frees it */
};

struct aesblock *aesblock_new(enum aesblock_way way, const uint8_t *key, size_t key_len)
{
	struct aesblock *b;

	if (key_len != 16 && key_len != 32)
		return NULL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->ctx = EVP_CIPHER_CTX_new();
	if (!b->ctx ||
	    EVP_CipherInit_ex(b->ctx,
			      algo_block(key_len == 16 ? ALGO_AES_128_ECB : ALGO_AES_256_ECB), NULL,
			      key, NULL, way == AESBLOCK_ENCRYPT) != 1 ||
	    EVP_CIPHER_CTX_set_padding(b->ctx, 0) != 1) {
		aesblock_free(b);
		return NULL;
	}
	return b;
}

void aesblock_free(struct aesblock *b)
{
	if (!b)
		return;
	EVP_CIPHER_CTX_free(b->ctx);
	free(b);
}

int aesblock_set_key(struct aesblock *b, const uint8_t *key)
{
	return EVP_CipherInit_ex(b->ctx, NULL, NULL, key, NULL, -1) == 1 ? 0 : -ERR_SYS;
}

int aesblock_run(struct aesblock *b, uint8_t out[AESBLOCK_LEN], const uint8_t in[AESBLOCK_LEN])
{
	int len = 0;

	if (EVP_CipherUpdate(b->ctx, out, &len, in, AESBLOCK_LEN) != 1 || len != AESBLOCK_LEN)
		return -ERR_SYS;
	return 0;
}

int aesblock_once(enum aesblock_way way, const uint8_t *key, size_t key_len,
		  uint8_t out[AESBLOCK_LEN], const uint8_t in[AESBLOCK_LEN])
{
	struct aesblock *b = aesblock_new(way, key, key_len);
	int err = b ? aesblock_run(b, out, in) : -ERR_SYS;

	aesblock_free(b);
	return err;
}
