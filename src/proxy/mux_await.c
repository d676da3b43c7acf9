#include "proxy/mux_await.h"

#include <stdlib.h>

#include "base/err.h"
#include "flow/trace.h"
#include "net/stream_front.h"
#include "proxy/mux.h"

enum { VERDICT_MS = 20000 };

struct awaiting {
	struct flow *f;
	struct stream *s;
	struct stream_user on_s; /* a carrier that dies shows there */
	struct flow_opening opening;
	struct mux_verdict verdict;
	struct timer late;
	struct garbage garbage;
};

static void destroy(struct garbage *g)
{
	free(container_of(g, struct awaiting, garbage));
}

/* Lets go of both; returns the flow. */
static struct flow *retire(struct awaiting *k)
{
	struct flow *f = k->f;

	mux_ask_verdict(k->s, NULL);
	timer_stop(&k->late);
	f->opening = NULL;
	k->garbage.destroy = destroy;
	loop_free_later(f->loop, &k->garbage);
	return f;
}

static void finish(struct awaiting *k, int err)
{
	struct stream *s = k->s;
	struct flow *f = retire(k);

	if (err) {
		stream_close(s, err);
		flow_failed(f, err, "said by the far side");
	} else {
		stream_want(s, 0);
		flow_connected(f, s, true);
	}
}

static void on_verdict(struct mux_verdict *v, int err)
{
	finish(container_of(v, struct awaiting, verdict), err);
}

static void on_line(struct mux_verdict *v, struct span text)
{
	trace_pass(container_of(v, struct awaiting, verdict)->f, text);
}

/* Before the verdict only an end can come; bytes would be one. */
static void on_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct awaiting *k = container_of(u, struct awaiting, on_s);
	struct bufq got;
	ssize_t n;

	(void)events;
	bufq_init(&got);
	n = stream_read(s, &got, STREAM_READ_MAX);
	if (n < 0) {
		finish(k, n == -ERR_EOF || n == -ERR_END ? -ERR_RESET : (int)n);
	} else if (n > 0) {
		stream_want(s, 0);
		k->s = stream_front_new(s, &got);
		if (k->s)
			flow_connected(retire(k), k->s, true);
		else
			flow_failed(retire(k), -ERR_NOMEM, NULL);
	}
}

/* As with a peer that cannot tell. */
static void on_late(struct timer *t)
{
	finish(container_of(t, struct awaiting, late), 0);
}

static void on_cancel(struct flow_opening *o)
{
	struct awaiting *k = container_of(o, struct awaiting, opening);
	struct stream *s = k->s;

	retire(k);
	stream_close(s, -ERR_CLOSED);
}

void mux_await_start(struct flow *f, struct stream *session)
{
	struct awaiting *k = calloc(1, sizeof(*k));

	if (!k) {
		stream_close(session, -ERR_NOMEM);
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	k->f = f;
	k->s = session;
	k->opening.cancel = on_cancel;
	f->opening = &k->opening;
	k->on_s.on_event = on_event;
	stream_attach(session, &k->on_s);
	stream_want(session, STREAM_READ);
	k->verdict = (struct mux_verdict){on_verdict, on_line};
	mux_ask_verdict(session, &k->verdict);
	timer_init(&k->late, f->loop, on_late);
	timer_start(&k->late, VERDICT_MS);
}
