/*
 * A load generator: makes TCP traffic and measures it. One file, one thread, one
 * epoll, no library. A server's bulk connections each get a process of their own.
 *
 *   load serve ADDR PORT
 *   load bulk  ADDR PORT up|down STREAMS MIB      all streams together move MIB
 *   load flood ADDR PORT up|down STREAMS SECONDS  as much as there is time for
 *   load conn  ADDR PORT CONCURRENCY COUNT        connections, each with one byte's echo
 *   load ping  ADDR PORT COUNT [SIZE]             one request at a time, on one connection
 *   load idle  ADDR PORT COUNT                    holds them until standard input ends
 *
 * The first byte that a client sends tells the server what the connection is for, so
 * that one port, and one port forward, serve for everything:
 *
 *   'S' u64 N  sink: N bytes follow; when they are here one byte is the answer
 *   'F' u64 N  flood: N bytes are the answer
 *   'E'        echo until the end
 *   'P' byte   the byte comes back, the client closes
 *
 * Clients print one line of JSON. Numbers are in host order: both ends are this program.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, EVENTS = 256, HEAD = 9 };

enum kind { K_NEW = 0, K_LISTEN, K_SINK, K_FLOOD, K_ECHO, K_ONCE, K_CLIENT };

/* One connection, on either side. */
struct conn {
	int fd;
	enum kind kind;
	uint8_t head[HEAD];
	size_t n_head;
	uint64_t left;	/* bytes still to be read or written */
	bool answered;	/* what was to be said at the end has been said */
	uint8_t *held;	/* echo: bytes that could not be sent yet */
	size_t n_held;
	double begin;
};

static int epfd;
static struct sockaddr_storage target;
static socklen_t target_len;
static uint8_t chunk[CHUNK];
static bool apart; /* a server's child with one connection */

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t number(const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (end == text || *end) {
		fprintf(stderr, "load: '%s' is not a number\n", text);
		exit(2);
	}
	return n;
}

static void resolve(const char *host, const char *port, int flags)
{
	struct addrinfo hint = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICHOST};
	struct addrinfo *ai;

	if (getaddrinfo(host, port, &hint, &ai) != 0) {
		fprintf(stderr, "load: %s port %s: not an address\n", host, port);
		exit(2);
	}
	memcpy(&target, ai->ai_addr, ai->ai_addrlen);
	target_len = ai->ai_addrlen;
	freeaddrinfo(ai);
}

static void watch(struct conn *c, uint32_t events, int op)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};

	if (epoll_ctl(epfd, op, c->fd, &ev) == -1)
		die("epoll_ctl");
}

static struct conn *conn_new(int fd, enum kind kind, uint32_t events)
{
	struct conn *c = calloc(1, sizeof(*c));
	int one = 1;

	if (!c)
		die("memory");
	c->fd = fd;
	c->kind = kind;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	watch(c, events, EPOLL_CTL_ADD);
	return c;
}

/* A child's copy would keep it in our epoll. */
static void conn_free(struct conn *c)
{
	watch(c, 0, EPOLL_CTL_DEL);
	close(c->fd);
	free(c->held);
	free(c);
}

/* Over, or only nothing to be done now? */
static bool again(ssize_t n)
{
	return n == -1 && (errno == EAGAIN || errno == EINTR);
}

/* ---- the server ---- */

static void accept_all(struct conn *l)
{
	for (;;) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd == -1)
			return;
		conn_new(fd, K_NEW, EPOLLIN);
	}
}

/* Bulk gets a process of its own, as with most servers: echoes do not wait behind it. Returns in
 * the child, whose epoll knows nothing but @c; false in the parent, which has done with it. */
static bool serve_apart(struct conn *c)
{
	pid_t child = fork();

	if (child == -1)
		die("fork");
	if (child)
		return false;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	apart = true;
	/* All others are the parent's, and end when it says so. */
	if (c->fd > 3)
		close_range(3, (unsigned)c->fd - 1, 0);
	close_range((unsigned)c->fd + 1, ~0u, 0);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (epfd == -1)
		die("epoll");
	watch(c, EPOLLIN, EPOLL_CTL_ADD);
	return true;
}

