/*
 * What a TUN will change in the kernel's routing, computed before anything is
 * touched: from the configuration and a snapshot of the kernel's state to lists of
 * routes and rules, or to a refusal with its reason when the result would loop or cut
 * this machine off. Pure: no descriptor, no clock, no log; the same input gives the
 * same plan.
 *
 * All routes of ours are in a table of their own, which three rules per family ask:
 *
 *   P    not ours: our table, but not its default route   what is meant for the mesh
 *   P+1  not ours: main, but not its default route        the LAN stays the LAN
 *   P+2  not ours: our table                              everything else
 *
 * "Not ours" is: without the mark that every socket of ours carries. P+1 and P+2 are
 * there only if a default route leads into the TUN. Our own packets see none of it and
 * go on as if there were no TUN, through another VPN if there is one.
 *
 * What is more specific than a route of ours in the table main, the servers that
 * we connect to, and what the file excludes, is a "throw" route in our table: the
 * kernel then looks on, in main, so that it follows whatever happens there.
 */
#ifndef GARENNE_VPN_PLAN_H
#define GARENNE_VPN_PLAN_H

#include <stdbool.h>
#include <stdio.h>

#include "conf/conf.h"
#include "vpn/kstate.h"

enum { PLAN_LOOSE_MAX = 8 };

enum plan_route_kind {
	PLAN_INTO_TUN = 0,
	PLAN_THROW,
	PLAN_NOWHERE, /* the kill switch: behind a route into the TUN, for when that is gone */
};

struct plan_route {
	struct prefix dst;
	enum plan_route_kind kind;
	char why[64]; /* "address", "exclude", "server of [hub]", "network of eth0" */
};

struct plan_rule {
	uint8_t family;
	uint32_t prio, table;
	bool suppress; /* default routes do not count */
};

enum plan_level {
	PLAN_NOTE = 0,
	PLAN_WARNING,
	PLAN_REFUSED,
};

struct plan_msg {
	enum plan_level level;
	char text[300];
};

/* A server that we connect to by a socket of our own. */
struct plan_carrier {
	const struct conf_outbound *out;
	const struct addr *server; /* as the file says */
	struct ip ip;		   /* family 0: its name is not resolved */
	char dev[KNAME_LEN];	   /* it leaves by this; "" unknown */
};

/* Where an outbound brings flows to: this machine, or a network behind it. */
struct plan_delivery {
	const struct conf_outbound *out;
	struct prefix to;
	const char *how;     /* "dial", "proxy", "transparent" */
	bool here;	     /* an address of the TUN */
	char dev[KNAME_LEN]; /* the way there; "" unknown */
};

/* Addresses of a server's name, found by whoever asks for a plan. */
struct plan_name {
	const char *name;
	struct ip ip;
};

struct plan {
	const struct conf_inbound *in;
	uint32_t table, mark;
	bool with4, with6; /* families in which something is set */
	struct plan_route *routes;
	size_t n_routes;
	struct plan_rule rules[6];
	size_t n_rules;
	struct plan_carrier *carriers;
	size_t n_carriers;
	struct plan_delivery *deliveries;
	size_t n_deliveries;
	struct plan_msg *msgs;
	size_t n_msgs;
	size_t warnings, refusals;
	/* Links whose reverse path filter has to be loosened. */
	char loose[PLAN_LOOSE_MAX][KNAME_LEN];
	size_t n_loose;
	bool nomem;
};

/** The plan for the tun inbound of @c, which there must be. @k needs sorted rules. Borrows @c for
 * the life of the plan. Free it in every case. False when memory is out. */
bool plan_make(struct plan *out, const struct conf *c, const struct kstate *k,
	       const struct plan_name *names, size_t n_names);
void plan_fini(struct plan *p);
/** The plan in words, one line per item, in a fixed order. */
void plan_print(const struct plan *p, FILE *to);

/** Was this rule or route left behind by a program of ours that is gone? Its table then leads
 * into no device but @name. */
bool plan_is_stale_table(const struct kstate *k, uint32_t table, const char *name);

#endif
