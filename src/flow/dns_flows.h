/*
 * The door of the resolver (net/dns_door.h): queries of configured name servers are
 * flows like any other, with the dns object's tag as their inbound's, and the rules
 * say where they go. Nothing on their way asks the resolver: it would wait for itself.
 */
#ifndef GARENNE_FLOW_DNS_FLOWS_H
#define GARENNE_FLOW_DNS_FLOWS_H

#include "flow/core.h"
#include "net/dns_door.h"

struct dns_flows {
	struct dns_door door;
	struct core *core;
};

/** Borrows @c. */
void dns_flows_init(struct dns_flows *d, struct core *c);

#endif
