/*
 * A bound on how fast a stream may be read: the first bytes pass freely, then a
 * bucket of tokens that is full at the beginning. Writing is not touched.
 */
#ifndef GARENNE_NET_STREAM_RATE_H
#define GARENNE_NET_STREAM_RATE_H

#include "conf/reality.h"
#include "net/stream.h"

/** Takes @below. Gives; @below itself when @limit has no rate; NULL when memory is out, then
 * @below is closed. Copies @limit. */
struct stream *stream_rate_new(struct stream *below, const struct conf_fallback_rate *limit);

#endif
