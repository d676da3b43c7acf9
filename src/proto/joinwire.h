/*
 * What the forms of joining have in common: four bytes that name form and
 * version, and an IP address or none: u8 0, 4 or 6 and 16 bytes, zero where unused.
 */
#ifndef GARENNE_PROTO_JOINWIRE_H
#define GARENNE_PROTO_JOINWIRE_H

#include "base/addr.h"
#include "base/err.h"

enum { JOINWIRE_VERSION = 1, JOINWIRE_HEAD = 4, JOINWIRE_IP = 1 + 16 };

static inline void joinwire_head_write(struct wr *w, const char *name)
{
	wr_bytes(w, name, JOINWIRE_HEAD - 1);
	wr_u8(w, JOINWIRE_VERSION);
}

/** 1: it was there. 0: more bytes are needed. -ERR_MALFORMED, as soon as a byte is wrong;
 * -ERR_UNSUPPORTED: another version. */
static inline int joinwire_head_read(struct rd *r, const char *name)
{
	size_t n = r->n < JOINWIRE_HEAD - 1 ? r->n : JOINWIRE_HEAD - 1;

	if (n > 0 && memcmp(r->p, name, n) != 0)
		return -ERR_MALFORMED;
	rd_take(r, JOINWIRE_HEAD - 1);
	if (rd_u8(r) != JOINWIRE_VERSION && !r->bad)
		return -ERR_UNSUPPORTED;
	return !r->bad;
}

static inline void joinwire_ip_write(struct wr *w, const struct ip *ip)
{
	uint8_t b[16] = {0};

	memcpy(b, ip->b, ip->family == 4 ? 4 : ip->family == 6 ? 16 : 0);
	wr_u8(w, ip->family);
	wr_bytes(w, b, sizeof(b));
}

/** False for what joinwire_ip_write never writes, and when the reader ended. */
static inline bool joinwire_ip_read(struct rd *r, struct ip *out)
{
	static const uint8_t none[16];
	struct span s = rd_take(r, JOINWIRE_IP);
	size_t used;

	if (r->bad)
		return false;
	used = s.p[0] == 4 ? 4 : s.p[0] == 6 ? 16 : 0;
	*out = s.p[0] == 4 ? ip_v4(s.p + 1) : s.p[0] == 6 ? ip_v6(s.p + 1) : (struct ip){0};
	return out->family == s.p[0] && memcmp(s.p + 1 + used, none, 16 - used) == 0;
}

#endif
