/* Key exchange: each group against itself or, for the hybrid one, a server's half made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "crypto/kex.h"
#include "crypto/mlkem768.h"
#include "crypto/x25519.h"
#include "hex.h"

static const struct {
	uint16_t group;
	size_t share, secret;
} curves[] = {
	{TLS_GROUP_X25519, 32, 32},
	{TLS_GROUP_P256, 65, 32},
	{TLS_GROUP_P384, 97, 48},
	{TLS_GROUP_P521, 133, 66},
};

static void both_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
		uint8_t x[KEX_SECRET_MAX], y[KEX_SECRET_MAX];
		size_t nx, ny;
		int err;
		struct kex *a = kex_new(curves[i].group, &err), *b = kex_new(curves[i].group, &err);

		assert_non_null(a);
		assert_int_equal(kex_group(a), curves[i].group);
		assert_int_equal(kex_share(a).n, curves[i].share);
		assert_int_equal(kex_finish(a, kex_share(b), x, &nx), 0);
		assert_int_equal(kex_finish(b, kex_share(a), y, &ny), 0);
		assert_int_equal(nx, curves[i].secret);
		assert_int_equal(ny, nx);
		assert_memory_equal(x, y, nx);
		assert_true((kex_x25519(a) != NULL) == (curves[i].group == TLS_GROUP_X25519));
		for (size_t n = 0; n < curves[i].share; n++) {
			struct span part = exact(kex_share(b), n);

			assert_int_equal(kex_finish(a, part, x, &nx), -ERR_MALFORMED);
			free_hex(part);
		}
		kex_free(a);
		kex_free(b);
	}
}

static void bad_points(void **state)
{
	uint8_t share[65] = {4, 1}, zeros[32] = {0}, out[KEX_SECRET_MAX];
	size_t n;
	int err;
	struct kex *k = kex_new(TLS_GROUP_P256, &err);

	(void)state;
	assert_int_equal(kex_finish(k, span_of(share, 65), out, &n), -ERR_MALFORMED);
	share[0] = 0;
	assert_int_equal(kex_finish(k, span_of(share, 65), out, &n), -ERR_MALFORMED);
	kex_free(k);
	k = kex_new(TLS_GROUP_X25519, &err);
	assert_int_equal(kex_finish(k, span_of(zeros, 32), out, &n), -ERR_MALFORMED);
	kex_free(k);
	assert_null(kex_new(30, &err)); /* X448 */
	assert_int_equal(err, -ERR_UNSUPPORTED);
	kex_free(NULL);
}

static void hybrid(void **state)
{
	static struct mlkem768_pub pub;
	uint8_t priv[32], answer[MLKEM768_CT + 32], want[64], out[KEX_SECRET_MAX];
	struct span share;
	size_t n;
	int err;
	struct kex *k = kex_new(TLS_GROUP_X25519MLKEM768, &err);

	(void)state;
	assert_non_null(k);
	share = kex_share(k);
	assert_int_equal(share.n, KEX_SHARE_MAX);
	assert_int_equal(mlkem768_pub_set(&pub, span_of(share.p, MLKEM768_EK)), 0);
	assert_int_equal(mlkem768_encaps(want, answer, &pub), 0);
	assert_int_equal(x25519_keypair(priv, answer + MLKEM768_CT), 0);
	assert_int_equal(x25519_shared(want + 32, priv, share.p + MLKEM768_EK), 0);
	assert_int_equal(kex_finish(k, span_of(answer, sizeof(answer)), out, &n), 0);
	assert_int_equal(n, 64);
	assert_memory_equal(out, want, 64);
	assert_int_equal(kex_finish(k, span_of(answer, sizeof(answer) - 1), out, &n),
			 -ERR_MALFORMED);
	assert_int_equal(kex_finish(k, span_of(answer, 0), out, &n), -ERR_MALFORMED);
	memset(answer + MLKEM768_CT, 0, 32);
	assert_int_equal(kex_finish(k, span_of(answer, sizeof(answer)), out, &n), -ERR_MALFORMED);
	assert_int_equal(x25519_public(priv, kex_x25519(k)), 0);
	assert_memory_equal(priv, share.p + MLKEM768_EK, 32);
	kex_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_agree),
		cmocka_unit_test(bad_points),
		cmocka_unit_test(hybrid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
