/*
 * A flow: one TCP connection or UDP association of a user, from the inbound
 * that accepted it to the outbound that ends it.
 *
 *   NEW       being filled by its inbound
 *   SNIFFING  waiting for first bytes that tell the protocol
 *   ROUTING   waiting for addresses that a rule needs, or moving to another loop
 *   OPENING   an outbound has it; ends in flow_connected or flow_failed
 *   RELAYING  bytes move
 *   ENDED     logged, waiting to be freed at the end of the turn
 *
 * One owner at each time: the inbound until flow_dispatch, the dispatcher until
 * ROUTING is over, the outbound while OPENING, the flow itself afterwards. A
 * flow belongs to one loop; it may move once, in ROUTING, and only if its
 * inbound stream can.
 */
#ifndef GARENNE_FLOW_FLOW_H
#define GARENNE_FLOW_FLOW_H

#include "base/addr.h"
#include "conf/value.h"
#include "flow/relay.h"
#include "net/dgram.h"
#include "net/stream.h"

struct balancer;
struct core;
struct fan;
struct outbound;
struct flow;
struct conf_rule;
struct sniff_attrs;

enum flow_state {
	FLOW_NEW = 0,
	FLOW_SNIFFING,
	FLOW_ROUTING,
	FLOW_OPENING,
	FLOW_RELAYING,
	FLOW_ENDED,
};

/* Where a flow came into this process: freedom's built-in rules depend on it. */
enum flow_origin {
	FLOW_FROM_LOCAL = 0, /* socks, http, tunnel, classic bridge: our own users */
	FLOW_FROM_SERVER,    /* vless, shadowsocks: users of a server */
	FLOW_FROM_REVERSE,   /* VLESS reverse */
};

/* The inbound's ear. Called where the inbound's side lives, also when the flow goes on in another
 * loop and the side could not move with it (ferry.h): the flow itself is out of reach here. */
struct flow_hook {
	/* Told once, before bytes move, whether the far side answered: @err 0 or -ERR_*. May write an
	 * answer to *@in (NULL for UDP); must not close it. After a failure it may take it away (then
	 * NULL), to end the connection in its own way. */
	void (*verdict)(struct flow_hook *h, struct stream **in, int err);
	/* The flow is over and its inbound side closed; @h may be freed. Optional. */
	void (*ended)(struct flow_hook *h, struct loop *l);
	/* Of a flow with @traced: what was decided or tried on the way, here or further on; before the
	 * verdict. Optional. */
	void (*line)(struct flow_hook *h, struct stream *in, const char *text);
};

/* Instead of an inbound: somebody who wants the outbound's stream for itself, as a bridge its
 * carrier. Told once; the flow has ended then. */
struct flow_taker {
	/* Gives @out, or NULL with @err and words (valid during the call, may be NULL). */
	void (*taken)(struct flow_taker *t, struct stream *out, int err, const char *why);
};

/* What an outbound leaves while OPENING, so that the flow can be given up. */
struct flow_opening {
	void (*cancel)(struct flow_opening *o);
};

struct flow {
	uint64_t id;
	enum flow_state state;
	struct loop *loop;
	struct core *core;
	struct list all; /* in the loop's list of live flows */

	/* Filled by the inbound; strings live as long as the core. */
	uint8_t net; /* CONF_TCP or CONF_UDP */
	enum flow_origin origin;
	const char *in_tag;
	const char *user;	/* email, or "" */
	uint32_t level;		/* policy */
	uint16_t vless_route;
	struct ipport source;	/* family 0: unknown */
	struct ip twin;		/* the originator's address of the other family; 0: unknown */
	struct ipport local;
	struct addr target;	/* what will be dialled */
	struct addr *asked;	/* the name that @target had before its outbound wanted an address;
				 * owned, NULL: nothing was changed (target.h) */
	const struct conf_sniff *sniff; /* NULL: no */
	struct stream *in;	/* TCP */
	struct dgram *in_dgram; /* UDP */
	struct bufq early;	/* bytes of f->in already read */
	bool in_half_close;	/* the client understands half-close, as far as f->in can carry it */
	struct flow_hook *hook; /* NULL: none */
	struct flow_taker *taker; /* then there is neither in nor in_dgram */
	bool traced;		/* the hook wants to hear each step */
	bool own_query;		/* of our resolver: nothing on the way may ask it */
	bool registers;		/* a carrier of VLESS reverse, not a visitor */
	bool of_tun;		/* its packets came out of a TUN: perhaps our own */
	const struct outbound *came_by; /* its carrier was opened by this outbound; NULL: none */

	/* Found by the dispatcher. */
	char *seen_name;	  /* sniffed name, for rules only (routeOnly); owned, or NULL */
	const char *protocol;	  /* sniffed or known: "tls", "http1", ...; "" */
	struct sniff_attrs *attrs; /* HTTP head for rules, or NULL */
	struct outbound *out; /* set before flow_dispatch: forced, no rule is asked */
	bool forced;
	struct ipport first; /* UDP: @target before anybody changed it; family 0: a name */
	const struct conf_rule *rule; /* NULL: default */
	struct balancer *balancer;    /* that chose @out; NULL: none did */
	struct outbound *tried[2];    /* members that did not reach their server */
	unsigned n_tried;
	unsigned hops;

	struct defer start;
	struct flow_opening *opening;
	struct relay relay;
	struct relay_user on_relay;
	struct dgram *out_dgram;
	struct dgram_user on_in_dgram, on_out_dgram;
	struct fan *fan; /* where datagrams for others go; NULL: there were none */
	struct timer idle; /* UDP */
	uint64_t up, down; /* bytes, of UDP; TCP's are in the relay */
	uint64_t started_ms;
	struct garbage garbage;
};

/** A new flow on @l, in state NEW. Gives; NULL when memory or the flow limit is out. */
struct flow *flow_new(struct core *c, struct loop *l, unsigned net);
/** Routes and opens the flow. Takes @f and all it holds. Never calls back from inside. */
void flow_dispatch(struct flow *f);
/**
 * The outbound has @out ready: verdict, then relay. Takes @out. @out_half_close: the far side
 * understands half-close, as far as @out can carry it. On the flow's own loop.
 */
void flow_connected(struct flow *f, struct stream *out, bool out_half_close);
/** The same for UDP. */
void flow_connected_dgram(struct flow *f, struct dgram *out);
/** For fan.h: an answer to the association that came by another flow. Takes @pkt. */
void flow_answer(struct flow *f, const struct addr *party, struct buf *pkt);
/** The outbound gives up; @why may be NULL. Closes the inbound side. */
void flow_failed(struct flow *f, int err, const char *why);
/** A flow of echo exchanges: a UDP flow to port 0 of a host. */
bool flow_is_echo(const struct flow *f);
/** The outbound's far end does not understand echo exchanges: the flow ends, and the log says so
 * once for each outbound. */
void flow_cannot_echo(struct flow *f);
/** The outbound keeps the inbound's stream for itself (a portal its carrier): gives it, with the
 * bytes already read in @early. The flow ends. */
struct stream *flow_take_in(struct flow *f, struct bufq *early);
/** Ends a flow in whatever state, as when the program stops or a user is removed. */
void flow_abort(struct flow *f, int err);

#endif
