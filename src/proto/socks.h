/*
 * SOCKS 5 (RFC 1928, RFC 1929) from both sides, SOCKS 4 and 4a from the server's.
 *
 *     client                                server
 *     5 | n | n methods                     5 | method (255: none fits)
 *     1 | len user | len password           1 | status (0: welcome)
 *     5 | command | 0 | address             5 | code | 0 | bound address
 *
 *     datagrams, both ways: 0 0 | fragment | address | data
 *
 *     4 | 1 | port | IPv4 | user 0 [| name 0]     0 | 90 or 91 | 6 zeros
 *
 * Addresses are type first (proto/netaddr.h). Servers in the field check neither the
 * versions inside the dialogue nor reserved bytes, and neither does this one: only the
 * first byte of a connection says what it is. Decoded spans point into the input.
 */
#ifndef GARENNE_PROTO_SOCKS_H
#define GARENNE_PROTO_SOCKS_H

#include <sys/types.h>

#include "proto/netaddr.h"

enum {
	SOCKS4_VERSION = 4,
	SOCKS5_VERSION = 5,
	SOCKS5_STRING_MAX = 255, /* user, password */
	SOCKS5_LOGIN_MAX = 1 + 2 * (1 + SOCKS5_STRING_MAX),
	SOCKS5_REQUEST_MAX = 3 + NETADDR_MAX, /* also of a reply, a datagram's header */
	SOCKS4_USER_MAX = 1024,		      /* ours; the format has no bound */
	SOCKS4_REPLY_LEN = 8,
};

enum socks5_method {
	SOCKS5_NO_AUTH = 0x00,
	SOCKS5_PASSWORD = 0x02,
	SOCKS5_NO_METHOD = 0xff,
};

enum socks_command {
	SOCKS_CONNECT = 1,
	SOCKS_UDP = 3, /* SOCKS 5 only */
};

enum socks5_code {
	SOCKS5_OK = 0,
	SOCKS5_FAILED = 1,
	SOCKS5_BLOCKED = 2,
	SOCKS5_NET_UNREACH = 3,
	SOCKS5_HOST_UNREACH = 4,
	SOCKS5_REFUSED = 5,
	SOCKS5_TIMEOUT = 6,
	SOCKS5_BAD_COMMAND = 7,
	SOCKS5_BAD_ADDRESS = 8,
};

struct socks5_greeting {
	struct span methods;
};

struct socks5_login {
	struct span user, password; /* at most SOCKS5_STRING_MAX bytes each, may be empty */
};

struct socks_request {
	uint8_t command;
	struct addr target;
};

struct socks5_reply {
	uint8_t code;
	struct addr bound; /* none after a failure, and when the server names nothing useful */
};

/* Unless said otherwise, decoders return consumed, 0 or -ERR_MALFORMED, and encoders 0 or
 * -ERR_LIMIT (no room, a string that is too long). */

ssize_t socks5_greeting_decode(struct socks5_greeting *out, struct span in);
int socks5_greeting_encode(struct wr *out, const struct socks5_greeting *in);
bool socks5_offers(const struct socks5_greeting *greeting, enum socks5_method method);

ssize_t socks5_method_decode(uint8_t *method, struct span in);
int socks5_method_encode(struct wr *out, uint8_t method);

ssize_t socks5_login_decode(struct socks5_login *out, struct span in);
int socks5_login_encode(struct wr *out, const struct socks5_login *in);

/** @welcome is the server's verdict. */
ssize_t socks5_verdict_decode(bool *welcome, struct span in);
int socks5_verdict_encode(struct wr *out, bool welcome);

/**
 * -ERR_UNSUPPORTED for commands that we do not have, as soon as the second byte is there:
 * answer SOCKS5_BAD_COMMAND. Tor's name look-ups (0xf0, 0xf1) count as CONNECT, as in Xray.
 */
ssize_t socks5_request_decode(struct socks_request *out, struct span in);
int socks5_request_encode(struct wr *out, const struct socks_request *in);

/** A failure is reported after two bytes: what follows it matters to nobody. */
ssize_t socks5_reply_decode(struct socks5_reply *out, struct span in);
/** No bound address is written as 0.0.0.0:0. */
int socks5_reply_encode(struct wr *out, const struct socks5_reply *in);

/** The header of a whole datagram: its length (data begins there; may be empty), -ERR_MALFORMED,
 * or -ERR_UNSUPPORTED for a fragment. Never 0. */
ssize_t socks5_datagram_decode(struct addr *peer, struct span in);
int socks5_datagram_encode(struct wr *out, const struct addr *peer);

/**
 * SOCKS 4 and 4a; the user is skipped. -ERR_UNSUPPORTED as above, -ERR_LIMIT for a user or
 * a name beyond its bound. An IPv4 address 0.x.y.z announces a name, as in Xray.
 */
ssize_t socks4_request_decode(struct socks_request *out, struct span in);
int socks4_reply_encode(struct wr *out, bool granted);

#endif
