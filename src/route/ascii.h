/* Letters of the names and codes that are compared without regard to case. */
#ifndef GARENNE_ROUTE_ASCII_H
#define GARENNE_ROUTE_ASCII_H

#include <stdint.h>

#include "base/span.h"

static inline uint8_t ascii_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;
}

/** @out has room for @s.n bytes; gives them back as a span. */
static inline struct span ascii_lower_copy(uint8_t *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		out[i] = ascii_lower(s.p[i]);
	return span_of(out, s.n);
}

/** @lower is in lower case already. */
static inline bool ascii_is(struct span s, const char *lower)
{
	size_t n = strlen(lower);

	if (s.n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (ascii_lower(s.p[i]) != (uint8_t)lower[i])
			return false;
	return true;
}

#endif
