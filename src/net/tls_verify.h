/*
 * Is this the server we mean? The order is Xray's: a pinned leaf settles it; a
 * pinned authority that the peer sent becomes the only root; then names, either
 * the ones listed or the server name, like Go checks them: alternative names
 * only, never the common name, and any configured certificate may be the root.
 */
#ifndef GARENNE_NET_TLS_VERIFY_H
#define GARENNE_NET_TLS_VERIFY_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "base/addr.h"
#include "conf/stream.h"

/** "www.hub.test." and "[::1]" as certificates spell them. */
void tls_plain_name(char out[ADDR_NAME_MAX + 1], const char *name);
/** Judges the chain in @sc, as OpenSSL hands it to a verify callback, for @name (a host name or
 * an address as text; "" when unknown). False: the reason is in @why[TLS_WHY_MAX] and the error
 * of @sc is set, which chooses the alert. */
bool tls_verify_chain(X509_STORE_CTX *sc, const struct conf_tls *c, const char *name, char *why);

#endif
