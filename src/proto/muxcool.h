/*
 * Mux.Cool frames, and what XUDP and Xray's reverse proxy add to them. One stream
 * carries many sessions; there is no handshake, no window and no acknowledgement.
 *
 *     u16 L | L bytes of metadata | u16 D | D bytes of payload
 *                                   `---- only with the option Data ----'
 *
 *     metadata: u16 session id | u8 status | u8 options | ...
 *       New        u8 network | port-first address | extension
 *       Keep       nothing, or u8 2 | port-first address: of this datagram alone (XUDP)
 *       End, KeepAlive   nothing
 *
 * Bytes behind the known fields are ignored by every peer, which makes them the room
 * for extensions. Behind the address of a New frame stands, depending on the carrier:
 *
 *       MUXCOOL_PLAIN    8 bytes Global ID, if network is UDP and Data is set
 *       MUXCOOL_REVERSE  source and local address of the visitor, each "u8 network |
 *                        port-first address"; a zero byte instead ends the list
 *
 * This file knows frames; sessions, queues and payload are the carrier's business.
 * proto/muxext.h is our own extension, in Keep frames without Data.
 */
#ifndef GARENNE_PROTO_MUXCOOL_H
#define GARENNE_PROTO_MUXCOOL_H

#include <sys/types.h>

#include "proto/netaddr.h"

enum {
	MUXCOOL_META_MIN = 4,
	MUXCOOL_META_MAX = 512,
	MUXCOOL_HEAD_MAX = 2 + MUXCOOL_META_MAX + 2, /* all that stands before a payload */
	MUXCOOL_KEEP_HEAD = 2 + 4 + 2,		     /* the same for Keep without address */
	MUXCOOL_SEND_MAX = 8192,   /* longest payload that stock peers send, and take as UDP */
	MUXCOOL_DATA_MAX = 0xffff, /* longest that the format can say; accepted for TCP */
	MUXCOOL_PORT = 9527,	   /* with MUXCOOL_NAME, where a protocol needs a port */
};

/* The destination that makes any proxy connection a mux carrier; compared exactly. */
#define MUXCOOL_NAME "v1.mux.cool"

enum muxcool_status {
	MUXCOOL_NEW = 1,
	MUXCOOL_KEEP = 2,
	MUXCOOL_END = 3,
	MUXCOOL_KEEPALIVE = 4,
};

/* Option bits; others are ignored on receipt. Data frames carry exactly MUXCOOL_DATA,
 * since Xray's XUDP reader compares the whole byte. */
enum {
	MUXCOOL_DATA = 0x01,
	MUXCOOL_ERROR = 0x02, /* with End */
};

enum muxcool_network {
	MUXCOOL_TCP = 1,
	MUXCOOL_UDP = 2,
};

/* What follows the address of a New frame. */
enum muxcool_kind {
	MUXCOOL_PLAIN = 0,
	MUXCOOL_REVERSE = 1, /* VLESS command 4 */
};

struct muxcool_frame {
	uint16_t id;
	uint8_t status;
	uint8_t option;
	uint16_t data_len;	/* payload bytes that follow; 0 without Data */
	uint8_t network;	/* of @target; 0: the frame has none */
	uint8_t source_network; /* 0: none; that of the visitor's connection to the portal, */
	uint8_t local_network;	/* which need not be that of the session */
	bool has_global_id;
	uint8_t global_id[8];
	struct span rest;   /* metadata behind the known fields, borrowed */
	struct addr target; /* ADDR_NONE where the network says 0; likewise the next two */
	struct addr source;
	struct addr local; /* only if there is a source */
};

/**
 * The metadata alone: consumed = 2 + L. @out->data_len stays 0; if the option has
 * MUXCOOL_DATA, the u16 data length comes next. 0 or -ERR_MALFORMED otherwise: a bad
 * length shows after two bytes, all else when the metadata is complete.
 */
ssize_t muxcool_meta_decode(struct muxcool_frame *out, struct span in, enum muxcool_kind kind);

/** Metadata and data length: consumed up to where the payload begins. 0 or -ERR_MALFORMED. */
ssize_t muxcool_frame_decode(struct muxcool_frame *out, struct span in, enum muxcool_kind kind);

/** Everything before the payload. 0, -ERR_LIMIT (no room, metadata above 512 bytes) or
 * -ERR_MALFORMED: a field that this status, network or kind cannot carry. */
int muxcool_frame_encode(struct wr *out, const struct muxcool_frame *in, enum muxcool_kind kind);

/** Is this destination of a TCP flow a carrier's name? */
bool muxcool_is_carrier(const struct addr *target);

/** What Xray's VLESS server takes for XUDP in the first bytes behind a request header: a frame of
 * session 0 with network UDP. False for fewer than 7 bytes. */
bool muxcool_is_xudp(struct span first);

#endif
