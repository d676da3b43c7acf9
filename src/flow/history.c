#include "flow/history.h"

#include <stdio.h>
#include <stdlib.h>

#include "flow/outbound.h"

struct history *history_new(void)
{
	return calloc(1, sizeof(struct history));
}

void history_free(struct history *h)
{
	free(h);
}

void history_add(struct history *h, const struct flow *f, int err, bool in_side, const char *why)
{
	struct history_entry *e;
	uint64_t now = loop_now(f->loop);

	if (!h)
		return;
	e = &h->entry[h->n++ % HISTORY_MAX];
	*e = (struct history_entry){
		.id = f->id,
		.ended_ms = now,
		.lasted_ms = now - f->started_ms,
		.up = f->up,
		.down = f->down,
		.net = f->net,
		.in_side = in_side,
		.err = err,
		.source = f->source,
		.in_tag = f->in_tag,
		.out_tag = f->out ? f->out->tag : "",
		.user = f->user,
		.rule = f->rule,
		.target = f->target,
	};
	snprintf(e->why, sizeof(e->why), "%.*s", (int)sizeof(e->why) - 1, why ? why : "");
}

const struct history_entry *history_at(const struct history *h, size_t i)
{
	if (i >= HISTORY_MAX || i >= h->n)
		return NULL;
	return &h->entry[(h->n - 1 - i) % HISTORY_MAX];
}
