/* Ed25519 against the vectors of RFC 8032, section 7.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "crypto/ed25519.h"
#include "hex.h"

static const struct {
	const char *priv, *pub, *msg, *sig;
} vectors[] = {
	{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	 "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
	 "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
	 "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
	{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	 "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
	 "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
	 "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
	{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	 "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
	 "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
	 "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

static void of_the_rfc(void **state)
{
	uint8_t priv[ED25519_LEN], pub[ED25519_LEN], sig[ED25519_SIG];

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct span msg = hex(vectors[i].msg);

		hex_read(priv, sizeof(priv), vectors[i].priv);
		assert_int_equal(ed25519_public(pub, priv), 0);
		assert_hex(pub, vectors[i].pub);
		assert_int_equal(ed25519_sign(sig, priv, pub, msg), 0);
		assert_hex(sig, vectors[i].sig);
		assert_int_equal(ed25519_verify(pub, msg, sig), 0);
		for (unsigned bit = 0; bit < sizeof(sig) * 8; bit++) {
			sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(ed25519_verify(pub, msg, sig), -ERR_AUTH);
			sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_int_equal(ed25519_verify(pub, span_str("72af82"), sig), -ERR_AUTH);
		pub[5] ^= 4;
		assert_int_equal(ed25519_verify(pub, msg, sig), -ERR_AUTH);
		free_hex(msg);
	}
}

static void fresh_pairs(void **state)
{
	uint8_t priv[2][ED25519_LEN], pub[2][ED25519_LEN], sig[ED25519_SIG];
	struct span none = {NULL, 0};

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(ed25519_keypair(priv[i], pub[i]), 0);
	assert_memory_not_equal(priv[0], priv[1], ED25519_LEN);
	assert_int_equal(ed25519_sign(sig, priv[0], pub[0], none), 0);
	assert_int_equal(ed25519_verify(pub[0], none, sig), 0);
	assert_int_equal(ed25519_verify(pub[1], none, sig), -ERR_AUTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_the_rfc),
		cmocka_unit_test(fresh_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
