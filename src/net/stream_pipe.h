/*
 * A pipe in memory: two streams on one loop, what is written to one is read
 * from the other. Bounded, with half-close and reset like a socket, but without
 * a descriptor.
 */
#ifndef GARENNE_NET_STREAM_PIPE_H
#define GARENNE_NET_STREAM_PIPE_H

#include "net/stream.h"

/** Each direction holds at most @room bytes. Gives two ends; 0, or -ERR_NOMEM. */
int stream_pipe_new(struct loop *l, size_t room, struct stream *end[2]);

#endif
