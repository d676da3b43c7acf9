/*
 * Unix stream sockets by the names that Xray's configuration uses:
 *
 *   /run/x.sock         a file; made by listening, removed at the end
 *   /run/x.sock,0666    the same with these permissions
 *   @name               Linux' abstract name
 *   @@name              the same, filled up with zeros to the full length (HAProxy's habit)
 *
 * A file that a dead process left is taken over; one on which somebody still
 * listens is not. No `sockopt` has a meaning here.
 */
#ifndef GARENNE_NET_SOCK_UNIX_H
#define GARENNE_NET_SOCK_UNIX_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "net/sock.h"

struct sock_unix {
	struct sockaddr_un sa;
	socklen_t len;
	int mode; /* permissions, -1: as umask has it */
};

/* The file of a listening socket, to be removed by whoever made it. */
struct sock_unix_file {
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "" when there is none */
	dev_t dev;
	ino_t ino;
};

/** True for a text that names a unix socket rather than a host. */
bool sock_unix_is(const char *text);
/** 0, or -ERR_MALFORMED: no name, too long, bad permissions. */
int sock_unix_parse(struct sock_unix *out, const char *text);
/** A listening socket; fills @file. Gives the descriptor, or -ERR_* and @why. */
int sock_unix_listen(const char *text, struct sock_unix_file *file, char why[NET_WHY_MAX]);
/** Removes the file if it is still the one that sock_unix_listen made. */
void sock_unix_remove(struct sock_unix_file *file);
/** An unconnected socket. Gives the descriptor, or -ERR_* and *@f. */
int sock_unix_dial(struct sock_fail *f);

#endif
