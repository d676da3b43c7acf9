/* ML-DSA-65 against vectors of other implementations, and what must not verify. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "crypto/keccak.h"
#include "crypto/mldsa65.h"
#include "hex.h"
#include "mldsa_vectors.h"

enum {
	Z_AT = 48,
	HINTS_AT = 48 + 5 * 640,
	ENDS_AT = HINTS_AT + 55, /* six ends, one per row */
};

static const uint8_t no_random[MLDSA65_RANDOM];
static const struct span none = {NULL, 0};

static struct sample {
	uint8_t seed[MLDSA65_SEED], msg[200], ctx[256], sig[MLDSA65_SIG];
	size_t n_msg, n_ctx;
	struct mldsa65_key key;
	struct mldsa65_pub pub;
} s;

static struct span msg_of(void)
{
	return span_of(s.msg, s.n_msg);
}

static struct span ctx_of(void)
{
	return span_of(s.ctx, s.n_ctx);
}

static int verify_sample(void)
{
	return mldsa65_verify(&s.pub, msg_of(), ctx_of(), span_of(s.sig, sizeof(s.sig)));
}

static void sample_work(void)
{
	mldsa65_key_set(&s.key, s.seed);
	assert_int_equal(mldsa65_pub_set(&s.pub, span_of(s.key.bytes, sizeof(s.key.bytes))), 0);
	assert_int_equal(mldsa65_sign_from(s.sig, &s.key, msg_of(), ctx_of(), no_random), 0);
	assert_int_equal(verify_sample(), 0);
}

static void read_inputs(struct keccak *h, unsigned i)
{
	keccak_squeeze(h, s.seed, sizeof(s.seed));
	s.n_msg = i * 7 % 200;
	keccak_squeeze(h, s.msg, s.n_msg);
	s.n_ctx = i * 5 % 256;
	keccak_squeeze(h, s.ctx, s.n_ctx);
}

static void start_inputs(struct keccak *h)
{
	keccak_init(h, KECCAK_SHAKE128);
	keccak_absorb(h, span_str("garenne ml-dsa"));
}

static void first_sample(void)
{
	hex_read(s.seed, sizeof(s.seed), dsa_seed);
	s.n_msg = s.n_ctx = 0;
	sample_work();
}

static void in_full(void **state)
{
	(void)state;
	first_sample();
	assert_hex(s.key.bytes, dsa_pub);
	assert_hex(s.sig, dsa_sig);
}

static void assert_sha3(struct span in, const char *want)
{
	uint8_t sum[32];

	keccak_hash(KECCAK_SHA3_256, sum, sizeof(sum), &in, 1);
	assert_hex(sum, want);
}

static void several_seeds(void **state)
{
	struct keccak h;

	(void)state;
	start_inputs(&h);
	read_inputs(&h, 0);
	for (unsigned i = 1; i <= sizeof(dsa_more) / sizeof(dsa_more[0]); i++) {
		read_inputs(&h, i);
		assert_hex(s.seed, dsa_more[i - 1].seed);
		sample_work();
		assert_sha3(span_of(s.key.bytes, MLDSA65_PUB), dsa_more[i - 1].pub);
		assert_sha3(span_of(s.sig, MLDSA65_SIG), dsa_more[i - 1].sig);
	}
}

static void many_seeds(void **state)
{
	struct keccak h, sum;
	uint8_t digest[32];

	(void)state;
	start_inputs(&h);
	keccak_init(&sum, KECCAK_SHAKE128);
	for (unsigned i = 0; i < 200; i++) {
		read_inputs(&h, i);
		sample_work();
		keccak_absorb(&sum, span_of(s.key.bytes, MLDSA65_PUB));
		keccak_absorb(&sum, span_of(s.sig, MLDSA65_SIG));
	}
	keccak_squeeze(&sum, digest, sizeof(digest));
	assert_hex(digest, dsa_digest_200);
}

