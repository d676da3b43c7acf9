#include "crypto/x25519.h"

#include <openssl/evp.h>

#include "base/err.h"
#include "crypto/algo.h"
#include "crypto/rand.h"
#include "crypto/secret.h"

int x25519_keypair(uint8_t priv[X25519_LEN], uint8_t pub[X25519_LEN])
{
	int err = rand_bytes(priv, X25519_LEN);

	if (err != 0)
		return err;
	priv[0] &= 248;
	priv[31] &= 127;
	priv[31] |= 64;
	err = x25519_public(pub, priv);
	if (err != 0)
		secret_wipe(priv, X25519_LEN);
	return err;
}

int x25519_public(uint8_t pub[X25519_LEN], const uint8_t priv[X25519_LEN])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, priv, X25519_LEN);
	size_t n = X25519_LEN;
	int ok = key && EVP_PKEY_get_raw_public_key(key, pub, &n) == 1 && n == X25519_LEN;

	EVP_PKEY_free(key);
	return ok ? 0 : -ERR_SYS;
}

int x25519_shared(uint8_t out[X25519_LEN], const uint8_t priv[X25519_LEN],
		  const uint8_t peer[X25519_LEN])
{
	/* What our public key is plays no part in it: any will do. */
	EVP_PKEY *mine = algo_pair("X25519", priv, peer);
	EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer, X25519_LEN);
	EVP_PKEY_CTX *ctx = mine ? EVP_PKEY_CTX_new(mine, NULL) : NULL;
	size_t n = X25519_LEN;
	/* libcrypto refuses the all-zero result itself */
	int ok = ctx && theirs && EVP_PKEY_derive_init(ctx) == 1 &&
		 EVP_PKEY_derive_set_peer(ctx, theirs) == 1 && EVP_PKEY_derive(ctx, out, &n) == 1 &&
		 n == X25519_LEN;

	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(theirs);
	EVP_PKEY_free(mine);
	return ok ? 0 : -ERR_MALFORMED;
}
