/*
 * Mux.Cool: many sessions on one carrier.
 *
 * Roles: the mux client opens sessions, the mux server reaches the targets. With
 * a reverse proxy the client sits on the side that accepted the carrier.
 *
 * Sending. Each session has a short queue. Once per turn of the loop the
 * carrier's share is filled from these queues: sessions that have been quiet
 * go first, the others take turns (deficit round robin), so a keystroke does
 * not wait behind a download. What has left for the carrier is kept small.
 *
 * Receiving. Frames are parsed where they lie and handed to their session as
 * slices. A session whose reader is slow parks its bytes. Between our own
 * programs a credit window (proto/muxext.h) pauses the sender of that session
 * alone. A stock sender cannot be paused: when a session has parked its bound
 * and its reader has made progress lately, the whole carrier waits for it, as
 * with stock software; a reader that has stopped is reset alone.
 *
 * Liveness. When nothing was received for a while, a frame for a session that
 * does not exist is sent: every known implementation answers it with End. A
 * carrier that stays silent is dead, whatever TCP thinks. Whoever has reason to
 * doubt asks at once (mux_check) and has the answer sooner.
 */
#ifndef GARENNE_PROXY_MUX_H
#define GARENNE_PROXY_MUX_H

#include <cjson/cJSON.h>

#include "base/addr.h"
#include "net/dgram.h"
#include "net/stream.h"

struct mux;
struct mux_session;

enum mux_role {
	MUX_CLIENT = 0,
	MUX_SERVER,
};

/* What a New frame says. */
struct mux_request {
	uint8_t net; /* CONF_TCP or CONF_UDP */
	struct addr target;
	struct ipport source, local; /* family 0: not known, not sent */
	uint8_t source_net;	     /* CONF_*: of the connection that source belongs to */
	bool trace; /* each step at the far side is wanted; only our own programs tell */
};

enum { MUX_CHECK_MS = 1500 };

struct mux_config {
	enum mux_role role;
	bool addresses;	 /* New carries source and local address (VLESS reverse) */
	bool ours;	 /* client: the peer is known to be one of ours before it says so */
	bool xudp_single; /* one UDP session with id 0: no frames that its reader dislikes */
	bool udp_only;	  /* server: a TCP session ends the carrier, unless it is traced */
};

struct mux_user {
	/* Server only (a client refuses what its peer opens): a session was opened. Exactly one of
	 * @s, @d is set; takes it. */
	void (*on_session)(struct mux_user *u, struct mux *m, const struct mux_request *req,
			   struct stream *s, struct dgram *d);
	/* The carrier is gone; its sessions have been told. The mux frees itself afterwards. */
	void (*on_end)(struct mux_user *u, struct mux *m, int err, const char *why);
};

/** Takes @carrier and the bytes in @early (may be NULL). Gives; NULL (carrier closed) when
 * memory is out. */
struct mux *mux_new(struct stream *carrier, struct bufq *early, const struct mux_config *conf,
		    struct mux_user *user);
/** Ends the carrier and all sessions; does not call back. Takes NULL too. */
void mux_close(struct mux *m, int err);

/** Client: opens a session; the New frame leaves with the first bytes of this turn. Gives, or
 * NULL when ids or memory are out. */
struct stream *mux_open(struct mux *m, const struct mux_request *req);
struct dgram *mux_open_dgram(struct mux *m, const struct mux_request *req);

/* The far side's word on a session that mux_open gave: only our own programs say it. */
struct mux_verdict {
	/* @err 0 or -ERR_*, once. */
	void (*on_verdict)(struct mux_verdict *v, int err);
	/* Of a traced session, before that; the text is foreign and valid during the call. */
	void (*on_line)(struct mux_verdict *v, struct span text);
};
/** Datagrams longer than @max bytes are dropped: the peer would end the carrier over one. Not for
 * peers that are ours. */
void mux_limit_dgrams(struct mux *m, size_t max);
/** Client: asks to be told. False: this peer cannot tell. @v NULL takes it back. */
bool mux_ask_verdict(struct stream *session, struct mux_verdict *v);
/** Server: tells the client whether the target answered; nothing to peers that do not ask. */
void mux_give_verdict(struct stream *session, int err);
/** Server: one step of a traced session; longer texts are cut. */
void mux_give_line(struct stream *session, const char *text);

/**
 * The way to the peer may be gone, as after a change of the network: probes at once, and the
 * carrier ends unless something is heard within MUX_CHECK_MS. Peers that have never answered a
 * probe, and carriers that are slow but still move our bytes, are left to the ordinary rule.
 */
void mux_check(struct mux *m);
/** Asks for a sign of life; nothing follows from silence but mux_unanswered_ms. */
void mux_probe(struct mux *m);
/** How long a probe has been waiting for any sign of life; 0: none does, or nobody knows whether
 * this peer answers. */
uint64_t mux_unanswered_ms(const struct mux *m);

size_t mux_sessions(const struct mux *m);      /* live ones */
size_t mux_opened(const struct mux *m);	       /* in its life */
size_t mux_queued(const struct mux *m);	       /* bytes waiting to leave: choose another carrier */
bool mux_peer_is_ours(const struct mux *m);
bool mux_peer_echoes(const struct mux *m);     /* understands proto/echo.h */
uint32_t mux_rtt_ms(const struct mux *m);      /* 0: not measured yet */
uint64_t mux_last_heard_ms(const struct mux *m);
/** All of these as members of @into. */
void mux_describe(const struct mux *m, cJSON *into);

#endif
