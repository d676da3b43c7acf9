#include <errno.h>
#include <fcntl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/cli.h"
#include "app/opts.h"
#include "base/err.h"
#include "crypto/secret.h"
#include "net/cert.h"

enum {
	EXPIRE_DEFAULT_S = 90 * 86400,
	EXPIRE_MAX_S = INT32_MAX, /* 68 years */
	NAME_MAX_TEXT = 4096,
};

struct request {
	struct opts_list domains;
	const char *name, *org, *expire, *file, *issuer;
	bool ca, json;
};

/* "240h", "1h30m", "90d": whole numbers with a unit, as Go writes them, and days. */
static bool parse_duration(const char *text, int64_t *out)
{
	int64_t sum = 0;

	if (*text == 0)
		return false;
	while (*text) {
		static const char units[] = "smhd";
		static const int64_t seconds[] = {1, 60, 3600, 86400};
		char *end;
		unsigned long n = strtoul(text, &end, 10);
		const char *unit = *end ? strchr(units, *end) : NULL;

		if (*text < '0' || *text > '9' || !unit || n > EXPIRE_MAX_S)
			return false;
		sum += (int64_t)n * seconds[unit - units];
		if (sum > EXPIRE_MAX_S)
			return false;
		text = end + 1;
	}
	*out = sum;
	return sum > 0;
}

static void print_lines(const char *name, const char *pem, const char *after)
{
	printf("  \"%s\": [\n", name);
	while (*pem) {
		int n = (int)strcspn(pem, "\n");

		printf("    \"%.*s\"", n, pem);
		pem += n + (pem[n] == '\n');
		printf(*pem ? ",\n" : "\n");
	}
	printf("  ]%s\n", after);
}

static int save(const char *base, const char *suffix, const char *text, mode_t mode)
{
	char name[NAME_MAX_TEXT];
	FILE *f;
	int fd;

	snprintf(name, sizeof(name), "%s%s", base, suffix);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!f || fputs(text, f) == EOF || fclose(f) != 0) {
		fprintf(stderr, "garenne tls cert: %s: %s\n", name, strerror(errno));
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

static int deliver(const struct request *r, const struct cert *c)
{
	char *cert = cert_text(c), *key = cert_key_text(c);
	int code = EXIT_FAILED;

	if (cert && key) {
		code = EXIT_OK;
		if (r->json) {
			printf("{\n");
			print_lines("certificate", cert, ",");
			print_lines("key", key, "");
			printf("}\n");
		}
		if (*r->file)
			code = save(r->file, ".crt", cert, 0644);
		if (*r->file && code == EXIT_OK)
			code = save(r->file, ".key", key, 0600);
	}
	if (key)
		secret_wipe(key, strlen(key));
	free(cert);
	free(key);
	return code;
}

static int read_issuer(struct cert *out, const char *base)
{
	char cert[NAME_MAX_TEXT], key[NAME_MAX_TEXT];
	int err;

	snprintf(cert, sizeof(cert), "%s.crt", base);
	snprintf(key, sizeof(key), "%s.key", base);
	err = cert_read(out, cert, key);
	if (err) {
		fprintf(stderr, "garenne tls cert: %s, %s: %s\n", cert, key,
			err == -ERR_SYS	  ? strerror(errno)
			: err == -ERR_TLS ? "the key is not the certificate's"
					  : "no certificate or no key in PEM");
		return EXIT_FAILED;
	}
	if (X509_check_ca(out->x) == 0) {
		fprintf(stderr, "garenne tls cert: %s may not sign: make it with -ca\n", cert);
		cert_fini(out);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

static int make(const struct request *r, int64_t valid_s)
{
	struct cert issuer = {NULL, NULL}, c = {NULL, NULL};
	struct cert_spec spec = {
		.names = r->domains.v,
		.n_names = r->domains.n,
		.common_name = r->name,
		.organization = r->org,
		.ca = r->ca,
		.valid_s = valid_s,
	};
	int code, err;

	if (*r->issuer) {
		code = read_issuer(&issuer, r->issuer);
		if (code)
			return code;
		spec.issuer = &issuer;
	}
	err = cert_make(&c, &spec);
	cert_fini(&issuer);
	if (err) {
		fprintf(stderr, "garenne tls cert: %s\n",
			err == -ERR_MALFORMED ? "a name does not fit a certificate"
					      : "cannot make a certificate");
		return err == -ERR_MALFORMED ? EXIT_USAGE : EXIT_FAILED;
	}
	code = deliver(r, &c);
	cert_fini(&c);
	return code;
}

static int run(int argc, char **argv)
{
	struct request r = {
		.name = "", .org = "", .expire = "", .file = "", .issuer = "", .json = true};
	const struct opts table[] = {
		{.name = "domain", .list = &r.domains},
		{.name = "name", .text = &r.name},
		{.name = "org", .text = &r.org},
		{.name = "ca", .flag = &r.ca},
		{.name = "json", .flag = &r.json},
		{.name = "file", .text = &r.file},
		{.name = "expire", .text = &r.expire},
		{.name = "issuer", .text = &r.issuer},
		{.name = NULL},
	};
	int64_t valid_s = EXPIRE_DEFAULT_S;
	int code = opts_parse(&cmd_tls_cert, table, argc, argv, NULL);

	if (code)
		return code;
	if (*r.expire && !parse_duration(r.expire, &valid_s))
		return cli_usage(&cmd_tls_cert, "-expire: found \"%s\", expected 240h or 90d",
				 r.expire);
	if (!r.json && !*r.file)
		return cli_usage(&cmd_tls_cert, "with -json=false there must be a -file");
	return make(&r, valid_s);
}

const struct command cmd_tls_cert = {
	.name = "tls cert",
	.brief = "make a certificate",
	.usage = "usage: garenne tls cert [-domain NAME]... [-ca] [-file PATH] ...\n\n"
		 "Makes a P-256 key and a certificate for it and prints both in JSON, as\n"
		 "\"certificates\" of tlsSettings takes them.\n\n"
		 "  -domain NAME    a host name or address it is for; may be repeated\n"
		 "  -name NAME      the common name (else the first domain)\n"
		 "  -org NAME       the organization (else none)\n"
		 "  -ca             may sign others\n"
		 "  -issuer PATH    signed by PATH.crt with PATH.key, and not by itself\n"
		 "  -expire 240h    valid for so long from now (else 90d)\n"
		 "  -file PATH      write PATH.crt and PATH.key too\n"
		 "  -json=false     do not print\n",
	.run = run,
};
