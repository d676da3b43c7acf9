#include "crypto/sha.h"

#include "base/err.h"
#include "crypto/algo.h"
#include "crypto/secret.h"

enum { BLOCK_MAX = 128 }; /* of SHA-384 and SHA-512; 64 in the others */

size_t sha_len(enum sha_alg alg)
{
	static const uint8_t len[SHA_ALG_MAX_] = {
		[SHA_ALG_1] = 20,   [SHA_ALG_224] = 28, [SHA_ALG_256] = 32,
		[SHA_ALG_384] = 48, [SHA_ALG_512] = 64,
	};

	return len[alg];
}

static size_t block_len(enum sha_alg alg)
{
	return alg >= SHA_ALG_384 ? 128 : 64;
}

/* One digest over @first and then @parts, in a context that may have been used before. */
static int digest(EVP_MD_CTX *ctx, enum sha_alg alg, uint8_t *out, struct span first,
		  const struct span *parts, size_t n)
{
	if (EVP_DigestInit_ex(ctx, algo_hash(alg), NULL) != 1)
		return -ERR_NOMEM;
	if (first.n > 0 && EVP_DigestUpdate(ctx, first.p, first.n) != 1)
		return -ERR_NOMEM;
	for (size_t i = 0; i < n; i++)
		if (parts[i].n > 0 && EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) != 1)
			return -ERR_NOMEM;
	return EVP_DigestFinal_ex(ctx, out, NULL) == 1 ? 0 : -ERR_NOMEM;
}

int sha_digest(enum sha_alg alg, uint8_t *out, const struct span *parts, size_t n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int err = ctx ? digest(ctx, alg, out, span_of(NULL, 0), parts, n) : -ERR_NOMEM;

	EVP_MD_CTX_free(ctx);
	return err;
}

int sha_hmac(enum sha_alg alg, uint8_t *out, struct span key, const struct span *parts, size_t n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t block = block_len(alg), len = sha_len(alg);
	uint8_t k[BLOCK_MAX] = {0}, inner[SHA_LEN_MAX];
	struct span rest = span_of(inner, len);
	int err = ctx ? 0 : -ERR_NOMEM;

	if (err == 0 && key.n > block)
		err = digest(ctx, alg, k, key, NULL, 0);
	else if (err == 0 && key.n > 0)
		memcpy(k, key.p, key.n);
	for (size_t i = 0; i < block; i++)
		k[i] ^= 0x36;
	if (err == 0)
		err = digest(ctx, alg, inner, span_of(k, block), parts, n);
	for (size_t i = 0; i < block; i++)
		k[i] ^= 0x36 ^ 0x5c;
	if (err == 0)
		err = digest(ctx, alg, out, span_of(k, block), &rest, 1);
	secret_wipe(k, sizeof(k));
	secret_wipe(inner, sizeof(inner));
	EVP_MD_CTX_free(ctx);
	return err;
}

int sha1(uint8_t out[SHA1_LEN], struct span in)
{
	return sha_digest(SHA_ALG_1, out, &in, 1);
}

int sha224(uint8_t out[SHA224_LEN], struct span in)
{
	return sha_digest(SHA_ALG_224, out, &in, 1);
}

int sha256(uint8_t out[SHA256_LEN], struct span in)
{
	return sha_digest(SHA_ALG_256, out, &in, 1);
}
