#include "crypto/algo.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <pthread.h>

static struct {
	EVP_MD *hash[SHA_ALG_MAX_];
	EVP_CIPHER *aead[AEAD_MAX_];
	EVP_CIPHER *block[ALGO_BLOCK_MAX_];
} found;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void look_up(void)
{
	static const char *const hash[SHA_ALG_MAX_] = {
		[SHA_ALG_1] = "SHA1",	  [SHA_ALG_224] = "SHA224", [SHA_ALG_256] = "SHA256",
		[SHA_ALG_384] = "SHA384", [SHA_ALG_512] = "SHA512",
	};
	static const char *const aead[AEAD_MAX_] = {
		[AEAD_AES_128_GCM] = "AES-128-GCM",
		[AEAD_AES_256_GCM] = "AES-256-GCM",
		[AEAD_CHACHA20_POLY1305] = "ChaCha20-Poly1305",
		[AEAD_XCHACHA20_POLY1305] = "ChaCha20-Poly1305",
	};
	static const char *const block[ALGO_BLOCK_MAX_] = {
		[ALGO_AES_128_ECB] = "AES-128-ECB",
		[ALGO_AES_256_ECB] = "AES-256-ECB",
	};

	for (int i = 0; i < SHA_ALG_MAX_; i++)
		found.hash[i] = hash[i] ? EVP_MD_fetch(NULL, hash[i], NULL) : NULL;
	for (int i = 0; i < AEAD_MAX_; i++)
		found.aead[i] = aead[i] ? EVP_CIPHER_fetch(NULL, aead[i], NULL) : NULL;
	for (int i = 0; i < ALGO_BLOCK_MAX_; i++)
		found.block[i] = EVP_CIPHER_fetch(NULL, block[i], NULL);
}

const EVP_MD *algo_hash(enum sha_alg alg)
{
	pthread_once(&once, look_up);
	return found.hash[alg];
}

const EVP_CIPHER *algo_aead(enum aead_alg alg)
{
	pthread_once(&once, look_up);
	return found.aead[alg];
}

const EVP_CIPHER *algo_block(enum algo_block block)
{
	pthread_once(&once, look_up);
	return found.block[block];
}

EVP_PKEY *algo_pair(const char *type, const uint8_t priv[32], const uint8_t pub[32])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM parts[] = { /* which takes no const, and changes nothing */
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, (uint8_t *)(uintptr_t)priv, 32),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (uint8_t *)(uintptr_t)pub, 32),
		OSSL_PARAM_construct_end()};
	EVP_PKEY *key = NULL;

	if (ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, parts) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}
