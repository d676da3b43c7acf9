#include "net/sock.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef IPV6_TRANSPARENT
#define IPV6_TRANSPARENT 75
#endif
#ifndef IPV6_RECVORIGDSTADDR
#define IPV6_RECVORIGDSTADDR 74
#endif

enum {
	ORIGINAL_DST = 80, /* netfilter's number in both families; its headers clash with libc's */
	BACKLOG = 4096,
	DIAL_KEEPALIVE_S = 45, /* as browsers do, and Xray */
};

static const struct conf_sockopt no_opts;

char *sock_errno_text(int sys, char *out, size_t cap)
{
	snprintf(out, cap, "%s", strerror(sys));
	if (cap > 1 && isupper((unsigned char)out[0]) && islower((unsigned char)out[1]))
		out[0] = (char)tolower((unsigned char)out[0]);
	return out;
}

char *sock_fail_text(const struct sock_fail *f, const char *what, char *out, size_t cap)
{
	char words[80];

	snprintf(out, cap, "%s: %s: %s", what, f->op,
		 sock_errno_text(f->sys, words, sizeof(words)));
	return out;
}

static int fail(struct sock_fail *f, const char *op)
{
	*f = (struct sock_fail){op, errno};
	return -(int)err_from_errno(errno);
}

int sock_opts_check(const struct conf_sockopt *o, char why[NET_WHY_MAX])
{
	if ((o->keepalive_idle_s < 0 && o->keepalive_interval_s > 0) ||
	    (o->keepalive_idle_s > 0 && o->keepalive_interval_s < 0)) {
		snprintf(why, NET_WHY_MAX,
			 "invalid TcpKeepAliveIdle or TcpKeepAliveInterval value: %d %d",
			 o->keepalive_idle_s, o->keepalive_interval_s);
		return -ERR_UNSUPPORTED;
	}
	return 0;
}

static int set_int(int fd, int level, int opt, int value)
{
	return setsockopt(fd, level, opt, &value, sizeof(value));
}

/* For options that only tune: tells and goes on. */
static void try_int(int fd, int level, int opt, int value, const char *name)
{
	char words[80];

	if (set_int(fd, level, opt, value) == -1)
		log_info("net", "setsockopt %s %d: %s", name, value,
			 sock_errno_text(errno, words, sizeof(words)));
}

static void try_str(int fd, int level, int opt, const char *value, const char *name)
{
	char words[80];

	if (setsockopt(fd, level, opt, value, (socklen_t)strlen(value)) == -1)
		log_info("net", "setsockopt %s %s: %s", name, value,
			 sock_errno_text(errno, words, sizeof(words)));
}

static int apply_transparent(int fd, int family, const struct conf_sockopt *o, struct sock_fail *f)
{
	int bad = 0;

	if (o->tproxy == CONF_TPROXY_OFF)
		return 0;
	/* A socket of family 6 may carry IPv4 as well: it needs both. */
	bad |= set_int(fd, SOL_IP, IP_TRANSPARENT, 1);
	if (family == 6)
		bad |= set_int(fd, SOL_IPV6, IPV6_TRANSPARENT, 1);
	/* Redirected connections have a local address: nothing is lost without the privilege. */
	if (bad && o->tproxy == CONF_TPROXY_TPROXY)
		return fail(f, "setsockopt IP_TRANSPARENT");
	return 0;
}

static void apply_keepalive(int fd, const struct conf_sockopt *o, int by_default)
{
	int idle = o->keepalive_idle_s ? o->keepalive_idle_s : by_default;
	int interval = o->keepalive_interval_s ? o->keepalive_interval_s : by_default;

	if (o->keepalive_idle_s < 0 || o->keepalive_interval_s < 0 ||
	    (idle == 0 && interval == 0)) {
		try_int(fd, SOL_SOCKET, SO_KEEPALIVE, 0, "SO_KEEPALIVE");
		return;
	}
	try_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE");
	if (idle)
		try_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle, "TCP_KEEPIDLE");
	if (interval)
		try_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval, "TCP_KEEPINTVL");
}

static void apply_tcp(int fd, const struct conf_sockopt *o)
{
	try_int(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
	if (o->user_timeout_ms)
		try_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)o->user_timeout_ms,
			"TCP_USER_TIMEOUT");
	if (o->congestion && *o->congestion)
		try_str(fd, IPPROTO_TCP, TCP_CONGESTION, o->congestion, "TCP_CONGESTION");
	if (o->window_clamp)
		try_int(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, (int)o->window_clamp,
			"TCP_WINDOW_CLAMP");
	if (o->max_seg)
		try_int(fd, IPPROTO_TCP, TCP_MAXSEG, (int)o->max_seg, "TCP_MAXSEG");
}

