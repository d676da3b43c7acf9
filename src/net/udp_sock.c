#include "net/udp_sock.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "net/sock.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef IPV6_ORIGDSTADDR
#define IPV6_ORIGDSTADDR 74
#endif

enum {
	DATAGRAM = 65536,
	IN_BATCH = LOOP_SCRATCH / DATAGRAM,
	IN_ROUNDS = 4,	 /* batches in one turn */
	OUT_BATCH = 32,	 /* messages for one sendmmsg */
	OUT_PARTS = 128, /* packets in them */
	/* What one message of segments may hold; a segment must fit the path with its headers. */
	RUN_PARTS = 64,
	RUN_BYTES = 65000,
	RUN_PART_MAX = 1432,
	CAP_FIRST = 16, /* entries of the queue that are kept when it is empty */
	BOUNCES = 64,	/* errors that are told in one go */
};

struct udp_out {
	struct ipport to;
	struct ip from;
	struct buf *pkt;
};

/* Room for one message's control data; aligned as its header asks. */
union out_control {
	struct cmsghdr align;
	uint8_t room[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint16_t))];
};

union in_control {
	struct cmsghdr align;
	uint8_t room[256];
};

static void map_v4(struct in6_addr *out, const struct ip *ip)
{
	memset(out, 0, sizeof(*out));
	if (ip->family == 6) {
		memcpy(out, ip->b, 16);
		return;
	}
	out->s6_addr[10] = out->s6_addr[11] = 0xff;
	memcpy(&out->s6_addr[12], ip->b, 4);
}

/* The form that this socket wants; its length. */
static socklen_t to_sockaddr(const struct udp_sock *s, const struct ipport *a,
			     struct sockaddr_storage *out)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	if (!s->v6 || a->ip.family == 6)
		return ipport_to_sockaddr(a, out);
	memset(in6, 0, sizeof(*in6));
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(a->port);
	map_v4(&in6->sin6_addr, &a->ip);
	return sizeof(*in6);
}

/* Reading. */

struct meta {
	struct ipport from, to;
	size_t segment; /* length of each but the last of the joined packets; 0: a single one */
};

static void read_control(const struct udp_sock *s, struct msghdr *m, struct meta *meta)
{
	bool original = false;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		const uint8_t *data = CMSG_DATA(c);
		struct in6_pktinfo info6;
		struct in_pktinfo info;
		struct sockaddr_storage sa;
		int segment;

		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&segment, data, sizeof(segment));
			meta->segment = segment > 0 ? (size_t)segment : 0;
		} else if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_ORIGDSTADDR) ||
			   (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR)) {
			memset(&sa, 0, sizeof(sa));
			memcpy(&sa, data,
			       c->cmsg_level == SOL_IP ? sizeof(struct sockaddr_in)
						       : sizeof(struct sockaddr_in6));
			original = ipport_from_sockaddr(&meta->to, (struct sockaddr *)&sa) == 0;
		} else if (original) {
			continue; /* says more than the interface's address */
		} else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&info, data, sizeof(info));
			meta->to = (struct ipport){ip_v4((uint8_t *)&info.ipi_addr), s->at.port};
		} else if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info6, data, sizeof(info6));
			meta->to = (struct ipport){ip_v6(info6.ipi6_addr.s6_addr), s->at.port};
		}
	}
}

/* Copies: a packet weighs little, and the receive buffer is free for the next one at once. */
static void hand_up(struct udp_sock *s, const struct meta *meta, struct span all)
{
	size_t part = meta->segment ? meta->segment : all.n;

	do {
		size_t n = all.n < part ? all.n : part;
		struct buf *b = buf_copy(span_of(all.p, n));

		if (b)
			s->on_packet(s, &meta->from, &meta->to, b);
		all = span_of(all.p + n, all.n - n);
	} while (all.n && s->fd != -1);
}

