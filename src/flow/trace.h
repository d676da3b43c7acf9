/*
 * Telling a traced flow's hook what happens to it: each decision with its rule
 * and line, each thing tried with its result. Costs a test of one bit for the
 * flows that nobody traces.
 */
#ifndef GARENNE_FLOW_TRACE_H
#define GARENNE_FLOW_TRACE_H

#include "flow/flow.h"

enum { TRACE_LINE = 240 };

/** Is anybody told? Ask before preparing words. */
static inline bool trace_on(const struct flow *f)
{
	return f->traced && f->hook && f->hook->line;
}

/** One step, in words; this node's name goes in front. Cut to TRACE_LINE. */
void trace_say(struct flow *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** A step that another node told: foreign bytes, so what is not printable is replaced. */
void trace_pass(struct flow *f, struct span text);
/** Which rule sends @f where; by the dispatcher. */
void trace_route(struct flow *f);

#endif
