/*
 * The built-in fingerprints and the hellos made of them. The JA3 and JA4 in the
 * data files were computed by another program from hellos of another library
 * with the same profiles; here they are computed from ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "ja.h"
#include "proto/fingerprint.h"

static const uint8_t random_bytes[32] = {1, 2, 3}, keys[1216] = {7};
static const char both[] = "\2h2\10http/1.1";

static void load(struct fingerprint *fp, const char *name)
{
	struct fingerprint_fault fault;

	assert_int_equal(fingerprint_parse(fp, fingerprint_text(name), &fault), 0);
}

struct made {
	uint8_t b[FINGERPRINT_HELLO_MAX];
	struct fingerprint_share shares[FINGERPRINT_SHARES_MAX];
	struct fingerprint_hello want;
	struct tlshello_client h;
	uint8_t seed[32];
};

static void prepare(struct made *m, const struct fingerprint *fp, uint8_t seed)
{
	uint16_t groups[FINGERPRINT_SHARES_MAX];

	memset(m, 0, sizeof(*m));
	memset(m->seed, seed, sizeof(m->seed));
	m->want.random = random_bytes;
	m->want.seed = m->seed;
	m->want.session_id = span_of(keys, 32);
	m->want.sni = span_str("www.example.com");
	m->want.alpn = span_str(both);
	m->want.n_shares = fingerprint_shares(fp, groups);
	m->want.shares = m->shares;
	for (size_t i = 0; i < m->want.n_shares; i++) {
		size_t n = groups[i] == TLS_GROUP_X25519MLKEM768 ? 1216
			   : groups[i] == TLS_GROUP_P256	 ? 65
								 : 32;

		m->shares[i] = (struct fingerprint_share){groups[i], span_of(keys, n)};
	}
}

static void make(struct made *m, const struct fingerprint *fp)
{
	struct wr w = wr_of(m->b, sizeof(m->b));

	assert_int_equal(fingerprint_encode(&w, fp, &m->want), 0);
	assert_int_equal(tlshello_client_decode(&m->h, span_of(m->b, w.n)), w.n);
}

static void known_hashes(void **state)
{
	static struct made m;
	struct fingerprint fp;
	size_t count = 0;

	(void)state;
	for (; fingerprint_name(count); count++) {
		load(&fp, fingerprint_name(count));
		assert_true(*fp.ja4);
		assert_true(*fp.ja3 || fp.shuffle_to > fp.shuffle_from);
		for (unsigned seed = 0; seed < 50; seed++) {
			char text[64];

			prepare(&m, &fp, (uint8_t)seed);
			make(&m, &fp);
			ja4(text, &m.h);
			assert_string_equal(text, fp.ja4);
			ja3(text, &m.h);
			if (*fp.ja3)
				assert_string_equal(text, fp.ja3);
		}
	}
	assert_true(count >= 4);
	assert_int_equal(fingerprint_text("netscape").n, 0);
}

static uint16_t first_u16(struct span s, size_t at)
{
	assert_true(s.n >= at + 2);
	return (uint16_t)(s.p[at] << 8 | s.p[at + 1]);
}

/* RFC 8701 and what BoringSSL does: equal for group and share, different for the two extensions. */
static void grease(void **state)
{
	static struct made m;
	struct fingerprint fp;
	uint16_t seen = 0;

	(void)state;
	load(&fp, "chrome");
	for (unsigned seed = 0; seed < 200; seed++) {
		struct span groups, shares, versions, body;
		struct rd r;
		uint16_t type, first, last = 0;

		prepare(&m, &fp, (uint8_t)seed);
		make(&m, &fp);
		assert_true(ja_grease(first_u16(m.h.suites, 0)));
		groups = ja_body(&m.h, TLS_EXT_GROUPS, 2);
		shares = ja_body(&m.h, TLS_EXT_KEY_SHARE, 2);
		versions = ja_body(&m.h, TLS_EXT_VERSIONS, 1);
		assert_true(ja_grease(first_u16(groups, 0)));
		assert_int_equal(first_u16(groups, 0), first_u16(shares, 0));
		assert_int_equal(first_u16(shares, 2), 1);
		assert_int_equal(first_u16(shares, 5), TLS_GROUP_X25519MLKEM768);
		assert_true(ja_grease(first_u16(versions, 0)));
		r = rd_of(m.h.extensions);
		assert_true(tlshello_extension_next(&r, &first, &body));
		assert_int_equal(body.n, 0);
		while (tlshello_extension_next(&r, &type, &body))
			last = type;
		assert_true(ja_grease(first) && ja_grease(last));
		assert_int_not_equal(first, last);
		assert_int_equal(m.h.extensions.p[m.h.extensions.n - 1], 0);
		seen |= (uint16_t)(1 << (first >> 12));
	}
	assert_int_equal(seen, 0xffff); /* each of the sixteen values comes up */
}

