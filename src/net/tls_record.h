/*
 * Record protection of TLS 1.3 (RFC 8446 section 5), one direction at a time.
 *
 *   +------+---------+--------+-----------------------------------+---------+
 *   | 0x17 | 03 03   | length | content | type | zeros (padding)  | tag, 16 |
 *   +------+---------+--------+-----------------------------------+---------+
 *    <- the header, 5: AAD --> <------------- encrypted ---------->
 *
 * Pure: bytes and keys in, bytes out; no descriptor, clock, log. Everything
 * works on queues of bufs and nothing is copied where that can be helped:
 * opening decrypts where the bytes lie, also when a record is spread over
 * several bufs; sealing encrypts in place when a buf has the room round its
 * payload, otherwise from its place into a new buf.
 *
 * Alerts, key updates and tickets are contents; what they mean is not decided
 * here (see tls_fast.c).
 */
#ifndef GARENNE_NET_TLS_RECORD_H
#define GARENNE_NET_TLS_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/span.h"
#include "crypto/tls13.h"

/* Content types, RFC 8446 section 5.1. */
enum tls_type {
	TLS_TYPE_CCS = 20,
	TLS_TYPE_ALERT = 21,
	TLS_TYPE_HANDSHAKE = 22,
	TLS_TYPE_DATA = 23,
};

enum {
	TLS_HEADER_LEN = 5,
	TLS_TAG_LEN = 16,
	TLS_PLAIN_MAX = 16384,		 /* section 5.1 */
	TLS_CIPHER_MAX = 16384 + 256,	 /* section 5.2 */
	TLS_CIPHER_MAX_12 = 16384 + 2048, /* RFC 5246 section 6.2.3 */
};

struct tls_header {
	uint8_t type;
	uint16_t version, len;
};

/** A record's header as it stands: 5 consumed, 0 when @in is shorter, -ERR_MALFORMED when no
 * version of TLS from 1.0 on starts a record so, -ERR_LIMIT when the length is above any bound. */
ssize_t tls_header_decode(struct tls_header *out, struct span in);
/** Length of the record in front of @in, header included; 0 when it is not complete, or as
 * tls_header_decode. */
ssize_t tls_record_ready(const struct bufq *in);

struct evp_cipher_ctx_st;

/* The keys of one direction. */
struct tls_dir {
	struct evp_cipher_ctx_st *evp; /* keyed; a record only sets the nonce */
	uint64_t seq;
	struct tls_secret secret;
	uint16_t suite;
	uint16_t plain_max; /* content of a record that is sealed: TLS_PLAIN_MAX, or less */
	uint8_t iv[TLS_IV_LEN];
};

/** Keys for @suite from a traffic secret of its length (copied), sequence number 0. 0,
 * -ERR_UNSUPPORTED for another suite or length, -ERR_NOMEM. On failure @d needs no fini. */
int tls_dir_init(struct tls_dir *d, uint16_t suite, const struct tls_secret *secret, bool seal);
/** The next generation of keys (section 7.2), sequence number 0. 0 or -ERR_NOMEM. */
int tls_dir_update(struct tls_dir *d);
/** Wipes. Harmless on zeroed memory. */
void tls_dir_fini(struct tls_dir *d);

/**
 * Opens the record in front of @in: its bytes leave @in, the content goes to the
 * end of @to (nothing for an empty one), its type to *@type. The bytes are
 * decrypted where they lie: nobody else may be looking at them.
 * Returns the bytes consumed, 0 while the record is incomplete, or
 *   -ERR_AUTH       bad tag, or too short to have one
 *   -ERR_LIMIT      longer than the RFC allows
 *   -ERR_MALFORMED  not a protected record, or nothing but padding
 *   -ERR_NOMEM
 * After a failure the direction is dead and the record's bytes may be gone.
 */
ssize_t tls_record_open(struct tls_dir *d, struct bufq *in, struct bufq *to, uint8_t *type);
/**
 * Appends one record of @type to @out, made of the front of @from: as many whole
 * bufs as fit, at least the first or the first @d->plain_max bytes of it; an empty
 * record when @from is empty. Returns the bytes taken from @from or -ERR_NOMEM.
 * Callers that want in-place speed hand in bufs of at most 16384 bytes with
 * their chunk to themselves, 5 bytes of headroom and 17 of tailroom.
 */
ssize_t tls_record_seal(struct tls_dir *d, uint8_t type, struct bufq *from, struct bufq *out);
/** Appends one record of @total bytes, header and tag included, that has no content but padding.
 * @total is cut to what a record can have. 0 or -ERR_NOMEM. */
int tls_record_seal_empty(struct tls_dir *d, uint8_t type, size_t total, struct bufq *out);

#endif
