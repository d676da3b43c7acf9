/*
 * Arbitrary bytes as an encapsulation key: no other length than the right one
 * accepted, each coefficient below the modulus and the one that was written.
 * For one input in a thousand the slow part too: the same answer each time, as
 * a key and as a ciphertext; and a key and a message from the same bytes agree
 * on a secret, which any change of the ciphertext takes away.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "crypto/mlkem768.h"
#include "rarely.h"

enum { MODULUS = 3329, SLOW_ONE_IN = 1024 };

static void must(bool fine)
{
	if (!fine)
		abort();
}

static struct mlkem768_key key;

/* Twelve bits each, FIPS 203 algorithm 6. The number at @i. */
UNTRACED static unsigned written(const uint8_t *ek, unsigned i)
{
	const uint8_t *at = ek + i / 2 * 3;

	return i % 2 ? (unsigned)(at[1] >> 4 | at[2] << 4) : (unsigned)(at[0] | at[1] << 8) & 0xfff;
}

UNTRACED static bool below_modulus(const uint8_t *ek)
{
	for (unsigned i = 0; i < 3 * 256; i++)
		if (written(ek, i) >= MODULUS)
			return false;
	return true;
}

UNTRACED static void as_written(const struct mlkem768_poly t[3], const uint8_t *ek)
{
	for (unsigned i = 0; i < 3 * 256; i++)
		must((unsigned)t[i / 256].c[i % 256] == written(ek, i));
}

static void as_foreign_key(struct span in, bool slow)
{
	static struct mlkem768_poly t[3];
	static struct mlkem768_pub pub;
	uint8_t a[32], b[32], ct[2][MLKEM768_CT], m[32] = {7};
	int err = mlkem768_ek_decode(t, in);

	must(err == (in.n == MLKEM768_EK && below_modulus(in.p) ? 0 : -ERR_MALFORMED));
	if (err == 0)
		as_written(t, in.p);
	if (!slow)
		return;
	must(mlkem768_pub_set(&pub, in) == err);
	if (err)
		return;
	must(memcmp(pub.t, t, sizeof(t)) == 0);
	mlkem768_encaps_from(a, ct[0], &pub, m);
	mlkem768_encaps_from(b, ct[1], &pub, m);
	must(memcmp(a, b, 32) == 0 && memcmp(ct[0], ct[1], MLKEM768_CT) == 0);
}

static void as_ciphertext(struct span in)
{
	uint8_t a[32] = {0}, b[32] = {0};
	int err = mlkem768_decaps(a, &key, in);

	must(err == (in.n == MLKEM768_CT ? 0 : -ERR_MALFORMED));
	must(mlkem768_decaps(b, &key, in) == err && memcmp(a, b, 32) == 0);
}

static void roundtrip(const uint8_t *seed)
{
	struct mlkem768_key k;
	struct mlkem768_pub pub;
	uint8_t a[32], b[32], ct[MLKEM768_CT];

	mlkem768_key_set(&k, seed);
	must(mlkem768_pub_set(&pub, span_of(k.ek, sizeof(k.ek))) == 0);
	must(memcmp(&pub, &k.pub, sizeof(pub)) == 0);
	mlkem768_encaps_from(a, ct, &pub, seed + MLKEM768_SEED);
	must(mlkem768_decaps(b, &k, span_of(ct, sizeof(ct))) == 0 && memcmp(a, b, 32) == 0);
	ct[seed[96] << 2 | (seed[97] & 3)] ^= (uint8_t)(1 << (seed[98] & 7));
	must(mlkem768_decaps(b, &k, span_of(ct, sizeof(ct))) == 0 && memcmp(a, b, 32) != 0);
	mlkem768_key_wipe(&k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t seed[MLKEM768_SEED] = {1};
	uint8_t padded[MLKEM768_EK] = {0};
	bool slow = rarely(data, size, SLOW_ONE_IN);

	if (key.z[0] == 0 && key.ek[0] == 0 && key.ek[1] == 0)
		mlkem768_key_set(&key, seed);
	as_foreign_key(span_of(data, size), slow);
	memcpy(padded, data, size < sizeof(padded) ? size : sizeof(padded));
	as_foreign_key(span_of(padded, MLKEM768_EK), slow);
	if (slow) {
		as_ciphertext(span_of(data, size));
		as_ciphertext(span_of(padded, MLKEM768_CT));
		roundtrip(padded);
	}
	return 0;
}
