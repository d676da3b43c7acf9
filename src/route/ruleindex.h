/*
 * Which rules can match a flow at all, without asking each of them.
 *
 * A hub with a thousand clients has thousands of rules that differ in one
 * inbound tag, user, name or address. Each rule is filed under the keys of one of
 * these conditions, the one whose keys the fewest other rules share; a flow looks
 * its own keys up and meets, in the order of the file, the rules filed there and
 * those that could not be filed. More than can match, never fewer: the rule
 * itself still has the say.
 */
#ifndef GARENNE_ROUTE_RULEINDEX_H
#define GARENNE_ROUTE_RULEINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "route/rule.h"
#include "route/view.h"

struct ruleindex;

#define RULEINDEX_END UINT32_MAX

enum { RULEINDEX_RUNS_MAX = 48 };

/* Ascending numbers of rules, in several sorted runs. Private. */
struct candidates {
	struct {
		const uint32_t *p, *end;
	} run[RULEINDEX_RUNS_MAX];
	unsigned n;
	bool overflow;	/* too many runs: all rules are candidates */
	uint32_t count; /* rules in all */
};

/** NULL without memory. Borrows nothing. */
struct ruleindex *ruleindex_new(const struct rule *rules, uint32_t n);
void ruleindex_free(struct ruleindex *x);
/** @out borrows from @x. */
void ruleindex_candidates(const struct ruleindex *x, struct route_view *v, struct candidates *out);
/** The first candidate at or after @from, or RULEINDEX_END. @from never goes back. */
uint32_t candidates_next(struct candidates *c, uint32_t from);
size_t ruleindex_memory(const struct ruleindex *x);

#endif
