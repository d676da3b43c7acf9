/*
 * Texts of fingerprints. What is accepted makes hellos that are ClientHellos, or
 * none because a type comes twice, and nothing else; a refusal names a line that
 * exists.
 */
#include <stdlib.h>

#include "proto/fingerprint.h"
#include "proto/tlshello.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_hello(const struct fingerprint *fp, bool retried)
{
	static uint8_t b[65536], seed[FINGERPRINT_SEED_LEN], key[32];
	uint16_t groups[FINGERPRINT_SHARES_MAX];
	struct fingerprint_share shares[FINGERPRINT_SHARES_MAX];
	struct fingerprint_hello h = {.random = seed,
				      .session_id = span_of(seed, 32),
				      .seed = seed,
				      .sni = span_str("name"),
				      .alpn = span_str("\2h2"),
				      .shares = shares,
				      .n_shares = fingerprint_shares(fp, groups),
				      .retried = retried};
	struct wr w = wr_of(b, sizeof(b));
	struct tlshello_client c;
	ssize_t n;

	for (size_t i = 0; i < h.n_shares; i++)
		shares[i] = (struct fingerprint_share){groups[i], span_of(key, sizeof(key))};
	must(fingerprint_encode(&w, fp, &h) == 0);
	n = tlshello_client_decode(&c, span_of(b, w.n));
	must(n < 0 || (size_t)n == w.n);
	must(n < 0 || c.suites.n == fp->n_suites * 2u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fingerprint_fault fault;
	struct fingerprint fp;
	unsigned lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	if (fingerprint_parse(&fp, span_of(data, size), &fault) != 0) {
		must(fault.line >= 1 && fault.line <= lines && fault.what);
		return 0;
	}
	check_hello(&fp, false);
	check_hello(&fp, true);
	return 0;
}
