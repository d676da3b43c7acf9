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

/* Zero-initialise. A condition that was not given is NULL, empty or false. */
struct rule {
	const struct conf_rule *conf;
	struct balancer *balancer; /* borrowed; NULL: the rule names an outbound */
	bool never;		   /* a condition cannot hold here */
	bool by_tag, by_user;
	struct strtab tags, users;
	struct regex *user_regexps;
	struct portset ports, source_ports, local_ports, vless_routes;
	struct rule_attr *attrs;
	size_t n_attrs;
	struct iprules *ips, *source_ips, *local_ips;
	struct domset *domains;
	char *self; /* path of our own program, when a rule asks for it */
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
