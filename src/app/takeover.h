/*
 * Another configuration in place of the one that a program runs with, as far as conf/shape.h lets them
 * differ: all of it or nothing.
 */
#ifndef GARENNE_APP_TAKEOVER_H
#define GARENNE_APP_TAKEOVER_H

#include "base/list.h"
#include "flow/core.h"

struct inbound;

/* What was put in place, and from then on what that has replaced: it may still be referred to. */
struct takeover {
	struct list node; /* for whoever keeps it */
	struct core *core;
	struct conf *conf;
	struct router *router;
	struct list renewals;
	struct outbound **portals; /* new ones; the core's, once there */
	size_t n_portals;
	int err;
};

/** Puts @conf and @router, which was made of it, in place; takes both. @inbounds are those of the
 * first configuration. On the first worker; all loops pause. Gives, or NULL when memory was out: then
 * nothing has changed. */
struct takeover *takeover_make(struct core *core, struct inbound *const *inbounds, struct conf *conf,
			       struct router *router);
/** After everything that may refer to it, and after later ones. */
void takeover_free(struct takeover *t);

#endif
