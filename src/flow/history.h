/*
 * The flows that ended lately, so that "why did it fail?" has an answer after
 * the fact. One ring per worker, its oldest entry overwritten; nothing is
 * allocated while flows come and go.
 */
#ifndef GARENNE_FLOW_HISTORY_H
#define GARENNE_FLOW_HISTORY_H

#include "flow/flow.h"

enum { HISTORY_MAX = 256, HISTORY_WHY = 96 };

/* Tags and rules live as long as the core; the reason is cut to fit. */
struct history_entry {
	uint64_t id, ended_ms, lasted_ms, up, down;
	uint8_t net;
	bool in_side; /* the client's side ended it */
	int err;
	struct ipport source;
	const char *in_tag, *out_tag, *user;
	const struct conf_rule *rule; /* NULL: default */
	struct addr target;
	char why[HISTORY_WHY];
};

struct history {
	struct history_entry entry[HISTORY_MAX];
	uint64_t n; /* in its life */
};

/** Gives; NULL when memory is out. */
struct history *history_new(void);
/** Takes NULL too. */
void history_free(struct history *h);
/** Remembers @f, which ends now; @why may be NULL. @h may be NULL: nothing is kept. */
void history_add(struct history *h, const struct flow *f, int err, bool in_side, const char *why);
/** The @i-th youngest, or NULL. */
const struct history_entry *history_at(const struct history *h, size_t i);

#endif
