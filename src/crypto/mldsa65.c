/*
 * Polynomials of 256 coefficients modulo q = 2^23 - 2^13 + 1. A coefficient is a
 * signed 32-bit number whose bound the comments give; products are Montgomery
 * products (a * b / 2^32), and every constant of the transform carries a factor
 * of 2^32, so that the factor goes away again. Nothing is divided. Rows of the
 * matrix are done one after the other, so that only vectors need to be kept.
 */
#include "crypto/mldsa65.h"

#include "base/err.h"
#include "crypto/keccak.h"
#include "crypto/rand.h"
#include "crypto/secret.h"

enum {
	N = 256,
	Q = 8380417,
	Q_INV = 58728449,   /* of Q, modulo 2^32 */
	INTT_SCALE = 41978, /* 2^64 / 256 mod Q */
	ROWS = 6,
	COLS = 5,
	ETA = 4,
	TAU = 49, /* coefficients of the challenge that are not zero */
	BETA = TAU * ETA,
	GAMMA1 = 1 << 19,
	GAMMA2 = (Q - 1) / 32,
	OMEGA = 55, /* hints in a signature, at most */
	DROPPED = 13,
	CHALLENGE = 48, /* bytes */
	POLY_Z = 640,	/* 20 bits per coefficient */
	POLY_T1 = 320,	/* 10 */
	POLY_W1 = 128,	/* 4 */
	HINTS_AT = CHALLENGE + COLS * POLY_Z,
	MU = 64,
};

_Static_assert(HINTS_AT + OMEGA + ROWS == MLDSA65_SIG, "parts of a signature");

/* 1753^bitrev8(i) * 2^32 mod Q, signed. */
static const int32_t zetas[N] = {
	-4186625, 25847,    -2608894, -518909,	237124,	  -777960,  -876248,  466468,	1826347,
	2353451,  -359251,  -2091905, 3119733,	-2884855, 3111497,  2680103,  2725464,	1024112,
	-1079900, 3585928,  -549488,  -1119584, 2619752,  -2108549, -2118186, -3859737, -1399561,
	-3277672, 1757237,  -19422,   4010497,	280005,	  2706023,  95776,    3077325,	3530437,
	-1661693, -3592148, -2537516, 3915439,	-3861115, -3043716, 3574422,  -2867647, 3539968,
	-300467,  2348700,  -539299,  -1699267, -1643818, 3505694,  -3821735, 3507263,	-2140649,
	-1600420, 3699596,  811944,   531354,	954230,	  3881043,  3900724,  -2556880, 2071892,
	-2797779, -3930395, -1528703, -3677745, -3041255, -1452451, 3475950,  2176455,	-1585221,
	-1257611, 1939314,  -4083598, -1000202, -3190144, -3157330, -3632928, 126922,	3412210,
	-983419,  2147896,  2715295,  -2967645, -3693493, -411027,  -2477047, -671102,	-1228525,
	-22981,	  -1308169, -381987,  1349076,	1852771,  -1430430, -3343383, 264944,	508951,
	3097992,  44288,    -1100098, 904516,	3958618,  -3724342, -8578,    1653064,	-3249728,
	2389356,  -210977,  759969,   -1316856, 189548,	  -3553272, 3159746,  -1851402, -2409325,
	-177440,  1315589,  1341330,  1285669,	-1584928, -812732,  -1439742, -3019102, -3881060,
	-3628969, 3839961,  2091667,  3407706,	2316500,  3817976,  -3342478, 2244091,	-2446433,
	-3562462, 266997,   2434439,  -1235728, 3513181,  -3520352, -3759364, -1197226, -3193378,
	900702,	  1859098,  909542,   819034,	495491,	  -1613174, -43260,   -522500,	-655327,
	-3122442, 2031748,  3207046,  -3556995, -525098,  -768622,  -3595838, 342297,	286988,
	-2437823, 4108315,  3437287,  -3342277, 1735879,  203044,   2842341,  2691481,	-2590150,
	1265009,  4055324,  1247620,  2486353,	1595974,  -3767016, 1250494,  2635921,	-3548272,
	-2994039, 1869119,  1903435,  -1050970, -1333058, 1237275,  -3318210, -1430225, -451100,
	1312455,  3306115,  -1962642, -1279661, 1917081,  -2546312, -1374803, 1500165,	777191,
	2235880,  3406031,  -542412,  -2831860, -1671176, -1846953, -2584293, -3724270, 594136,
	-3776993, -2013608, 2432395,  2454455,	-164721,  1957272,  3369112,  185531,	-1207385,
	-3183426, 162844,   1616392,  3014001,	810149,	  1652634,  -3694233, -1799107, -3038916,
	3523897,  3866901,  269760,   2213111,	-975884,  1717735,  472078,   -426683,	1723600,
	-1803090, 1910376,  -1667432, -1104333, -260646,  -3833893, -2939036, -2235985, -420899,
	-2286327, 183443,   -976891,  1612842,	-3545687, -554416,  3919660,  -48306,	-1362209,
	3937738,  1400424,  -846154,  1976782,
};

