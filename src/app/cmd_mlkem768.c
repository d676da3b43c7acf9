#include <stdio.h>
#include <stdlib.h>

#include "app/cli.h"
#include "app/keytext.h"
#include "app/opts.h"
#include "crypto/base64.h"
#include "crypto/blake3.h"
#include "crypto/mlkem768.h"
#include "crypto/rand.h"
#include "crypto/secret.h"

static void print(const uint8_t seed[MLKEM768_SEED])
{
	const unsigned form = BASE64_URL | BASE64_RAW;
	struct mlkem768_key k;
	uint8_t hash[32];

	mlkem768_key_set(&k, seed);
	blake3_hash(hash, sizeof(hash), span_of(k.ek, MLKEM768_EK));
	keytext_print("Seed", span_of(seed, MLKEM768_SEED), form);
	keytext_print("Client", span_of(k.ek, MLKEM768_EK), form);
	keytext_print("Hash32", span_of(hash, sizeof(hash)), form);
	mlkem768_key_wipe(&k);
}

static int run(int argc, char **argv)
{
	const char *text = "";
	const struct opts table[] = {{.name = "i", .text = &text}, {.name = NULL}};
	int code = opts_parse(&cmd_mlkem768, table, argc, argv, NULL);
	uint8_t seed[MLKEM768_SEED];

	if (code)
		return code;
	if (*text && keytext_read(seed, sizeof(seed), text) != 0) {
		fprintf(stderr, "Invalid length of ML-KEM-768 seed.\n");
		return EXIT_USAGE;
	}
	if (!*text && rand_bytes(seed, sizeof(seed)) != 0) {
		fprintf(stderr, "garenne mlkem768: cannot make a key\n");
		return EXIT_FAILED;
	}
	print(seed);
	secret_wipe(seed, sizeof(seed));
	return EXIT_OK;
}

const struct command cmd_mlkem768 = {
	.name = "mlkem768",
	.brief = "make a pair of ML-KEM-768 keys",
	.usage = "usage: garenne mlkem768 [-i SEED]\n\n"
		 "Prints a seed (the private key), the encapsulation key that belongs to it for "
		 "the\n"
		 "client, and the BLAKE3 of the latter, in base64, as VLESS encryption takes "
		 "them.\n\n"
		 "  -i SEED  the key that belongs to this seed (base64 of either alphabet)\n",
	.run = run,
};
