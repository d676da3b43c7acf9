/*
 * A set of addresses given as prefixes of both families. Whether an address is
 * in it costs a few memory accesses, whatever the number of prefixes.
 *
 * Filled, sealed, then only read, by any number of threads.
 */
#ifndef GARENNE_ROUTE_IPSET_H
#define GARENNE_ROUTE_IPSET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"

struct ipset;

/** NULL without memory. */
struct ipset *ipset_new(void);
void ipset_free(struct ipset *s);
/** 0, -ERR_NOMEM, or -ERR_LIMIT after 2^30 prefixes of one family. */
int ipset_add(struct ipset *s, const struct prefix *p);
/** Ends the filling; nothing may be added after it. 0 or -ERR_NOMEM: then only free it. */
int ipset_seal(struct ipset *s);

/** True when any prefix of family 4 or 6 was added. */
bool ipset_has_family(const struct ipset *s, uint8_t family);
bool ipset_has(const struct ipset *s, const struct ip *ip);
size_t ipset_memory(const struct ipset *s);

#endif
