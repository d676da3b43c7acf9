#include "crypto/ed25519.h"

#include <openssl/evp.h>

#include "base/err.h"
#include "crypto/algo.h"
#include "crypto/rand.h"
#include "crypto/secret.h"

int ed25519_keypair(uint8_t priv[ED25519_LEN], uint8_t pub[ED25519_LEN])
{
	int err = rand_bytes(priv, ED25519_LEN);

	if (err != 0)
		return err;
	err = ed25519_public(pub, priv);
	if (err != 0)
		secret_wipe(priv, ED25519_LEN);
	return err;
}

int ed25519_public(uint8_t pub[ED25519_LEN], const uint8_t priv[ED25519_LEN])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, priv, ED25519_LEN);
	size_t n = ED25519_LEN;
	int ok = key && EVP_PKEY_get_raw_public_key(key, pub, &n) == 1 && n == ED25519_LEN;

	EVP_PKEY_free(key);
	return ok ? 0 : -ERR_SYS;
}

/* libcrypto takes no NULL, not even for nothing. */
static const uint8_t *start(struct span msg)
{
	return msg.n ? msg.p : (const uint8_t *)"";
}

int ed25519_sign(uint8_t sig[ED25519_SIG], const uint8_t priv[ED25519_LEN],
		 const uint8_t pub[ED25519_LEN], struct span msg)
{
	EVP_PKEY *key = algo_pair("ED25519", priv, pub);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = ED25519_SIG;
	int ok = key && ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
		 EVP_DigestSign(ctx, sig, &n, start(msg), msg.n) == 1 && n == ED25519_SIG;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return ok ? 0 : -ERR_SYS;
}

int ed25519_verify(const uint8_t pub[ED25519_LEN], struct span msg, const uint8_t sig[ED25519_SIG])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, ED25519_LEN);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
		 EVP_DigestVerify(ctx, sig, ED25519_SIG, start(msg), msg.n) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return ok ? 0 : -ERR_AUTH;
}
