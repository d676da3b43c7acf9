#include "proxy/dns_rules.h"

#include <ctype.h>
#include <stdlib.h>

#include "proto/dnsmsg.h"
#include "route/domkey.h"
#include "route/rule_lists.h"

struct dns_rules {
	const struct conf_dns_rule *rules;
	size_t n;
	struct rule_lists *names;
};

struct dns_rules *dns_rules_new(const struct conf_dns_rule *rules, size_t n, struct lists *lists,
				struct route_report *report)
{
	struct dns_rules *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->rules = rules;
	r->n = n;
	r->names = rule_lists_new(n);
	for (size_t i = 0; i < n; i++)
		rule_lists_add_names(r->names, &rules[i].at, rules[i].domains, lists, report);
	r->names = rule_lists_done(r->names);
	if (r->names)
		return r;
	free(r);
	return NULL;
}

void dns_rules_free(struct dns_rules *r)
{
	if (!r)
		return;
	rule_lists_free(r->names);
	free(r);
}

/* The resolver knows addresses, and names of addresses in the host table. */
static bool is_known(uint16_t type)
{
	return type == DNSMSG_A || type == DNSMSG_AAAA || type == DNSMSG_PTR;
}

/* Of anything else it has nothing to say. */
static struct dns_verdict verdict(enum conf_dns_action action, uint16_t rcode, uint16_t type)
{
	if (action == CONF_DNS_HIJACK && !is_known(type))
		return (struct dns_verdict){CONF_DNS_RETURN, DNSMSG_NOERROR};
	return (struct dns_verdict){action, (uint8_t)rcode};
}

struct dns_verdict dns_rules_judge(const struct dns_rules *r, uint16_t type, const char *name)
{
	char lower[DNSMSG_NAME_MAX + 1];
	struct domkey key;
	bool named;
	size_t n = 0;

	for (; name[n] && n < DNSMSG_NAME_MAX; n++)
		lower[n] = (char)tolower((unsigned char)name[n]);
	named = domkey_init(&key, span_of(lower, n));
	for (size_t i = 0; i < r->n; i++) {
		const struct conf_dns_rule *rule = &r->rules[i];

		if (!conf_ports_has(&rule->qtypes, type))
			continue;
		if (!rule_lists_fit_name(r->names, i, named ? &key : NULL))
			continue;
		return verdict(rule->action, rule->rcode, type);
	}
	return verdict(CONF_DNS_HIJACK, 0, type);
}
