/*
 * Bytes that have been read of a stream already, put back in front of it. Once
 * they are gone the layer has nothing to do and unwraps.
 */
#ifndef GARENNE_NET_STREAM_FRONT_H
#define GARENNE_NET_STREAM_FRONT_H

#include "net/stream.h"

/** Takes @below and the bytes of @front. Gives; @below itself when there is no byte; NULL when
 * memory is out, then @below is closed. */
struct stream *stream_front_new(struct stream *below, struct bufq *front);

#endif
