/*
 * The flow xtls-rprx-vision as a layer (proto/vision.h has the format):
 *
 *     user -- vision -- vless headers -- TLS 1.3 -- socket
 *
 * It pads what it is given until it has seen enough, takes the padding of the
 * peer off, and tells the TLS stream when one of its directions leaves TLS.
 * With both directions out of their blocks it has nothing left to do and lets
 * itself be unwrapped; a direction that is raw can be spliced even before.
 *
 *  - While blocks come in, the TLS stream is read one record at a time, so that
 *    what follows the last block is never taken for a record.
 *  - One block is one buf and one write, hence one record.
 *  - A client that has nothing to say sends its header with a block of padding
 *    alone, after a moment.
 *  - The frames of a mux are never the TLS they may carry: on carriers the blocks
 *    end after a few pieces, said by End, instead of going on for ever.
 *  - A direction that is raw ends with the end of the socket's direction:
 *    nothing of the outer TLS is sent behind it.
 */
#ifndef GARENNE_PROXY_VISION_STREAM_H
#define GARENNE_PROXY_VISION_STREAM_H

#include "base/uuid.h"
#include "net/stream.h"

/* How long clients wait for a first payload, as Xray's do. */
enum { VISION_LONELY_MS = 500, VISION_WHY_MAX = 64 };

struct vision_side {
	const struct uuid *id;	/* as in the request */
	const uint32_t *seed;	/* testseed, four numbers */
	uint32_t lonely_ms;	/* client: how long to wait for a first payload; 0: for ever */
};

/**
 * Takes @below, a VLESS stream (vless_stream.h) directly on @tls, a TLS stream.
 * Gives; NULL (@below closed) when memory is out.
 */
struct stream *vision_stream_new(struct stream *below, struct stream *tls,
				 const struct vision_side *side);
/** True for streams of this kind. */
bool vision_stream_is(const struct stream *s);
/** What @s, a stream of any kind, carries from now on is a mux. */
void vision_stream_carrier(struct stream *s);

/** NULL when Vision can run on @s, or the words of the refusal; valid as long as @room. */
const char *vision_stream_refusal(const struct stream *s, char room[VISION_WHY_MAX]);

#endif
