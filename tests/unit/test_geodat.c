/* Files of named lists: the published example, lists found among many, odd entries, writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "proto/geodat.h"
#include "hex.h"

#define TINY "0a10 0a0454455354 1208 0a040a000000 1008"

static struct prefix prefix(const char *text)
{
	struct prefix p;

	assert_int_equal(prefix_parse(&p, span_str(text)), 0);
	return p;
}

static bool same_prefix(const struct prefix *a, const struct prefix *b)
{
	return a->len == b->len && ip_eq(&a->ip, &b->ip);
}

static void published_example(void **state)
{
	struct span file = hex(TINY);
	struct prefix p, want = prefix("10.0.0.0/8");
	struct geodat_list l;
	uint8_t out[64];
	struct wr w = wr_of(out, sizeof(out));

	(void)state;
	assert_int_equal(geodat_find(&l, file, span_str("TEST")), 1);
	assert_int_equal(geodat_find(&l, file, span_str("test")), 1);
	assert_true(span_eq(l.code, span_str("TEST")));
	assert_int_equal(geodat_next_prefix(&l, &p), 1);
	assert_true(same_prefix(&p, &want));
	assert_int_equal(geodat_next_prefix(&l, &p), 0);
	assert_int_equal(geodat_find(&l, file, span_str("TES")), 0);
	assert_int_equal(geodat_find(&l, span_of(NULL, 0), span_str("TEST")), 0);
	assert_int_equal(geodat_write_prefixes(&w, span_str("TEST"), &want, 1), 0);
	assert_true(span_eq(span_of(out, w.n), file));
	free_hex(file);
}

static void truncation(void **state)
{
	struct span file = hex(TINY);

	(void)state;
	for (size_t n = 1; n < file.n; n++) {
		struct span cut = exact(file, n);
		struct geodat_list l;

		assert_int_equal(geodat_find(&l, cut, span_str("TEST")), -ERR_MALFORMED);
		free_hex(cut);
	}
	free_hex(file);
}

static void prefixes_in_and_out(void **state)
{
	static const char *const text[] = {"0.0.0.0/0",	   "255.255.255.255/32",
					   "10.128.0.0/9", "2001:db8::/33",
					   "::/0",	   "fe80::1/128"};
	struct prefix list[6], p;
	struct geodat_list l;
	uint8_t out[512];
	struct wr w = wr_of(out, sizeof(out));

	(void)state;
	for (size_t i = 0; i < 6; i++)
		list[i] = prefix(text[i]);
	assert_int_equal(geodat_write_prefixes(&w, span_str("EMPTY"), NULL, 0), 0);
	assert_int_equal(geodat_write_prefixes(&w, span_str("SIX"), list, 6), 0);
	assert_int_equal(geodat_write_prefixes(&w, span_str("SIX"), list, 1), 0);
	assert_int_equal(geodat_find(&l, span_of(out, w.n), span_str("six")), 1);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(geodat_next_prefix(&l, &p), 1);
		assert_true(same_prefix(&p, &list[i]));
	}
	assert_int_equal(geodat_next_prefix(&l, &p), 0); /* the first list of a name counts */
	assert_int_equal(geodat_find(&l, span_of(out, w.n), span_str("empty")), 1);
	assert_int_equal(geodat_next_prefix(&l, &p), 0);
	for (size_t cap = 0; cap < w.n; cap++) {
		uint8_t room[512];
		struct wr little = wr_of(room, cap);
		int err = geodat_write_prefixes(&little, span_str("SIX"), list, 6);

		assert_int_equal(err, little.bad ? -ERR_LIMIT : 0);
	}
}