/* a / 2^32 for |a| < Q * 2^31; the result is below Q in size */
static inline int32_t shrink(int64_t a)
{
	int32_t m = (int32_t)((uint32_t)a * (uint32_t)Q_INV);

	return (int32_t)((a - (int64_t)m * Q) >> 32);
}

static inline int32_t mul(int32_t a, int32_t b)
{
	return shrink((int64_t)a * b);
}

/* The same number, below 0.75 Q in size; |a| < 2^31 - 2^22. */
static inline int32_t reduce(int32_t a)
{
	return a - ((a + (1 << 22)) >> 23) * Q;
}

/* 0..Q-1 */
static inline int32_t canon(int32_t a)
{
	int32_t r = reduce(a);

	return r + (r >> 31 & Q);
}

/* -Q/2..Q/2 */
static inline int32_t center(int32_t a)
{
	int32_t r = canon(a);

	return r - ((Q / 2 - r) >> 31 & Q);
}

/* ---- the number theoretic transform ---- */

/* Below Q in size in; each of the 8 layers adds Q. */
static void ntt(struct mldsa65_poly *p)
{
	unsigned k = 1;

	for (unsigned len = 128; len >= 1; len /= 2) {
		for (unsigned at = 0; at < N; at += 2 * len, k++) {
			int32_t *lo = p->c + at, *hi = lo + len, z = zetas[k];

			for (unsigned j = 0; j < len; j++) {
				int32_t t = mul(hi[j], z);

				hi[j] = lo[j] - t;
				lo[j] = lo[j] + t;
			}
		}
	}
}

/* Back, times 2^32, which undoes one Montgomery product. Below Q in size in and out: sums of 256
 * such numbers are below 2^31. */
static void intt(struct mldsa65_poly *p)
{
	unsigned k = 255;

	for (unsigned len = 1; len <= 128; len *= 2) {
		for (unsigned at = 0; at < N; at += 2 * len, k--) {
			int32_t *lo = p->c + at, *hi = lo + len, z = -zetas[k];

			for (unsigned j = 0; j < len; j++) {
				int32_t t = lo[j];

				lo[j] = t + hi[j];
				hi[j] = mul(t - hi[j], z);
			}
		}
	}
	for (unsigned i = 0; i < N; i++)
		p->c[i] = mul(p->c[i], INTT_SCALE);
}

/* out = intt(a * b), both transformed */
static void product(struct mldsa65_poly *out, const struct mldsa65_poly *a,
		    const struct mldsa65_poly *b)
{
	for (unsigned i = 0; i < N; i++)
		out->c[i] = mul(a->c[i], b->c[i]);
	intt(out);
}

/* One row of the matrix times a transformed vector, transformed, below Q in size. The sum of five
 * products of something below Q and something below 9 Q is below Q * 2^31. */
