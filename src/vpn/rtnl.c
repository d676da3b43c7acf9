#include "vpn/rtnl.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/log.h"
#include "vpn/rtnl_read.h"

enum {
	ROOM = 512 << 10, /* a dump of many routes must not overrun */
	LEVEL_ALL = 0xffffffff,
};

struct rtnl {
	struct nl_sock *sk;
};

struct rtnl *rtnl_open(void)
{
	struct rtnl *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return NULL;
	n->sk = nl_socket_alloc();
	err = n->sk ? nl_connect(n->sk, NETLINK_ROUTE) : -NLE_NOMEM;
	if (err < 0) {
		log_err("rtnl", "netlink: %s", nl_geterror(err));
		rtnl_close(n);
		return NULL;
	}
	nl_socket_set_buffer_size(n->sk, ROOM, 0);
	return n;
}

void rtnl_close(struct rtnl *n)
{
	if (!n)
		return;
	nl_socket_free(n->sk);
	free(n);
}

/* ---- reading ---- */

struct dump {
	struct kstate *k;
	bool (*take)(struct kstate *k, struct nlmsghdr *h);
	bool failed;
};

static int on_message(struct nl_msg *msg, void *arg)
{
	struct dump *d = arg;

	if (!d->take(d->k, nlmsg_hdr(msg)))
		d->failed = true;
	return NL_OK;
}

static int dump(struct rtnl *n, int type, int family, struct kstate *k,
		bool (*take)(struct kstate *k, struct nlmsghdr *h))
{
	struct dump d = {.k = k, .take = take};
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	struct rtgenmsg head = {.rtgen_family = (unsigned char)family};
	int err;

	if (!cb)
		return -ERR_NOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_message, &d);
	err = nl_send_simple(n->sk, type, NLM_F_DUMP, &head, sizeof(head));
	if (err >= 0)
		err = nl_recvmsgs(n->sk, cb);
	nl_cb_put(cb);
	if (err < 0) {
		log_err("rtnl", "netlink: %s", nl_geterror(err));
		return -ERR_SYS;
	}
	return d.failed ? -ERR_NOMEM : 0;
}

int rtnl_read(struct rtnl *n, struct kstate *out)
{
	int err;

	memset(out, 0, sizeof(*out));
	err = dump(n, RTM_GETLINK, AF_UNSPEC, out, rtnl_take_link);
	if (!err)
		err = dump(n, RTM_GETADDR, AF_UNSPEC, out, rtnl_take_addr);
	if (!err)
		err = dump(n, RTM_GETROUTE, AF_UNSPEC, out, rtnl_take_route);
	if (!err)
		err = dump(n, RTM_GETRULE, AF_INET, out, rtnl_take_rule);
	if (!err && !rtnl_no_ipv6())
		err = dump(n, RTM_GETRULE, AF_INET6, out, rtnl_take_rule);
	out->no_ipv6 = rtnl_no_ipv6();
	rtnl_note_filters(out);
	rtnl_note_forwarding(out);
	if (err)
		kstate_fini(out);
	else
		kstate_sort(out);
	return err;
}

/* ---- setting ---- */

static int af_of(uint8_t family)
{
	return family == 4 ? AF_INET : AF_INET6;
}

static size_t bytes_of(uint8_t family)
{
	return family == 4 ? 4 : 16;
}

static int on_error(struct sockaddr_nl *who, struct nlmsgerr *e, void *arg)
{
	(void)who;
	*(int *)arg = e->error;
	return NL_STOP;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	(void)msg;
	*(int *)arg = 0;
	return NL_STOP;
}

/* Takes @m, which may be NULL; @ok: it could be filled. 0 or -errno. */
static int ask(struct rtnl *n, struct nl_msg *m, bool ok)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int result = -ENOMEM, err;

	if (m && ok && cb) {
		result = -EIO;
		nl_cb_err(cb, NL_CB_CUSTOM, on_error, &result);
		nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, &result);
		err = nl_send_auto(n->sk, m);
		if (err >= 0)
			nl_recvmsgs(n->sk, cb);
	}
	nlmsg_free(m);
	if (cb)
		nl_cb_put(cb);
	return result;
}

/* Link-local addresses would only send router solicitations into the TUN. */
static bool no_own_addresses(struct nl_msg *m)
{
	struct nlattr *spec = nla_nest_start(m, IFLA_AF_SPEC);
	struct nlattr *inet6 = spec ? nla_nest_start(m, AF_INET6) : NULL;

	if (!inet6 ||
	    nla_put_u8(m, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE) != 0)
		return false;
	nla_nest_end(m, inet6);
	nla_nest_end(m, spec);
	return true;
}

