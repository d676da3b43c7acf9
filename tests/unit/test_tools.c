/* The small commands, called as main() calls them: what they print and return. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "app/cli.h"
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

static void help_knows_every_command(void **state)
{
	static const char *const names[] = {"run", "check", "uuid", "x25519", "version"};
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
		cmocka_unit_test(uuid_of_a_text),     cmocka_unit_test(uuid_at_random),
		cmocka_unit_test(x25519_public_keys), cmocka_unit_test(x25519_hash),
		cmocka_unit_test(x25519_fresh_pair),  cmocka_unit_test(help_knows_every_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
