/* REALITY's proofs, against a vector that the genuine server has opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "crypto/x25519.h"
#include "hex.h"
#include "proto/reality.h"

#define SERVER_PRIVATE "0002030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f60"
#define SERVER_PUBLIC "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c"
#define CLIENT_PRIVATE "8082838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f60"
#define CLIENT_PUBLIC "883186b800b41d5cf0429695da9b3cc4f328ebcd184a6e482fa578c103f06c77"
#define RANDOM "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
#define AUTH_KEY "0f43b0a4c6157a3cfb83dbb50f1cdfa10f368a79ca66d09d4fcaeefff0eba1d4"
#define SEALED "920194b59dbcfbbdf92afd0c021a892ee113cb6d6cb3c45cdb75ae8525b25b6a"
#define CERT_KEY "d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737"
#define CERT_MAC                                                                                   \
	"3721b14b932bb824d1491138776efdee65a228243a01085f72eaf0c0f2b549a2"                         \
	"fbffd69cf77d28bb9ad4cfc4ab8e23bd345d0b722708c7fd6087d3a927e0d606"
#define HELLO(sid)                                                                                 \
	"010000a80303" RANDOM "20" sid "0006130113021303010000590000"                              \
	"0010000e00000b6578616d706c652e636f6d000a00040002001d000d00080006040308040807"             \
	"002b0003020304003300260024001d0020" CLIENT_PUBLIC

enum { HELLO_LEN = 172, TIME_S = 1700000000 };

static const uint8_t short_id[REALITY_SHORT_ID_LEN] = {0x01, 0x23, 0x45, 0x67,
						       0x89, 0xab, 0xcd, 0xef};

static void auth_key_of_vector(void **state)
{
	uint8_t priv[32], pub[32], shared[32], random[32], key[32];

	(void)state;
	hex_read(priv, 32, CLIENT_PRIVATE);
	hex_read(pub, 32, SERVER_PUBLIC);
	hex_read(random, 32, RANDOM);
	assert_int_equal(x25519_shared(shared, priv, pub), 0);
	assert_hex(shared, "c639664aff13ee2696db677b30b74d56103f38953ef4b5c50b87e2ac31b37367");
	assert_int_equal(reality_auth_key(key, shared, random), 0);
	assert_hex(key, AUTH_KEY);
}

static void seal_and_open(void **state)
{
	struct reality_id id = {{26, 7, 28}, TIME_S, {0}}, got;
	uint8_t hello[HELLO_LEN], key[32];
	struct span whole = span_of(hello, sizeof(hello));

	(void)state;
	memcpy(id.short_id, short_id, sizeof(short_id));
	hex_read(key, 32, AUTH_KEY);
	/* whatever stands in the place: it is replaced */
	assert_int_equal(hex_read(hello, sizeof(hello), HELLO(RANDOM)), HELLO_LEN);
	assert_int_equal(reality_id_seal(hello, sizeof(hello), key, &id), 0);
	assert_hex(hello, HELLO(SEALED));
	assert_int_equal(reality_id_open(&got, whole, key), 0);
	assert_memory_equal(got.version, id.version, 3);
	assert_int_equal(got.time_s, TIME_S);
	assert_memory_equal(got.short_id, short_id, sizeof(short_id));
}

/* Each single changed bit of the hello, and another key, keep it shut. */
static void open_refuses(void **state)
{
	uint8_t hello[HELLO_LEN], key[32];
	struct reality_id got = {.time_s = 77};

	(void)state;
	hex_read(key, 32, AUTH_KEY);
	hex_read(hello, sizeof(hello), HELLO(SEALED));
	for (size_t i = 0; i < sizeof(hello); i++) {
		int want = i == 0 || i == 38 ? -ERR_MALFORMED : -ERR_AUTH;

		hello[i] ^= 0x40;
		assert_int_equal(reality_id_open(&got, span_of(hello, sizeof(hello)), key), want);
		hello[i] ^= 0x40;
	}
	key[31] ^= 1;
	assert_int_equal(reality_id_open(&got, span_of(hello, sizeof(hello)), key), -ERR_AUTH);
	key[31] ^= 1;
	for (size_t n = 0; n < sizeof(hello); n++) {
		struct span part = exact(span_of(hello, sizeof(hello)), n);

		assert_int_equal(reality_id_open(&got, part, key),
				 n < 71 ? -ERR_MALFORMED : -ERR_AUTH);
		free_hex(part);
	}
	assert_int_equal(got.time_s, 77);
}

