/*
 * The door between OpenSSL and our queues: a BIO that reads from one queue and
 * appends to another. It lets OpenSSL see one whole record at a time, so that
 * bytes behind the current record never end up inside the SSL object; leaving
 * it after the handshake then loses nothing.
 */
#ifndef GARENNE_NET_TLS_BIO_H
#define GARENNE_NET_TLS_BIO_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/buf.h"

struct tls_bio {
	struct bufq *in, *out; /* set by the caller around each call of OpenSSL */
	size_t left;	       /* bytes of the current record that OpenSSL has not fetched yet */
	size_t read;	       /* bytes fetched in all; for counting by the caller */
	bool one;	       /* stop at the end of one record, until tls_bio_next */
	bool used;	       /* that record has been started */
	bool garbage;	       /* no record began where one should */
	bool broken;	       /* memory ran out while writing */
};

/** Gives, or NULL when memory is out. */
BIO_METHOD *tls_bio_method(void);
/** Makes @io, which the caller keeps alive, both ends of @ssl. 0 or -ERR_NOMEM. */
int tls_bio_attach(SSL *ssl, BIO_METHOD *method, struct tls_bio *io);
/** Allows the next record when io->one is set. */
static inline void tls_bio_next(struct tls_bio *io)
{
	io->used = false;
}

#endif
