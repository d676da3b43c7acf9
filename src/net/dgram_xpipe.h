/*
 * A pipe of packets between two loops, that is two threads: what is sent into
 * one end comes out of the other with its address; so does word of what came back. Works on one loop, too. What
 * the other loop has not yet fetched is bounded; the rest is dropped.
 */
#ifndef GARENNE_NET_DGRAM_XPIPE_H
#define GARENNE_NET_DGRAM_XPIPE_H

#include "net/dgram.h"

enum {
	DGRAM_XPIPE_MAX = 256, /* packets under way in one direction */
	DGRAM_XPIPE_BYTES = 512 * 1024,
};

/** As stream_xpipe_new. The close of one end is the end (on_end) of the other: with its fault, or
 * -ERR_END. */
int dgram_xpipe_new(struct loop *a, struct loop *b, struct dgram *end[2]);

#endif
