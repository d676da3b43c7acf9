#include "proxy/swallow.h"

#include <stdlib.h>

#include "base/err.h"
#include "flow/outbound.h"
#include "base/log.h"
#include "proxy/draw.h"

struct swallow {
	struct flow_opening opening;
	struct stream_user on_stream;
	struct flow *f;
	const char *why;
	struct timer timer;
	struct garbage garbage;
};

static void destroy(struct garbage *g)
{
	free(container_of(g, struct swallow, garbage));
}

/* Lets go of the flow and returns it. */
static struct flow *retire(struct swallow *w)
{
	struct flow *f = w->f;

	timer_stop(&w->timer);
	if (f->in) {
		stream_want(f->in, 0);
		stream_attach(f->in, NULL);
	}
	w->f = NULL;
	loop_free_later(f->loop, &w->garbage);
	return f;
}

static void end(struct swallow *w)
{
	const char *why = w->why;

	flow_failed(retire(w), -ERR_BLOCKED, why);
}

static void on_due(struct timer *t)
{
	end(container_of(t, struct swallow, timer));
}

static void on_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct swallow *w = container_of(u, struct swallow, on_stream);
	struct bufq waste;
	ssize_t n;

	(void)events;
	bufq_init(&waste);
	n = stream_read(s, &waste, STREAM_READ_MAX);
	bufq_clear(&waste);
	if (n < 0)
		end(w);
	else
		stream_want(s, STREAM_READ);
}

static void cancel(struct flow_opening *o)
{
	retire(container_of(o, struct swallow, opening));
}

void swallow_flow(struct flow *f, struct conf_range delay_s, const char *why)
{
	struct swallow *w = calloc(1, sizeof(*w));

	char target[ADDR_TEXT_MAX];

	/* Now, not when the flow ends: to its user this looks like lost packets. */
	log_line(LOG_WARN, f->id, "freedom", "blocked target: %s [%s -> %s], %s: swallowing it",
		 addr_text(&f->target, target, sizeof(target)), f->in_tag, f->out ? f->out->tag : "-",
		 why ? why : "forbidden");
	if (!w) {
		flow_failed(f, -ERR_BLOCKED, why);
		return;
	}
	w->f = f;
	w->why = why;
	w->opening.cancel = cancel;
	w->on_stream.on_event = on_event;
	w->garbage.destroy = destroy;
	list_init(&w->garbage.node);
	timer_init(&w->timer, f->loop, on_due);
	timer_start(&w->timer, (uint64_t)draw_range(delay_s) * 1000);
	f->opening = &w->opening;
	bufq_clear(&f->early);
	if (f->in) { /* else somebody of ours waits for the outbound's stream */
		stream_attach(f->in, &w->on_stream);
		stream_want(f->in, STREAM_READ);
	}
}
