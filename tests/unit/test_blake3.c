/* BLAKE3 against the vectors of its authors, in one call and in pieces of all sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/blake3.h"
#include "hex.h"

#define KEY "whats the Elvish word for friend"
#define CONTEXT "BLAKE3 2019-12-27 16:29:52 test vectors context"

/* The first 32 bytes of each output; input byte i is i mod 251. */
static const struct {
	size_t len;
	const char *hash, *keyed, *derived;
} vectors[] = {
	{0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
	 "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26",
	 "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"},
	{1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
	 "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b",
	 "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"},
	{1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
	 "c951ecdf03288d0fcc96ee3413563d8a6d3589547f2c2fb36d9786470f1b9d6e",
	 "74a16c1c3d44368a86e1ca6df64be6a2f64cce8f09220787450722d85725dea5"},
	{1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
	 "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4",
	 "7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a689684302706"},
	{1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
	 "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69",
	 "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb"},
	{2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
	 "9f29700902f7c86e514ddc4df1e3049f258b2472b6dd5267f61bf13983b78dd5",
	 "2ea477c5515cc3dd606512ee72bb3e0e758cfae7232826f35fb98ca1bcbdf273"},
	{5121, "628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff",
	 "6ccf1c34753e7a044db80798ecd0782a8f76f33563accaddbfbb2e0ea4b2d024",
	 "b07f01e518e702f7ccb44a267e9e112d403a7b3f4883a47ffbed4b48339b3c34"},
	{31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
	 "efa53b389ab67c593dba624d898d0f7353ab99e4ac9d42302ee64cbf9939a419",
	 "39772aef80e0ebe60596361e45b061e8f417429d529171b6764468c22928e28e"},
	{102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
	 "1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7",
	 "4652cff7a3f385a6103b5c260fc1593e13c778dbe608efb092fe7ee69df6e9c6"},
};

enum { COUNT = sizeof(vectors) / sizeof(vectors[0]), LONGEST = 102400 };

static uint8_t input[LONGEST];

static int fill_input(void **state)
{
	(void)state;
	for (size_t i = 0; i < LONGEST; i++)
		input[i] = (uint8_t)(i % 251);
	return 0;
}

static void three_modes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		struct span in = span_of(input, vectors[i].len);
		struct blake3 h;
		uint8_t out[32];

		blake3_hash(out, 32, in);
		assert_hex(out, vectors[i].hash);
		blake3_init_keyed(&h, (const uint8_t *)KEY);
		blake3_update(&h, in);
		blake3_final(&h, out, 32);
		assert_hex(out, vectors[i].keyed);
		blake3_derive_key(out, 32, CONTEXT, &in, 1);
		assert_hex(out, vectors[i].derived);
	}
}

static void long_output(void **state)
{
	static const char want[] =
		"d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444f4c4a22b4b399155"
		"358a994e52bf255de60035742ec71bd08ac275a1b51cc6bfe332b0ef84b409108cda080e6269ed4b"
		"3e2c3f7d722aa4cdc98d16deb554e5627be8f955c98e1d5f9565a9194cad0c4285f93700062d9595"
		"adb992ae68ff12800ab67a";
	uint8_t out[131];

	(void)state;
	blake3_hash(out, sizeof(out), span_of(input, 1025));
	assert_hex(out, want);
	for (size_t n = 0; n < sizeof(out); n++) { /* a shorter output is a prefix */
		uint8_t part[132];

		memset(part, 0xee, sizeof(part));
		blake3_hash(part, n, span_of(input, 1025));
		assert_memory_equal(part, out, n);
		assert_int_equal(part[n], 0xee);
	}
}

static void pieces_of_all_sizes(void **state)
{
	static const size_t steps[] = {1, 3, 63, 64, 65, 127, 1000, 1023, 1024, 1025, 2048, 5000};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct blake3 h;
		uint8_t out[32];

		blake3_init(&h);
		for (size_t at = 0; at < 31744; at += steps[i]) {
			size_t n = 31744 - at < steps[i] ? 31744 - at : steps[i];

			blake3_update(&h, span_of(input + at, n));
		}
		blake3_final(&h, out, 32);
		assert_hex(out, vectors[7].hash);
	}
}

static void final_wipes(void **state)
{
	struct blake3 h;
	uint8_t out[32], zero[sizeof(h)] = {0};

	(void)state;
	blake3_init_keyed(&h, (const uint8_t *)KEY);
	blake3_update(&h, span_of(input, 5000));
	blake3_final(&h, out, 32);
	assert_memory_equal(&h, zero, sizeof(h));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_modes),
		cmocka_unit_test(long_output),
		cmocka_unit_test(pieces_of_all_sizes),
		cmocka_unit_test(final_wipes),
	};

	return cmocka_run_group_tests(tests, fill_input, NULL);
}
