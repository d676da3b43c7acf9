/* A name server on the loop of a test: UDP and TCP, answers by the first label of the name. */
#ifndef GARENNE_TEST_FAKEDNS_H
#define GARENNE_TEST_FAKEDNS_H

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "net/loop.h"

struct fakedns {
	struct watch udp, tcp, conn;
	struct loop *loop;
	struct ipport at;
	int queries, tcp_queries;
	char last[256];
	uint8_t v4[4]; /* the address it gives */
	bool mute;
};

static inline size_t fakedns_rr(uint8_t *out, int type, const uint8_t *data, size_t n)
{
	const uint8_t head[] = {0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 1, 44, 0, (uint8_t)n};

	memcpy(out, head, sizeof(head));
	memcpy(out + sizeof(head), data, n);
	return sizeof(head) + n;
}

/* Answers in place; the length, or 0 for silence. */
static inline size_t fakedns_answer(struct fakedns *d, uint8_t *m, size_t n)
{
	static const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
	size_t at = 12, name = 0;
	int type, answers = 0;

	if (n < 17)
		return 0;
	while (at < n && m[at]) {
		if (name)
			d->last[name++] = '.';
		for (int i = 0; i < m[at]; i++)
			d->last[name++] = (char)tolower(m[at + 1 + i]); /* drawn by lot */
		at += 1u + m[at];
	}
	d->last[name] = 0;
	type = m[at + 2];
	at += 5;
	d->queries++;
	if (d->mute || strncmp(d->last, "silent", 6) == 0)
		return 0;
	m[2] = 0x81;
	m[3] = 0x80;
	memset(m + 8, 0, 4); /* no additional records of the query */
	if (strncmp(d->last, "bad", 3) == 0)
		m[3] |= 2;
	else if (strncmp(d->last, "four", 4) && strncmp(d->last, "six", 3) &&
		 strncmp(d->last, "both", 4) && strncmp(d->last, "many", 4))
		m[3] |= 3;
	else if (type == 1 && strncmp(d->last, "six", 3))
		for (; answers < (strncmp(d->last, "many", 4) ? 1 : 24); answers++) {
			uint8_t ip[4] = {d->v4[0], d->v4[1], d->v4[2],
					 (uint8_t)(d->v4[3] + answers)};

			at += fakedns_rr(m + at, 1, ip, 4);
		}
	else if (type == 28 && (!strncmp(d->last, "six", 3) || !strncmp(d->last, "both", 4))) {
		at += fakedns_rr(m + at, 28, v6, 16);
		answers = 1;
	}
	m[7] = (uint8_t)answers;
	return at;
}

static inline void fakedns_on_udp(struct watch *w, unsigned events)
{
	struct fakedns *d = container_of(w, struct fakedns, udp);
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	uint8_t m[2048];
	ssize_t n = recvfrom(w->io.fd, m, 512, 0, (struct sockaddr *)&sa, &len);
	size_t out = n > 0 ? fakedns_answer(d, m, (size_t)n) : 0;

	(void)events;
	if (out)
		sendto(w->io.fd, m, out, 0, (struct sockaddr *)&sa, len);
}

static inline void fakedns_on_conn(struct watch *w, unsigned events)
{
	struct fakedns *d = container_of(w, struct fakedns, conn);
	uint8_t m[2048];
	ssize_t n = recv(w->io.fd, m, 514, 0);
	size_t out = n > 2 ? fakedns_answer(d, m + 2, (size_t)n - 2) : 0;

	(void)events;
	if (n <= 0) {
		watch_set(w, 0);
		close(w->io.fd);
		return;
	}
	d->tcp_queries++;
	m[0] = (uint8_t)(out >> 8);
	m[1] = (uint8_t)out;
	if (out)
		send(w->io.fd, m, out + 2, MSG_NOSIGNAL);
}

/* One connection at a time. */
static inline void fakedns_on_tcp(struct watch *w, unsigned events)
{
	struct fakedns *d = container_of(w, struct fakedns, tcp);
	int fd = accept4(w->io.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd == -1)
		return;
	watch_init(&d->conn, d->loop, fd, fakedns_on_conn);
	watch_set(&d->conn, WATCH_READ);
}

/* On @host (127.0.0.x) and @port, 0 for any free one. */
static inline bool fakedns_start(struct fakedns *d, struct loop *l, const char *host, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t len = sizeof(a);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memset(d, 0, sizeof(*d));
	d->loop = l;
	memcpy(d->v4, (uint8_t[]){192, 0, 2, 1}, 4);
	inet_pton(AF_INET, host, &a.sin_addr);
	/* The port that TCP gets is free for UDP but for bad luck. */
	if (bind(tcp, (struct sockaddr *)&a, len) != 0 || listen(tcp, 8) != 0)
		return false;
	getsockname(tcp, (struct sockaddr *)&a, &len);
	if (bind(udp, (struct sockaddr *)&a, len) != 0)
		return false;
	ipport_from_sockaddr(&d->at, (struct sockaddr *)&a);
	watch_init(&d->udp, l, udp, fakedns_on_udp);
	watch_init(&d->tcp, l, tcp, fakedns_on_tcp);
	watch_init(&d->conn, l, -1, fakedns_on_conn);
	watch_set(&d->udp, WATCH_READ);
	watch_set(&d->tcp, WATCH_READ);
	return true;
}

static inline void fakedns_stop(struct fakedns *d)
{
	if (ev_is_active(&d->conn.io)) {
		watch_set(&d->conn, 0);
		close(d->conn.io.fd);
	}
	watch_set(&d->udp, 0);
	watch_set(&d->tcp, 0);
	close(d->udp.io.fd);
	close(d->tcp.io.fd);
}

#endif
