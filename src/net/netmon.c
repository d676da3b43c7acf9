#include "net/netmon.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/span.h"
#include "conf/tun.h"

enum {
	READ_MAX = 32768, /* what the kernel makes of one burst */
	READS_PER_TURN = 16,
	GROUP_IPV6_RULE = 1 << (RTNLGRP_IPV6_RULE - 1), /* has no name of its own */
};

struct netmon {
	struct loop *loop;
	struct netmon_user *user;
	struct watch watch;
	struct timer quiet;
	uint64_t latest_ms; /* the word is given by then; 0: nothing has changed */
	struct garbage garbage;
	int fd;
	uint8_t bytes[READ_MAX];
};

static void on_quiet(struct timer *t)
{
	struct netmon *m = container_of(t, struct netmon, quiet);

	m->latest_ms = 0;
	m->user->on_change(m->user, m);
}

static void changed(struct netmon *m)
{
	uint64_t now = loop_now(m->loop), wait;

	if (m->latest_ms == 0)
		m->latest_ms = now + NETMON_LATEST_MS;
	wait = m->latest_ms > now ? m->latest_ms - now : 0;
	timer_start(&m->quiet, wait < NETMON_QUIET_MS ? wait : (uint64_t)NETMON_QUIET_MS);
}

/* The front of @in, copied out: netlink speaks the machine's own byte order. */
static bool take(struct span *in, void *to, size_t n)
{
	if (n > in->n)
		return false;
	memcpy(to, in->p, n);
	n = NLMSG_ALIGN(n) < in->n ? NLMSG_ALIGN(n) : in->n;
	*in = span_of(in->p + n, in->n - n);
	return true;
}

/* Takes @len bytes off @in, of which @head are gone already: what follows the head in them. */
static bool take_body(struct span *in, size_t len, size_t head, struct span *body)
{
	size_t aligned;

	if (len < head || len - head > in->n)
		return false;
	*body = span_of(in->p, len - head);
	aligned = NLMSG_ALIGN(len) - head;
	aligned = aligned < in->n ? aligned : in->n;
	*in = span_of(in->p + aligned, in->n - aligned);
	return true;
}

/* Wireless drivers report each scan as news of the link. */
static bool link_matters(struct span body)
{
	struct ifinfomsg link;
	struct rtattr a;
	struct span value;

	if (!take(&body, &link, sizeof(link)))
		return false;
	while (take(&body, &a, sizeof(a)) && take_body(&body, a.rta_len, sizeof(a), &value))
		if (a.rta_type == IFLA_WIRELESS)
			return false;
	return true;
}

/* Whose rule is it? 0: unknown. */
static uint8_t rule_protocol(struct span body)
{
	struct fib_rule_hdr head;
	struct rtattr a;
	struct span value;

	if (!take(&body, &head, sizeof(head)))
		return 0;
	while (take(&body, &a, sizeof(a)) && take_body(&body, a.rta_len, sizeof(a), &value))
		if (a.rta_type == FRA_PROTOCOL && value.n)
			return value.p[0];
	return 0;
}

/* Does a message mean that packets may take another way from now on? What we set ourselves is no
 * news; that it is gone may be. */
static bool matters(unsigned type, struct span body)
{
	struct ifaddrmsg a;
	struct rtmsg r;

	switch (type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return link_matters(body);
	case RTM_NEWADDR: /* one that is still being checked cannot be used: word comes again */
		return take(&body, &a, sizeof(a)) && !(a.ifa_flags & IFA_F_TENTATIVE);
	case RTM_DELADDR:
		return true;
	case RTM_NEWRULE:
		return rule_protocol(body) != CONF_TUN_PROTOCOL;
	case RTM_DELRULE:
		return true;
	case RTM_NEWROUTE:
	case RTM_DELROUTE: /* cloned ones are the kernel's memory of single hosts */
		return take(&body, &r, sizeof(r)) && !(r.rtm_flags & RTM_F_CLONED) &&
		       (type == RTM_DELROUTE || r.rtm_protocol != CONF_TUN_PROTOCOL) &&
		       r.rtm_type != RTN_MULTICAST && r.rtm_type != RTN_BROADCAST;
	default:
		return false;
	}
}

static bool any_matters(struct span in)
{
	struct nlmsghdr h;
	struct span body;

	while (take(&in, &h, sizeof(h)) && take_body(&in, h.nlmsg_len, sizeof(h), &body))
		if (matters(h.nlmsg_type, body))
			return true;
	return false;
}

static void on_ready(struct watch *w, unsigned events)
{
	struct netmon *m = container_of(w, struct netmon, watch);

	(void)events;
	for (int i = 0; i < READS_PER_TURN; i++) {
		struct sockaddr_nl from = {0};
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(m->fd, m->bytes, sizeof(m->bytes), MSG_DONTWAIT,
				     (struct sockaddr *)&from, &len);

		if (n == -1 && errno == ENOBUFS) { /* so many that some were lost */
			changed(m);
			continue;
		}
		if (n == -1)
			return;
		if (from.nl_pid == 0 && any_matters(span_of(m->bytes, (size_t)n))) /* from the kernel */
			changed(m);
	}
}

struct netmon *netmon_new(struct loop *l, struct netmon_user *user)
{
	struct sockaddr_nl at = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE |
			     GROUP_IPV6_RULE,
	};
	struct netmon *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (m->fd == -1 || bind(m->fd, (struct sockaddr *)&at, sizeof(at)) == -1) {
		log_warn("netmon", "changes of the network will not be noticed at once: %s",
			 strerror(errno));
		if (m->fd != -1)
			close(m->fd);
		free(m);
		return NULL;
	}
	m->loop = l;
	m->user = user;
	timer_init(&m->quiet, l, on_quiet);
	watch_init(&m->watch, l, m->fd, on_ready);
	watch_set(&m->watch, WATCH_READ);
	return m;
}

static void netmon_destroy(struct garbage *g)
{
	free(container_of(g, struct netmon, garbage));
}

void netmon_free(struct netmon *m)
{
	if (!m)
		return;
	timer_stop(&m->quiet);
	watch_set(&m->watch, 0);
	close(m->fd);
	m->garbage.destroy = netmon_destroy;
	loop_free_later(m->loop, &m->garbage);
}
