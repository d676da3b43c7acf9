/* Shadowsocks: the filter of salts, the window of packet ids, the table of users; SipHash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "crypto/siphash.h"
#include "proto/ssreplay.h"
#include "proto/ssusers.h"
#include "proto/sswindow.h"
#include "hex.h"

static const uint8_t seed[SS_REPLAY_SEED] = {1, 2, 3};

static int add(struct ss_replay *r, uint32_t n, uint64_t now)
{
	uint8_t salt[32] = {0};

	memcpy(salt + 5, &n, sizeof(n));
	return ss_replay_add(r, span_of(salt, n % 2 ? 16 : 32), now);
}

static void known_salts_are_refused(void **state)
{
	struct ss_replay *r = ss_replay_new(100000, SS_REPLAY_LIFETIME_MS, seed);

	(void)state;
	for (uint32_t i = 0; i < 50000; i++) /* grows many times on its way */
		assert_int_equal(add(r, i, i / 10), 0);
	for (uint32_t i = 0; i < 50000; i++)
		assert_int_equal(add(r, i, 5000), -ERR_REPLAY);
	assert_int_equal(ss_replay_count(r), 50000);
	ss_replay_free(r);
	ss_replay_free(NULL);
}

static void salts_expire_in_their_order(void **state)
{
	struct ss_replay *r = ss_replay_new(1000, SS_REPLAY_LIFETIME_MS, seed);

	(void)state;
	assert_int_equal(add(r, 1, 1000), 0);
	assert_int_equal(add(r, 2, 2000), 0);
	assert_int_equal(add(r, 1, 61999), -ERR_REPLAY);
	assert_int_equal(add(r, 1, 62000), 0);
	assert_int_equal(add(r, 2, 62999), -ERR_REPLAY);
	assert_int_equal(add(r, 3, 500000), 0);
	assert_int_equal(ss_replay_count(r), 1);
	/* the ring wraps round many times */
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(add(r, 100 + i, 600000 + 1000 * (uint64_t)i), 0);
	assert_int_equal(ss_replay_count(r), 61);
	ss_replay_free(r);
}

static void a_full_filter_refuses(void **state)
{
	struct ss_replay *r = ss_replay_new(100, SS_REPLAY_LIFETIME_MS, seed);

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(add(r, i, 10), 0);
	assert_int_equal(add(r, 100, 20), -ERR_LIMIT);
	assert_int_equal(add(r, 5, 20), -ERR_REPLAY);
	assert_int_equal(add(r, 100, 10 + SS_REPLAY_LIFETIME_MS), 0);
	ss_replay_free(r);
}

static void without_lifetime_the_oldest_goes(void **state)
{
	struct ss_replay *r = ss_replay_new(100, 0, seed);

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(add(r, i, (uint64_t)i << 32), 0);
	assert_int_equal(ss_replay_count(r), 100);
	for (uint32_t i = 900; i < 1000; i++) /* the next to go included */
		assert_int_equal(add(r, i, UINT64_MAX), -ERR_REPLAY);
	assert_int_equal(add(r, 899, UINT64_MAX), 0);
	assert_int_equal(add(r, 900, UINT64_MAX), 0);
	ss_replay_free(r);
}

static void odd_salts(void **state)
{
	struct ss_replay *r = ss_replay_new(0, 0, seed);
	uint8_t salt[33] = {0};

	(void)state;
	assert_int_equal(ss_replay_add(r, span_of(salt, 0), 0), -ERR_LIMIT);
	assert_int_equal(ss_replay_add(r, span_of(salt, 33), 0), -ERR_LIMIT);
	assert_int_equal(ss_replay_add(r, span_of(salt, 16), 0), 0);
	assert_int_equal(ss_replay_add(r, span_of(salt, 16), 0), -ERR_REPLAY);
	assert_int_equal(ss_replay_add(r, span_of(salt, 32), 0), 0); /* longer is another */
	ss_replay_free(r);
}

static bool take(struct ss_window *w, uint64_t id)
{
	bool fresh = ss_window_fresh(w, id);

	if (fresh)
		ss_window_mark(w, id);
	return fresh;
}

