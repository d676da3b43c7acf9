#include "flow/tally.h"

#include <stdio.h>
#include <stdlib.h>

#include "flow/core.h"

static struct tally *tally_of(const struct flow *f)
{
	struct core *c = f->core;
	struct worker *w = core_worker(c, f->loop);

	if (!f->out || f->out->number == 0)
		return NULL;
	if (!w->tallies)
		w->tallies = calloc(c->n_outbounds, sizeof(*w->tallies));
	return w->tallies ? &w->tallies[f->out->number - 1] : NULL;
}

void tally_add(const struct flow *f, int err, const char *why)
{
	struct tally *t = tally_of(f);
	char target[ADDR_TEXT_MAX];

	if (!t)
		return;
	t->up += f->up;
	t->down += f->down;
	if (f->state == FLOW_RELAYING) {
		t->served++;
		return;
	}
	if (err == 0) /* a carrier came or was dialled: nobody was served yet */
		return;
	t->failed++;
	t->failed_ms = loop_now(f->loop);
	t->err = err;
	snprintf(t->target, sizeof(t->target), "%.*s", TALLY_TARGET - 1,
		 addr_text(&f->target, target, sizeof(target)));
	snprintf(t->why, sizeof(t->why), "%.*s", TALLY_WHY - 1, why ? why : "");
}

void tally_sum(struct tally *sum, const struct tally *from)
{
	struct tally total = from->failed_ms > sum->failed_ms ? *from : *sum;

	total.served = sum->served + from->served;
	total.failed = sum->failed + from->failed;
	total.up = sum->up + from->up;
	total.down = sum->down + from->down;
	*sum = total;
}