/* The number of messages, or 0 when there are none. */
static int receive(struct udp_sock *s, uint8_t *room)
{
	struct mmsghdr m[IN_BATCH] = {0};
	struct iovec iov[IN_BATCH];
	struct sockaddr_storage sa[IN_BATCH];
	union in_control control[IN_BATCH];
	int n;

	for (int i = 0; i < IN_BATCH; i++) {
		iov[i] = (struct iovec){room + i * DATAGRAM, DATAGRAM};
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
		m[i].msg_hdr.msg_name = &sa[i];
		m[i].msg_hdr.msg_namelen = sizeof(sa[i]);
		m[i].msg_hdr.msg_control = &control[i];
		m[i].msg_hdr.msg_controllen = sizeof(control[i]);
	}
	n = recvmmsg(s->fd, m, IN_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n && s->fd != -1; i++) {
		struct meta meta = {0};

		if (ipport_from_sockaddr(&meta.from, (struct sockaddr *)&sa[i]) != 0)
			continue;
		read_control(s, &m[i].msg_hdr, &meta);
		hand_up(s, &meta, span_of(iov[i].iov_base, m[i].msg_len));
	}
	return n > 0 ? n : 0;
}

/* What comes back. */

/* By type and code: a value of errno would not tell a firewall's word from a missing host. 0: of no
 * consequence here. */
static int bounce_err(const struct sock_extended_err *e)
{
	enum { V4_UNREACH = 3, V6_UNREACH = 1, V4_PORT = 3, V6_PORT = 4, V4_TOO_BIG = 4 };
	bool v4 = e->ee_origin == SO_EE_ORIGIN_ICMP;
	int code = e->ee_code;

	if (!v4 && e->ee_origin != SO_EE_ORIGIN_ICMP6)
		return 0;
	if (e->ee_type != (v4 ? V4_UNREACH : V6_UNREACH) || (v4 && code == V4_TOO_BIG))
		return 0;
	if (code == (v4 ? V4_PORT : V6_PORT))
		return -ERR_REFUSED;
	if (v4 ? code == 9 || code == 10 || code == 13 : code == 1 || code == 5 || code == 6)
		return -ERR_BLOCKED;
	return -ERR_UNREACH;
}

static const struct sock_extended_err *error_of(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
		    (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR))
			return (const struct sock_extended_err *)CMSG_DATA(c);
	return NULL;
}

/* Reads the errors that wait; the kernel calls the socket ready until they are gone. How many. */
static int take_errors(struct udp_sock *s)
{
	int n = 0;

	while (s->on_bounce && s->fd != -1 && n < BOUNCES) {
		struct sockaddr_storage sa;
		union in_control control;
		struct msghdr m = {.msg_name = &sa,
				   .msg_namelen = sizeof(sa),
				   .msg_control = &control,
				   .msg_controllen = sizeof(control)};
		const struct sock_extended_err *e;
		struct ipport to;
		int err;

		if (recvmsg(s->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) == -1)
			break;
		n++;
		e = error_of(&m);
		err = e ? bounce_err(e) : 0;
		if (err && ipport_from_sockaddr(&to, (struct sockaddr *)&sa) == 0)
			s->on_bounce(s, &to, err);
	}
	return n;
}

static void ask_for_errors(const struct udp_sock *s)
{
	int on = 1;

	setsockopt(s->fd, SOL_IP, IP_RECVERR, &on, sizeof(on));
	if (s->v6)
		setsockopt(s->fd, SOL_IPV6, IPV6_RECVERR, &on, sizeof(on));
}

static void flush(struct udp_sock *s);

static void on_ready(struct watch *w, unsigned events)
{
	struct udp_sock *s = container_of(w, struct udp_sock, watch);
	uint8_t *room = loop_scratch(s->loop);

	if (events & WATCH_WRITE)
		flush(s);
	if (!(events & WATCH_READ) || !room)
		return;
	for (int i = 0; i < IN_ROUNDS && s->fd != -1; i++) {
		int n = receive(s, room);

		if (n == 0 && s->fd != -1 && take_errors(s) > 0)
			continue;
		if (n < IN_BATCH)
			return;
	}
}

