/*
 * The TUN's part of the kernel's configuration: the device up with MTU, queue and
 * addresses; the routes and rules of the plan. What stands there is compared with
 * what should, and only the difference is set: at the start, when the network
 * changes, when the name of a server is resolved, and at the end, when nothing of
 * ours should stand there any more.
 *
 * Everything of ours has a protocol number of its own (KPROTO_OURS), so a
 * predecessor that was killed is cleaned up after, and nobody else's is touched.
 */
#ifndef GARENNE_VPN_NETCONF_H
#define GARENNE_VPN_NETCONF_H

#include "conf/conf.h"
#include "net/loop.h"
#include "net/resolve.h"

struct netconf;

/**
 * For the tun inbound of @c, whose device exists already. Borrows all three. Before the
 * loops run. Gives, or NULL with lines logged: the plan is refused, or a right is missing;
 * then nothing is left behind.
 */
struct netconf *netconf_start(struct loop *l, struct resolver *r, const struct conf *c);
/** The network changed: what is missing is set again. On the loop. */
void netconf_refresh(struct netconf *n);
/** Removes what was set. Takes NULL too. */
void netconf_stop(struct netconf *n);

#endif
