/*
 * What the kernel knows about the network, as plain data: links, addresses, rules
 * and routes of all tables. It comes from netlink (rtnl.h) or from a test. The one
 * question it answers is the kernel's own: which way does a packet go?
 */
#ifndef GARENNE_VPN_KSTATE_H
#define GARENNE_VPN_KSTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "conf/tun.h"

enum {
	KNAME_LEN = 16,
	KTABLE_MAIN = 254,
	KTABLE_LOCAL = 255,
	KPROTO_OURS = CONF_TUN_PROTOCOL,
	KPROTO_KERNEL = 2,
};

struct klink {
	uint32_t index;
	char name[KNAME_LEN];
	char kind[KNAME_LEN]; /* "tun", "wireguard", "veth"; "" for hardware */
	bool up;
	bool strict; /* incoming IPv4 must have a way back by the same link (rp_filter 1) */
};

struct kaddr {
	struct ip ip;
	uint8_t len;
	uint32_t link;
};

enum kroute_type {
	KROUTE_UNICAST = 1,
	KROUTE_LOCAL,
	KROUTE_UNREACHABLE, /* also blackhole and prohibit */
	KROUTE_THROW,	    /* this table has no answer, ask the next rule */
	KROUTE_OTHER,	    /* multicast, broadcast, anycast */
};

struct kroute {
	struct prefix dst;
	uint32_t table, metric;
	enum kroute_type type;
	uint8_t protocol;
	uint32_t link;	/* 0: none, or several ways */
	struct ip via;	/* family 0: directly on the link */
	bool dead;	/* its link is down */
};

enum krule_action {
	KRULE_TABLE = 1,
	KRULE_GOTO,
	KRULE_NOP,
	KRULE_REFUSE, /* blackhole, unreachable, prohibit */
};

struct krule {
	uint8_t family; /* 4 or 6 */
	uint8_t protocol;
	uint32_t prio;
	enum krule_action action;
	uint32_t table, target; /* of KRULE_TABLE; the rule that KRULE_GOTO goes to */
	uint32_t mark, mask;	/* mask 0: any mark */
	struct prefix from, to; /* family 0: any */
	char iif[KNAME_LEN], oif[KNAME_LEN];
	bool invert;
	bool picky;   /* asks for what only some packets have: a port, a user, a type of service */
	int suppress; /* answers with at most this prefix length do not count; -1: all do */
};

struct kstate {
	struct klink *links;
	size_t n_links;
	struct kaddr *addrs;
	size_t n_addrs;
	struct kroute *routes;
	size_t n_routes;
	struct krule *rules; /* sorted by kstate_sort */
	size_t n_rules;
	bool no_ipv6; /* the kernel has none, or it is switched off */
	bool forward4, forward6; /* packets of others are passed on */
};

/** Room for one more, zeroed; NULL when memory is out. */
struct klink *kstate_add_link(struct kstate *k);
struct kaddr *kstate_add_addr(struct kstate *k);
struct kroute *kstate_add_route(struct kstate *k);
struct krule *kstate_add_rule(struct kstate *k);
/** Puts rules into the kernel's order; those of one priority stay in the order of adding. */
void kstate_sort(struct kstate *k);
void kstate_fini(struct kstate *k);
/** A copy without the rules and routes that @drop says yes to; 0 or -ERR_NOMEM. */
int kstate_copy(struct kstate *out, const struct kstate *in,
		bool (*drop_route)(const void *ctx, const struct kroute *r),
		bool (*drop_rule)(const void *ctx, const struct krule *r), const void *ctx);

const struct klink *kstate_link(const struct kstate *k, uint32_t index);
const struct klink *kstate_link_named(const struct kstate *k, const char *name);

/* A packet of this machine. */
struct kpacket {
	struct ip to;
	struct ip from; /* family 0: not bound */
	uint32_t mark;
	const char *oif; /* bound to a device; NULL or "": not */
};

/* Where it goes. */
struct kway {
	const struct kroute *route; /* NULL: nowhere, there is no route */
	const struct krule *rule;   /* the one that decided */
};

/** The kernel's decision, as far as rules depend on the packet. Needs sorted rules. */
struct kway kstate_way(const struct kstate *k, const struct kpacket *p);
/** Is @in within @out, or the same? */
bool prefix_within(const struct prefix *in, const struct prefix *out);
bool prefix_same(const struct prefix *a, const struct prefix *b);

#endif
