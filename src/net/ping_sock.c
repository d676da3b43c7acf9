#include "net/ping_sock.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "crypto/rand.h"

enum {
	HEAD = 8, /* of an echo message: type, code, checksum, identifier, sequence */
	READS = 32, /* messages per turn */
	ROOM = 65536,
};

struct pending {
	uint16_t seq;
	bool live;
	uint32_t cookie;
};

struct ping_sock {
	struct loop *loop;
	struct ping_user *user;
	struct watch watch;
	struct ip to;
	bool raw;
	uint16_t id, seq; /* on the wire; a datagram socket has the kernel's identifier */
	uint32_t tokens;  /* thousandths of a request */
	uint64_t filled_ms;
	struct pending pending[PING_PENDING];
	bool freed;
	struct garbage garbage;
};

static bool is4(const struct ping_sock *p)
{
	return p->to.family == 4;
}

/* ---- answers ---- */

static struct pending *find(struct ping_sock *p, uint16_t seq)
{
	struct pending *w = &p->pending[seq % PING_PENDING];

	return w->live && w->seq == seq ? w : NULL;
}

static void give(struct ping_sock *p, uint16_t seq, struct ping_answer *a)
{
	struct pending *w = find(p, seq);

	if (!w)
		return;
	w->live = false;
	a->cookie = w->cookie;
	p->user->on_answer(p->user, p, a);
}

/* The echo message in @in; false when it is none of @type and ours. */
static bool take_echo(const struct ping_sock *p, struct span in, uint8_t type, uint16_t *seq,
		      struct span *payload)
{
	struct rd r = rd_of(in);
	uint8_t got = rd_u8(&r);
	uint16_t id;

	rd_take(&r, 3);
	id = rd_u16(&r);
	*seq = rd_u16(&r);
	*payload = span_of(r.p, r.n);
	return !r.bad && got == type && (!p->raw || id == p->id);
}

/* Only a raw socket of IPv4 shows the IP header. */
static struct span skip_ip(const struct ping_sock *p, struct span in)
{
	size_t n;

	if (!p->raw || !is4(p))
		return in;
	n = in.n ? (in.p[0] & 15u) * 4u : 0;
	return n <= in.n ? span_of(in.p + n, in.n - n) : span_of(NULL, 0);
}

static uint8_t control_ttl(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		int ttl;

		if ((c->cmsg_level != SOL_IP || c->cmsg_type != IP_TTL) &&
		    (c->cmsg_level != SOL_IPV6 || c->cmsg_type != IPV6_HOPLIMIT))
			continue;
		memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
		return (uint8_t)ttl;
	}
	return 0;
}

static void on_reply(struct ping_sock *p, struct msghdr *m, struct span in)
{
	struct ping_answer a = {.ttl = control_ttl(m), .from = p->to};
	uint16_t seq;

	if (take_echo(p, skip_ip(p, in), is4(p) ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY, &seq,
		      &a.payload))
		give(p, seq, &a);
}

/* The error and, behind it, the address of its sender. */
static bool control_error(struct msghdr *m, struct ping_answer *a)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct sockaddr_storage from = {0};
		struct sock_extended_err e;
		struct ipport at;
		size_t n = c->cmsg_len - CMSG_LEN(0);

		if ((c->cmsg_level != SOL_IP || c->cmsg_type != IP_RECVERR) &&
		    (c->cmsg_level != SOL_IPV6 || c->cmsg_type != IPV6_RECVERR))
			continue;
		if (n < sizeof(e))
			return false;
		memcpy(&e, CMSG_DATA(c), sizeof(e));
		n -= sizeof(e);
		memcpy(&from, CMSG_DATA(c) + sizeof(e), n < sizeof(from) ? n : sizeof(from));
		if ((e.ee_origin != SO_EE_ORIGIN_ICMP && e.ee_origin != SO_EE_ORIGIN_ICMP6) ||
		    ipport_from_sockaddr(&at, (struct sockaddr *)&from) != 0)
			return false;
		a->error = true;
		a->type = e.ee_type;
		a->code = e.ee_code;
		a->info = e.ee_info;
		a->from = at.ip;
		return true;
	}
	return false;
}

