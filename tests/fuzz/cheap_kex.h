/*
 * crypto/kex.h and crypto/x25519.h for targets that fuzz what comes after a key
 * exchange: everybody's share and everybody's secret are the same 32 bytes, and
 * cost nothing. Defined in the target, these take the place of the library's.
 */
#ifndef TESTS_FUZZ_CHEAP_KEX_H
#define TESTS_FUZZ_CHEAP_KEX_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "crypto/kex.h"
#include "crypto/x25519.h"

static const uint8_t cheap_key[X25519_LEN] = {9, 1, 2, 3};

struct kex {
	uint16_t group;
};

struct kex *kex_new(uint16_t group, int *err)
{
	struct kex *k = malloc(sizeof(*k));

	*err = -ERR_UNSUPPORTED;
	if (!k || group != TLS_GROUP_X25519) {
		free(k);
		return NULL;
	}
	*err = 0;
	k->group = group;
	return k;
}

void kex_free(struct kex *k)
{
	free(k);
}

uint16_t kex_group(const struct kex *k)
{
	return k->group;
}

struct span kex_share(const struct kex *k)
{
	(void)k;
	return span_of(cheap_key, sizeof(cheap_key));
}

const uint8_t *kex_x25519(const struct kex *k)
{
	(void)k;
	return cheap_key;
}

int kex_finish(const struct kex *k, struct span share, uint8_t out[KEX_SECRET_MAX], size_t *n)
{
	(void)k;
	if (share.n != X25519_LEN)
		return -ERR_MALFORMED;
	memcpy(out, cheap_key, sizeof(cheap_key));
	*n = sizeof(cheap_key);
	return 0;
}

int x25519_keypair(uint8_t priv[X25519_LEN], uint8_t pub[X25519_LEN])
{
	memcpy(priv, cheap_key, X25519_LEN);
	memcpy(pub, cheap_key, X25519_LEN);
	return 0;
}

int x25519_public(uint8_t pub[X25519_LEN], const uint8_t priv[X25519_LEN])
{
	(void)priv;
	memcpy(pub, cheap_key, X25519_LEN);
	return 0;
}

int x25519_shared(uint8_t out[X25519_LEN], const uint8_t priv[X25519_LEN],
		  const uint8_t peer[X25519_LEN])
{
	(void)priv;
	(void)peer;
	memcpy(out, cheap_key, X25519_LEN);
	return 0;
}

#endif
