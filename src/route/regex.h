/*
 * A list of regular expressions, each with a number; the lowest number of those
 * that match is the answer. The only place that knows PCRE2.
 *
 * The language is that of Go's regexp package, which the configuration format
 * means, plus what PCRE2 has beyond it: UTF-8, unanchored, case-sensitive, "$"
 * only at the very end. Expressions come from the operator, texts from strangers:
 * the work for one match is limited, and one that hits the limit counts as "does
 * not match" (regex_limits).
 *
 * Filled, then only read, by any number of threads.
 */
#ifndef GARENNE_ROUTE_REGEX_H
#define GARENNE_ROUTE_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "route/report.h"

struct regex;

#define REGEX_NONE UINT32_MAX

/** NULL without memory. */
struct regex *regex_new(void);
void regex_free(struct regex *r);
/**
 * 0, -ERR_NOMEM, or -ERR_MALFORMED with the reason in @why. Add those with lower
 * numbers first: a search ends at the first match.
 */
int regex_add(struct regex *r, struct span pattern, uint32_t value, char why[ROUTE_WHY_MAX]);
bool regex_empty(const struct regex *r);

/** The lowest number below @below, or REGEX_NONE. */
uint32_t regex_find(const struct regex *r, struct span text, uint32_t below);
static inline bool regex_has(const struct regex *r, struct span text)
{
	return regex_find(r, text, REGEX_NONE) != REGEX_NONE;
}
/** The part of @text that the first matching expression matched; p == NULL when none does. */
struct span regex_search(const struct regex *r, struct span text);
/** Matches given up at the limit since the start. */
uint64_t regex_limits(const struct regex *r);
size_t regex_memory(const struct regex *r);

#endif