static void row_times(struct mldsa65_poly *out, const struct mldsa65_poly row[COLS],
		      const struct mldsa65_poly v[COLS])
{
	for (unsigned i = 0; i < N; i++) {
		int64_t sum = 0;

		for (unsigned j = 0; j < COLS; j++)
			sum += (int64_t)row[j].c[i] * v[j].c[i];
		out->c[i] = shrink(sum);
	}
}

/* True when a coefficient is @bound or more in size; looks at all of them. Centred in. */
static bool too_large(const struct mldsa65_poly *p, int32_t bound)
{
	uint32_t over = 0;

	for (unsigned i = 0; i < N; i++) {
		int32_t sign = p->c[i] >> 31;

		over |= (uint32_t)(bound - 1 - ((p->c[i] ^ sign) - sign)) >> 31;
	}
	return over != 0;
}

/*
 * r in 0..Q-1 as high * 2 GAMMA2 + low, low in -GAMMA2+1..GAMMA2; what would be
 * high = 16 is 0, and low one less. The division is a product: the factor is
 * 2^44 / (2 GAMMA2) rounded up, which errs by less than 2^19 * 2^24 / 2^44.
 */
static inline int32_t decompose(int32_t *low, int32_t r)
{
	const uint64_t factor = (UINT64_C(1) << 44) / (2 * GAMMA2) + 1;
	int32_t high = (int32_t)((uint64_t)(r + GAMMA2 - 1) * factor >> 44);

	*low = r - high * 2 * GAMMA2 - (high >> 4);
	return high & 15;
}

/* ---- bytes ---- */

static void put_z(uint8_t *out, const struct mldsa65_poly *p)
{
	for (unsigned i = 0; i < N; i += 2, out += 5) {
		uint32_t a = (uint32_t)(GAMMA1 - p->c[i]), b = (uint32_t)(GAMMA1 - p->c[i + 1]);

		out[0] = (uint8_t)a;
		out[1] = (uint8_t)(a >> 8);
		out[2] = (uint8_t)(a >> 16 | b << 4);
		out[3] = (uint8_t)(b >> 4);
		out[4] = (uint8_t)(b >> 12);
	}
}

static void get_z(struct mldsa65_poly *p, const uint8_t *in)
{
	for (unsigned i = 0; i < N; i += 2, in += 5) {
		p->c[i] = GAMMA1 - (in[0] | in[1] << 8 | (in[2] & 15) << 16);
		p->c[i + 1] = GAMMA1 - (in[2] >> 4 | in[3] << 4 | in[4] << 12);
	}
}

static void put_t1(uint8_t *out, const struct mldsa65_poly *p)
{
	for (unsigned i = 0; i < N; i += 4, out += 5) {
		uint64_t w = 0;

		for (unsigned j = 0; j < 4; j++)
			w |= (uint64_t)p->c[i + j] << (10 * j);
		for (unsigned j = 0; j < 5; j++)
			out[j] = (uint8_t)(w >> (8 * j));
	}
}

static void get_t1(struct mldsa65_poly *p, const uint8_t *in)
{
	for (unsigned i = 0; i < N; i += 4, in += 5) {
		uint64_t w = 0;

		for (unsigned j = 0; j < 5; j++)
			w |= (uint64_t)in[j] << (8 * j);
		for (unsigned j = 0; j < 4; j++)
			p->c[i + j] = (int32_t)(w >> (10 * j) & 0x3ff);
	}
}

/*
 * The hints of all rows: where each is, row by row, and behind the room for all
 * of them how many there are up to the end of each row. There is one way to
 * write a set of them: ascending, and zeros in the rest of the room.
 */
static bool hints_fine(const uint8_t *in)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ROWS; i++) {
		unsigned end = in[OMEGA + i];

		if (end < n || end > OMEGA)
			return false;
		for (unsigned first = n; n < end; n++)
			if (n > first && in[n] <= in[n - 1])
				return false;
	}
	for (; n < OMEGA; n++)
		if (in[n] != 0)
			return false;
	return true;
}

