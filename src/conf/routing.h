/*
 * Routing as written: conditions are texts here and are compiled by route.
 * Rules keep their order; the first whose conditions all hold wins.
 */
#ifndef GARENNE_CONF_ROUTING_H
#define GARENNE_CONF_ROUTING_H

#include "conf/value.h"

enum conf_domain_strategy {
	CONF_ROUTE_AS_IS = 0,
	CONF_ROUTE_IP_IF_NON_MATCH,
	CONF_ROUTE_IP_ON_DEMAND,
};

/* Name (lower case) of a header, or ":method", ":path"; value is a regular expression. */
struct conf_attr {
	const char *name, *regexp;
};

/* AND between the members, OR inside a list; an empty list is no condition. */
struct conf_rule {
	struct conf_at at;
	size_t number; /* 1 is the first */
	const char *rule_tag;
	const char *outbound_tag; /* wins over balancer_tag; one of them is not "" */
	const char *balancer_tag;
	struct conf_strs inbound_tags;
	unsigned networks; /* 0: no condition */
	struct conf_strs protocols;
	struct conf_ports ports, source_ports, local_ports, vless_routes;
	struct conf_strs users; /* exact, or "regexp:..." */
	const struct conf_attr *attrs;
	size_t n_attrs;
	struct conf_strs ips, source_ips, local_ips; /* IP rules */
	struct conf_strs domains;		     /* domain rules */
	struct conf_strs processes;
	struct conf_strs local_os; /* lower case */
};

enum conf_balance {
	CONF_BALANCE_RANDOM = 0,
	CONF_BALANCE_ROUND_ROBIN,
	CONF_BALANCE_LEAST_PING,
	CONF_BALANCE_LEAST_LOAD,
};

struct conf_cost {
	bool regexp;
	const char *match; /* a tag, or an expression over tags */
	double value;
};

struct conf_balancer {
	struct conf_at at;
	const char *tag;
	struct conf_strs selectors; /* prefixes of outbound tags; at least one */
	enum conf_balance strategy;
	const char *fallback_tag;
	/* leastLoad only */
	const struct conf_cost *costs;
	size_t n_costs;
	const uint32_t *baselines_ms;
	size_t n_baselines;
	uint32_t expected;
	uint32_t max_rtt_ms; /* 0: no bound */
	double tolerance;    /* share of failed probes that is still alive, 0..1 */
};

struct conf_routing {
	struct conf_at at;
	enum conf_domain_strategy strategy;
	const struct conf_rule *rules;
	size_t n_rules;
	const struct conf_balancer *balancers;
	size_t n_balancers;
};

enum conf_observe {
	CONF_OBSERVE_OFF = 0,
	CONF_OBSERVE_PLAIN, /* "observatory": the last probe counts */
	CONF_OBSERVE_BURST, /* "burstObservatory": mean and deviation of the last @sampling */
};

/* One of the two kinds; with both in the files the burst one is used. */
struct conf_observatory {
	struct conf_at at;
	enum conf_observe kind;
	struct conf_strs selectors; /* prefixes of outbound tags */
	const char *url;	    /* probed through each outbound */
	const char *connectivity; /* burst: probed directly; fails: our own line is down. "" none */
	const char *method;	  /* HEAD or GET */
	uint32_t interval_ms, timeout_ms;
	uint32_t sampling;
	bool concurrent;
};

#endif
