/*
 * Conditions are joined by AND, so their order changes no result, only its price.
 * They are asked from cheap to dear: numbers, hashed texts, addresses that are
 * known, names, header fields; then addresses for which a name would have to be
 * resolved, so that a look-up is asked for only when nothing else can refuse; and
 * last the process, whose owner has to be searched for.
 */
#include "route/rule.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "route/procinfo.h"

/* ---- compiling ---- */

static void no_memory(struct route_report *report)
{
	report_error(report, "out of memory");
}

static void add_text(struct strtab *t, const char *text, struct route_report *report)
{
	int rc = strtab_put(t, span_str(text), 0);

	if (rc == -ERR_LIMIT)
		report_error(report, "%.40s...: longer than %d bytes", text, STRTAB_KEY_MAX);
	else if (rc < 0)
		no_memory(report);
}

/* An empty text never matches: a flow without a tag or user never does. */
static void init_tags(struct rule *r, struct route_report *report)
{
	const struct conf_strs *list = &r->conf->inbound_tags;

	report->key = "inboundTag";
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i][0])
			add_text(&r->tags, list->v[i], report);
	strtab_seal(&r->tags);
}

static void add_user_regexp(struct rule *r, const char *pattern, struct route_report *report)
{
	char why[ROUTE_WHY_MAX];
	int err;

	if (!r->user_regexps)
		r->user_regexps = regex_new();
	err = r->user_regexps ? regex_add(r->user_regexps, span_str(pattern), 0, why) : -ERR_NOMEM;
	if (err == -ERR_MALFORMED)
		report_warning(report, "regexp:%.100s has no effect > %s", pattern, why);
	else if (err)
		no_memory(report);
}

static void init_users(struct rule *r, struct route_report *report)
{
	static const char prefix[] = "regexp:";
	const struct conf_strs *list = &r->conf->users;

	report->key = "user";
	for (size_t i = 0; i < list->n; i++) {
		const char *user = list->v[i];

		if (strncmp(user, prefix, sizeof(prefix) - 1) == 0 && user[sizeof(prefix) - 1])
			add_user_regexp(r, user + sizeof(prefix) - 1, report);
		else if (user[0])
			add_text(&r->users, user, report);
	}
	strtab_seal(&r->users);
}

static void init_ports(struct rule *r, struct route_report *report)
{
	const struct conf_rule *c = r->conf;

	if (portset_init(&r->ports, &c->ports) != 0 ||
	    portset_init(&r->source_ports, &c->source_ports) != 0 ||
	    portset_init(&r->local_ports, &c->local_ports) != 0 ||
	    portset_init(&r->vless_routes, &c->vless_routes) != 0)
		no_memory(report);
}

static void init_attrs(struct rule *r, struct route_report *report)
{
	report->key = "attrs";
	if (r->conf->n_attrs == 0)
		return;
	r->attrs = calloc(r->conf->n_attrs, sizeof(*r->attrs));
	if (!r->attrs) {
		no_memory(report);
		return;
	}
	for (size_t i = 0; i < r->conf->n_attrs; i++) {
		const struct conf_attr *c = &r->conf->attrs[i];
		struct rule_attr *a = &r->attrs[r->n_attrs++];
		char why[ROUTE_WHY_MAX] = "out of memory";

		a->name = c->name;
		a->regexp = regex_new();
		if (!a->regexp || regex_add(a->regexp, span_str(c->regexp), 0, why) != 0)
			report_error(report, "%.60s: invalid regexp %.200s > %s", c->name,
				     c->regexp, why);
	}
}

static struct iprules *init_ips(const struct conf_strs *list, const char *key, struct lists *lists,
				struct route_report *report)
{
	report->key = key;
	return list->n ? lists_ips(lists, *list, report) : NULL;
}

static void init_processes(struct rule *r, struct route_report *report)
{
	const struct conf_strs *list = &r->conf->processes;

	report->key = "process";
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], "xray/") == 0 && !r->self && !(r->self = procinfo_self()))
			report_warning(report, "xray/ has no effect: our own path is not known");
}

static bool os_is_ours(const struct conf_strs *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], "linux") == 0)
			return true;
	return false;
}

