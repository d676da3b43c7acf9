/*
 * Accepting connections, TCP or unix.
 *
 * A turn of the loop accepts a bounded number, so a flood of newcomers does not
 * starve those who are already served. When descriptors run out the newcomers
 * are turned away (rather than left to hang), the listener rests for a moment,
 * and one line says so. What is not accepted waits in the kernel's queue.
 */
#ifndef GARENNE_NET_LISTEN_H
#define GARENNE_NET_LISTEN_H

#include "net/loop.h"
#include "net/sock.h"

struct listener;

struct listen_spec {
	struct ipport at; /* no address: all; port 0: any free one */
	const char *path; /* not NULL: a unix socket, see sock_unix.h; @at is unused */
	const struct conf_sockopt *opts; /* NULL: defaults; borrowed while the listener lives */
};

struct accepted {
	int fd;
	struct ipport peer;  /* family 0 on unix sockets */
	struct ipport local; /* what the peer connected to */
};

struct listener_user {
	/* Takes a->fd (non-blocking; options are set). May close @l. */
	void (*on_accept)(struct listener_user *u, struct listener *l, const struct accepted *a);
	/* Optional: may one more be accepted now? false puts the listener to sleep until
	 * listener_wake. */
	bool (*may_accept)(struct listener_user *u, struct listener *l);
};

/** Listens at once and accepts from the next turn. Borrows @user. Gives; NULL and @why on failure.
 */
struct listener *listener_new(struct loop *l, const struct listen_spec *spec,
			      struct listener_user *user, char why[NET_WHY_MAX]);
/** Accepts again, if may_accept said no. */
void listener_wake(struct listener *l);
/** Where it listens, with the real port; family 0 for unix sockets. */
struct ipport listener_at(const struct listener *l);
/** The address as configured, for messages: "127.0.0.1:80", ":80", "/run/x.sock". */
const char *listener_name(const struct listener *l);
/** Takes NULL too. Removes the file of a unix socket. Never calls back. */
void listener_close(struct listener *l);

#endif