static void certificate_of_vector(void **state)
{
	uint8_t b[REALITY_CERT_LEN], pub[32], key[32];
	struct wr w = wr_of(b, sizeof(b));
	struct reality_cert c;

	(void)state;
	hex_read(pub, 32, CERT_KEY);
	hex_read(key, 32, AUTH_KEY);
	assert_int_equal(reality_cert_encode(&w, pub, key, NULL), 0);
	assert_int_equal(w.n, REALITY_CERT_LEN);
	assert_hex(b, "3081af3063a003020102020100300506032b65703000"
		      "3022180f30303031303130313030303030305a180f30303031303130313030303030305a"
		      "3000302a300506032b6570032100" CERT_KEY "300506032b6570034100" CERT_MAC);
	assert_int_equal(reality_cert_decode(&c, span_of(b, w.n)), 0);
	assert_true(c.key.n == 32 && memcmp(c.key.p, pub, 32) == 0);
	assert_int_equal(c.extension.n, 0);
	assert_true(reality_cert_proves(&c, key));
	key[0] ^= 1;
	assert_false(reality_cert_proves(&c, key));
	for (size_t n = 0; n < sizeof(b); n++) {
		struct span part = exact(span_of(b, sizeof(b)), n);

		assert_int_equal(reality_cert_decode(&c, part), -ERR_MALFORMED);
		free_hex(part);
		w = wr_of(b, n);
		assert_int_equal(reality_cert_encode(&w, pub, key, NULL), -ERR_LIMIT);
	}
}

static void certificate_with_mldsa(void **state)
{
	static uint8_t b[REALITY_CERT_MLDSA_LEN], sig[REALITY_MLDSA_LEN];
	uint8_t pub[32] = {1}, key[32] = {2};
	struct wr w = wr_of(b, sizeof(b));
	struct reality_cert c;

	(void)state;
	for (size_t i = 0; i < sizeof(sig); i++)
		sig[i] = (uint8_t)(i * 7);
	assert_int_equal(reality_cert_encode(&w, pub, key, sig), 0);
	assert_int_equal(w.n, REALITY_CERT_MLDSA_LEN);
	assert_hex(b, "30820db130820d63");
	assert_memory_equal(b + 126, sig, sizeof(sig));
	assert_int_equal(reality_cert_decode(&c, span_of(b, w.n)), 0);
	assert_true(c.extension.n == sizeof(sig) && c.extension.p == b + 126);
	assert_true(reality_cert_proves(&c, key));
	for (size_t n = 0; n < sizeof(b); n++) {
		struct span part = exact(span_of(b, sizeof(b)), n);

		assert_int_equal(reality_cert_decode(&c, part), -ERR_MALFORMED);
		free_hex(part);
	}
}

/* Another kind of key: it has no Ed25519 key to show, and proves nothing. */
static void certificate_of_others(void **state)
{
	struct span der = hex("3081af3063a003020102020100300506032b65703000"
			      "3022180f30303031303130313030303030305a180f"
			      "30303031303130313030303030305a"
			      "3000302a300506032b6571032100" CERT_KEY
			      "300506032b6570034100" CERT_MAC);
	struct reality_cert c;
	uint8_t key[32];

	(void)state;
	hex_read(key, 32, AUTH_KEY);
	assert_int_equal(reality_cert_decode(&c, der), 0);
	assert_int_equal(c.key.n, 0);
	assert_false(reality_cert_proves(&c, key));
	free_hex(der);
}

struct desk {
	uint8_t keys[2][REALITY_KEY_LEN];
	uint8_t short_ids[2][REALITY_SHORT_ID_LEN];
	const char *names[2];
	struct reality_rules rules;
	uint8_t hello[HELLO_LEN];
	struct reality_offer offer;
	struct reality_finding found;
};

static void desk_init(struct desk *d)
{
	memset(d, 0, sizeof(*d));
	memset(d->keys[0], 0x55, 32);
	hex_read(d->keys[1], 32, SERVER_PRIVATE);
	memcpy(d->short_ids[1], short_id, sizeof(short_id));
	d->names[0] = "www.example.org";
	d->names[1] = "example.com";
	d->rules = (struct reality_rules){.keys = (const uint8_t(*)[32])d->keys,
					  .n_keys = 2,
					  .names = d->names,
					  .n_names = 2,
					  .short_ids = (const uint8_t(*)[8])d->short_ids,
					  .n_short_ids = 2};
	hex_read(d->hello, sizeof(d->hello), HELLO(SEALED));
	d->offer = (struct reality_offer){.hello = span_of(d->hello, sizeof(d->hello)),
					  .name = span_str("example.com"),
					  .tls13 = true,
					  .key = d->hello + HELLO_LEN - 32};
}

