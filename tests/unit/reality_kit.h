/* A client's hello and what targets answer to it, for the tests of REALITY's server. */
#ifndef GARENNE_TESTS_REALITY_KIT_H
#define GARENNE_TESTS_REALITY_KIT_H

#include <stdlib.h>

#include "base/span.h"
#include "proto/tlshello.h"

enum { KIT_HELLO_MAX = 2048, KIT_FLIGHT_MAX = 16384 };

/* A ClientHello with one key share. */
static inline void kit_client_hello(struct wr *w, uint16_t group, struct span share)
{
	size_t extensions = 4 + 3 + 4 + 2 + 4 + share.n;
	size_t body = 2 + 32 + 1 + 32 + 2 + 2 + 2 + 2 + extensions;

	wr_u32(w, (uint32_t)(1u << 24 | body));
	wr_u16(w, 0x0303);
	for (unsigned i = 0; i < 32; i++)
		wr_u8(w, 0x20 + i);
	wr_u8(w, 32);
	for (unsigned i = 0; i < 32; i++)
		wr_u8(w, 0x90 + i);
	wr_u16(w, 2);
	wr_u16(w, 0x1301);
	wr_u16(w, 0x0100); /* one compression, none */
	wr_u16(w, (unsigned)extensions);
	wr_u16(w, TLS_EXT_VERSIONS);
	wr_u16(w, 3);
	wr_u8(w, 2);
	wr_u16(w, 0x0304);
	wr_u16(w, TLS_EXT_KEY_SHARE);
	wr_u16(w, (unsigned)(share.n + 6));
	wr_u16(w, (unsigned)(share.n + 4));
	wr_u16(w, group);
	wr_u16(w, (unsigned)share.n);
	wr_bytes(w, share.p, share.n);
	if (w->bad)
		abort();
}

/* What a target's ServerHello says. */
struct kit_server {
	uint16_t version, suite, group;
	size_t share_len;
	bool retry;
};

static inline void kit_server_hello(struct wr *w, const struct kit_server *s)
{
	static const uint8_t retry[] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11,
					0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
					0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e,
					0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
	size_t extensions = 6 + 6 + (s->retry ? 0 : 2 + s->share_len);
	size_t body = 2 + 32 + 1 + 32 + 2 + 1 + 2 + extensions;

	wr_u8(w, 22);
	wr_u16(w, 0x0303);
	wr_u16(w, (unsigned)(body + 4));
	wr_u32(w, (uint32_t)(2u << 24 | body));
	wr_u16(w, 0x0303);
	for (unsigned i = 0; i < 32; i++)
		wr_u8(w, s->retry ? retry[i] : 0x70 + i);
	wr_u8(w, 32);
	for (unsigned i = 0; i < 32; i++)
		wr_u8(w, 0x90 + i);
	wr_u16(w, s->suite);
	wr_u8(w, 0);
	wr_u16(w, (unsigned)extensions);
	wr_u16(w, TLS_EXT_VERSIONS);
	wr_u16(w, 2);
	wr_u16(w, s->version);
	wr_u16(w, TLS_EXT_KEY_SHARE);
	wr_u16(w, (unsigned)(s->retry ? 2 : 4 + s->share_len));
	wr_u16(w, s->group);
	if (!s->retry) {
		wr_u16(w, (unsigned)s->share_len);
		for (size_t i = 0; i < s->share_len; i++)
			wr_u8(w, 0x55);
	}
	if (w->bad)
		abort();
}

/* A record of @total bytes whose contents do not matter. */
static inline void kit_record(struct wr *w, unsigned type, size_t total)
{
	wr_u8(w, type);
	wr_u16(w, 0x0303);
	wr_u16(w, (unsigned)(total - 5));
	for (size_t i = 5; i < total; i++)
		wr_u8(w, type == 20 ? 1 : 0xee);
	if (w->bad)
		abort();
}

#endif
