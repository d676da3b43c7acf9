/* The small commands, called as main() calls them: what they print and return. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "app/cli.h"
#include "crypto/keccak.h"
#include "hex.h"
#include "tool.h"

static void uuid_of_a_text(void **state)
{
	/* As Xray has it: SHA-1 of sixteen zero bytes and the text. */
	static const struct {
		const char *text, *uuid;
	} table[] = {
		{"test", "e8b764da-5fe5-51ed-8af8-c5c6eca28d7a"},
		{"example", "feb54431-301b-52bb-a6dd-e1e93e81bb9e"},
		{"a", "35b65f33-a679-5e76-af3c-273ea349ede4"},
		{"my secret user", "029553cd-2bcc-59e1-ab33-c906125e38d9"},
		{"123456789012345678901234567890", "3d2e4120-1e1e-52f0-b92d-f67cfbfb1982"},
	};
	struct tool t;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		tool_run(&t, "uuid", "-i", table[i].text, NULL);
		assert_int_equal(t.code, EXIT_OK);
		assert_int_equal(strlen(t.out), 37);
		t.out[36] = 0;
		assert_string_equal(t.out, table[i].uuid);
	}
	tool_run(&t, "uuid", "-i", "1234567890123456789012345678901", NULL);
	assert_int_equal(t.code, EXIT_USAGE);
	assert_string_equal(t.err, "Input must be within 30 bytes.\n");
}

static void uuid_at_random(void **state)
{
	struct tool a, b;

	(void)state;
	tool_run(&a, "uuid", NULL);
	tool_run(&b, "uuid", NULL);
	assert_int_equal(strlen(a.out), 37);
	assert_int_equal(a.out[14], '4');
	assert_non_null(strchr("89ab", a.out[19]));
	assert_string_not_equal(a.out, b.out);
	tool_run(&a, "uuid", "-x", NULL);
	assert_int_equal(a.code, EXIT_USAGE);
	tool_run(&a, "uuid", "-i", NULL);
	assert_int_equal(a.code, EXIT_USAGE);
}

/* RFC 7748, section 6.1: Alice's pair. */
static void x25519_public_keys(void **state)
{
	const char *pub = "Password (PublicKey): hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo\n";
	struct tool t;

	(void)state;
	tool_run(&t, "x25519", "-i", "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo", NULL);
	assert_int_equal(t.code, EXIT_OK);
	assert_non_null(strstr(t.out, pub));
	tool_run(&t, "x25519", "-i=dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=", "--std-encoding",
		 NULL);
	assert_non_null(strstr(t.out, "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n"));
	tool_run(&t, "x25519", "-i", "dwdtCnMYpX08", NULL);
	assert_int_equal(t.code, EXIT_USAGE);
	assert_string_equal(t.err, "Invalid length of X25519 private key.\n");
}

/* What Xray prints for a key of its own. */
static void x25519_hash(void **state)
{
	struct tool t;

	(void)state;
	tool_run(&t, "x25519", "-i", "qNXBM3mPmTRmxb_XdcXhE94X-GNoZ5LaWNQ8H2r_XlQ", NULL);
	assert_string_equal(t.out, "PrivateKey: qNXBM3mPmTRmxb_XdcXhE94X-GNoZ5LaWNQ8H2r_XlQ\n"
				   "Password (PublicKey): "
				   "p3tk3scjuaJ1259snDsN6XE2-nabB3Bn-rOpsU2TVnI\n"
				   "Hash32: J4wkl-GhJXd4yO87RQb-mKWJcUnqxndl02XAvE3s0Rc\n");
}

static void x25519_fresh_pair(void **state)
{
	char priv[44] = "", *pub;
	struct tool a, b;

	(void)state;
	tool_run(&a, "x25519", NULL);
	assert_int_equal(a.code, EXIT_OK);
	assert_memory_equal(a.out, "PrivateKey: ", 12);
	memcpy(priv, a.out + 12, 43);
	pub = strstr(a.out, "Password");
	assert_non_null(pub);
	tool_run(&b, "x25519", "-i", priv, NULL);
	assert_non_null(strstr(b.out, pub));
}

/* The text behind "Seed: " into @seed[96]. */
static int seed_of(const char *out, char *seed)
{
	size_t n = strcspn(out, "\n");

	if (strncmp(out, "Seed: ", 6) != 0 || n - 6 >= 96)
		return -1;
	memcpy(seed, out + 6, n - 6);
	seed[n - 6] = 0;
	return 0;
}

/* SHA3-256 of all that Xray 26.3.27 prints for a seed. */
static void post_quantum_keys(void **state)
{
	static const struct {
		const char *command, *seed, *sum, *name;
	} table[] = {
		{"mldsa65", "FZ5iNE1C4_0PMDpuRU0gxB9sZFWiLFGjpQkD4AaR0Eg",
		 "78cd1bc2d0f11f12cb3083f14d94ad8601c3daccca18569bbe686f0e69874f04", "ML-DSA-65"},
		{"mlkem768",
		 "QJKz0Kn9p1cp7P-uddWw-zDM60FPX-rpuJ8Q-CqIj4J"
		 "AkrPQqf2nVyns_6511bD7MMzrQU9f6um4nxD4KoiPgg",
		 "826b4e8dcf268f16fdf01c3d82b671b72cd42fede541b112cf6eb0f096138bc8", "ML-KEM-768"},
	};
	struct tool t, u;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct span out;
		uint8_t sum[32];
		char seed[96] = "";

		tool_run(&t, table[i].command, "-i", table[i].seed, NULL);
		assert_int_equal(t.code, EXIT_OK);
		out = span_str(t.out);
		keccak_hash(KECCAK_SHA3_256, sum, sizeof(sum), &out, 1);
		assert_hex(sum, table[i].sum);

		tool_run(&t, table[i].command, NULL);
		assert_int_equal(seed_of(t.out, seed), 0);
		tool_run(&u, table[i].command, "-i", seed, NULL);
		assert_string_equal(t.out, u.out);

		tool_run(&t, table[i].command, "-i", "AAAA", NULL);
		assert_int_equal(t.code, EXIT_USAGE);
		snprintf(seed, sizeof(seed), "Invalid length of %s seed.\n", table[i].name);
		assert_string_equal(t.err, seed);
	}
}

static void help_knows_every_command(void **state)
{
	static const char *const names[] = {"run",     "check",	   "uuid",    "x25519",
					    "mldsa65", "mlkem768", "version", "audit"};
	struct tool t;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char want[64];

		tool_run(&t, "help", names[i], NULL);
		snprintf(want, sizeof(want), "usage: garenne %s", names[i]);
		assert_int_equal(t.code, EXIT_OK);
		assert_memory_equal(t.out, want, strlen(want));
	}
	tool_run(&t, "help", NULL);
	assert_int_equal(t.code, EXIT_OK);
	tool_run(&t, "help", "nonsense", NULL);
	assert_int_equal(t.code, EXIT_USAGE);
	tool_run(&t, "nonsense", NULL);
	assert_int_equal(t.code, EXIT_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uuid_of_a_text),	    cmocka_unit_test(uuid_at_random),
		cmocka_unit_test(x25519_public_keys),	    cmocka_unit_test(x25519_hash),
		cmocka_unit_test(x25519_fresh_pair),	    cmocka_unit_test(post_quantum_keys),
		cmocka_unit_test(help_knows_every_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
