#include "route/router.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "route/lists.h"
#include "route/rule.h"
#include "route/ruleindex.h"

struct router {
	const struct conf_routing *conf;
	struct rule *rules;
	struct balancer **balancers;
	struct ruleindex *index;
};

/* ---- compiling ---- */

static int init_balancers(struct router *r, uint64_t seed, struct route_report *report)
{
	size_t n = r->conf->n_balancers;

	r->balancers = calloc(n + 1, sizeof(struct balancer *));
	if (!r->balancers)
		return -ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		/* each starts elsewhere in the sequence of random numbers */
		report->at = &r->conf->balancers[i].at;
		r->balancers[i] = balancer_new(&r->conf->balancers[i],
					       seed + i * 0x9e3779b97f4a7c15u, report);
	}
	return 0;
}

static void warn_rule(const struct router *r, const struct conf_rule *c,
		      struct route_report *report)
{
	if (c->domains.n && c->ips.n && r->conf->strategy == CONF_ROUTE_AS_IS)
		report_warning(report,
			       "domain and ip in one rule must both hold, but with domainStrategy "
			       "AsIs a target is one or the other; write two rules");
	if (c->local_ips.n && c->networks != CONF_TCP)
		report_warning(report, "localIP: for UDP this is the address listened on, not the "
				       "one that the client chose");
}

static void link_balancer(struct router *r, struct rule *rule, struct route_report *report)
{
	if (rule->conf->outbound_tag[0])
		return;
	rule->balancer = router_balancer(r, rule->conf->balancer_tag);
	for (size_t i = 0; i < r->conf->n_balancers && !rule->balancer; i++)
		if (strcmp(r->conf->balancers[i].tag, rule->conf->balancer_tag) == 0)
			return; /* it exists, and was complained about itself */
	if (!rule->balancer)
		report_error(report, "balancer %s not found", rule->conf->balancer_tag);
}

static int init_rules(struct router *r, struct lists *lists, struct route_report *report)
{
	r->rules = calloc(r->conf->n_rules + 1, sizeof(*r->rules));
	if (!r->rules)
		return -ERR_NOMEM;
	for (size_t i = 0; i < r->conf->n_rules; i++) {
		rule_init(&r->rules[i], &r->conf->rules[i], lists, report);
		link_balancer(r, &r->rules[i], report);
		warn_rule(r, &r->conf->rules[i], report);
	}
	return 0;
}

struct router *router_new(const struct conf_routing *conf, struct lists *lists, uint64_t seed,
			  struct route_report *report)
{
	struct router *r = calloc(1, sizeof(*r));
	size_t before = report->errors;

	report->at = &conf->at;
	report->key = NULL;
	if (!r || conf->n_rules >= RULEINDEX_END) {
		free(r);
		report_error(report, "out of memory");
		return NULL;
	}
	r->conf = conf;
	if (init_balancers(r, seed, report) != 0 || init_rules(r, lists, report) != 0)
		report_error(report, "out of memory");
	report->at = &conf->at;
	if (report->errors == before) {
		r->index = ruleindex_new(r->rules, (uint32_t)conf->n_rules);
		if (r->index)
			return r;
		report_error(report, "out of memory");
	}
	router_free(r);
	return NULL;
}

void router_free(struct router *r)
{
	if (!r)
		return;
	for (size_t i = 0; r->rules && i < r->conf->n_rules; i++)
		rule_fini(&r->rules[i]);
	for (size_t i = 0; r->balancers && i < r->conf->n_balancers; i++)
		balancer_free(r->balancers[i]);
	ruleindex_free(r->index);
	free(r->rules);
	free(r->balancers);
	free(r);
}

/* ---- picking ---- */

static enum route_verdict found(struct route_pick *p, const struct rule *rule)
{
	p->verdict = ROUTE_RULE;
	p->rule = rule->conf;
	p->balancer = rule->balancer;
	p->outbound_tag = rule->balancer ? NULL : rule->conf->outbound_tag;
	return p->verdict;
}

static enum route_verdict ask(struct route_pick *p, const struct route_view *v, uint32_t next)
{
	p->verdict = ROUTE_NEED_IPS;
	p->resolve = v->name;
	p->next = next;
	return p->verdict;
}

/* Goes through the rules from p->next on. In the second pass a rule without IP condition
 * has refused already, and what it looks at has not changed. */
static enum route_verdict pass(const struct router *r, struct route_view *v, struct route_pick *p)
{
	struct candidates c;

	ruleindex_candidates(r->index, v, &c);
	for (uint32_t i = candidates_next(&c, p->next); i != RULEINDEX_END;
	     i = candidates_next(&c, i + 1)) {
		const struct rule *rule = &r->rules[i];

		if (p->second_pass && !rule->ips)
			continue;
		switch (rule_match(rule, v)) {
		case RULE_YES:
			return found(p, rule);
		case RULE_NEEDS_IPS:
			return ask(p, v, i);
		default:
			break;
		}
	}
	p->verdict = ROUTE_NONE;
	return p->verdict;
}

enum route_verdict router_pick(const struct router *r, const struct route_attrs *a,
			       struct route_pick *p)
{
	enum conf_domain_strategy strategy = a->skip_resolve ? CONF_ROUTE_AS_IS : r->conf->strategy;
	enum view_ips first = strategy == CONF_ROUTE_IP_ON_DEMAND ? VIEW_IPS_WAIT : VIEW_IPS_OWN;
	struct route_view v;

	if (!p->second_pass) {
		view_init(&v, a, first);
		if (pass(r, &v, p) != ROUTE_NONE || strategy != CONF_ROUTE_IP_IF_NON_MATCH ||
		    !v.name)
			return p->verdict;
		p->second_pass = true;
		p->next = 0;
		if (!a->resolved)
			return ask(p, &v, 0);
	}
	view_init(&v, a, VIEW_IPS_RESOLVED);
	return pass(r, &v, p);
}

struct balancer *router_balancer(const struct router *r, const char *tag)
{
	for (size_t i = 0; i < r->conf->n_balancers; i++)
		if (r->balancers[i] && strcmp(r->conf->balancers[i].tag, tag) == 0)
			return r->balancers[i];
	return NULL;
}

bool router_wants_process(const struct router *r)
{
	for (size_t i = 0; i < r->conf->n_rules; i++)
		if (r->conf->rules[i].processes.n)
			return true;
	return false;
}

uint64_t router_regexp_limits(const struct router *r)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < r->conf->n_rules; i++)
		sum += rule_regexp_limits(&r->rules[i]);
	return sum;
}

size_t router_memory(const struct router *r)
{
	size_t sum = sizeof(*r) + ruleindex_memory(r->index);

	for (size_t i = 0; i < r->conf->n_rules; i++)
		sum += rule_memory(&r->rules[i]);
	return sum;
}
