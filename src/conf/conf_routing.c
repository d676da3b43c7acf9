/* Routing rules, balancers and the observatories that some balancers need. */
#include <stdio.h>
#include <string.h>

#include "conf/sections.h"
#include "conf/value_parse.h"

/* ---- rules ---- */

static const struct key rule_keys[] = {
	KNOWN("ruleTag"),
	KNOWN("outboundTag"),
	KNOWN("balancerTag"),
	KNOWN("inboundTag"),
	KNOWN("network"),
	KNOWN("protocol"),
	KNOWN("port"),
	KNOWN("sourcePort"),
	KNOWN("localPort"),
	KNOWN("vlessRoute"),
	KNOWN("user"),
	KNOWN("attrs"),
	KNOWN("ip"),
	KNOWN("sourceIP"),
	KNOWN("source"),
	KNOWN("localIP"),
	KNOWN("domain"),
	KNOWN("domains"),
	KNOWN("process"),
	KNOWN("localOS"),
	QUIET("type"),
	QUIET("domainMatcher"),
	{"webhook", KEY_NO_EFFECT, "webhooks are not called"},
	KEYS_END,
};

static void rule_attrs(const struct jnode *rule, struct conf_rule *out)
{
	struct jnode list, it;
	struct conf_attr *v;
	size_t n, i = 0;

	jnode_get(rule, "attrs", &list);
	if (!jnode_map(&list))
		return;
	n = jnode_members(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list) v[i++] =
		(struct conf_attr){conf_arena_lower(it.ld->arena, it.key), jnode_text(&it, "")};
	out->attrs = v;
	out->n_attrs = n;
}

static struct conf_ports rule_ports(const struct jnode *rule, const char *key)
{
	struct conf_ports ports = jnode_ports(rule, key);
	struct jnode n;

	if (ports.given && ports.n == 0 && jnode_get(rule, key, &n) && cJSON_IsNumber(n.v) &&
	    n.v->valuedouble == 0)
		jnode_warn(&n, "the number 0 means \"no port\", so the rule never matches; write "
			       "\"0\" in quotes for port 0");
	return ports;
}

static struct conf_strs rule_strs2(const struct jnode *rule, const char *winner, const char *loser)
{
	struct jnode n;

	jnode_get2(rule, winner, loser, &n);
	return jnode_string_list(&n);
}

static struct conf_strs rule_os(const struct jnode *rule)
{
	struct conf_strs list = jnode_strs(rule, "localOS");
	const char **v = conf_arena_array(rule->ld->arena, list.n, sizeof(*v));

	if (!v)
		return (struct conf_strs){NULL, 0};
	for (size_t i = 0; i < list.n; i++)
		v[i] = conf_arena_lower(rule->ld->arena, list.v[i]);
	return (struct conf_strs){v, list.n};
}

static bool rule_has_condition(const struct conf_rule *r)
{
	return r->inbound_tags.n || r->networks || r->protocols.n || r->ports.given ||
	       r->source_ports.given || r->local_ports.given || r->vless_routes.given ||
	       r->users.n || r->n_attrs || r->ips.n || r->source_ips.n || r->local_ips.n ||
	       r->domains.n || r->processes.n || r->local_os.n;
}

static void rule_parse(const struct jnode *n, struct conf_rule *out)
{
	out->rule_tag = out->outbound_tag = out->balancer_tag = "";
	out->at = jnode_at(n);
	out->number = (size_t)n->index + 1;
	if (!jnode_object(n, rule_keys)) {
		if (!n->v || cJSON_IsNull(n->v))
			jnode_error(n, "found nothing, expected a rule { }");
		return;
	}
	out->rule_tag = jnode_str(n, "ruleTag", "");
	out->outbound_tag = jnode_str(n, "outboundTag", "");
	out->balancer_tag = jnode_str(n, "balancerTag", "");
	out->inbound_tags = jnode_strs(n, "inboundTag");
	out->networks = jnode_networks(n, "network", 0);
	out->protocols = jnode_strs(n, "protocol");
	out->ports = rule_ports(n, "port");
	out->source_ports = rule_ports(n, "sourcePort");
	out->local_ports = rule_ports(n, "localPort");
	out->vless_routes = rule_ports(n, "vlessRoute");
	out->users = jnode_strs(n, "user");
	rule_attrs(n, out);
	out->ips = jnode_strs(n, "ip");
	out->source_ips = rule_strs2(n, "sourceIP", "source");
	out->local_ips = jnode_strs(n, "localIP");
	out->domains = rule_strs2(n, "domains", "domain");
	out->processes = jnode_strs(n, "process");
	out->local_os = rule_os(n);
	if (*out->outbound_tag == 0 && *out->balancer_tag == 0)
		jnode_error(n, "invalid field rule > neither outboundTag nor balancerTag is "
			       "specified in routing rule");
	else if (*out->outbound_tag && *out->balancer_tag)
		jnode_warn(n, "has both outboundTag and balancerTag; balancerTag has no effect");
	if (!rule_has_condition(out))
		jnode_error(n, "this rule has no effective fields; a rule for everything is "
			       "written \"network\": \"tcp,udp\"");
}

