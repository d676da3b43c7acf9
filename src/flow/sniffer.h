/*
 * Waits for the first bytes of a flow to learn what they are: TLS, HTTP, QUIC,
 * BitTorrent, and for which name. Bounded in bytes and in time, because in some
 * protocols the server speaks first. The bytes stay with the flow. What a client
 * claims there never makes a flow a registration at a portal.
 */
#ifndef GARENNE_FLOW_SNIFFER_H
#define GARENNE_FLOW_SNIFFER_H

#include "base/span.h"
#include "flow/flow.h"

/** Begins; dispatch_route follows later. False: there is nothing to wait for. */
bool sniffer_start(struct flow *f);

/* What attrs rules see of an HTTP request. */
struct sniff_attrs;

/** Copies. Gives, or NULL when memory is out. @headers: whole lines. */
struct sniff_attrs *sniff_attrs_new(struct span method, struct span path, struct span headers);
/** Takes NULL too. */
void sniff_attrs_free(struct sniff_attrs *a);
/** Value by its lower-case name (":method", ":path"); p NULL: absent. @ctx is a struct sniff_attrs. */
struct span sniff_attr(void *ctx, const char *name);

#endif