static void hedged(void **state)
{
	const struct span msg = span_str("garenne"), ctx = span_str("hedged");
	uint8_t random[MLDSA65_RANDOM], other[MLDSA65_SIG];

	(void)state;
	for (unsigned i = 0; i < sizeof(s.seed); i++)
		s.seed[i] = (uint8_t)i;
	mldsa65_key_set(&s.key, s.seed);
	for (unsigned i = 0; i < sizeof(dsa_hedged) / sizeof(dsa_hedged[0]); i++) {
		memset(random, (int)i + 1, sizeof(random));
		assert_int_equal(mldsa65_sign_from(s.sig, &s.key, msg, ctx, random), 0);
		assert_sha3(span_of(s.sig, MLDSA65_SIG), dsa_hedged[i]);
	}
	assert_int_equal(mldsa65_sign(s.sig, &s.key, msg, ctx), 0);
	assert_int_equal(mldsa65_sign(other, &s.key, msg, ctx), 0);
	assert_memory_not_equal(s.sig, other, sizeof(other));
	assert_int_equal(mldsa65_verify(&s.key.pub, msg, ctx, span_of(s.sig, MLDSA65_SIG)), 0);
	assert_int_equal(mldsa65_verify(&s.key.pub, msg, ctx, span_of(other, MLDSA65_SIG)), 0);
}

