/*
 * Inside of the portal: shared by portal.c (the outbound, who registers),
 * portal_carrier.c (connections of bridges) and portal_visitor.c (flows on their
 * way to one). Nobody else includes it.
 */
#ifndef GARENNE_PROXY_PORTAL_INT_H
#define GARENNE_PROXY_PORTAL_INT_H

#include <stdatomic.h>

#include "proto/reversectl.h"
#include "proxy/control.h"
#include "proxy/mux.h"
#include "proxy/portal.h"

enum portal_state {
	PORTAL_NEVER = 0,
	PORTAL_UP,
	PORTAL_LOST,
};

enum { PORTAL_PEER_TEXT = 128 };

struct portal {
	struct outbound o;
	const struct conf_portal *conf; /* NULL: VLESS */
	struct list carriers;
	size_t n_carriers;
	atomic_int live;
	enum reversectl_name name; /* the one that bridges here understood last */
	struct list held;
	size_t n_held;

	enum portal_state state;
	uint64_t since_ms;
	char last_from[PORTAL_PEER_TEXT]; /* of the last carrier */
	char last_error[160];
	bool told;		/* the present state was reported to a visitor's log */
	char stray[80];		/* another domain that somebody tried to register here */
	unsigned strays;
};

struct portal_carrier {
	struct portal *p;
	struct list node;
	struct mux *mux;
	struct mux_user on_mux;
	struct control *control;
	struct control_user on_control;
	bool draining;
	struct list pending; /* visitors that wait for the far side's verdict */
	char from[PORTAL_PEER_TEXT];
	uint64_t since_ms;
	struct timer idle; /* after draining */
	struct garbage garbage;
};

/* portal.c */
void portal_set_state(struct portal *p, enum portal_state st);

/* portal_carrier.c */
/** Takes @s and @early: the connection of a bridge at @from that proved to be @user. */
void portal_carrier_start(struct portal *p, struct stream *s, struct bufq *early, const char *from,
			  const char *user);
/** For @f: few sessions and little waiting to leave; not one that has fallen silent, if there is
 * another, and for a ping one that carries pings. NULL when there is none at all. */
struct portal_carrier *portal_carrier_pick(struct portal *p, const struct flow *f);
/** After a session was opened on @c: it drains when it has carried enough. */
void portal_carrier_used(struct portal_carrier *c);
/** Asks all of them whether they live, and believes those dead that do not answer. */
void portal_carrier_check_all(struct portal *p);
/** Each as an object at the end of @list. */
void portal_carrier_describe_all(struct portal *p, cJSON *list);
/** The program ends. */
void portal_carrier_close_all(struct portal *p);

/* portal_visitor.c */
/** Takes @f: gives it a session, holds it for a moment, or says why there is none. */
void portal_visitor_open(struct portal *p, struct flow *f);
/** A carrier has come: those who were held go on. */
void portal_visitor_serve_held(struct portal *p);
/** Their carrier has died: each of @visitors goes to another or is held. */
void portal_visitor_move_all(struct list *visitors);

#endif
