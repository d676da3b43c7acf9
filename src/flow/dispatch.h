/*
 * The one door between inbounds and outbounds: sniff if the inbound asks for
 * it, ask the rules, bring the flow to the loop of its outbound, open. What was
 * decided, and by which rule, is written on the flow.
 */
#ifndef GARENNE_FLOW_DISPATCH_H
#define GARENNE_FLOW_DISPATCH_H

#include "flow/flow.h"

/**
 * The server of f->out cannot be reached, and nothing of the flow has been sent: another member of
 * the balancer that chose it is tried, else the flow fails. Takes @f, as flow_failed does.
 */
void dispatch_elsewhere(struct flow *f, int err, const char *why);
/** f->out is set, and f->target as it wants it: the flow goes to the loop of f->out and is opened.
 * Takes @f. */
void dispatch_open(struct flow *f);
/** The server of @o was reached. Any thread. */
void dispatch_reached(struct outbound *o);
/** Would the rules lead a datagram to @to by the way that @f has taken? False also when they cannot
 * tell without asking for names. */
bool dispatch_same_way(const struct flow *f, const struct addr *to);
/** Sniffing is over: f->early, f->protocol, f->target, f->seen_name are set. */
void dispatch_route(struct flow *f);

#endif