/* The first bytes; false when the connection is over. */
static bool serve_head(struct conn *c)
{
	size_t want = c->n_head == 0 ? 1 : c->head[0] == 'E' ? 1 : c->head[0] == 'P' ? 2 : HEAD;
	ssize_t n;

	while (c->n_head < want) {
		n = recv(c->fd, c->head + c->n_head, want - c->n_head, 0);
		if (n <= 0)
			return again(n);
		c->n_head += (size_t)n;
		want = c->head[0] == 'E' ? 1 : c->head[0] == 'P' ? 2 : HEAD;
	}
	if (want == HEAD)
		memcpy(&c->left, c->head + 1, sizeof(c->left));
	switch (c->head[0]) {
	case 'S':
		if (!serve_apart(c))
			return false;
		c->kind = K_SINK;
		return true;
	case 'F':
		if (!serve_apart(c))
			return false;
		c->kind = K_FLOOD;
		watch(c, EPOLLOUT, EPOLL_CTL_MOD);
		return true;
	case 'E':
		c->kind = K_ECHO;
		return true;
	case 'P':
		c->kind = K_ONCE;
		return send(c->fd, c->head + 1, 1, MSG_NOSIGNAL) == 1;
	default:
		return false;
	}
}

static bool serve_sink(struct conn *c)
{
	ssize_t n = recv(c->fd, chunk, CHUNK, 0);

	if (n <= 0)
		return again(n);
	c->left -= (uint64_t)n < c->left ? (uint64_t)n : c->left;
	if (c->left == 0 && !c->answered) {
		c->answered = true;
		return send(c->fd, "k", 1, MSG_NOSIGNAL) == 1;
	}
	return true;
}

static bool serve_flood(struct conn *c)
{
	ssize_t n = send(c->fd, chunk, c->left < CHUNK ? (size_t)c->left : CHUNK, MSG_NOSIGNAL);

	if (n <= 0)
		return again(n);
	c->left -= (uint64_t)n;
	if (c->left == 0) {
		c->kind = K_ONCE; /* the client ends it */
		watch(c, EPOLLIN, EPOLL_CTL_MOD);
	}
	return true;
}

static bool serve_echo(struct conn *c, uint32_t events)
{
	ssize_t n;

	if (c->n_held && (events & EPOLLOUT)) {
		n = send(c->fd, c->held, c->n_held, MSG_NOSIGNAL);
		if (n <= 0)
			return again(n);
		c->n_held -= (size_t)n;
		memmove(c->held, c->held + n, c->n_held);
		if (c->n_held == 0)
			watch(c, EPOLLIN, EPOLL_CTL_MOD);
		return true;
	}
	n = recv(c->fd, chunk, CHUNK, 0);
	if (n <= 0)
		return again(n);
	ssize_t sent = send(c->fd, chunk, (size_t)n, MSG_NOSIGNAL);
	if (sent == -1 && !again(sent))
		return false;
	if (sent < 0)
		sent = 0;
	if (sent < n) {
		c->n_held = (size_t)(n - sent);
		free(c->held);
		c->held = malloc(c->n_held);
		if (!c->held)
			die("memory");
		memcpy(c->held, chunk + sent, c->n_held);
		watch(c, EPOLLOUT, EPOLL_CTL_MOD);
	}
	return true;
}

static bool serve_end(struct conn *c)
{
	ssize_t n = recv(c->fd, chunk, CHUNK, 0);

	return n > 0 || again(n);
}

static void serve_event(struct conn *c, uint32_t events)
{
	bool alive = true;

	switch (c->kind) {
	case K_LISTEN:
		accept_all(c);
		return;
	case K_NEW:
		alive = serve_head(c);
		break;
	case K_SINK:
		alive = serve_sink(c);
		break;
	case K_FLOOD:
		alive = serve_flood(c);
		break;
	case K_ECHO:
		alive = serve_echo(c, events);
		break;
	default:
		alive = serve_end(c);
	}
	if (!alive)
		conn_free(c);
	if (!alive && apart)
		_exit(0);
}

static _Noreturn void serve_loop(void)
{
	struct epoll_event ev[EVENTS];

	for (;;) {
		int n = epoll_wait(epfd, ev, EVENTS, -1);

		/* One at a time: after a fork what else there was is the parent's. */
		for (int i = 0; i < n && !apart; i++)
			serve_event(ev[i].data.ptr, ev[i].events);
		while (apart)
			if (epoll_wait(epfd, ev, 1, -1) == 1)
				serve_event(ev[0].data.ptr, ev[0].events);
	}
}

