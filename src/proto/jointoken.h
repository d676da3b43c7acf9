/*
 * The line that lets a new node fetch its file: how to reach the hubs that keep
 * it, and the secret that names and opens it (jointicket.h).
 *
 *     "garenne-join-1." base64url of:
 *
 *     u16 n | n bytes, below | first 4 bytes of SHA-256 over all before
 *
 *     32 bytes secret
 *     u8 length, node's name
 *     u8 number of hubs, for each:
 *         u8 security           0 REALITY, 1 TLS, 2 none
 *         address, port first (netaddr.h)
 *         16 bytes account      VLESS id, good for nothing but this
 *         REALITY: u8 length, server name | 32 bytes public key | 8 bytes short id
 *         TLS:     u8 length, server name | u8 1 and 32 bytes pin, or u8 0
 *
 * The length and the checksum are against hands, not against attackers.
 */
#ifndef GARENNE_PROTO_JOINTOKEN_H
#define GARENNE_PROTO_JOINTOKEN_H

#include <sys/types.h>

#include "base/addr.h"
#include "base/uuid.h"

enum {
	JOINTOKEN_SECRET = 32,
	JOINTOKEN_HUBS_MAX = 8,
	JOINTOKEN_NODE_MAX = 32,
	JOINTOKEN_KEY = 32,	 /* REALITY's public key */
	JOINTOKEN_SHORT_ID = 8,
	JOINTOKEN_PIN = 32,
	JOINTOKEN_MAX = 5120,	   /* bytes of the binary form */
	JOINTOKEN_TEXT_MAX = 7168, /* with NUL */
};

enum jointoken_security {
	JOINTOKEN_REALITY = 0,
	JOINTOKEN_TLS,
	JOINTOKEN_CLEAR,
};

struct jointoken_hub {
	enum jointoken_security security;
	struct addr address;
	struct uuid account;
	char server_name[ADDR_NAME_MAX + 1]; /* "" without security */
	uint8_t public_key[JOINTOKEN_KEY];
	uint8_t short_id[JOINTOKEN_SHORT_ID];
	bool pinned;
	uint8_t pin[JOINTOKEN_PIN]; /* SHA-256 of the certificate */
};

/* Secret; wipe it. */
struct jointoken {
	uint8_t secret[JOINTOKEN_SECRET];
	char node[JOINTOKEN_NODE_MAX + 1]; /* a label in lower case: fit to be a file's name */
	struct jointoken_hub hubs[JOINTOKEN_HUBS_MAX];
	size_t n_hubs; /* at least 1 */
};

/* What is wrong with a line. */
enum jointoken_fault {
	JOINTOKEN_GOOD = 0,
	JOINTOKEN_FOREIGN,   /* does not begin like a token */
	JOINTOKEN_VERSION,   /* a token of another version */
	JOINTOKEN_CHARACTER, /* one that no token has */
	JOINTOKEN_SHORT,     /* cut off */
	JOINTOKEN_LONG,	     /* something follows */
	JOINTOKEN_CHECKSUM,  /* changed on the way */
	JOINTOKEN_CONTENT,   /* whole, but not what any version of ours writes */
};

/** The binary form. Bytes consumed, 0 when more are needed, -ERR_MALFORMED, -ERR_AUTH: the checksum
 * is wrong, -ERR_NOMEM. @out is untouched but on success. */
ssize_t jointoken_decode(struct jointoken *out, struct span in);
/** 0; -ERR_LIMIT without room; -ERR_MALFORMED for what cannot be said; -ERR_NOMEM. */
int jointoken_encode(struct wr *out, const struct jointoken *in);

/** The line; blanks and line ends anywhere in it mean nothing. 0, or -ERR_MALFORMED and *@fault with
 * *@at the offset where it was noticed. */
int jointoken_parse(struct jointoken *out, struct span text, enum jointoken_fault *fault,
		    size_t *at);
/** The line with NUL, its length in characters returned, or as jointoken_encode. */
ssize_t jointoken_text(char out[JOINTOKEN_TEXT_MAX], const struct jointoken *in);

#endif