static void apply_custom(int fd, enum sock_net net, const struct conf_sockopt *o)
{
	for (size_t i = 0; i < o->n_custom; i++) {
		const struct conf_custom_opt *c = &o->custom[i];
		char name[48];

		if (!(c->networks & (net == SOCK_NET_TCP ? CONF_TCP : CONF_UDP)))
			continue;
		snprintf(name, sizeof(name), "level %d option %d", c->level, c->opt);
		if (c->is_str)
			try_str(fd, c->level, c->opt, c->str, name);
		else
			try_int(fd, c->level, c->opt, c->num, name);
	}
}

static int apply_mark(int fd, const struct conf_sockopt *o, struct sock_fail *f)
{
	if (o->mark && set_int(fd, SOL_SOCKET, SO_MARK, (int)o->mark) == -1)
		return fail(f, "setsockopt SO_MARK");
	return 0;
}

int sock_apply_dial(int fd, enum sock_net net, int family, const struct conf_sockopt *o,
		    struct sock_fail *f)
{
	int err;

	if (!o)
		o = &no_opts;
	err = apply_mark(fd, o, f);
	if (err)
		return err;
	if (o->interface && *o->interface &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, o->interface,
		       (socklen_t)strlen(o->interface)) == -1)
		return fail(f, "setsockopt SO_BINDTODEVICE");
	err = apply_transparent(fd, family, o, f);
	if (err)
		return err;
	if (net == SOCK_NET_TCP) {
		apply_tcp(fd, o);
		apply_keepalive(fd, o, DIAL_KEEPALIVE_S);
		if (o->fast_open_given)
			try_int(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, o->fast_open > 0,
				"TCP_FASTOPEN_CONNECT");
	}
	apply_custom(fd, net, o);
	return 0;
}

