/*
 * Polynomials of 256 coefficients modulo 3329. A coefficient is a signed 16-bit
 * number whose bound the comments give; products are Montgomery products
 * (a * b / 2^16), and every constant of the transform carries a factor of 2^16,
 * so that the factor goes away again. There is no division and no branch on a
 * coefficient that is secret: compilers are kept from making one by hide().
 */
#include "crypto/mlkem768.h"

#include "base/err.h"
#include "crypto/keccak.h"
#include "crypto/rand.h"
#include "crypto/secret.h"

enum {
	N = 256,
	Q = 3329,
	Q_INV = -3327,	   /* of Q, modulo 2^16 */
	TO_MONT = 1353,	   /* 2^32 mod Q */
	INTT_SCALE = 1441, /* 2^32 / 128 mod Q */
	POLY12 = 384,	   /* a polynomial in 12 bits per coefficient */
	POLY10 = 320,
	POLY4 = 128,
	NOISE = 128, /* bytes for one polynomial of noise (eta = 2) */
};

/* 17^bitrev7(i) * 2^16 mod Q, signed. */
static const int16_t zetas[128] = {
	-1044, -758,  -359,  -1517, 1493,  1422,  287,	 202,	-171,  622,   1577,  182,   962,
	-1202, -1474, 1468,  573,   -1325, 264,	  383,	 -829,	1458,  -1602, -130,  -681,  1017,
	732,   608,   -1542, 411,   -205,  -1571, 1223,	 652,	-552,  1015,  -1293, 1491,  -282,
	-1544, 516,   -8,    -320,  -666,  -1618, -1162, 126,	1469,  -853,  -90,   -271,  830,
	107,   -1421, -247,  -951,  -398,  961,	  -1508, -725,	448,   -1065, 677,   -1275, -1103,
	430,   555,   843,   -1251, 871,   1550,  105,	 422,	587,   177,   -235,  -291,  -460,
	1574,  1653,  -246,  778,   1159,  -147,  -777,	 1483,	-602,  1119,  -1590, 644,   -872,
	349,   418,   329,   -156,  -75,   817,	  1097,	 603,	610,   1322,  -1285, -1465, 384,
	-1215, -136,  1218,  -1335, -874,  220,	  -1187, -1659, -1185, -1530, -1278, 794,   -1510,
	-854,  -870,  478,   -108,  -308,  996,	  991,	 958,	-1460, 1522,  1628,
};

/* The compiler shall know nothing about @v, or it may turn arithmetic into a branch. */
static inline uint32_t hide(uint32_t v)
{
	__asm__("" : "+r"(v));
	return v;
}

/* a * b / 2^16; |a * b| < Q * 2^15, the result is below Q in size */
static inline int16_t mul(int16_t a, int16_t b)
{
	int16_t m = (int16_t)((int16_t)(a * b) * Q_INV);

	return (int16_t)((a * b >> 16) - (m * Q >> 16));
}

/* The same number in -1665..1665, for any @a. */
static inline int16_t reduce(int16_t a)
{
	int16_t t = (int16_t)((a * 20159 >> 16) + 512); /* 2^26 / Q */

	return (int16_t)(a - (t >> 10) * Q);
}

/* 0..Q-1 for any @a */
static inline uint16_t canon(int16_t a)
{
	int16_t r = reduce(a);

	return (uint16_t)(r + (r >> 15 & Q));
}

/* n / Q for n < 2^22: the factor is 2^40 / Q, rounded up, which errs by less than 1 / Q there */
static inline uint32_t div_q(uint32_t n)
{
	return (uint32_t)((uint64_t)n * ((UINT64_C(1) << 40) / Q + 1) >> 40);
}

/* ---- the number theoretic transform ---- */

