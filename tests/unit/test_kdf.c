/* Hashes, HMAC, key derivation, X25519, UUIDs from text, random numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "crypto/kdf.h"
#include "crypto/md5.h"
#include "crypto/rand.h"
#include "crypto/secret.h"
#include "crypto/sha.h"
#include "crypto/uuid5.h"
#include "crypto/x25519.h"
#include "hex.h"

static void hashes(void **state)
{
	struct span abc = span_str("abc"), parts[3] = {span_str("a"), span_str(""), span_str("bc")};
	uint8_t out[SHA_LEN_MAX];

	(void)state;
	assert_int_equal(sha1(out, abc), 0);
	assert_hex(out, "a9993e364706816aba3e25717850c26c9cd0d89d");
	assert_int_equal(sha224(out, abc), 0);
	assert_hex(out, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7");
	assert_int_equal(sha256(out, abc), 0);
	assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	memset(out, 0, sizeof(out));
	assert_int_equal(sha_digest(SHA_ALG_256, out, parts, 3), 0);
	assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void hmac_rfc4231(void **state)
{
	struct span jefe[2] = {span_str("what do ya want "), span_str("for nothing?")};
	struct span big = span_str("Test Using Larger Than Block-Size Key - Hash Key First");
	uint8_t out[SHA_LEN_MAX], key[131];

	(void)state;
	assert_int_equal(sha_hmac(SHA_ALG_512, out, span_str("Jefe"), jefe, 2), 0);
	assert_hex(out, "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75"
			"c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
	memset(key, 0xaa, sizeof(key));
	assert_int_equal(sha_hmac(SHA_ALG_256, out, span_of(key, sizeof(key)), &big, 1), 0);
	assert_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void hkdf_rfc5869(void **state)
{
	uint8_t ikm[22], salt[13], info[10], out[255 * 32 + 1];

	(void)state;
	memset(ikm, 0x0b, sizeof(ikm));
	for (size_t i = 0; i < sizeof(salt); i++)
		salt[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(info); i++)
		info[i] = (uint8_t)(0xf0 + i);
	assert_int_equal(kdf_extract(SHA_ALG_256, out, span_of(salt, 13), span_of(ikm, 22)), 0);
	assert_hex(out, "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
	assert_int_equal(kdf_hkdf(SHA_ALG_256, out, 42, span_of(ikm, 22), span_of(salt, 13),
				  span_of(info, 10)),
			 0);
	assert_hex(out,
		   "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b8"
		   "87185865");
	assert_int_equal(kdf_hkdf(SHA_ALG_1, out, 42, span_of(ikm, 11), span_of(salt, 13),
				  span_of(info, 10)),
			 0);
	assert_hex(out,
		   "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2c22e422478d3"
		   "05f3f896");
	/* A.3: no salt, no info */
	assert_int_equal(kdf_hkdf(SHA_ALG_256, out, 42, span_of(ikm, 22), span_of(NULL, 0),
				  span_of(NULL, 0)),
			 0);
	assert_hex(out,
		   "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4"
		   "b61a96c8");
	assert_int_equal(kdf_expand(SHA_ALG_256, out, 255 * 32, span_of(ikm, 22), span_of(NULL, 0)),
			 0);
	assert_int_equal(
		kdf_expand(SHA_ALG_256, out, 255 * 32 + 1, span_of(ikm, 22), span_of(NULL, 0)),
		-ERR_LIMIT);
}

/* RFC 9001 A.1 */
static void labels(void **state)
{
	uint8_t salt[20], dcid[8], prk[32], secret[32], out[32];
	struct span none = span_of(NULL, 0), in = span_of(secret, 32);
	char name[256];

	(void)state;
	hex_read(salt, 20, "38762cf7f55934b34d179ae6a4c80cadccbb7f0a");
	hex_read(dcid, 8, "8394c8f03e515708");
	assert_int_equal(kdf_extract(SHA_ALG_256, prk, span_of(salt, 20), span_of(dcid, 8)), 0);
	assert_int_equal(
		kdf_expand_label(SHA_ALG_256, secret, 32, span_of(prk, 32), "client in", none), 0);
	assert_hex(secret, "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea");
	assert_int_equal(kdf_expand_label(SHA_ALG_256, out, 16, in, "quic key", none), 0);
	assert_hex(out, "1f369613dd76d5467730efcbe3b1a22d");
	assert_int_equal(kdf_expand_label(SHA_ALG_256, out, 12, in, "quic iv", none), 0);
	assert_hex(out, "fa044b2f42a3fd3b46fb255c");
	assert_int_equal(kdf_expand_label(SHA_ALG_256, out, 16, in, "quic hp", none), 0);
	assert_hex(out, "9f50449e04a0e810283a1e9933adedd2");
	memset(name, 'x', sizeof(name));
	name[250] = 0;
	assert_int_equal(kdf_expand_label(SHA_ALG_256, out, 16, in, name, none), -ERR_LIMIT);
	name[249] = 0;
	assert_int_equal(kdf_expand_label(SHA_ALG_256, out, 16, in, name, none), 0);
}

