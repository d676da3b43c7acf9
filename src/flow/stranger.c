#include "flow/stranger.h"

#include <stdlib.h>

#include "base/err.h"
#include "flow/relay.h"

struct stranger {
	struct worker *worker;
	struct list node; /* worker->strangers, the oldest first */
	struct relay relay;
	struct relay_user on_relay;
	struct orphan orphan;
	struct garbage garbage;
};

static void stranger_destroy(struct garbage *g)
{
	free(container_of(g, struct stranger, garbage));
}

static void stranger_end(struct stranger *s)
{
	loop_disown(&s->orphan);
	list_del(&s->node);
	s->worker->n_strangers--;
	s->garbage.destroy = stranger_destroy;
	loop_free_later(s->worker->loop, &s->garbage);
}

static void on_relay_end(struct relay_user *u, struct relay *r, int err, bool a_side,
			 const char *why)
{
	(void)r;
	(void)err;
	(void)a_side;
	(void)why;
	stranger_end(container_of(u, struct stranger, on_relay));
}

static void on_loop_end(struct orphan *o)
{
	struct stranger *s = container_of(o, struct stranger, orphan);

	relay_abort(&s->relay, -ERR_CLOSED);
	stranger_end(s);
}

static void evict_oldest(struct worker *w)
{
	on_loop_end(&list_first(&w->strangers, struct stranger, node)->orphan);
}

void stranger_start(struct worker *w, struct stream *client, struct stream *target,
		    struct bufq *early)
{
	static const struct relay_limits limits = {.idle = STRANGER_IDLE_MS,
						   .up_only = STRANGER_IDLE_MS,
						   .down_only = STRANGER_IDLE_MS,
						   .a_half_close = true,
						   .b_half_close = true};
	struct stranger *s = calloc(1, sizeof(*s));

	if (!s) {
		stream_close(client, -ERR_NOMEM);
		stream_close(target, -ERR_NOMEM);
		bufq_clear(early);
		return;
	}
	if (w->n_strangers >= STRANGERS_MAX)
		evict_oldest(w);
	s->worker = w;
	list_add_tail(&w->strangers, &s->node);
	w->n_strangers++;
	s->on_relay.on_end = on_relay_end;
	s->orphan.end = on_loop_end;
	loop_adopt(w->loop, &s->orphan);
	relay_start(&s->relay, client, target, early, &limits, &s->on_relay);
}