static enum reality_verdict judge(struct desk *d, int64_t ahead_ms)
{
	return reality_judge(&d->rules, &d->offer, (uint64_t)(TIME_S * 1000LL + ahead_ms),
			     &d->found);
}

static void judged_ours(void **state)
{
	struct desk d;

	(void)state;
	desk_init(&d);
	assert_int_equal(judge(&d, 1000000), REALITY_OURS);
	assert_true(d.found.known);
	assert_int_equal(d.found.key_index, 1);
	assert_hex(d.found.auth_key, AUTH_KEY);
	d.rules.min_version = d.rules.max_version = 26 << 16 | 7 << 8 | 28;
	d.rules.max_diff_ms = 5000;
	assert_int_equal(judge(&d, 5000), REALITY_OURS);
	assert_int_equal(judge(&d, -5000), REALITY_OURS);
}

static void judged_by_offer(void **state)
{
	struct desk d;

	(void)state;
	desk_init(&d);
	d.offer.tls13 = false;
	assert_int_equal(judge(&d, 0), REALITY_NO_TLS13);
	assert_false(d.found.known);
	desk_init(&d);
	d.offer.hello.n = 20;
	assert_int_equal(judge(&d, 0), REALITY_NO_HELLO);
	desk_init(&d);
	d.hello[38] = 0;
	assert_int_equal(judge(&d, 0), REALITY_NO_ID);
	desk_init(&d);
	d.offer.key = NULL;
	assert_int_equal(judge(&d, 0), REALITY_NO_SHARE);
	desk_init(&d);
	memset(d.hello + HELLO_LEN - 32, 0, 32); /* small order: no shared secret */
	assert_int_equal(judge(&d, 0), REALITY_BAD_KEY);
}

/* A wrong name with a right key is a misconfigured client, and the log shall know. */
static void judged_by_rules(void **state)
{
	struct desk d;

	(void)state;
	desk_init(&d);
	d.offer.name = span_str("EXAMPLE.com");
	assert_int_equal(judge(&d, 0), REALITY_BAD_NAME);
	assert_true(d.found.known);
	d.offer.name = span_of(NULL, 0);
	assert_int_equal(judge(&d, 0), REALITY_BAD_NAME);
	d.names[0] = "";
	assert_int_equal(judge(&d, 0), REALITY_OURS);
	desk_init(&d);
	d.rules.n_keys = 1;
	assert_int_equal(judge(&d, 0), REALITY_BAD_KEY);
	assert_false(d.found.known);
	desk_init(&d);
	d.rules.min_version = (26 << 16 | 7 << 8 | 28) + 1;
	assert_int_equal(judge(&d, 0), REALITY_OLD_CLIENT);
	d.rules.min_version = 0;
	d.rules.max_version = (26 << 16 | 7 << 8 | 28) - 1;
	assert_int_equal(judge(&d, 0), REALITY_NEW_CLIENT);
	d.rules.max_version = 0;
	d.rules.max_diff_ms = 60000;
	assert_int_equal(judge(&d, 60001), REALITY_BAD_CLOCK);
	assert_int_equal(judge(&d, -60001), REALITY_BAD_CLOCK);
	d.rules.n_short_ids = 1;
	assert_int_equal(judge(&d, 0), REALITY_BAD_SHORT_ID);
}

static void verdicts_have_words(void **state)
{
	(void)state;
	for (int v = 0; v < REALITY_VERDICT_MAX_; v++)
		assert_true(strlen(reality_verdict_text((enum reality_verdict)v)) > 5);
	assert_string_equal(reality_verdict_text(REALITY_VERDICT_MAX_), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auth_key_of_vector),	 cmocka_unit_test(seal_and_open),
		cmocka_unit_test(open_refuses),		 cmocka_unit_test(certificate_of_vector),
		cmocka_unit_test(certificate_with_mldsa), cmocka_unit_test(certificate_of_others),
		cmocka_unit_test(judged_ours),		 cmocka_unit_test(judged_by_offer),
		cmocka_unit_test(judged_by_rules),	 cmocka_unit_test(verdicts_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
