/*
 * The first byte chooses: a certificate to be read, or a hello to be judged. What
 * is sealed opens again and is ours; one changed byte is not. The key exchange is
 * a fake that costs nothing.
 */
#include <stdlib.h>

#include "cheap_kex.h"
#include "proto/reality.h"

static const uint8_t keys[1][REALITY_KEY_LEN] = {{8, 1, 2, 3}};
static const uint8_t short_ids[1][REALITY_SHORT_ID_LEN] = {{7}};
static const char *const names[] = {""};

static const struct reality_rules rules = {.keys = keys,
					   .n_keys = 1,
					   .names = names,
					   .n_names = 1,
					   .short_ids = short_ids,
					   .n_short_ids = 1,
					   .max_diff_ms = 1000};

static void inside(struct span part, struct span whole)
{
	if (part.n && (part.p < whole.p || part.p + part.n > whole.p + whole.n))
		abort();
}

static void certificate(struct span in)
{
	static const uint8_t auth_key[REALITY_KEY_LEN] = {1};
	struct reality_cert c;

	if (reality_cert_decode(&c, in) != 0)
		return;
	inside(c.key, in);
	inside(c.signature, in);
	inside(c.extension, in);
	if (c.key.n != 0 && c.key.n != REALITY_CERT_KEY_LEN)
		abort();
	reality_cert_proves(&c, auth_key);
}

static enum reality_verdict judge(const uint8_t *hello, size_t n, const uint8_t *key)
{
	struct reality_offer offer = {.hello = span_of(hello, n), .tls13 = true, .key = key};
	struct reality_finding found;

	return reality_judge(&rules, &offer, 5000, &found);
}

static void hello(const uint8_t *data, size_t size)
{
	const struct reality_id id = {.time_s = 5, .short_id = {7}};
	uint8_t pub[32], priv[32] = {64, 9}, shared[32], auth_key[32], server[32], *copy;

	judge(data, size, NULL);
	if (size < REALITY_SID_AT + REALITY_SID_LEN)
		return;
	if (judge(data, size, data + REALITY_SID_AT) == REALITY_OURS)
		abort();
	copy = malloc(size);
	memcpy(copy, data, size);
	x25519_public(pub, priv);
	x25519_public(server, keys[0]);
	if (x25519_shared(shared, priv, server) != 0 ||
	    reality_auth_key(auth_key, shared, copy + REALITY_RANDOM_AT) != 0)
		abort();
	if (reality_id_seal(copy, size, auth_key, &id) == 0) {
		if (judge(copy, size, pub) != REALITY_OURS)
			abort();
		copy[4 + data[size - 1] % (size - 4)] ^= 0x80;
		if (judge(copy, size, pub) == REALITY_OURS)
			abort();
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		certificate(span_of(data + 1, size - 1));
	else
		hello(data + 1, size - 1);
	return 0;
}
