#include "flow/core.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "flow/history.h"
#include "route/domkey.h"
#include "route/domset.h"
#include "route/iprules.h"
#include "route/lists.h"

struct worker *core_worker(struct core *c, const struct loop *l)
{
	return &c->workers[loop_id(l)];
}

struct resolver *core_resolver(struct core *c, const struct loop *l)
{
	return c->workers[loop_id(l)].resolver;
}

struct outbound *core_outbound(const struct core *c, const char *tag)
{
	if (!*tag)
		return NULL;
	for (size_t i = 0; i < c->n_outbounds; i++)
		if (strcmp(c->outbounds[i]->tag, tag) == 0)
			return c->outbounds[i];
	return NULL;
}

int core_reserve_outbounds(struct core *c, size_t n)
{
	size_t cap = c->cap_outbounds ? c->cap_outbounds : 16;
	struct outbound **grown;

	while (cap < c->n_outbounds + n)
		cap *= 2;
	if (cap == c->cap_outbounds)
		return 0;
	grown = realloc(c->outbounds, cap * sizeof(*grown));
	if (!grown)
		return -ERR_NOMEM;
	c->outbounds = grown;
	c->cap_outbounds = cap;
	return 0;
}

int core_add_outbound(struct core *c, struct outbound *o)
{
	int err = core_outbound(c, o->tag) ? -ERR_LIMIT : core_reserve_outbounds(c, 1);

	if (err) {
		o->ops->free(o);
		return err;
	}
	c->outbounds[c->n_outbounds++] = o;
	o->number = c->n_outbounds;
	return 0;
}

struct loop *core_spread(struct core *c)
{
	static atomic_uint turn;

	return c->workers[atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) % c->n_workers]
		.loop;
}

struct loop *core_home(struct core *c, const char *key)
{
	uint32_t h = 2166136261u; /* FNV-1a: only has to spread a handful of tags */

	for (; *key; key++)
		h = (h ^ (uint8_t)*key) * 16777619u;
	return c->workers[h % c->n_workers].loop;
}

int core_add_exclusions(struct core *c, const struct conf_sniff *sniff, struct lists *lists,
			struct route_report *report)
{
	size_t n = c->n_exclusions;
	struct sniff_exclusion *grown, x = {.conf = sniff};

	if (sniff->domains_excluded.n == 0 && sniff->ips_excluded.n == 0)
		return 0;
	grown = realloc(c->exclusions, (n + 1) * sizeof(*grown));
	if (!grown)
		return -ERR_NOMEM;
	c->exclusions = grown;
	report->at = &sniff->at;
	if (sniff->domains_excluded.n)
		x.domains = lists_domains(lists, sniff->domains_excluded, DOMSET_KEYWORD, report);
	if (sniff->ips_excluded.n)
		x.ips = lists_ips(lists, sniff->ips_excluded, report);
	c->exclusions[c->n_exclusions++] = x;
	return report->errors ? -ERR_MALFORMED : 0;
}

bool core_sniff_excluded(const struct core *c, const struct conf_sniff *sniff, const char *name,
			 const struct addr *target)
{
	for (size_t i = 0; i < c->n_exclusions; i++) {
		const struct sniff_exclusion *x = &c->exclusions[i];
		struct domkey key;

		if (x->conf != sniff)
			continue;
		if (x->ips && target->kind == ADDR_IP && iprules_has(x->ips, &target->ip))
			return true;
		return x->domains && domkey_init(&key, span_str(name)) &&
		       domset_has(x->domains, &key);
	}
	return false;
}

void core_fini(struct core *c)
{
	for (size_t i = 0; i < c->n_exclusions; i++) {
		domset_free(c->exclusions[i].domains);
		iprules_free(c->exclusions[i].ips);
	}
	for (unsigned i = 0; i < c->n_workers; i++) {
		history_free(c->workers[i].history);
		free(c->workers[i].tallies);
	}
	free(c->exclusions);
	free(c->outbounds);
}
