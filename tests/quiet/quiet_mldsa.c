/*
 * A signature by ML-DSA-65 with the private key marked for valgrind. That an
 * attempt is refused, its challenge, and the hints of the last one may be seen:
 *
 * allowed: sample_challenge too_large put_response put_row_hints put_hints
 */
#include <valgrind/memcheck.h>

#include "crypto/mldsa65.h"

int main(void)
{
	static struct mldsa65_key k;
	static uint8_t sig[MLDSA65_SIG];
	uint8_t seed[MLDSA65_SEED] = {3}, random[MLDSA65_RANDOM] = {5};
	struct span none = {NULL, 0};

	mldsa65_key_set(&k, seed);
	VALGRIND_MAKE_MEM_UNDEFINED(k.s1, sizeof(k.s1));
	VALGRIND_MAKE_MEM_UNDEFINED(k.s2, sizeof(k.s2));
	VALGRIND_MAKE_MEM_UNDEFINED(k.t0, sizeof(k.t0));
	VALGRIND_MAKE_MEM_UNDEFINED(k.k, sizeof(k.k));
	return mldsa65_sign_from(sig, &k, none, none, random) != 0;
}
