/*
 * Names that a dns outbound answers by itself: those that end in one of its
 * zones, from its own table of names and addresses, both ways. Only the names
 * of the table exist in a zone. Names are compared without regard to case.
 */
#ifndef GARENNE_PROXY_DNS_ZONE_H
#define GARENNE_PROXY_DNS_ZONE_H

#include "conf/outbound.h"
#include "proto/dnsmsg.h"
#include "route/lists.h"

enum { DNS_ZONE_TTL_S = 60, DNS_ZONE_IPS = 16 };

enum dns_zone_found {
	DNS_ZONE_FOREIGN = 0, /* in none of the zones */
	DNS_ZONE_HERE,	      /* the name exists; there may be nothing of the type asked for */
	DNS_ZONE_NONE,	      /* in a zone, and not in the table */
};

struct dns_zone_answer {
	char zone[DNSMSG_NAME_MAX + 1]; /* that the name is in; "" when FOREIGN */
	struct ip ips[DNS_ZONE_IPS];	/* of both families */
	size_t n;
	const char *host; /* for PTR: the name of the address, or NULL */
};

struct dns_zone;

/** Borrows @conf. Gives, or NULL with messages in @report, or for want of memory. */
struct dns_zone *dns_zone_new(const struct conf_out_dns *conf, struct lists *lists,
			      struct route_report *report);
/** Takes NULL too. */
void dns_zone_free(struct dns_zone *z);
/** Fills @out, whose host belongs to @z. */
enum dns_zone_found dns_zone_find(const struct dns_zone *z, const struct dnsmsg_query *q,
				  struct dns_zone_answer *out);

#endif
