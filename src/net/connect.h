/*
 * Making connections: a host or a unix path in, a connected stream out.
 *
 * A name is resolved, and its addresses are tried in the manner of Happy
 * Eyeballs (RFC 8305): families alternate, the next address starts when the one
 * before has failed or has been silent for a while, the first to answer wins.
 * `happyEyeballs` of the options is obeyed if it has a delay; off means our defaults.
 * One try is bounded in time as a whole, resolving included. A refusal is final
 * at once unless more tries are asked for: whoever waits shall hear the truth.
 */
#ifndef GARENNE_NET_CONNECT_H
#define GARENNE_NET_CONNECT_H

#include "net/resolve.h"
#include "net/sock.h"
#include "net/stream.h"

struct connect;

enum {
	CONNECT_TIMEOUT_MS = 16000, /* as Xray */
	CONNECT_STAGGER_MS = 250,   /* RFC 8305, section 5 */
	CONNECT_PARALLEL = 4,	    /* addresses tried at the same time, at most */
	CONNECT_TRIES_XRAY = 5,	    /* tries of Xray's freedom outbound */
	CONNECT_PAUSE_MS = 100,	    /* before the second try; 200 before the third ... */
};

/* A say in which addresses may be dialled: those of a name are known only when it is resolved. */
struct connect_gate {
	bool (*may)(struct connect_gate *g, const struct ipport *to);
};

struct connect_req {
	struct addr to;
	const char *path; /* not NULL: a unix socket, see sock_unix.h; @to is unused */
	const struct conf_sockopt *opts; /* NULL: defaults; borrowed until the end */
	struct ip local;		 /* sendThrough; family 0: any */
	enum conf_strategy strategy;
	uint32_t timeout_ms; /* for one try; 0: 16000 */
	uint8_t tries;	     /* 0: 1 */
	/* NULL: all may; borrowed until the end. When it lets no address pass: -ERR_BLOCKED. */
	struct connect_gate *gate;
};

struct connect_result {
	int err;	       /* 0, -ERR_REFUSED, -ERR_UNREACH, -ERR_TIMEOUT, -ERR_RESOLVE ... */
	struct stream *stream; /* given on success: a stream_tcp */
	struct ipport local, remote;
	const char *why; /* on failure: "dial tcp 127.0.0.1:1: connect: connection refused" */
};

struct connect_user {
	/* From the loop, never from inside connect_start; exactly once unless cancelled. @c is
	 * gone. Takes the stream; borrows @res for the call. */
	void (*on_connect)(struct connect_user *u, struct connect *c,
			   const struct connect_result *res);
};

/** Copies @req. Borrows @user and, for names only, @r (may be NULL otherwise). Gives; NULL when
 * memory is out. */
struct connect *connect_start(struct loop *l, struct resolver *r, const struct connect_req *req,
			      struct connect_user *user);
/** Takes NULL too; nothing comes any more. */
void connect_cancel(struct connect *c);

#endif
