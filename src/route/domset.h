/*
 * A compiled list of domain patterns. Each pattern has a number, and the lowest
 * one of those that match a name is the answer; a list that only says yes or no
 * gives all of them 0.
 *
 * The time of a look-up does not depend on how many patterns there are, except
 * for regular expressions, which are tried one by one and last: a hash look-up
 * for the name and one for each of its labels, and one pass over the name for
 * all keywords together.
 *
 * Patterns are put in lower case, save for regular expressions, and compared with
 * the name in lower case. A dot at the end of a name is part of it. Filled,
 * sealed, then only read, by any number of threads.
 */
#ifndef GARENNE_ROUTE_DOMSET_H
#define GARENNE_ROUTE_DOMSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "route/domkey.h"
#include "route/regex.h"

enum domset_kind {
	DOMSET_KEYWORD = 0, /* anywhere in the name */
	DOMSET_REGEXP,
	DOMSET_DOMAIN,	/* the name itself and everything below it */
	DOMSET_FULL,	/* the name itself */
	DOMSET_DOTLESS, /* anywhere in a name without a dot; "" is every such name */
};

#define DOMSET_NONE UINT32_MAX

struct domset;

/** NULL without memory. */
struct domset *domset_new(void);
/** One more owner; gives @s back. */
struct domset *domset_ref(struct domset *s);
/** One owner less; the last one frees. */
void domset_free(struct domset *s);
/**
 * @value at most STRTAB_VALUE_MAX, never lower than that of an earlier regexp.
 * 0, -ERR_NOMEM, -ERR_LIMIT when the table is full, or -ERR_MALFORMED with the
 * reason in @why: an invalid expression, a dot in a dotless pattern, an empty
 * pattern. One that no name can match (longer than a name may be) is accepted.
 */
int domset_add(struct domset *s, enum domset_kind kind, struct span text, uint32_t value,
	       char why[ROUTE_WHY_MAX]);
/** Ends the filling. 0 or -ERR_NOMEM: then only free it. */
int domset_seal(struct domset *s);

uint32_t domset_find(const struct domset *s, const struct domkey *name);
static inline bool domset_has(const struct domset *s, const struct domkey *name)
{
	return domset_find(s, name) != DOMSET_NONE;
}
uint64_t domset_regexp_limits(const struct domset *s);
size_t domset_memory(const struct domset *s);

#endif
