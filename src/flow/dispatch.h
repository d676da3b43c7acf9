/*
 * The one door between inbounds and outbounds: sniff if the inbound asks for
 * it, ask the rules, bring the flow to the loop of its outbound, open. What was
 * decided, and by which rule, is written on the flow.
 */
#ifndef GARENNE_FLOW_DISPATCH_H
#define GARENNE_FLOW_DISPATCH_H

#include "flow/flow.h"

/** Sniffing is over: f->early, f->protocol, f->target, f->seen_name are set. */
void dispatch_route(struct flow *f);

#endif