/* Writing. */

static struct udp_out *queued(const struct udp_sock *s, unsigned i)
{
	return &s->out[(s->first + i) % s->cap];
}

static void drop_front(struct udp_sock *s, unsigned n)
{
	for (; n > 0; n--) {
		struct udp_out *o = queued(s, 0);

		s->bytes -= o->pkt->len;
		buf_free(o->pkt);
		s->first = (s->first + 1) % s->cap;
		s->n--;
	}
	if (s->n == 0 && s->cap > CAP_FIRST) {
		free(s->out);
		s->out = NULL;
		s->cap = s->first = 0;
	}
}

/* How many entries from @i on can leave as segments of one message. */
static unsigned run_length(const struct udp_sock *s, unsigned i, unsigned max)
{
	const struct udp_out *head = queued(s, i);
	size_t part = head->pkt->len, bytes = part;
	unsigned n = 1;

	if (!s->segments || part == 0 || part > RUN_PART_MAX)
		return 1;
	while (n < max && n < RUN_PARTS && i + n < s->n) {
		const struct udp_out *o = queued(s, i + n);

		if (o->pkt->len == 0 || o->pkt->len > part || bytes + o->pkt->len > RUN_BYTES ||
		    !ipport_eq(&o->to, &head->to) || !ip_eq(&o->from, &head->from))
			break;
		bytes += o->pkt->len;
		n++;
		if (o->pkt->len < part)
			break; /* only the last may be shorter */
	}
	return n;
}

static void put_control(struct msghdr *m, union out_control *room, int level, int type,
			const void *data, size_t n)
{
	struct cmsghdr *c;

	if (!m->msg_control)
		memset(room, 0, sizeof(*room));
	m->msg_control = room;
	c = (struct cmsghdr *)(room->room + m->msg_controllen);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(c), data, n);
	m->msg_controllen += CMSG_SPACE(n);
}

static void put_from(const struct udp_sock *s, struct msghdr *m, union out_control *room,
		     const struct ip *from)
{
	struct in6_pktinfo info6 = {0};
	struct in_pktinfo info = {0};

	if (s->v6) {
		map_v4(&info6.ipi6_addr, from);
		put_control(m, room, SOL_IPV6, IPV6_PKTINFO, &info6, sizeof(info6));
	} else {
		memcpy(&info.ipi_spec_dst, from->b, 4);
		put_control(m, room, SOL_IP, IP_PKTINFO, &info, sizeof(info));
	}
}

struct batch {
	struct mmsghdr m[OUT_BATCH];
	struct sockaddr_storage sa[OUT_BATCH];
	union out_control control[OUT_BATCH];
	unsigned run[OUT_BATCH]; /* entries in each message */
	struct iovec iov[OUT_PARTS];
};

/* Fills @b from the front of the queue; the number of messages. */
static unsigned gather(const struct udp_sock *s, struct batch *b)
{
	unsigned k = 0, parts = 0;

	for (unsigned i = 0; i < s->n && k < OUT_BATCH && parts < OUT_PARTS; k++) {
		const struct udp_out *head = queued(s, i);
		struct msghdr *m = &b->m[k].msg_hdr;
		unsigned run = run_length(s, i, OUT_PARTS - parts);

		memset(m, 0, sizeof(*m));
		m->msg_name = &b->sa[k];
		m->msg_namelen = to_sockaddr(s, &head->to, &b->sa[k]);
		m->msg_iov = &b->iov[parts];
		m->msg_iovlen = run;
		b->run[k] = run;
		for (unsigned j = 0; j < run; j++, i++, parts++) {
			struct buf *pkt = queued(s, i)->pkt;

			b->iov[parts] = (struct iovec){pkt->data, pkt->len};
		}
		if (head->from.family)
			put_from(s, m, &b->control[k], &head->from);
		if (run > 1) {
			uint16_t part = (uint16_t)head->pkt->len;

			put_control(m, &b->control[k], SOL_UDP, UDP_SEGMENT, &part, sizeof(part));
		}
	}
	return k;
}

