/*
 * An echo exchange as datagrams of a UDP flow to port 0 of the host that is asked.
 * UDP knows no port 0, so nothing else can be meant. Whoever ends the flow sends a
 * real echo request and returns what really comes; for a host that is silent, nothing.
 *
 *     0       1       2               4               6
 *     | kind  |  ttl  |  identifier   |   sequence    | body ...
 *
 *     1 REQUEST  body: the payload. ttl: hops that the request may make on the far
 *                side; 0: as the far side's system likes
 *     2 REPLY    body: the payload that came back. ttl: as received; 0: not known
 *     3 ERROR    body: | type | code | u32 info | family 4 or 6 | 4 or 16 bytes |
 *                type and code of the ICMP (family 4) or ICMPv6 (family 6) error, the
 *                word behind its checksum (the MTU, where it has one), and the address
 *                of who sent it. ttl: 0
 *
 * Identifier and sequence are the asker's and come back unchanged. Kinds that are not
 * known are dropped; so is what does not end where it should, but for bytes behind an
 * ERROR, which belong to a later version.
 */
#ifndef GARENNE_PROTO_ECHO_H
#define GARENNE_PROTO_ECHO_H

#include "base/addr.h"
#include "base/span.h"

enum echo_kind {
	ECHO_REQUEST = 1,
	ECHO_REPLY = 2,
	ECHO_ERROR = 3,
};

enum {
	ECHO_PORT = 0,
	ECHO_HEAD = 6,
	ECHO_ERROR_MAX = ECHO_HEAD + 2 + 4 + 1 + 16,
	ECHO_PAYLOAD_MAX = 65507, /* of an echo request in IPv4 */
};

struct echo {
	enum echo_kind kind;
	uint8_t ttl;
	uint16_t id, seq;
	struct span payload; /* REQUEST, REPLY: points into what was decoded */
	uint8_t type, code;  /* ERROR */
	uint32_t info;
	struct ip offender;
};

/** One datagram. 0, -ERR_UNSUPPORTED for an unknown kind, -ERR_MALFORMED. */
int echo_decode(struct echo *out, struct span in);
/** The whole datagram. 0 or -ERR_LIMIT. */
int echo_encode(struct wr *out, const struct echo *in);

#endif
