/*
 * The entries of one named list of geoip.dat or geosite.dat (v2fly's format, a
 * message of Protocol Buffers): what geofiles_list gives, entry by entry.
 *
 *   GeoIPList   { entry: 1 repeated GeoIP }
 *   GeoIP       { code: 1 | cidr: 2 repeated CIDR }
 *   CIDR        { ip: 1 bytes, 4 or 16 | prefix: 2 }
 *   GeoSiteList { entry: 1 repeated GeoSite }
 *   GeoSite     { code: 1 | domain: 2 repeated Domain }
 *   Domain      { type: 1 | value: 2 | attribute: 3 repeated Attribute }
 *   Attribute   { key: 1 | ... }
 *
 * Other fields are skipped; one that is absent is 0 or empty. Pure.
 */
#ifndef GARENNE_ROUTE_GEOLIST_H
#define GARENNE_ROUTE_GEOLIST_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/span.h"
#include "route/domset.h"

/* Zero-initialised members are private. */
struct geolist {
	struct rd entry; /* what is left of the list */
};

struct geolist_domain {
	enum domset_kind kind;
	struct span value;
	struct span message; /* for geolist_has_attr */
};

/** Borrows @file, which has one entry. 0 or -ERR_MALFORMED. */
int geolist_open(struct geolist *l, struct span file);

/**
 * The next prefix or domain; 1, 0 at the end, or -ERR_MALFORMED. Entries that are
 * well-formed but mean nothing (an address of 5 bytes, an unknown type) give 1
 * with family 0, or with an empty value.
 */
int geolist_next_prefix(struct geolist *l, struct prefix *out);
int geolist_next_domain(struct geolist *l, struct geolist_domain *out);

/** True when the domain has the attribute @key, compared without regard to case. */
bool geolist_has_attr(const struct geolist_domain *d, struct span key);

#endif
