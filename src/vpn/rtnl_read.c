#include "vpn/rtnl_read.h"

#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- pieces ---- */

static void take_text(char out[KNAME_LEN], struct nlattr *a)
{
	if (a)
		nla_strlcpy(out, a, KNAME_LEN);
}

static uint32_t take_u32(struct nlattr *a, uint32_t def)
{
	uint32_t v = def;

	if (a && nla_len(a) >= (int)sizeof(v))
		memcpy(&v, nla_data(a), sizeof(v));
	return v;
}

static bool take_ip(struct ip *out, int af, struct nlattr *a)
{
	if (!a || (af != AF_INET && af != AF_INET6) || nla_len(a) < (af == AF_INET ? 4 : 16))
		return false;
	memset(out, 0, sizeof(*out));
	out->family = af == AF_INET ? 4 : 6;
	memcpy(out->b, nla_data(a), af == AF_INET ? 4 : 16);
	return true;
}

/* @len bits of the address in @a, or of zeros when there is none. */
static void take_prefix(struct prefix *out, int af, struct nlattr *a, unsigned len)
{
	struct ip ip = {.family = af == AF_INET ? 4 : 6};

	take_ip(&ip, af, a);
	if (prefix_set(out, &ip, len) != 0)
		*out = (struct prefix){ip, 0};
}

/* ---- links and addresses ---- */

bool rtnl_take_link(struct kstate *k, struct nlmsghdr *h)
{
	struct nlattr *a[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];
	struct ifinfomsg head;
	struct klink *l;

	if (h->nlmsg_type != RTM_NEWLINK || nlmsg_parse(h, sizeof(head), a, IFLA_MAX, NULL) < 0)
		return true;
	memcpy(&head, nlmsg_data(h), sizeof(head));
	l = kstate_add_link(k);
	if (!l)
		return false;
	l->index = (uint32_t)head.ifi_index;
	l->up = head.ifi_flags & IFF_UP;
	take_text(l->name, a[IFLA_IFNAME]);
	if (a[IFLA_LINKINFO] && nla_parse_nested(info, IFLA_INFO_MAX, a[IFLA_LINKINFO], NULL) == 0)
		take_text(l->kind, info[IFLA_INFO_KIND]);
	return true;
}

bool rtnl_take_addr(struct kstate *k, struct nlmsghdr *h)
{
	struct nlattr *a[IFA_MAX + 1];
	struct ifaddrmsg head;
	struct kaddr *out;
	struct ip ip;

	if (h->nlmsg_type != RTM_NEWADDR || nlmsg_parse(h, sizeof(head), a, IFA_MAX, NULL) < 0)
		return true;
	memcpy(&head, nlmsg_data(h), sizeof(head));
	if (!take_ip(&ip, head.ifa_family, a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS]))
		return true;
	out = kstate_add_addr(k);
	if (!out)
		return false;
	*out = (struct kaddr){ip, head.ifa_prefixlen, head.ifa_index};
	return true;
}

/* ---- routes ---- */

static enum kroute_type type_of(unsigned char type)
{
	switch (type) {
	case RTN_UNICAST:
		return KROUTE_UNICAST;
	case RTN_LOCAL:
		return KROUTE_LOCAL;
	case RTN_BLACKHOLE:
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
		return KROUTE_UNREACHABLE;
	case RTN_THROW:
		return KROUTE_THROW;
	default:
		return KROUTE_OTHER;
	}
}

bool rtnl_take_route(struct kstate *k, struct nlmsghdr *h)
{
	struct nlattr *a[RTA_MAX + 1];
	struct kroute *r;
	struct rtmsg head;

	if (h->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(h, sizeof(head), a, RTA_MAX, NULL) < 0)
		return true;
	memcpy(&head, nlmsg_data(h), sizeof(head));
	if ((head.rtm_family != AF_INET && head.rtm_family != AF_INET6) ||
	    head.rtm_flags & RTM_F_CLONED)
		return true;
	r = kstate_add_route(k);
	if (!r)
		return false;
	take_prefix(&r->dst, head.rtm_family, a[RTA_DST], head.rtm_dst_len);
	r->table = take_u32(a[RTA_TABLE], head.rtm_table);
	r->metric = take_u32(a[RTA_PRIORITY], 0);
	r->type = type_of(head.rtm_type);
	r->protocol = head.rtm_protocol;
	r->link = take_u32(a[RTA_OIF], 0);
	r->dead = head.rtm_flags & RTNH_F_DEAD; /* without a carrier a route still counts */
	if (!take_ip(&r->via, head.rtm_family, a[RTA_GATEWAY]) &&
	    (a[RTA_VIA] || a[RTA_MULTIPATH] || a[RTA_NH_ID]))
		r->via.family = head.rtm_family == AF_INET ? 6 : 4; /* some gateway or other */
	return true;
}

