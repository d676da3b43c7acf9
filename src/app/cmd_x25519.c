#include <stdio.h>
#include <string.h>

#include "app/cli.h"
#include "app/opts.h"
#include "base/err.h"
#include "crypto/base64.h"
#include "crypto/blake3.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"

enum { KEY_TEXT = 48 };

/* Either alphabet, padded or not: nobody should have to know which program wrote the key. */
static int key_decode(uint8_t key[X25519_LEN], const char *text)
{
	const unsigned both[] = {BASE64_STD, BASE64_URL};

	for (size_t i = 0; i < 2; i++)
		if (base64_decode(key, X25519_LEN, span_str(text), both[i] | BASE64_ANY_PAD,
				  NULL) == X25519_LEN)
			return 0;
	return -ERR_MALFORMED;
}

/* As it is used (RFC 7748, section 5), which is how Xray prints a key that it was given. */
static void clamp(uint8_t key[X25519_LEN])
{
	key[0] &= 0xf8;
	key[31] = (uint8_t)((key[31] & 0x7f) | 0x40);
}

static void print_key(const char *name, const uint8_t key[X25519_LEN], unsigned form)
{
	char text[KEY_TEXT];

	base64_encode(text, sizeof(text), span_of(key, X25519_LEN), form);
	printf("%s: %s\n", name, text);
	secret_wipe(text, sizeof(text));
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
	if (*text && key_decode(priv, text) != 0) {
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
	print_key("PrivateKey", priv, form);
	print_key("Password (PublicKey)", pub, form);
	print_key("Hash32", hash, form);
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
