/*
 * Arbitrary bytes as a signature and as a public key: no crash, the same answer
 * each time. A genuine signature that was changed in any way does not verify
 * (there is one way to write it, and nobody can make a second); one made with a
 * key and a message from the same bytes does.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "crypto/mldsa65.h"

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

static void as_signature(struct span in)
{
	int err = mldsa65_verify(&key.pub, none, none, in);

	must(err == 0 || err == -ERR_MALFORMED || err == -ERR_AUTH);
	must(err == -ERR_MALFORMED || in.n == MLDSA65_SIG);
	must(err != 0 || memcmp(in.p, genuine, MLDSA65_SIG) == 0);
	must(mldsa65_verify(&key.pub, none, none, in) == err);
}

/* What was given is written over a part of the genuine one. */
static void as_a_part(struct span in)
{
	uint8_t sig[MLDSA65_SIG];
	size_t at;

	if (in.n < 3)
		return;
	at = (size_t)(in.p[0] << 8 | in.p[1]) % MLDSA65_SIG;
	in = span_of(in.p + 2, in.n - 2);
	memcpy(sig, genuine, sizeof(sig));
	memcpy(sig + at, in.p, in.n < sizeof(sig) - at ? in.n : sizeof(sig) - at);
	as_signature(span_of(sig, sizeof(sig)));
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
	prepare();
	as_signature(span_of(data, size));
	if (size == 0)
		return 0;
	switch (data[0] % 4) {
	case 0:
		as_key(span_of(data + 1, size - 1));
		break;
	case 1:
		roundtrip(span_of(data + 1, size - 1));
		break;
	default:
		as_a_part(span_of(data + 1, size - 1));
	}
	return 0;
}
