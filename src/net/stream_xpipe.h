/*
 * A pipe in memory between two loops, that is two threads: for a flow that
 * cannot move to the loop of its carrier. Works on one loop, too.
 *
 * Each end belongs to its own loop alone. What one end writes goes into the
 * other's mailbox under a lock, and a post wakes its loop if it is not awake
 * already; credit for what was read comes back the same way. So each direction
 * holds at most the agreed number of bytes, and the streams behave like those
 * of stream_pipe.
 */
#ifndef GARENNE_NET_STREAM_XPIPE_H
#define GARENNE_NET_STREAM_XPIPE_H

#include "net/stream.h"

/**
 * Each direction holds at most @room bytes. Gives end[0], of loop @a, and end[1], of loop @b: the
 * caller, in the thread of one of them, hands the other end over with loop_post. Both ends must be
 * closed before their loops are freed. 0, or -ERR_NOMEM.
 */
int stream_xpipe_new(struct loop *a, struct loop *b, size_t room, struct stream *end[2]);

#endif
