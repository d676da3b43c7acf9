#include "route/iprules.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/err.h"
#include "route/ipset.h"

struct iprules {
	struct ipset *set[IPRULES_SORTS_]; /* NULL: no such entry */
	atomic_uint refs;
};

struct iprules *iprules_new(void)
{
	struct iprules *r = calloc(1, sizeof(*r));

	if (r)
		atomic_init(&r->refs, 1);
	return r;
}

struct iprules *iprules_ref(struct iprules *r)
{
	atomic_fetch_add(&r->refs, 1);
	return r;
}

void iprules_free(struct iprules *r)
{
	if (!r || atomic_fetch_sub(&r->refs, 1) > 1)
		return;
	for (int i = 0; i < IPRULES_SORTS_; i++)
		ipset_free(r->set[i]);
	free(r);
}

int iprules_add(struct iprules *r, enum iprules_sort sort, const struct prefix *p)
{
	if (!r->set[sort])
		r->set[sort] = ipset_new();
	return r->set[sort] ? ipset_add(r->set[sort], p) : -ERR_NOMEM;
}

int iprules_seal(struct iprules *r)
{
	for (int i = 0; i < IPRULES_SORTS_; i++) {
		int err = r->set[i] ? ipset_seal(r->set[i]) : 0;

		if (err)
			return err;
	}
	return 0;
}

bool iprules_has(const struct iprules *r, const struct ip *ip)
{
	for (int i = 0; i < IPRULES_SORTS_; i++) {
		const struct ipset *s = r->set[i];

		if (s && ipset_has_family(s, ip->family) && ipset_has(s, ip) == (i == IPRULES_IN))
			return true;
	}
	return false;
}

bool iprules_has_any(const struct iprules *r, const struct ip *ips, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (iprules_has(r, &ips[i]))
			return true;
	return false;
}

size_t iprules_memory(const struct iprules *r)
{
	size_t sum = sizeof(*r);

	for (int i = 0; i < IPRULES_SORTS_; i++)
		if (r->set[i])
			sum += ipset_memory(r->set[i]);
	return sum;
}
