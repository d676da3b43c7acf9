/*
 * What each outbound did on one worker: flows that reached their target and
 * flows that failed, bytes, and the last failure with its words. Kept per worker,
 * so that nobody waits for anybody; summed up when somebody asks.
 */
#ifndef GARENNE_FLOW_TALLY_H
#define GARENNE_FLOW_TALLY_H

#include <stdbool.h>

#include "flow/flow.h"

enum { TALLY_WHY = 96, TALLY_TARGET = 96 };

struct tally {
	uint64_t served, failed, up, down;
	uint64_t failed_ms; /* when the last one failed; 0: none has */
	int err;
	char target[TALLY_TARGET]; /* of the flow that failed last */
	char why[TALLY_WHY];
};

/** @f ends. Outbounds that are in no table (f->out NULL, too) are not counted. */
void tally_add(const struct flow *f, int err, const char *why);
/** Adds @from to @sum; the younger failure stays. */
void tally_sum(struct tally *sum, const struct tally *from);

#endif
