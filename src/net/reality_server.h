/*
 * The server's side of REALITY: one connection between a client and the target
 * until it is known whose it is.
 *
 *   CONNECTING  to the target; the client is not read yet
 *   LISTENING   to the client; every byte goes on to the target as it comes
 *   MIRRORING   the client is ours: the target's answer is read for its shape
 *   FINISHING   our answer is out in that shape; the client's Finished is awaited
 *
 * It ends in one of three ways: a TLS stream for one of ours, the two
 * connections for whoever is not (they are to be joined: what the target says
 * is the answer), or nothing when one of them could not be had. Strangers
 * never see a byte of our making. That goes as far as ours of whom the target's
 * answer cannot be mirrored: they are strangers then, with a line in the log.
 */
#ifndef GARENNE_NET_REALITY_SERVER_H
#define GARENNE_NET_REALITY_SERVER_H

#include "base/addr.h"
#include "conf/reality.h"
#include "net/stream.h"

struct reality_accept;
struct reality_server;
struct resolver;
struct tls_info;

enum {
	REALITY_HEARD_MAX = 20480, /* bytes in which a ClientHello must end */
};

/* Given to the user; what is not of its kind is NULL. */
struct reality_result {
	/* one of ours: given, without user and interest; @info is valid during the call */
	struct stream *ours;
	const struct tls_info *info;
	/* a stranger: both given likewise, to be joined; @early (taken) is for the target, and
	 * comes before what the client says next */
	struct stream *client, *target;
	struct bufq *early;
	/* neither: both connections are closed */
	int err;
	const char *why;
};

struct reality_user {
	/* Once, from the loop; the handle is gone. */
	void (*on_done)(struct reality_user *u, const struct reality_result *res);
};

struct reality_peer {
	struct ipport source, local;
	struct resolver *resolver; /* for a target with a name; borrowed until the end */
};

/** Borrows @c. Gives, or NULL and the cause in @why[NET_WHY_MAX]. */
struct reality_server *reality_server_new(const struct conf_reality_server *c, char *why);
/** Nothing may be under way. Takes NULL too. */
void reality_server_free(struct reality_server *rs);
/** The short ids of @c count from now on. Borrows it; no loop runs during the call. */
void reality_server_renew(struct reality_server *rs, const struct conf_reality_server *c);

/** Lets @l find out what the target sends after handshakes (reality_probe.h); ends with
 * reality_server_unwatch, in the same thread. Borrows @r until then. */
void reality_server_watch(struct reality_server *rs, struct loop *l, struct resolver *r);
void reality_server_unwatch(struct reality_server *rs);

/** Takes @client and @early (its bytes that have been read already; may be NULL). Gives, or NULL
 * when memory is out; then @client is closed. */
struct reality_accept *reality_accept_start(struct reality_server *rs, struct stream *client,
					    struct bufq *early, const struct reality_peer *peer,
					    struct reality_user *user);
/** Time or room is up: calls back from inside, with a stranger where that is possible. */
void reality_accept_yield(struct reality_accept *a, int err);
/** Closes everything with @err and does not call back. */
void reality_accept_cancel(struct reality_accept *a, int err);

#endif
