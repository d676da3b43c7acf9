#include "flow/ferry.h"

#include <stdlib.h>

#include "base/err.h"
#include "flow/relay.h"
#include "net/dgram_xpipe.h"
#include "net/stream_xpipe.h"

enum { FERRY_ROOM = STREAM_READ_MAX };

/* The near end and the pipe, coupled until either ends. No limits here: the flow has them. */
struct stream_ferry {
	struct loop *loop;
	struct relay relay;
	struct relay_user on_relay;
	struct orphan orphan;
	struct garbage garbage;
};

struct dgram_ferry {
	struct loop *loop;
	struct dgram *near, *pipe;
	struct dgram_user on_near, on_pipe;
	struct orphan orphan;
	struct garbage garbage;
};

static void stream_ferry_destroy(struct garbage *g)
{
	free(container_of(g, struct stream_ferry, garbage));
}

static void stream_ferry_free(struct stream_ferry *y)
{
	loop_disown(&y->orphan);
	y->garbage.destroy = stream_ferry_destroy;
	loop_free_later(y->loop, &y->garbage);
}

static void on_relay_end(struct relay_user *u, struct relay *r, int err, bool a_side,
			 const char *why)
{
	(void)r;
	(void)err;
	(void)a_side;
	(void)why;
	stream_ferry_free(container_of(u, struct stream_ferry, on_relay));
}

static void on_stream_orphan(struct orphan *o)
{
	struct stream_ferry *y = container_of(o, struct stream_ferry, orphan);

	relay_abort(&y->relay, -ERR_CLOSED);
	stream_ferry_free(y);
}

struct stream *ferry_stream(struct stream *s, struct loop *to)
{
	struct relay_limits limits = {.a_half_close = true, .b_half_close = true};
	struct stream_ferry *y = calloc(1, sizeof(*y));
	struct stream *end[2];

	if (!y || stream_xpipe_new(s->loop, to, FERRY_ROOM, end) != 0) {
		free(y);
		stream_close(s, -ERR_NOMEM);
		return NULL;
	}
	y->loop = s->loop;
	y->on_relay.on_end = on_relay_end;
	y->orphan.end = on_stream_orphan;
	loop_adopt(y->loop, &y->orphan);
	relay_start(&y->relay, s, end[0], NULL, &limits, &y->on_relay);
	return end[1];
}

static void dgram_ferry_destroy(struct garbage *g)
{
	free(container_of(g, struct dgram_ferry, garbage));
}

static void dgram_ferry_end(struct dgram_ferry *y, int err)
{
	loop_disown(&y->orphan);
	dgram_close(y->near, err);
	dgram_close(y->pipe, err);
	y->garbage.destroy = dgram_ferry_destroy;
	loop_free_later(y->loop, &y->garbage);
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

struct dgram *ferry_dgram(struct dgram *d, struct loop *to)
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
	y->on_near = (struct dgram_user){near_packet, near_end};
	y->on_pipe = (struct dgram_user){pipe_packet, pipe_end};
	y->orphan.end = on_dgram_orphan;
	loop_adopt(y->loop, &y->orphan);
	dgram_attach(y->pipe, &y->on_pipe);
	dgram_attach(y->near, &y->on_near);
	return end[1];
}
