/*
 * A name made ready for matching: in lower case, with the hash of each suffix
 * that begins at a label. Made once per flow and used with every list.
 */
#ifndef GARENNE_ROUTE_DOMKEY_H
#define GARENNE_ROUTE_DOMKEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/span.h"

/* The memory is not initialised beyond what the counts say. */
struct domkey {
	uint16_t len;
	uint16_t n_suffixes;
	uint32_t hash;			     /* of the whole name */
	uint8_t at[ADDR_NAME_MAX];	     /* where each suffix begins, the shortest first */
	uint32_t suffix_hash[ADDR_NAME_MAX]; /* the name itself is not among them */
	char name[ADDR_NAME_MAX + 1];	     /* NUL-terminated */
};

/** False, and @k unusable, when @name is empty or longer than ADDR_NAME_MAX. */
bool domkey_init(struct domkey *k, struct span name);

static inline struct span domkey_name(const struct domkey *k)
{
	return span_of(k->name, k->len);
}

static inline struct span domkey_suffix(const struct domkey *k, size_t i)
{
	return span_of(k->name + k->at[i], (size_t)(k->len - k->at[i]));
}

#endif
