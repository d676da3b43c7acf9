/* ML-KEM-768 against vectors of other implementations, and what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "crypto/keccak.h"
#include "crypto/mlkem768.h"
#include "hex.h"
#include "mlkem_vectors.h"

struct sample {
	uint8_t seed[MLKEM768_SEED], message[MLKEM768_RANDOM], nobodys[MLKEM768_CT];
	uint8_t ct[MLKEM768_CT], shared[32], rejected[32];
	struct mlkem768_key key;
};

static struct sample s;

static struct span ct_span(const uint8_t *ct)
{
	return span_of(ct, MLKEM768_CT);
}

static void sample_work(void)
{
	struct mlkem768_pub pub;
	uint8_t back[32];

	mlkem768_key_set(&s.key, s.seed);
	assert_int_equal(mlkem768_pub_set(&pub, span_of(s.key.ek, MLKEM768_EK)), 0);
	mlkem768_encaps_from(s.shared, s.ct, &pub, s.message);
	assert_int_equal(mlkem768_decaps(back, &s.key, ct_span(s.ct)), 0);
	assert_memory_equal(back, s.shared, 32);
	assert_int_equal(mlkem768_decaps(s.rejected, &s.key, ct_span(s.nobodys)), 0);
}

static void in_full(void **state)
{
	(void)state;
	hex_read(s.seed, sizeof(s.seed), kem_seed);
	hex_read(s.message, sizeof(s.message), kem_message);
	sample_work();
	assert_hex(s.key.ek, kem_ek);
	assert_hex(s.ct, kem_ct);
	assert_hex(s.shared, kem_shared);
}

static void read_inputs(struct keccak *h)
{
	keccak_squeeze(h, s.seed, sizeof(s.seed));
	keccak_squeeze(h, s.message, sizeof(s.message));
	keccak_squeeze(h, s.nobodys, sizeof(s.nobodys));
}

static void several_seeds(void **state)
{
	struct keccak h;

	(void)state;
	keccak_init(&h, KECCAK_SHAKE128);
	keccak_absorb(&h, span_str("garenne ml-kem"));
	read_inputs(&h);
	for (size_t i = 0; i < sizeof(kem_more) / sizeof(kem_more[0]); i++) {
		read_inputs(&h);
		assert_hex(s.seed, kem_more[i].seed);
		assert_hex(s.message, kem_more[i].message);
		sample_work();
		assert_hex(s.shared, kem_more[i].shared);
		assert_hex(s.rejected, kem_more[i].rejected);
	}
}

static void many_seeds(void **state)
{
	struct keccak h, sum;
	uint8_t digest[32];

	(void)state;
	keccak_init(&h, KECCAK_SHAKE128);
	keccak_init(&sum, KECCAK_SHAKE128);
	keccak_absorb(&h, span_str("garenne ml-kem"));
	for (unsigned i = 0; i < 300; i++) {
		read_inputs(&h);
		sample_work();
		keccak_absorb(&sum, span_of(s.key.ek, MLKEM768_EK));
		keccak_absorb(&sum, ct_span(s.ct));
		keccak_absorb(&sum, span_of(s.shared, 32));
		keccak_absorb(&sum, span_of(s.rejected, 32));
	}
	keccak_squeeze(&sum, digest, sizeof(digest));
	assert_hex(digest, kem_digest_300);
}

/* Each bit counts: of the compressed vector (960 bytes) as of the message's part behind it. */
static void flipped_bits(void **state)
{
	uint8_t got[32], before[32];

	(void)state;
	hex_read(s.seed, sizeof(s.seed), kem_seed);
	hex_read(s.message, sizeof(s.message), kem_message);
	sample_work();
	memcpy(before, s.shared, 32);
	for (unsigned bit = 0; bit < MLKEM768_CT * 8; bit += 11) {
		s.ct[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(mlkem768_decaps(got, &s.key, ct_span(s.ct)), 0);
		assert_memory_not_equal(got, s.shared, 32);
		assert_memory_not_equal(got, before, 32); /* each its own rejection */
		memcpy(before, got, 32);
		s.ct[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(mlkem768_decaps(got, &s.key, ct_span(s.ct)), 0);
	assert_memory_equal(got, s.shared, 32);
	s.key.z[0] ^= 1; /* the rejection is the owner's secret */
	s.ct[0] ^= 1;
	assert_int_equal(mlkem768_decaps(before, &s.key, ct_span(s.ct)), 0);
	s.key.z[0] ^= 1;
	assert_int_equal(mlkem768_decaps(got, &s.key, ct_span(s.ct)), 0);
	assert_memory_not_equal(got, before, 32);
}

static void wrong_lengths(void **state)
{
	struct mlkem768_pub pub;
	uint8_t got[32];

	(void)state;
	for (size_t n = 0; n <= MLKEM768_EK + 1; n++) {
		struct span in = exact(span_of(&s, sizeof(s)), n);

		if (n != MLKEM768_EK)
			assert_int_equal(mlkem768_pub_set(&pub, in), -ERR_MALFORMED);
		assert_int_equal(mlkem768_decaps(got, &s.key, in),
				 n == MLKEM768_CT ? 0 : -ERR_MALFORMED);
		free_hex(in);
	}
}

/* Any of the 768 numbers that is 3329 or more makes the key invalid. */
static void numbers_out_of_range(void **state)
{
	static const unsigned wrong[] = {3329, 3330, 4095};
	struct mlkem768_pub pub, before;
	uint8_t ek[MLKEM768_EK];

	(void)state;
	hex_read(ek, sizeof(ek), kem_ek);
	assert_int_equal(mlkem768_pub_set(&pub, span_of(ek, sizeof(ek))), 0);
	before = pub;
	for (unsigned i = 0; i < 768; i++) {
		uint8_t *at = ek + i / 2 * 3 + i % 2, keep[2] = {at[0], at[1]};
		unsigned v = wrong[i % 3];

		if (i % 2) {
			at[0] = (uint8_t)((at[0] & 15) | v << 4);
			at[1] = (uint8_t)(v >> 4);
		} else {
			at[0] = (uint8_t)v;
			at[1] = (uint8_t)((at[1] & 0xf0) | v >> 8);
		}
		assert_int_equal(mlkem768_pub_set(&pub, span_of(ek, sizeof(ek))), -ERR_MALFORMED);
		memcpy(at, keep, 2);
	}
	assert_memory_equal(&pub, &before, sizeof(pub));
	assert_int_equal(mlkem768_pub_set(&pub, span_of(ek, sizeof(ek))), 0);
}

static void fresh_keys(void **state)
{
	struct mlkem768_key k;
	struct mlkem768_pub pub;
	uint8_t a[32], b[32], ct[MLKEM768_CT], zero[sizeof(k)] = {0};

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(mlkem768_keygen(&k), 0);
		assert_int_equal(mlkem768_pub_set(&pub, span_of(k.ek, sizeof(k.ek))), 0);
		assert_memory_equal(&pub, &k.pub, sizeof(pub));
		assert_int_equal(mlkem768_encaps(a, ct, &pub), 0);
		assert_int_equal(mlkem768_decaps(b, &k, ct_span(ct)), 0);
		assert_memory_equal(a, b, 32);
	}
	mlkem768_key_wipe(&k);
	assert_memory_equal(&k, zero, sizeof(k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_full),	 cmocka_unit_test(several_seeds),
		cmocka_unit_test(many_seeds),	 cmocka_unit_test(flipped_bits),
		cmocka_unit_test(wrong_lengths), cmocka_unit_test(numbers_out_of_range),
		cmocka_unit_test(fresh_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
