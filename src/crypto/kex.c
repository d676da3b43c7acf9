#include "crypto/kex.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/err.h"
#include "crypto/mlkem768.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"

struct kex {
	uint16_t group;
	uint8_t x25519[X25519_LEN];
	EVP_PKEY *curve;	   /* one of NIST's, or NULL */
	struct mlkem768_key mlkem; /* of the hybrid group */
	uint8_t share[KEX_SHARE_MAX];
	size_t n;
};

static const char *curve_name(uint16_t group)
{
	switch (group) {
	case TLS_GROUP_P256:
		return "P-256";
	case TLS_GROUP_P384:
		return "P-384";
	case TLS_GROUP_P521:
		return "P-521";
	default:
		return NULL;
	}
}

static int make_curve(struct kex *k)
{
	k->curve = EVP_EC_gen(curve_name(k->group));
	if (!k->curve ||
	    EVP_PKEY_get_octet_string_param(k->curve, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, k->share,
					    sizeof(k->share), &k->n) != 1)
		return -ERR_SYS;
	return 0;
}

static int make(struct kex *k)
{
	int err;

	switch (k->group) {
	case TLS_GROUP_X25519:
		k->n = X25519_LEN;
		return x25519_keypair(k->x25519, k->share);
	case TLS_GROUP_X25519MLKEM768:
		err = mlkem768_keygen(&k->mlkem);
		if (err)
			return err;
		memcpy(k->share, k->mlkem.ek, MLKEM768_EK);
		k->n = MLKEM768_EK + X25519_LEN;
		return x25519_keypair(k->x25519, k->share + MLKEM768_EK);
	default:
		return curve_name(k->group) ? make_curve(k) : -ERR_UNSUPPORTED;
	}
}

struct kex *kex_new(uint16_t group, int *err)
{
	struct kex *k = calloc(1, sizeof(*k));

	*err = -ERR_NOMEM;
	if (!k)
		return NULL;
	k->group = group;
	*err = make(k);
	if (*err) {
		kex_free(k);
		return NULL;
	}
	return k;
}

void kex_free(struct kex *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->curve);
	secret_wipe(k, sizeof(*k));
	free(k);
}

uint16_t kex_group(const struct kex *k)
{
	return k->group;
}

struct span kex_share(const struct kex *k)
{
	return span_of(k->share, k->n);
}

const uint8_t *kex_x25519(const struct kex *k)
{
	return curve_name(k->group) ? NULL : k->x25519;
}

static EVP_PKEY *peer_point(const struct kex *k, struct span share)
{
	EVP_PKEY *peer = EVP_PKEY_new();

	if (peer && share.n == k->n && share.p[0] == k->share[0] &&
	    EVP_PKEY_copy_parameters(peer, k->curve) == 1 &&
	    EVP_PKEY_set1_encoded_public_key(peer, share.p, share.n) == 1)
		return peer;
	EVP_PKEY_free(peer);
	return NULL;
}

static int finish_curve(const struct kex *k, struct span share, uint8_t *out, size_t *n)
{
	EVP_PKEY *peer = peer_point(k, share);
	EVP_PKEY_CTX *ctx = peer ? EVP_PKEY_CTX_new(k->curve, NULL) : NULL;
	size_t len = KEX_SECRET_MAX;
	int ok = ctx && EVP_PKEY_derive_init(ctx) == 1 &&
		 EVP_PKEY_derive_set_peer(ctx, peer) == 1 && EVP_PKEY_derive(ctx, out, &len) == 1;

	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	*n = len;
	return ok ? 0 : -ERR_MALFORMED;
}

int kex_finish(const struct kex *k, struct span share, uint8_t out[KEX_SECRET_MAX], size_t *n)
{
	int err;

	switch (k->group) {
	case TLS_GROUP_X25519:
		*n = X25519_LEN;
		return share.n == X25519_LEN ? x25519_shared(out, k->x25519, share.p)
					     : -ERR_MALFORMED;
	case TLS_GROUP_X25519MLKEM768:
		*n = MLKEM768_SHARED + X25519_LEN;
		if (share.n != MLKEM768_CT + X25519_LEN)
			return -ERR_MALFORMED;
		err = mlkem768_decaps(out, &k->mlkem, span_of(share.p, MLKEM768_CT));
		return err ? err
			   : x25519_shared(out + MLKEM768_SHARED, k->x25519, share.p + MLKEM768_CT);
	default:
		return finish_curve(k, share, out, n);
	}
}
