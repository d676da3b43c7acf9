/*
 * Certificates that we make ourselves: a P-256 key, a certificate for some
 * names, signed by itself or by another one, and the texts of both.
 */
#ifndef GARENNE_NET_CERT_H
#define GARENNE_NET_CERT_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialise; both are owned. */
struct cert {
	X509 *x;
	EVP_PKEY *key;
};

struct cert_spec {
	const char *const *names; /* host names and addresses that it is for */
	size_t n_names;
	const char *common_name;  /* "" for the first of @names */
	const char *organization; /* "" for none */
	bool ca;		  /* may sign other certificates */
	int64_t valid_s;
	const struct cert *issuer; /* NULL: signs itself. Borrowed */
};

enum { CERT_HASH_TEXT = 65 };

/** A fresh key and its certificate. Gives. 0, or -ERR_MALFORMED for a name that no certificate
 * can hold, or -ERR_TLS. */
int cert_make(struct cert *out, const struct cert_spec *spec);
/** Reads the first certificate and the key of two PEM files. Gives. 0, or -ERR_SYS with errno,
 * -ERR_MALFORMED, or -ERR_TLS when they do not belong together. */
int cert_read(struct cert *out, const char *cert_file, const char *key_file);
void cert_fini(struct cert *c);

/** PEM texts. Give, or NULL; the caller wipes the key's before freeing it. */
char *cert_text(const struct cert *c);
char *cert_key_text(const struct cert *c);
/** SHA-256 of the whole certificate in lower-case hexadecimal, as a pin is written. */
int cert_hash(char out[CERT_HASH_TEXT], const X509 *x);

#endif