/* What the error quotes begins with our own message. */
static void on_failure(struct ping_sock *p, struct msghdr *m, struct span in)
{
	struct ping_answer a = {0};
	struct span quoted;
	uint16_t seq;

	if (control_error(m, &a) &&
	    take_echo(p, in, is4(p) ? ICMP_ECHO : ICMPV6_ECHO_REQUEST, &seq, &quoted))
		give(p, seq, &a);
}

/* False when there is nothing more. */
static bool receive(struct ping_sock *p, int flags)
{
	union {
		struct cmsghdr align;
		uint8_t room[512];
	} control;
	uint8_t *room = loop_scratch(p->loop);
	struct iovec iov = {room, ROOM};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = room ? recvmsg(p->watch.io.fd, &m, flags | MSG_DONTWAIT) : -1;

	if (n < 0)
		return room && errno != EAGAIN && errno != EINTR && !flags;
	if (flags)
		on_failure(p, &m, span_of(room, (size_t)n));
	else
		on_reply(p, &m, span_of(room, (size_t)n));
	return !p->freed;
}

static void on_ready(struct watch *w, unsigned events)
{
	struct ping_sock *p = container_of(w, struct ping_sock, watch);

	(void)events;
	for (int i = 0; i < READS && receive(p, MSG_ERRQUEUE); i++)
		;
	for (int i = 0; i < READS && !p->freed && receive(p, 0); i++)
		;
}

/* ---- requests ---- */

static bool may_send(struct ping_sock *p)
{
	uint64_t now = loop_now(p->loop), more = (now - p->filled_ms) * PING_PER_S;

	p->filled_ms = now;
	p->tokens = more > PING_PER_S * 1000u - p->tokens ? PING_PER_S * 1000u :
							    p->tokens + (uint32_t)more;
	if (p->tokens < 1000)
		return false;
	p->tokens -= 1000;
	return true;
}

