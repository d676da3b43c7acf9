#include "net/cert.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/err.h"
#include "crypto/sha.h"

enum {
	BACKDATE_S = 3600, /* for clocks that are a little behind */
	SERIAL_LEN = 16,
	CN_MAX = 64, /* RFC 5280, ub-common-name */
};

void cert_fini(struct cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
	*c = (struct cert){NULL, NULL};
}

/* ---- making ---- */

static int set_serial(X509 *x)
{
	uint8_t b[SERIAL_LEN];
	BIGNUM *n;
	bool ok;

	if (RAND_bytes(b, sizeof(b)) != 1)
		return -ERR_TLS;
	b[0] = (uint8_t)((b[0] & 0x7f) | 0x40); /* positive, and of one length */
	n = BN_bin2bn(b, sizeof(b), NULL);
	ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
	BN_free(n);
	return ok ? 0 : -ERR_TLS;
}

static int set_subject(X509 *x, const struct cert_spec *spec)
{
	X509_NAME *name = X509_get_subject_name(x);
	bool fits = spec->n_names && strlen(spec->names[0]) <= CN_MAX;
	const char *cn = *spec->common_name ? spec->common_name
			 : fits		    ? spec->names[0]
					    : "garenne";

	if (*spec->organization &&
	    !X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8,
					(const uint8_t *)spec->organization, -1, -1, 0))
		return -ERR_MALFORMED;
	if (!X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0))
		return -ERR_MALFORMED;
	return 0;
}

static int add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *e;
	X509V3_CTX ctx;
	int ok;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = e && X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	return ok ? 0 : -ERR_TLS;
}

static GENERAL_NAME *general_name(const char *text)
{
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_STRING *s;
	struct ip ip;
	bool is_ip = ip_parse(&ip, span_str(text)) == 0;

	if (!g)
		return NULL;
	s = is_ip ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
	if (!s || !ASN1_STRING_set(s, is_ip ? (const void *)ip.b : text,
				   is_ip ? (ip.family == 4 ? 4 : 16) : (int)strlen(text))) {
		ASN1_STRING_free(s);
		GENERAL_NAME_free(g);
		return NULL;
	}
	GENERAL_NAME_set0_value(g, is_ip ? GEN_IPADD : GEN_DNS, s);
	return g;
}

/* A name, or with a star as its first label; everything else would be taken but never match. */
static bool good_name(const char *text)
{
	struct addr a;

	if (strncmp(text, "*.", 2) == 0)
		text += 2;
	return addr_set_host(&a, span_str(text), 0) == 0;
}

static int add_names(X509 *x, const struct cert_spec *spec)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	int err = list ? 0 : -ERR_TLS;

	for (size_t i = 0; i < spec->n_names && !err; i++) {
		GENERAL_NAME *g = NULL;

		if (!good_name(spec->names[i]))
			err = -ERR_MALFORMED;
		else
			g = general_name(spec->names[i]);
		if (!err && (!g || !sk_GENERAL_NAME_push(list, g))) {
			GENERAL_NAME_free(g);
			err = -ERR_TLS;
		}
	}
	if (!err && spec->n_names &&
	    X509_add1_ext_i2d(x, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT) != 1)
		err = -ERR_TLS;
	GENERAL_NAMES_free(list);
	return err;
}

static int add_extensions(X509 *x, X509 *issuer, const struct cert_spec *spec)
{
	int err = add_ext(x, issuer, NID_key_usage,
			  spec->ca ? "critical,digitalSignature,keyEncipherment,keyCertSign"
				   : "critical,digitalSignature,keyEncipherment");

	if (!err)
		err = add_ext(x, issuer, NID_ext_key_usage, "serverAuth");
	if (!err)
		err = add_ext(x, issuer, NID_basic_constraints,
			      spec->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (!err && spec->ca)
		err = add_ext(x, issuer, NID_subject_key_identifier, "hash");
	if (!err && X509_get0_subject_key_id(issuer))
		err = add_ext(x, issuer, NID_authority_key_identifier, "keyid");
	return err ? err : add_names(x, spec);
}

/* These have their hash inside. */
static const EVP_MD *digest_for(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448") ? NULL : EVP_sha256();
}

static int fill(struct cert *c, const struct cert_spec *spec)
{
	X509 *issuer = spec->issuer ? spec->issuer->x : c->x;
	EVP_PKEY *by = spec->issuer ? spec->issuer->key : c->key;
	int err = set_serial(c->x);

	if (!err)
		err = set_subject(c->x, spec);
	if (!err && (!X509_set_version(c->x, X509_VERSION_3) || !X509_set_pubkey(c->x, c->key) ||
		     !X509_set_issuer_name(c->x, X509_get_subject_name(issuer)) ||
		     !X509_gmtime_adj(X509_getm_notBefore(c->x), -BACKDATE_S) ||
		     !X509_time_adj_ex(X509_getm_notAfter(c->x), (int)(spec->valid_s / 86400),
				       (long)(spec->valid_s % 86400), NULL)))
		err = -ERR_TLS;
	if (!err)
		err = add_extensions(c->x, issuer, spec);
	if (!err && X509_sign(c->x, by, digest_for(by)) == 0)
		err = -ERR_TLS;
	return err;
}

int cert_make(struct cert *out, const struct cert_spec *spec)
{
	struct cert c = {X509_new(), EVP_EC_gen("P-256")};
	int err = c.x && c.key ? fill(&c, spec) : -ERR_TLS;

	if (err)
		cert_fini(&c);
	else
		*out = c;
	return err;
}

/* ---- texts ---- */

int cert_read(struct cert *out, const char *cert_file, const char *key_file)
{
	struct cert c = {NULL, NULL};
	FILE *f = fopen(cert_file, "re");
	int err = 0;

	if (!f)
		return -ERR_SYS;
	c.x = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	f = fopen(key_file, "re");
	if (!f) {
		cert_fini(&c);
		return -ERR_SYS;
	}
	c.key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	if (!c.x || !c.key)
		err = -ERR_MALFORMED;
	else if (X509_check_private_key(c.x, c.key) != 1)
		err = -ERR_TLS;
	if (err)
		cert_fini(&c);
	else
		*out = c;
	return err;
}

static char *bio_text(BIO *b)
{
	char *data, *text;
	long n = BIO_get_mem_data(b, &data);

	text = n > 0 ? strndup(data, (size_t)n) : NULL;
	return text;
}

char *cert_text(const struct cert *c)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *text = b && PEM_write_bio_X509(b, c->x) ? bio_text(b) : NULL;

	BIO_free(b);
	return text;
}

char *cert_key_text(const struct cert *c)
{
	BIO *b = BIO_new(BIO_s_secmem());
	char *text = b && PEM_write_bio_PKCS8PrivateKey(b, c->key, NULL, NULL, 0, NULL, NULL)
			     ? bio_text(b)
			     : NULL;

	BIO_free(b);
	return text;
}

int cert_hash(char out[CERT_HASH_TEXT], const X509 *x)
{
	uint8_t *der = NULL, hash[SHA256_LEN];
	int n = i2d_X509(x, &der), err;

	if (n <= 0)
		return -ERR_TLS;
	err = sha256(hash, span_of(der, (size_t)n));
	OPENSSL_free(der);
	for (size_t i = 0; i < SHA256_LEN && !err; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
	return err;
}
