#include "flow/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "flow/relay.h"

struct splice_pipe {
	struct splice_pipe *next;
	int rd, wr;
	size_t held, cap;
};

/* One megabyte lets a bulk flow move in few calls; the kernel may grant less. */
enum { PIPE_WISH = 1 << 20, STORE_MAX = 16 };

static _Thread_local struct {
	struct splice_pipe *first;
	unsigned n;
} store;

static struct splice_pipe *pipe_borrow(void)
{
	struct splice_pipe *p = store.first;
	int fds[2], got;

	if (p) {
		store.first = p->next;
		store.n--;
		return p;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) == -1) {
		free(p);
		return NULL;
	}
	got = fcntl(fds[1], F_SETPIPE_SZ, PIPE_WISH);
	*p = (struct splice_pipe){NULL, fds[0], fds[1], 0, got > 0 ? (size_t)got : 65536};
	return p;
}

static void pipe_close(struct splice_pipe *p)
{
	close(p->rd);
	close(p->wr);
	free(p);
}

bool splice_pipe_holds(const struct splice_pipe *pipe)
{
	return pipe && pipe->held > 0;
}

void splice_pipe_return(struct splice_pipe **at)
{
	struct splice_pipe *p = *at;

	*at = NULL;
	if (!p)
		return;
	if (p->held || store.n >= STORE_MAX) {
		pipe_close(p);
		return;
	}
	p->next = store.first;
	store.first = p;
	store.n++;
}

void splice_thread_exit(void)
{
	while (store.first) {
		struct splice_pipe *p = store.first;

		store.first = p->next;
		pipe_close(p);
	}
	store.n = 0;
}

/* The little that sockets may hold unsent is for what else has to go out by them. A direction that
 * is spliced is one flow's alone, and each call that moves more is one that moves cheaper. */
static void widen(struct pump *p)
{
	unsigned bytes = PIPE_WISH;

	p->wide = true;
	setsockopt(stream_fd(p->to, STREAM_WRITE), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes,
		   sizeof(bytes));
}

/* Out of the pipe, as far as the socket takes it. */
static int drain(struct pump *p)
{
	while (p->pipe->held) {
		ssize_t n = splice(p->pipe->rd, NULL, stream_fd(p->to, STREAM_WRITE), NULL, p->pipe->held,
				   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return n == 0 ? -ERR_RESET : -(int)err_from_errno(errno);
		p->pipe->held -= (size_t)n;
		p->bytes += (uint64_t)n;
	}
	return 0;
}

static int fill(struct pump *p)
{
	ssize_t n;

	do
		n = splice(stream_fd(p->from, STREAM_READ), NULL, p->pipe->wr, NULL, p->pipe->cap,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? 0 : -(int)err_from_errno(errno);
	if (n == 0)
		p->eof = true;
	p->pipe->held += (size_t)n;
	return 0;
}

int splice_pump(struct pump *p, bool readable, bool *from_side)
{
	int err = 0;

	if (!p->pipe && (!readable || p->eof))
		return 0;
	if (!p->pipe) {
		p->pipe = pipe_borrow();
		if (!p->pipe)
			return -ERR_LIMIT;
	}
	if (p->pipe->held)
		err = drain(p);
	if (!err && !p->pipe->held && readable && !p->eof) {
		err = fill(p);
		*from_side = err != 0;
		if (!err)
			err = drain(p);
	}
	if (!p->pipe->held)
		splice_pipe_return(&p->pipe);
	else if (!p->wide && !err)
		widen(p);
	return err;
}