int rtnl_link_up(struct rtnl *n, uint32_t index, uint32_t mtu, uint32_t queue, bool quiet6)
{
	struct nl_msg *m = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg head = {
		.ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};

	return ask(n, m, m && nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) == 0 &&
				 nla_put_u32(m, IFLA_MTU, mtu) == 0 &&
				 nla_put_u32(m, IFLA_TXQLEN, queue) == 0 &&
				 (!quiet6 || no_own_addresses(m)));
}

static int addr_ask(struct rtnl *n, int type, int flags, uint32_t index, const struct ip *ip,
		    uint8_t len)
{
	struct nl_msg *m = nlmsg_alloc_simple(type, NLM_F_ACK | flags);
	struct ifaddrmsg head = {.ifa_family = (unsigned char)af_of(ip->family),
				 .ifa_prefixlen = len,
				 .ifa_index = index};
	uint32_t more = IFA_F_NOPREFIXROUTE | (ip->family == 6 ? IFA_F_NODAD : 0u);

	return ask(n, m,
		   m && nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) == 0 &&
			   nla_put(m, IFA_LOCAL, (int)bytes_of(ip->family), ip->b) == 0 &&
			   nla_put(m, IFA_ADDRESS, (int)bytes_of(ip->family), ip->b) == 0 &&
			   nla_put_u32(m, IFA_FLAGS, more) == 0);
}

int rtnl_addr_add(struct rtnl *n, uint32_t index, const struct ip *ip, uint8_t len)
{
	return addr_ask(n, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, ip, len);
}

int rtnl_addr_del(struct rtnl *n, uint32_t index, const struct ip *ip, uint8_t len)
{
	return addr_ask(n, RTM_DELADDR, 0, index, ip, len);
}

static unsigned char route_type(enum kroute_type t)
{
	return t == KROUTE_THROW	 ? RTN_THROW
	       : t == KROUTE_UNREACHABLE ? RTN_UNREACHABLE
					 : RTN_UNICAST;
}

static bool route_fill(struct nl_msg *m, const struct rtnl_route *r)
{
	struct rtmsg head = {
		.rtm_family = (unsigned char)af_of(r->dst.ip.family),
		.rtm_dst_len = r->dst.len,
		.rtm_table = RT_TABLE_UNSPEC, /* it may not fit */
		.rtm_protocol = KPROTO_OURS,
		.rtm_type = route_type(r->type),
		.rtm_scope = r->dst.ip.family == 4 && r->type == KROUTE_UNICAST ?
				     RT_SCOPE_LINK :
				     RT_SCOPE_UNIVERSE,
	};

	return nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) == 0 &&
	       nla_put(m, RTA_DST, (int)bytes_of(r->dst.ip.family), r->dst.ip.b) == 0 &&
	       nla_put_u32(m, RTA_TABLE, r->table) == 0 &&
	       nla_put_u32(m, RTA_PRIORITY, r->metric) == 0 &&
	       (!r->link || nla_put_u32(m, RTA_OIF, r->link) == 0) &&
	       (!r->source.family ||
		nla_put(m, RTA_PREFSRC, (int)bytes_of(r->source.family), r->source.b) == 0);
}

int rtnl_route_add(struct rtnl *n, const struct rtnl_route *r)
{
	struct nl_msg *m =
		nlmsg_alloc_simple(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);

	return ask(n, m, m && route_fill(m, r));
}

int rtnl_route_del(struct rtnl *n, const struct rtnl_route *r)
{
	struct nl_msg *m = nlmsg_alloc_simple(RTM_DELROUTE, NLM_F_ACK);

	return ask(n, m, m && route_fill(m, r));
}

static bool rule_fill(struct nl_msg *m, const struct rtnl_rule *r)
{
	struct fib_rule_hdr head = {
		.family = (uint8_t)af_of(r->family),
		.action = FR_ACT_TO_TBL,
		.flags = r->mark ? FIB_RULE_INVERT : 0,
	};

	return nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) == 0 &&
	       nla_put_u32(m, FRA_PRIORITY, r->prio) == 0 &&
	       nla_put_u32(m, FRA_TABLE, r->table) == 0 &&
	       (!r->mark || (nla_put_u32(m, FRA_FWMARK, r->mark) == 0 &&
			     nla_put_u32(m, FRA_FWMASK, UINT32_MAX) == 0)) &&
	       nla_put_u8(m, FRA_PROTOCOL, KPROTO_OURS) == 0 &&
	       (!r->suppress || nla_put_u32(m, FRA_SUPPRESS_PREFIXLEN, 0) == 0);
}

int rtnl_rule_add(struct rtnl *n, const struct rtnl_rule *r)
{
	struct nl_msg *m = nlmsg_alloc_simple(RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);

	return ask(n, m, m && rule_fill(m, r));
}

int rtnl_rule_del(struct rtnl *n, const struct rtnl_rule *r)
{
	struct nl_msg *m = nlmsg_alloc_simple(RTM_DELRULE, NLM_F_ACK);

	return ask(n, m, m && rule_fill(m, r));
}
