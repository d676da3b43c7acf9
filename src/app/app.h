/*
 * Owns everything that lives long: loops and their threads, resolvers, router,
 * outbounds, inbounds, bridges. Starts them in this order and stops them in the
 * reverse one.
 */
#ifndef GARENNE_APP_APP_H
#define GARENNE_APP_APP_H

#include "app/files.h"
#include "conf/conf.h"

/** Builds all, opens no socket. An exit code of cli.h; faults are printed. Borrows @c. */
int app_test(const struct conf *c);
/** Runs until a signal says stop. An exit code of cli.h. Borrows @c, and @f, from which it came and
 * may be read again. */
int app_run(const struct conf *c, const struct files *f);

struct core;
struct loop;

/* A command that uses outbounds for itself. */
struct app_visit {
	/* The loop is about to run: the visit ends when somebody calls loop_stop. */
	void (*begin)(struct app_visit *v, struct core *c, struct loop *l);
};

/** Builds @c, of which inbounds are not started, and runs @v on its one loop. An exit code of cli.h;
 * faults are printed. Borrows both. */
int app_visit(const struct conf *c, struct app_visit *v);

#endif
