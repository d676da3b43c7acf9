#include "flow/names.h"

#include <stdlib.h>

struct name_server {
	struct domset *domains;	     /* NULL: none */
	struct iprules *expected;    /* NULL: any */
	struct iprules *unexpected;  /* NULL: none */
};

struct names {
	struct resolve_rules rules;
	const struct conf_dns *dns;
	struct domset *hosts; /* values are indices into dns->hosts */
	struct name_server servers[];
};

static const struct names *of(const struct resolve_rules *r)
{
	return container_of(r, const struct names, rules);
}

static size_t on_hosts(const struct resolve_rules *r, const char *name, struct ip *ip, size_t max,
		       const char **alias)
{
	const struct names *n = of(r);
	const struct conf_dns_host *h;
	struct domkey key;
	uint32_t i;
	size_t got = 0;

	if (!domkey_init(&key, span_str(name)))
		return 0;
	i = domset_find(n->hosts, &key);
	if (i == DOMSET_NONE)
		return 0;
	h = &n->dns->hosts[i];
	for (size_t v = 0; v < h->values.n && got < max; v++) {
		if (ip_parse(&ip[got], span_str(h->values.v[v])) == 0)
			got++;
		else
			*alias = h->values.v[v];
	}
	return got;
}

static bool on_matches(const struct resolve_rules *r, size_t server, const char *name)
{
	const struct names *n = of(r);
	struct domkey key;

	return n->servers[server].domains && domkey_init(&key, span_str(name)) &&
	       domset_has(n->servers[server].domains, &key);
}

static bool on_accepts(const struct resolve_rules *r, size_t server, const struct ip *ip)
{
	const struct name_server *s = &of(r)->servers[server];

	if (s->unexpected && iprules_has(s->unexpected, ip))
		return false;
	return !s->expected || iprules_has(s->expected, ip);
}

static void compile_server(struct name_server *out, const struct conf_dns_server *s,
			   struct lists *lists, struct route_report *report)
{
	report->at = &s->at;
	if (s->domains.n)
		out->domains = lists_domains(lists, s->domains, DOMSET_KEYWORD, report);
	if (s->expected_ips.n)
		out->expected = lists_ips(lists, s->expected_ips, report);
	if (s->unexpected_ips.n)
		out->unexpected = lists_ips(lists, s->unexpected_ips, report);
}

struct names *names_new(const struct conf_dns *dns, struct lists *lists,
			struct route_report *report)
{
	struct names *n = calloc(1, sizeof(*n) + dns->n_servers * sizeof(n->servers[0]));

	if (!n)
		return NULL;
	n->rules = (struct resolve_rules){on_hosts, on_matches, on_accepts};
	n->dns = dns;
	n->hosts = domset_new();
	if (!n->hosts) {
		free(n);
		return NULL;
	}
	for (size_t i = 0; i < dns->n_hosts; i++) {
		report->at = &dns->hosts[i].at;
		lists_add_domain(lists, n->hosts, dns->hosts[i].rule, DOMSET_FULL, (uint32_t)i,
				 report);
	}
	for (size_t i = 0; i < dns->n_servers; i++)
		compile_server(&n->servers[i], &dns->servers[i], lists, report);
	if (report->errors || domset_seal(n->hosts) != 0) {
		names_free(n);
		return NULL;
	}
	return n;
}

const struct resolve_rules *names_rules(const struct names *n)
{
	return &n->rules;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	domset_free(n->hosts);
	for (size_t i = 0; i < n->dns->n_servers; i++) {
		domset_free(n->servers[i].domains);
		iprules_free(n->servers[i].expected);
		iprules_free(n->servers[i].unexpected);
	}
	free(n);
}
