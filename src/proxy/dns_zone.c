#include "proxy/dns_zone.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* The way back: an address of the table and the first name that has it. */
struct address {
	struct ip ip;
	uint32_t host;
};

struct dns_zone {
	const struct conf_out_dns *conf;
	struct domset *names; /* values are indices into conf->hosts */
	struct address *back; /* sorted */
	size_t n_back;
};

static const char *host_name(const struct dns_zone *z, uint32_t host)
{
	const char *rule = z->conf->hosts[host].rule, *colon = strchr(rule, ':');

	return colon ? colon + 1 : rule;
}

static int ip_order(const struct ip *a, const struct ip *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, a->family == 4 ? 4 : 16);
}

static int by_ip(const void *a, const void *b)
{
	const struct address *x = a, *y = b;
	int order = ip_order(&x->ip, &y->ip);

	return order ? order : x->host < y->host ? -1 : x->host > y->host;
}

static int is_ip(const void *key, const void *item)
{
	return ip_order(key, &((const struct address *)item)->ip);
}

/* Two names with one address: the first of the file is its name. */
static void keep_first(struct dns_zone *z)
{
	size_t n = 0;

	for (size_t i = 0; i < z->n_back; i++)
		if (n == 0 || !ip_eq(&z->back[n - 1].ip, &z->back[i].ip))
			z->back[n++] = z->back[i];
	z->n_back = n;
}

static bool fill_back(struct dns_zone *z)
{
	const struct conf_out_dns *c = z->conf;
	size_t n = 0;

	for (size_t i = 0; i < c->n_hosts; i++)
		n += c->hosts[i].values.n;
	z->back = calloc(n + 1, sizeof(*z->back));
	if (!z->back)
		return false;
	for (size_t i = 0; i < c->n_hosts; i++)
		for (size_t v = 0; v < c->hosts[i].values.n; v++) {
			struct address *a = &z->back[z->n_back];

			a->host = (uint32_t)i;
			if (ip_parse(&a->ip, span_str(c->hosts[i].values.v[v])) == 0)
				z->n_back++;
		}
	qsort(z->back, z->n_back, sizeof(*z->back), by_ip);
	keep_first(z);
	return true;
}

struct dns_zone *dns_zone_new(const struct conf_out_dns *conf, struct lists *lists,
			      struct route_report *report)
{
	struct dns_zone *z = calloc(1, sizeof(*z));

	if (!z)
		return NULL;
	z->conf = conf;
	z->names = domset_new();
	if (!z->names || !fill_back(z))
		goto fail;
	report->key = "hosts";
	for (size_t i = 0; i < conf->n_hosts; i++) {
		report->at = &conf->hosts[i].at;
		lists_add_domain(lists, z->names, conf->hosts[i].rule, DOMSET_FULL, (uint32_t)i, report);
	}
	if (report->errors == 0 && domset_seal(z->names) == 0)
		return z;
fail:
	dns_zone_free(z);
	return NULL;
}

void dns_zone_free(struct dns_zone *z)
{
	if (!z)
		return;
	domset_free(z->names);
	free(z->back);
	free(z);
}

/* ---- questions ---- */

static bool ends_in(const char *name, const char *zone)
{
	size_t n = strlen(name), k = strlen(zone);

	return k <= n && strcasecmp(name + n - k, zone) == 0 && (k == n || name[n - k - 1] == '.');
}

/* A prefix may take several zones of the tree of addresses: which of them has @name. */
static bool in_prefix(const struct prefix *p, const char *name, char *zone)
{
	char text[DNSMSG_ARPA_TEXT];

	for (unsigned i = 0; dnsmsg_arpa_zone(text, p, i); i++)
		if (ends_in(name, text)) {
			memcpy(zone, text, sizeof(text));
			return true;
		}
	return false;
}

static bool find_zone(const struct dns_zone *z, const char *name, char *zone)
{
	const struct conf_strs *v = &z->conf->zones;

	for (size_t i = 0; i < v->n; i++) {
		struct prefix p;

		if (strchr(v->v[i], '/')) {
			if (prefix_parse(&p, span_str(v->v[i])) == 0 && in_prefix(&p, name, zone))
				return true;
		} else if (ends_in(name, v->v[i])) {
			snprintf(zone, DNSMSG_NAME_MAX + 1, "%s", v->v[i]);
			return true;
		}
	}
	return false;
}

static bool find_name(const struct dns_zone *z, const char *name, struct dns_zone_answer *out)
{
	char lower[DNSMSG_NAME_MAX + 1];
	const struct conf_strs *v;
	struct domkey key;
	uint32_t i;
	size_t n;

	for (n = 0; name[n] && n < DNSMSG_NAME_MAX; n++)
		lower[n] = (char)tolower((unsigned char)name[n]);
	i = domkey_init(&key, span_of(lower, n)) ? domset_find(z->names, &key) : DOMSET_NONE;
	if (i == DOMSET_NONE)
		return false;
	v = &z->conf->hosts[i].values;
	for (size_t k = 0; k < v->n && out->n < DNS_ZONE_IPS; k++)
		if (ip_parse(&out->ips[out->n], span_str(v->v[k])) == 0)
			out->n++;
	return true;
}

static bool find_back(const struct dns_zone *z, const struct dnsmsg_query *q,
		      struct dns_zone_answer *out)
{
	const struct address *a;
	struct ip ip;

	if (!dnsmsg_arpa_decode(&ip, q->name))
		return false;
	a = bsearch(&ip, z->back, z->n_back, sizeof(*a), is_ip);
	if (a && q->type == DNSMSG_PTR)
		out->host = host_name(z, a->host);
	return a != NULL;
}

/* A name above one of the table exists too, with nothing of its own. */
static bool has_below(const struct dns_zone *z, const char *name)
{
	for (size_t i = 0; i < z->conf->n_hosts; i++)
		if (ends_in(host_name(z, (uint32_t)i), name))
			return true;
	return false;
}

enum dns_zone_found dns_zone_find(const struct dns_zone *z, const struct dnsmsg_query *q,
				  struct dns_zone_answer *out)
{
	out->zone[0] = 0;
	out->n = 0;
	out->host = NULL;
	if (q->class != DNSMSG_IN || !find_zone(z, q->name, out->zone))
		return DNS_ZONE_FOREIGN;
	if (find_name(z, q->name, out) || find_back(z, q, out) ||
	    strcasecmp(q->name, out->zone) == 0 || has_below(z, q->name))
		return DNS_ZONE_HERE;
	return DNS_ZONE_NONE;
}
