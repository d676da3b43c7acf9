#include "proxy/vless_await.h"

#include <stdlib.h>

#include "base/err.h"
#include "proxy/vless_stream.h"

enum { VERDICT_MS = 20000 };

struct waiting {
	struct flow *f;
	struct stream *s, *vless;
	struct flow_opening opening;
	struct vless_waiter waiter;
	struct timer late;
	struct garbage garbage;
};

static void waiting_destroy(struct garbage *g)
{
	free(container_of(g, struct waiting, garbage));
}

/* Lets go of the flow and returns it. */
static struct flow *waiting_retire(struct waiting *k)
{
	struct flow *f = k->f;

	timer_stop(&k->late);
	f->opening = NULL;
	k->garbage.destroy = waiting_destroy;
	loop_free_later(f->loop, &k->garbage);
	return f;
}

static void on_response(struct vless_waiter *w, int err)
{
	struct waiting *k = container_of(w, struct waiting, waiter);
	struct stream *s = k->s;
	struct flow *f = waiting_retire(k);

	if (err) {
		stream_close(s, 0);
		flow_failed(f, err == -ERR_EOF ? -ERR_RESET : err, "said by the server");
	} else {
		flow_connected(f, s, stream_can_half_close(s));
	}
}

/* As with a server that cannot tell. */
static void on_late(struct timer *t)
{
	struct waiting *k = container_of(t, struct waiting, late);

	vless_stream_await(k->vless, NULL);
	on_response(&k->waiter, 0);
}

static void on_cancel(struct flow_opening *o)
{
	struct waiting *k = container_of(o, struct waiting, opening);

	stream_close(k->s, -ERR_CLOSED);
	waiting_retire(k);
}

void vless_await_start(struct flow *f, struct stream *s, struct stream *vless)
{
	struct waiting *k = calloc(1, sizeof(*k));

	if (!k) {
		stream_close(s, -ERR_NOMEM);
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	*k = (struct waiting){.f = f, .s = s, .vless = vless};
	k->opening.cancel = on_cancel;
	f->opening = &k->opening;
	k->waiter.on_response = on_response;
	vless_stream_await(vless, &k->waiter);
	timer_init(&k->late, f->loop, on_late);
	timer_start(&k->late, VERDICT_MS);
}