/* RFC 1321 A.5, and every length round the block border against itself in two parts */
static void md5_vectors(void **state)
{
	struct span in = span_str("message digest");
	uint8_t out[16], again[16], text[200];

	(void)state;
	md5(out, &in, 1);
	assert_hex(out, "f96b697d7cb7938d525a2f31aaf161d0");
	md5(out, NULL, 0);
	assert_hex(out, "d41d8cd98f00b204e9800998ecf8427e");
	in = span_str(
		"12345678901234567890123456789012345678901234567890123456789012345678901234567890");
	md5(out, &in, 1);
	assert_hex(out, "57edf4a22be3c955ac49da2e2107b67a");
	memset(text, 'a', sizeof(text));
	for (size_t n = 0; n <= sizeof(text); n++) {
		struct span two[2] = {span_of(text, n / 3), span_of(text + n / 3, n - n / 3)};

		in = span_of(text, n);
		md5(out, &in, 1);
		md5(again, two, 2);
		assert_memory_equal(out, again, 16);
	}
}

static void bytes_to_key(void **state)
{
	uint8_t out[32];

	(void)state;
	kdf_bytes_to_key(out, 32, span_str("barfoo!"));
	assert_hex(out, "b3adc47839e047eb228870526dc8fc30b347287ffca3045dcea06b3fdf090acb");
	memset(out, 0, sizeof(out));
	kdf_bytes_to_key(out, 17, span_str("barfoo!"));
	assert_hex(out, "b3adc47839e047eb228870526dc8fc30b300");
}

/* RFC 7748 6.1 */
static void x25519_rfc7748(void **state)
{
	uint8_t a[32], b_pub[32], out[32], priv[32], pub[32], other[32], zero[32] = {0};

	(void)state;
	hex_read(a, 32, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
	hex_read(b_pub, 32, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
	assert_int_equal(x25519_public(out, a), 0);
	assert_hex(out, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
	assert_int_equal(x25519_shared(out, a, b_pub), 0);
	assert_hex(out, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
	assert_int_equal(x25519_shared(out, a, zero), -ERR_MALFORMED);
	assert_int_equal(x25519_keypair(priv, pub), 0);
	assert_int_equal(priv[0] & 7, 0);
	assert_int_equal(priv[31] & 0xc0, 0x40);
	assert_int_equal(x25519_shared(out, priv, b_pub), 0);
	assert_int_equal(x25519_public(other, priv), 0);
	assert_memory_equal(other, pub, 32);
}

static void uuids_from_text(void **state)
{
	static const struct {
		const char *text, *uuid;
	} v[] = {
		{"a", "35b65f33-a679-5e76-af3c-273ea349ede4"},
		{"example", "feb54431-301b-52bb-a6dd-e1e93e81bb9e"},
		{"\xe6\x88\x91\xe7\x88\xb1\xf0\x9f\x8d\x89\xe8\x80\x81\xe5\xb8\x88"
		 "1314",
		 "5783a3e7-e373-51cd-8642-c83782b807c5"},
		{"feb54431-301b-52bb-a6dd-e1e93e81bb9e", "feb54431-301b-52bb-a6dd-e1e93e81bb9e"},
	};
	struct uuid u;
	char text[UUID_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		assert_int_equal(uuid5_parse(&u, span_str(v[i].text)), 0);
		assert_string_equal(uuid_text(&u, text), v[i].uuid);
	}
	assert_int_equal(uuid5_parse(&u, span_str("")), -ERR_MALFORMED);
	assert_int_equal(uuid5_parse(&u, span_str("0123456789012345678901234567890")),
			 -ERR_MALFORMED);
	assert_int_equal(uuid5_from_text(&u, span_str("0123456789012345678901234567890")),
			 -ERR_MALFORMED);
}

static void random_numbers(void **state)
{
	uint8_t a[70000] = {0}, b[64] = {0}, c[64] = {0}, zero[64] = {0};
	unsigned seen[5] = {0};

	(void)state;
	assert_int_equal(rand_bytes(a, sizeof(a)), 0);
	assert_memory_not_equal(a + sizeof(a) - 64, zero, 64);
	rand_fill(b, sizeof(b));
	rand_fill(c, sizeof(c));
	assert_memory_not_equal(b, c, 64);
	assert_memory_not_equal(b, zero, 64);
	rand_fill(a, 600);
	assert_int_equal(rand_below(1), 0);
	for (int i = 0; i < 2000; i++) {
		uint32_t v = rand_below(5);

		assert_true(v < 5);
		seen[v]++;
	}
	for (int i = 0; i < 5; i++)
		assert_true(seen[i] > 0);
}

static void secrets(void **state)
{
	uint8_t a[4] = {1, 2, 3, 4}, b[4] = {1, 2, 3, 5}, zero[4] = {0};

	(void)state;
	assert_true(secret_eq(a, b, 3));
	assert_false(secret_eq(a, b, 4));
	secret_wipe(a, sizeof(a));
	assert_memory_equal(a, zero, 4);
	secret_wipe(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes),	  cmocka_unit_test(hmac_rfc4231),
		cmocka_unit_test(hkdf_rfc5869),	  cmocka_unit_test(labels),
		cmocka_unit_test(md5_vectors),	  cmocka_unit_test(bytes_to_key),
		cmocka_unit_test(x25519_rfc7748), cmocka_unit_test(uuids_from_text),
		cmocka_unit_test(random_numbers), cmocka_unit_test(secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
