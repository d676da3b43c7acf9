/*
 * Where a chunked body ends (RFC 9112 section 7.1), for somebody who passes it on
 * unaltered:
 *
 *     (hex size [; extension] CRLF, data CRLF)*, 0 [; extension] CRLF, fields*, CRLF
 *
 * Strict about line ends and digits: two readers must never see two different ends.
 */
#ifndef GARENNE_PROTO_HTTPCHUNK_H
#define GARENNE_PROTO_HTTPCHUNK_H

#include <sys/types.h>

#include "base/span.h"

enum { HTTPCHUNK_LINE_MAX = 65536 }; /* of all extensions in a row and of all fields at the end */

struct httpchunk {
	uint8_t state;
	uint8_t digits; /* of the size */
	uint32_t idle;	/* bytes since data last moved */
	uint64_t left;	/* of the chunk's data */
};

void httpchunk_init(struct httpchunk *c);

/**
 * How many bytes of @in belong to the body: all of them, or fewer when it ends within
 * @in. -ERR_MALFORMED or -ERR_LIMIT; @c is of no further use then.
 */
ssize_t httpchunk_feed(struct httpchunk *c, struct span in);

bool httpchunk_done(const struct httpchunk *c);

#endif