static _Noreturn void serve(void)
{
	int one = 1, fd = socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    bind(fd, (struct sockaddr *)&target, target_len) == -1 || listen(fd, 16384) == -1)
		die("listen");
	conn_new(fd, K_LISTEN, EPOLLIN);
	signal(SIGCHLD, SIG_IGN);
	serve_loop();
}

/* ---- clients ---- */

static int dial(bool nonblock)
{
	int fd = socket(target.ss_family, SOCK_STREAM | (nonblock ? SOCK_NONBLOCK : 0), 0);

	if (fd == -1)
		die("socket");
	if (connect(fd, (struct sockaddr *)&target, target_len) == -1 && errno != EINPROGRESS)
		die("connect");
	return fd;
}

static void send_all(int fd, const void *data, size_t n)
{
	if (send(fd, data, n, MSG_NOSIGNAL) != (ssize_t)n)
		die("send");
}

static void send_head(int fd, char what, uint64_t n)
{
	uint8_t head[HEAD] = {(uint8_t)what};

	memcpy(head + 1, &n, sizeof(n));
	send_all(fd, head, sizeof(head));
}

/* One helping of a bulk stream; false when it is done. */
static bool bulk_turn(struct conn *c, bool up, uint64_t *moved)
{
	ssize_t n;

	if (up && c->left) {
		n = send(c->fd, chunk, c->left < CHUNK ? (size_t)c->left : CHUNK, MSG_NOSIGNAL);
		if (again(n))
			return true;
		if (n <= 0)
			die("send");
		c->left -= (uint64_t)n;
		*moved += (uint64_t)n;
		if (c->left == 0)
			watch(c, EPOLLIN, EPOLL_CTL_MOD);
		return true;
	}
	n = recv(c->fd, chunk, CHUNK, 0);
	if (again(n))
		return true;
	if (n <= 0)
		die("a stream ended too early");
	if (up)
		return false; /* the answer of the sink */
	c->left -= (uint64_t)n;
	*moved += (uint64_t)n;
	return c->left != 0;
}

/* @seconds: 0 moves @each bytes per stream, else stops when the time is over. */
static int bulk(bool up, uint64_t streams, uint64_t each, uint64_t seconds)
{
	struct epoll_event ev[EVENTS];
	uint64_t moved = 0, alive = streams;
	double begin, took;

	for (uint64_t i = 0; i < streams; i++) {
		int fd = dial(false);
		struct conn *c;

		send_head(fd, up ? 'S' : 'F', each);
		fcntl(fd, F_SETFL, O_NONBLOCK);
		c = conn_new(fd, K_CLIENT, up ? EPOLLOUT : EPOLLIN);
		c->left = each;
	}
	begin = now();
	while (alive && (!seconds || now() - begin < (double)seconds)) {
		int n = epoll_wait(epfd, ev, EVENTS, seconds ? 100 : 60000);

		if (n == 0 && !seconds) {
			errno = ETIMEDOUT;
			die("nothing moved for a minute");
		}
		for (int i = 0; i < n; i++)
			if (!bulk_turn(ev[i].data.ptr, up, &moved)) {
				conn_free(ev[i].data.ptr);
				alive--;
			}
	}
	took = now() - begin;
	printf("{\"bytes\": %llu, \"seconds\": %.6f}\n", (unsigned long long)moved, took);
	return 0;
}

static void conn_begin(void)
{
	conn_new(dial(true), K_CLIENT, EPOLLOUT)->begin = now();
}

