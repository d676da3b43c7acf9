/*
 * A TLS 1.3 handshake of our own, the client's side, for connections whose
 * ClientHello is to be a browser's (proto/fingerprint.h) or that of REALITY
 * (proto/reality.h).
 *
 *   HELLO -> [HelloRetryRequest -> HELLO] -> EXTENSIONS -> CERTIFICATE -> VERIFY
 *         -> FINISHED -> DONE
 *
 * One full handshake over certificates: no PSK, no early data. A request for a
 * client certificate is answered with none. TLS 1.2, which browsers offer and
 * some servers choose, is refused with words that help.
 *
 * Works on queues like an engine (tls_engine.h): records of the server in,
 * records for it out, no stream, no clock but for what certificates need. At the
 * end it gives a fast engine; everything secret is wiped with the handshake.
 */
#ifndef GARENNE_NET_TLS13_CLIENT_H
#define GARENNE_NET_TLS13_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct tls13_client;
struct tls_ctx;
struct tls_engine;

/** A handshake with the settings of @x, which has a fingerprint (a reference is kept). @dialled: as
 * for tls_client_start. Gives, or NULL with *@err. */
struct tls13_client *tls13_client_new(struct tls_ctx *x, const char *dialled, int *err);
/** Wipes. Takes NULL too. */
void tls13_client_free(struct tls13_client *c);
/**
 * Goes on with the records in @in; what must be sent, alerts included, goes to
 * the end of @out. The first call needs no input. 1 when the handshake is done:
 * what is left in @in belongs to the engine. 0 when more input is needed. -ERR_*
 * for good, then tls13_client_why has words.
 */
int tls13_client_step(struct tls13_client *c, struct bufq *in, struct bufq *out);
const char *tls13_client_why(const struct tls13_client *c);

/* After success. */

/** Gives the engine of the connection, or NULL with *@err. */
struct tls_engine *tls13_client_engine(const struct tls13_client *c, int *err);
/** The protocol agreed on, "" for none; valid as long as @c. */
const char *tls13_client_alpn(const struct tls13_client *c);
/** The name that was asked for and verified; valid as long as @c. */
const char *tls13_client_name(const struct tls13_client *c);
/** OpenSSL's name of the suite. */
const char *tls13_client_cipher(const struct tls13_client *c);
/** REALITY only: false when the certificate is a real one, valid for the name, of a server that
 * does not know us. Nothing of ours may be sent to it. */
bool tls13_client_trusted(const struct tls13_client *c);

#endif
