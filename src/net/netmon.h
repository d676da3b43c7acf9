/*
 * Tells when the network of this machine has changed: an address came or went, a
 * link went up or down, a route or a rule was added or removed (rtnetlink(7)); what
 * a TUN of ours sets does not count. Changes come in flocks, so the word is given
 * once things have been quiet for a moment, but not much later than the first sign
 * even if they are not.
 */
#ifndef GARENNE_NET_NETMON_H
#define GARENNE_NET_NETMON_H

#include "net/loop.h"

enum {
	NETMON_QUIET_MS = 100,
	NETMON_LATEST_MS = 1500,
};

struct netmon;

struct netmon_user {
	/* The network changed. From the loop; may close @m. */
	void (*on_change)(struct netmon_user *u, struct netmon *m);
};

/** Gives; NULL (a line is logged) where the kernel does not allow it: then nothing comes. */
struct netmon *netmon_new(struct loop *l, struct netmon_user *user);
/** On the loop, or after it ended. Takes NULL too. */
void netmon_free(struct netmon *m);

#endif
