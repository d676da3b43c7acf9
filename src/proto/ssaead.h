/*
 * Classic AEAD Shadowsocks (SIP004): how streams begin, and packets.
 *
 *     stream  salt | chunks; the client's first plaintext is the target's
 *             type-first address, payload follows directly
 *     packet  salt | seal(type-first address | payload), nonce zero
 *
 * There is no identity header: a server with several users tries the key of each
 * on the first item. Users may have different methods, so even the length of
 * the salt is known only then. Nothing carries a time; a filter of salts
 * without a lifetime catches replays as far back as its memory goes.
 */
#ifndef GARENNE_PROTO_SSAEAD_H
#define GARENNE_PROTO_SSAEAD_H

#include "base/addr.h"
#include "proto/ssreplay.h"
#include "proto/ssstream.h"

struct ssaead_user {
	const struct ss_method *method; /* classic */
	struct ss_key key;
};

/** Bytes that a server reads before it looks for the user. Shorter than any legal request. */
size_t ssaead_head_len(const struct ssaead_user *users, size_t n);
/**
 * Finds the user whose key opens the first length in @in (ssaead_head_len bytes or
 * more). Returns how many bytes were consumed, salt and length, and @r expects
 * the first data; -ERR_AUTH: nobody; -ERR_MALFORMED; -ERR_REPLAY, -ERR_LIMIT:
 * @replay (may be NULL); -ERR_NOMEM. The caller finishes @r, also after a failure.
 */
ssize_t ssaead_head_open(struct ss_reader *r, size_t *user, const struct ssaead_user *users,
			 size_t n, struct span in, struct ss_replay *replay, uint64_t mono_ms);

/**
 * Writes the fresh @salt, and a first chunk with @target (its kind ADDR_NONE in a
 * response) and @payload, as much as fits one chunk; leaves @w ready. Returns how
 * many bytes of payload were taken; -ERR_LIMIT: no room for salt and address;
 * -ERR_NOMEM, -ERR_SYS. The caller finishes @w, also after a failure.
 */
ssize_t ssaead_start(struct wr *out, struct ss_writer *w, const struct ssaead_user *user,
		     const uint8_t *salt, const struct addr *target, struct span payload);

/* Packets: ciphers that are re-keyed for each, so that no packet allocates one. */
struct ssaead_packets;

struct ssaead_packet {
	size_t user;
	struct addr addr; /* target, or where a reply comes from */
	struct span payload;
};

/** Copies @n users (at least 1). Gives, or NULL. */
struct ssaead_packets *ssaead_packets_new(const struct ssaead_user *users, size_t n);
/** Wipes the keys. Takes NULL too. */
void ssaead_packets_free(struct ssaead_packets *p);
/** Bytes of a sealed packet beyond its payload. */
size_t ssaead_packet_overhead(const struct ssaead_packets *p, size_t user, const struct addr *addr);
/** 0, -ERR_LIMIT, -ERR_MALFORMED: @addr is none, -ERR_NOMEM, -ERR_SYS. @salt: fresh. */
int ssaead_packet_seal(struct ssaead_packets *p, struct wr *out, size_t user, const uint8_t *salt,
		       const struct addr *addr, struct span payload);
/**
 * Opens @in into @room (at least in.n bytes, apart from it), from where the
 * payload borrows. 0, -ERR_AUTH: no user's, -ERR_MALFORMED, -ERR_NOMEM.
 */
int ssaead_packet_open(struct ssaead_packets *p, struct ssaead_packet *out, struct span in,
		       uint8_t *room);

#endif
