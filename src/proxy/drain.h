/*
 * The end of a connection that is not simply closed: last words are written
 * and whatever the peer still sends is read and thrown away. Thereby no reset
 * overtakes the answer, and the moment of closing does not tell how many bytes
 * were looked at.
 */
#ifndef GARENNE_PROXY_DRAIN_H
#define GARENNE_PROXY_DRAIN_H

#include "net/stream.h"

/* Long enough for an answer to be read on a slow line. */
enum { DRAIN_GOODBYE_MS = 3000 };

/**
 * Takes @s and the bytes of @last (NULL: none); closes when the peer has finished or broken, at the
 * latest after @ms. With @finish the peer is told that we have finished as soon as @last is
 * written; without, it sees nothing but silence.
 */
void drain_start(struct stream *s, struct bufq *last, bool finish, uint64_t ms);

#endif
