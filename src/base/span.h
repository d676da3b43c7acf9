/*
 * Borrowed bytes, and the two cursors that every codec uses: a reader that
 * never runs past its end and a writer that never overflows. Both carry a
 * sticky "bad" flag, so that a decoder reads as a list of fields followed by
 * one test. Multi-byte integers on the wire are big-endian unless a name says
 * "le". Nobody casts wire bytes to a struct.
 *
 * A span is passed by value and not kept beyond the call unless the function's
 * comment says who keeps the memory alive.
 */
#ifndef GARENNE_BASE_SPAN_H
#define GARENNE_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *p;
	size_t n;
};

static inline struct span span_of(const void *p, size_t n)
{
	return (struct span){p, n};
}

static inline struct span span_str(const char *s)
{
	return (struct span){(const uint8_t *)s, s ? strlen(s) : 0};
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Reader: peels fields off the front; once short, every later read gives zeros. */
struct rd {
	const uint8_t *p;
	size_t n; /* bytes left */
	bool bad;
};

static inline struct rd rd_of(struct span s)
{
	return (struct rd){s.p, s.n, false};
}

/** The next @n bytes, or an empty span and the flag set when fewer are left. */
static inline struct span rd_take(struct rd *r, size_t n)
{
	struct span s = {r->p, n};

	if (r->bad || n > r->n) {
		r->bad = true;
		return (struct span){NULL, 0};
	}
	if (n > 0) { /* NULL + 0 is fine for an empty span, NULL + n is not */
		r->p += n;
		r->n -= n;
	}
	return s;
}

static inline uint8_t rd_u8(struct rd *r)
{
	struct span s = rd_take(r, 1);

	return s.n ? s.p[0] : 0;
}

static inline uint16_t rd_u16(struct rd *r)
{
	struct span s = rd_take(r, 2);

	return (uint16_t)(s.n ? s.p[0] << 8 | s.p[1] : 0);
}

static inline uint32_t rd_u24(struct rd *r)
{
	struct span s = rd_take(r, 3);

	return s.n ? (uint32_t)s.p[0] << 16 | (uint32_t)s.p[1] << 8 | s.p[2] : 0;
}

static inline uint32_t rd_u32(struct rd *r)
{
	uint32_t hi = rd_u16(r);

	return hi << 16 | rd_u16(r);
}

static inline uint64_t rd_u64(struct rd *r)
{
	uint64_t hi = rd_u32(r);

	return hi << 32 | rd_u32(r);
}

static inline void rd_copy(struct rd *r, void *to, size_t n)
{
	struct span s = rd_take(r, n);

	if (s.n)
		memcpy(to, s.p, s.n);
	else
		memset(to, 0, n);
}

/* Writer into memory that the caller owns; when full it stops and sets the flag. */
struct wr {
	uint8_t *p;
	size_t n;   /* written */
	size_t cap; /* room in all */
	bool bad;
};

static inline struct wr wr_of(void *p, size_t cap)
{
	return (struct wr){p, 0, cap, false};
}

/** Reserves @n bytes and returns them for filling, or NULL and the flag set. */
static inline uint8_t *wr_room(struct wr *w, size_t n)
{
	uint8_t *at = w->p + w->n;

	if (w->bad || n > w->cap - w->n) {
		w->bad = true;
		return NULL;
	}
	w->n += n;
	return at;
}

static inline void wr_bytes(struct wr *w, const void *from, size_t n)
{
	uint8_t *at = wr_room(w, n);

	if (at && n)
		memcpy(at, from, n);
}

static inline void wr_u8(struct wr *w, unsigned v)
{
	uint8_t *at = wr_room(w, 1);

	if (at)
		at[0] = (uint8_t)v;
}

static inline void wr_u16(struct wr *w, unsigned v)
{
	uint8_t *at = wr_room(w, 2);

	if (at) {
		at[0] = (uint8_t)(v >> 8);
		at[1] = (uint8_t)v;
	}
}

static inline void wr_u32(struct wr *w, uint32_t v)
{
	wr_u16(w, v >> 16);
	wr_u16(w, v & 0xffff);
}

static inline void wr_u64(struct wr *w, uint64_t v)
{
	wr_u32(w, (uint32_t)(v >> 32));
	wr_u32(w, (uint32_t)v);
}

#endif
