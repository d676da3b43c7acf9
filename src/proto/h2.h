/*
 * As much of HTTP/2 (RFC 9113) and HPACK (RFC 7541) as GETs take: what a client
 * sends first, its requests, the frames that it must answer, and the bodies of pages.
 * Of the fields of answers only the status is read, and not any.
 *
 *   frame  u24 length | u8 type | u8 flags | u32 stream | bytes
 *
 * Header fields go out as literals without Huffman coding, which every server reads.
 */
#ifndef GARENNE_PROTO_H2_H
#define GARENNE_PROTO_H2_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/span.h"

enum h2_type {
	H2_DATA = 0,
	H2_HEADERS = 1,
	H2_RST_STREAM = 3,
	H2_SETTINGS = 4,
	H2_PING = 6,
	H2_GOAWAY = 7,
	H2_WINDOW_UPDATE = 8,
};

enum {
	H2_HEADER_LEN = 9,
	H2_FRAME_MAX = 16384, /* of a payload, unless we had allowed more */
	H2_ACK = 1,
	H2_END_STREAM = 1,
	H2_END_HEADERS = 4,
	H2_PADDED = 8,
	H2_PRIORITY = 32,
};

struct h2_field {
	const char *name, *value; /* the name in lower case */
};

struct h2_frame {
	uint8_t type, flags;
	uint32_t stream;
	struct span payload;
};

/** The connection preface, our settings and the window of the connection. 0 or -ERR_LIMIT. */
int h2_opening_encode(struct wr *out);
/** A GET of @path at @host on @stream (odd, ascending) with the @n @fields. 0 or -ERR_LIMIT. */
int h2_get_encode(struct wr *out, uint32_t stream, const char *host, const char *path,
		  const struct h2_field *fields, size_t n);
/** A frame with its payload: bytes consumed, 0 when more are needed, -ERR_LIMIT when it is longer
 * than allowed. */
ssize_t h2_frame_decode(struct h2_frame *out, struct span in);
/** The content of @f, a frame of type H2_DATA, without its padding. 0 or -ERR_MALFORMED. */
int h2_data_decode(struct span *out, const struct h2_frame *f);
/** The status at the begin of @f, a frame of type H2_HEADERS: one of those that every server writes as
 * a single byte (200, 204, 206, 304, 400, 404, 500), or 0 for any other. */
unsigned h2_status_decode(const struct h2_frame *f);
/** What @f must be answered with at once; nothing for most. 0 or -ERR_LIMIT. */
int h2_answer_encode(struct wr *out, const struct h2_frame *f);

#endif
