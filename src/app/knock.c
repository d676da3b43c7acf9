#include "app/knock.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

enum { PORT_HTTPS = 443 };

uint64_t knock_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int knock_target(struct addr *out, const char *text)
{
	if (addr_parse(out, span_str(text)) == 0)
		return 0;
	return addr_set_host(out, span_str(text), PORT_HTTPS);
}

int knock_resolve(struct ipport *out, const struct addr *a, const char **why)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int err;

	if (addr_to_ipport(a, out))
		return 0;
	err = getaddrinfo(a->name, NULL, &hints, &list);
	if (err) {
		*why = gai_strerror(err);
		return -ERR_RESOLVE;
	}
	err = ipport_from_sockaddr(out, list->ai_addr);
	freeaddrinfo(list);
	out->port = a->port;
	*why = "no address";
	return err ? -ERR_RESOLVE : 0;
}

int knock_dial(const struct ipport *to, unsigned ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	struct sockaddr_storage sa;
	socklen_t n = ipport_to_sockaddr(to, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&sa, n) == 0)
		return fd;
	err = errno == EINPROGRESS ? ETIMEDOUT : errno;
	close(fd);
	errno = err;
	return -1;
}

bool knock_send(int fd, struct span bytes)
{
	while (bytes.n > 0) {
		ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes = span_of(bytes.p + n, bytes.n - (size_t)n);
	}
	return true;
}

size_t knock_read(int fd, void *out, size_t cap, uint64_t until_ms, enum knock_end *end)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t now = knock_now_ms();
	ssize_t n;

	*end = KNOCK_OPEN;
	if (poll(&p, 1, now < until_ms ? (int)(until_ms - now) : 0) <= 0)
		return 0;
	n = recv(fd, out, cap, 0);
	if (n > 0)
		return (size_t)n;
	if (n == 0)
		*end = KNOCK_FIN;
	else if (errno != EAGAIN && errno != EINTR)
		*end = KNOCK_RESET;
	return 0;
}
