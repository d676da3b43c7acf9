/*
 * What happens to a DNS query: the first rule that fits its type and name, or
 * else: addresses are asked of the built-in resolver, the names of addresses are
 * looked for in the host table, and anything else gets an empty answer.
 */
#ifndef GARENNE_PROXY_DNS_RULES_H
#define GARENNE_PROXY_DNS_RULES_H

#include "conf/outbound.h"
#include "route/lists.h"

struct dns_rules;

struct dns_verdict {
	enum conf_dns_action action;
	uint8_t rcode; /* of CONF_DNS_RETURN */
};

/** Borrows @rules for its life, @lists and @report for the call. NULL after an error was reported. */
struct dns_rules *dns_rules_new(const struct conf_dns_rule *rules, size_t n, struct lists *lists,
				struct route_report *report);
/** Takes NULL too. */
void dns_rules_free(struct dns_rules *r);
struct dns_verdict dns_rules_judge(const struct dns_rules *r, uint16_t type, const char *name);

#endif
