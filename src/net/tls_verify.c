#include "net/tls_verify.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/span.h"
#include "net/tls_cert.h"

enum { NAMES_SHOWN = 4, NAME_SHOWN_LEN = 64 };

static bool refuse(X509_STORE_CTX *sc, int code, char *why, const char *text)
{
	X509_STORE_CTX_set_error(sc, code);
	snprintf(why, TLS_WHY_MAX, "%s", text);
	return false;
}

static bool is_pinned(X509 *x, const struct conf_tls *c)
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned n;

	if (X509_digest(x, EVP_sha256(), sum, &n) != 1 || n != CONF_PIN_LEN)
		return false;
	for (size_t i = 0; i < c->n_pins; i++)
		if (CRYPTO_memcmp(sum, c->pins[i].sha256, CONF_PIN_LEN) == 0)
			return true;
	return false;
}

/* The first pinned certificate among those sent that is an authority. Borrowed, or NULL. */
static X509 *pinned_authority(X509_STORE_CTX *sc, const struct conf_tls *c, X509 *leaf)
{
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(sc);

	for (int i = 0; i < sk_X509_num(sent); i++) {
		X509 *x = sk_X509_value(sent, i);

		if (x != leaf && X509_check_ca(x) == 1 && is_pinned(x, c))
			return x;
	}
	return NULL;
}

void tls_plain_name(char out[ADDR_NAME_MAX + 1], const char *name)
{
	size_t n = strlen(name);

	if (n > 2 && name[0] == '[' && name[n - 1] == ']') {
		name++;
		n -= 2;
	} else if (n > 1 && name[n - 1] == '.') {
		n--;
	}
	n = n < ADDR_NAME_MAX ? n : ADDR_NAME_MAX;
	memcpy(out, name, n);
	out[n] = 0;
}

static bool covers(X509 *leaf, const char *wanted)
{
	char name[ADDR_NAME_MAX + 1];
	struct ip ip;

	tls_plain_name(name, wanted);
	if (!*name)
		return false;
	if (ip_parse(&ip, span_str(name)) == 0)
		return X509_check_ip(leaf, ip.b, ip.family == 4 ? 4 : 16, 0) == 1;
	return X509_check_host(leaf, name, 0,
			       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
				       X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
			       NULL) == 1;
}

/* One alternative name as text; false for kinds that no server name can match. */
static bool san_text(const GENERAL_NAME *g, char *out, size_t cap)
{
	const ASN1_STRING *s;
	struct ip ip;

	if (g->type == GEN_DNS) {
		s = g->d.dNSName;
		snprintf(out, cap, "%.*s", ASN1_STRING_length(s), ASN1_STRING_get0_data(s));
		for (char *p = out; *p; p++) /* a stranger's bytes, bound for a log */
			if (*p < 0x21 || *p > 0x7e)
				*p = '?';
		return true;
	}
	if (g->type != GEN_IPADD)
		return false;
	s = g->d.iPAddress;
	if (ASN1_STRING_length(s) == 4)
		ip = ip_v4(ASN1_STRING_get0_data(s));
	else if (ASN1_STRING_length(s) == 16)
		ip = ip_v6(ASN1_STRING_get0_data(s));
	else
		return false;
	ip_text(&ip, out, cap);
	return true;
}

/* "certificate is valid for a, b and 3 more, not c" */
static void explain_names(X509 *leaf, const char *wanted, char *why)
{
	GENERAL_NAMES *sans = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	int shown = 0, more = 0;
	size_t at;

	at = (size_t)snprintf(why, TLS_WHY_MAX, "certificate is valid for ");
	for (int i = 0; i < sk_GENERAL_NAME_num(sans); i++) {
		char text[NAME_SHOWN_LEN];

		if (!san_text(sk_GENERAL_NAME_value(sans, i), text, sizeof(text)))
			continue;
		if (shown == NAMES_SHOWN || at + strlen(text) + NAME_SHOWN_LEN > TLS_WHY_MAX) {
			more++;
			continue;
		}
		at += (size_t)snprintf(why + at, TLS_WHY_MAX - at, "%s%s", shown++ ? ", " : "",
				       text);
	}
	GENERAL_NAMES_free(sans);
	if (more)
		at += (size_t)snprintf(why + at, TLS_WHY_MAX - at, " and %d more", more);
	if (!shown)
		at += (size_t)snprintf(why + at, TLS_WHY_MAX - at, "no name at all");
	snprintf(why + at, TLS_WHY_MAX - at, ", not %.100s", wanted);
}

