#include "net/stream_tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "net/linger.h"
#include "net/sock.h"

struct stream_tcp {
	struct stream s;
	struct watch watch;
	struct list node; /* in the loop's sockets, once it was wanted there */
	int broken; /* a write failed: reads report it once the peer's bytes are out */
	bool eof;   /* the peer has finished */
};

enum { IOV_MAX_WRITE = 64, READ_BUFS = STREAM_READ_MAX / BUF_READ };

static struct stream_tcp *of(struct stream *s)
{
	return container_of(s, struct stream_tcp, s);
}

static void on_ready(struct watch *w, unsigned events)
{
	struct stream_tcp *t = container_of(w, struct stream_tcp, watch);

	stream_deliver(&t->s, (events & WATCH_READ ? STREAM_READ : 0u) |
				      (events & WATCH_WRITE ? STREAM_WRITE : 0u));
}

/* A short read goes into a small buf, so that what is parked later costs what it weighs. */
static void push_read(struct bufq *into, struct buf *b, size_t n)
{
	if (n <= BUF_SMALL && n > 0) {
		struct buf *small = buf_copy(span_of(b->data, n));

		if (small) {
			bufq_push(into, small);
			buf_free(b);
			return;
		}
	}
	b->len = (uint32_t)n;
	bufq_push(into, b);
}

static ssize_t tcp_read(struct stream *s, struct bufq *into, size_t max)
{
	struct stream_tcp *t = of(s);
	struct buf *bufs[READ_BUFS];
	struct iovec iov[READ_BUFS];
	size_t each = max > STREAM_READ_MAX ? BUF_DATA : BUF_READ;
	size_t n = (max + each - 1) / each, made = 0;
	ssize_t got, left;

	if (n > READ_BUFS)
		n = READ_BUFS;
	for (; made < n; made++) {
		bufs[made] = buf_new(BUF_DATA);
		if (!bufs[made])
			break;
		iov[made] = (struct iovec){bufs[made]->data, each};
	}
	if (made == 0)
		return -ERR_NOMEM;
	if (max < made * each)
		iov[made - 1].iov_len = max - (made - 1) * each;
	do
		got = readv(t->watch.io.fd, iov, (int)made);
	while (got == -1 && errno == EINTR);
	left = got;
	for (size_t i = 0; i < made; i++) {
		size_t part = left > (ssize_t)each ? each : left > 0 ? (size_t)left : 0;

		if (part)
			push_read(into, bufs[i], part);
		else
			buf_free(bufs[i]);
		left -= (ssize_t)part;
	}
	if (got > 0)
		return got;
	if (got == 0) {
		t->eof = true;
		return t->broken ? t->broken : -ERR_EOF;
	}
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return t->broken;
	return -(int)err_from_errno(errno);
}

static ssize_t tcp_write(struct stream *s, struct bufq *from)
{
	struct stream_tcp *t = of(s);
	ssize_t taken = 0;

	while (!bufq_empty(from)) {
		struct iovec iov[IOV_MAX_WRITE];
		struct msghdr m = {.msg_iov = iov};
		size_t bytes;
		ssize_t n;

		m.msg_iovlen = (size_t)bufq_iov(from, iov, IOV_MAX_WRITE, &bytes);
		n = sendmsg(t->watch.io.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				break;
			t->broken = -(int)err_from_errno(errno);
			return taken ? taken : t->broken;
		}
		bufq_drop(from, (size_t)n);
		taken += n;
		if ((size_t)n < bytes)
			break;
	}
	return taken;
}

static void tcp_want(struct stream *s, unsigned events)
{
	struct stream_tcp *t = of(s);

	s->wanted = events;
	if (list_empty(&t->node))
		list_add_tail(loop_sockets(s->loop), &t->node);
	watch_set(&t->watch, (events & STREAM_READ ? (unsigned)WATCH_READ : 0u) |
				     (events & STREAM_WRITE ? (unsigned)WATCH_WRITE : 0u));
}

static void tcp_shutdown(struct stream *s)
{
	shutdown(of(s)->watch.io.fd, SHUT_WR);
}

static void tcp_destroy(struct garbage *g)
{
	free(container_of(container_of(g, struct stream, garbage), struct stream_tcp, s));
}

static void tcp_close(struct stream *s, int err)
{
	struct stream_tcp *t = of(s);

	watch_set(&t->watch, 0);
	list_del(&t->node);
	if (err) {
		struct linger hard = {.l_onoff = 1, .l_linger = 0};

		setsockopt(t->watch.io.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	}
	if (err || t->eof || t->broken)
		close(t->watch.io.fd);
	else
		linger_close(s->loop, t->watch.io.fd);
	stream_dispose(s, tcp_destroy);
}

static int tcp_fd(struct stream *s, unsigned direction)
{
	(void)direction;
	return of(s)->watch.io.fd;
}

static int tcp_move(struct stream *s, struct loop *to)
{
	struct stream_tcp *t = of(s);

	watch_set(&t->watch, 0);
	list_del(&t->node);
	s->wanted = 0;
	t->watch.loop = to;
	stream_rehome(s, to);
	return 0;
}

static const struct stream_ops tcp_ops = {
	.name = "tcp",
	.read = tcp_read,
	.write = tcp_write,
	.want = tcp_want,
	.shutdown = tcp_shutdown,
	.close = tcp_close,
	.fd = tcp_fd,
	.move = tcp_move,
};

struct stream *stream_tcp_new(struct loop *l, int fd)
{
	struct stream_tcp *t = calloc(1, sizeof(*t));

	if (!t) {
		close(fd);
		return NULL;
	}
	stream_init(&t->s, &tcp_ops, l);
	watch_init(&t->watch, l, fd, on_ready);
	list_init(&t->node);
	return &t->s;
}

static bool is_link_local(const struct ip *ip)
{
	return ip->family == 6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

/* What was redirected to us keeps its target as our address, which was never ours; a link's own
 * addresses cannot be told without the link. */
static bool is_exempt(int fd, const struct ip *ip)
{
	int v4 = 0, v6 = 0;
	socklen_t n4 = sizeof(v4), n6 = sizeof(v6);

	getsockopt(fd, SOL_IP, IP_TRANSPARENT, &v4, &n4);
	getsockopt(fd, SOL_IPV6, IPV6_TRANSPARENT, &v6, &n6);
	return v4 || v6 || is_link_local(ip);
}

void stream_tcp_check_addresses(struct loop *l)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	struct ip judged = {0};
	bool ours = true;
	struct stream_tcp *t;

	list_each(t, loop_sockets(l), node) {
		int fd = t->watch.io.fd;
		struct ipport at;

		if (sock_local(fd, &at) != 0 || at.ip.family == 0)
			continue;
		if (!ip_eq(&at.ip, &judged)) {
			judged = at.ip;
			ours = sock_is_local(&at.ip);
		}
		/* The kernel then reports a reset, which comes up as any other. */
		if (!ours && !is_exempt(fd, &at.ip))
			connect(fd, &nowhere, sizeof(nowhere));
	}
}

void stream_tcp_limit_unsent(struct stream *s, unsigned bytes)
{
	setsockopt(of(s)->watch.io.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}

int stream_tcp_fd(struct stream *s)
{
	return s->ops == &tcp_ops ? of(s)->watch.io.fd : -1;
}