/* ---- rules ---- */

static void take_action(struct krule *r, const struct fib_rule_hdr *head, struct nlattr **a)
{
	switch (head->action) {
	case FR_ACT_TO_TBL:
		r->action = KRULE_TABLE;
		r->table = take_u32(a[FRA_TABLE], head->table);
		break;
	case FR_ACT_GOTO:
		r->action = KRULE_GOTO;
		r->target = take_u32(a[FRA_GOTO], 0);
		break;
	case FR_ACT_BLACKHOLE:
	case FR_ACT_UNREACHABLE:
	case FR_ACT_PROHIBIT:
		r->action = KRULE_REFUSE;
		break;
	default:
		r->action = KRULE_NOP;
		break;
	}
}

bool rtnl_take_rule(struct kstate *k, struct nlmsghdr *h)
{
	struct nlattr *a[FRA_MAX + 1];
	struct fib_rule_hdr head;
	struct krule *r;

	if (h->nlmsg_type != RTM_NEWRULE || nlmsg_parse(h, sizeof(head), a, FRA_MAX, NULL) < 0)
		return true;
	memcpy(&head, nlmsg_data(h), sizeof(head));
	if (head.family != AF_INET && head.family != AF_INET6)
		return true;
	r = kstate_add_rule(k);
	if (!r)
		return false;
	r->family = head.family == AF_INET ? 4 : 6;
	r->protocol = a[FRA_PROTOCOL] ? nla_get_u8(a[FRA_PROTOCOL]) : 0;
	r->prio = take_u32(a[FRA_PRIORITY], 0);
	take_action(r, &head, a);
	r->mark = take_u32(a[FRA_FWMARK], 0);
	r->mask = a[FRA_FWMARK] || a[FRA_FWMASK] ? take_u32(a[FRA_FWMASK], UINT32_MAX) : 0;
	if (head.src_len)
		take_prefix(&r->from, head.family, a[FRA_SRC], head.src_len);
	if (head.dst_len)
		take_prefix(&r->to, head.family, a[FRA_DST], head.dst_len);
	take_text(r->iif, a[FRA_IIFNAME]);
	take_text(r->oif, a[FRA_OIFNAME]);
	r->invert = head.flags & FIB_RULE_INVERT;
	r->picky = head.tos || a[FRA_FLOW] || a[FRA_TUN_ID] || a[FRA_UID_RANGE] ||
		   a[FRA_IP_PROTO] || a[FRA_SPORT_RANGE] || a[FRA_DPORT_RANGE] ||
		   (a[FRA_L3MDEV] && nla_get_u8(a[FRA_L3MDEV]));
	/* All ones: none. */
	r->suppress = (int)take_u32(a[FRA_SUPPRESS_PREFIXLEN], UINT32_MAX);
	return true;
}

/* ---- what netlink does not tell ---- */

static int sysctl_int(const char *path, int def)
{
	char text[16];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd != -1)
		close(fd);
	if (n <= 0)
		return def;
	text[n] = 0;
	return (int)strtol(text, NULL, 10);
}

bool rtnl_no_ipv6(void)
{
	return sysctl_int("/proc/sys/net/ipv6/conf/default/disable_ipv6", 1) != 0;
}

void rtnl_note_forwarding(struct kstate *k)
{
	k->forward4 = sysctl_int("/proc/sys/net/ipv4/ip_forward", 0) != 0;
	k->forward6 = sysctl_int("/proc/sys/net/ipv6/conf/all/forwarding", 0) != 0;
}

/* The stricter of "all" and the device's own counts: 1 is strict, 2 is loose and beats it. */
void rtnl_note_filters(struct kstate *k)
{
	int all = sysctl_int("/proc/sys/net/ipv4/conf/all/rp_filter", 0);
	char path[96];

	for (size_t i = 0; i < k->n_links; i++) {
		int own;

		snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter",
			 k->links[i].name);
		own = sysctl_int(path, 0);
		k->links[i].strict = (own > all ? own : all) == 1;
	}
}
