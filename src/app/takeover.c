#include "app/takeover.h"

#include <stdlib.h>

#include "app/kinds.h"
#include "app/pause.h"
#include "base/err.h"
#include "flow/inbound.h"
#include "flow/renewal.h"
#include "route/router.h"

static void renewals_free(struct list *l)
{
	while (!list_empty(l)) {
		struct renewal *r = list_first(l, struct renewal, node);

		list_del(&r->node);
		r->free(r);
	}
}

/* @in_place: its portals are the core's. */
static void discard(struct takeover *t, bool in_place)
{
	renewals_free(&t->renewals);
	for (size_t i = 0; i < t->n_portals && !in_place; i++)
		t->portals[i]->ops->free(t->portals[i]);
	free(t->portals);
	router_free(t->router);
	conf_free(t->conf);
	free(t);
}

static int keep(struct takeover *t, struct renewal *r)
{
	if (!r)
		return -ERR_NOMEM;
	list_add_tail(&t->renewals, &r->node);
	return 0;
}

/* In the order of the files, which is that of the objects. */
static int make_renewals(struct takeover *t, struct inbound *const *inbounds)
{
	int err = 0;

	for (size_t i = 0; i < t->conf->n_inbounds && !err; i++) {
		struct inbound *in = inbounds[i];

		if (in->ops->renewal)
			err = keep(t, in->ops->renewal(in, &t->conf->inbounds[i]));
	}
	for (size_t i = 0; i < t->conf->n_outbounds && !err; i++) {
		struct outbound *o = t->core->outbounds[i];

		if (o->ops->renewal)
			err = keep(t, o->ops->renewal(o, &t->conf->outbounds[i]));
	}
	return err;
}

/* All loops stand still. */
static void put_in_place(void *ctx)
{
	struct takeover *t = ctx;
	struct router *old = t->core->router;
	struct renewal *r;

	t->err = core_reserve_outbounds(t->core, t->n_portals);
	if (t->err)
		return;
	for (size_t i = 0; i < t->n_portals; i++)
		core_add_outbound(t->core, t->portals[i]);
	list_each(r, &t->renewals, node)
		r->apply(r);
	t->core->router = t->router;
	t->router = old;
}

struct takeover *takeover_make(struct core *core, struct inbound *const *inbounds, struct conf *conf,
			       struct router *router)
{
	struct takeover *t = calloc(1, sizeof(*t));

	if (!t) {
		router_free(router);
		conf_free(conf);
		return NULL;
	}
	list_init(&t->renewals);
	t->core = core;
	t->conf = conf;
	t->router = router;
	if (make_renewals(t, inbounds) == 0 && kinds_portals(core, conf, &t->portals, &t->n_portals) == 0 &&
	    pause_all(core, put_in_place, t) == 0 && t->err == 0)
		return t;
	discard(t, false);
	return NULL;
}

void takeover_free(struct takeover *t)
{
	discard(t, true);
}
