/*
 * Any bytes as a Protocol Buffers message: reading ends, fields lie inside the
 * message, and varint and bytes fields survive being written and read again.
 */
#include <stdlib.h>

#include "proto/protobuf.h"

static void again(const struct protobuf_field *f, size_t size)
{
	uint8_t *b = malloc(size + 32);
	struct wr w = wr_of(b, size + 32);
	struct protobuf_field g;
	struct rd r;

	if (!b)
		abort();
	if (f->type == PROTOBUF_VARINT)
		protobuf_write_varint(&w, f->number, f->value);
	else
		protobuf_write_bytes(&w, f->number, f->bytes);
	r = rd_of(span_of(b, w.n));
	if (w.bad || protobuf_read_field(&r, &g) != 1 || r.n != 0)
		abort();
	if (g.number != f->number || g.type != f->type || g.value != f->value ||
	    !span_eq(g.bytes, f->bytes))
		abort();
	free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_of(span_of(data, size));
	struct protobuf_field f;
	int got;

	while ((got = protobuf_read_field(&r, &f)) == 1) {
		if (f.number == 0 || f.number >= 1U << 29)
			abort();
		if (f.bytes.n && (f.bytes.p < data || f.bytes.p + f.bytes.n > data + size))
			abort();
		if (f.type == PROTOBUF_BYTES)
			protobuf_is_utf8(f.bytes);
		if (f.type == PROTOBUF_VARINT || f.type == PROTOBUF_BYTES)
			again(&f, size);
	}
	if (got == 0 && r.n != 0)
		abort();
	return 0;
}
