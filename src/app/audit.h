/*
 * Looking at a hub of our own as a censor would: what its file gives away, and
 * what it answers to things that no client of ours says, beside what the site
 * behind it answers to the same.
 *
 *   REALITY  the reference is the target
 *   TLS      before the handshake is over: a bare OpenSSL server with the same
 *            certificate; after it: the fallback
 */
#ifndef GARENNE_APP_AUDIT_H
#define GARENNE_APP_AUDIT_H

#include "app/grades.h"
#include "app/reply.h"
#include "conf/conf.h"

struct audit {
	const struct conf_inbound *in;
	struct ipport hub;    /* where it is probed; port 0: not at all */
	struct ipport target; /* of REALITY; port 0: unknown */
	const char *name;     /* that a visitor asks for; "" for none */
	struct patience patience;
	struct reply *ours, *theirs; /* room for two answers; borrowed */
	struct grades g;
};

/** What can be told from the file alone. */
void audit_file(struct audit *a);
/** What can be told of the REALITY target by visiting it; sets @a->target. */
void audit_target(struct audit *a);
/** The probes. Their number. */
size_t audit_probe(struct audit *a);

#endif
