/*
 * The control session of a reverse proxy's carrier, portal side: opened first,
 * beats every ten seconds, says DRAIN at the end. Its name differs between
 * programs; a bridge that does not know a name ends the session within seconds,
 * and the next name is tried.
 */
#ifndef GARENNE_PROXY_CONTROL_H
#define GARENNE_PROXY_CONTROL_H

#include "proto/reversectl.h"
#include "proxy/mux.h"

struct control;

struct control_user {
	/* A name has stood for a while: the bridge understands it. */
	void (*on_name)(struct control_user *u, enum reversectl_name name);
};

/** @first is tried first; with @find the others follow; @fixed, if not "", is the only one.
 * Gives, or NULL when memory is out: the carrier works without. Borrows @m. */
struct control *control_start(struct mux *m, struct loop *l, enum reversectl_name first, bool find,
			      const char *fixed, struct control_user *user);
/** The bridge shall open no further sessions here, and replace this carrier. Takes @c. */
void control_drain(struct control *c);
/** Takes @c, or NULL. */
void control_stop(struct control *c);

#endif
