/*
 * An answer to the client that waits until the far side has connected or failed.
 * The inbound fills in both texts beforehand; a failure is answered before the
 * connection is closed, and never overtaken by a reset.
 */
#ifndef GARENNE_PROXY_ANSWER_H
#define GARENNE_PROXY_ANSWER_H

#include "base/span.h"
#include "flow/flow.h"

struct answer;

struct answer_ops {
	/* The bytes that tell the client about @err (0 or -ERR_*) into @out. */
	void (*encode)(const struct answer *a, struct wr *out, int err);
};

enum { ANSWER_MAX = 256 };

struct answer {
	struct flow_hook hook;
	const struct answer_ops *ops;
	struct ipport bound; /* for the protocols that name one */
	struct garbage garbage;
};

/** An answer for @f, which holds it from now on. 0 or -ERR_NOMEM. */
int answer_wait(struct flow *f, const struct answer_ops *ops, const struct ipport *bound);

#endif
