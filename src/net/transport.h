/*
 * From a bare connection to what a proxy protocol can talk on: the security of
 * streamSettings, for listeners after an optional PROXY header.
 *
 *   server   lower stream -> [PROXY header] -> [TLS or REALITY] -> ready
 *   client   lower stream -> [TLS] -> ready
 *
 * Strangers may be slow: a handshake ends after TRANSPORT_DEADLINE_MS, and when
 * TRANSPORT_SLOTS of one listener are under way on a loop, a newcomer takes the
 * place of the oldest. What fails is logged here, rationed. Handshakes belong to
 * their loop and end with it. With REALITY a visitor whose time is up is no
 * failure: the target says what becomes of it (reality_server.h).
 *
 * One object per inbound or outbound, shared by all loops.
 */
#ifndef GARENNE_NET_TRANSPORT_H
#define GARENNE_NET_TRANSPORT_H

#include <stdbool.h>

#include "base/addr.h"
#include "conf/stream.h"
#include "net/stream.h"

struct resolver;
struct transport_client;
struct transport_dial;
struct transport_server;

enum {
	TRANSPORT_WHY_MAX = 256,
	TRANSPORT_DEADLINE_MS = 60000, /* as Xray */
	TRANSPORT_SLOTS = 4096,
	TRANSPORT_LOOPS_MAX = 64, /* loop ids are below */
};

struct transport_info {
	struct ipport source, local; /* as given to accept, or as a PROXY header said */
	const char *sni;	     /* lower case; "" without TLS */
	const char *alpn;	     /* "" when none was agreed */
	unsigned tls_version;	     /* 0x0304 for TLS 1.3; 0 without TLS */
	bool proxied;		     /* a PROXY header has replaced the addresses */
};

struct transport_user {
	/* Gives @s, without interest in events; or NULL, the reason and words for it, and the
	 * lower stream is closed. @info (NULL on failure) and @why are valid during the call. */
	void (*on_ready)(struct transport_user *u, struct stream *s,
			 const struct transport_info *info, int err, const char *why);
	/* In place of on_ready, with REALITY: a visitor who is to be joined with the target,
	 * byte for byte. Gives both streams; takes @early, which goes to the target first.
	 * NULL: both are closed. */
	void (*on_stranger)(struct transport_user *u, struct stream *client, struct stream *target,
			    struct bufq *early);
	struct resolver *resolver; /* with REALITY: for a target that has a name */
};

/** Borrows @c. Gives, or NULL and the cause in @why[TRANSPORT_WHY_MAX]. */
struct transport_server *transport_server_new(const struct conf_stream *c, char *why);
/** No handshake may be under way: the loops are over. Takes NULL too. */
void transport_server_free(struct transport_server *t);
/** Lets @l look for renewed certificate files and OCSP answers now and then, or after the target of
 * REALITY; @r resolves names, @opts are for sockets of TLS (both borrowed, may be NULL); ends with
 * transport_server_unwatch, in the same thread. */
void transport_server_watch(struct transport_server *t, struct loop *l, struct resolver *r,
			    const struct conf_sockopt *opts);
void transport_server_unwatch(struct transport_server *t);
/** What of @c may change while it runs counts from now on (conf/shape.h). Borrows it; no loop runs
 * during the call. */
void transport_server_renew(struct transport_server *t, const struct conf_stream *c);
/**
 * Takes @lower, on its loop. Calls back once: from inside when there is nothing
 * to do (no security, no PROXY header) or memory is out, else from the loop.
 */
void transport_server_accept(struct transport_server *t, struct stream *lower,
			     const struct ipport *source, const struct ipport *local,
			     struct transport_user *user);
/** Handshakes under way on the loop with this id. */
size_t transport_server_busy(const struct transport_server *t, unsigned loop_id);

/** Borrows @c. Gives, or NULL and the cause in @why[TRANSPORT_WHY_MAX]. */
struct transport_client *transport_client_new(const struct conf_stream *c, char *why);
void transport_client_free(struct transport_client *t);
/**
 * Takes @lower. @host: the server's name or address as it was dialled. Calls back
 * once, later, from the loop; source and local of the info are not set. Gives a
 * handle for transport_cancel, NULL when memory is out (@lower is closed, no call).
 */
struct transport_dial *transport_client_start(struct transport_client *t, struct stream *lower,
					      const char *host, struct transport_user *user);
/** Gives up without calling back. */
void transport_cancel(struct transport_dial *d);

#endif