/* After a failure at the front: false when the rest must wait for the kernel. */
static bool after_failure(struct udp_sock *s, const struct batch *b, int sys, bool *again)
{
	/* It may have been about an earlier packet that came back: the kernel tells that first. */
	if (s->on_bounce && sys != EAGAIN && !*again) {
		*again = true;
		return true;
	}
	*again = false;
	switch (sys) {
	case EAGAIN:
		return false;
	case EINTR:
		return true;
	case EIO: /* the device computes no checksums */
	case EINVAL:
	case EMSGSIZE:
	case ENOPROTOOPT:
		if (b->run[0] > 1) {
			s->segments = false;
			return true;
		}
		break;
	}
	drop_front(s, b->run[0]);
	return true;
}

static void flush(struct udp_sock *s)
{
	struct batch b;
	bool again = false;

	while (s->n) {
		unsigned k = gather(s, &b);
		int sent = sendmmsg(s->fd, b.m, k, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent == -1 && !after_failure(s, &b, errno, &again))
			break;
		again &= sent == -1;
		for (int i = 0; i < sent; i++)
			drop_front(s, b.run[i]);
	}
	watch_set(&s->watch, s->n ? WATCH_READ | WATCH_WRITE : WATCH_READ);
}

static void on_flush(struct defer *d)
{
	flush(container_of(d, struct udp_sock, flush));
}

static bool grow(struct udp_sock *s)
{
	unsigned cap = s->cap ? s->cap * 2 : CAP_FIRST;
	struct udp_out *bigger;

	if (s->n < s->cap)
		return true;
	if (cap > UDP_QUEUE_MAX)
		return false;
	bigger = malloc(cap * sizeof(*bigger));
	if (!bigger)
		return false;
	for (unsigned i = 0; i < s->n; i++)
		bigger[i] = *queued(s, i);
	free(s->out);
	s->out = bigger;
	s->cap = cap;
	s->first = 0;
	return true;
}

void udp_sock_send(struct udp_sock *s, const struct ip *from, const struct ipport *to,
		   struct buf *pkt)
{
	struct udp_out *o;

	if (s->fd == -1 || (!s->v6 && to->ip.family != 4) || to->ip.family == 0 ||
	    pkt->len > UDP_QUEUE_BYTES - s->bytes || !grow(s)) {
		buf_free(pkt);
		return;
	}
	o = queued(s, s->n++);
	o->to = *to;
	o->from = from ? *from : (struct ip){0};
	o->pkt = pkt;
	s->bytes += pkt->len;
	defer_ask(&s->flush);
}

void udp_sock_init(struct udp_sock *s, struct loop *l, int fd)
{
	int on = 1, domain = AF_INET;
	socklen_t len = sizeof(domain);

	s->loop = l;
	s->fd = fd;
	s->segments = true; /* until the kernel says no */
	s->out = NULL;
	s->first = s->n = s->cap = 0;
	s->bytes = 0;
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	s->v6 = domain == AF_INET6;
	sock_local(fd, &s->at);
	if (s->on_bounce)
		ask_for_errors(s);
	setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on)); /* an old kernel has none */
	defer_init(&s->flush, l, on_flush);
	watch_init(&s->watch, l, fd, on_ready);
	watch_set(&s->watch, WATCH_READ);
}

void udp_sock_fini(struct udp_sock *s)
{
	if (s->fd == -1)
		return;
	flush(s);
	defer_cancel(&s->flush);
	watch_set(&s->watch, 0);
	close(s->fd);
	s->fd = -1;
	drop_front(s, s->n);
	free(s->out);
	s->out = NULL;
	s->cap = 0;
}