/* RFC 1071; the kernel computes it for everything but a raw socket of IPv4. */
static uint16_t checksum(const uint8_t *head, struct span payload)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < HEAD; i += 2)
		sum += (uint32_t)head[i] << 8 | head[i + 1];
	for (size_t i = 0; i + 1 < payload.n; i += 2)
		sum += (uint32_t)payload.p[i] << 8 | payload.p[i + 1];
	if (payload.n % 2)
		sum += (uint32_t)payload.p[payload.n - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void write_head(const struct ping_sock *p, uint8_t head[HEAD], struct span payload)
{
	struct wr w = wr_of(head, HEAD);
	uint16_t sum;

	wr_u8(&w, is4(p) ? ICMP_ECHO : ICMPV6_ECHO_REQUEST);
	wr_u8(&w, 0);
	wr_u16(&w, 0);
	wr_u16(&w, p->id);
	wr_u16(&w, p->seq);
	sum = p->raw && is4(p) ? checksum(head, payload) : 0;
	head[2] = (uint8_t)(sum >> 8);
	head[3] = (uint8_t)sum;
}

static ssize_t send_one(struct ping_sock *p, uint8_t ttl, const uint8_t *head, struct span payload)
{
	union {
		struct cmsghdr align;
		uint8_t room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov[2] = {{(void *)(uintptr_t)head, HEAD},
			       {(void *)(uintptr_t)payload.p, payload.n}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
	int hops = ttl;

	if (ttl) {
		control.align.cmsg_level = is4(p) ? SOL_IP : SOL_IPV6;
		control.align.cmsg_type = is4(p) ? IP_TTL : IPV6_HOPLIMIT;
		control.align.cmsg_len = CMSG_LEN(sizeof(hops));
		memcpy(CMSG_DATA(&control.align), &hops, sizeof(hops));
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
	}
	return sendmsg(p->watch.io.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void ping_sock_send(struct ping_sock *p, uint32_t cookie, uint8_t ttl, struct span payload)
{
	uint8_t head[HEAD];
	ssize_t n;

	if (payload.n > PING_PAYLOAD_MAX || !may_send(p))
		return;
	p->seq++;
	write_head(p, head, payload);
	p->pending[p->seq % PING_PENDING] = (struct pending){p->seq, true, cookie};
	n = send_one(p, ttl, head, payload);
	if (n == -1 && errno != EAGAIN) /* an earlier request's error shows here once, and is over */
		send_one(p, ttl, head, payload);
}

/* ---- life ---- */

static int fail_at(struct sock_fail *f, const char *op)
{
	*f = (struct sock_fail){op, errno};
	return -(int)err_from_errno(errno);
}

static int open_one(int family, bool *raw, struct sock_fail *f)
{
	int af = family == 4 ? AF_INET : AF_INET6;
	int proto = family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	int fd = socket(af, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);

	*raw = fd == -1;
	if (fd == -1)
		fd = socket(af, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);
	return fd == -1 ? fail_at(f, "socket") : fd;
}

/* A raw socket shows every message of the host that it is connected to: replies only. */
static int filter_raw(int fd, int family)
{
	struct icmp_filter f4 = {.data = ~(1u << ICMP_ECHOREPLY)};
	struct icmp6_filter f6;

	memset(&f6, 0xff, sizeof(f6)); /* a set bit is a blocked type */
	f6.data[ICMPV6_ECHO_REPLY >> 5] &= ~(1u << (ICMPV6_ECHO_REPLY & 31));
	return family == 4 ? setsockopt(fd, SOL_RAW, ICMP_FILTER, &f4, sizeof(f4))
			   : setsockopt(fd, SOL_ICMPV6, ICMPV6_FILTER, &f6, sizeof(f6));
}

static int prepare(int fd, const struct ip *to, const struct ip *local,
		   const struct conf_sockopt *opts, bool raw, struct sock_fail *f)
{
	struct ipport there = {*to, 0}, here = {*local, 0};
	struct sockaddr_storage sa;
	int on = 1, err = sock_apply_dial(fd, SOCK_NET_UDP, to->family, opts, f);
	bool v4 = to->family == 4;
	socklen_t len;

	if (err)
		return err;
	if (raw && filter_raw(fd, to->family) == -1)
		return fail_at(f, "setsockopt ICMP_FILTER");
	if (setsockopt(fd, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on,
		       sizeof(on)) == -1)
		return fail_at(f, "setsockopt IP_RECVERR");
	setsockopt(fd, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_RECVTTL : IPV6_RECVHOPLIMIT, &on,
		   sizeof(on)); /* without it the number is not known */
	if (local->family == to->family) {
		len = ipport_to_sockaddr(&here, &sa);
		if (bind(fd, (struct sockaddr *)&sa, len) == -1)
			return fail_at(f, "bind");
	}
	len = ipport_to_sockaddr(&there, &sa);
	if (connect(fd, (struct sockaddr *)&sa, len) == -1)
		return fail_at(f, "connect");
	return 0;
}

static bool fill(struct ping_sock *p)
{
	uint8_t b[4];

	if (rand_bytes(b, sizeof(b)) != 0)
		return false;
	p->id = (uint16_t)(b[0] << 8 | b[1]);
	p->seq = (uint16_t)(b[2] << 8 | b[3]);
	p->tokens = PING_PER_S * 1000u;
	p->filled_ms = loop_now(p->loop);
	return true;
}

struct ping_sock *ping_sock_new(struct loop *l, const struct ip *to, const struct ip *local,
				const struct conf_sockopt *opts, struct ping_user *user,
				char why[NET_WHY_MAX])
{
	struct ping_sock *p = calloc(1, sizeof(*p));
	struct sock_fail f = {"socket", ENOMEM};
	int fd = p ? open_one(to->family, &p->raw, &f) : -ERR_NOMEM;
	char at[ADDR_TEXT_MAX], what[ADDR_TEXT_MAX + 8];

	if (fd >= 0) {
		p->loop = l;
		p->user = user;
		p->to = *to;
		if (prepare(fd, to, local, opts, p->raw, &f) == 0 && fill(p)) {
			watch_init(&p->watch, l, fd, on_ready);
			watch_set(&p->watch, WATCH_READ);
			return p;
		}
		close(fd);
	}
	free(p);
	snprintf(what, sizeof(what), "ping %s", ip_text(to, at, sizeof(at)));
	sock_fail_text(&f, what, why, NET_WHY_MAX);
	return NULL;
}

static void destroy(struct garbage *g)
{
	free(container_of(g, struct ping_sock, garbage));
}

void ping_sock_free(struct ping_sock *p)
{
	if (!p || p->freed)
		return;
	p->freed = true;
	watch_set(&p->watch, 0);
	close(p->watch.io.fd);
	p->garbage.destroy = destroy;
	loop_free_later(p->loop, &p->garbage);
}
