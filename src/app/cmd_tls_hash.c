#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "app/cli.h"
#include "app/opts.h"
#include "net/cert.h"

/* The leaf comes first in a file that a server shows; what follows signed it. */
static void print_one(const X509 *x, int number)
{
	char hash[CERT_HASH_TEXT], name[128] = "";

	if (cert_hash(hash, x) != 0)
		return;
	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, sizeof(name));
	if (number == 0)
		printf("Leaf SHA256:  %s\n", hash);
	else
		printf("CA <%s> SHA256:  %s\n", name, hash);
}

static int run(int argc, char **argv)
{
	const char *name = "fullchain.pem";
	const struct opts table[] = {{.name = "cert", .text = &name}, {.name = NULL}};
	int code = opts_parse(&cmd_tls_hash, table, argc, argv, NULL);
	int n = 0;
	FILE *f;
	X509 *x;

	if (code)
		return code;
	f = fopen(name, "re");
	if (!f) {
		fprintf(stderr, "open %s: %s\n", name, strerror(errno));
		return EXIT_FAILED;
	}
	while ((x = PEM_read_X509(f, NULL, NULL, NULL)) != NULL) {
		print_one(x, n++);
		X509_free(x);
	}
	fclose(f);
	if (n == 0)
		fprintf(stderr, "garenne tls hash: %s holds no certificate in PEM\n", name);
	return n ? EXIT_OK : EXIT_FAILED;
}

const struct command cmd_tls_hash = {
	.name = "tls hash",
	.brief = "print the pin of a certificate file",
	.usage = "usage: garenne tls hash [-cert FILE]\n\n"
		 "Prints the SHA-256 of each certificate of a PEM file (fullchain.pem unless\n"
		 "given), as \"pinnedPeerCertSha256\" of tlsSettings takes it.\n",
	.run = run,
};