/* ---- sampling ---- */

static void sample_start(struct keccak *h, enum keccak_fn fn, struct span seed, unsigned nonce)
{
	const uint8_t le[2] = {(uint8_t)nonce, (uint8_t)(nonce >> 8)};

	keccak_init(h, fn);
	keccak_absorb(h, seed);
	keccak_absorb(h, span_of(le, 2));
}

/* A polynomial of the matrix; public. */
static void sample_uniform(struct mldsa65_poly *p, const uint8_t rho[32], unsigned row,
			   unsigned col)
{
	uint8_t block[KECCAK_BLOCK128];
	struct keccak h;

	sample_start(&h, KECCAK_SHAKE128, span_of(rho, 32), row << 8 | col);
	for (unsigned n = 0; n < N;) {
		keccak_squeeze(&h, block, sizeof(block));
		for (unsigned i = 0; i < sizeof(block) && n < N; i += 3) {
			int32_t v = block[i] | block[i + 1] << 8 | (block[i + 2] & 0x7f) << 16;

			if (v < Q)
				p->c[n++] = v;
		}
	}
}

/* Coefficients -4..4. How many nibbles are refused tells nothing about those that are not. */
static void sample_small(struct mldsa65_poly *p, const uint8_t seed[64], unsigned nonce)
{
	uint8_t block[KECCAK_BLOCK256];
	struct keccak h;

	sample_start(&h, KECCAK_SHAKE256, span_of(seed, 64), nonce);
	for (unsigned n = 0; n < N;) {
		keccak_squeeze(&h, block, sizeof(block));
		for (unsigned i = 0; i < 2 * sizeof(block) && n < N; i++) {
			int32_t v = block[i / 2] >> (i % 2 * 4) & 15;

			if (v <= 2 * ETA)
				p->c[n++] = ETA - v;
		}
	}
	secret_wipe(block, sizeof(block));
	secret_wipe(&h, sizeof(h));
}

/* The mask of one attempt: anything in -GAMMA1+1..GAMMA1. */
static void sample_mask(struct mldsa65_poly *p, const uint8_t seed[64], unsigned nonce)
{
	uint8_t bytes[POLY_Z];
	struct keccak h;

	sample_start(&h, KECCAK_SHAKE256, span_of(seed, 64), nonce);
	keccak_squeeze(&h, bytes, sizeof(bytes));
	get_z(p, bytes);
	secret_wipe(bytes, sizeof(bytes));
	secret_wipe(&h, sizeof(h));
}

/* The challenge, transformed: TAU coefficients of 1 or -1, the others 0. */
static void sample_challenge(struct mldsa65_poly *p, const uint8_t seed[CHALLENGE])
{
	uint8_t signs[8], j;
	struct keccak h;

	memset(p, 0, sizeof(*p));
	keccak_init(&h, KECCAK_SHAKE256);
	keccak_absorb(&h, span_of(seed, CHALLENGE));
	keccak_squeeze(&h, signs, sizeof(signs));
	for (unsigned i = N - TAU, n = 0; i < N; i++, n++) {
		do
			keccak_squeeze(&h, &j, 1);
		while (j > i);
		p->c[i] = p->c[j];
		p->c[j] = 1 - 2 * (signs[n / 8] >> (n % 8) & 1);
	}
	ntt(p);
}

static void expand_matrix(struct mldsa65_pub *pub, const uint8_t rho[32])
{
	for (unsigned i = 0; i < ROWS; i++)
		for (unsigned j = 0; j < COLS; j++)
			sample_uniform(&pub->a[i][j], rho, i, j);
}

/* ---- keys ---- */

