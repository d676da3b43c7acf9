/* Everything of ML-KEM-768 that touches a secret, with the secrets marked for valgrind. */
#include <valgrind/memcheck.h>

#include "crypto/mlkem768.h"

int main(void)
{
	static struct mlkem768_key k;
	uint8_t seed[MLKEM768_SEED] = {3}, m[MLKEM768_RANDOM] = {1};
	uint8_t ct[MLKEM768_CT], a[MLKEM768_SHARED], b[MLKEM768_SHARED];
	int err;

	mlkem768_key_set(&k, seed);
	VALGRIND_MAKE_MEM_UNDEFINED(m, sizeof(m));
	mlkem768_encaps_from(a, ct, &k.pub, m);
	VALGRIND_MAKE_MEM_DEFINED(ct, sizeof(ct)); /* on the wire */
	VALGRIND_MAKE_MEM_UNDEFINED(k.s, sizeof(k.s));
	VALGRIND_MAKE_MEM_UNDEFINED(k.z, sizeof(k.z));
	err = mlkem768_decaps(b, &k, span_of(ct, sizeof(ct)));
	ct[5] ^= 1; /* and once more with one that was not made so */
	if (err == 0)
		err = mlkem768_decaps(a, &k, span_of(ct, sizeof(ct)));
	mlkem768_key_wipe(&k);
	return err != 0;
}
