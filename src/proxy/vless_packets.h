/* VLESS command UDP: datagrams to and from one target, each with its length, over a stream. */
#ifndef GARENNE_PROXY_VLESS_PACKETS_H
#define GARENNE_PROXY_VLESS_PACKETS_H

#include "net/dgram.h"
#include "net/stream.h"

/** Takes @s (behind the VLESS headers). Gives; NULL (@s closed) when memory is out. */
struct dgram *vless_packets_new(struct stream *s);

#endif
