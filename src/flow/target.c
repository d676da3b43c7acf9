#include "flow/target.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "flow/core.h"
#include "flow/dispatch.h"
#include "flow/trace.h"
#include "net/resolve.h"
#include "proto/muxcool.h"

/* A flow that waits for its address. */
struct target {
	struct flow *f;
	struct flow_opening opening;
	struct resolve_req req;
	struct garbage garbage;
};

enum { WHY_MAX = ADDR_NAME_MAX + 128 };

static bool is_forced(enum conf_strategy s)
{
	return s >= CONF_FORCE_IP;
}

/* The names of carriers are no names of hosts. */
static bool wanted(const struct flow *f)
{
	if (f->out->target_strategy == CONF_AS_IS || f->target.kind != ADDR_NAME || f->registers ||
	    f->own_query)
		return false;
	return f->net == CONF_UDP || (f->target.port && !muxcool_is_carrier(&f->target));
}

/* False when memory is out. */
static bool replace(struct flow *f, const struct ip *ip)
{
	struct addr found = addr_from_ip(ip, f->target.port);
	char text[64];

	if (!f->asked) {
		f->asked = malloc(sizeof(*f->asked));
		if (!f->asked)
			return false;
		*f->asked = f->target;
	}
	f->target = found;
	log_line(LOG_DEBUG, f->id, "dispatch", "[%s] gets %s for %s", f->out->tag,
		 ip_text(ip, text, sizeof(text)), f->asked->name);
	trace_say(f, "%s is %s for [%s]", f->asked->name, text, f->out->tag);
	return true;
}

/* True when @f may go on; otherwise it has ended. */
static bool apply(struct flow *f, const struct resolve_result *res)
{
	char why[WHY_MAX];

	if (!res->err && replace(f, &res->ip[0]))
		return true;
	if (res->err && !is_forced(f->out->target_strategy))
		return true;
	snprintf(why, sizeof(why), "failed to resolve the target: %s",
		 res->err ? res->why : err_name(-ERR_NOMEM));
	flow_failed(f, res->err ? res->err : -ERR_NOMEM, why);
	return false;
}

static void destroy(struct garbage *g)
{
	free(container_of(g, struct target, garbage));
}

static struct flow *retire(struct target *t)
{
	struct flow *f = t->f;

	t->garbage.destroy = destroy;
	loop_free_later(f->loop, &t->garbage);
	return f;
}

static void on_cancel(struct flow_opening *o)
{
	struct target *t = container_of(o, struct target, opening);

	resolve_cancel(&t->req);
	retire(t);
}

static void on_resolved(struct resolve_req *q, const struct resolve_result *res)
{
	struct flow *f = retire(container_of(q, struct target, req));

	f->opening = NULL;
	if (apply(f, res))
		dispatch_open(f);
}

bool target_resolve(struct flow *f)
{
	struct target *t;

	if (!wanted(f))
		return false;
	t = calloc(1, sizeof(*t));
	if (!t) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return true;
	}
	t->f = f;
	t->opening.cancel = on_cancel;
	t->req.on_done = on_resolved;
	f->opening = &t->opening;
	resolve_start(core_resolver(f->core, f->loop), &t->req, f->target.name,
		      f->out->target_strategy, 0);
	return true;
}

void target_restore(struct flow *f)
{
	if (!f->asked)
		return;
	f->target = *f->asked;
	free(f->asked);
	f->asked = NULL;
}

const struct addr *target_asked(const struct flow *f)
{
	return f->asked ? f->asked : &f->target;
}
