/*
 * Shadowsocks 2022 packets (SIP022 3.2 and 4, identity headers SIP023).
 *
 * With AES, H = session id (8) | packet id (8):
 *
 *     client  E(K0, H) | identity header 16 each | seal(body)
 *     server  E(Kn, H) |                           seal(body)
 *
 * one subkey per session, nonce = H bytes 4..15. With ChaCha, H leads the body:
 *
 *     nonce 24 | XChaCha20-Poly1305(key, H | body)
 *
 *     body of a client  u8 0 | u64 Unix time | u16 P | P padding | type-first target | payload
 *     body of a server  u8 1 | u64 Unix time | client session id | u16 P | P padding
 *                       | type-first source | payload
 *
 * A packet id counts from 0 within its session and is never used again, so a
 * session is never resumed: a new object takes a new random session id.
 *
 * Client: one ssudp_client per local association. It knows the server's current
 * and previous session (a server that restarts draws a new id).
 *
 * Server: one ssudp_server per listener and thread finds session id and user
 * (ssudp_head_open); the caller looks the session up by both, or makes one on
 * trial; ssudp_session_open judges the rest. Only after that succeeded a new
 * session is kept, and the sender's address becomes the session's: strangers can
 * neither create sessions nor move them. A packet that fails is dropped silently.
 *
 * Order of checks: header, user, window, tag, type, time, padding, address; then
 * the id is marked in the window.
 */
#ifndef GARENNE_PROTO_SSUDP_H
#define GARENNE_PROTO_SSUDP_H

#include "base/addr.h"
#include "proto/ss2022.h"
#include "proto/sswindow.h"

enum {
	SSUDP_NONCE = 24,	 /* random bytes that sealing with ChaCha wants */
	SSUDP_FORGET_MS = 60000, /* how long a server's session must be silent to make room */
};

struct ssudp_packet {
	struct addr addr; /* target, or source of a reply */
	struct span payload;
	uint16_t padding;
};

struct ssudp_client;

/** Copies @keys. @session: random. Gives, or NULL. */
struct ssudp_client *ssudp_client_new(const struct ss_chain *keys, uint64_t session);
/** Wipes the keys. Takes NULL too. */
void ssudp_client_free(struct ssudp_client *c);
/** Bytes of a sealed packet beyond its payload. */
size_t ssudp_client_overhead(const struct ssudp_client *c, const struct addr *target,
			     uint16_t padding);
/**
 * Seals @pkt to its target. @nonce: SSUDP_NONCE fresh random bytes, looked at with
 * ChaCha only. 0; -ERR_LIMIT; -ERR_MALFORMED: no target; -ERR_SYS.
 */
int ssudp_client_seal(struct ssudp_client *c, struct wr *out, const struct ssudp_packet *pkt,
		      const uint8_t *nonce, uint64_t unix_s);
/**
 * Opens a reply of @n bytes in place; the payload borrows from @data. 0; -ERR_AUTH
 * (bad tag, or meant for another session of ours); -ERR_REPLAY; -ERR_CLOCK and the skew in
 * *@skew (may be NULL); -ERR_MALFORMED; -ERR_LIMIT: a third server session within
 * SSUDP_FORGET_MS; -ERR_NOMEM.
 */
int ssudp_client_open(struct ssudp_client *c, struct ssudp_packet *out, uint8_t *data, size_t n,
		      const struct ss2022_time *now, int64_t *skew);

struct ssudp_server;
struct ssudp_session;

/* What leads to a session. */
struct ssudp_head {
	uint64_t session; /* the client's: together with @user it names the session */
	uint64_t packet;
	int user;
	const struct ss_key *key; /* borrowed from the users */
	struct span body;	  /* inside the packet; with ChaCha already opened */
};

/** Copies @s but borrows its users. Gives, or NULL. */
struct ssudp_server *ssudp_server_new(const struct ss2022_server *s);
/** Takes NULL too. */
void ssudp_server_free(struct ssudp_server *s);
/** 0; -ERR_AUTH: unknown user, with ChaCha a bad tag; -ERR_MALFORMED: too short. Writes into
 * @data with ChaCha only. */
int ssudp_head_open(struct ssudp_server *s, struct ssudp_head *out, uint8_t *data, size_t n);

/** A session for the client that sent @head; @own: a random id for the way back. Gives, or NULL.
 * Borrows @s and its users for its life. */
struct ssudp_session *ssudp_session_new(struct ssudp_server *s, const struct ssudp_head *head,
					uint64_t own);
/** Wipes the keys. Takes NULL too. */
void ssudp_session_free(struct ssudp_session *s);
/**
 * Judges and opens the body of @head's packet, in place at @data, the start of the
 * packet as given to ssudp_head_open. 0; -ERR_AUTH (also: @head belongs to another session);
 * -ERR_REPLAY; -ERR_CLOCK and *@skew (may be NULL); -ERR_MALFORMED.
 */
int ssudp_session_open(struct ssudp_session *s, struct ssudp_packet *out,
		       const struct ssudp_head *head, uint8_t *data, uint64_t unix_s,
		       int64_t *skew);
size_t ssudp_session_overhead(const struct ssudp_session *s, const struct addr *source,
			      uint16_t padding);
/** Seals a reply; as ssudp_client_seal. */
int ssudp_session_seal(struct ssudp_session *s, struct wr *out, const struct ssudp_packet *pkt,
		       const uint8_t *nonce, uint64_t unix_s);

#endif
