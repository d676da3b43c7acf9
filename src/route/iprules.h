/*
 * A compiled list of IP conditions.
 *
 * The entries are sorted into those without "!" and, apart from each other, the
 * prefixes and the named lists with "!". Each sort is one set. An address fits
 * when it is in the first set, or outside one of the other two; a set without a
 * prefix of the address's family says no, even when it is turned round. This is
 * what Xray does: "!" entries of one sort are joined by AND, those of different
 * sorts by OR.
 *
 * Filled, sealed, then only read, by any number of threads.
 */
#ifndef GARENNE_ROUTE_IPRULES_H
#define GARENNE_ROUTE_IPRULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"

struct iprules;

enum iprules_sort {
	IPRULES_IN = 0,
	IPRULES_NOT_PREFIX,
	IPRULES_NOT_LISTED,
	IPRULES_SORTS_,
};

/** NULL without memory. */
struct iprules *iprules_new(void);
/** One more owner; gives @r back. */
struct iprules *iprules_ref(struct iprules *r);
/** One owner less; the last one frees. */
void iprules_free(struct iprules *r);
/** 0, -ERR_NOMEM or -ERR_LIMIT. */
int iprules_add(struct iprules *r, enum iprules_sort sort, const struct prefix *p);
/** Ends the filling. 0 or -ERR_NOMEM: then only free it. */
int iprules_seal(struct iprules *r);

bool iprules_has(const struct iprules *r, const struct ip *ip);
/** True when one of the addresses fits. */
bool iprules_has_any(const struct iprules *r, const struct ip *ips, size_t n);
size_t iprules_memory(const struct iprules *r);

#endif
