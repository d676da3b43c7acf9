/*
 * The two hellos of TLS (RFC 8446 sections 4.1.2 and 4.1.3), taken apart without
 * copying, and the first message of a connection put together from its records.
 *
 *   ClientHello  u8 1 | u24 length | u16 version | 32 random | u8 session id |
 *                u16 suites | u8 compressions | u16 extensions
 *   ServerHello  u8 2 | u24 length | u16 version | 32 random | u8 session id |
 *                u16 suite | u8 compression | u16 extensions
 *   extension    u16 type | u16 length | bytes
 *
 * Spans of the results lie in the bytes that were decoded. Only the framing is
 * judged when decoding, and that no extension comes twice; the bodies of
 * extensions are looked at by the functions that are asked for them.
 */
#ifndef GARENNE_PROTO_TLSHELLO_H
#define GARENNE_PROTO_TLSHELLO_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/span.h"
#include "crypto/kex.h" /* the groups */

/* Handshake messages, RFC 8446 section 4 and RFC 8879. */
enum tls_message {
	TLS_MSG_CLIENT_HELLO = 1,
	TLS_MSG_SERVER_HELLO = 2,
	TLS_MSG_NEW_SESSION_TICKET = 4,
	TLS_MSG_ENCRYPTED_EXTENSIONS = 8,
	TLS_MSG_CERTIFICATE = 11,
	TLS_MSG_CERTIFICATE_REQUEST = 13,
	TLS_MSG_CERTIFICATE_VERIFY = 15,
	TLS_MSG_FINISHED = 20,
	TLS_MSG_KEY_UPDATE = 24,
	TLS_MSG_COMPRESSED_CERTIFICATE = 25,
};

enum tls_extension {
	TLS_EXT_SERVER_NAME = 0,
	TLS_EXT_STATUS_REQUEST = 5,
	TLS_EXT_GROUPS = 10,
	TLS_EXT_SIGNATURES = 13,
	TLS_EXT_ALPN = 16,
	TLS_EXT_SCT = 18,
	TLS_EXT_PADDING = 21,
	TLS_EXT_COMPRESS_CERTIFICATE = 27,
	TLS_EXT_PRE_SHARED_KEY = 41,
	TLS_EXT_EARLY_DATA = 42,
	TLS_EXT_VERSIONS = 43,
	TLS_EXT_COOKIE = 44,
	TLS_EXT_KEY_SHARE = 51,
	TLS_EXT_ECH = 0xfe0d,
};

enum {
	TLS_MSG_HEADER_LEN = 4,
	TLS_RANDOM_LEN = 32,
	TLS_SESSION_ID_MAX = 32,
	TLS_VERSION_1_2 = 0x0303,
	TLS_VERSION_1_3 = 0x0304,
};

struct tlshello_client {
	struct span message; /* all of it, from its type on */
	uint16_t version;
	struct span random, session_id;
	struct span suites, compressions; /* suites: u16 each */
	struct span extensions;		  /* empty when there are none */
};

struct tlshello_server {
	struct span message;
	uint16_t legacy_version;
	uint16_t version; /* the one agreed on: supported_versions, else the legacy one */
	bool retry;	  /* a HelloRetryRequest: same form, one special random */
	struct span random, session_id;
	uint16_t suite;
	uint8_t compression;
	struct span extensions;
	uint16_t group;	   /* of key_share, 0 without */
	struct span share; /* empty in a HelloRetryRequest */
};

/**
 * A ClientHello message that begins at @in, with its header but without record
 * headers. Bytes consumed, 0 when more are needed, -ERR_MALFORMED.
 */
ssize_t tlshello_client_decode(struct tlshello_client *out, struct span in);
/** The same for a ServerHello or HelloRetryRequest. */
ssize_t tlshello_server_decode(struct tlshello_server *out, struct span in);

/** The body of the extension @type; false when it is not there. */
bool tlshello_extension(struct span extensions, uint16_t type, struct span *body);
/** Peels the next extension off; false at the end or, then r->bad is set, when it is malformed. */
bool tlshello_extension_next(struct rd *r, uint16_t *type, struct span *body);

/** The first host name of server_name, as spelt there: 0, -ERR_EOF without the extension or a
 * host name in it, -ERR_MALFORMED. */
int tlshello_sni(const struct tlshello_client *h, struct span *name);
/** True when TLS 1.3 is among supported_versions. */
bool tlshello_offers_13(const struct tlshello_client *h);
/** The share for @group; false when there is none or the extension is malformed. */
bool tlshello_share(const struct tlshello_client *h, uint16_t group, struct span *share);
/** The list of protocol names, u8 length and name each; empty when ALPN is missing or malformed. */
struct span tlshello_alpn(const struct tlshello_client *h);

/**
 * Puts the handshake message in front of the records @in together in @out,
 * which is at its start and as large as a message may be. Returns the bytes of
 * @in up to the end of the message; *@behind (may be NULL) gets how many bytes its
 * record has after that by its header. 0 when more bytes are needed: @out then
 * holds what there is. -ERR_MALFORMED when these are no handshake records,
 * -ERR_LIMIT when the message does not fit.
 */
ssize_t tlshello_join(struct wr *out, struct span in, size_t *behind);

#endif
