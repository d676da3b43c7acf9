/*
 * A visitor of a port with REALITY and the target, joined: what the one sends the
 * other gets, unchanged, until both have finished. No flow, no rule, no log line.
 * A loop has so many of them at most; then the oldest makes room.
 */
#ifndef GARENNE_FLOW_STRANGER_H
#define GARENNE_FLOW_STRANGER_H

#include "flow/core.h"
#include "net/stream.h"

enum {
	STRANGERS_MAX = 4096, /* of one loop; two descriptors each */
	/* Servers end silent connections earlier: this is for the few that never do. */
	STRANGER_IDLE_MS = 3600 * 1000,
};

/** Takes both streams, on the loop of @w, and @early, which is for @target. */
void stranger_start(struct worker *w, struct stream *client, struct stream *target,
		    struct bufq *early);

#endif
