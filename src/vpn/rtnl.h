/*
 * The kernel's routing tables over netlink: reading all of it into a kstate, and
 * setting one thing at a time. Blocking, but only as long as the kernel takes.
 *
 * Messages are built field by field: libnl-route knows neither inverted rules nor
 * suppress_prefixlength.
 */
#ifndef GARENNE_VPN_RTNL_H
#define GARENNE_VPN_RTNL_H

#include "vpn/kstate.h"

struct rtnl;

/** Gives; NULL with a line logged. */
struct rtnl *rtnl_open(void);
/** Takes NULL too. */
void rtnl_close(struct rtnl *n);

/** Everything, rules sorted. 0, or -ERR_*; then @out is empty. */
int rtnl_read(struct rtnl *n, struct kstate *out);

/* All of these: 0, or -errno of the kernel. */
/** @quiet6: the kernel gives it no IPv6 address of its own making. */
int rtnl_link_up(struct rtnl *n, uint32_t index, uint32_t mtu, uint32_t queue, bool quiet6);
/** The network of the address gets no route in main: it is the caller's to set. */
int rtnl_addr_add(struct rtnl *n, uint32_t index, const struct ip *ip, uint8_t len);
int rtnl_addr_del(struct rtnl *n, uint32_t index, const struct ip *ip, uint8_t len);

/* A route of ours. */
struct rtnl_route {
	struct prefix dst;
	uint32_t table, metric;
	enum kroute_type type; /* UNICAST on @link, UNREACHABLE, THROW */
	uint32_t link;
	struct ip source; /* of packets of this machine; family 0: the kernel's choice */
};

int rtnl_route_add(struct rtnl *n, const struct rtnl_route *r);
int rtnl_route_del(struct rtnl *n, const struct rtnl_route *r);

/* A rule of ours: for packets without @mark. */
struct rtnl_rule {
	uint8_t family;
	uint32_t prio, table, mark;
	bool suppress; /* default routes do not count */
};

int rtnl_rule_add(struct rtnl *n, const struct rtnl_rule *r);
int rtnl_rule_del(struct rtnl *n, const struct rtnl_rule *r);

#endif
