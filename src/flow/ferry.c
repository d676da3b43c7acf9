#include "flow/ferry.h"

#include <stdlib.h>

#include "base/err.h"
#include "flow/farhook.h"
#include "flow/relay.h"
#include "net/dgram_xpipe.h"
#include "net/stream_xpipe.h"

enum { FERRY_ROOM = STREAM_READ_MAX };

/*
 * The near end and the pipe, coupled until either ends. No limits here: the flow
 * has them. With a hook nothing moves before the verdict, and the object stays
 * until the hook has heard of the flow's end.
 */
struct stream_ferry {
	struct loop *loop;
	struct stream *near, *pipe; /* before they are coupled */
	struct relay relay;
	struct relay_user on_relay;
	struct stream_user on_wait; /* @near is somebody's from the start, so that nobody else
				     * ends the flow, which is out of reach */
	struct farhook_user on_hook;
	bool coupled, hooked;
	struct orphan orphan;
	struct garbage garbage;
};

struct dgram_ferry {
	struct loop *loop;
	struct dgram *near, *pipe; /* NULL after the end */
	struct dgram_user on_near, on_pipe;
	struct farhook_user on_hook;
	bool hooked;
	struct stream *no_stream; /* always NULL: what the hook is shown */
	struct orphan orphan;
	struct garbage garbage;
};

static void stream_ferry_destroy(struct garbage *g)
{
	free(container_of(g, struct stream_ferry, garbage));
}

/* When nothing holds it any more. */
static void stream_ferry_let_go(struct stream_ferry *y)
{
	if (y->coupled || y->hooked)
		return;
	loop_disown(&y->orphan);
	y->garbage.destroy = stream_ferry_destroy;
	loop_free_later(y->loop, &y->garbage);
}

static void on_relay_end(struct relay_user *u, struct relay *r, int err, bool a_side,
			 const char *why)
{
	struct stream_ferry *y = container_of(u, struct stream_ferry, on_relay);

	(void)r;
	(void)err;
	(void)a_side;
	(void)why;
	y->coupled = false;
	stream_ferry_let_go(y);
}

static void couple(struct stream_ferry *y)
{
	struct relay_limits limits = {.a_half_close = true, .b_half_close = true};
	struct stream *a = y->near, *b = y->pipe;

	y->near = y->pipe = NULL;
	y->coupled = true;
	relay_start(&y->relay, a, b, NULL, &limits, &y->on_relay);
}

static void part(struct stream_ferry *y, int err)
{
	stream_close(y->near, err);
	stream_close(y->pipe, err);
	y->near = y->pipe = NULL;
}

/* Nothing is wanted of it before the verdict. */
static void on_wait(struct stream_user *u, struct stream *s, unsigned events)
{
	(void)u;
	(void)s;
	(void)events;
}

static struct stream **hook_stream(struct farhook_user *u)
{
	return &container_of(u, struct stream_ferry, on_hook)->near;
}

static void hook_told(struct farhook_user *u, int err)
{
	struct stream_ferry *y = container_of(u, struct stream_ferry, on_hook);

	if (err == 0 && y->near)
		couple(y);
	else
		part(y, 0); /* the client asked and got no answer; to it this is an end */
}

static void hook_over(struct farhook_user *u)
{
	struct stream_ferry *y = container_of(u, struct stream_ferry, on_hook);

	part(y, -ERR_CLOSED);
	y->hooked = false;
	stream_ferry_let_go(y);
}

/* The loop ends. What the other loop still has to say comes by post, and finds it. */
static void on_stream_orphan(struct orphan *o)
{
	struct stream_ferry *y = container_of(o, struct stream_ferry, orphan);

	if (y->coupled)
		relay_abort(&y->relay, -ERR_CLOSED);
	y->coupled = false;
	part(y, -ERR_CLOSED);
	stream_ferry_let_go(y);
}

/* Replaces *@hook, if there is one. False when memory is out. */
static bool hook_up(struct flow_hook **hook, struct loop *home, struct farhook_user *user,
		    bool *hooked)
{
	struct farhook *h = *hook ? farhook_new(*hook, home, user) : NULL;

	if (*hook && !h)
		return false;
	*hooked = h != NULL;
	if (h)
		*hook = farhook_hook(h);
	return true;
}

struct stream *ferry_stream(struct stream *s, struct loop *to, struct flow_hook **hook)
{
	struct stream_ferry *y = calloc(1, sizeof(*y));
	struct stream *end[2];

