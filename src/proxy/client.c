#include "proxy/client.h"

#include <stdio.h>

#include "base/err.h"
#include "flow/dispatch.h"
#include "flow/trace.h"

/* Longer answers than this are none: the largest is the head of an HTTP proxy. */
enum { ANSWER_LIMIT = 65536 };

static void destroy(struct garbage *g)
{
	struct client *c = container_of(g, struct client, garbage);

	c->ops->free(c);
}

/* Lets go of the flow and returns it. */
static struct flow *retire(struct client *c)
{
	struct flow *f = c->f;

	f->opening = NULL;
	c->garbage.destroy = destroy;
	loop_free_later(f->loop, &c->garbage);
	return f;
}

static void on_cancel(struct flow_opening *o)
{
	struct client *c = container_of(o, struct client, opening);

	if (c->dial)
		dial_cancel(c->dial);
	intake_cancel(&c->intake, -ERR_CLOSED);
	retire(c);
}

static ssize_t on_decode(struct intake_user *u, struct intake *k, struct span in)
{
	struct client *c = container_of(u, struct client, on_intake);

	return in.n ? c->ops->decode(c, k, in) : 0;
}

static void on_done(struct intake_user *u, struct intake *k, struct stream *s, struct bufq *rest)
{
	struct client *c = container_of(u, struct client, on_intake);

	(void)k;
	c->ops->done(c, retire(c), s, rest);
}

static void on_failed(struct intake_user *u, struct intake *k, int err)
{
	struct client *c = container_of(u, struct client, on_intake);
	char text[128];

	snprintf(text, sizeof(text), "proxy handshake: %s", k->why ? k->why : err_name(err));
	flow_failed(retire(c), err == -ERR_EOF ? -ERR_RESET : err, text);
}

static void trace_dial(const struct client *c, bool ok, int err, const char *why)
{
	char text[ADDR_TEXT_MAX];

	if (trace_on(c->f))
		trace_say(c->f, "server %s: %s", addr_text(c->server, text, sizeof(text)),
			  ok ? "connected, handshake done" : why ? why : err_name(err));
}

static void on_dialed(struct dial_user *u, struct stream *s, int err, const char *why)
{
	struct client *c = container_of(u, struct client, on_dialed);
	struct core *core = c->f->core;
	struct intake_terms terms = {
		.limit = ANSWER_LIMIT,
		.deadline_ms = conf_policy(core->conf, c->f->level)->handshake_s * 1000ull,
	};

	c->dial = NULL;
	trace_dial(c, s != NULL, err, why);
	if (!s) {
		dispatch_elsewhere(retire(c), err, why);
		return;
	}
	dispatch_reached(c->f->out);
	if (!c->ops->decode) {
		struct bufq none;

		bufq_init(&none);
		c->ops->done(c, retire(c), s, &none);
		return;
	}
	intake_start(&c->intake, s, NULL, &terms, &c->on_intake);
	if (c->ops->begin)
		c->ops->begin(c, &c->intake);
}

static void prepare(struct client *c, const struct client_ops *ops, const struct addr *server,
		    struct flow *f)
{
	c->ops = ops;
	c->f = f;
	c->server = server;
	c->on_dialed.on_dialed = on_dialed;
	c->on_intake = (struct intake_user){on_decode, on_done, on_failed};
	c->opening.cancel = on_cancel;
	f->opening = &c->opening;
}

void client_start_on(struct client *c, const struct client_ops *ops, struct stream *s,
		     const struct addr *server, struct flow *f)
{
	prepare(c, ops, server, f);
	on_dialed(&c->on_dialed, s, 0, NULL);
}

void client_start(struct client *c, const struct client_ops *ops, struct dialer *d,
		  const struct addr *server, struct flow *f)
{
	prepare(c, ops, server, f);
	c->dial = dialer_dial(d, f->loop, server, f, &c->on_dialed);
	if (!c->dial)
		flow_failed(retire(c), -ERR_NOMEM, NULL);
}
