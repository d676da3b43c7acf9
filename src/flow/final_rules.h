/*
 * The last word on where flows really go, by freedom or into a device: rules on the
 * address that is dialled, after resolving and redirecting, and behind them a built-in one that
 * depends on where the flow came from. Users of a server do not reach private
 * addresses, visitors of a VLESS reverse proxy reach nothing, unless a rule of
 * the configuration says so; as Xray since 26.5.
 */
#ifndef GARENNE_FLOW_FINAL_RULES_H
#define GARENNE_FLOW_FINAL_RULES_H

#include "conf/outbound.h"
#include "flow/flow.h"
#include "route/lists.h"

struct final_rules;

/** Borrows @rules for its life, @lists and @report for the call. NULL after an error was reported. */
struct final_rules *final_rules_new(const struct conf_final_rule *rules, size_t n,
				    struct lists *lists, struct route_report *report);
/** The same for an outbound of the kind @area; what is wrong is logged. */
struct final_rules *final_rules_load(const struct conf_final_rule *rules, size_t n,
				     const char *area);
/** Takes NULL too. */
void final_rules_free(struct final_rules *r);

/** May a flow of @origin go to @to on @net? If not, *@delay_s is how long it is to be kept. */
bool final_rules_allow(const struct final_rules *r, enum flow_origin origin, unsigned net,
		       const struct ipport *to, struct conf_range *delay_s);

#endif
