/*
 * A ring of entries in the order of their arrival, and chains through them by
 * hash. All entries live equally long, so the oldest is always the next to go.
 */
#include "proto/ssreplay.h"

#include <stdlib.h>

#include "base/err.h"
#include "crypto/siphash.h"
#include "proto/ss.h"

enum { FIRST_CAP = 64 };

struct entry {
	uint64_t added_ms;
	uint32_t next; /* index + 1 in the chain, 0 at its end */
	uint8_t salt[SS_SALT_MAX];
	uint8_t n;
};

struct ss_replay {
	struct entry *ring;
	uint32_t *bucket; /* index + 1 of the newest entry */
	size_t cap;	  /* a power of two; also the number of buckets */
	size_t first, count, max;
	uint64_t lifetime_ms;
	uint8_t seed[SS_REPLAY_SEED];
};

struct ss_replay *ss_replay_new(size_t max, uint64_t lifetime_ms,
				const uint8_t seed[SS_REPLAY_SEED])
{
	struct ss_replay *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->max = max < 1 ? 1 : max > INT32_MAX ? INT32_MAX : max;
	r->lifetime_ms = lifetime_ms;
	memcpy(r->seed, seed, sizeof(r->seed));
	return r;
}

void ss_replay_free(struct ss_replay *r)
{
	if (!r)
		return;
	free(r->ring);
	free(r->bucket);
	free(r);
}

size_t ss_replay_count(const struct ss_replay *r)
{
	return r->count;
}

static uint32_t *bucket_of(struct ss_replay *r, struct span salt)
{
	return &r->bucket[siphash(r->seed, salt) & (r->cap - 1)];
}

static void chain_in(struct ss_replay *r, size_t at)
{
	struct entry *e = &r->ring[at];
	uint32_t *b = bucket_of(r, span_of(e->salt, e->n));

	e->next = *b;
	*b = (uint32_t)at + 1;
}

static void drop_oldest(struct ss_replay *r)
{
	const struct entry *e = &r->ring[r->first];
	uint32_t *link = bucket_of(r, span_of(e->salt, e->n));

	while (*link != r->first + 1)
		link = &r->ring[*link - 1].next;
	*link = e->next;
	r->first = (r->first + 1) & (r->cap - 1);
	r->count--;
}

static int grow(struct ss_replay *r)
{
	size_t cap = r->cap ? 2 * r->cap : FIRST_CAP;
	struct entry *ring = malloc(cap * sizeof(*ring));
	uint32_t *bucket = calloc(cap, sizeof(*bucket));

	if (!ring || !bucket) {
		free(ring);
		free(bucket);
		return -ERR_NOMEM;
	}
	for (size_t i = 0; i < r->count; i++)
		ring[i] = r->ring[(r->first + i) & (r->cap - 1)];
	free(r->ring);
	free(r->bucket);
	r->ring = ring;
	r->bucket = bucket;
	r->cap = cap;
	r->first = 0;
	for (size_t i = 0; i < r->count; i++)
		chain_in(r, i);
	return 0;
}

static bool known(struct ss_replay *r, struct span salt)
{
	uint32_t at;

	if (r->cap == 0)
		return false;
	for (at = *bucket_of(r, salt); at; at = r->ring[at - 1].next)
		if (span_eq(span_of(r->ring[at - 1].salt, r->ring[at - 1].n), salt))
			return true;
	return false;
}

static void sweep(struct ss_replay *r, uint64_t now_ms)
{
	while (r->count > 0 && r->lifetime_ms > 0 &&
	       now_ms - r->ring[r->first].added_ms >= r->lifetime_ms)
		drop_oldest(r);
}

static int make_room(struct ss_replay *r)
{
	if (r->count == r->max) {
		if (r->lifetime_ms > 0)
			return -ERR_LIMIT;
		drop_oldest(r);
	}
	return r->count == r->cap ? grow(r) : 0;
}

int ss_replay_add(struct ss_replay *r, struct span salt, uint64_t now_ms)
{
	struct entry *e;
	size_t at;
	int err;

	if (salt.n == 0 || salt.n > SS_SALT_MAX)
		return -ERR_LIMIT;
	sweep(r, now_ms);
	if (known(r, salt))
		return -ERR_REPLAY;
	err = make_room(r);
	if (err != 0)
		return err;
	at = (r->first + r->count) & (r->cap - 1);
	e = &r->ring[at];
	e->added_ms = now_ms;
	e->n = (uint8_t)salt.n;
	memcpy(e->salt, salt.p, salt.n);
	chain_in(r, at);
	r->count++;
	return 0;
}
