/*
 * The Online Certificate Status Protocol (RFC 6960) from the side of a server
 * that wants to show a fresh answer about its own certificate: the question, and
 * whether the answer may be shown. By OpenSSL; nothing here waits or opens anything.
 */
#ifndef GARENNE_NET_OCSP_H
#define GARENNE_NET_OCSP_H

#include <openssl/x509.h>
#include <time.h>

#include "base/addr.h"
#include "base/span.h"

enum { OCSP_PATH_MAX = 1024 };

/* Where to ask. */
struct ocsp_place {
	struct addr at;
	char path[OCSP_PATH_MAX]; /* begins with '/' */
};

/** The first responder of @leaf that is asked by plain HTTP. 0, -ERR_UNSUPPORTED when it names none,
 * -ERR_MALFORMED. */
int ocsp_place(struct ocsp_place *out, X509 *leaf);
/** The question in DER. Gives memory of OpenSSL's (OPENSSL_free). 0 or -ERR_TLS. */
int ocsp_question(uint8_t **der, size_t *n, X509 *leaf, X509 *issuer);
/**
 * May @der be shown beside @leaf? It must be signed by @issuer or by whom the issuer lets answer,
 * be about @leaf, of now, and say "good". 0 and the end of its life in *@until (0: it names
 * none), or -ERR_* and words in *@why.
 */
int ocsp_answer_check(struct span der, X509 *leaf, X509 *issuer, time_t *until, const char **why);

#endif
