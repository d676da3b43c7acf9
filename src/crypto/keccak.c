/*
 * The state is 25 lanes of 64 bits, lane x + 5y. The permutation goes back and
 * forth between two copies of it, so that rho and pi are no more than the
 * choice of the lane that is read.
 */
#include "crypto/keccak.h"

#include "crypto/secret.h"
#include "crypto/words.h"

static const uint64_t round_consts[24] = {
	0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
	0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
	0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
	0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
	0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
	0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

/* One lane on its way through theta and rho. */
#define TURN(lane, bits) word_rotl64(a[lane] ^ d[(lane) % 5], bits)

static inline void chi(uint64_t *o, uint64_t b0, uint64_t b1, uint64_t b2, uint64_t b3, uint64_t b4)
{
	o[0] = b0 ^ (~b1 & b2);
	o[1] = b1 ^ (~b2 & b3);
	o[2] = b2 ^ (~b3 & b4);
	o[3] = b3 ^ (~b4 & b0);
	o[4] = b4 ^ (~b0 & b1);
}

static inline void one_round(uint64_t *restrict o, const uint64_t *restrict a, uint64_t rc)
{
	uint64_t c[5], d[5];

	for (unsigned x = 0; x < 5; x++)
		c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
	d[0] = c[4] ^ word_rotl64(c[1], 1);
	d[1] = c[0] ^ word_rotl64(c[2], 1);
	d[2] = c[1] ^ word_rotl64(c[3], 1);
	d[3] = c[2] ^ word_rotl64(c[4], 1);
	d[4] = c[3] ^ word_rotl64(c[0], 1);
	chi(o, a[0] ^ d[0], TURN(6, 44), TURN(12, 43), TURN(18, 21), TURN(24, 14));
	chi(o + 5, TURN(3, 28), TURN(9, 20), TURN(10, 3), TURN(16, 45), TURN(22, 61));
	chi(o + 10, TURN(1, 1), TURN(7, 6), TURN(13, 25), TURN(19, 8), TURN(20, 18));
	chi(o + 15, TURN(4, 27), TURN(5, 36), TURN(11, 10), TURN(17, 15), TURN(23, 56));
	chi(o + 20, TURN(2, 62), TURN(8, 55), TURN(14, 39), TURN(15, 41), TURN(21, 2));
	o[0] ^= rc;
}

static void permute(uint64_t state[25])
{
	uint64_t other[25];

	for (unsigned r = 0; r < 24; r += 2) {
		one_round(other, state, round_consts[r]);
		one_round(state, other, round_consts[r + 1]);
	}
	secret_wipe(other, sizeof(other));
}

void keccak_init(struct keccak *h, enum keccak_fn fn)
{
	static const uint8_t rates[] = {136, 72, KECCAK_BLOCK128, KECCAK_BLOCK256};

	memset(h, 0, sizeof(*h));
	h->rate = rates[fn];
	h->suffix = fn >= KECCAK_SHAKE128 ? 0x1f : 0x06;
}

static void mix_in(struct keccak *h, unsigned at, uint8_t byte)
{
	h->a[at / 8] ^= (uint64_t)byte << (at % 8 * 8);
}

void keccak_absorb(struct keccak *h, struct span in)
{
	while (in.n > 0) {
		size_t step = 1;

		if (h->at % 8 == 0 && in.n >= 8) { /* rates are whole lanes */
			h->a[h->at / 8] ^= word_le64(in.p);
			step = 8;
		} else {
			mix_in(h, h->at, *in.p);
		}
		in = span_of(in.p + step, in.n - step);
		h->at = (uint8_t)(h->at + step);
		if (h->at == h->rate) {
			permute(h->a);
			h->at = 0;
		}
	}
}

static void begin_squeeze(struct keccak *h)
{
	mix_in(h, h->at, h->suffix);
	mix_in(h, h->rate - 1, 0x80);
	permute(h->a);
	h->at = 0;
	h->squeezing = 1;
}

void keccak_squeeze(struct keccak *h, uint8_t *out, size_t n)
{
	if (!h->squeezing)
		begin_squeeze(h);
	while (n > 0) {
		size_t step = 1;

		if (h->at == h->rate) {
			permute(h->a);
			h->at = 0;
		}
		if (h->at % 8 == 0 && n >= 8) {
			word_put_le64(out, h->a[h->at / 8]);
			step = 8;
		} else {
			*out = (uint8_t)(h->a[h->at / 8] >> (h->at % 8 * 8));
		}
		out += step;
		n -= step;
		h->at = (uint8_t)(h->at + step);
	}
}

void keccak_hash(enum keccak_fn fn, uint8_t *out, size_t n, const struct span *parts,
		 size_t n_parts)
{
	struct keccak h;

	keccak_init(&h, fn);
	for (size_t i = 0; i < n_parts; i++)
		keccak_absorb(&h, parts[i]);
	keccak_squeeze(&h, out, n);
	secret_wipe(&h, sizeof(h));
}
