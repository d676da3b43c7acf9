#include "flow/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/core.h"

static bool grow(struct worker *w, size_t n)
{
	struct tally *more = realloc(w->tallies, n * sizeof(*more));

	if (!more)
		return false;
	memset(more + w->n_tallies, 0, (n - w->n_tallies) * sizeof(*more));
	w->tallies = more;
	w->n_tallies = n;
	return true;
}

static struct tally *tally_of(const struct flow *f)
{
	struct core *c = f->core;
	struct worker *w = core_worker(c, f->loop);

	if (!f->out || f->out->number == 0)
		return NULL;
	if (f->out->number > w->n_tallies && !grow(w, c->n_outbounds))
		return NULL;
	return &w->tallies[f->out->number - 1];
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
