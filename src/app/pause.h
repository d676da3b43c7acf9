/* A moment in which no loop runs, for what they all read and nobody locks. */
#ifndef GARENNE_APP_PAUSE_H
#define GARENNE_APP_PAUSE_H

#include "flow/core.h"

/**
 * Calls @job from the first worker, whose thread this is, while all others wait between two of their
 * events. Takes as long as the longest event and @job; loops that run not yet, or no more, would
 * never come. 0, or -ERR_NOMEM: then it was not called.
 */
int pause_all(struct core *c, void (*job)(void *ctx), void *ctx);

#endif
