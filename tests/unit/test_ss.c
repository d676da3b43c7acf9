/* Shadowsocks: methods by name, keys from passwords and what is said about bad ones, subkeys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "proto/ss.h"
#include "hex.h"

#define PSK16 "AAECAwQFBgcICQoLDA0ODw=="
#define PSK32 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define USER16 "QEFCQ0RFRkdISUpLTE1OTw=="

static const struct ss_method *method(const char *name)
{
	const struct ss_method *m = ss_method_find(span_str(name));

	assert_non_null(m);
	return m;
}

static void names(void **state)
{
	static const struct {
		const char *given, *name;
	} v[] = {
		{"aes-128-gcm", "aes-128-gcm"},
		{"AES-256-GCM", "aes-256-gcm"},
		{"aead_aes_128_gcm", "aes-128-gcm"},
		{"AEAD_AES_256_GCM", "aes-256-gcm"},
		{"chacha20-poly1305", "chacha20-ietf-poly1305"},
		{"chacha20-ietf-poly1305", "chacha20-ietf-poly1305"},
		{"aead_chacha20_poly1305", "chacha20-ietf-poly1305"},
		{"xchacha20-poly1305", "xchacha20-ietf-poly1305"},
		{"aead_xchacha20_poly1305", "xchacha20-ietf-poly1305"},
		{"2022-blake3-aes-128-gcm", "2022-blake3-aes-128-gcm"},
		{"2022-blake3-chacha20-poly1305", "2022-blake3-chacha20-poly1305"},
	};
	static const char *const unknown[] = {
		"", "none", "rc4-md5", "2022-BLAKE3-aes-128-gcm", "aes-128-gcm ", "aes-192-gcm"};
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		assert_string_equal(method(v[i].given)->name, v[i].name);
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_null(ss_method_find(span_str(unknown[i])));
	while (ss_method_at(n)) {
		const struct ss_method *m = ss_method_at(n++);

		assert_ptr_equal(ss_method_find(span_str(m->name)), m);
		assert_int_equal(aead_key_len(m->aead), m->key_len);
	}
	assert_int_equal(n, 7);
}

static void classic_passwords(void **state)
{
	struct ss_key k;
	struct ss_chain c;
	struct ss_note note;

	(void)state;
	assert_int_equal(
		ss_key_from_password(&k, method("aes-256-gcm"), span_str("barfoo!"), &note), 0);
	assert_hex(k.b, "b3adc47839e047eb228870526dc8fc30b347287ffca3045dcea06b3fdf090acb");
	assert_int_equal(note.kind, SS_NOTE_NONE);
	/* a colon is nothing special here */
	assert_int_equal(ss_chain_from_password(&c, method("aes-128-gcm"), span_str("a:b"), NULL),
			 0);
	assert_int_equal(c.n, 1);
	assert_int_equal(ss_key_from_password(&k, method("aes-128-gcm"), span_str(""), &note),
			 -ERR_MALFORMED);
	assert_int_equal(note.kind, SS_NOTE_EMPTY);
}

static void base64_passwords(void **state)
{
	const struct ss_method *m16 = method("2022-blake3-aes-128-gcm");
	const struct ss_method *m32 = method("2022-blake3-aes-256-gcm");
	struct ss_key k;
	struct ss_note note;
	char text[128];

	(void)state;
	assert_int_equal(ss_key_from_password(&k, m16, span_str(PSK16), &note), 0);
	assert_hex(k.b, "000102030405060708090a0b0c0d0e0f");
	assert_int_equal(note.kind, SS_NOTE_NONE);
	assert_int_equal(ss_key_from_password(&k, m16, span_str("AAECAwQFBgcICQoLDA0ODw"), NULL),
			 0);
	assert_int_equal(
		ss_key_from_password(&k, m16, span_str("AAECAwQF\r\nBgcICQoLDA0ODw==\n"), NULL), 0);
	assert_int_equal(ss_key_from_password(&k, m32, span_str(PSK32), NULL), 0);

	assert_int_equal(ss_key_from_password(&k, m16, span_str(PSK32), &note), 0);
	assert_hex(k.b, "630dcd2966c4336691125448bbb25b4f");
	assert_int_equal(note.kind, SS_NOTE_HASHED);
	assert_int_equal(note.found, 32);
	assert_int_equal(note.expected, 16);
	assert_string_equal(ss_note_text(&note, text, sizeof(text)),
			    "key at byte 0: 32 bytes hashed to 16; only Xray does the same");

	memset(&k, 0xee, sizeof(k));
	assert_int_equal(ss_key_from_password(&k, m32, span_str(PSK16), &note), -ERR_MALFORMED);
	assert_int_equal(k.b[0], 0xee);
	assert_string_equal(ss_note_text(&note, text, sizeof(text)),
			    "key at byte 0: found 16 bytes, expected 32");
	assert_int_equal(ss_key_from_password(&k, m16, span_str("AAEC*wQFBgcICQoLDA0ODw=="), &note),
			 -ERR_MALFORMED);
	assert_string_equal(ss_note_text(&note, text, sizeof(text)), "bad base64 at byte 4");
	assert_int_equal(ss_key_from_password(&k, m16, span_str("\n"), &note), -ERR_MALFORMED);
	assert_int_equal(note.kind, SS_NOTE_EMPTY);
}

