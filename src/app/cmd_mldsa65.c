#include <stdio.h>
#include <stdlib.h>

#include "app/cli.h"
#include "app/keytext.h"
#include "app/opts.h"
#include "crypto/base64.h"
#include "crypto/mldsa65.h"
#include "crypto/rand.h"
#include "crypto/secret.h"

static int print(const uint8_t seed[MLDSA65_SEED])
{
	struct mldsa65_key *k = malloc(sizeof(*k));

	if (!k) {
		fprintf(stderr, "garenne mldsa65: out of memory\n");
		return EXIT_FAILED;
	}
	mldsa65_key_set(k, seed);
	keytext_print("Seed", span_of(seed, MLDSA65_SEED), BASE64_URL | BASE64_RAW);
	keytext_print("Verify", span_of(k->bytes, MLDSA65_PUB), BASE64_URL | BASE64_RAW);
	mldsa65_key_wipe(k);
	free(k);
	return EXIT_OK;
}

static int run(int argc, char **argv)
{
	const char *text = "";
	const struct opts table[] = {{.name = "i", .text = &text}, {.name = NULL}};
	int code = opts_parse(&cmd_mldsa65, table, argc, argv, NULL);
	uint8_t seed[MLDSA65_SEED];

	if (code)
		return code;
	if (*text && keytext_read(seed, sizeof(seed), text) != 0) {
		fprintf(stderr, "Invalid length of ML-DSA-65 seed.\n");
		return EXIT_USAGE;
	}
	if (!*text && rand_bytes(seed, sizeof(seed)) != 0) {
		fprintf(stderr, "garenne mldsa65: cannot make a key\n");
		return EXIT_FAILED;
	}
	code = print(seed);
	secret_wipe(seed, sizeof(seed));
	return code;
}

const struct command cmd_mldsa65 = {
	.name = "mldsa65",
	.brief = "make a pair of ML-DSA-65 keys",
	.usage = "usage: garenne mldsa65 [-i SEED]\n\n"
		 "Prints a seed for \"mldsa65Seed\" of a REALITY server and the key that belongs "
		 "to\n"
		 "it for \"mldsa65Verify\" of its clients, in base64.\n\n"
		 "  -i SEED  the key that belongs to this seed (base64 of either alphabet)\n",
	.run = run,
};