static void shuffled(void **state)
{
	static struct made a, b;
	struct fingerprint fp;
	unsigned firsts[64] = {0}, kinds = 0;

	(void)state;
	load(&fp, "chrome");
	for (unsigned seed = 0; seed < 200; seed++) {
		uint16_t types[64];

		prepare(&a, &fp, (uint8_t)seed);
		make(&a, &fp);
		assert_int_equal(ja_types(types, 64, a.h.extensions), 16);
		kinds += firsts[types[0] % 64]++ == 0;
	}
	assert_true(kinds > 12); /* nearly each of them comes first at times */
	prepare(&a, &fp, 3);
	prepare(&b, &fp, 3);
	make(&a, &fp);
	make(&b, &fp);
	assert_true(span_eq(a.h.message, b.h.message));
}

static void ech_lengths(void **state)
{
	static struct made m;
	struct fingerprint fp;
	unsigned seen = 0;

	(void)state;
	load(&fp, "chrome");
	for (unsigned seed = 0; seed < 200; seed++) {
		struct span body;
		size_t n;

		prepare(&m, &fp, (uint8_t)seed);
		make(&m, &fp);
		body = ja_body(&m.h, TLS_EXT_ECH, 0);
		assert_memory_equal(body.p, "\0\0\1\0\1", 5);
		assert_int_equal(first_u16(body, 6), 32);
		n = first_u16(body, 40);
		assert_int_equal(body.n, 42 + n);
		assert_true(n == 144 || n == 176 || n == 208 || n == 240);
		seen |= 1u << (n - 144) / 32;
	}
	assert_int_equal(seen, 15);
}

static void nothing_asked(void **state)
{
	static struct made m;
	struct fingerprint fp;
	struct span body;

	(void)state;
	load(&fp, "chrome");
	prepare(&m, &fp, 1);
	m.want.sni = m.want.alpn = span_of(NULL, 0);
	make(&m, &fp);
	assert_false(tlshello_extension(m.h.extensions, TLS_EXT_SERVER_NAME, &body));
	assert_false(tlshello_extension(m.h.extensions, TLS_EXT_ALPN, &body));
	assert_false(tlshello_extension(m.h.extensions, 0x44cd, &body));
	prepare(&m, &fp, 1);
	m.want.alpn = span_str("\10http/1.1");
	make(&m, &fp);
	assert_true(span_eq(tlshello_alpn(&m.h), span_str("\10http/1.1")));
	assert_false(tlshello_extension(m.h.extensions, 0x44cd, &body));
}

/* BoringSSL's rule: 256 to 511 bytes become 512, or a little more where that does not fit. */
static void padded(void **state)
{
	static struct made m;
	struct fingerprint fp;
	char name[256];
	struct span body;

	(void)state;
	load(&fp, "ios");
	memset(name, 'a', sizeof(name));
	for (size_t n = 1; n < 256; n++) {
		bool there;

		prepare(&m, &fp, (uint8_t)n);
		m.want.sni = span_of(name, n);
		make(&m, &fp);
		there = tlshello_extension(m.h.extensions, TLS_EXT_PADDING, &body);
		if (!there)
			assert_true(m.h.message.n > 511);
		else if (body.n > 1)
			assert_int_equal(m.h.message.n, 512);
		else
			assert_in_range(m.h.message.n, 512, 517);
	}
}

