/*
 * The PROXY protocol (HAProxy's proxy-protocol.txt): who the client of a connection
 * really is, said once before the connection's first byte.
 *
 * Version 1, a line of at most 107 bytes:
 *
 *     PROXY TCP4 <source> <destination> <sport> <dport>\r\n       or TCP6
 *     PROXY UNKNOWN[ anything]\r\n
 *
 * Version 2:
 *
 *     12 signature | u8 2 << 4 | command | u8 family << 4 | transport | u16 length | ...
 *       command    0 LOCAL: the proxy speaks for itself, 1 PROXY
 *       family     0 none, 1 IPv4, 2 IPv6, 3 Unix; transport 0 none, 1 stream, 2 datagram
 *       then       source, destination, u16 sport, u16 dport (Unix: two of 108 bytes)
 *       then       records, which are skipped
 */
#ifndef GARENNE_PROTO_PROXYPROTO_H
#define GARENNE_PROTO_PROXYPROTO_H

#include <sys/types.h>

#include "base/addr.h"

enum {
	PROXYPROTO_V1_MAX = 107,
	PROXYPROTO_V2_BODY_MAX = 4096, /* ours: addresses and any sane set of records */
	PROXYPROTO_DECODE_MAX = 16 + PROXYPROTO_V2_BODY_MAX,
	PROXYPROTO_ENCODE_MAX = PROXYPROTO_V1_MAX,
};

enum proxyproto_transport {
	PROXYPROTO_UNKNOWN = 0, /* use the connection's own addresses: UNKNOWN, LOCAL, Unix */
	PROXYPROTO_STREAM = 1,
	PROXYPROTO_DGRAM = 2, /* version 2 only */
};

struct proxyproto {
	uint8_t version; /* 1 or 2 */
	uint8_t transport;
	struct ipport source, target; /* none when the transport is unknown */
};

/**
 * Consumed, 0, -ERR_MALFORMED (bytes that begin neither version are refused at once, a bad
 * line of version 1 at its end), or -ERR_LIMIT for a version 2 header beyond
 * PROXYPROTO_V2_BODY_MAX.
 */
ssize_t proxyproto_decode(struct proxyproto *out, struct span in);

/** Addresses of different families are written as IPv6. 0, -ERR_LIMIT without room, or
 * -ERR_MALFORMED: no such version, a datagram in version 1, a missing address. */
int proxyproto_encode(struct wr *out, const struct proxyproto *in);

#endif
