/* One rule, compiled. */
#ifndef GARENNE_ROUTE_RULE_H
#define GARENNE_ROUTE_RULE_H

#include "conf/routing.h"
#include "route/lists.h"
#include "route/portset.h"
#include "route/strtab.h"
#include "route/view.h"

struct rule_attr {
	const char *name;
	struct regex *regexp;
};

/* Conditions that were given, as bits; those on IPs and names are given when not NULL. */
enum rule_given {
	RULE_NEVER = 1, /* a condition cannot hold here */
	RULE_BY_TAG = 2,
	RULE_BY_PORT = 4,
	RULE_BY_SOURCE_PORT = 8,
	RULE_BY_LOCAL_PORT = 16,
	RULE_BY_VLESS_ROUTE = 32,
	RULE_BY_PROTOCOL = 64,
	RULE_BY_USER = 128,
	RULE_BY_PROCESS = 256,
};

/* Zero-initialise. What most flows look at comes first. */
struct rule {
	unsigned given;
	unsigned networks; /* never 0: what the rule lets through */
	struct iprules *ips, *source_ips, *local_ips;
	struct domset *domains;
	struct strtab tags, users;
	struct regex *user_regexps;
	struct portset ports, source_ports, local_ports, vless_routes;
	struct rule_attr *attrs;
	size_t n_attrs;
	char *self; /* path of our own program, when a rule asks for it */
	const struct conf_rule *conf;
	struct balancer *balancer; /* borrowed; NULL: the rule names an outbound */
};

enum rule_result {
	RULE_NO = 0,
	RULE_YES,
	RULE_NEEDS_IPS, /* all else holds; the target's addresses decide */
};

/** Borrows @conf. 0, or -ERR_MALFORMED after errors were reported; then too it wants rule_fini. */
int rule_init(struct rule *r, const struct conf_rule *conf, struct lists *lists,
	      struct route_report *report);
void rule_fini(struct rule *r);

enum rule_result rule_match(const struct rule *r, struct route_view *v);
uint64_t rule_regexp_limits(const struct rule *r);
size_t rule_memory(const struct rule *r);

#endif
