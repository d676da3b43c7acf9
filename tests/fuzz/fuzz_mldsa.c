/*
 * Arbitrary bytes as a signature and over a part of a genuine one: what decodes
 * is written the one way there is. For one input in many the slow part
 * too: the same answer each time; a genuine signature that was changed in any
 * way does not verify, nor under a key that was changed; one made with a key
 * and a message from the same bytes does.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "crypto/mldsa65.h"
#include "rarely.h"

enum { GAMMA1 = 1 << 19, BETA = 49 * 4, OMEGA = 55, ROWS = 6, COLS = 5, CHALLENGE = 48 };
enum { HINTS_AT = MLDSA65_SIG - OMEGA - ROWS, SLOW_ONE_IN = 16384 };

static void must(bool fine)
{
	if (!fine)
		abort();
}

static struct mldsa65_key key;
static uint8_t genuine[MLDSA65_SIG];
static const struct span none = {NULL, 0};

static void prepare(void)
{
	static const uint8_t seed[MLDSA65_SEED] = {1}, random[MLDSA65_RANDOM];
	static bool done;

	if (done)
		return;
	mldsa65_key_set(&key, seed);
	must(mldsa65_sign_from(genuine, &key, none, none, random) == 0);
	done = true;
}

/* 20 bits each, FIPS 204 algorithm 17, bit by bit. */
UNTRACED static void packed(const struct mldsa65_poly *z, const uint8_t *at)
{
	for (unsigned i = 0; i < 256; i++) {
		unsigned bit = 20 * i;
		uint32_t v = at[bit / 8] | at[bit / 8 + 1] << 8 | at[bit / 8 + 2] << 16;

		must(z->c[i] < GAMMA1 - BETA && z->c[i] > -(GAMMA1 - BETA));
		must((v >> bit % 8 & 0xfffff) == (uint32_t)(GAMMA1 - z->c[i]));
	}
}

UNTRACED static void canonical(const uint8_t *hints)
{
	unsigned from = 0;

	for (unsigned i = 0; i < ROWS; i++) {
		unsigned to = hints[OMEGA + i];

		must(to >= from && to <= OMEGA);
		for (unsigned j = from + 1; j < to; j++)
			must(hints[j] > hints[j - 1]);
		from = to;
	}
	for (; from < OMEGA; from++)
		must(hints[from] == 0);
}

static void verified(struct span in, bool decodes)
{
	int err = mldsa65_verify(&key.pub, none, none, in);

	must(decodes ? err == 0 || err == -ERR_AUTH : err == -ERR_MALFORMED);
	must(err != 0 || memcmp(in.p, genuine, MLDSA65_SIG) == 0);
	must(mldsa65_verify(&key.pub, none, none, in) == err);
}

static void as_signature(struct span in, bool slow)
{
	static struct mldsa65_poly z[COLS];
	int err = mldsa65_sig_decode(z, in);

	must(err == 0 || err == -ERR_MALFORMED);
	if (err == 0) {
		must(in.n == MLDSA65_SIG);
		for (unsigned i = 0; i < COLS; i++)
			packed(&z[i], in.p + CHALLENGE + (size_t)i * 640);
		canonical(in.p + HINTS_AT);
	}
	if (slow)
		verified(in, err == 0);
}

/* What was given is written over a part of the genuine one: anywhere, or over the hints. */
static void as_a_part(struct span in, bool slow)
{
	uint8_t sig[MLDSA65_SIG];
	size_t at;

	if (in.n < 3)
		return;
	at = in.p[0] & 0x80 ? (size_t)HINTS_AT + in.p[1] % (OMEGA + ROWS)
			    : (size_t)(in.p[0] << 8 | in.p[1]) % MLDSA65_SIG;
	in = span_of(in.p + 2, in.n - 2);
	memcpy(sig, genuine, sizeof(sig));
	memcpy(sig + at, in.p, in.n < sizeof(sig) - at ? in.n : sizeof(sig) - at);
	as_signature(span_of(sig, sizeof(sig)), slow);
}

static void as_key(struct span in)
{
	static struct mldsa65_pub pub;
	uint8_t bytes[MLDSA65_PUB];
	int err;

	must(mldsa65_pub_set(&pub, in) == (in.n == MLDSA65_PUB ? 0 : -ERR_MALFORMED));
	memcpy(bytes, key.bytes, sizeof(bytes));
	memcpy(bytes, in.p, in.n < sizeof(bytes) ? in.n : sizeof(bytes));
	must(mldsa65_pub_set(&pub, span_of(bytes, sizeof(bytes))) == 0);
	err = mldsa65_verify(&pub, none, none, span_of(genuine, sizeof(genuine)));
	must(err == (memcmp(bytes, key.bytes, sizeof(bytes)) == 0 ? 0 : -ERR_AUTH));
}

static void roundtrip(struct span in)
{
	static struct mldsa65_key k;
	static struct mldsa65_pub pub;
	uint8_t seed[MLDSA65_SEED] = {0}, sig[MLDSA65_SIG];
	struct span sig_span = span_of(sig, sizeof(sig)), ctx = {in.p, in.n < 255 ? in.n : 255};

	memcpy(seed, in.p, in.n < sizeof(seed) ? in.n : sizeof(seed));
	mldsa65_key_set(&k, seed);
	must(mldsa65_pub_set(&pub, span_of(k.bytes, sizeof(k.bytes))) == 0);
	must(memcmp(&pub, &k.pub, sizeof(pub)) == 0);
	must(mldsa65_sign_from(sig, &k, in, ctx, seed) == 0);
	must(mldsa65_verify(&pub, in, ctx, sig_span) == 0);
	must(mldsa65_verify(&key.pub, in, ctx, sig_span) == -ERR_AUTH ||
	     memcmp(k.bytes, key.bytes, sizeof(key.bytes)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool slow = rarely(data, size, SLOW_ONE_IN);

	prepare();
	as_signature(span_of(data, size), slow);
	as_a_part(span_of(data, size), slow);
	if (slow && size > 0) {
		as_key(span_of(data, size));
		roundtrip(span_of(data, size));
	}
	return 0;
}
