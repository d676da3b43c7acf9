/* AEADs against published vectors; in place, scattered, forged, re-keyed; single AES blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/aesblock.h"
#include "crypto/hchacha.h"
#include "hex.h"

struct vector {
	enum aead_alg alg;
	const char *key, *nonce, *ad, *plain, *sealed;
};

#define SUNSCREEN                                                                                  \
	"4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a2049"   \
	"66204920636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675"   \
	"747572652c2073756e73637265656e20776f756c642062652069742e"
#define GCM_PLAIN                                                                                  \
	"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e"   \
	"2449a6b525b16aedf5aa0de657ba637b39"

static const struct vector vectors[] = {
	/* McGrew and Viega, test cases 1, 4 and 16 */
	{AEAD_AES_128_GCM, "00000000000000000000000000000000", "000000000000000000000000", "", "",
	 "58e2fccefa7e3061367f1d57a4e7455a"},
	{AEAD_AES_128_GCM, "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
	 "feedfacedeadbeeffeedfacedeadbeefabaddad2", GCM_PLAIN,
	 "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a"
	 "5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47"},
	{AEAD_AES_256_GCM, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	 "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2", GCM_PLAIN,
	 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b"
	 "1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"},
	/* RFC 8439 2.8.2 */
	{AEAD_CHACHA20_POLY1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	 "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7", SUNSCREEN,
	 "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb"
	 "69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad6"
	 "75945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd06006"
	 "91"},
	/* draft-irtf-cfrg-xchacha-03 A.3.1 */
	{AEAD_XCHACHA20_POLY1305,
	 "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	 "404142434445464748494a4b4c4d4e4f5051525354555657", "50515253c0c1c2c3c4c5c6c7", SUNSCREEN,
	 "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a8"
	 "2f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369"
	 "488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf"
	 "49"},
};

enum { VECTORS = sizeof(vectors) / sizeof(vectors[0]), BIG = 512 };

/* A vector in binary. */
struct bytes {
	uint8_t key[32], nonce[24], ad_b[64], plain_b[BIG], sealed_b[BIG];
	struct span ad, plain, sealed;
};

static void load(struct bytes *b, const struct vector *v)
{
	memset(b, 0, sizeof(*b));
	assert_int_equal(hex_read(b->key, sizeof(b->key), v->key), aead_key_len(v->alg));
	assert_int_equal(hex_read(b->nonce, sizeof(b->nonce), v->nonce), aead_nonce_len(v->alg));
	b->ad = span_of(b->ad_b, hex_read(b->ad_b, sizeof(b->ad_b), v->ad));
	b->plain = span_of(b->plain_b, hex_read(b->plain_b, BIG, v->plain));
	b->sealed = span_of(b->sealed_b, hex_read(b->sealed_b, BIG, v->sealed));
	assert_int_equal(b->sealed.n, b->plain.n + AEAD_TAG);
}

static void published_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct bytes b;
		uint8_t out[BIG];
		struct aead *a;

		load(&b, &vectors[i]);
		a = aead_new(vectors[i].alg, b.key);
		assert_non_null(a);
		/* twice, and alternating: the context keeps its key, not its direction */
		for (int round = 0; round < 2; round++) {
			assert_int_equal(aead_seal(a, b.nonce, b.ad, out, b.plain), 0);
			assert_memory_equal(out, b.sealed.p, b.sealed.n);
			memset(out, 0xee, sizeof(out));
			assert_int_equal(aead_open(a, b.nonce, b.ad, out, b.sealed), 0);
			assert_memory_equal(out, b.plain.p, b.plain.n);
			assert_int_equal(out[b.plain.n], 0xee);
		}
		memcpy(out, b.plain.p, b.plain.n); /* in place */
		assert_int_equal(aead_seal(a, b.nonce, b.ad, out, span_of(out, b.plain.n)), 0);
		assert_memory_equal(out, b.sealed.p, b.sealed.n);
		assert_int_equal(aead_open(a, b.nonce, b.ad, out, span_of(out, b.sealed.n)), 0);
		assert_memory_equal(out, b.plain.p, b.plain.n);
		aead_free(a);
	}
}

static void scattered_input(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct bytes b;
		struct aead *a;

		load(&b, &vectors[i]);
		a = aead_new(vectors[i].alg, b.key);
		for (size_t cut = 0; cut <= b.plain.n; cut++) {
			struct span parts[3] = {span_of(b.plain.p, cut / 2),
						span_of(b.plain.p + cut / 2, cut - cut / 2),
						span_of(b.plain.p + cut, b.plain.n - cut)};
			uint8_t out[BIG];

			assert_int_equal(aead_seal_parts(a, b.nonce, b.ad, out, parts, 3), 0);
			assert_memory_equal(out, b.sealed.p, b.sealed.n);
		}
		for (size_t cut = 0; cut <= b.sealed.n; cut++) { /* the last ones cut the tag */
			struct span parts[2] = {span_of(b.sealed.p, cut),
						span_of(b.sealed.p + cut, b.sealed.n - cut)};
			uint8_t out[BIG];

			assert_int_equal(aead_open_parts(a, b.nonce, b.ad, out, parts, 2), 0);
			assert_memory_equal(out, b.plain.p, b.plain.n);
		}
		aead_free(a);
	}
}

