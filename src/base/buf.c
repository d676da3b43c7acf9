#include "base/buf.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/err.h"

struct chunk {
	atomic_uint refs;
	uint32_t cap;
	struct chunk *next; /* in the thread's cache only */
	uint8_t bytes[];
};

enum {
	LARGE_CAP = BUF_HEADROOM + BUF_DATA + BUF_TAILROOM,
	SMALL_CAP = BUF_HEADROOM + BUF_SMALL + BUF_TAILROOM,
	HUGE_CAP = BUF_HEADROOM + BUF_HUGE + BUF_TAILROOM,
};

/* AddressSanitizer sees the use of what was freed only if it is freed. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BUF_UNCACHED 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define BUF_UNCACHED 1
#endif

/* What a busy loop has in flight in one turn; the rest goes back to malloc. */
#ifdef BUF_UNCACHED
enum { CACHE_LARGE = 0, CACHE_SMALL = 0, CACHE_HUGE = 0, CACHE_BUF = 0 };
#else
enum { CACHE_LARGE = 64, CACHE_SMALL = 128, CACHE_HUGE = 24, CACHE_BUF = 512 };
#endif

static _Thread_local struct {
	struct chunk *large, *small, *huge;
	struct buf *bufs;
	int large_n, small_n, huge_n, buf_n;
} cache;

static atomic_long live;

long buf_live(void)
{
	return atomic_load(&live);
}

static struct chunk *chunk_new(size_t cap)
{
	struct chunk *c;

	if (cap == LARGE_CAP && cache.large) {
		c = cache.large;
		cache.large = c->next;
		cache.large_n--;
	} else if (cap == SMALL_CAP && cache.small) {
		c = cache.small;
		cache.small = c->next;
		cache.small_n--;
	} else if (cap == HUGE_CAP && cache.huge) {
		c = cache.huge;
		cache.huge = c->next;
		cache.huge_n--;
	} else {
		c = malloc(sizeof(*c) + cap);
		if (!c)
			return NULL;
		c->cap = (uint32_t)cap;
	}
	atomic_init(&c->refs, 1);
	return c;
}

static void chunk_unref(struct chunk *c)
{
	if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (c->cap == LARGE_CAP && cache.large_n < CACHE_LARGE) {
		c->next = cache.large;
		cache.large = c;
		cache.large_n++;
	} else if (c->cap == SMALL_CAP && cache.small_n < CACHE_SMALL) {
		c->next = cache.small;
		cache.small = c;
		cache.small_n++;
	} else if (c->cap == HUGE_CAP && cache.huge_n < CACHE_HUGE) {
		c->next = cache.huge;
		cache.huge = c;
		cache.huge_n++;
	} else {
		free(c);
	}
}

static struct buf *buf_alloc(void)
{
	struct buf *b = cache.bufs;

	if (b) {
		cache.bufs = b->next;
		cache.buf_n--;
	} else {
		b = malloc(sizeof(*b));
		if (!b)
			return NULL;
	}
	atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
	return b;
}

static struct buf *buf_with_cap(size_t cap)
{
	struct chunk *c = chunk_new(cap);
	struct buf *b;

	if (!c)
		return NULL;
	b = buf_alloc();
	if (!b) {
		chunk_unref(c);
		return NULL;
	}
	*b = (struct buf){NULL, c, c->bytes + BUF_HEADROOM, 0};
	return b;
}

struct buf *buf_new(size_t size)
{
	return buf_with_cap(size <= BUF_SMALL ? SMALL_CAP : LARGE_CAP);
}

struct buf *buf_new_big(size_t size)
{
	if (size <= BUF_DATA)
		return buf_new(size);
	if (size > BUF_HUGE / 2 && size <= BUF_HUGE)
		return buf_with_cap(HUGE_CAP);
	return buf_with_cap(BUF_HEADROOM + size + BUF_TAILROOM);
}

struct buf *buf_copy(struct span s)
{
	struct buf *b = buf_new_big(s.n);

	if (b && s.n) {
		memcpy(b->data, s.p, s.n);
		b->len = (uint32_t)s.n;
	}
	return b;
}

struct buf *buf_slice(const struct buf *b, size_t off, size_t len)
{
	struct buf *s = buf_alloc();

	if (!s)
		return NULL;
	atomic_fetch_add_explicit(&b->chunk->refs, 1, memory_order_relaxed);
	*s = (struct buf){NULL, b->chunk, b->data + off, (uint32_t)len};
	return s;
}

void buf_free(struct buf *b)
{
	if (!b)
		return;
	chunk_unref(b->chunk);
	atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
	if (cache.buf_n < CACHE_BUF) {
		b->next = cache.bufs;
		cache.bufs = b;
		cache.buf_n++;
	} else {
		free(b);
	}
}

void buf_thread_exit(void)
{
	while (cache.large) {
		struct chunk *c = cache.large;

		cache.large = c->next;
		free(c);
	}
	while (cache.small) {
		struct chunk *c = cache.small;

		cache.small = c->next;
		free(c);
	}
	while (cache.huge) {
		struct chunk *c = cache.huge;

		cache.huge = c->next;
		free(c);
	}
	while (cache.bufs) {
		struct buf *b = cache.bufs;

		cache.bufs = b->next;
		free(b);
	}
	cache.large_n = cache.small_n = cache.huge_n = cache.buf_n = 0;
}

static bool exclusive(const struct buf *b)
{
	return atomic_load_explicit(&b->chunk->refs, memory_order_acquire) == 1;
}

