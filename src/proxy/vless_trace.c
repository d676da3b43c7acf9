#include "proxy/vless_trace.h"

#include <stdlib.h>

#include "base/err.h"
#include "flow/trace.h"
#include "proxy/mux.h"

enum { REST_MS = 1000 };

struct traced {
	struct flow *f; /* NULL: told */
	struct mux *mux;
	struct mux_user on_mux;
	struct stream *session;
	struct mux_verdict verdict;
	struct flow_opening opening;
	struct timer rest; /* the carrier goes when the session had time to end */
	struct orphan orphan;
	struct loop *loop;
	struct garbage garbage;
};

static void destroy(struct garbage *g)
{
	free(container_of(g, struct traced, garbage));
}

static void on_verdict(struct mux_verdict *mv, int err)
{
	struct traced *k = container_of(mv, struct traced, verdict);
	struct flow *f = k->f;

	k->f = NULL;
	f->opening = NULL;
	timer_start(&k->rest, REST_MS);
	if (err) {
		stream_close(k->session, err);
		flow_failed(f, err, "said by the server");
	} else {
		flow_connected(f, k->session, true);
	}
}

static void on_line(struct mux_verdict *mv, struct span text)
{
	trace_pass(container_of(mv, struct traced, verdict)->f, text);
}

static void on_cancel(struct flow_opening *o)
{
	struct traced *k = container_of(o, struct traced, opening);

	k->f = NULL;
	timer_start(&k->rest, REST_MS);
	mux_ask_verdict(k->session, NULL);
	stream_close(k->session, -ERR_CLOSED);
}

static void retire(struct traced *k)
{
	timer_stop(&k->rest);
	loop_disown(&k->orphan);
	k->garbage.destroy = destroy;
	loop_free_later(k->loop, &k->garbage);
}

static void on_end(struct mux_user *u, struct mux *m, int err, const char *why)
{
	struct traced *k = container_of(u, struct traced, on_mux);
	struct flow *f = k->f;

	(void)m;
	k->f = NULL;
	if (f) {
		f->opening = NULL;
		mux_ask_verdict(k->session, NULL);
		stream_close(k->session, err);
		flow_failed(f, err == -ERR_EOF ? -ERR_RESET : err, why);
	}
	retire(k);
}

static void on_rest(struct timer *t)
{
	struct traced *k = container_of(t, struct traced, rest);

	mux_close(k->mux, 0);
	retire(k);
}

static void on_loop_end(struct orphan *o)
{
	struct traced *k = container_of(o, struct traced, orphan);

	mux_close(k->mux, -ERR_CLOSED);
	retire(k);
}

static struct traced *carrier_new(struct flow *f, struct stream *s)
{
	struct mux_config mc = {.role = MUX_CLIENT, .ours = true};
	struct traced *k = calloc(1, sizeof(*k));

	if (!k) {
		stream_close(s, -ERR_NOMEM);
		return NULL;
	}
	k->on_mux.on_end = on_end;
	k->loop = f->loop;
	timer_init(&k->rest, f->loop, on_rest);
	k->mux = mux_new(s, NULL, &mc, &k->on_mux);
	if (!k->mux) {
		free(k);
		return NULL;
	}
	k->orphan.end = on_loop_end;
	loop_adopt(k->loop, &k->orphan);
	return k;
}

void vless_trace_start(struct flow *f, struct stream *s)
{
	struct mux_request req = {.net = CONF_TCP, .target = f->target, .trace = true};
	struct traced *k = carrier_new(f, s);

	if (k)
		k->session = mux_open(k->mux, &req);
	if (k && !k->session)
		timer_start(&k->rest, REST_MS);
	if (!k || !k->session) {
		flow_failed(f, -ERR_NOMEM, NULL);
		return;
	}
	k->f = f;
	k->opening.cancel = on_cancel;
	f->opening = &k->opening;
	k->verdict = (struct mux_verdict){on_verdict, on_line};
	mux_ask_verdict(k->session, &k->verdict);
}
