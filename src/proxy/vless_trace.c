#include "proxy/vless_trace.h"

#include <stdlib.h>

#include "base/err.h"
#include "proxy/mux.h"
#include "proxy/mux_await.h"

enum { LOOK_MS = 1000 };

/* The mux around the one session; it goes when that has ended. */
struct traced {
	struct mux *mux;
	struct mux_user on_mux;
	struct timer look;
	struct orphan orphan;
	struct loop *loop;
	struct garbage garbage;
};

static void destroy(struct garbage *g)
{
	free(container_of(g, struct traced, garbage));
}

static void retire(struct traced *k)
{
	timer_stop(&k->look);
	loop_disown(&k->orphan);
	k->garbage.destroy = destroy;
	loop_free_later(k->loop, &k->garbage);
}

static void on_end(struct mux_user *u, struct mux *m, int err, const char *why)
{
	(void)m;
	(void)err;
	(void)why;
	retire(container_of(u, struct traced, on_mux));
}

static void on_look(struct timer *t)
{
	struct traced *k = container_of(t, struct traced, look);

	if (mux_sessions(k->mux) > 0) {
		timer_start(t, LOOK_MS);
		return;
	}
	mux_close(k->mux, 0);
	retire(k);
}

static void on_loop_end(struct orphan *o)
{
	struct traced *k = container_of(o, struct traced, orphan);

	mux_close(k->mux, -ERR_CLOSED);
	retire(k);
}

static struct traced *carrier_new(struct loop *l, struct stream *s)
{
	struct mux_config mc = {.role = MUX_CLIENT, .ours = true};
	struct traced *k = calloc(1, sizeof(*k));

	if (!k) {
		stream_close(s, -ERR_NOMEM);
		return NULL;
	}
	k->on_mux.on_end = on_end;
	k->mux = mux_new(s, NULL, &mc, &k->on_mux);
	if (!k->mux) {
		free(k);
		return NULL;
	}
	k->loop = l;
	timer_init(&k->look, l, on_look);
	timer_start(&k->look, LOOK_MS);
	k->orphan.end = on_loop_end;
	loop_adopt(l, &k->orphan);
	return k;
}

void vless_trace_start(struct flow *f, struct stream *s)
{
	struct mux_request req = {.net = CONF_TCP, .target = f->target, .trace = true};
	struct traced *k = carrier_new(f->loop, s);
	struct stream *session = k ? mux_open(k->mux, &req) : NULL;

	if (session)
		mux_await_start(f, session);
	else
		flow_failed(f, -ERR_NOMEM, NULL);
}