static void date_text(const ASN1_TIME *t, char out[16])
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1 || strftime(out, 16, "%Y-%m-%d", &tm) == 0)
		memcpy(out, "?", 2);
}

static void explain_chain(X509_STORE_CTX *sc, char *why)
{
	int code = X509_STORE_CTX_get_error(sc), depth = X509_STORE_CTX_get_error_depth(sc);
	X509 *x = X509_STORE_CTX_get_current_cert(sc);
	const char *who = depth > 0 ? "an issuer's certificate" : "certificate";
	char name[128] = "?", date[16];

	if (x)
		X509_NAME_oneline(X509_get_issuer_name(x), name, sizeof(name));
	switch (code) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		date_text(x ? X509_get0_notAfter(x) : NULL, date);
		snprintf(why, TLS_WHY_MAX, "%s expired on %s", who, date);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		date_text(x ? X509_get0_notBefore(x) : NULL, date);
		snprintf(why, TLS_WHY_MAX, "%s is not valid before %s: is the clock right?", who,
			 date);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		snprintf(why, TLS_WHY_MAX, "certificate signed by an unknown authority (%s)", name);
		break;
	default:
		snprintf(why, TLS_WHY_MAX, "%s: %s", who, X509_verify_cert_error_string(code));
	}
}

/* Builds and checks the chain; @root, when there is one, is the only root. */
static bool chain_holds(X509_STORE_CTX *sc, X509 *root, char *why)
{
	STACK_OF(X509) *roots = NULL;
	int ok;

	if (root) {
		roots = sk_X509_new_null();
		if (!roots || sk_X509_push(roots, root) <= 0) {
			sk_X509_free(roots);
			return refuse(sc, X509_V_ERR_OUT_OF_MEM, why, "out of memory");
		}
		X509_STORE_CTX_set0_trusted_stack(sc, roots);
	}
	/* Any certificate may be a root, as in Go: also an intermediate or a leaf. */
	X509_STORE_CTX_set_flags(sc, X509_V_FLAG_PARTIAL_CHAIN);
	ok = X509_verify_cert(sc);
	if (ok != 1)
		explain_chain(sc, why);
	sk_X509_free(roots);
	if (ok != 1 && X509_STORE_CTX_get_error(sc) == X509_V_OK)
		X509_STORE_CTX_set_error(sc, X509_V_ERR_UNSPECIFIED);
	return ok == 1;
}

static bool name_holds(X509_STORE_CTX *sc, X509 *leaf, const struct conf_tls *c, const char *name,
		       char *why)
{
	for (size_t i = 0; i < c->verify_names.n; i++)
		if (covers(leaf, c->verify_names.v[i]))
			return true;
	if (c->verify_names.n == 0 && covers(leaf, name))
		return true;
	explain_names(leaf, c->verify_names.n ? c->verify_names.v[0] : name, why);
	X509_STORE_CTX_set_error(sc, X509_V_ERR_HOSTNAME_MISMATCH);
	return false;
}

bool tls_verify_chain(X509_STORE_CTX *sc, const struct conf_tls *c, const char *name, char *why)
{
	X509 *leaf = X509_STORE_CTX_get0_cert(sc), *root = NULL;

	if (!leaf)
		return refuse(sc, X509_V_ERR_UNSPECIFIED, why, "no certificate");
	if (c->n_pins > 0) {
		if (is_pinned(leaf, c)) {
			X509_STORE_CTX_set_error(sc, X509_V_OK);
			return true;
		}
		root = pinned_authority(sc, c, leaf);
		if (!root)
			return refuse(sc, X509_V_ERR_CERT_UNTRUSTED, why,
				      "certificate is none of those in pinnedPeerCertSha256");
	} else if (c->allow_insecure) {
		X509_STORE_CTX_set_error(sc, X509_V_OK);
		return true;
	}
	if (c->verify_names.n == 0 && !*name)
		return refuse(sc, X509_V_ERR_HOSTNAME_MISMATCH, why,
			      "no serverName to check the certificate for");
	return chain_holds(sc, root, why) && name_holds(sc, leaf, c, name, why);
}
