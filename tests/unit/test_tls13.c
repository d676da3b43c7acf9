/*
 * The key schedule against the handshake of RFC 8448 section 3 (SHA-256). The
 * RFC has no trace with SHA-384: those values were computed with Python's hmac
 * and hashlib from the definitions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "crypto/tls13.h"
#include "hex.h"

static const char client_hello[] = "010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2e"
				   "f6283024dece70000061301130313"
				   "02010000910000000b0009000006736572766572ff01000100000a001400120"
				   "01d00170018001901000101010201"
				   "03010400230000003300260024001d002099381de560e4bd43d23d8e435a7db"
				   "afeb3c06e51c13cae4d5413691e52"
				   "9aaf2c002b0003020304000d0020001e0403050306030203080408050806040"
				   "10501060102010402050206020202"
				   "002d00020101001c00024001";
static const char server_hello[] =
	"020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e00"
	"33"
	"0024001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304";

static void add(struct tls13_transcript *t, const char *text)
{
	struct span s = hex(text);

	assert_int_equal(tls13_transcript_add(t, s), 0);
	free_hex(s);
}

static void hash_hellos(enum sha_alg alg, uint8_t th[SHA_LEN_MAX])
{
	struct tls13_transcript t;

	assert_int_equal(tls13_transcript_init(&t, alg), 0);
	add(&t, client_hello);
	add(&t, server_hello);
	assert_int_equal(tls13_transcript_hash(&t, th), 0);
	assert_int_equal(tls13_transcript_hash(&t, th), 0); /* asking changes nothing */
	tls13_transcript_fini(&t);
}

static void rfc8448_simple(void **state)
{
	struct tls13_schedule s;
	struct tls_secret client, server;
	uint8_t th[SHA_LEN_MAX], shared[32], out[SHA_LEN_MAX], key[AEAD_KEY_MAX], iv[TLS_IV_LEN];

	(void)state;
	hash_hellos(SHA_ALG_256, th);
	hex_read(shared, 32, "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d");
	assert_int_equal(tls13_schedule_init(&s, SHA_ALG_256), 0);
	assert_hex(s.now.b, "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a");
	assert_int_equal(tls13_schedule_handshake(&s, span_of(shared, 32), th, &client, &server),
			 0);
	assert_int_equal(client.n, 32);
	assert_hex(client.b, "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21");
	assert_hex(server.b, "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38");
	assert_int_equal(tls13_traffic_keys(tls13_suite_find(TLS_AES_128_GCM), &server, key, iv),
			 0);
	assert_hex(key, "3fce516009c21727d0f2e4e86ee403bc");
	assert_hex(iv, "5d313eb2671276ee13000b30");
	hex_read(th, 32, "edb7725fa7a3473b031ec8ef65a2485493900138a2b91291407d7951a06110ed");
	assert_int_equal(tls13_finished(SHA_ALG_256, out, &server, th), 0);
	assert_hex(out, "9b9b141d906337fbd2cbdce71df4deda4ab42c309572cb7fffee5454b78f0718");
	hex_read(th, 32, "9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13");
	assert_int_equal(tls13_finished(SHA_ALG_256, out, &client, th), 0);
	assert_hex(out, "a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61");
	assert_int_equal(tls13_schedule_master(&s, th, &client, &server), 0);
	assert_hex(s.now.b, "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919");
	assert_hex(client.b, "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5");
	assert_hex(server.b, "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643");
	tls13_schedule_fini(&s);
	assert_int_equal(s.now.b[0], 0);
}

static void with_sha384(void **state)
{
	struct tls13_schedule s;
	struct tls_secret client, server;
	uint8_t th[SHA_LEN_MAX], shared[64], out[SHA_LEN_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(shared); i++)
		shared[i] = (uint8_t)i;
	hash_hellos(SHA_ALG_384, th);
	assert_int_equal(tls13_schedule_init(&s, SHA_ALG_384), 0);
	assert_int_equal(tls13_schedule_handshake(&s, span_of(shared, 64), th, &client, &server),
			 0);
	assert_int_equal(client.n, 48);
	assert_hex(client.b, "053f9bb9bc3aa4d6b584f281493d64f663b267fbb45f0c3b230808ea69f11271"
			     "6479ceec8991ca059066bc211daa2ae4");
	assert_hex(server.b, "b68d97a9e2e38a0ea5520b3c6378936140ec1bf092422460b3d0a335d1c6e59f"
			     "4cf0e52bc20106728e4c521c9dd725aa");
	assert_int_equal(tls13_finished(SHA_ALG_384, out, &server, th), 0);
	assert_hex(out, "0b64074ee6e00a265bebfe6d91fcb7716fe498a80c98d3c5f17a73433bb1d08"
			"157646391f1f3685b9d4dc6a2748520f0");
	assert_int_equal(tls13_schedule_master(&s, th, &client, &server), 0);
	assert_hex(client.b, "5974a7e79d11c00b75b6d8c590488fc8e1975ad38c9c9f2fc572596a3335eaf2"
			     "2102a79d0d4ecfaeffb14884e15692a8");
	assert_int_equal(tls13_secret_update(SHA_ALG_384, &server), 0);
	assert_hex(server.b, "7444de7bf835761c2bdc30bccc5b9fc85f09260ad189d2e745cf8c8d9ca168bf"
			     "f1ec5d56d22b89363e675b46edddafbd");
	tls13_schedule_fini(&s);
}

static void restarted(void **state)
{
	struct tls13_transcript t;
	uint8_t th[SHA_LEN_MAX];

	(void)state;
	assert_int_equal(tls13_transcript_init(&t, SHA_ALG_256), 0);
	add(&t, client_hello);
	assert_int_equal(tls13_transcript_restart(&t), 0);
	add(&t, server_hello);
	assert_int_equal(tls13_transcript_hash(&t, th), 0);
	assert_hex(th, "0caf860aaed3150fe14a74611154836a98e5bcb2c5f8015493c650698eaee18a");
	tls13_transcript_fini(&t);
}

static void signed_content(void **state)
{
	uint8_t out[TLS13_SIGNED_MAX], th[48];

	(void)state;
	memset(th, 1, sizeof(th)); /* as the example of RFC 8446 4.4.3 */
	assert_int_equal(tls13_signed_content(out, true, span_of(th, 32)), 130);
	assert_hex(out, "2020202020202020202020202020202020202020202020202020202020202020"
			"2020202020202020202020202020202020202020202020202020202020202020"
			"544c5320312e332c207365727665722043657274696669636174655665726966"
			"7900010101010101010101010101010101010101010101010101010101010101"
			"0101");
	assert_int_equal(tls13_signed_content(out, false, span_of(th, 48)), TLS13_SIGNED_MAX);
	assert_memory_equal(out + 64, "TLS 1.3, client CertificateVerify", 34);
}

static void suites(void **state)
{
	(void)state;
	assert_int_equal(tls13_suite_find(TLS_AES_256_GCM)->hash, SHA_ALG_384);
	assert_int_equal(tls13_suite_find(TLS_CHACHA20)->aead, AEAD_CHACHA20_POLY1305);
	assert_null(tls13_suite_find(0x1304));
	assert_null(tls13_suite_find(0xc02b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc8448_simple), cmocka_unit_test(with_sha384),
		cmocka_unit_test(restarted),	  cmocka_unit_test(signed_content),
		cmocka_unit_test(suites),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