static void second_hello(void **state)
{
	static struct made a, b;
	struct fingerprint fp;
	struct fingerprint_share p384 = {TLS_GROUP_P384, span_of(keys, 97)};
	uint16_t before[64], after[64];
	struct span body;
	size_t n;

	(void)state;
	load(&fp, "chrome");
	prepare(&a, &fp, 9);
	make(&a, &fp);
	prepare(&b, &fp, 9);
	b.want.retried = true;
	b.want.shares = &p384;
	b.want.n_shares = 1;
	b.want.cookie = span_str("crumbs");
	make(&b, &fp);
	assert_true(tlshello_share(&b.h, TLS_GROUP_P384, &body));
	assert_int_equal(ja_body(&b.h, TLS_EXT_KEY_SHARE, 2).n, 4 + 97);
	assert_true(span_eq(ja_body(&b.h, TLS_EXT_COOKIE, 2), span_str("crumbs")));
	assert_true(span_eq(a.h.suites, b.h.suites));
	assert_true(span_eq(ja_body(&a.h, TLS_EXT_ECH, 0), ja_body(&b.h, TLS_EXT_ECH, 0)));
	n = ja_types(before, 64, a.h.extensions);
	assert_int_equal(ja_types(after, 64, b.h.extensions), n + 1);
	for (size_t i = 0, k = 0; i < n + 1; i++)
		if (after[i] != TLS_EXT_COOKIE)
			assert_int_equal(after[i], before[k++]);
}

static void too_small(void **state)
{
	static struct made m;
	struct fingerprint fp;
	struct wr w;
	size_t n;

	(void)state;
	load(&fp, "safari");
	prepare(&m, &fp, 1);
	make(&m, &fp);
	n = m.h.message.n;
	for (size_t cap = 0; cap < n; cap++) {
		w = wr_of(m.b, cap);
		assert_int_equal(fingerprint_encode(&w, &fp, &m.want), -ERR_LIMIT);
	}
}

static void faults(void **state)
{
	static const struct {
		const char *text, *what;
		unsigned line;
	} bad[] = {
		{"", "no suites", 1},
		{"# one\n# two", "no suites", 2},
		{"suites 1301\n\nsuits", "unknown word", 3},
		{"suites", "expected numbers", 1},
		{"suites 13011", "expected four hexadecimal digits or grease", 1},
		{"suites 130g", "expected four hexadecimal digits or grease", 1},
		{"# one\nextension", "expected a type: four hexadecimal digits or grease", 2},
		{"extension 0005 0", "expected bytes of two hexadecimal digits", 1},
		{"extension 0000 sni x", "nothing may follow", 1},
		{"extension 000a groups", "expected numbers", 1},
		{"extension 000a groups 001d\nextension 000b groups 001d",
		 "a second extension of this kind", 2},
		{"extension fe0d ech 4 1",
		 "expected one or two AEADs (1 to 3) with a comma between them", 1},
		{"extension fe0d ech 1, 1",
		 "expected one or two AEADs (1 to 3) with a comma between them", 1},
		{"extension fe0d ech 1 513", "expected lengths of 1 to 512", 1},
		{"extension fe0d ech 1", "expected lengths", 1},
		{"end", "end without shuffle", 1},
		{"shuffle\nend\nshuffle", "a second shuffle", 3},
		{"suites 1301\nshuffle\n", "shuffle without end", 3},
		{"ja3 12", "expected a fingerprint of the right length", 1},
		{"suites 1301\n", "groups, shares or versions are missing", 2},
	};
	struct fingerprint_fault fault;
	struct fingerprint fp;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(fingerprint_parse(&fp, span_str(bad[i].text), &fault),
				 -ERR_MALFORMED);
		assert_string_equal(fault.what, bad[i].what);
		assert_int_equal(fault.line, bad[i].line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_hashes),	 cmocka_unit_test(grease),
		cmocka_unit_test(shuffled),	 cmocka_unit_test(ech_lengths),
		cmocka_unit_test(nothing_asked), cmocka_unit_test(padded),
		cmocka_unit_test(second_hello),	 cmocka_unit_test(too_small),
		cmocka_unit_test(faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