int mldsa65_pub_set(struct mldsa65_pub *out, struct span bytes)
{
	if (bytes.n != MLDSA65_PUB)
		return -ERR_MALFORMED;
	expand_matrix(out, bytes.p);
	for (unsigned i = 0; i < ROWS; i++) {
		struct mldsa65_poly *t = &out->t1[i];

		get_t1(t, bytes.p + 32 + i * POLY_T1);
		for (unsigned j = 0; j < N; j++)
			t->c[j] <<= DROPPED;
		ntt(t);
	}
	keccak_hash(KECCAK_SHAKE256, out->tr, sizeof(out->tr), &bytes, 1);
	return 0;
}

/* Cuts t into what is public and the low bits, which only the signer needs. */
static void split(uint8_t *t1_bytes, struct mldsa65_poly *t0, const struct mldsa65_poly *t)
{
	struct mldsa65_poly t1;

	for (unsigned i = 0; i < N; i++) {
		int32_t r = canon(t->c[i]);

		t1.c[i] = (r + (1 << (DROPPED - 1)) - 1) >> DROPPED;
		t0->c[i] = r - (t1.c[i] << DROPPED);
	}
	put_t1(t1_bytes, &t1);
}

void mldsa65_key_set(struct mldsa65_key *k, const uint8_t seed[MLDSA65_SEED])
{
	static const uint8_t shape[2] = {ROWS, COLS};
	const struct span parts[] = {span_of(seed, MLDSA65_SEED), span_of(shape, 2)};
	uint8_t seeds[128]; /* rho (32), rho' (64), K (32) */
	struct mldsa65_poly t;

	keccak_hash(KECCAK_SHAKE256, seeds, sizeof(seeds), parts, 2);
	memcpy(k->bytes, seeds, 32);
	memcpy(k->k, seeds + 96, 32);
	expand_matrix(&k->pub, seeds);
	for (unsigned i = 0; i < COLS; i++) {
		sample_small(&k->s1[i], seeds + 32, i);
		ntt(&k->s1[i]);
	}
	for (unsigned i = 0; i < ROWS; i++) {
		sample_small(&k->s2[i], seeds + 32, COLS + i);
		row_times(&t, k->pub.a[i], k->s1);
		intt(&t);
		for (unsigned j = 0; j < N; j++)
			t.c[j] += k->s2[i].c[j];
		split(k->bytes + 32 + i * POLY_T1, &k->t0[i], &t);
		ntt(&k->s2[i]);
		ntt(&k->t0[i]);
	}
	(void)mldsa65_pub_set(&k->pub, span_of(k->bytes, sizeof(k->bytes)));
	secret_wipe(&t, sizeof(t));
	secret_wipe(seeds, sizeof(seeds));
}

void mldsa65_key_wipe(struct mldsa65_key *k)
{
	secret_wipe(k, sizeof(*k));
}

/* What is signed: the message behind its context, bound to the public key. */
static int message_hash(uint8_t mu[MU], const struct mldsa65_pub *pub, struct span msg,
			struct span context)
{
	const uint8_t head[2] = {0, (uint8_t)context.n};
	const struct span parts[] = {span_of(pub->tr, sizeof(pub->tr)), span_of(head, 2), context,
				     msg};

	if (context.n > MLDSA65_CONTEXT_MAX)
		return -ERR_LIMIT;
	keccak_hash(KECCAK_SHAKE256, mu, MU, parts, 4);
	return 0;
}

/* ---- signing ---- */

/* One attempt; wiped as one. */
struct work {
	uint8_t mu[MU], mask_seed[64];
	struct mldsa65_poly y[COLS], y_ntt[COLS], w[ROWS];
	struct mldsa65_poly c, t, ct0;
};

