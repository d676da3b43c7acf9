/*
 * A stream of which some bytes were read too early: they come first, then the
 * layer lets itself be unwrapped.
 */
#ifndef GARENNE_PROXY_STREAM_FRONT_H
#define GARENNE_PROXY_STREAM_FRONT_H

#include "net/stream.h"

/** Takes @below and all of @front. Gives; @below itself when there is nothing to put in front;
 * NULL (@below closed) when memory is out. */
struct stream *stream_front_new(struct stream *below, struct bufq *front);

#endif
