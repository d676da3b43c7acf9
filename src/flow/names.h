/*
 * The name rules of the dns object, compiled: the host table, which server is
 * asked for which names, which answers are believed.
 */
#ifndef GARENNE_FLOW_NAMES_H
#define GARENNE_FLOW_NAMES_H

#include "conf/dns.h"
#include "net/resolve.h"
#include "route/lists.h"

struct names;

/** Borrows @dns. Gives, or NULL with messages in @report. */
struct names *names_new(const struct conf_dns *dns, struct lists *lists,
			struct route_report *report);
/** For resolvers, any number, any thread. */
const struct resolve_rules *names_rules(const struct names *n);
/** Takes NULL too. */
void names_free(struct names *n);

#endif
