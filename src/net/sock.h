/*
 * Sockets: making them, Xray's `sockopt` on them, binding, listening, and where
 * a redirected connection wanted to go. Every socket is non-blocking and
 * close-on-exec. Nothing here keeps state or touches a loop.
 *
 * A failed option is an error where ignoring it would send traffic another way
 * (mark, interface, tproxy, v6only); Xray ignores those too, and loops. Options
 * that only tune (fast open, congestion, keep-alive ...) are logged and skipped.
 *
 * Options are a struct conf_sockopt, which must outlive whatever is made with it;
 * one that is all zero, or NULL, means the defaults.
 *
 * Failures come as -ERR_* together with words in the form that users of Go
 * programs know: "listen tcp 127.0.0.1:7001: bind: address already in use".
 */
#ifndef GARENNE_NET_SOCK_H
#define GARENNE_NET_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "conf/stream.h"

/* Room for the text of any failure: a name of 255 bytes and the words round it. */
enum { NET_WHY_MAX = 400 };

enum sock_net {
	SOCK_NET_TCP = 1,
	SOCK_NET_UDP,
};

/* What failed: `op: words for sys`. */
struct sock_fail {
	const char *op; /* static text: "bind", "setsockopt SO_MARK" */
	int sys;	/* errno */
};

/** errno in Go's words ("connection refused") into @out; returns @out. */
char *sock_errno_text(int sys, char *out, size_t cap);
/** "@what: op: words" into @out; returns @out. */
char *sock_fail_text(const struct sock_fail *f, const char *what, char *out, size_t cap);

/** 0, or -ERR_UNSUPPORTED and @why when the values contradict each other. */
int sock_opts_check(const struct conf_sockopt *o, char why[NET_WHY_MAX]);

/**
 * A socket for dialling (TCP: ready for connect; UDP: ready for use) with @o (NULL: defaults)
 * applied.
 * @family 4 or 6; a UDP socket of family 6 also carries IPv4 unless @local says otherwise.
 * @local (NULL or family 0: any) is bound, with a port of its own for TCP only at connect.
 * Gives the descriptor, or -ERR_* and *@f.
 */
int sock_dial(enum sock_net net, int family, const struct ip *local, const struct conf_sockopt *o,
	      struct sock_fail *f);

/**
 * Options for a socket that somebody else made (a resolver's library): those of sock_dial.
 */
int sock_apply_dial(int fd, enum sock_net net, int family, const struct conf_sockopt *o,
		    struct sock_fail *f);

/**
 * A listening TCP socket, or a bound UDP socket that tells destinations. No address, 0.0.0.0 and ::
 * mean both families in one socket, unless v6only. The address is taken exclusively.
 * Gives the descriptor, or -ERR_* and @why.
 */
int sock_listen(enum sock_net net, const struct ipport *at, const struct conf_sockopt *o,
		char why[NET_WHY_MAX]);

/** The address of this end / of the other end; family 0 for unix sockets. 0 or -ERR_*. */
int sock_local(int fd, struct ipport *out);
int sock_peer(int fd, struct ipport *out);

/** Is @ip an address of this host? Asked by binding to it: only its own can be bound. */
bool sock_is_local(const struct ip *ip);

/** Where an accepted connection wanted to go before it was redirected: conntrack's answer, or this
 * end's own address for CONF_TPROXY_TPROXY. 0, or -ERR_UNSUPPORTED when it was not redirected. */
int sock_original_dst(int fd, enum conf_tproxy how, struct ipport *out);

/** Is there a route to the world for family 4 or 6? Sends nothing. */
bool sock_has_route(int family);

/** The error that ended a non-blocking connect, as errno; 0 when connected. */
int sock_error(int fd);

#endif
