#include <stdio.h>

#include "app/cli.h"
#include "app/keytext.h"
#include "app/opts.h"
#include "crypto/base64.h"
#include "crypto/blake3.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"

/* As it is used (RFC 7748, section 5), which is how Xray prints a key that it was given. */
static void clamp(uint8_t key[X25519_LEN])
{
	key[0] &= 0xf8;
	key[31] = (uint8_t)((key[31] & 0x7f) | 0x40);
}

static int run(int argc, char **argv)
{
	uint8_t priv[X25519_LEN], pub[X25519_LEN], hash[X25519_LEN];
	bool std = false;
	const char *text = "";
	const struct opts table[] = {{.name = "i", .text = &text},
				     {.name = "std-encoding", .flag = &std},
				     {.name = NULL}};
	int code = opts_parse(&cmd_x25519, table, argc, argv, NULL);
	unsigned form;
	int err;

	if (code)
		return code;
	form = std ? BASE64_STD : BASE64_URL | BASE64_RAW;
	if (*text && keytext_read(priv, sizeof(priv), text) != 0) {
		fprintf(stderr, "Invalid length of X25519 private key.\n");
		return EXIT_USAGE;
	}
	err = *text ? x25519_public(pub, priv) : x25519_keypair(priv, pub);
	if (err) {
		fprintf(stderr, "garenne x25519: cannot make a key\n");
		return EXIT_FAILED;
	}
	clamp(priv);
	blake3_hash(hash, sizeof(hash), span_of(pub, sizeof(pub)));
	keytext_print("PrivateKey", span_of(priv, X25519_LEN), form);
	keytext_print("Password (PublicKey)", span_of(pub, X25519_LEN), form);
	keytext_print("Hash32", span_of(hash, X25519_LEN), form);
	secret_wipe(priv, sizeof(priv));
	return EXIT_OK;
}

const struct command cmd_x25519 = {
	.name = "x25519",
	.brief = "make a pair of X25519 keys",
	.usage = "usage: garenne x25519 [-i PRIVATE] [--std-encoding]\n\n"
		 "Prints a private key, its public key and the BLAKE3 of the latter, in base64.\n\n"
		 "  -i PRIVATE      belongs to this private key (base64 of either alphabet)\n"
		 "  --std-encoding  write with + / and =, not with - and _\n",
	.run = run,
};