static void window_order(void **state)
{
	static const struct {
		uint64_t id;
		bool fresh;
	} v[] = {{0, true},    {8200, true},  {1, false},   {9000, true},
		 {73, false},  {8200, false}, {873, true},  {872, true},
		 {871, false}, {872, false},  {8999, true}, {8999, false}};
	struct ss_window w = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		assert_int_equal(take(&w, v[i].id), v[i].fresh);
	memset(&w, 0, sizeof(w));
	assert_true(take(&w, 5));
	assert_true(take(&w, 0)); /* zero is an id as any other, also when late */
	assert_false(take(&w, 0));
	assert_true(take(&w, UINT64_MAX));
	assert_false(take(&w, UINT64_MAX));
	assert_false(take(&w, 6));
	assert_true(take(&w, UINT64_MAX - SS_WINDOW));
	assert_false(take(&w, UINT64_MAX - SS_WINDOW - 1));
}

/* Against a model that remembers everything. */
static void window_model(void **state)
{
	enum { IDS = 60000 };
	static bool seen[IDS];
	struct ss_window w = {0};
	uint64_t top = 0, x = 88172645463325252u;

	(void)state;
	for (int i = 0; i < 400000; i++) {
		uint64_t id;
		bool want;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		id = x % 64 == 0  ? top + x / 64 % 9000
		     : top > 9000 ? top - x / 64 % 9000
				  : x / 64 % 9000;
		if (x % 1024 > 1000)
			id = top + x / 1024 % 3;
		if (id >= IDS)
			break;
		want = id > top || (top - id <= SS_WINDOW && !seen[id]);
		assert_int_equal(take(&w, id), want);
		seen[id] = true;
		if (id > top)
			top = id;
	}
	assert_true(top > 20000);
}

static void users_by_hash(void **state)
{
	const struct ss_method *m = ss_method_find(span_str("2022-blake3-aes-128-gcm"));
	struct ss_key keys[500] = {0};
	struct ss_users *u = NULL;
	uint8_t hash[SS_IDENTITY];
	size_t dup = 0;

	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		keys[i].b[0] = (uint8_t)i;
		keys[i].b[1] = (uint8_t)(i >> 8);
	}
	assert_int_equal(ss_users_new(&u, m, keys, 500, NULL), 0);
	for (int i = 0; i < 500; i++) {
		ss_identity_hash(hash, m, &keys[i]);
		assert_int_equal(ss_users_find(u, hash), i);
		assert_memory_equal(ss_users_key(u, i)->b, keys[i].b, 16);
		hash[15] ^= 1;
		assert_int_equal(ss_users_find(u, hash), -1);
	}
	ss_users_free(u);
	keys[321] = keys[123];
	u = NULL;
	assert_int_equal(ss_users_new(&u, m, keys, 500, &dup), -ERR_MALFORMED);
	assert_int_equal(dup, 321);
	assert_null(u);
	assert_int_equal(ss_users_new(&u, m, keys, 0, NULL), -ERR_LIMIT);
	ss_users_free(NULL);
}

/* From the appendix of the SipHash paper, and further ones of its authors' table. */
static void siphash_vectors(void **state)
{
	static const struct {
		size_t n;
		uint64_t want;
	} v[] = {{15, 0xa129ca6149be45e5}, {0, 0x726fdb47dd0e0e31}, {8, 0x93f5f5799a932462}};
	uint8_t key[16], in[16];

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		key[i] = in[i] = (uint8_t)i;
	for (size_t i = 0; i < 3; i++)
		assert_true(siphash(key, span_of(in, v[i].n)) == v[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_salts_are_refused),
		cmocka_unit_test(salts_expire_in_their_order),
		cmocka_unit_test(a_full_filter_refuses),
		cmocka_unit_test(without_lifetime_the_oldest_goes),
		cmocka_unit_test(odd_salts),
		cmocka_unit_test(window_order),
		cmocka_unit_test(window_model),
		cmocka_unit_test(users_by_hash),
		cmocka_unit_test(siphash_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
