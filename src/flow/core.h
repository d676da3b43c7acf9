/*
 * What all flows share: the loops, the outbounds by tag, the router, the
 * policies. Built once by app before any loop runs, read-only afterwards but for
 * a reload, which happens while no loop runs: nobody who looks at the router or
 * the table of outbounds keeps it for a later event.
 */
#ifndef GARENNE_FLOW_CORE_H
#define GARENNE_FLOW_CORE_H

#include <stdatomic.h>

#include "conf/conf.h"
#include "flow/flow.h"
#include "flow/outbound.h"
#include "net/loop.h"

struct domset;
struct iprules;
struct history;
struct lists;
struct resolver;
struct route_report;
struct router;
struct tun;
struct tally;

enum { CORE_LOOPS_MAX = 64 };

/* What belongs to one worker. */
struct worker {
	struct loop *loop;
	struct resolver *resolver;
	struct list flows; /* all live ones */
	size_t n_flows;
	struct history *history; /* NULL when memory was out */
	struct tally *tallies;	 /* one per outbound, by number; NULL before the first flow ended */
	size_t n_tallies;	 /* fewer than outbounds where none of the later ones was used */
	struct list strangers;	 /* see stranger.h */
	size_t n_strangers;
	uint64_t next_flow;
};

/* What a sniffed name must not replace, compiled. */
struct sniff_exclusion {
	const struct conf_sniff *conf;
	struct domset *domains; /* NULL: none */
	struct iprules *ips;
};

struct core {
	const struct conf *conf;
	char node[64]; /* our name, for people */
	struct worker workers[CORE_LOOPS_MAX];
	unsigned n_workers;
	struct router *router;
	struct sniff_exclusion *exclusions;
	size_t n_exclusions;
	struct tun *tun; /* of vpn, which shares it between an inbound and outbounds; or NULL */
	atomic_uint network; /* grows when the network of this machine changes. Any thread */
	struct outbound *mux_acceptor; /* takes flows that are carriers of mux; in no table */
	struct outbound **outbounds; /* the first is the default */
	size_t n_outbounds, cap_outbounds;
};

struct worker *core_worker(struct core *c, const struct loop *l);
struct resolver *core_resolver(struct core *c, const struct loop *l);
/** Room for @n more outbounds. 0 or -ERR_NOMEM. Before the loops run, or while they stand still. */
int core_reserve_outbounds(struct core *c, size_t n);
/** Takes @o. -ERR_LIMIT when the tag is taken, -ERR_NOMEM. Before the loops run, or, for one for
 * which there is room, while they stand still. */
int core_add_outbound(struct core *c, struct outbound *o);
/** NULL when there is none with this tag; "" finds nothing. */
struct outbound *core_outbound(const struct core *c, const char *tag);
/** Compiles the exclusions of @sniff, if it has any. 0, or -ERR_* with messages in @report. Before
 * the loops run. */
int core_add_exclusions(struct core *c, const struct conf_sniff *sniff, struct lists *lists,
			struct route_report *report);
/** Must neither @name nor the flow's @target give way to a sniffed name? */
bool core_sniff_excluded(const struct core *c, const struct conf_sniff *sniff, const char *name,
			 const struct addr *target);
/** Frees the tables; outbounds and workers are the caller's. */
void core_fini(struct core *c);
/** A loop for a new connection that any loop may serve. */
struct loop *core_spread(struct core *c);
/** The home of something named @key: the same loop each time. */
struct loop *core_home(struct core *c, const char *key);

#endif
