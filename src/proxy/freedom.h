/* What the parts of freedom share. Private to out_freedom.c, freedom_udp.c, freedom_echo.c. */
#ifndef GARENNE_PROXY_FREEDOM_H
#define GARENNE_PROXY_FREEDOM_H

#include "flow/core.h"
#include "net/connect.h"
#include "flow/final_rules.h"

struct dialer;

/* The final rules for packets, which have nobody to be swallowed for. */
struct freedom_gate {
	struct connect_gate gate;
	const struct final_rules *rules;
	enum flow_origin origin;
};

struct out_freedom {
	struct outbound o;
	const struct conf_outbound *conf;
	struct final_rules *rules;
	struct dialer *dialer; /* when another outbound or a layer of security lies between; or NULL */
	struct freedom_gate packets[3]; /* by origin */
};

/** Where a packet or connection for @to really goes. */
struct addr freedom_redirect(const struct out_freedom *o, const struct addr *to);
/** How names are resolved for @f (NULL: for users' flows). */
enum conf_strategy freedom_strategy(const struct out_freedom *o, const struct flow *f);
/** True when redirect changes the host or the port of what it is given. */
static inline bool freedom_redirects(const struct out_freedom *o)
{
	const struct addr *r = &o->conf->freedom.redirect;

	return r->kind != ADDR_NONE || r->port != 0;
}

/** The way back of a map: how the far end calls the address @from that answered. */
struct addr freedom_unmap(const struct out_freedom *o, const struct addr *from);

/** Opens a UDP flow. */
void freedom_open_udp(struct out_freedom *o, struct flow *f);
/** Opens a UDP flow to port 0: echo exchanges. */
void freedom_open_echo(struct out_freedom *o, struct flow *f);

#endif
