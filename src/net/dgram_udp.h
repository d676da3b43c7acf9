/*
 * A UDP association of our own as a datagram carrier: one unconnected socket,
 * whoever answers is heard (full cone), as are ICMP errors. Names of targets are resolved once and
 * kept for the life of the association, so that one name is one host; while a
 * name is being resolved its first packets wait.
 */
#ifndef GARENNE_NET_DGRAM_UDP_H
#define GARENNE_NET_DGRAM_UDP_H

#include "net/connect.h"
#include "net/dgram.h"
#include "net/resolve.h"
#include "net/sock.h"

enum {
	DGRAM_UDP_NAMES = 16, /* names kept; the longest unused goes */
	DGRAM_UDP_WAIT = 8,   /* packets that wait for one name */
};

struct dgram_udp_spec {
	const struct conf_sockopt *opts; /* NULL: defaults; borrowed during the call */
	struct ip local;		 /* sendThrough; family 0: any address, both families */
	enum conf_strategy strategy;
	struct addr target; /* for packets without an address; ADDR_NONE: those are dropped */
	/* NULL: all may; borrowed while the carrier lives. Packets to addresses that it does not
	 * let pass are dropped; asked when the address changes, not for every packet. */
	struct connect_gate *gate;
};

/** Borrows @r (may be NULL: names are then dropped). Gives; NULL and @why on failure. */
struct dgram *dgram_udp_new(struct loop *l, struct resolver *r, const struct dgram_udp_spec *spec,
			    char why[NET_WHY_MAX]);
/** The bound address of a carrier of this kind; port 0 until something was sent. */
struct ipport dgram_udp_local(struct dgram *d);

#endif