static void endless_password(void **state)
{
	struct ss_key k;
	struct ss_note note;
	char text[5000];

	(void)state;
	memset(text, 'A', sizeof(text));
	assert_int_equal(ss_key_from_password(&k, method("2022-blake3-aes-128-gcm"),
					      span_of(text, sizeof(text)), &note),
			 -ERR_MALFORMED);
	assert_int_equal(ss_key_from_password(&k, method("2022-blake3-aes-128-gcm"),
					      span_of(text, 512), &note),
			 0);
}

static void chains(void **state)
{
	const struct ss_method *m = method("2022-blake3-aes-128-gcm");
	struct ss_chain c = {0};
	struct ss_note note;
	char text[128];

	(void)state;
	assert_int_equal(ss_chain_from_password(&c, m, span_str(PSK16 ":" USER16), &note), 0);
	assert_int_equal(c.n, 2);
	assert_hex(c.key[0].b, "000102030405060708090a0b0c0d0e0f");
	assert_hex(ss_chain_user(&c)->b, "404142434445464748494a4b4c4d4e4f");
	assert_int_equal(ss_chain_from_password(&c, m, span_str(PSK16 ":" USER16 ":" PSK16), NULL),
			 0);
	assert_int_equal(c.n, 3);
	assert_int_equal(ss_chain_from_password(&c, m, span_str(PSK16 ":"), &note), -ERR_MALFORMED);
	assert_int_equal(note.kind, SS_NOTE_EMPTY);
	assert_int_equal(note.at, 25);
	assert_int_equal(ss_chain_from_password(&c, m, span_str(":" PSK16), &note), -ERR_MALFORMED);
	assert_int_equal(note.at, 0);
	assert_int_equal(ss_chain_from_password(&c, m, span_str(PSK16 ":QEF!"), &note),
			 -ERR_MALFORMED);
	assert_int_equal(note.kind, SS_NOTE_BASE64);
	assert_int_equal(note.at, 28);
	assert_int_equal(ss_chain_from_password(&c, m, span_str("a:a:a:a:a:a:a:a:a"), &note),
			 -ERR_MALFORMED);
	assert_string_equal(ss_note_text(&note, text, sizeof(text)),
			    "found 9 keys, the method takes 8 at most");
	assert_int_equal(ss_chain_from_password(&c, method("2022-blake3-chacha20-poly1305"),
						span_str(PSK32 ":" PSK32), &note),
			 -ERR_MALFORMED);
	assert_int_equal(note.kind, SS_NOTE_CHAIN);
	assert_int_equal(note.expected, 1);
}

static void subkeys(void **state)
{
	const struct ss_method *m16 = method("2022-blake3-aes-128-gcm");
	const struct ss_method *m32 = method("2022-blake3-aes-256-gcm");
	struct ss_key k;
	uint8_t salt[32], out[32];

	(void)state;
	hex_read(k.b, 32, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
	hex_read(salt, 32, "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf");
	assert_int_equal(ss_subkey(out, m16, &k, span_of(salt, 16)), 0);
	assert_hex(out, "4d0d7016c8028969edf2d6ca7fc30b93");
	assert_int_equal(ss_subkey(out, m32, &k, span_of(salt, 32)), 0);
	assert_hex(out, "8a54bdc58e8c56998e5570a1903596333229fcba141429f380cceda6a647b700");
	ss_identity_subkey(out, m16, &k, salt);
	assert_hex(out, "f8d2fa2437bce45dd951e5b0cd667866");
	ss_identity_subkey(out, m32, &k, salt);
	assert_hex(out, "123305817ca120cb42a0b83f8705cf715126d77d5006a02260d6c1c68dbb7c32");
	hex_read(k.b, 32, "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f");
	ss_identity_hash(out, m16, &k);
	assert_hex(out, "bc284c0c970c53f53bc5e4e671a0386b");
	ss_identity_hash(out, m32, &k);
	assert_hex(out, "ffd0caca455d9a030add473e8148e3c3");
	assert_int_equal(ss_key_from_password(&k, method("aes-128-gcm"), span_str("barfoo!"), NULL),
			 0);
	assert_int_equal(ss_subkey(out, method("aes-128-gcm"), &k, span_of(salt, 16)), 0);
	assert_hex(out, "f2a802da8b4d3bb21506c2757570b8af");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(classic_passwords),
		cmocka_unit_test(base64_passwords),
		cmocka_unit_test(endless_password),
		cmocka_unit_test(chains),
		cmocka_unit_test(subkeys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