/* False when this one is done; *@ok tells whether its byte came back. */
static bool conn_turn(struct conn *c, uint32_t events, bool *ok)
{
	uint8_t b[2] = {'P', 'x'};
	ssize_t n;

	if (!c->n_head) {
		if ((events & (EPOLLERR | EPOLLHUP)) || send(c->fd, b, 2, MSG_NOSIGNAL) != 2)
			return false;
		c->n_head = 2;
		watch(c, EPOLLIN, EPOLL_CTL_MOD);
		return true;
	}
	n = recv(c->fd, b, sizeof(b), 0);
	if (again(n))
		return true;
	*ok = n == 1 && b[0] == 'x';
	return false;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double share(const double *sorted, uint64_t n, double p)
{
	return sorted[(uint64_t)((double)(n - 1) * p)] * 1e3;
}

static int conn_rate(uint64_t concurrency, uint64_t count)
{
	struct epoll_event ev[EVENTS];
	uint64_t begun = 0, done = 0, bad = 0;
	double *took = calloc(count, sizeof(*took)), begin = now();

	if (!took || !count)
		die("count");
	while (begun < concurrency && begun < count) {
		conn_begin();
		begun++;
	}
	while (done < count) {
		int n = epoll_wait(epfd, ev, EVENTS, 30000);

		if (n == 0) {
			errno = ETIMEDOUT;
			die("no connection made progress");
		}
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;
			bool ok = false;

			if (conn_turn(c, ev[i].events, &ok))
				continue;
			took[done++] = now() - c->begin;
			bad += !ok;
			conn_free(c);
			if (begun < count) {
				conn_begin();
				begun++;
			}
		}
	}
	begin = now() - begin;
	qsort(took, count, sizeof(*took), by_size);
	printf("{\"per_second\": %.1f, \"failed\": %llu, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
	       (double)count / begin, (unsigned long long)bad, share(took, count, 0.50),
	       share(took, count, 0.99));
	free(took);
	return 0;
}

static void ping_once(int fd, uint8_t *buf, size_t size)
{
	size_t got = 0;

	send_all(fd, buf, size);
	while (got < size) {
		ssize_t n = recv(fd, buf + got, size - got, 0);

		if (n <= 0)
			die("echo");
		got += (size_t)n;
	}
}

static int ping(uint64_t count, uint64_t size)
{
	int one = 1, fd = dial(false);
	double *took = calloc(count, sizeof(*took));

	if (!took || !count || size > CHUNK)
		die("count");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	send_all(fd, "E", 1);
	for (int i = 0; i < 20; i++) /* caches and windows get warm */
		ping_once(fd, chunk, (size_t)size);
	for (uint64_t i = 0; i < count; i++) {
		double begin = now();

		ping_once(fd, chunk, (size_t)size);
		took[i] = now() - begin;
	}
	qsort(took, count, sizeof(*took), by_size);
	printf("{\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
	       share(took, count, 0.50), share(took, count, 0.99), share(took, count, 1.0));
	free(took);
	close(fd);
	return 0;
}

static int idle(uint64_t count)
{
	struct timeval limit = {.tv_sec = 60};
	uint64_t echoed = 0;
	int *fds = calloc(count, sizeof(*fds));
	char b;

	if (!fds)
		die("memory");
	for (uint64_t i = 0; i < count; i++) {
		fds[i] = dial(false);
		setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		send_all(fds[i], "Ex", 2);
		/* A few under way at a time, not all at once. */
		if (i >= 64 && recv(fds[i - 64], &b, 1, 0) == 1)
			echoed++;
	}
	for (uint64_t i = count > 64 ? count - 64 : 0; i < count; i++)
		if (recv(fds[i], &b, 1, 0) == 1)
			echoed++;
	printf("{\"held\": %llu, \"echoed\": %llu}\n", (unsigned long long)count,
	       (unsigned long long)echoed);
	fflush(stdout);
	while (read(0, &b, 1) > 0)
		;
	free(fds);
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: load serve|bulk|flood|conn|ping|idle ADDR PORT [...]; see load.c\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct rlimit files = {1 << 20, 1 << 20};
	const char *mode = argc > 3 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	if (setrlimit(RLIMIT_NOFILE, &files) == -1 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (epfd == -1)
		die("epoll");
	if (argc <= 3)
		return usage();
	resolve(argv[2], argv[3], 0);
	if (strcmp(mode, "serve") == 0)
		serve();
	if (strcmp(mode, "bulk") == 0 && argc == 7) {
		uint64_t n = number(argv[5]);

		return bulk(strcmp(argv[4], "up") == 0, n, (number(argv[6]) << 20) / n, 0);
	}
	if (strcmp(mode, "flood") == 0 && argc == 7)
		return bulk(strcmp(argv[4], "up") == 0, number(argv[5]), UINT64_MAX / 2,
			    number(argv[6]));
	if (strcmp(mode, "conn") == 0 && argc == 6)
		return conn_rate(number(argv[4]), number(argv[5]));
	if (strcmp(mode, "ping") == 0 && (argc == 5 || argc == 6))
		return ping(number(argv[4]), argc == 6 ? number(argv[5]) : 1);
	if (strcmp(mode, "idle") == 0 && argc == 5)
		return idle(number(argv[4]));
	return usage();
}
