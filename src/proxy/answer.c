#include "proxy/answer.h"

#include <stdlib.h>

#include "base/err.h"
#include "proxy/drain.h"

static void on_verdict(struct flow_hook *h, struct flow *f, int err)
{
	struct answer *a = container_of(h, struct answer, hook);
	uint8_t text[ANSWER_MAX];
	struct wr w = wr_of(text, sizeof(text));
	struct bufq q;

	if (!f->in)
		return;
	bufq_init(&q);
	a->ops->encode(a, &w, err);
	if (w.bad || bufq_append(&q, span_of(text, w.n)) != 0)
		return;
	if (err) {
		drain_start(f->in, &q, true, DRAIN_GOODBYE_MS);
		f->in = NULL;
		return;
	}
	/* The first bytes on a connection that has said nothing but a handshake: there is room. */
	stream_write(f->in, &q);
	bufq_clear(&q);
}

static void destroy(struct garbage *g)
{
	free(container_of(g, struct answer, garbage));
}

static void on_ended(struct flow_hook *h, struct flow *f)
{
	struct answer *a = container_of(h, struct answer, hook);

	a->garbage.destroy = destroy;
	loop_free_later(f->loop, &a->garbage);
}

int answer_wait(struct flow *f, const struct answer_ops *ops, const struct ipport *bound)
{
	struct answer *a = calloc(1, sizeof(*a));

	if (!a)
		return -ERR_NOMEM;
	a->hook = (struct flow_hook){on_verdict, on_ended};
	a->ops = ops;
	a->bound = *bound;
	f->hook = &a->hook;
	return 0;
}
