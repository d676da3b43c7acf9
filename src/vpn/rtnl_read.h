/* From netlink's messages to a kstate. Private to rtnl.c and rtnl_read.c. */
#ifndef GARENNE_VPN_RTNL_READ_H
#define GARENNE_VPN_RTNL_READ_H

#include "vpn/kstate.h"

struct nlmsghdr;

/* One message of a dump; what does not concern us is skipped. False when memory is out. */
bool rtnl_take_link(struct kstate *k, struct nlmsghdr *h);
bool rtnl_take_addr(struct kstate *k, struct nlmsghdr *h);
bool rtnl_take_route(struct kstate *k, struct nlmsghdr *h);
bool rtnl_take_rule(struct kstate *k, struct nlmsghdr *h);

/** No IPv6 in this kernel or namespace, or switched off for new devices. */
bool rtnl_no_ipv6(void);
/** Whether packets of others are passed on. */
void rtnl_note_forwarding(struct kstate *k);
/** Which links check where packets come from, strictly. */
void rtnl_note_filters(struct kstate *k);

#endif