/* w = A y, and the hash of its high bits: the challenge. */
static void commit(struct work *w, uint8_t challenge[CHALLENGE], const struct mldsa65_key *k,
		   unsigned nonce)
{
	uint8_t high[POLY_W1];
	struct keccak h;

	for (unsigned i = 0; i < COLS; i++) {
		sample_mask(&w->y[i], w->mask_seed, nonce + i);
		w->y_ntt[i] = w->y[i];
		ntt(&w->y_ntt[i]);
	}
	keccak_init(&h, KECCAK_SHAKE256);
	keccak_absorb(&h, span_of(w->mu, MU));
	for (unsigned i = 0; i < ROWS; i++) {
		row_times(&w->w[i], k->pub.a[i], w->y_ntt);
		intt(&w->w[i]);
		for (unsigned j = 0; j < N; j += 2) {
			int32_t low;

			w->w[i].c[j] = canon(w->w[i].c[j]);
			w->w[i].c[j + 1] = canon(w->w[i].c[j + 1]);
			high[j / 2] = (uint8_t)(decompose(&low, w->w[i].c[j]) |
						decompose(&low, w->w[i].c[j + 1]) << 4);
		}
		keccak_absorb(&h, span_of(high, sizeof(high)));
	}
	keccak_squeeze(&h, challenge, CHALLENGE);
	sample_challenge(&w->c, challenge);
}

/* z = y + c s1 into the signature; false when it would tell something about s1. */
static bool put_response(struct work *w, uint8_t *sig, const struct mldsa65_key *k)
{
	for (unsigned i = 0; i < COLS; i++) {
		product(&w->t, &w->c, &k->s1[i]);
		for (unsigned j = 0; j < N; j++)
			w->t.c[j] = center(w->y[i].c[j] + w->t.c[j]);
		if (too_large(&w->t, GAMMA1 - BETA))
			return false;
		put_z(sig + CHALLENGE + i * POLY_Z, &w->t);
	}
	return true;
}

/* Where the low bits of t, which the verifier does not have, change a high part of one row:
 * appended to the @n hints at @out. Their number, or -1 when they would tell something, or are too
 * many. */
static int put_row_hints(struct work *w, uint8_t *out, int n, const struct mldsa65_key *k,
			 unsigned row)
{
	struct mldsa65_poly low;

	product(&w->t, &w->c, &k->s2[row]);
	for (unsigned j = 0; j < N; j++) {
		w->t.c[j] = canon(w->w[row].c[j] - w->t.c[j]);
		(void)decompose(&low.c[j], w->t.c[j]);
	}
	if (too_large(&low, GAMMA2 - BETA))
		return -1;
	product(&w->ct0, &w->c, &k->t0[row]);
	for (unsigned j = 0; j < N; j++)
		w->ct0.c[j] = center(w->ct0.c[j]);
	if (too_large(&w->ct0, GAMMA2))
		return -1;
	for (unsigned j = 0; j < N; j++) { /* from here on it is part of the signature */
		int32_t high = decompose(&low.c[j], w->t.c[j]);

		if (decompose(&low.c[j], canon(w->t.c[j] + w->ct0.c[j])) == high)
			continue;
		if (n == OMEGA)
			return -1;
		out[n++] = (uint8_t)j;
	}
	return n;
}

static bool put_hints(struct work *w, uint8_t *out, const struct mldsa65_key *k)
{
	int n = 0;

	memset(out, 0, OMEGA + ROWS);
	for (unsigned i = 0; i < ROWS; i++) {
		n = put_row_hints(w, out, n, k, i);
		if (n < 0)
			return false;
		out[OMEGA + i] = (uint8_t)n;
	}
	return true;
}

int mldsa65_sign_from(uint8_t sig[MLDSA65_SIG], const struct mldsa65_key *k, struct span msg,
		      struct span context, const uint8_t random[MLDSA65_RANDOM])
{
	struct work w;
	const struct span parts[] = {span_of(k->k, sizeof(k->k)), span_of(random, MLDSA65_RANDOM),
				     span_of(w.mu, MU)};
	int err = message_hash(w.mu, &k->pub, msg, context);
	unsigned nonce = 0;

