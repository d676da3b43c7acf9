/*
 * Owned bytes.
 *
 *   chunk  a block of memory with a reference count; two sizes
 *   buf    a slice of a chunk; owns one reference; a link in one queue at most
 *   bufq   a queue of bufs: what every stream reads into and writes from
 *
 *        chunk  |<- headroom ->|<------- data, len ------>|<- tailroom ->|
 *                              ^buf.data
 *
 * One rule of ownership: a buf belongs to exactly one queue or variable. A
 * function that "takes" a buf or the front of a bufq owns it from then on, also
 * when it fails. Bytes that several slices share are never written to;
 * headroom and tailroom may be used only while the chunk has one reference
 * (buf_push and buf_room check that).
 *
 * A large buf holds one TLS record or mux frame of the largest kind
 * (BUF_DATA bytes) plus BUF_HEADROOM in front, so that a layer prepends its
 * header without copying. Idle streams hold no buf at all. Freed bufs and
 * chunks go to a small cache of the thread, so the hot path does not call
 * malloc. Slices of one chunk may live on several threads.
 */
#ifndef GARENNE_BASE_BUF_H
#define GARENNE_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/span.h"

enum {
	BUF_HEADROOM = 64,
	BUF_DATA = 16384,  /* payload of a large buf */
	BUF_READ = 16000,  /* what streams read into one: four of them as TLS records, with a header
			      or two in each, are 45 segments of a TCP with an MTU of 1500: the
			      kernel's largest packet, with nothing left over */
	BUF_SMALL = 2048,  /* payload of a small one: a datagram, a copied remnant */
	BUF_HUGE = 65536 + 64, /* a packet of any size, and what a device puts in front of it */
	BUF_TAILROOM = 64, /* an AEAD tag or two behind the payload */
};

struct chunk;

struct buf {
	struct buf *next;
	struct chunk *chunk;
	uint8_t *data;
	uint32_t len;
};

struct bufq {
	struct buf *head, *tail;
	size_t len; /* bytes in all */
};

/** A buf with at least @size bytes of tailroom (at most BUF_DATA) and BUF_HEADROOM. Gives; NULL
 * only when memory is out. */
struct buf *buf_new(size_t size);
/** A buf for a datagram or frame of any size up to 64 KiB and a header. Gives, or NULL. */
struct buf *buf_new_big(size_t size);
/** A copy of @s, in the smallest fitting buf. @s.n at most 65536. Gives, or NULL. */
struct buf *buf_copy(struct span s);
/** Another slice of the same bytes: [@off, @off+@len) of @b. Gives, or NULL. */
struct buf *buf_slice(const struct buf *b, size_t off, size_t len);
/** Takes NULL too. */
void buf_free(struct buf *b);

static inline struct span buf_span(const struct buf *b)
{
	return span_of(b->data, b->len);
}

/** Bytes that may be written behind the data now. */
size_t buf_tailroom(const struct buf *b);
/** Bytes that may be written in front of the data now. */
size_t buf_headroom(const struct buf *b);
/** Grows the data by @n bytes in front and returns where they begin, or NULL. */
uint8_t *buf_push(struct buf *b, size_t n);
/** Drops @n bytes from the front; @n at most len. */
static inline void buf_pull(struct buf *b, size_t n)
{
	b->data += n;
	b->len -= (uint32_t)n;
}

/** Memory that this buf keeps from being freed, in bytes: what a bound must count. */
size_t buf_footprint(const struct buf *b);

static inline void bufq_init(struct bufq *q)
{
	*q = (struct bufq){NULL, NULL, 0};
}

static inline bool bufq_empty(const struct bufq *q)
{
	return q->head == NULL;
}

/** Takes @b; an empty buf is freed at once. */
void bufq_push(struct bufq *q, struct buf *b);
void bufq_push_front(struct bufq *q, struct buf *b);
/** Gives the first buf, or NULL. */
struct buf *bufq_pop(struct bufq *q);
/** Moves the first @n bytes (all if fewer) to the end of @to; slices, never copies. Returns how
 * many; fewer than asked only when memory is out. */
size_t bufq_move(struct bufq *to, struct bufq *from, size_t n);
/** The same, but copies what is small: for queues that may hold bytes for long, so that a few bytes
 * of many do not keep whole chunks. */
size_t bufq_move_packed(struct bufq *to, struct bufq *from, size_t n);
/** Drops the first @n bytes, @n at most len. */
void bufq_drop(struct bufq *q, size_t n);
void bufq_clear(struct bufq *q);
/** Appends a copy, filling tailroom first. 0 or -ERR_NOMEM. */
int bufq_append(struct bufq *q, struct span s);
/** Copies the first @n bytes to @to without taking them; returns how many there were. */
size_t bufq_peek(const struct bufq *q, void *to, size_t n);
/** Makes the first min(@n, len) bytes contiguous and returns them, valid until the queue is
 * touched. @n at most 65536. An empty span when memory is out. */
struct span bufq_pullup(struct bufq *q, size_t n);
/** Fills up to @max vectors from the front; *@bytes gets their sum. Returns the number. */
int bufq_iov(const struct bufq *q, struct iovec *iov, int max, size_t *bytes);
/** Sum of buf_footprint over the queue. */
size_t bufq_footprint(const struct bufq *q);

/** Bufs alive in the whole process: zero at a clean end, checked by tests. */
long buf_live(void);
/** Frees this thread's cache; call before the thread ends. */
void buf_thread_exit(void);

#endif