/* Coefficients below Q in size go in, reduced ones come out. */
static void ntt(struct mlkem768_poly *p)
{
	unsigned k = 1;

	for (unsigned len = 128; len >= 2; len /= 2) {
		for (unsigned at = 0; at < N; at += 2 * len, k++) {
			int16_t *lo = p->c + at, *hi = lo + len, z = zetas[k];

			for (unsigned j = 0; j < len; j++) { /* grows by Q in each of 7 layers */
				int16_t t = mul(hi[j], z);

				hi[j] = (int16_t)(lo[j] - t);
				lo[j] = (int16_t)(lo[j] + t);
			}
		}
	}
	for (unsigned i = 0; i < N; i++)
		p->c[i] = reduce(p->c[i]);
}

/* Back, times 2^16, which undoes one Montgomery product. Reduced in, below Q in size out. */
static void intt(struct mlkem768_poly *p)
{
	unsigned k = 127;

	for (unsigned len = 2; len <= 128; len *= 2) {
		for (unsigned at = 0; at < N; at += 2 * len, k--) {
			int16_t *lo = p->c + at, *hi = lo + len, z = zetas[k];

			for (unsigned j = 0; j < len; j++) {
				int16_t t = lo[j];

				lo[j] = reduce((int16_t)(t + hi[j]));
				hi[j] = mul((int16_t)(hi[j] - t), z);
			}
		}
	}
	for (unsigned i = 0; i < N; i++)
		p->c[i] = mul(p->c[i], INTT_SCALE);
}

/* Adds a * b / 2^16; both transformed: 128 products modulo X^2 - zeta. Adds less than 2 Q. */
static void mul_add(struct mlkem768_poly *sum, const struct mlkem768_poly *a,
		    const struct mlkem768_poly *b)
{
	for (unsigned i = 0; i < N; i += 2) {
		int16_t z = zetas[64 + i / 4], a0 = a->c[i], a1 = a->c[i + 1];
		int16_t b0 = b->c[i], b1 = b->c[i + 1], cross = mul(mul(a1, b1), z);

		cross = i % 4 ? (int16_t)-cross : cross;
		sum->c[i] = (int16_t)(sum->c[i] + mul(a0, b0) + cross);
		sum->c[i + 1] = (int16_t)(sum->c[i + 1] + mul(a0, b1) + mul(a1, b0));
	}
}

static void add(struct mlkem768_poly *sum, const struct mlkem768_poly *b)
{
	for (unsigned i = 0; i < N; i++)
		sum->c[i] = (int16_t)(sum->c[i] + b->c[i]);
}

static void reduce_all(struct mlkem768_poly *p)
{
	for (unsigned i = 0; i < N; i++)
		p->c[i] = reduce(p->c[i]);
}

/* ---- bytes ---- */

static void put12(uint8_t *out, const struct mlkem768_poly *p)
{
	for (unsigned i = 0; i < N; i += 2, out += 3) {
		unsigned a = canon(p->c[i]), b = canon(p->c[i + 1]);

		out[0] = (uint8_t)a;
		out[1] = (uint8_t)(a >> 8 | b << 4);
		out[2] = (uint8_t)(b >> 4);
	}
}

/* False when a coefficient is not below Q. */
static bool get12(struct mlkem768_poly *p, const uint8_t *in)
{
	bool fine = true;

	for (unsigned i = 0; i < N; i += 2, in += 3) {
		p->c[i] = (int16_t)(in[0] | (in[1] & 15) << 8);
		p->c[i + 1] = (int16_t)(in[1] >> 4 | in[2] << 4);
		fine = fine && p->c[i] < Q && p->c[i + 1] < Q;
	}
	return fine;
}

/* A coefficient on a scale of 2^@bits, rounded. */
static inline uint32_t scale(int16_t c, unsigned bits)
{
	return div_q(((uint32_t)canon(c) << bits) + Q / 2) & ((1u << bits) - 1);
}

static inline int16_t unscale(uint32_t v, unsigned bits)
{
	return (int16_t)((v * Q + (1u << (bits - 1))) >> bits);
}

