/*
 * What VLESS puts in front of a stream's payload, as a layer: the client writes
 * its request before its first bytes and reads a response before the server's;
 * the server does the opposite. Once both are through, the layer has nothing
 * left to do and lets itself be unwrapped.
 *
 * The header leaves in one write with the first payload, so that a server with
 * fallbacks sees it whole and the wire shows no lonely record. A client that
 * has nothing to say at first (SSH: the server speaks first) waits a moment,
 * then sends the header alone. With Vision above there is no such wait here: the
 * header leaves with a block of padding (vision_stream.h).
 */
#ifndef GARENNE_PROXY_VLESS_STREAM_H
#define GARENNE_PROXY_VLESS_STREAM_H

#include <stdatomic.h>

#include "net/stream.h"

enum { VLESS_LONELY_MS = 20, VLESS_NOW_MS = 1 };

struct vless_side {
	struct span head;	     /* what goes in front of our bytes; copied */
	bool client;		     /* a response is expected before the peer's bytes */
	bool half_close;	     /* the peer understands that we have finished sending */
	atomic_uint *server_caps;    /* client: set to what the response says (vless_cap.h);
				      * outlives the stream */
	uint32_t lonely_ms;	     /* client: how long to wait for a first payload; 0: for ever,
				      * whoever is above sees to it */
};

/** Takes @below. Gives; NULL (@below closed) when memory is out. */
struct stream *vless_stream_new(struct stream *below, struct bufq *early,
				const struct vless_side *side);
/* Told once when the response has come: 0, what it says of the target (-ERR_*), or why there is
 * none. */
struct vless_waiter {
	void (*on_response)(struct vless_waiter *w, int err);
};

/** Client: asks to be told, before anything is read. NULL takes it back. */
void vless_stream_await(struct stream *s, struct vless_waiter *w);
/** Server: sends @head now, instead of the one it was made with, which has not been sent. */
void vless_stream_answer(struct stream *s, struct span head);
/** Has all that was written, and the header, been taken by the stream below? */
bool vless_stream_sent(const struct stream *s);

#endif
