/*
 * The control socket: a unix socket that answers questions about the running
 * program. One line of JSON in, one JSON value out, then the connection ends.
 *
 *   {"do": "status"}             see status.h
 *   {"do": "flows"}
 *   {"do": "why", "id": 17}
 *   {"do": "trace", ...}         see tracer.h
 *   {"do": "ping", ...}          see pinger.h
 *   {"do": "reload"}             see reload.h; with "name" and "text": this, not its own files
 *
 * Only the user that runs the program, and root, may connect: the socket's
 * permissions say so, and the kernel's word about the peer is checked as well.
 */
#ifndef GARENNE_APP_CTLSOCK_H
#define GARENNE_APP_CTLSOCK_H

#include "app/status.h"

struct ctlsock;
struct reloader;

/** Listens on the first worker, before the loops run. Borrows all; @r may be NULL. Gives; NULL when
 * it is switched off or cannot be (a line is logged, the program works without). */
struct ctlsock *ctlsock_start(const struct status_view *v, struct reloader *r,
			      const atomic_bool *stopping);
/** Listens no more; on the first worker. What is under way is ended with the loop. */
void ctlsock_stop(struct ctlsock *c);
/** After the loops. Takes NULL too. */
void ctlsock_free(struct ctlsock *c);

#endif
