#include "crypto/aead.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/err.h"
#include "crypto/algo.h"
#include "crypto/hchacha.h"
#include "crypto/secret.h"

struct aead {
	EVP_CIPHER_CTX *ctx;
	enum aead_alg alg;
	/* XChaCha only: the real key, and the nonce prefix whose subkey @ctx holds */
	uint8_t key[AEAD_KEY_MAX];
	uint8_t prefix[HCHACHA_NONCE];
	bool keyed;
};

size_t aead_key_len(enum aead_alg alg)
{
	return alg == AEAD_AES_128_GCM ? 16 : 32;
}

size_t aead_nonce_len(enum aead_alg alg)
{
	return alg == AEAD_XCHACHA20_POLY1305 ? 24 : 12;
}

struct aead *aead_new(enum aead_alg alg, const uint8_t *key)
{
	struct aead *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->alg = alg;
	a->ctx = EVP_CIPHER_CTX_new();
	if (!a->ctx || EVP_CipherInit_ex(a->ctx, algo_aead(alg), NULL, NULL, NULL, 1) != 1 ||
	    aead_set_key(a, key) != 0) {
		aead_free(a);
		return NULL;
	}
	return a;
}

void aead_free(struct aead *a)
{
	if (!a)
		return;
	EVP_CIPHER_CTX_free(a->ctx);
	secret_wipe(a, sizeof(*a));
	free(a);
}

int aead_set_key(struct aead *a, const uint8_t *key)
{
	if (a->alg == AEAD_XCHACHA20_POLY1305) {
		memcpy(a->key, key, sizeof(a->key));
		a->keyed = false;
		return 0;
	}
	return EVP_CipherInit_ex(a->ctx, NULL, NULL, key, NULL, -1) == 1 ? 0 : -ERR_SYS;
}

/* The key under which ChaCha20-Poly1305 runs follows from the first 16 bytes of the nonce. */
static int derive(struct aead *a, const uint8_t *nonce)
{
	uint8_t sub[32];
	int ok;

	if (a->keyed && memcmp(a->prefix, nonce, sizeof(a->prefix)) == 0)
		return 0;
	hchacha20(sub, a->key, nonce);
	ok = EVP_CipherInit_ex(a->ctx, NULL, NULL, sub, NULL, -1);
	secret_wipe(sub, sizeof(sub));
	memcpy(a->prefix, nonce, sizeof(a->prefix));
	a->keyed = ok == 1;
	return ok == 1 ? 0 : -ERR_SYS;
}

static int start(struct aead *a, const uint8_t *nonce, struct span ad, int enc)
{
	uint8_t inner[12] = {0};
	int len;

	if (a->alg == AEAD_XCHACHA20_POLY1305) {
		if (derive(a, nonce) != 0)
			return -ERR_SYS;
		memcpy(inner + 4, nonce + 16, 8);
		nonce = inner;
	}
	if (EVP_CipherInit_ex(a->ctx, NULL, NULL, NULL, nonce, enc) != 1 || ad.n > INT_MAX)
		return -ERR_SYS;
	if (ad.n > 0 && EVP_CipherUpdate(a->ctx, NULL, &len, ad.p, (int)ad.n) != 1)
		return -ERR_SYS;
	return 0;
}

static int update(struct aead *a, uint8_t *out, struct span in)
{
	int len;

	if (in.n == 0)
		return 0;
	if (in.n > INT_MAX || EVP_CipherUpdate(a->ctx, out, &len, in.p, (int)in.n) != 1)
		return -ERR_SYS;
	return (size_t)len == in.n ? 0 : -ERR_SYS;
}

int aead_seal_parts(struct aead *a, const uint8_t *nonce, struct span ad, uint8_t *out,
		    const struct span *in, size_t n)
{
	int len;

	if (start(a, nonce, ad, 1) != 0)
		return -ERR_SYS;
	for (size_t i = 0; i < n; i++) {
		if (update(a, out, in[i]) != 0)
			return -ERR_SYS;
		out += in[i].n;
	}
	if (EVP_CipherFinal_ex(a->ctx, out, &len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, out) != 1)
		return -ERR_SYS;
	return 0;
}

int aead_seal(struct aead *a, const uint8_t *nonce, struct span ad, uint8_t *out, struct span in)
{
	return aead_seal_parts(a, nonce, ad, out, &in, 1);
}

static int open_parts(struct aead *a, uint8_t *out, size_t body, const struct span *in, size_t n)
{
	uint8_t tag[AEAD_TAG], end[AEAD_TAG];
	size_t tag_n = 0;
	int len;

	for (size_t i = 0; i < n; i++) {
		size_t part = in[i].n < body ? in[i].n : body;

		/* the tag is copied first: in place, the ciphertext before it is overwritten */
		if (in[i].n > part)
			memcpy(tag + tag_n, in[i].p + part, in[i].n - part);
		tag_n += in[i].n - part;
		if (update(a, out, span_of(in[i].p, part)) != 0)
			return -ERR_AUTH;
		out += part;
		body -= part;
	}
	if (EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, tag) != 1 ||
	    EVP_CipherFinal_ex(a->ctx, end, &len) != 1)
		return -ERR_AUTH;
	return 0;
}

int aead_open_parts(struct aead *a, const uint8_t *nonce, struct span ad, uint8_t *out,
		    const struct span *in, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += in[i].n;
	if (sum < AEAD_TAG)
		return -ERR_AUTH;
	if (start(a, nonce, ad, 0) != 0 || open_parts(a, out, sum - AEAD_TAG, in, n) != 0) {
		memset(out, 0, sum - AEAD_TAG); /* nobody shall act on forged plaintext */
		return -ERR_AUTH;
	}
	return 0;
}

int aead_open(struct aead *a, const uint8_t *nonce, struct span ad, uint8_t *out, struct span in)
{
	return aead_open_parts(a, nonce, ad, out, &in, 1);
}
