/*
 * What a tlsSettings object means to OpenSSL: one context per inbound or
 * outbound, built at start, shared by all worker threads.
 *
 *   server  several certificates, chosen by SNI; ALPN as Go answers it; no
 *           tickets unless session resumption is on; certificate files that are
 *           renewed on disk are taken over without a restart
 *   client  verification by pins, listed names or the server name (tls_verify.h)
 *
 *           and, with a fingerprint, the hello of a browser (tls13_client.h)
 *   REALITY a client, too: the same with other settings
 *
 * Whatever is wrong with the settings is an error when the context is built.
 */
#ifndef GARENNE_NET_TLS_CTX_H
#define GARENNE_NET_TLS_CTX_H

#include <stdbool.h>

#include "conf/stream.h"
#include "net/loop.h"

struct tls_ctx;
struct tls_conn;
struct resolver;

enum {
	TLS_CTX_WHY_MAX = 256,
	TLS_RELOAD_MS = 60000, /* how often renewed files are looked for */
};

/** Borrows @c until tls_ctx_free. Gives, or NULL and the cause (file and reason) in
 * @why[TLS_CTX_WHY_MAX]. */
struct tls_ctx *tls_ctx_new_client(const struct conf_tls *c, char *why);
struct tls_ctx *tls_ctx_new_reality(const struct conf_reality_client *c, char *why);
struct tls_ctx *tls_ctx_new_server(const struct conf_tls *c, char *why);
/** Takes NULL too. Handshakes that use it must be over or cancelled and the watch stopped;
 * established streams need nothing of it but its memory, which they keep by themselves. */
void tls_ctx_free(struct tls_ctx *x);

/**
 * Looks once whether certificate files have changed and takes them over: new
 * handshakes get the new certificates, running ones and streams keep theirs.
 * 1 when something was taken over, 0 when nothing changed, -ERR_* when a new file
 * is no good: then the old pair stays and a line is logged, once for each state
 * of the file. Any thread, one at a time.
 */
int tls_ctx_reload(struct tls_ctx *x);
/** Calls tls_ctx_reload each TLS_RELOAD_MS on @l, if there is a file to watch, and keeps the staples
 * fresh (ocsp_staple.h): @r (for names) and @opts (for the sockets) are for that, may be NULL and are
 * borrowed. */
void tls_ctx_watch(struct tls_ctx *x, struct loop *l, struct resolver *r,
		   const struct conf_sockopt *opts);
void tls_ctx_unwatch(struct tls_ctx *x);

bool tls_ctx_is_server(const struct tls_ctx *x);

#endif
