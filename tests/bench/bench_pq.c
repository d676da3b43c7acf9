/*
 * What the post-quantum primitives cost: microseconds of processor time per
 * operation, each the best of several rounds, beside libcrypto's X25519 and SHAKE.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crypto/ed25519.h"
#include "crypto/keccak.h"
#include "crypto/mldsa65.h"
#include "crypto/mlkem768.h"
#include "crypto/x25519.h"

enum { ROUNDS = 7, TIMES = 300 };

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void measure(const char *what, void (*work)(void))
{
	double best = 1e18;

	for (int r = 0; r < ROUNDS; r++) {
		double t = now_us();

		for (int i = 0; i < TIMES; i++)
			work();
		t = (now_us() - t) / TIMES;
		if (t < best)
			best = t;
	}
	printf("%-28s %8.2f us\n", what, best);
}

static uint8_t seed[64], out[512], other[32];

static void shake_evp(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	EVP_DigestInit_ex(ctx, EVP_shake128(), NULL);
	EVP_DigestUpdate(ctx, seed, 34);
	EVP_DigestFinalXOF(ctx, out, 504);
	EVP_MD_CTX_free(ctx);
}

static void shake_own(void)
{
	struct span in = span_of(seed, 34);

	keccak_hash(KECCAK_SHAKE128, out, 504, &in, 1);
}

static void x25519_both(void)
{
	if (x25519_keypair(seed, out) != 0 || x25519_shared(other, seed, out) != 0)
		abort();
}

static struct mlkem768_key kem;
static uint8_t ct[MLKEM768_CT];

static void kem_keygen(void)
{
	if (mlkem768_keygen(&kem) != 0)
		abort();
}

static void kem_encaps(void)
{
	struct mlkem768_pub pub;

	if (mlkem768_pub_set(&pub, span_of(kem.ek, sizeof(kem.ek))) != 0 ||
	    mlkem768_encaps(other, ct, &pub) != 0)
		abort();
}

static void kem_decaps(void)
{
	if (mlkem768_decaps(other, &kem, span_of(ct, sizeof(ct))) != 0)
		abort();
}

static struct mldsa65_key dsa;
static struct mldsa65_pub dsa_pub;
static uint8_t sig[MLDSA65_SIG];
static const struct span none = {NULL, 0};

static void dsa_key(void)
{
	mldsa65_key_set(&dsa, seed);
}

static void dsa_sign(void)
{
	if (mldsa65_sign(sig, &dsa, none, none) != 0)
		abort();
}

static void dsa_expand(void)
{
	if (mldsa65_pub_set(&dsa_pub, span_of(dsa.bytes, sizeof(dsa.bytes))) != 0)
		abort();
}

static void dsa_verify(void)
{
	if (mldsa65_verify(&dsa_pub, none, none, span_of(sig, sizeof(sig))) != 0)
		abort();
}

static uint8_t ed_pub[32];

static void ed_sign(void)
{
	if (ed25519_sign(out, seed, ed_pub, none) != 0)
		abort();
}

int main(void)
{
	if (ed25519_public(ed_pub, seed) != 0)
		abort();
	measure("SHAKE128, 504 bytes, EVP", shake_evp);
	measure("SHAKE128, 504 bytes, own", shake_own);
	measure("X25519, pair and secret", x25519_both);
	measure("ML-KEM-768 keygen", kem_keygen);
	measure("ML-KEM-768 encaps", kem_encaps);
	measure("ML-KEM-768 decaps", kem_decaps);
	measure("ML-DSA-65 key from seed", dsa_key);
	measure("ML-DSA-65 sign", dsa_sign);
	measure("ML-DSA-65 expand public key", dsa_expand);
	measure("ML-DSA-65 verify", dsa_verify);
	measure("Ed25519 sign", ed_sign);
	return 0;
}
