/*
 * TLS as a layer: a stream of bytes on top of a stream of records.
 *
 *   user  <-- bytes -->  stream_tls  <-- records -->  lower stream
 *                            |
 *                     struct tls_engine (tls_ssl.c or tls_fast.c)
 *
 * The handshake is an object of its own that lives until it succeeds or fails;
 * success gives the stream, with TLS 1.3 on the fast engine wherever possible.
 *
 *  - Records are decrypted where the lower stream's read() put them: nobody else
 *    may look at those bytes. Idle streams hold no buffers.
 *  - A peer that closes without close_notify gives -ERR_EOF at the end of a
 *    record (what follows has its own framing) and -ERR_RESET inside one.
 *  - write() seals STREAM_READ_MAX at most before the lower stream has taken it
 *    all: little is queued here, so what matters next is decided late.
 *  - shutdown() is close_notify and then the lower stream's shutdown().
 *  - After the last record of a direction the bytes may stop being TLS: see the
 *    raw functions.
 */
#ifndef GARENNE_NET_STREAM_TLS_H
#define GARENNE_NET_STREAM_TLS_H

#include <stdbool.h>

#include "net/stream.h"

struct tls_ctx;
struct tls_engine;
struct tls_handshake;
struct tls_user;

enum { TLS_LINGER_MS = 5000 }; /* how long close(0) tries to deliver what is queued */

struct tls_info {
	unsigned version;   /* 0x0303, 0x0304 */
	const char *cipher; /* OpenSSL's name */
	const char *alpn;   /* "" when none was agreed */
	const char *sni;    /* server: what the client asked for, lower case; "" for none */
	bool resumed;
	bool fast; /* on our own record layer */
};

struct tls_user {
	/* Gives @s, with no user and no interest; or NULL, the reason @err (-ERR_*) and words in
	 * @why, and the lower stream is closed. @info (NULL on failure) and @why are valid during
	 * the call. The handshake object is gone. */
	void (*on_done)(struct tls_user *u, struct stream *s, const struct tls_info *info, int err,
			const char *why);
};

/**
 * Starts a handshake on @lower (takes) and @early (may be NULL; takes its bytes:
 * what has been read of @lower already). Calls back later, from the loop, never
 * from inside. There is no time limit here: the caller has one and cancels.
 * @dialled: the host that was dialled, for settings without serverName.
 * Gives a handle that is valid until the call back, or NULL when memory is out;
 * then @lower is closed. @ctx is borrowed until the handshake is over.
 */
struct tls_handshake *tls_client_start(struct stream *lower, struct tls_ctx *ctx,
				       const char *dialled, struct tls_user *user);
struct tls_handshake *tls_server_start(struct stream *lower, struct bufq *early,
				       struct tls_ctx *ctx, struct tls_user *user);
/** Gives up without calling back; the lower stream is closed with @err. */
void tls_cancel(struct tls_handshake *h, int err);

/**
 * A stream on @lower (takes) with @engine (takes), whose handshake is complete.
 * Takes the contents of @in (records that have been read already) and @out
 * (bytes that must go first). Gives, or NULL when memory is out; then all is closed.
 */
struct stream *stream_tls_new(struct stream *lower, struct tls_engine *engine, struct bufq *in,
			      struct bufq *out);
/** True for streams of this kind. */
bool stream_is_tls(const struct stream *s);
/** 0x0303, 0x0304. */
unsigned stream_tls_version(const struct stream *s);

/*
 * Leaving TLS without closing it, each direction for itself, at a moment that
 * the protocol inside has agreed on. The order for reading is: one record per
 * read() from the start (stream_tls_single), look at what it brought, and when
 * that announces raw bytes, stream_tls_raw_read. Once both directions are raw and
 * nothing is held here, stream_unwrap gives the lower stream; one that is raw alone
 * has a descriptor (stream_fd) of its own. After raw writing has begun nothing
 * of ours appears in that direction, not even an answer to a key update.
 */

/** @on: no read() goes beyond the end of one record. */
void stream_tls_single(struct stream *s, bool on);
/** What follows the records read so far is passed up as it comes. */
void stream_tls_raw_read(struct stream *s);
/** What is written from now on goes out as it is, after what is queued; shutdown() sends no
 * close_notify then. */
void stream_tls_raw_write(struct stream *s);

#endif