/* There is one way to write a signature: no bit of it may change. */
static void flipped_bits(void **state)
{
	(void)state;
	first_sample();
	for (unsigned bit = 0; bit < MLDSA65_SIG * 8; bit += bit < HINTS_AT * 8 ? 19 : 1) {
		s.sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(verify_sample(), 0);
		s.sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(verify_sample(), 0);
}

static void other_message_context_or_key(void **state)
{
	const struct span msg = span_str("to all"), ctx = span_str("here");
	const struct span sig = span_of(s.sig, MLDSA65_SIG);
	uint8_t pub[MLDSA65_PUB];

	(void)state;
	first_sample();
	assert_int_equal(mldsa65_sign_from(s.sig, &s.key, msg, ctx, no_random), 0);
	assert_int_equal(mldsa65_verify(&s.pub, msg, ctx, sig), 0);
	assert_int_equal(mldsa65_verify(&s.pub, span_str("to al"), ctx, sig), -ERR_AUTH);
	assert_int_equal(mldsa65_verify(&s.pub, span_str("eto all"), span_str("her"), sig),
			 -ERR_AUTH);
	assert_int_equal(mldsa65_verify(&s.pub, msg, none, sig), -ERR_AUTH);
	for (unsigned at = 0; at < MLDSA65_PUB; at += 61) {
		memcpy(pub, s.key.bytes, sizeof(pub));
		pub[at] ^= 1;
		assert_int_equal(mldsa65_pub_set(&s.pub, span_of(pub, sizeof(pub))), 0);
		assert_int_equal(mldsa65_verify(&s.pub, msg, ctx, sig), -ERR_AUTH);
	}
}

static void wrong_lengths(void **state)
{
	const uint8_t ctx[256] = {0};

	(void)state;
	first_sample();
	for (size_t n = 0; n <= MLDSA65_SIG + 1; n += n < 3200 && n > 100 ? 13 : 1) {
		struct span in = exact(span_of(&s.sig, sizeof(s.sig) + 1), n);
		int want = n == MLDSA65_SIG ? 0 : -ERR_MALFORMED;

		assert_int_equal(mldsa65_verify(&s.pub, none, none, in), want);
		free_hex(in);
	}
	for (size_t n = 0; n <= MLDSA65_PUB + 1; n += n < 1900 && n > 100 ? 13 : 1) {
		struct span in = exact(span_of(&s.key, sizeof(s.key)), n);

		if (n != MLDSA65_PUB)
			assert_int_equal(mldsa65_pub_set(&s.pub, in), -ERR_MALFORMED);
		free_hex(in);
	}
	assert_int_equal(mldsa65_sign(s.sig, &s.key, none, span_of(ctx, 256)), -ERR_LIMIT);
	assert_int_equal(mldsa65_sign(s.sig, &s.key, none, span_of(ctx, 255)), 0);
	assert_int_equal(
		mldsa65_verify(&s.pub, none, span_of(ctx, 256), span_of(s.sig, MLDSA65_SIG)),
		-ERR_LIMIT);
}

/* The numbers behind the challenge: 20 bits each, 2^19 - v; allowed up to 2^19 - 197 in size. */
static void set_z(unsigned i, uint32_t raw)
{
	uint8_t *at = s.sig + Z_AT + i / 2 * 5;

	if (i % 2) {
		at[2] = (uint8_t)((at[2] & 15) | raw << 4);
		at[3] = (uint8_t)(raw >> 4);
		at[4] = (uint8_t)(raw >> 12);
	} else {
		at[0] = (uint8_t)raw;
		at[1] = (uint8_t)(raw >> 8);
		at[2] = (uint8_t)((at[2] & 0xf0) | raw >> 16);
	}
}

static void numbers_out_of_range(void **state)
{
	uint8_t keep[MLDSA65_SIG];

	(void)state;
	first_sample();
	memcpy(keep, s.sig, sizeof(keep));
	for (unsigned i = 0; i < 5 * 256; i += 37) {
		set_z(i, 196); /* 2^19 - 196 */
		assert_int_equal(verify_sample(), -ERR_MALFORMED);
		set_z(i, (1 << 20) - 196);
		assert_int_equal(verify_sample(), -ERR_MALFORMED);
		set_z(i, 0);
		assert_int_equal(verify_sample(), -ERR_MALFORMED);
		set_z(i, 197);
		assert_int_equal(verify_sample(), -ERR_AUTH);
		set_z(i, (1 << 20) - 197);
		assert_int_equal(verify_sample(), -ERR_AUTH);
		memcpy(s.sig, keep, sizeof(keep));
	}
	assert_int_equal(verify_sample(), 0);
}

/* The same hints written in another way would be a second signature. */
static void hints_not_canonical(void **state)
{
	uint8_t keep[MLDSA65_SIG], *pos = s.sig + HINTS_AT, *ends = s.sig + ENDS_AT;

	(void)state;
	first_sample();
	memcpy(keep, s.sig, sizeof(keep));
	assert_true(ends[0] >= 2 && ends[5] < 55);

	pos[0] ^= pos[1], pos[1] ^= pos[0], pos[0] ^= pos[1]; /* descending */
	assert_int_equal(verify_sample(), -ERR_MALFORMED);
	memcpy(s.sig, keep, sizeof(keep));

	pos[1] = pos[0]; /* the same twice */
	assert_int_equal(verify_sample(), -ERR_MALFORMED);
	memcpy(s.sig, keep, sizeof(keep));

	pos[54] = 1; /* something in the room that is not used */
	assert_int_equal(verify_sample(), -ERR_MALFORMED);
	memcpy(s.sig, keep, sizeof(keep));

	ends[2] = (uint8_t)(ends[1] - 1); /* a row of less than nothing */
	assert_int_equal(verify_sample(), -ERR_MALFORMED);
	memcpy(s.sig, keep, sizeof(keep));

	for (unsigned v = 56; v < 256; v++) { /* more than there is room for */
		ends[5] = (uint8_t)v;
		assert_int_equal(verify_sample(), -ERR_MALFORMED);
	}
	memcpy(s.sig, keep, sizeof(keep));

	ends[5]++; /* a hint more, at 0: fine as such when the row had none, else not ascending */
	assert_int_not_equal(verify_sample(), 0);
	memcpy(s.sig, keep, sizeof(keep));
	assert_int_equal(verify_sample(), 0);
}

static void wiped(void **state)
{
	static struct mldsa65_key zero;

	(void)state;
	first_sample();
	mldsa65_key_wipe(&s.key);
	assert_memory_equal(&s.key, &zero, sizeof(zero));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_full),
		cmocka_unit_test(several_seeds),
		cmocka_unit_test(many_seeds),
		cmocka_unit_test(hedged),
		cmocka_unit_test(flipped_bits),
		cmocka_unit_test(other_message_context_or_key),
		cmocka_unit_test(wrong_lengths),
		cmocka_unit_test(numbers_out_of_range),
		cmocka_unit_test(hints_not_canonical),
		cmocka_unit_test(wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