static void put10(uint8_t *out, const struct mlkem768_poly *p)
{
	for (unsigned i = 0; i < N; i += 4, out += 5) {
		uint64_t w = 0;

		for (unsigned j = 0; j < 4; j++)
			w |= (uint64_t)scale(p->c[i + j], 10) << (10 * j);
		for (unsigned j = 0; j < 5; j++)
			out[j] = (uint8_t)(w >> (8 * j));
	}
}

static void get10(struct mlkem768_poly *p, const uint8_t *in)
{
	for (unsigned i = 0; i < N; i += 4, in += 5) {
		uint64_t w = 0;

		for (unsigned j = 0; j < 5; j++)
			w |= (uint64_t)in[j] << (8 * j);
		for (unsigned j = 0; j < 4; j++)
			p->c[i + j] = unscale((uint32_t)(w >> (10 * j)) & 0x3ff, 10);
	}
}

static void put4(uint8_t *out, const struct mlkem768_poly *p)
{
	for (unsigned i = 0; i < N; i += 2)
		*out++ = (uint8_t)(scale(p->c[i], 4) | scale(p->c[i + 1], 4) << 4);
}

static void get4(struct mlkem768_poly *p, const uint8_t *in)
{
	for (unsigned i = 0; i < N; i += 2, in++) {
		p->c[i] = unscale(*in & 15, 4);
		p->c[i + 1] = unscale(*in >> 4, 4);
	}
}

static void put_message(uint8_t out[32], const struct mlkem768_poly *p)
{
	for (unsigned i = 0; i < 32; i++) {
		uint32_t byte = 0;

		for (unsigned j = 0; j < 8; j++)
			byte |= scale(p->c[8 * i + j], 1) << j;
		out[i] = (uint8_t)byte;
	}
}

static void add_message(struct mlkem768_poly *sum, const uint8_t m[32])
{
	for (unsigned i = 0; i < N; i++) {
		uint32_t bit = hide((uint32_t)m[i / 8] >> (i % 8) & 1);

		sum->c[i] = (int16_t)(sum->c[i] + (int16_t)(-bit & ((Q + 1) / 2)));
	}
}

/* ---- sampling ---- */

/* The polynomial of the matrix that @rho and its place stand for; all public. */
static void sample_uniform(struct mlkem768_poly *p, const uint8_t rho[32], unsigned x, unsigned y)
{
	const uint8_t place[2] = {(uint8_t)x, (uint8_t)y};
	uint8_t block[KECCAK_BLOCK128];
	struct keccak h;
	unsigned n = 0;

	keccak_init(&h, KECCAK_SHAKE128);
	keccak_absorb(&h, span_of(rho, 32));
	keccak_absorb(&h, span_of(place, 2));
	while (n < N) {
		keccak_squeeze(&h, block, sizeof(block));
		for (unsigned i = 0; i < sizeof(block) && n < N; i += 3) {
			unsigned a = block[i] | (block[i + 1] & 15u) << 8;
			unsigned b = (unsigned)block[i + 1] >> 4 | (unsigned)block[i + 2] << 4;

			if (a < Q)
				p->c[n++] = (int16_t)a;
			if (b < Q && n < N)
				p->c[n++] = (int16_t)b;
		}
	}
}

/* Coefficients -2..2: each the difference of two sums of two bits. */
static void sample_noise(struct mlkem768_poly *p, const uint8_t seed[32], unsigned nonce)
{
	const uint8_t last = (uint8_t)nonce;
	const struct span parts[] = {span_of(seed, 32), span_of(&last, 1)};
	uint8_t bytes[NOISE];

	keccak_hash(KECCAK_SHAKE256, bytes, sizeof(bytes), parts, 2);
	for (unsigned i = 0; i < NOISE; i++) {
		unsigned pairs = (bytes[i] & 0x55u) + (bytes[i] >> 1 & 0x55u);

		p->c[2 * i] = (int16_t)((pairs & 3) - (pairs >> 2 & 3));
		p->c[2 * i + 1] = (int16_t)((pairs >> 4 & 3) - (pairs >> 6));
	}
	secret_wipe(bytes, sizeof(bytes));
}

