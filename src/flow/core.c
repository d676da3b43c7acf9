#include "flow/core.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

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

int core_add_outbound(struct core *c, struct outbound *o)
{
	if (core_outbound(c, o->tag)) {
		o->ops->free(o);
		return -ERR_LIMIT;
	}
	if (c->n_outbounds == c->cap_outbounds) {
		size_t cap = c->cap_outbounds ? c->cap_outbounds * 2 : 16;
		struct outbound **grown = realloc(c->outbounds, cap * sizeof(*grown));

		if (!grown) {
			o->ops->free(o);
			return -ERR_NOMEM;
		}
		c->outbounds = grown;
		c->cap_outbounds = cap;
	}
	c->outbounds[c->n_outbounds++] = o;
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
