/*
 * Files of named lists, geoip.dat and geosite.dat in v2fly's format: a message of
 * Protocol Buffers without header or index.
 *
 *   GeoIPList   { entry: 1 repeated GeoIP }
 *   GeoIP       { code: 1 | cidr: 2 repeated CIDR }
 *   CIDR        { ip: 1 bytes, 4 or 16 | prefix: 2 }
 *   GeoSiteList { entry: 1 repeated GeoSite }
 *   GeoSite     { code: 1 | domain: 2 repeated Domain }
 *   Domain      { type: 1 | value: 2 | attribute: 3 repeated Attribute }
 *   Attribute   { key: 1 | bool_value: 2 | int_value: 3 }
 *
 * Other fields are skipped; one that is absent is 0 or empty. Cursors read entry
 * by entry and copy nothing: what they give borrows from the file, which may be
 * mapped memory. Writers append a whole list.
 */
#ifndef GARENNE_PROTO_GEODAT_H
#define GARENNE_PROTO_GEODAT_H

#include "base/addr.h"
#include "base/span.h"

enum geodat_type {
	GEODAT_SUBSTRING = 0,
	GEODAT_REGEXP,
	GEODAT_DOMAIN, /* the name itself and everything below it */
	GEODAT_FULL,
};

/* One list: what it is called and what is left of it. */
struct geodat_list {
	struct span code;
	struct rd entries;
};

struct geodat_domain {
	enum geodat_type type;
	struct span value;
	struct span message; /* for geodat_has_attribute */
};

/** The next list of a file; 1, 0 at the end, or -ERR_MALFORMED. */
int geodat_next_list(struct rd *file, struct geodat_list *out);
/** The first list called @code, without regard to the case of ASCII letters; 1, 0 when there is
 * none, or -ERR_MALFORMED. */
int geodat_find(struct geodat_list *out, struct span file, struct span code);

/**
 * The next prefix or domain; 1, 0 at the end, or -ERR_MALFORMED. Entries that are
 * well-formed but mean nothing (an address of 5 bytes, an unknown type) give 1
 * with family 0, or with an empty value.
 */
int geodat_next_prefix(struct geodat_list *l, struct prefix *out);
int geodat_next_domain(struct geodat_list *l, struct geodat_domain *out);

/** True when the domain has the attribute @key, compared as codes are; its value does not count. */
bool geodat_has_attribute(const struct geodat_domain *d, struct span key);

/* A domain to be written. */
struct geodat_rule {
	enum geodat_type type;
	const char *value;
	const char *attributes; /* names with blanks between them, or NULL */
};

/** Appends a list with @n prefixes or domains to a file. 0; -ERR_LIMIT: no room, or a value of
 * more than GEODAT_VALUE_MAX bytes. */
int geodat_write_prefixes(struct wr *out, struct span code, const struct prefix *p, size_t n);
int geodat_write_domains(struct wr *out, struct span code, const struct geodat_rule *r, size_t n);

enum { GEODAT_VALUE_MAX = 1024 };

#endif
