/*
 * A quick "surely not" for regular expressions: which pairs of neighbouring bytes
 * a text has, as a set of 256 bits, and which pairs every text must have that an
 * expression can match. An expression whose pairs are not all there need not be
 * tried; that is a few instructions instead of a match.
 */
#ifndef GARENNE_ROUTE_BIGRAM_H
#define GARENNE_ROUTE_BIGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct bigrams {
	uint64_t w[4];
};

void bigrams_of_text(struct bigrams *out, struct span text);
/** Empty when nothing is certain about the expression, which must be a valid one. */
void bigrams_of_regexp(struct bigrams *out, struct span pattern);

static inline bool bigrams_within(const struct bigrams *need, const struct bigrams *have)
{
	return ((need->w[0] & ~have->w[0]) | (need->w[1] & ~have->w[1]) |
		(need->w[2] & ~have->w[2]) | (need->w[3] & ~have->w[3])) == 0;
}

#endif
