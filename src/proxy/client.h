/*
 * The way of a flow to a proxy server: dial it, hold the conversation that its
 * protocol begins with, hand the stream on. While that is going on it is what
 * the flow is waiting for; it can be given up at any time, and a failure in any
 * step fails the flow.
 *
 * Embedded in the protocol's own object, which is allocated for one flow and
 * freed by client when all is over (ops->free).
 */
#ifndef GARENNE_PROXY_CLIENT_H
#define GARENNE_PROXY_CLIENT_H

#include "flow/dialer.h"
#include "proxy/intake.h"

struct client;

struct client_ops {
	/* Optional: the first words, by intake_say. */
	void (*begin)(struct client *c, struct intake *k);
	/* As of struct intake_user. NULL: there is no conversation. */
	ssize_t (*decode)(struct client *c, struct intake *k, struct span in);
	/* Takes @s; ends the opening of @f. What is left of @rest is freed. */
	void (*done)(struct client *c, struct flow *f, struct stream *s, struct bufq *rest);
	/* Frees the memory around @c; nothing refers to it any more. */
	void (*free)(struct client *c);
};

struct client {
	const struct client_ops *ops;
	struct flow *f;
	const struct addr *server;
	struct dial *dial;
	struct dial_user on_dialed;
	struct intake intake;
	struct intake_user on_intake;
	struct flow_opening opening;
	struct garbage garbage;
};

/** Takes @c, zeroed, and @f on its loop. */
void client_start(struct client *c, const struct client_ops *ops, struct dialer *d,
		  const struct addr *server, struct flow *f);
/** The same with a connection to @server, @s (takes), that is there already. */
void client_start_on(struct client *c, const struct client_ops *ops, struct stream *s,
		     const struct addr *server, struct flow *f);

#endif