size_t buf_tailroom(const struct buf *b)
{
	return exclusive(b) ? (size_t)(b->chunk->bytes + b->chunk->cap - b->data) - b->len : 0;
}

size_t buf_headroom(const struct buf *b)
{
	return exclusive(b) ? (size_t)(b->data - b->chunk->bytes) : 0;
}

uint8_t *buf_push(struct buf *b, size_t n)
{
	if (buf_headroom(b) < n)
		return NULL;
	b->data -= n;
	b->len += (uint32_t)n;
	return b->data;
}

size_t buf_footprint(const struct buf *b)
{
	return sizeof(*b) + b->chunk->cap /
		atomic_load_explicit(&b->chunk->refs, memory_order_relaxed);
}

void bufq_push(struct bufq *q, struct buf *b)
{
	if (b->len == 0) {
		buf_free(b);
		return;
	}
	b->next = NULL;
	if (q->tail)
		q->tail->next = b;
	else
		q->head = b;
	q->tail = b;
	q->len += b->len;
}

void bufq_push_front(struct bufq *q, struct buf *b)
{
	if (b->len == 0) {
		buf_free(b);
		return;
	}
	b->next = q->head;
	q->head = b;
	if (!q->tail)
		q->tail = b;
	q->len += b->len;
}

struct buf *bufq_pop(struct bufq *q)
{
	struct buf *b = q->head;

	if (!b)
		return NULL;
	q->head = b->next;
	if (!q->head)
		q->tail = NULL;
	q->len -= b->len;
	b->next = NULL;
	return b;
}

size_t bufq_move(struct bufq *to, struct bufq *from, size_t n)
{
	size_t moved = 0;

	while (moved < n && from->head) {
		struct buf *b = from->head;

		if (b->len <= n - moved) {
			bufq_pop(from);
			moved += b->len;
			bufq_push(to, b);
			continue;
		}
		struct buf *s = buf_slice(b, 0, n - moved);

		if (!s)
			break;
		buf_pull(b, s->len);
		from->len -= s->len;
		moved += s->len;
		bufq_push(to, s);
	}
	return moved;
}

enum { PACK_MAX = 512 }; /* cheaper to copy than to keep where it is */

size_t bufq_move_packed(struct bufq *to, struct bufq *from, size_t n)
{
	size_t moved = 0;

	while (moved < n && from->head) {
		size_t part = from->head->len < n - moved ? from->head->len : n - moved;

		if (part > PACK_MAX) {
			size_t got = bufq_move(to, from, part);

			moved += got;
			if (got < part)
				break;
			continue;
		}
		if (bufq_append(to, span_of(from->head->data, part)) != 0)
			break;
		bufq_drop(from, part);
		moved += part;
	}
	return moved;
}

void bufq_drop(struct bufq *q, size_t n)
{
	while (n > 0 && q->head) {
		struct buf *b = q->head;

		if (b->len > n) {
			buf_pull(b, n);
			q->len -= n;
			return;
		}
		n -= b->len;
		buf_free(bufq_pop(q));
	}
}

void bufq_clear(struct bufq *q)
{
	struct buf *b;

	while ((b = bufq_pop(q)) != NULL)
		buf_free(b);
}

int bufq_append(struct bufq *q, struct span s)
{
	while (s.n > 0) {
		struct buf *b = q->tail;
		size_t n = b ? buf_tailroom(b) : 0;

		if (n == 0) {
			b = buf_new(s.n < BUF_DATA ? s.n : BUF_DATA);
			if (!b)
				return -ERR_NOMEM;
			n = s.n < BUF_DATA ? s.n : BUF_DATA;
			memcpy(b->data, s.p, n);
			b->len = (uint32_t)n;
			bufq_push(q, b);
		} else {
			if (n > s.n)
				n = s.n;
			memcpy(b->data + b->len, s.p, n);
			b->len += (uint32_t)n;
			q->len += n;
		}
		s = span_of(s.p + n, s.n - n);
	}
	return 0;
}

size_t bufq_peek(const struct bufq *q, void *to, size_t n)
{
	size_t got = 0;

	for (const struct buf *b = q->head; b && got < n; b = b->next) {
		size_t part = b->len < n - got ? b->len : n - got;

		memcpy((uint8_t *)to + got, b->data, part);
		got += part;
	}
	return got;
}

struct span bufq_pullup(struct bufq *q, size_t n)
{
	struct buf *b;

	if (n > q->len)
		n = q->len;
	if (!q->head)
		return span_of(NULL, 0);
	if (q->head->len >= n)
		return span_of(q->head->data, n);
	b = buf_new_big(n);
	if (!b)
		return span_of(NULL, 0);
	b->len = (uint32_t)bufq_peek(q, b->data, n);
	bufq_drop(q, n);
	bufq_push_front(q, b);
	return span_of(b->data, n);
}

int bufq_iov(const struct bufq *q, struct iovec *iov, int max, size_t *bytes)
{
	int i = 0;

	*bytes = 0;
	for (const struct buf *b = q->head; b && i < max; b = b->next, i++) {
		iov[i] = (struct iovec){b->data, b->len};
		*bytes += b->len;
	}
	return i;
}

size_t bufq_footprint(const struct bufq *q)
{
	size_t sum = 0;

	for (const struct buf *b = q->head; b; b = b->next)
		sum += buf_footprint(b);
	return sum;
}
