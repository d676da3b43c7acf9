/*
 * The few lines of Protocol Buffers' wire format that VLESS addons and the
 * reverse proxy's control messages need: fields are read one by one and written
 * one by one; what a number means is the caller's business.
 *
 *     field := varint(number << 3 | type) value
 *     type 0 varint | 1 eight bytes | 2 varint length, bytes | 3 .. 4 group | 5 four bytes
 *
 * As strict as the Go runtime, whose verdict the peers follow: numbers 1..2^29-1,
 * varints of at most 64 bits, groups closed by their own number.
 */
#ifndef GARENNE_PROTO_PROTOBUF_H
#define GARENNE_PROTO_PROTOBUF_H

#include "base/span.h"

enum protobuf_type {
	PROTOBUF_VARINT = 0,
	PROTOBUF_FIXED64 = 1,
	PROTOBUF_BYTES = 2,
	PROTOBUF_GROUP = 3,
	PROTOBUF_FIXED32 = 5,
};

enum { PROTOBUF_DEPTH = 16 }; /* groups in groups; nobody sends one */

struct protobuf_field {
	uint32_t number;
	uint8_t type;
	uint64_t value;	   /* varint */
	struct span bytes; /* every other type: its bytes, borrowed from the message */
};

/** Reads the next field of a complete message. 1: done, 0: the message is over, -ERR_MALFORMED. */
int protobuf_read_field(struct rd *r, struct protobuf_field *out);

/** Writers of one field; without room the writer's flag is set. */
void protobuf_write_varint(struct wr *w, uint32_t number, uint64_t value);
void protobuf_write_bytes(struct wr *w, uint32_t number, struct span value);

/** True when @s may stand in a field of type string. */
bool protobuf_is_utf8(struct span s);

#endif
