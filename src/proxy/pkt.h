/* A header in front of a datagram. */
#ifndef GARENNE_PROXY_PKT_H
#define GARENNE_PROXY_PKT_H

#include "base/buf.h"

/** Takes @pkt, gives it with @head in front: in place if there is headroom, else as a copy. NULL
 * when memory is out. */
struct buf *pkt_prepend(struct buf *pkt, struct span head);

#endif
