/*
 * The end of a TCP connection on which the peer is still sending. A socket that
 * is closed while bytes wait in it answers with a reset, and a reset destroys what
 * the peer has received but not yet read. So, when there are such bytes, we finish
 * sending, throw away what comes until the peer has finished too, and close then;
 * for a short time and a few bytes only.
 */
#ifndef GARENNE_NET_LINGER_H
#define GARENNE_NET_LINGER_H

#include "net/loop.h"

enum {
	LINGER_MS = 2000,
	LINGER_BYTES = 256 << 10,
	LINGER_MAX = 1024, /* at once, in each thread; the others are simply closed */
};

/** Takes @fd, a connected stream socket of which nobody else has a watch. */
void linger_close(struct loop *l, int fd);

#endif