static unsigned given_of(const struct conf_rule *c)
{
	unsigned given = 0;

	given |= c->local_os.n && !os_is_ours(&c->local_os) ? RULE_NEVER : 0;
	given |= c->inbound_tags.n ? RULE_BY_TAG : 0;
	given |= c->ports.given ? RULE_BY_PORT : 0;
	given |= c->source_ports.given ? RULE_BY_SOURCE_PORT : 0;
	given |= c->local_ports.given ? RULE_BY_LOCAL_PORT : 0;
	given |= c->vless_routes.given ? RULE_BY_VLESS_ROUTE : 0;
	given |= c->protocols.n ? RULE_BY_PROTOCOL : 0;
	given |= c->users.n ? RULE_BY_USER : 0;
	given |= c->processes.n ? RULE_BY_PROCESS : 0;
	return given;
}

static bool has_condition(const struct rule *r)
{
	const struct conf_rule *c = r->conf;

	return r->given || c->networks || c->n_attrs || c->ips.n || c->source_ips.n ||
	       c->local_ips.n || c->domains.n || c->local_os.n;
}

int rule_init(struct rule *r, const struct conf_rule *conf, struct lists *lists,
	      struct route_report *report)
{
	size_t before = report->errors;

	r->conf = conf;
	report->at = &conf->at;
	report->key = NULL;
	r->given = given_of(conf);
	r->networks = conf->networks ? conf->networks : CONF_TCP | CONF_UDP;
	if (!has_condition(r))
		report_error(report, "this rule has no effective fields");
	init_tags(r, report);
	init_users(r, report);
	init_ports(r, report);
	init_attrs(r, report);
	r->ips = init_ips(&conf->ips, "ip", lists, report);
	r->source_ips = init_ips(&conf->source_ips, "sourceIP", lists, report);
	r->local_ips = init_ips(&conf->local_ips, "localIP", lists, report);
	report->key = "domain";
	if (conf->domains.n)
		r->domains = lists_domains(lists, conf->domains, DOMSET_KEYWORD, report);
	init_processes(r, report);
	report->key = NULL;
	return report->errors == before ? 0 : -ERR_MALFORMED;
}

void rule_fini(struct rule *r)
{
	strtab_fini(&r->tags);
	strtab_fini(&r->users);
	regex_free(r->user_regexps);
	portset_fini(&r->ports);
	portset_fini(&r->source_ports);
	portset_fini(&r->local_ports);
	portset_fini(&r->vless_routes);
	for (size_t i = 0; i < r->n_attrs; i++)
		regex_free(r->attrs[i].regexp);
	free(r->attrs);
	iprules_free(r->ips);
	iprules_free(r->source_ips);
	iprules_free(r->local_ips);
	domset_free(r->domains);
	free(r->self);
	*r = (struct rule){0};
}

/* ---- matching ---- */

static bool match_ports(const struct rule *r, const struct route_attrs *a)
{
	unsigned g = r->given;

	return (!(g & RULE_BY_PORT) || portset_has(&r->ports, a->target->port)) &&
	       (!(g & RULE_BY_SOURCE_PORT) || portset_has(&r->source_ports, a->source.port)) &&
	       (!(g & RULE_BY_LOCAL_PORT) || portset_has(&r->local_ports, a->local.port)) &&
	       (!(g & RULE_BY_VLESS_ROUTE) || portset_has(&r->vless_routes, a->vless_route));
}

static bool match_protocol(const struct conf_strs *list, const char *protocol)
{
	if (!protocol || !protocol[0])
		return false;
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i][0] && strncmp(protocol, list->v[i], strlen(list->v[i])) == 0)
			return true;
	return false;
}

static bool match_user(const struct rule *r, const struct route_view *v)
{
	if (v->user.n == 0)
		return false;
	return strtab_find(&r->users, v->user, v->user_hash) != STRTAB_NONE ||
	       (r->user_regexps && regex_has(r->user_regexps, v->user));
}

static bool match_attrs(const struct rule *r, const struct route_attrs *a)
{
	for (size_t i = 0; i < r->n_attrs; i++) {
		struct span value = {NULL, 0};

		if (a->attr)
			value = a->attr(a->ctx, r->attrs[i].name);
		if (!value.p || !regex_has(r->attrs[i].regexp, value))
			return false;
	}
	return true;
}

