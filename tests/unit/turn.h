/*
 * Turning a loop by hand in tests: until a condition holds, with an alarm for
 * the case that it never does. Sockets come in pairs and need no network.
 */
#ifndef GARENNE_TEST_TURN_H
#define GARENNE_TEST_TURN_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loop.h"
#include "net/stream_tcp.h"

enum { TURN_ALARM_S = 60 };

/* One turn of @l, waiting for something to happen. */
static inline void turn_once(struct loop *l)
{
	alarm(TURN_ALARM_S);
	ev_run(loop_ev(l), EVRUN_ONCE);
	alarm(0);
}

static inline void turn_tick(struct ev_loop *ev, struct ev_timer *t, int revents)
{
	(void)ev;
	(void)t;
	(void)revents;
}

/* The tick: deferred work may fulfil the condition just before the loop would sleep for good. */
#define turn_until(l, cond) \
	do { \
		struct ev_timer tick_; \
\
		ev_timer_init(&tick_, turn_tick, 0.005, 0.005); \
		ev_timer_start(loop_ev(l), &tick_); \
		alarm(TURN_ALARM_S); \
		while (!(cond)) \
			ev_run(loop_ev(l), EVRUN_ONCE); \
		alarm(0); \
		ev_timer_stop(loop_ev(l), &tick_); \
	} while (0)

/* Runs what is ready now and what was deferred, without waiting. */
static inline void turn_idle(struct loop *l)
{
	for (int i = 0; i < 8; i++)
		ev_run(loop_ev(l), EVRUN_NOWAIT);
}

/* A stream on @l and the descriptor of its other end, both non-blocking. */
static inline struct stream *turn_pair(struct loop *l, int *peer)
{
	int fds[2];

	*peer = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == -1)
		return NULL;
	*peer = fds[1];
	return stream_tcp_new(l, fds[0]);
}

/* Reads from @fd until @n bytes came or the end; the loop turns meanwhile. Returns the number. */
static inline size_t turn_read(struct loop *l, int fd, void *to, size_t n)
{
	size_t got = 0;

	alarm(TURN_ALARM_S);
	while (got < n) {
		ssize_t r = read(fd, (char *)to + got, n - got);

		if (r > 0)
			got += (size_t)r;
		else if (r == 0 || (errno != EAGAIN && errno != EINTR))
			break;
		else
			ev_run(loop_ev(l), EVRUN_NOWAIT);
	}
	alarm(0);
	return got;
}

/* True when @fd ended cleanly without further bytes. */
static inline bool turn_ends(struct loop *l, int fd)
{
	char c;
	ssize_t r;

	alarm(TURN_ALARM_S);
	while ((r = read(fd, &c, 1)) == -1 && (errno == EAGAIN || errno == EINTR))
		ev_run(loop_ev(l), EVRUN_NOWAIT);
	alarm(0);
	return r == 0;
}

#endif
