#include "net/ocsp.h"

#include <openssl/err.h>
#include <openssl/http.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

enum { SKEW_S = 300 }; /* how far clocks may be apart */

static int place_of(struct ocsp_place *out, const char *url)
{
	char *host = NULL, *path = NULL;
	int ssl = 0, port = 0, err = -ERR_MALFORMED;

	if (OSSL_HTTP_parse_url(url, &ssl, NULL, &host, NULL, &port, &path, NULL, NULL) == 1 && !ssl &&
	    port > 0 && port <= UINT16_MAX && strlen(path) < sizeof(out->path) &&
	    strcspn(path, " \r\n\t") == strlen(path) &&
	    addr_set_host(&out->at, span_str(host), (uint16_t)port) == 0) {
		snprintf(out->path, sizeof(out->path), "%s", *path ? path : "/");
		err = 0;
	}
	OPENSSL_free(host);
	OPENSSL_free(path);
	ERR_clear_error();
	return err;
}

int ocsp_place(struct ocsp_place *out, X509 *leaf)
{
	STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(leaf);
	int n = urls ? sk_OPENSSL_STRING_num(urls) : 0, err = -ERR_UNSUPPORTED;

	for (int i = 0; i < n && err; i++)
		err = place_of(out, sk_OPENSSL_STRING_value(urls, i));
	X509_email_free(urls);
	return err;
}

int ocsp_question(uint8_t **der, size_t *n, X509 *leaf, X509 *issuer)
{
	OCSP_REQUEST *q = OCSP_REQUEST_new();
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), leaf, issuer);
	int len = -1;

	*der = NULL;
	if (q && id && OCSP_request_add0_id(q, id)) {
		id = NULL; /* the request's now */
		len = i2d_OCSP_REQUEST(q, der);
	}
	OCSP_CERTID_free(id);
	OCSP_REQUEST_free(q);
	ERR_clear_error();
	*n = len > 0 ? (size_t)len : 0;
	return len > 0 ? 0 : -ERR_TLS;
}

static const char *judge_status(OCSP_BASICRESP *basic, OCSP_CERTID *id, time_t *until)
{
	ASN1_GENERALIZEDTIME *this_update = NULL, *next_update = NULL;
	int status = -1;
	struct tm tm;

	if (OCSP_resp_find_status(basic, id, &status, NULL, NULL, &this_update, &next_update) != 1)
		return "the answer is about another certificate";
	if (status == V_OCSP_CERTSTATUS_REVOKED)
		return "the certificate has been revoked";
	if (status != V_OCSP_CERTSTATUS_GOOD)
		return "the responder does not know the certificate";
	if (OCSP_check_validity(this_update, next_update, SKEW_S, -1) != 1)
		return "the answer is not of now";
	*until = 0;
	if (next_update && ASN1_TIME_to_tm(next_update, &tm) == 1)
		*until = timegm(&tm);
	return NULL;
}

static const char *judge_signature(OCSP_BASICRESP *basic, X509 *issuer)
{
	X509_STORE *store = X509_STORE_new();
	STACK_OF(X509) *certs = sk_X509_new_null();
	bool ok = store && certs && X509_STORE_add_cert(store, issuer) == 1 &&
		  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
		  sk_X509_push(certs, issuer) > 0 &&
		  OCSP_basic_verify(basic, certs, store, 0) == 1;

	sk_X509_free(certs);
	X509_STORE_free(store);
	return ok ? NULL : "the answer is not signed by the issuer or for it";
}

int ocsp_answer_check(struct span der, X509 *leaf, X509 *issuer, time_t *until, const char **why)
{
	const unsigned char *p = der.p;
	OCSP_RESPONSE *r = der.n && der.n <= INT32_MAX ? d2i_OCSP_RESPONSE(NULL, &p, (long)der.n) : NULL;
	OCSP_BASICRESP *basic = NULL;
	OCSP_CERTID *id = NULL;

	*why = NULL;
	if (!r || p != der.p + der.n)
		*why = "not an OCSP answer";
	else if (OCSP_response_status(r) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		*why = OCSP_response_status_str(OCSP_response_status(r));
	else
		basic = OCSP_response_get1_basic(r);
	if (!*why)
		id = OCSP_cert_to_id(EVP_sha1(), leaf, issuer);
	if (!*why && (!basic || !id))
		*why = "not an OCSP answer";
	if (!*why)
		*why = judge_signature(basic, issuer);
	if (!*why)
		*why = judge_status(basic, id, until);
	OCSP_CERTID_free(id);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(r);
	ERR_clear_error();
	return *why ? -ERR_AUTH : 0;
}