	if (!y || stream_xpipe_new(s->loop, to, FERRY_ROOM, end) != 0) {
		free(y);
		stream_close(s, -ERR_NOMEM);
		return NULL;
	}
	y->loop = s->loop;
	y->near = s;
	y->pipe = end[0];
	y->on_relay.on_end = on_relay_end;
	y->on_hook = (struct farhook_user){hook_stream, hook_told, hook_over};
	if (!hook_up(hook, y->loop, &y->on_hook, &y->hooked)) {
		part(y, -ERR_NOMEM);
		stream_close(end[1], -ERR_NOMEM);
		free(y);
		return NULL;
	}
	y->orphan.end = on_stream_orphan;
	loop_adopt(y->loop, &y->orphan);
	y->on_wait.on_event = on_wait;
	stream_attach(s, &y->on_wait);
	if (!y->hooked)
		couple(y);
	return end[1];
}

static void dgram_ferry_destroy(struct garbage *g)
{
	free(container_of(g, struct dgram_ferry, garbage));
}

static void dgram_ferry_let_go(struct dgram_ferry *y)
{
	if (y->near || y->hooked)
		return;
	loop_disown(&y->orphan);
	y->garbage.destroy = dgram_ferry_destroy;
	loop_free_later(y->loop, &y->garbage);
}

static void dgram_ferry_end(struct dgram_ferry *y, int err)
{
	dgram_close(y->near, err);
	dgram_close(y->pipe, err);
	y->near = y->pipe = NULL;
	dgram_ferry_let_go(y);
}

/* Packets move from the start: only the words are for the hook. */
static struct stream **hook_no_stream(struct farhook_user *u)
{
	return &container_of(u, struct dgram_ferry, on_hook)->no_stream;
}

static void dgram_hook_told(struct farhook_user *u, int err)
{
	(void)u;
	(void)err;
}

static void dgram_hook_over(struct farhook_user *u)
{
	struct dgram_ferry *y = container_of(u, struct dgram_ferry, on_hook);

	y->hooked = false;
	if (!y->near)
		dgram_ferry_let_go(y);
}

static void near_packet(struct dgram_user *u, struct dgram *d, const struct addr *party,
			struct buf *pkt)
{
	(void)d;
	dgram_send(container_of(u, struct dgram_ferry, on_near)->pipe, party, pkt);
}

static void pipe_packet(struct dgram_user *u, struct dgram *d, const struct addr *party,
			struct buf *pkt)
{
	(void)d;
	dgram_send(container_of(u, struct dgram_ferry, on_pipe)->near, party, pkt);
}

static void pipe_bounce(struct dgram_user *u, struct dgram *d, const struct addr *to, int err)
{
	(void)d;
	dgram_bounce(container_of(u, struct dgram_ferry, on_pipe)->near, to, err);
}

static void near_end(struct dgram_user *u, struct dgram *d, int err)
{
	(void)d;
	dgram_ferry_end(container_of(u, struct dgram_ferry, on_near), err);
}

static void pipe_end(struct dgram_user *u, struct dgram *d, int err)
{
	(void)d;
	dgram_ferry_end(container_of(u, struct dgram_ferry, on_pipe), err);
}

static void on_dgram_orphan(struct orphan *o)
{
	dgram_ferry_end(container_of(o, struct dgram_ferry, orphan), -ERR_CLOSED);
}

struct dgram *ferry_dgram(struct dgram *d, struct loop *to, struct flow_hook **hook)
{
	struct dgram_ferry *y = calloc(1, sizeof(*y));
	struct dgram *end[2];

	if (!y || dgram_xpipe_new(d->loop, to, end) != 0) {
		free(y);
		dgram_close(d, -ERR_NOMEM);
		return NULL;
	}
	y->loop = d->loop;
	y->near = d;
	y->pipe = end[0];
	y->on_near = (struct dgram_user){near_packet, near_end, NULL};
	y->on_pipe = (struct dgram_user){pipe_packet, pipe_end, pipe_bounce};
	y->on_hook = (struct farhook_user){hook_no_stream, dgram_hook_told, dgram_hook_over};
	if (!hook_up(hook, y->loop, &y->on_hook, &y->hooked)) {
		dgram_close(end[1], -ERR_NOMEM);
		dgram_close(y->pipe, -ERR_NOMEM);
		dgram_close(y->near, -ERR_NOMEM);
		free(y);
		return NULL;
	}
	y->orphan.end = on_dgram_orphan;
	loop_adopt(y->loop, &y->orphan);
	dgram_attach(y->pipe, &y->on_pipe);
	dgram_attach(y->near, &y->on_near);
	return end[1];
}
