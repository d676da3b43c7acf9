/*
 * Certificates with usage "issue": an authority whose key is here, and which
 * signs a certificate for whatever name a client asks for, during its handshake.
 *
 * As Xray does it: a P-256 key of its own for each name, valid from an hour ago
 * until in an hour, a new one when that is nearly over; buildChain sends the
 * authority's certificates along. At most TLS_ISSUED_MAX names are remembered, the
 * longest unused goes first.
 *
 * Shared by all threads. Signing is done outside of the lock.
 */
#ifndef GARENNE_NET_TLS_ISSUE_H
#define GARENNE_NET_TLS_ISSUE_H

#include <openssl/ssl.h>

#include "conf/stream.h"

struct tls_issuer;

enum {
	TLS_ISSUED_MAX = 256,
	TLS_ISSUED_S = 3600,	 /* how long one is good */
	TLS_ISSUED_SPARE_S = 120, /* one that ends sooner is not shown any more */
};

/** Borrows @c. Gives, or NULL and the cause in @why[TLS_WHY_MAX]. */
struct tls_issuer *tls_issuer_new(const struct conf_cert *c, char *why);
/** Takes NULL too. No handshake may use it any more. */
void tls_issuer_free(struct tls_issuer *i);
/** Gives @ssl, a server in its handshake, a certificate for @sni (lower case; "" for a client that
 * names none). 0, or -ERR_* and the cause in @why. Any thread. */
int tls_issuer_serve(struct tls_issuer *i, SSL *ssl, const char *sni, char *why);
/** Takes over an authority that was renewed on disk, and forgets what the old one signed. 1, 0 when
 * nothing has changed, -ERR_* and one line in the log when the new one is no good. One thread. */
int tls_issuer_reload(struct tls_issuer *i);

#endif
