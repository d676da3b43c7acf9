/*
 * Which program owns the socket at the other end of a local connection. Linux
 * only, by /proc; reads files and so is asked only when a rule wants it.
 */
#ifndef GARENNE_ROUTE_PROCINFO_H
#define GARENNE_ROUTE_PROCINFO_H

#include <limits.h>
#include <stdbool.h>

#include "base/addr.h"
#include "route/router.h"

struct procinfo {
	struct route_process process; /* its path is @path */
	char path[PATH_MAX];
};

/**
 * Looks for the socket that is bound to @source, connected or not; @network is
 * CONF_TCP or CONF_UDP. Looks through the descriptors of all processes that we
 * may look into: milliseconds on a busy host. 0, -ERR_EOF when nobody here has
 * it, -ERR_SYS.
 */
int procinfo_find(struct procinfo *out, unsigned network, const struct ipport *source);

/** Path of our own program, to be freed; NULL when unknown. */
char *procinfo_self(void);

#endif