static void forgeries_leave_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct bytes b;
		struct aead *a;
		uint8_t out[BIG], zero[BIG] = {0};

		load(&b, &vectors[i]);
		a = aead_new(vectors[i].alg, b.key);
		for (size_t at = 0; at < b.sealed.n; at++) {
			b.sealed_b[at] ^= 1;
			memset(out, 0xee, sizeof(out));
			assert_int_equal(aead_open(a, b.nonce, b.ad, out, b.sealed), -ERR_AUTH);
			assert_memory_equal(out, zero, b.plain.n);
			b.sealed_b[at] ^= 1;
		}
		for (size_t n = 0; n < b.sealed.n; n++)
			assert_int_equal(aead_open(a, b.nonce, b.ad, out, span_of(b.sealed.p, n)),
					 -ERR_AUTH);
		b.nonce[0] ^= 1;
		assert_int_equal(aead_open(a, b.nonce, b.ad, out, b.sealed), -ERR_AUTH);
		b.nonce[0] ^= 1;
		if (b.ad.n) {
			b.ad_b[0] ^= 1;
			assert_int_equal(aead_open(a, b.nonce, b.ad, out, b.sealed), -ERR_AUTH);
			b.ad_b[0] ^= 1;
		}
		/* a failure does not spoil the context */
		assert_int_equal(aead_open(a, b.nonce, b.ad, out, b.sealed), 0);
		aead_free(a);
	}
}

static void another_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct bytes b;
		struct aead *a;
		uint8_t out[BIG], wrong[32] = {9};

		load(&b, &vectors[i]);
		a = aead_new(vectors[i].alg, wrong);
		assert_int_equal(aead_open(a, b.nonce, b.ad, out, b.sealed), -ERR_AUTH);
		assert_int_equal(aead_set_key(a, b.key), 0);
		assert_int_equal(aead_open(a, b.nonce, b.ad, out, b.sealed), 0);
		assert_memory_equal(out, b.plain.p, b.plain.n);
		assert_int_equal(aead_set_key(a, wrong), 0);
		assert_int_equal(aead_open(a, b.nonce, b.ad, out, b.sealed), -ERR_AUTH);
		aead_free(a);
	}
	aead_free(NULL);
}

static void hchacha_draft_vector(void **state)
{
	uint8_t key[32], nonce[16], out[32];

	(void)state;
	hex_read(key, 32, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
	hex_read(nonce, 16, "000000090000004a0000000031415927");
	hchacha20(out, key, nonce);
	assert_hex(out, "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc");
}

static void aes_blocks(void **state)
{
	/* FIPS 197 C.1 and C.3 */
	static const char *const want[2] = {"69c4e0d86a7b0430d8cdb78070b4c55a",
					    "8ea2b7ca516745bfeafc49904b496089"};
	uint8_t key[32], plain[16], out[16];

	(void)state;
	hex_read(key, 32, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
	hex_read(plain, 16, "00112233445566778899aabbccddeeff");
	for (size_t i = 0; i < 2; i++) {
		size_t len = i == 0 ? 16 : 32;
		struct aesblock *e = aesblock_new(AESBLOCK_ENCRYPT, key, len);
		struct aesblock *d = aesblock_new(AESBLOCK_DECRYPT, (const uint8_t[32]){1}, len);

		assert_int_equal(aesblock_set_key(d, key), 0);
		for (int round = 0; round < 3; round++) {
			assert_int_equal(aesblock_run(e, out, plain), 0);
			assert_hex(out, want[i]);
			assert_int_equal(aesblock_run(d, out, out), 0);
			assert_memory_equal(out, plain, 16);
		}
		assert_int_equal(aesblock_once(AESBLOCK_ENCRYPT, key, len, out, plain), 0);
		assert_hex(out, want[i]);
		aesblock_free(e);
		aesblock_free(d);
	}
	assert_null(aesblock_new(AESBLOCK_ENCRYPT, key, 24));
	aesblock_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),	   cmocka_unit_test(scattered_input),
		cmocka_unit_test(forgeries_leave_nothing), cmocka_unit_test(another_key),
		cmocka_unit_test(hchacha_draft_vector),	   cmocka_unit_test(aes_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