static void rules_parse(const struct jnode *obj, struct conf_routing *out)
{
	struct jnode list, it;
	struct conf_rule *v;
	size_t n, i = 0;

	jnode_get(obj, "rules", &list);
	n = jnode_count(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list) rule_parse(&it, &v[i++]);
	out->rules = v;
	out->n_rules = n;
}

/* ---- balancers ---- */

static void costs_parse(const struct jnode *obj, struct conf_balancer *out)
{
	static const struct key keys[] = {
		KNOWN("regexp"),
		KNOWN("match"),
		KNOWN("value"),
		KEYS_END,
	};
	struct jnode list, it;
	struct conf_cost *v;
	size_t n, i = 0;

	jnode_get(obj, "costs", &list);
	n = jnode_count(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list)
	{
		struct conf_cost *c = &v[i++];

		c->match = "";
		if (!jnode_object(&it, keys))
			continue;
		c->regexp = jnode_bool(&it, "regexp", false);
		c->match = jnode_str(&it, "match", "");
		c->value = jnode_double(&it, "value", -1e9, 1e9, 0);
	}
	out->costs = v;
	out->n_costs = n;
}

static void baselines_parse(const struct jnode *obj, struct conf_balancer *out)
{
	struct jnode list, it;
	uint32_t *v;
	size_t n, i = 0;

	jnode_get(obj, "baselines", &list);
	n = jnode_count(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list) v[i++] = jnode_duration_value_ms(&it, 0);
	out->baselines_ms = v;
	out->n_baselines = n;
}

static void load_settings(const struct jnode *strategy, struct conf_balancer *out)
{
	static const struct key keys[] = {
		KNOWN("costs"),	 KNOWN("baselines"), KNOWN("expected"),
		KNOWN("maxRTT"), KNOWN("tolerance"), KEYS_END,
	};
	struct jnode n;

	jnode_get(strategy, "settings", &n);
	if (!jnode_object(&n, keys))
		return;
	costs_parse(&n, out);
	baselines_parse(&n, out);
	out->expected = (uint32_t)jnode_int(&n, "expected", 0, INT32_MAX, 0);
	out->max_rtt_ms = jnode_duration_ms(&n, "maxRTT", 0);
	out->tolerance = jnode_double(&n, "tolerance", 0, 1, 0);
}

static void strategy_parse(const struct jnode *obj, struct conf_balancer *out)
{
	static const struct key keys[] = {
		KNOWN("type"),
		KNOWN("settings"),
		KEYS_END,
	};
	static const struct word words[] = {
		{"random", CONF_BALANCE_RANDOM},	  {"", CONF_BALANCE_RANDOM},
		{"roundRobin", CONF_BALANCE_ROUND_ROBIN}, {"leastPing", CONF_BALANCE_LEAST_PING},
		{"leastLoad", CONF_BALANCE_LEAST_LOAD},	  {NULL, 0},
	};
	struct jnode n, type;
	const char *text;
	char list[120];
	int value;

	jnode_get(obj, "strategy", &n);
	if (!jnode_object(&n, keys))
		return;
	jnode_get(&n, "type", &type);
	text = jnode_text(&type, "");
	value = word_find(words, text);
	if (value < 0) {
		jnode_error(&type, "unknown balancing strategy: %.40s, expected one of: %s", text,
			    word_list(words, list, sizeof(list)));
		return;
	}
	out->strategy = (enum conf_balance)value;
	if (out->strategy == CONF_BALANCE_LEAST_LOAD)
		load_settings(&n, out);
}

static void balancer_parse(const struct jnode *n, struct conf_balancer *out)
{
	static const struct key keys[] = {
		KNOWN("tag"), KNOWN("selector"), KNOWN("strategy"), KNOWN("fallbackTag"), KEYS_END,
	};

	out->tag = out->fallback_tag = "";
	out->at = jnode_at(n);
	if (!jnode_object(n, keys))
		return;
	out->tag = jnode_str(n, "tag", "");
	out->selectors = jnode_strs(n, "selector");
	out->fallback_tag = jnode_str(n, "fallbackTag", "");
	strategy_parse(n, out);
	if (*out->tag == 0)
		jnode_error(n, "empty balancer tag");
	if (out->selectors.n == 0)
		jnode_error(n, "empty selector list");
}