/* Host bits, IPv4 as IPv6, and what means nothing; none of it stops the reading. */
static void odd_prefixes(void **state)
{
	static const struct {
		const char *member, *prefix;
	} v[] = {
		{"0a 04 0affffff 10 08", "10.0.0.0/8"},
		{"0a 04 0affffff", "0.0.0.0/0"},
		{"0a 10 00000000000000000000ffff0a000000 10 68", "10.0.0.0/8"},
		{"0a 10 00000000000000000000ffff0a000000 10 5f", NULL},
		{"0a 04 0a000000 10 21", NULL},
		{"0a 05 0a00000000 10 08", NULL},
		{"10 08", NULL},
		{"0a 10 20010db8000000000000000000000000 10 8101", NULL},
		{"0a 04 0a000000 10 ffffffffffffffffff01", NULL},
		{"1a 01 61 0a 04 c0000201 20 07 10 20", "192.0.2.1/32"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct span member = hex(v[i].member);
		uint8_t file[64];
		struct wr w = wr_of(file, sizeof(file));
		struct geodat_list l;
		struct prefix p, want;

		wr_u16(&w, 0x0a00 | (unsigned)(member.n + 5));
		wr_bytes(&w, "\x0a\x01X\x12", 4);
		wr_u8(&w, (unsigned)member.n);
		wr_bytes(&w, member.p, member.n);
		assert_int_equal(geodat_find(&l, span_of(file, w.n), span_str("x")), 1);
		assert_int_equal(geodat_next_prefix(&l, &p), 1);
		if (v[i].prefix) {
			want = prefix(v[i].prefix);
			assert_true(same_prefix(&p, &want));
		} else {
			assert_int_equal(p.ip.family, 0);
		}
		free_hex(member);
	}
}

static void domains_in_and_out(void **state)
{
	static const struct geodat_rule rules[] = {
		{GEODAT_SUBSTRING, "needle", NULL},
		{GEODAT_REGEXP, "^a\\.b$", "ads"},
		{GEODAT_DOMAIN, "example.org", "cn  ads "},
		{GEODAT_FULL, "www.example.org", ""},
	};
	struct geodat_domain d;
	struct geodat_list l;
	uint8_t out[512];
	struct wr w = wr_of(out, sizeof(out));

	(void)state;
	assert_int_equal(geodat_write_domains(&w, span_str("LIST"), rules, 4), 0);
	assert_int_equal(geodat_find(&l, span_of(out, w.n), span_str("list")), 1);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(geodat_next_domain(&l, &d), 1);
		assert_int_equal(d.type, rules[i].type);
		assert_true(span_eq(d.value, span_str(rules[i].value)));
		assert_int_equal(geodat_has_attribute(&d, span_str("ADS")), i == 1 || i == 2);
		assert_int_equal(geodat_has_attribute(&d, span_str("cn")), i == 2);
		assert_false(geodat_has_attribute(&d, span_str("")));
	}
	assert_int_equal(geodat_next_domain(&l, &d), 0);
	for (size_t cap = 0; cap < w.n; cap++) {
		uint8_t room[512];
		struct wr little = wr_of(room, cap);

		assert_int_equal(geodat_write_domains(&little, span_str("LIST"), rules, 4),
				 -ERR_LIMIT);
	}
}

static void values_too_long(void **state)
{
	static char value[1100], attribute[1100];
	static uint8_t out[5000];
	struct geodat_rule r = {GEODAT_FULL, value, NULL};
	struct wr w = wr_of(out, sizeof(out));

	(void)state;
	memset(value, 'a', GEODAT_VALUE_MAX);
	assert_int_equal(geodat_write_domains(&w, span_str("X"), &r, 1), 0);
	value[GEODAT_VALUE_MAX] = 'a';
	assert_int_equal(geodat_write_domains(&w, span_str("X"), &r, 1), -ERR_LIMIT);
	value[3] = 0;
	memset(attribute, 'b', sizeof(attribute) - 1);
	r.attributes = attribute;
	assert_int_equal(geodat_write_domains(&w, span_str("X"), &r, 1), -ERR_LIMIT);
}

/* One list of many is found without looking into the others. */
static void a_large_file(void **state)
{
	enum { LISTS = 300, EACH = 300, ROOM = LISTS * (EACH * 11 + 20) };
	uint8_t *file = malloc(ROOM);
	struct wr w = wr_of(file, ROOM);
	static struct prefix list[EACH];
	struct geodat_list l;
	struct prefix p;
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < EACH; i++) {
		uint8_t b[4] = {10, (uint8_t)(i >> 8), (uint8_t)i, 0};
		struct ip ip = ip_v4(b);

		assert_int_equal(prefix_set(&list[i], &ip, 24), 0);
	}
	for (unsigned i = 0; i < LISTS; i++) {
		char code[8] = {'L', (char)('A' + i / 26 % 26), (char)('A' + i % 26),
				(char)('A' + i / 676)};

		assert_int_equal(geodat_write_prefixes(&w, span_of(code, 4), list, EACH), 0);
	}
	assert_int_equal(geodat_find(&l, span_of(file, w.n), span_str("LLNA")), 1);
	while (geodat_next_prefix(&l, &p) == 1)
		assert_true(same_prefix(&p, &list[n++]));
	assert_int_equal(n, EACH);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_example),   cmocka_unit_test(truncation),
		cmocka_unit_test(prefixes_in_and_out), cmocka_unit_test(odd_prefixes),
		cmocka_unit_test(domains_in_and_out),  cmocka_unit_test(values_too_long),
		cmocka_unit_test(a_large_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
