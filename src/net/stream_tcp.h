/* A connected socket (TCP or unix) as a stream. */
#ifndef GARENNE_NET_STREAM_TCP_H
#define GARENNE_NET_STREAM_TCP_H

#include "net/stream.h"

/** Takes @fd (non-blocking, connected), also on failure. Gives; NULL when memory is out. */
struct stream *stream_tcp_new(struct loop *l, int fd);
/** Bounds what the kernel holds unsent, so that what matters next is decided as late as possible.
 * @bytes 0: the kernel's default. Only for streams of this kind. */
void stream_tcp_limit_unsent(struct stream *s, unsigned bytes);
/** Resets those of this loop's connections whose own address this machine has no more: nothing
 * that is sent on them leaves, and nobody would hear of it for minutes. On the loop. */
void stream_tcp_check_addresses(struct loop *l);
/** The descriptor, still owned by the stream, whatever layers say about splicing. */
int stream_tcp_fd(struct stream *s);

#endif