static int open_socket(enum sock_net net, int family, const struct conf_sockopt *o)
{
	int af = family == 6 ? AF_INET6 : AF_INET;
	int fd;

	if (net == SOCK_NET_UDP)
		return socket(af, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (o->mptcp) {
		fd = socket(af, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_MPTCP);
		if (fd != -1)
			return fd; /* a kernel without it gets a plain one */
	}
	return socket(af, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int bind_local(int fd, enum sock_net net, const struct ip *local, struct sock_fail *f)
{
	struct ipport at = {*local, 0};
	struct sockaddr_storage sa;
	socklen_t len = ipport_to_sockaddr(&at, &sa);

	if (net == SOCK_NET_TCP) /* or one address could not reach two targets from one port */
		set_int(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (bind(fd, (struct sockaddr *)&sa, len) == -1)
		return fail(f, "bind");
	return 0;
}

int sock_dial(enum sock_net net, int family, const struct ip *local, const struct conf_sockopt *o,
	      struct sock_fail *f)
{
	bool bound = local && local->family;
	int fd, err;

	if (!o)
		o = &no_opts;
	fd = open_socket(net, family, o);
	if (fd == -1)
		return fail(f, "socket");
	if (family == 6 && set_int(fd, SOL_IPV6, IPV6_V6ONLY, net == SOCK_NET_TCP || bound) == -1) {
		err = fail(f, "setsockopt IPV6_V6ONLY");
		goto fail_fd;
	}
	err = sock_apply_dial(fd, net, family, o, f);
	if (err)
		goto fail_fd;
	if (bound) {
		err = bind_local(fd, net, local, f);
		if (err)
			goto fail_fd;
	}
	return fd;

fail_fd:
	close(fd);
	return err;
}

/* Every accepted connection inherits these. */
static int apply_listen(int fd, enum sock_net net, int family, const struct conf_sockopt *o,
			struct sock_fail *f)
{
	int err = apply_mark(fd, o, f);

	if (!err)
		err = apply_transparent(fd, family, o, f);
	if (err)
		return err;
	if (net == SOCK_NET_TCP) {
		apply_tcp(fd, o);
		apply_keepalive(fd, o, 0);
		if (o->fast_open_given)
			try_int(fd, IPPROTO_TCP, TCP_FASTOPEN, (int)o->fast_open, "TCP_FASTOPEN");
	}
	apply_custom(fd, net, o);
	return 0;
}

/* The destination of each datagram: to answer from it, and for TPROXY to know it. */
static int tell_destinations(int fd, int family, const struct conf_sockopt *o, struct sock_fail *f)
{
	if (family == 6 ? set_int(fd, SOL_IPV6, IPV6_RECVPKTINFO, 1) == -1
			: set_int(fd, SOL_IP, IP_PKTINFO, 1) == -1)
		return fail(f, "setsockopt IP_PKTINFO");
	if (o->tproxy != CONF_TPROXY_TPROXY)
		return 0;
	if (set_int(fd, SOL_IP, IP_RECVORIGDSTADDR, 1) == -1)
		return fail(f, "setsockopt IP_RECVORIGDSTADDR");
	if (family == 6 && set_int(fd, SOL_IPV6, IPV6_RECVORIGDSTADDR, 1) == -1)
		return fail(f, "setsockopt IPV6_RECVORIGDSTADDR");
	return 0;
}

static int listen_on(int fd, enum sock_net net, int family, const struct ipport *at,
		     const struct conf_sockopt *o, struct sock_fail *f)
{
	struct sockaddr_storage sa;
	socklen_t len = ipport_to_sockaddr(at, &sa);
	int err;

	/* For TCP it lets us have a port whose old connections still linger; for UDP it would let
	 * two sockets share the port, so it is left alone. */
	if (net == SOCK_NET_TCP && set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) == -1)
		return fail(f, "setsockopt SO_REUSEADDR");
	if (family == 6 &&
	    set_int(fd, SOL_IPV6, IPV6_V6ONLY, o->v6only || !ip_is_any(&at->ip)) == -1)
		return fail(f, "setsockopt IPV6_V6ONLY");
	err = apply_listen(fd, net, family, o, f);
	if (!err && net == SOCK_NET_UDP)
		err = tell_destinations(fd, family, o, f);
	if (err)
		return err;
	if (bind(fd, (struct sockaddr *)&sa, len) == -1)
		return fail(f, "bind");
	if (net == SOCK_NET_TCP && listen(fd, BACKLOG) == -1)
		return fail(f, "listen");
	return 0;
}

int sock_listen(enum sock_net net, const struct ipport *at, const struct conf_sockopt *o,
		char why[NET_WHY_MAX])
{
	static const struct ip any6 = {.family = 6}, any4 = {.family = 4};
	bool any = at->ip.family == 0 || ip_is_any(&at->ip);
	struct ipport where = {any ? any6 : at->ip, at->port};
	char text[ADDR_TEXT_MAX], what[ADDR_TEXT_MAX + 16];
	struct sock_fail f;
	int fd, err;

	if (!o)
		o = &no_opts;
	err = sock_opts_check(o, why);
	if (err)
		return err;
	if (at->ip.family)
		ipport_text(at, text, sizeof(text));
	else
		snprintf(text, sizeof(text), ":%u", at->port);
	snprintf(what, sizeof(what), "listen %s %s", net == SOCK_NET_TCP ? "tcp" : "udp", text);

	fd = open_socket(net, where.ip.family, o);
	if (fd == -1 && any && errno == EAFNOSUPPORT && !o->v6only) { /* a kernel without IPv6 */
		where.ip = any4;
		fd = open_socket(net, 4, o);
	}
	if (fd == -1) {
		err = fail(&f, "socket");
		goto fail_text;
	}
	err = listen_on(fd, net, where.ip.family, &where, o, &f);
	if (err)
		goto fail_fd;
	return fd;

fail_fd:
	close(fd);
fail_text:
	sock_fail_text(&f, what, why, NET_WHY_MAX);
	return err;
}

static int from_sockaddr(int got, const struct sockaddr_storage *sa, struct ipport *out)
{
	memset(out, 0, sizeof(*out));
	if (got == -1)
		return -(int)err_from_errno(errno);
	if (sa->ss_family == AF_UNIX)
		return 0;
	return ipport_from_sockaddr(out, (const struct sockaddr *)sa);
}

int sock_local(int fd, struct ipport *out)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	return from_sockaddr(getsockname(fd, (struct sockaddr *)&sa, &len), &sa, out);
}

int sock_peer(int fd, struct ipport *out)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	return from_sockaddr(getpeername(fd, (struct sockaddr *)&sa, &len), &sa, out);
}

int sock_original_dst(int fd, enum conf_tproxy how, struct ipport *out)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct ipport local;

	if (sock_local(fd, &local) != 0 || local.ip.family == 0)
		return -ERR_UNSUPPORTED;
	if (how == CONF_TPROXY_TPROXY) {
		*out = local;
		return 0;
	}
	memset(&sa, 0, sizeof(sa));
	if (local.ip.family == 4 ? getsockopt(fd, SOL_IP, ORIGINAL_DST, &sa, &len) == -1
				 : getsockopt(fd, SOL_IPV6, ORIGINAL_DST, &sa, &len) == -1)
		return -ERR_UNSUPPORTED;
	return ipport_from_sockaddr(out, (struct sockaddr *)&sa);
}

bool sock_is_local(const struct ip *ip)
{
	struct ipport at = {.ip = *ip};
	struct sockaddr_storage sa;
	socklen_t len = ipport_to_sockaddr(&at, &sa);
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool local = fd != -1 && bind(fd, (struct sockaddr *)&sa, len) == 0;

	if (fd != -1)
		close(fd);
	return local;
}

int sock_error(int fd)
{
	int e = 0;
	socklen_t len = sizeof(e);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) == -1)
		return errno;
	return e;
}

bool sock_has_route(int family)
{
	/* Connecting a UDP socket only asks the routing table. The addresses are root servers'. */
	static const struct ipport far[2] = {
		{{4, {198, 41, 0, 4}}, 53},
		{{6, {0x20, 0x01, 0x05, 0x03, 0xba, 0x3e, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x30}}, 53},
	};
	struct sockaddr_storage sa;
	socklen_t len = ipport_to_sockaddr(&far[family == 6], &sa);
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has;

	if (fd == -1)
		return false;
	has = connect(fd, (struct sockaddr *)&sa, len) == 0;
	close(fd);
	return has;
}
