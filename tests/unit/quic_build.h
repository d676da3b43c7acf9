/* Makes Initial packets of QUIC clients: what proto/sniff_quic.c takes apart. */
#ifndef GARENNE_TESTS_QUIC_BUILD_H
#define GARENNE_TESTS_QUIC_BUILD_H

#include <stdlib.h>

#include "base/span.h"
#include "crypto/aead.h"
#include "crypto/aesblock.h"
#include "crypto/kdf.h"

struct quic_build {
	int version; /* 1, 2 or 29 */
	struct span dcid, scid, token;
	uint32_t number;
	unsigned number_len; /* 1..4 */
};

static inline void quic_must(int ok)
{
	if (!ok)
		abort();
}

static inline void quic_varint(struct wr *w, uint64_t v)
{
	if (v < 64)
		wr_u8(w, (unsigned)v);
	else if (v < 16384)
		wr_u16(w, (unsigned)v | 0x4000);
	else
		wr_u32(w, (uint32_t)v | 0x80000000);
}

/* key, iv, header protection key of the client */
static inline void quic_keys(const struct quic_build *q, uint8_t key[16], uint8_t iv[12],
			     uint8_t hp[16])
{
	static const uint8_t salts[3][21] = {
		"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a",
		"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9",
		"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"};
	const uint8_t *salt = salts[q->version == 1 ? 0 : q->version == 2 ? 1 : 2];
	uint8_t prk[32], secret[32];
	struct span none = span_of(NULL, 0), s = span_of(secret, 32);

	quic_must(kdf_extract(SHA_ALG_256, prk, span_of(salt, 20), q->dcid) == 0);
	quic_must(kdf_expand_label(SHA_ALG_256, secret, 32, span_of(prk, 32), "client in", none) ==
		  0);
	quic_must(kdf_expand_label(SHA_ALG_256, key, 16, s,
				   q->version == 2 ? "quicv2 key" : "quic key", none) == 0);
	quic_must(kdf_expand_label(SHA_ALG_256, iv, 12, s,
				   q->version == 2 ? "quicv2 iv" : "quic iv", none) == 0);
	quic_must(kdf_expand_label(SHA_ALG_256, hp, 16, s,
				   q->version == 2 ? "quicv2 hp" : "quic hp", none) == 0);
}

/* Appends one packet; @frames at least four bytes. */
static inline void quic_seal(struct wr *w, const struct quic_build *q, struct span frames)
{
	uint32_t number = q->version == 1 ? 1 : q->version == 2 ? 0x6b3343cf : 0xff00001d;
	uint8_t key[16], iv[12], hp[16], mask[16];
	size_t start = w->n, pn, body;
	struct aead *a;

	quic_keys(q, key, iv, hp);
	wr_u8(w, 0xc0 | (q->version == 2 ? 0x10 : 0) | (q->number_len - 1));
	wr_u32(w, number);
	wr_u8(w, (unsigned)q->dcid.n);
	wr_bytes(w, q->dcid.p, q->dcid.n);
	wr_u8(w, (unsigned)q->scid.n);
	wr_bytes(w, q->scid.p, q->scid.n);
	quic_varint(w, q->token.n);
	wr_bytes(w, q->token.p, q->token.n);
	wr_u16(w, (unsigned)(q->number_len + frames.n + AEAD_TAG) | 0x4000);
	pn = w->n;
	for (unsigned i = 0; i < q->number_len; i++)
		wr_u8(w, q->number >> 8 * (q->number_len - 1 - i));
	body = w->n;
	for (unsigned i = 0; i < 4; i++)
		iv[8 + i] ^= (uint8_t)(q->number >> 8 * (3 - i));
	a = aead_new(AEAD_AES_128_GCM, key);
	quic_must(a && wr_room(w, frames.n + AEAD_TAG) != NULL);
	quic_must(aead_seal(a, iv, span_of(w->p + start, body - start), w->p + body, frames) == 0);
	aead_free(a);
	quic_must(aesblock_once(AESBLOCK_ENCRYPT, hp, 16, mask, w->p + pn + 4) == 0);
	w->p[start] ^= mask[0] & 0x0f;
	for (unsigned i = 0; i < q->number_len; i++)
		w->p[pn + i] ^= mask[1 + i];
}

/* One CRYPTO frame. */
static inline void quic_crypto(struct wr *w, uint64_t offset, struct span data)
{
	wr_u8(w, 6);
	quic_varint(w, offset);
	quic_varint(w, data.n);
	wr_bytes(w, data.p, data.n);
}

#endif
