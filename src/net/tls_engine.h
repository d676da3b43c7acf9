/*
 * What turns records into bytes and back once the handshake is over. Two kinds:
 *
 *   tls_ssl.c   the generic one, around OpenSSL's SSL object: every version and
 *               extension that OpenSSL knows
 *   tls_fast.c  TLS 1.3 only: our own record layer (tls_record.h) with keys taken
 *               from the handshake; no copies, no SSL object to keep
 *
 * An engine works on queues; it sees no stream, descriptor or clock. One call of
 * open handles one record and never looks behind it, so that the bytes that
 * follow stay in the caller's hands: they may turn out not to be TLS at all.
 */
#ifndef GARENNE_NET_TLS_ENGINE_H
#define GARENNE_NET_TLS_ENGINE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "net/tls_record.h"

struct tls_engine;

struct tls_engine_ops {
	const char *name;
	/*
	 * Opens the record in front of @in; content to the end of @to, which may stay
	 * as it is (tickets, key updates). What must be answered, alerts included,
	 * goes to the end of @reply. Returns the bytes consumed, 0 while the record is
	 * incomplete, -ERR_EOF once the peer has said that it has finished sending, or
	 * another -ERR_* for good, then e->why has words.
	 */
	ssize_t (*open)(struct tls_engine *e, struct bufq *in, struct bufq *to,
			struct bufq *reply);
	/* Takes bytes off the front of @from for one record at the end of @out. Returns how many
	 * (0 only when @from is empty), or -ERR_*. */
	ssize_t (*seal)(struct tls_engine *e, struct bufq *from, struct bufq *out);
	/* Appends "we have finished sending". */
	void (*finish)(struct tls_engine *e, struct bufq *out);
	void (*free)(struct tls_engine *e);
};

struct tls_engine {
	const struct tls_engine_ops *ops;
	const char *why; /* words for the last error; static, or valid as long as the engine */
	unsigned version; /* of the protocol: 0x0303, 0x0304 */
};

/**
 * The fast engine, for the state right after a TLS 1.3 handshake in which no
 * record of either direction has been protected by the application keys. Copies
 * the secrets; the caller wipes its own. Gives, or NULL with *@err set
 * (-ERR_UNSUPPORTED for an unknown suite, -ERR_NOMEM).
 */
struct tls_engine *tls_fast_new(uint16_t suite, bool server, const struct tls_secret *read,
				const struct tls_secret *write, int *err);
/** Appends a record without content, @total bytes long with its header: what only looks like
 * something. 0 or -ERR_NOMEM. */
int tls_fast_pad(struct tls_engine *e, size_t total, struct bufq *out);
/** Appends a fatal alert; nothing can be sent after it. */
void tls_fast_refuse(struct tls_engine *e, uint8_t alert, struct bufq *out);
/** Renews the sending key of a fast engine after @records instead of 2^23: what RFC 8446 allows
 * is too far away for tests. */
void tls_fast_limit_key(struct tls_engine *e, uint32_t records);
/** No record of ours has more than @bytes of content (RFC 8449). */
void tls_fast_limit_record(struct tls_engine *e, unsigned bytes);

#endif