static void expand_matrix(struct mlkem768_pub *pub, const uint8_t rho[32])
{
	for (unsigned i = 0; i < 3; i++)
		for (unsigned j = 0; j < 3; j++)
			sample_uniform(&pub->a[i][j], rho, j, i);
}

static void hash_key(struct mlkem768_pub *pub, const uint8_t ek[MLKEM768_EK])
{
	struct span in = span_of(ek, MLKEM768_EK);

	keccak_hash(KECCAK_SHA3_256, pub->h, sizeof(pub->h), &in, 1);
}

/* ---- encryption inside ---- */

/* What an encryption leaves on the stack; wiped as one. */
struct work {
	struct mlkem768_poly y[3], sum, noise;
};

static void encrypt(uint8_t ct[MLKEM768_CT], const struct mlkem768_pub *pub, const uint8_t m[32],
		    const uint8_t r[32])
{
	struct work w;

	for (unsigned i = 0; i < 3; i++) {
		sample_noise(&w.y[i], r, i);
		ntt(&w.y[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		memset(&w.sum, 0, sizeof(w.sum));
		for (unsigned j = 0; j < 3; j++)
			mul_add(&w.sum, i < 3 ? &pub->a[j][i] : &pub->t[j], &w.y[j]);
		reduce_all(&w.sum);
		intt(&w.sum);
		sample_noise(&w.noise, r, 3 + i);
		add(&w.sum, &w.noise);
		if (i < 3) {
			put10(ct + i * POLY10, &w.sum);
			continue;
		}
		add_message(&w.sum, m);
		put4(ct + 3 * POLY10, &w.sum);
	}
	secret_wipe(&w, sizeof(w));
}

static void decrypt(uint8_t m[32], const struct mlkem768_key *k, const uint8_t ct[MLKEM768_CT])
{
	struct mlkem768_poly u, v, sum = {{0}};

	for (unsigned i = 0; i < 3; i++) {
		get10(&u, ct + i * POLY10);
		ntt(&u);
		mul_add(&sum, &k->s[i], &u);
	}
	reduce_all(&sum);
	intt(&sum);
	get4(&v, ct + 3 * POLY10);
	for (unsigned i = 0; i < N; i++)
		sum.c[i] = (int16_t)(v.c[i] - sum.c[i]);
	put_message(m, &sum);
	secret_wipe(&sum, sizeof(sum));
}

/* ---- keys ---- */

void mlkem768_key_set(struct mlkem768_key *k, const uint8_t seed[MLKEM768_SEED])
{
	static const uint8_t rank = 3;
	const struct span parts[] = {span_of(seed, 32), span_of(&rank, 1)};
	uint8_t seeds[64]; /* rho, sigma */
	struct mlkem768_poly e;

	keccak_hash(KECCAK_SHA3_512, seeds, sizeof(seeds), parts, 2);
	expand_matrix(&k->pub, seeds);
	for (unsigned i = 0; i < 3; i++) {
		sample_noise(&k->s[i], seeds + 32, i);
		ntt(&k->s[i]);
	}
	for (unsigned i = 0; i < 3; i++) {
		struct mlkem768_poly *t = &k->pub.t[i];

		memset(t, 0, sizeof(*t));
		for (unsigned j = 0; j < 3; j++)
			mul_add(t, &k->pub.a[i][j], &k->s[j]);
		for (unsigned j = 0; j < N; j++)
			t->c[j] = mul(reduce(t->c[j]), TO_MONT);
		sample_noise(&e, seeds + 32, 3 + i);
		ntt(&e);
		for (unsigned j = 0; j < N; j++) /* as it is read from ek */
			t->c[j] = (int16_t)canon((int16_t)(t->c[j] + e.c[j]));
		put12(k->ek + i * POLY12, t);
	}
	memcpy(k->ek + 3 * POLY12, seeds, 32);
	hash_key(&k->pub, k->ek);
	memcpy(k->z, seed + 32, sizeof(k->z));
	secret_wipe(&e, sizeof(e));
	secret_wipe(seeds, sizeof(seeds));
}

int mlkem768_keygen(struct mlkem768_key *k)
{
	uint8_t seed[MLKEM768_SEED];
	int err = rand_bytes(seed, sizeof(seed));

	if (err == 0)
		mlkem768_key_set(k, seed);
	else
		mlkem768_key_wipe(k);
	secret_wipe(seed, sizeof(seed));
	return err;
}

void mlkem768_key_wipe(struct mlkem768_key *k)
{
	secret_wipe(k, sizeof(*k));
}

int mlkem768_ek_decode(struct mlkem768_poly t[3], struct span ek)
{
	struct mlkem768_poly got[3];

	if (ek.n != MLKEM768_EK)
		return -ERR_MALFORMED;
	for (unsigned i = 0; i < 3; i++)
		if (!get12(&got[i], ek.p + i * POLY12))
			return -ERR_MALFORMED;
	memcpy(t, got, sizeof(got));
	return 0;
}

int mlkem768_pub_set(struct mlkem768_pub *out, struct span ek)
{
	int err = mlkem768_ek_decode(out->t, ek);

	if (err)
		return err;
	expand_matrix(out, ek.p + 3 * POLY12);
	hash_key(out, ek.p);
	return 0;
}

/* ---- the agreement ---- */

void mlkem768_encaps_from(uint8_t shared[MLKEM768_SHARED], uint8_t ct[MLKEM768_CT],
			  const struct mlkem768_pub *pub, const uint8_t m[MLKEM768_RANDOM])
{
	const struct span parts[] = {span_of(m, MLKEM768_RANDOM), span_of(pub->h, sizeof(pub->h))};
	uint8_t both[64]; /* shared secret, coins */

	keccak_hash(KECCAK_SHA3_512, both, sizeof(both), parts, 2);
	encrypt(ct, pub, m, both + 32);
	memcpy(shared, both, MLKEM768_SHARED);
	secret_wipe(both, sizeof(both));
}

int mlkem768_encaps(uint8_t shared[MLKEM768_SHARED], uint8_t ct[MLKEM768_CT],
		    const struct mlkem768_pub *pub)
{
	uint8_t m[MLKEM768_RANDOM];
	int err = rand_bytes(m, sizeof(m));

	if (err == 0)
		mlkem768_encaps_from(shared, ct, pub, m);
	secret_wipe(m, sizeof(m));
	return err;
}

/* 0xff where the bytes are the same, 0 where not; never told by a branch. */
static uint32_t same_mask(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint32_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= (uint32_t)(a[i] ^ b[i]);
	return hide((diff - 1) >> 8) & 0xff;
}

int mlkem768_decaps(uint8_t shared[MLKEM768_SHARED], const struct mlkem768_key *k, struct span ct)
{
	struct {
		uint8_t m[MLKEM768_RANDOM], good[MLKEM768_SHARED], other[MLKEM768_SHARED];
		uint8_t again[MLKEM768_CT];
	} w;
	const struct span parts[] = {span_of(k->z, sizeof(k->z)), ct};
	uint32_t same;

	if (ct.n != MLKEM768_CT)
		return -ERR_MALFORMED;
	decrypt(w.m, k, ct.p);
	mlkem768_encaps_from(w.good, w.again, &k->pub, w.m);
	keccak_hash(KECCAK_SHAKE256, w.other, sizeof(w.other), parts, 2);
	same = same_mask(w.again, ct.p, MLKEM768_CT);
	for (unsigned i = 0; i < MLKEM768_SHARED; i++)
		shared[i] = (uint8_t)((w.good[i] & same) | (w.other[i] & ~same));
	secret_wipe(&w, sizeof(w));
	return 0;
}
