/* Random choices that a configuration bounds. None of them is a secret. */
#ifndef GARENNE_PROXY_DRAW_H
#define GARENNE_PROXY_DRAW_H

#include "conf/value.h"
#include "crypto/rand.h"

/** A number of the range, both ends included; the lower end when the range is upside down, and
 * never below zero. */
static inline uint32_t draw_range(struct conf_range r)
{
	uint32_t from = r.from > 0 ? (uint32_t)r.from : 0;

	if (r.to <= r.from || r.to < 0)
		return from;
	return from + rand_below((uint32_t)r.to - from + 1);
}

#endif
