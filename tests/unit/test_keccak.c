/* SHA3 and SHAKE against libcrypto's, at every length round a block, whole and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>

#include "crypto/keccak.h"

enum { LONGEST = 700, OUT = 600 };

static uint8_t input[LONGEST];

static int fill_input(void **state)
{
	(void)state;
	for (size_t i = 0; i < LONGEST; i++)
		input[i] = (uint8_t)(i * 7 + i / 251);
	return 0;
}

static const struct {
	enum keccak_fn fn;
	const char *name;
	size_t out;
} fns[] = {
	{KECCAK_SHA3_256, "SHA3-256", 32},
	{KECCAK_SHA3_512, "SHA3-512", 64},
	{KECCAK_SHAKE128, "SHAKE128", OUT},
	{KECCAK_SHAKE256, "SHAKE256", OUT},
};

static void reference(unsigned f, uint8_t *out, struct span in)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	assert_int_equal(EVP_DigestInit_ex(ctx, EVP_get_digestbyname(fns[f].name), NULL), 1);
	assert_int_equal(EVP_DigestUpdate(ctx, in.p, in.n), 1);
	if (fns[f].fn >= KECCAK_SHAKE128)
		assert_int_equal(EVP_DigestFinalXOF(ctx, out, fns[f].out), 1);
	else
		assert_int_equal(EVP_DigestFinal_ex(ctx, out, NULL), 1);
	EVP_MD_CTX_free(ctx);
}

static void every_length(void **state)
{
	uint8_t want[OUT], got[OUT];

	(void)state;
	for (unsigned f = 0; f < 4; f++) {
		for (size_t n = 0; n <= LONGEST; n += n < 350 ? 1 : 17) {
			struct span in = span_of(input, n);

			reference(f, want, in);
			keccak_hash(fns[f].fn, got, fns[f].out, &in, 1);
			assert_memory_equal(got, want, fns[f].out);
		}
	}
}

static void pieces(void **state)
{
	uint8_t want[OUT], got[OUT];

	(void)state;
	reference(2, want, span_of(input, 500));
	for (size_t step = 1; step < 200; step++) {
		struct keccak h;

		keccak_init(&h, KECCAK_SHAKE128);
		for (size_t at = 0; at < 500; at += step)
			keccak_absorb(&h, span_of(input + at, 500 - at < step ? 500 - at : step));
		for (size_t at = 0; at < OUT; at += step)
			keccak_squeeze(&h, got + at, OUT - at < step ? OUT - at : step);
		assert_memory_equal(got, want, OUT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length),
		cmocka_unit_test(pieces),
	};

	return cmocka_run_group_tests(tests, fill_input, NULL);
}
