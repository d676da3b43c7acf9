#include "proxy/answer.h"

#include <stdlib.h>

#include "base/err.h"
#include "proxy/drain.h"

static void on_verdict(struct flow_hook *h, struct stream **in, int err)
{
	struct answer *a = container_of(h, struct answer, hook);
	uint8_t text[ANSWER_MAX];
	struct wr w = wr_of(text, sizeof(text));
	struct bufq q;

	if (!*in)
		return;
	bufq_init(&q);
	a->ops->encode(a, &w, err);
	if (w.bad || bufq_append(&q, span_of(text, w.n)) != 0)
		return;
	if (err) {
		drain_start(*in, &q, true, DRAIN_GOODBYE_MS);
		*in = NULL;
		return;
	}
	/* The first bytes on a connection that has said nothing but a handshake: there is room. */
	stream_write(*in, &q);
	bufq_clear(&q);
}

static void destroy(struct garbage *g)
{
	free(container_of(g, struct answer, garbage));
}

static void on_ended(struct flow_hook *h, struct loop *l)
{
	struct answer *a = container_of(h, struct answer, hook);

	a->garbage.destroy = destroy;
	loop_free_later(l, &a->garbage);
}

int answer_wait(struct flow *f, const struct answer_ops *ops, const struct ipport *bound)
{
	struct answer *a = calloc(1, sizeof(*a));

	if (!a)
		return -ERR_NOMEM;
	a->hook = (struct flow_hook){.verdict = on_verdict, .ended = on_ended};
	a->ops = ops;
	a->bound = *bound;
	f->hook = &a->hook;
	return 0;
}
