/*
 * The TUN: an inbound that takes packets of this machine (and of networks behind
 * it), and an outbound that delivers flows into the same device.
 *
 * "routes" is also understood as Xray's autoSystemRoutingTable, "addresses" as
 * its gateway. What Xray does with an interface for outbounds, we do with a mark.
 */
#ifndef GARENNE_CONF_TUN_H
#define GARENNE_CONF_TUN_H

#include "conf/value.h"

enum {
	CONF_TUN_NAME_MAX = 15, /* of the kernel's IFNAMSIZ */
	CONF_TUN_MTU = 1500,
	CONF_TUN_MTU_MIN = 576,
	CONF_TUN_MTU_MIN6 = 1280, /* RFC 8200, section 5 */
	CONF_TUN_MTU_MAX = 65535,
	CONF_TUN_TABLE = 26465, /* and the next ones, when it is somebody else's */
	CONF_TUN_MARK = 0x2761,
	CONF_TUN_PRIORITY = 9000, /* of the first rule; the others follow it */
	CONF_TUN_ADDRS_MAX = 16,
	CONF_TUN_ROUTES_MAX = 4096,
	CONF_TUN_DNS_MAX = 8,
	/* Whose routes and rules are ours: their protocol, a number that no routing daemon of
	 * iproute2's table has. */
	CONF_TUN_PROTOCOL = 103,
};

#define CONF_TUN_NAME "garenne0"

/* What happens to an echo request. */
enum conf_tun_ping {
	CONF_TUN_PING_FORWARD = 0, /* the far end asks the target; no answer is no answer */
	CONF_TUN_PING_LOCAL,	   /* answered here, as Xray does: proves nothing */
	CONF_TUN_PING_OFF,
};

/* An address with the length of its network; unlike in a prefix, host bits count. */
struct conf_tun_addr {
	struct ip ip;
	uint8_t len;
};

struct conf_in_tun {
	const char *name; /* of the device, 1..15 bytes */
	uint32_t mtu;
	const struct conf_tun_addr *addrs; /* of the device; none: it is only brought up */
	size_t n_addrs;
	const struct prefix *routes; /* into the TUN, without duplicates */
	size_t n_routes;
	bool default4, default6;       /* 0.0.0.0/0, ::/0 are among the routes */
	const struct prefix *excludes; /* never into the TUN, whatever the routes say */
	size_t n_excludes;
	const struct ip *dns; /* name servers that the system shall ask through the TUN */
	size_t n_dns;
	bool resolv_conf; /* put them into resolv.conf where there is no systemd-resolved */
	struct conf_strs dns_domains;	 /* only names below these; empty with @dns: all names */
	uint32_t table;			 /* of our routes; 0: the first free one from CONF_TUN_TABLE */
	uint32_t mark;			 /* of our own sockets, never 0 */
	uint32_t priority;		 /* of the first rule */
	bool kill_switch;		 /* routes lead nowhere, not elsewhere, when the TUN is gone */
	const char *outbounds_interface; /* own sockets are bound to it; "": the mark does it */
	enum conf_tun_ping ping;
	bool early_accept; /* a SYN is answered before the far side is connected, as Xray does */
	uint32_t level;
};

#endif
