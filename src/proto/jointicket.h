/*
 * What hubs keep for a node that is to join: a ticket, which is the node's file
 * sealed with the secret of its token, and a mark that says that it was used.
 *
 *     ticket   "GJT" u8 1 | u64 expires | u8 length, node's name | u32 n | n bytes sealed
 *     mark     "GJM" u8 1 | u64 when | u64 expires | address (joinwire.h) | 32 bytes
 *              | u8 length, node's name
 *
 * Times are seconds since 1970. The 32 bytes of a mark are the SHA-256 of the
 * claim of whoever came first.
 *
 * From the secret of a token HKDF-SHA-256 (RFC 5869) derives, with no salt and the
 * texts below as info, the ticket's name and its key. The seal is
 * ChaCha20-Poly1305 with the node's name as associated data; its nonce is zero,
 * for a key seals one text only.
 */
#ifndef GARENNE_PROTO_JOINTICKET_H
#define GARENNE_PROTO_JOINTICKET_H

#include <sys/types.h>

#include "base/addr.h"
#include "proto/jointoken.h"

enum {
	JOINTICKET_ID = 16,
	JOINTICKET_ID_TEXT = 2 * JOINTICKET_ID + 1,
	JOINTICKET_CLAIM = 32,
	JOINTICKET_TAG = 16,
	JOINTICKET_SEALED_MAX = 1 << 20,
	JOINTICKET_MAX = JOINTICKET_SEALED_MAX + 64, /* of a ticket's file */
	JOINMARK_MAX = 4 + 8 + 8 + 1 + 16 + 32 + 1 + JOINTOKEN_NODE_MAX,
};

struct jointicket {
	uint64_t expires_s;
	char node[JOINTOKEN_NODE_MAX + 1];
	struct span sealed;
};

struct joinmark {
	uint64_t when_s, expires_s;
	struct ip from; /* family 0: not known */
	uint8_t claim[JOINTICKET_CLAIM]; /* hashed */
	char node[JOINTOKEN_NODE_MAX + 1];
};

/** Bytes consumed, 0 when more are needed, -ERR_UNSUPPORTED for another version, -ERR_MALFORMED.
 * @out borrows from @in. */
ssize_t jointicket_decode(struct jointicket *out, struct span in);
/** 0, -ERR_LIMIT or -ERR_MALFORMED. */
int jointicket_encode(struct wr *out, const struct jointicket *in);
/** The same; a mark borrows nothing. */
ssize_t joinmark_decode(struct joinmark *out, struct span in);
int joinmark_encode(struct wr *out, const struct joinmark *in);

/** A ticket's name from the secret of a token. 0 or -ERR_NOMEM. */
int jointicket_id(uint8_t out[JOINTICKET_ID], const uint8_t secret[JOINTOKEN_SECRET]);
/** In hexadecimal; returns @out. */
char *jointicket_id_text(const uint8_t id[JOINTICKET_ID], char out[JOINTICKET_ID_TEXT]);
/** Seals @text, of which each secret may have one: @text.n + JOINTICKET_TAG bytes to @out. 0,
 * -ERR_NOMEM or -ERR_SYS. */
int jointicket_seal(uint8_t *out, const uint8_t secret[JOINTOKEN_SECRET], const char *node,
		    struct span text);
/** Opens: @sealed.n - JOINTICKET_TAG bytes to @out. 0, -ERR_AUTH, -ERR_NOMEM or -ERR_SYS. */
int jointicket_open(uint8_t *out, const uint8_t secret[JOINTOKEN_SECRET], const char *node,
		    struct span sealed);

#endif
