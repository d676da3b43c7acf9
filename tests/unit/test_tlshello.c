/* The hellos of RFC 8448 section 3, cut and bent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "hello.h"
#include "proto/tlshello.h"

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
static const char retry[] = "0200003a0303cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8"
			    "a8339c00130100001200330002"
			    "0017002b00020304002c0002abcd";

static void client_fields(void **state)
{
	struct span s = hex(client_hello), got;
	struct tlshello_client h;

	(void)state;
	assert_int_equal(tlshello_client_decode(&h, s), s.n);
	assert_int_equal(h.version, 0x0303);
	assert_int_equal(h.random.n, 32);
	assert_int_equal(h.random.p[0], 0xcb);
	assert_int_equal(h.session_id.n, 0);
	assert_int_equal(h.suites.n, 6);
	assert_int_equal(tlshello_sni(&h, &got), 0);
	assert_true(span_eq(got, span_str("server")));
	assert_true(tlshello_offers_13(&h));
	assert_true(tlshello_share(&h, TLS_GROUP_X25519, &got));
	assert_int_equal(got.n, 32);
	assert_int_equal(got.p[0], 0x99);
	assert_false(tlshello_share(&h, TLS_GROUP_X25519MLKEM768, &got));
	assert_int_equal(tlshello_alpn(&h).n, 0);
	assert_true(tlshello_extension(h.extensions, TLS_EXT_SIGNATURES, &got));
	assert_int_equal(got.n, 32);
	assert_false(tlshello_extension(h.extensions, TLS_EXT_COOKIE, &got));
	free_hex(s);
}

static void server_fields(void **state)
{
	struct span s = hex(server_hello);
	struct tlshello_server h;

	(void)state;
	assert_int_equal(tlshello_server_decode(&h, s), s.n);
	assert_int_equal(h.legacy_version, 0x0303);
	assert_int_equal(h.version, TLS_VERSION_1_3);
	assert_false(h.retry);
	assert_int_equal(h.suite, 0x1301);
	assert_int_equal(h.group, TLS_GROUP_X25519);
	assert_int_equal(h.share.n, 32);
	assert_int_equal(h.share.p[0], 0xc9);
	free_hex(s);
	s = hex(retry);
	assert_int_equal(tlshello_server_decode(&h, s), s.n);
	assert_true(h.retry);
	assert_int_equal(h.group, TLS_GROUP_P256);
	assert_int_equal(h.share.n, 0);
	free_hex(s);
}

/* Each beginning of a message needs more, and a message whose lengths do not fit is no message. */
static void truncated(void **state)
{
	struct span c = hex(client_hello), s = hex(server_hello);
	struct tlshello_client ch;
	struct tlshello_server sh;

	(void)state;
	for (size_t n = 0; n < c.n; n++) {
		struct span part = exact(c, n);

		assert_int_equal(tlshello_client_decode(&ch, part), 0);
		free_hex(part);
		part = exact(c, n < 4 ? 4 : n); /* the header says this is all */
		uint8_t *p = (uint8_t *)(uintptr_t)part.p;
		p[1] = 0;
		p[2] = (uint8_t)((part.n - 4) >> 8);
		p[3] = (uint8_t)(part.n - 4);
		ssize_t got = tlshello_client_decode(&ch, part);
		/* no extensions at all is the one shorter hello that stands */
		assert_int_equal(got, n == 4 + 2 + 32 + 1 + 8 + 2 ? (ssize_t)n : -ERR_MALFORMED);
		free_hex(part);
	}
	for (size_t n = 0; n < s.n; n++) {
		struct span part = exact(s, n);

		assert_int_equal(tlshello_server_decode(&sh, part), 0);
		free_hex(part);
	}
	assert_int_equal(tlshello_client_decode(&ch, s), -ERR_MALFORMED);
	assert_int_equal(tlshello_server_decode(&sh, c), -ERR_MALFORMED);
	free_hex(c);
	free_hex(s);
}

static void no_extension_twice(void **state)
{
	struct span s = hex("0100003303030000000000000000000000000000000000000000000000000000"
			    "0000000000000000021301010000080015000000150000");
	struct tlshello_client h;

	(void)state;
	assert_int_equal(tlshello_client_decode(&h, s), -ERR_MALFORMED);
	((uint8_t *)(uintptr_t)s.p)[s.n - 3] = 0x16;
	assert_int_equal(tlshello_client_decode(&h, s), s.n);
	free_hex(s);
}

static void joined(void **state)
{
	struct span s = hex(client_hello);
	uint8_t records[1600], message[256];
	size_t behind;

	(void)state;
	for (size_t each = 1; each < 220; each += each < 8 ? 1 : 50) {
		struct wr w = wr_of(records, sizeof(records)), out;

		hello_records(&w, s, each);
		for (size_t n = 0; n < w.n; n++) {
			struct span part = exact(span_of(records, w.n), n);

			out = wr_of(message, sizeof(message));
			assert_int_equal(tlshello_join(&out, part, &behind), 0);
			assert_true(out.n < s.n);
			free_hex(part);
		}
		wr_bytes(&w, "next", 4);
		out = wr_of(message, sizeof(message));
		assert_int_equal(tlshello_join(&out, span_of(records, w.n), &behind), w.n - 4);
		assert_int_equal(behind, 0);
		assert_true(span_eq(span_of(message, out.n), s));
		out = wr_of(message, s.n - 1);
		assert_int_equal(tlshello_join(&out, span_of(records, w.n), NULL), -ERR_LIMIT);
	}
	free_hex(s);
}

static void join_refuses(void **state)
{
	static const char *const bad[] = {"17", "1602", "1603010000", "160301ffff", "474554"};
	uint8_t message[64];
	size_t behind;
	struct span s;
	struct wr out;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		s = hex(bad[i]);
		out = wr_of(message, sizeof(message));
		assert_int_equal(tlshello_join(&out, s, NULL), -ERR_MALFORMED);
		free_hex(s);
	}
	s = hex("160301000a 01000002aabb 0e00"); /* the record has four bytes more, two are here */
	out = wr_of(message, sizeof(message));
	assert_int_equal(tlshello_join(&out, s, &behind), 11);
	assert_int_equal(out.n, 6);
	assert_int_equal(behind, 4);
	free_hex(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_fields), cmocka_unit_test(server_fields),
		cmocka_unit_test(truncated),	 cmocka_unit_test(no_extension_twice),
		cmocka_unit_test(joined),	 cmocka_unit_test(join_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
