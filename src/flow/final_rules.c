#include "flow/final_rules.h"

#include <stdlib.h>

#include "base/log.h"
#include "route/rule_lists.h"

/* Xray's default for a blocked connection. */
static const struct conf_range default_delay = {30, 90};

struct final_rules {
	const struct conf_final_rule *rules;
	size_t n;
	struct rule_lists *ips;
};

struct final_rules *final_rules_new(const struct conf_final_rule *rules, size_t n,
				    struct lists *lists, struct route_report *report)
{
	struct final_rules *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->rules = rules;
	r->n = n;
	r->ips = rule_lists_new(n);
	for (size_t i = 0; i < n; i++)
		rule_lists_add_ips(r->ips, &rules[i].at, rules[i].ips, lists, report);
	r->ips = rule_lists_done(r->ips);
	if (r->ips)
		return r;
	free(r);
	return NULL;
}

static void report_line(void *ctx, enum route_level level, const struct conf_at *at,
			const char *text)
{
	log_line(level == ROUTE_ERROR ? LOG_ERROR : LOG_WARN, 0, (const char *)ctx, "%s:%d: %s: %s",
		 at->file, at->line, at->path, text);
}

struct final_rules *final_rules_load(const struct conf_final_rule *rules, size_t n,
				     const char *area)
{
	struct route_report report = {.msg = report_line, .ctx = (void *)(uintptr_t)area};
	struct lists *lists = lists_new();
	struct final_rules *r = NULL;

	if (lists)
		r = final_rules_new(rules, n, lists, &report);
	lists_free(lists);
	return r;
}

void final_rules_free(struct final_rules *r)
{
	if (!r)
		return;
	rule_lists_free(r->ips);
	free(r);
}

static bool built_in(enum flow_origin origin, const struct ip *ip)
{
	switch (origin) {
	case FLOW_FROM_REVERSE:
		return false;
	case FLOW_FROM_SERVER:
		return !ip_is_private(ip);
	default:
		return true;
	}
}

bool final_rules_allow(const struct final_rules *r, enum flow_origin origin, unsigned net,
		       const struct ipport *to, struct conf_range *delay_s)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct conf_final_rule *rule = &r->rules[i];

		if ((rule->networks && !(rule->networks & net)) || !conf_ports_has(&rule->ports, to->port))
			continue;
		if (!rule_lists_fit_ip(r->ips, i, &to->ip))
			continue;
		*delay_s = rule->block_delay_s;
		return rule->allow;
	}
	*delay_s = default_delay;
	return built_in(origin, &to->ip);
}