static bool match_ip(const struct iprules *rules, const struct ip *ip)
{
	return !rules || (ip->family != 0 && iprules_has(rules, ip));
}

static bool match_domain(const struct rule *r, struct route_view *v)
{
	const struct domkey *key = view_key(v);

	return key && domset_has(r->domains, key);
}

/* A name without path is compared with the last part; Windows' ".exe" is not part of it. */
static bool is_program(const char *want, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t n = strlen(want);

	if (n > 4 && strcmp(want + n - 4, ".exe") == 0)
		n -= 4;
	return strlen(name) == n && memcmp(name, want, n) == 0;
}

static bool match_process(const struct rule *r, struct route_view *v)
{
	const struct conf_strs *list = &r->conf->processes;
	const struct route_process *p = view_process(v);

	for (size_t i = 0; p && i < list->n; i++) {
		const char *want = list->v[i];
		size_t n = strlen(want);
		bool hit;

		if (strcmp(want, "self/") == 0)
			hit = p->pid == getpid();
		else if (strcmp(want, "xray/") == 0)
			hit = r->self && strcmp(p->path, r->self) == 0;
		else if (n > 0 && want[n - 1] == '/')
			hit = strncmp(p->path, want, n) == 0;
		else if (strchr(want, '/'))
			hit = strcmp(p->path, want) == 0;
		else
			hit = n > 0 && is_program(want, p->path);
		if (hit)
			return true;
	}
	return false;
}

/* Everything that costs a few nanoseconds. */
static bool match_cheap(const struct rule *r, const struct route_view *v)
{
	const struct route_attrs *a = v->a;

	if ((r->given & RULE_NEVER) || !(r->networks & a->network))
		return false;
	if ((r->given & RULE_BY_TAG) &&
	    (v->tag.n == 0 || strtab_find(&r->tags, v->tag, v->tag_hash) == STRTAB_NONE))
		return false;
	if (!match_ports(r, a))
		return false;
	if ((r->given & RULE_BY_PROTOCOL) && !match_protocol(&r->conf->protocols, a->protocol))
		return false;
	return (!(r->given & RULE_BY_USER) || match_user(r, v)) &&
	       match_ip(r->source_ips, &a->source.ip) && match_ip(r->local_ips, &a->local.ip);
}

enum rule_result rule_match(const struct rule *r, struct route_view *v)
{
	if (!match_cheap(r, v))
		return RULE_NO;
	if (r->ips && !v->ips_wait && !iprules_has_any(r->ips, v->ips, v->n_ips))
		return RULE_NO;
	if (r->domains && !match_domain(r, v))
		return RULE_NO;
	if (r->n_attrs && !match_attrs(r, v->a))
		return RULE_NO;
	if (r->ips && v->ips_wait)
		return RULE_NEEDS_IPS;
	if ((r->given & RULE_BY_PROCESS) && !match_process(r, v))
		return RULE_NO;
	return RULE_YES;
}

uint64_t rule_regexp_limits(const struct rule *r)
{
	uint64_t sum = r->user_regexps ? regex_limits(r->user_regexps) : 0;

	for (size_t i = 0; i < r->n_attrs; i++)
		sum += regex_limits(r->attrs[i].regexp);
	return r->domains ? sum + domset_regexp_limits(r->domains) : sum;
}

size_t rule_memory(const struct rule *r)
{
	size_t sum = sizeof(*r) + strtab_memory(&r->tags) + strtab_memory(&r->users);

	sum += (r->ports.n + r->source_ports.n + r->local_ports.n + r->vless_routes.n) *
	       sizeof(*r->ports.v);
	sum += r->user_regexps ? regex_memory(r->user_regexps) : 0;
	for (size_t i = 0; i < r->n_attrs; i++)
		sum += sizeof(*r->attrs) + regex_memory(r->attrs[i].regexp);
	sum += r->ips ? iprules_memory(r->ips) : 0;
	sum += r->source_ips ? iprules_memory(r->source_ips) : 0;
	sum += r->local_ips ? iprules_memory(r->local_ips) : 0;
	return r->domains ? sum + domset_memory(r->domains) : sum;
}