static void balancers_parse(const struct jnode *obj, struct conf_routing *out)
{
	struct jnode list, it;
	struct conf_balancer *v;
	size_t n, i = 0;

	jnode_get(obj, "balancers", &list);
	n = jnode_count(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list) balancer_parse(&it, &v[i++]);
	out->balancers = v;
	out->n_balancers = n;
}

void section_routing(const struct jnode *n, struct conf_routing *out)
{
	static const struct key keys[] = {
		KNOWN("domainStrategy"), KNOWN("rules"), KNOWN("balancers"),
		QUIET("domainMatcher"),	 KEYS_END,
	};
	static const struct word strategies[] = {
		{"AsIs", CONF_ROUTE_AS_IS},
		{"", CONF_ROUTE_AS_IS},
		{"IPIfNonMatch", CONF_ROUTE_IP_IF_NON_MATCH},
		{"IPOnDemand", CONF_ROUTE_IP_ON_DEMAND},
		{NULL, 0},
	};

	out->at = jnode_at(n);
	if (!jnode_object(n, keys))
		return;
	out->strategy = (enum conf_domain_strategy)jnode_word(n, "domainStrategy", strategies,
							      CONF_ROUTE_AS_IS);
	rules_parse(n, out);
	balancers_parse(n, out);
}

/* ---- observatories ---- */

enum {
	PLAIN_INTERVAL_MS = 10 * 1000,
	PLAIN_TIMEOUT_MS = 5 * 1000,
	BURST_INTERVAL_MS = 60 * 1000,
	BURST_TIMEOUT_MS = 5 * 1000,
	BURST_SAMPLING = 10,
};

static void observe_plain(const struct jnode *n, struct conf_observatory *out)
{
	static const struct key keys[] = {
		KNOWN("subjectSelector"),   KNOWN("probeURL"), KNOWN("probeInterval"),
		KNOWN("enableConcurrency"), KEYS_END,
	};

	if (!jnode_object(n, keys))
		return;
	out->at = jnode_at(n);
	out->kind = CONF_OBSERVE_PLAIN;
	out->selectors = jnode_strs(n, "subjectSelector");
	out->url = jnode_str(n, "probeURL", "");
	if (*out->url == 0)
		out->url = "https://www.google.com/generate_204";
	out->method = "GET";
	out->interval_ms = jnode_duration_ms(n, "probeInterval", PLAIN_INTERVAL_MS);
	out->timeout_ms = PLAIN_TIMEOUT_MS;
	out->sampling = 1;
	out->concurrent = jnode_bool(n, "enableConcurrency", false);
}

static void observe_burst(const struct jnode *n, struct conf_observatory *out)
{
	static const struct key keys[] = {
		KNOWN("subjectSelector"),
		KNOWN("pingConfig"),
		KEYS_END,
	};
	static const struct key ping_keys[] = {
		KNOWN("destination"), KNOWN("connectivity"), KNOWN("interval"), KNOWN("sampling"),
		KNOWN("timeout"),     KNOWN("httpMethod"),   KEYS_END,
	};
	struct jnode ping;

	if (!jnode_object(n, keys))
		return;
	jnode_get(n, "pingConfig", &ping);
	jnode_object(&ping, ping_keys);
	out->at = jnode_at(n);
	out->kind = CONF_OBSERVE_BURST;
	out->selectors = jnode_strs(n, "subjectSelector");
	out->url = jnode_str(&ping, "destination", "");
	if (*out->url == 0)
		out->url = "https://connectivitycheck.gstatic.com/generate_204";
	out->connectivity = jnode_str(&ping, "connectivity", "");
	out->method = jnode_str(&ping, "httpMethod", "HEAD");
	out->interval_ms = jnode_duration_ms(&ping, "interval", BURST_INTERVAL_MS);
	out->timeout_ms = jnode_duration_ms(&ping, "timeout", BURST_TIMEOUT_MS);
	out->sampling = (uint32_t)jnode_int(&ping, "sampling", 0, 10000, BURST_SAMPLING);
	if (out->sampling == 0)
		out->sampling = BURST_SAMPLING;
	out->concurrent = true;
}

void section_observatory(const struct jnode *plain, const struct jnode *burst,
			 struct conf_observatory *out)
{
	out->at = jnode_at(plain);
	out->url = out->connectivity = out->method = "";
	observe_plain(plain, out);
	if (burst->v && plain->v)
		jnode_warn(plain, "has no effect beside burstObservatory");
	observe_burst(burst, out);
}
