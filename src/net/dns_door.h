/*
 * How queries of configured name servers get out: as flows that the rules route,
 * which is the business of those above. Whoever has no door, and "+local" servers,
 * go by sockets of their own.
 */
#ifndef GARENNE_NET_DNS_DOOR_H
#define GARENNE_NET_DNS_DOOR_H

#include "base/addr.h"
#include "net/dgram.h"
#include "net/stream.h"

struct dns_call; /* a connection that is being made */

struct dns_call_user {
	/* From the loop, once unless cancelled. Gives @s, or NULL, -ERR_* and words (may be NULL). */
	void (*on_open)(struct dns_call_user *u, struct stream *s, int err, const char *why);
};

/* Any thread may use it with a loop of its own. */
struct dns_door {
	/* Packets to @to, as if they came in by @tag. Gives; NULL when memory is out. What goes wrong
	 * later ends the carrier. */
	struct dgram *(*packets)(struct dns_door *d, struct loop *l, const struct addr *to,
				 const char *tag);
	/* The same for a connection. */
	struct dns_call *(*connect)(struct dns_door *d, struct loop *l, const struct addr *to,
				    const char *tag, struct dns_call_user *u);
	/* Calls nobody any more. */
	void (*cancel)(struct dns_door *d, struct dns_call *c);
};

#endif