	if (err != 0)
		return err;
	keccak_hash(KECCAK_SHAKE256, w.mask_seed, sizeof(w.mask_seed), parts, 3);
	do { /* about five times */
		commit(&w, sig, k, nonce);
		nonce += COLS;
	} while (!put_response(&w, sig, k) || !put_hints(&w, sig + HINTS_AT, k));
	secret_wipe(&w, sizeof(w));
	return 0;
}

int mldsa65_sign(uint8_t sig[MLDSA65_SIG], const struct mldsa65_key *k, struct span msg,
		 struct span context)
{
	uint8_t random[MLDSA65_RANDOM];
	int err = rand_bytes(random, sizeof(random));

	if (err == 0)
		err = mldsa65_sign_from(sig, k, msg, context, random);
	secret_wipe(random, sizeof(random));
	return err;
}

/* ---- verifying ---- */

/* The high part of @r as the signer had it. */
static unsigned use_hint(int32_t r, bool hint)
{
	int32_t low, high = decompose(&low, r);

	if (hint)
		high = (low > 0 ? high + 1 : high - 1) & 15;
	return (unsigned)high;
}

/* The high part of one row of A z - c t1 2^13, which @hints correct, into the hash. */
static void absorb_row(struct keccak *h, const struct mldsa65_pub *pub, unsigned row,
		       const struct mldsa65_poly z[COLS], const struct mldsa65_poly *c,
		       struct span hints)
{
	struct mldsa65_poly w;
	bool hinted[N] = {false};
	uint8_t high[POLY_W1];

	for (size_t i = 0; i < hints.n; i++)
		hinted[hints.p[i]] = true;
	row_times(&w, pub->a[row], z);
	for (unsigned j = 0; j < N; j++)
		w.c[j] = reduce(w.c[j] - mul(c->c[j], pub->t1[row].c[j]));
	intt(&w);
	for (unsigned j = 0; j < N; j += 2)
		high[j / 2] = (uint8_t)(use_hint(canon(w.c[j]), hinted[j]) |
					use_hint(canon(w.c[j + 1]), hinted[j + 1]) << 4);
	keccak_absorb(h, span_of(high, sizeof(high)));
}

int mldsa65_sig_decode(struct mldsa65_poly z[5], struct span sig)
{
	struct mldsa65_poly got[COLS];

	if (sig.n != MLDSA65_SIG || !hints_fine(sig.p + HINTS_AT))
		return -ERR_MALFORMED;
	for (unsigned i = 0; i < COLS; i++) {
		get_z(&got[i], sig.p + CHALLENGE + i * POLY_Z);
		if (too_large(&got[i], GAMMA1 - BETA))
			return -ERR_MALFORMED;
	}
	memcpy(z, got, sizeof(got));
	return 0;
}

int mldsa65_verify(const struct mldsa65_pub *pub, struct span msg, struct span context,
		   struct span sig)
{
	const uint8_t *hints;
	uint8_t mu[MU], challenge[CHALLENGE];
	struct mldsa65_poly z[COLS], c;
	struct keccak h;
	int err = message_hash(mu, pub, msg, context);

	if (err == 0)
		err = mldsa65_sig_decode(z, sig);
	if (err != 0)
		return err;
	hints = sig.p + HINTS_AT;
	for (unsigned i = 0; i < COLS; i++)
		ntt(&z[i]);
	sample_challenge(&c, sig.p);
	keccak_init(&h, KECCAK_SHAKE256);
	keccak_absorb(&h, span_of(mu, MU));
	for (unsigned i = 0; i < ROWS; i++) {
		unsigned from = i ? hints[OMEGA + i - 1] : 0;

		absorb_row(&h, pub, i, z, &c, span_of(hints + from, hints[OMEGA + i] - from));
	}
	keccak_squeeze(&h, challenge, CHALLENGE);
	return memcmp(challenge, sig.p, CHALLENGE) == 0 ? 0 : -ERR_AUTH;
}
