/*
 * VLESS, version 0: what stands before and between the payload. VLESS neither
 * encrypts nor authenticates beyond the user id; TLS or REALITY carries it.
 *
 * Request, once, first bytes of the stream:
 *
 *     u8 0 | 16 user id | u8 M | M addons | u8 command | port-first address
 *
 * The address is there for TCP and UDP only. Response, once, before the first
 * payload byte of the other direction:
 *
 *     u8 0 | u8 N | N addons
 *
 * Body: TCP raw bytes; UDP datagrams, each "u16 length | bytes"; mux and reverse
 * Mux.Cool frames.
 *
 * Addons are a Protocol Buffers message (1 flow, 2 seed). In a request, Xray and
 * v2ray skip fields that they do not know, others refuse them; in a response every
 * known client skips all N bytes. So both are handed through as raw spans, and
 * proto/protobuf.h reads and writes further fields.
 *
 * Decoders borrow: the spans of a decoded value point into the input.
 */
#ifndef GARENNE_PROTO_VLESS_H
#define GARENNE_PROTO_VLESS_H

#include <sys/types.h>

#include "base/uuid.h"
#include "proto/netaddr.h"

enum {
	VLESS_VERSION = 0,
	VLESS_ADDONS_MAX = 255,
	VLESS_REQUEST_MAX = 1 + UUID_LEN + 1 + VLESS_ADDONS_MAX + 1 + NETADDR_MAX,
	VLESS_RESPONSE_MAX = 1 + 1 + VLESS_ADDONS_MAX,
	VLESS_FALLBACK_MIN = 18,   /* a first read shorter than this is not VLESS (fallbacks) */
	VLESS_PACKET_PREFIX = 2,   /* bytes before each datagram */
	VLESS_PACKET_SEND = 8190,  /* longest datagram that stock peers keep in one piece */
	VLESS_PACKET_MAX = 0xffff, /* longest that the format can say; accepted */
};

/* The only flow there is; sent as it stands also for "xtls-rprx-vision-udp443". */
#define VLESS_FLOW_VISION "xtls-rprx-vision"

enum vless_command {
	VLESS_TCP = 1,
	VLESS_UDP = 2,
	VLESS_MUX = 3,
	VLESS_REVERSE = 4,
};

/* Which part made a header invalid: what the log says, and nobody else learns. */
enum vless_fault {
	VLESS_FAULT_NONE = 0,
	VLESS_FAULT_VERSION,
	VLESS_FAULT_ADDONS,
	VLESS_FAULT_COMMAND,
	VLESS_FAULT_ADDRESS,
};

struct vless_request {
	struct uuid id; /* as received, bytes 6 and 7 included: Vision repeats it on the wire */
	uint8_t command;
	struct addr target; /* none for mux and reverse */
	struct span addons; /* a valid message */
};

struct vless_addons {
	struct span flow; /* UTF-8 */
	struct span seed;
};

struct vless_response {
	struct span addons; /* not looked into */
};

/**
 * Version and user id alone, which a server judges before it waits for the rest.
 * Consumed (17), 0 or -ERR_MALFORMED; a wrong version shows in the first byte.
 * @fault (may be NULL) gets the reason of a refusal and is else left alone, here and below.
 */
ssize_t vless_id_decode(struct uuid *out, struct span in, enum vless_fault *fault);

/** Consumed, 0 or -ERR_MALFORMED, the latter with the first byte that decides it. */
ssize_t vless_request_decode(struct vless_request *out, struct span in, enum vless_fault *fault);
/** 0, -ERR_LIMIT (no room, too many addons) or -ERR_MALFORMED (command, target). */
int vless_request_encode(struct wr *out, const struct vless_request *in);

/** The fields that are known, from a complete message; 0 or -ERR_MALFORMED. Further fields and
 * known numbers of another type are skipped, of repeated fields the last counts. */
int vless_addons_decode(struct vless_addons *out, struct span in);
/** Appends the non-empty fields; 0 or -ERR_LIMIT. */
int vless_addons_encode(struct wr *out, const struct vless_addons *in);
/** The addons that say "flow xtls-rprx-vision" and nothing else; constant memory. */
struct span vless_addons_vision(void);

/** Consumed, 0 or -ERR_MALFORMED: the first byte is another version, as the 'H' of "HTTP". */
ssize_t vless_response_decode(struct vless_response *out, struct span in);
/** 0 or -ERR_LIMIT. */
int vless_response_encode(struct wr *out, const struct vless_response *in);

/** One datagram with its prefix: consumed (at least 2) or 0. An empty payload means nothing. */
ssize_t vless_packet_decode(struct span *payload, struct span in);
/** Prefix and payload; 0 or -ERR_LIMIT. */
int vless_packet_encode(struct wr *out, struct span payload);
/** The prefix alone, for a datagram of @n bytes that follows it; 0 or -ERR_LIMIT. */
int vless_packet_prefix(uint8_t at[VLESS_PACKET_PREFIX], size_t n);

/** @id without the bytes 6 and 7, which do not take part in the search for a user. */
struct uuid vless_id_key(const struct uuid *id);
/** Same user? In constant time. */
bool vless_id_match(const struct uuid *a, const struct uuid *b);
/** Bytes 6 and 7 as received: the number that routing rules call vlessRoute. */
uint16_t vless_route(const struct uuid *received);

/**
 * The request path in @first, the first read of a connection that is not VLESS: what
 * chooses among fallbacks. Like Xray: it begins at the first '/' after a blank at offset
 * 4..8 and ends before '?' or blank, which must stand at offset 63 or before. Empty when
 * there is none, or when @first is shorter than VLESS_FALLBACK_MIN.
 */
struct span vless_fallback_path(struct span first);

/** What the log calls @fault; the words that users of Xray search for. Never NULL. */
const char *vless_fault_text(enum vless_fault fault);

#endif
