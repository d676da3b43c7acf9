/* Makes ClientHello messages and the records that carry them. */
#ifndef GARENNE_TESTS_HELLO_H
#define GARENNE_TESTS_HELLO_H

#include <stdlib.h>

#include "base/span.h"

/* A hello for @name (NULL: no such extension), with @extra bytes of another extension before it. */
static inline void hello_build(struct wr *w, const char *name, size_t extra)
{
	size_t n = name ? strlen(name) : 0;
	size_t extensions = 4 + extra + (name ? 9 + n : 0);
	size_t body = 2 + 32 + 1 + 4 + 2 + 4 + 1 + 1 + 2 + extensions;
	uint8_t *fill;

	wr_u32(w, (uint32_t)(1u << 24 | body));
	wr_u16(w, 0x0303);
	for (unsigned i = 0; i < 32; i++)
		wr_u8(w, i);
	wr_u8(w, 4);
	wr_u32(w, 0xaabbccdd);
	wr_u16(w, 4);
	wr_u32(w, 0x13011302);
	wr_u8(w, 1);
	wr_u8(w, 0);
	wr_u16(w, (unsigned)extensions);
	wr_u16(w, 21);
	wr_u16(w, (unsigned)extra);
	fill = wr_room(w, extra);
	if (fill)
		memset(fill, 0, extra);
	if (name) {
		wr_u16(w, 0);
		wr_u16(w, (unsigned)(n + 5));
		wr_u16(w, (unsigned)(n + 3));
		wr_u8(w, 0);
		wr_u16(w, (unsigned)n);
		wr_bytes(w, name, n);
	}
	if (w->bad)
		abort();
}

/* @message in records of @each bytes. */
static inline void hello_records(struct wr *w, struct span message, size_t each)
{
	while (message.n > 0) {
		size_t n = message.n < each ? message.n : each;

		wr_u8(w, 22);
		wr_u16(w, 0x0301);
		wr_u16(w, (unsigned)n);
		wr_bytes(w, message.p, n);
		message = span_of(message.p + n, message.n - n);
	}
	if (w->bad)
		abort();
}

#endif
