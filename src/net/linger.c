#include "net/linger.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WASTE = 16 << 10 };

struct linger_sock {
	struct watch watch;
	struct timer deadline;
	struct orphan orphan;
	struct garbage garbage;
	size_t left;
};

static _Thread_local unsigned lingering;

/* True when there is nothing more to wait for. */
static bool swallow(int fd, size_t *left)
{
	uint8_t waste[WASTE];

	for (;;) {
		ssize_t n = recv(fd, waste, sizeof(waste), MSG_DONTWAIT);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return false;
		if (n <= 0 || (size_t)n >= *left)
			return true;
		*left -= (size_t)n;
	}
}

static void destroy(struct garbage *g)
{
	free(container_of(g, struct linger_sock, garbage));
}

static void end(struct linger_sock *s)
{
	timer_stop(&s->deadline);
	watch_set(&s->watch, 0);
	loop_disown(&s->orphan);
	close(s->watch.io.fd);
	lingering--;
	loop_free_later(s->watch.loop, &s->garbage);
}

static void on_ready(struct watch *w, unsigned events)
{
	struct linger_sock *s = container_of(w, struct linger_sock, watch);

	(void)events;
	if (swallow(w->io.fd, &s->left))
		end(s);
}

static void on_deadline(struct timer *t)
{
	end(container_of(t, struct linger_sock, deadline));
}

static void on_loop_end(struct orphan *o)
{
	end(container_of(o, struct linger_sock, orphan));
}

void linger_close(struct loop *l, int fd)
{
	struct linger_sock *s = NULL;
	size_t left = LINGER_BYTES;

	/* Most peers have said all they wanted to. */
	if (swallow(fd, &left) || left == LINGER_BYTES || shutdown(fd, SHUT_WR) == -1 ||
	    lingering >= LINGER_MAX || !(s = calloc(1, sizeof(*s)))) {
		close(fd);
		return;
	}
	lingering++;
	s->left = left;
	s->garbage.destroy = destroy;
	list_init(&s->garbage.node);
	s->orphan.end = on_loop_end;
	loop_adopt(l, &s->orphan);
	timer_init(&s->deadline, l, on_deadline);
	timer_start(&s->deadline, LINGER_MS);
	watch_init(&s->watch, l, fd, on_ready);
	watch_set(&s->watch, WATCH_READ);
}
