/*
 * Open addressing with linear probing, three slots in four full at most. The
 * entries lie one after the other in a blob, so growing walks them in order and
 * nothing but the slots is built anew.
 */
#include "route/strtab.h"

#include <stdlib.h>

#include "base/err.h"

enum {
	HEAD = 4,
	LEN_BITS = 10,
	SLOTS_MIN = 8,
};

uint32_t strtab_hash(struct span key)
{
	uint64_t h = STRTAB_HASH_START;

	for (size_t i = key.n; i > 0; i--)
		h = strtab_hash_step(h, key.p[i - 1]);
	return strtab_hash_end(h);
}

static uint32_t entry_head(const struct strtab *t, uint32_t off)
{
	uint32_t head;

	memcpy(&head, t->blob + off, HEAD);
	return head;
}

static struct span entry_key(const struct strtab *t, uint32_t off)
{
	return span_of(t->blob + off + HEAD, entry_head(t, off) & STRTAB_KEY_MAX);
}

static uint8_t tag_of(uint32_t hash)
{
	uint8_t tag = (uint8_t)hash;

	return tag ? tag : 1;
}

static uint32_t slot_of(const struct strtab *t, uint32_t hash)
{
	return (uint32_t)((uint64_t)hash * t->slots >> 32);
}

/* The slot that holds @key, or the empty one where it belongs. */
static uint32_t slot_find(const struct strtab *t, struct span key, uint32_t hash)
{
	uint8_t tag = tag_of(hash);
	uint32_t i = slot_of(t, hash);

	while (t->tag[i] != 0) {
		if (t->tag[i] == tag && span_eq(entry_key(t, t->off[i]), key))
			break;
		i = i + 1 == t->slots ? 0 : i + 1;
	}
	return i;
}

/* Entries are distinct, so no keys need to be compared. */
static void slot_fill(struct strtab *t, uint32_t off)
{
	uint32_t hash = strtab_hash(entry_key(t, off));
	uint32_t i = slot_of(t, hash);

	while (t->tag[i] != 0)
		i = i + 1 == t->slots ? 0 : i + 1;
	t->tag[i] = tag_of(hash);
	t->off[i] = off;
}

static int resize(struct strtab *t, uint32_t slots)
{
	uint8_t *tag = calloc(slots, sizeof(*tag));
	uint32_t *off = malloc(slots * sizeof(*off));

	if (!tag || !off) {
		free(tag);
		free(off);
		return -ERR_NOMEM;
	}
	free(t->tag);
	free(t->off);
	t->tag = tag;
	t->off = off;
	t->slots = slots;
	for (size_t at = 0; at < t->used;) {
		slot_fill(t, (uint32_t)at);
		at += HEAD + entry_key(t, (uint32_t)at).n;
	}
	return 0;
}

static int reserve(struct strtab *t, size_t n)
{
	size_t cap = t->cap ? t->cap * 2 : 64;
	uint8_t *blob;

	if (n <= t->cap - t->used)
		return 0;
	if (t->used > UINT32_MAX - n)
		return -ERR_LIMIT;
	while (n > cap - t->used)
		cap *= 2;
	blob = realloc(t->blob, cap);
	if (!blob)
		return -ERR_NOMEM;
	t->blob = blob;
	t->cap = cap;
	return 0;
}

static int entry_add(struct strtab *t, uint32_t slot, struct span key, uint32_t hash,
		     uint32_t value)
{
	uint32_t head = value << LEN_BITS | (uint32_t)key.n;
	int err = reserve(t, HEAD + key.n);

	if (err)
		return err;
	memcpy(t->blob + t->used, &head, HEAD);
	if (key.n)
		memcpy(t->blob + t->used + HEAD, key.p, key.n);
	t->tag[slot] = tag_of(hash);
	t->off[slot] = (uint32_t)t->used;
	t->used += HEAD + key.n;
	if (t->n == 0 || key.n < t->min_len)
		t->min_len = (uint16_t)key.n;
	if (key.n > t->max_len)
		t->max_len = (uint16_t)key.n;
	t->n++;
	return (int)value;
}

int strtab_put(struct strtab *t, struct span key, uint32_t value)
{
	uint32_t hash = strtab_hash(key);
	uint32_t slot, head;

	if (key.n > STRTAB_KEY_MAX || value > STRTAB_VALUE_MAX)
		return -ERR_LIMIT;
	if (t->n >= t->slots / 4 * 3) {
		int err = t->slots > UINT32_MAX / 2
				  ? -ERR_LIMIT
				  : resize(t, t->slots ? t->slots * 2 : SLOTS_MIN);

		if (err)
			return err;
	}
	slot = slot_find(t, key, hash);
	if (t->tag[slot] == 0)
		return entry_add(t, slot, key, hash, value);
	head = entry_head(t, t->off[slot]);
	if (head >> LEN_BITS > value) {
		head = value << LEN_BITS | (uint32_t)key.n;
		memcpy(t->blob + t->off[slot], &head, HEAD);
	}
	return (int)(head >> LEN_BITS);
}

int strtab_seal(struct strtab *t)
{
	uint32_t slots = t->n + t->n / 3 + 2;
	uint8_t *blob;

	if (t->n == 0)
		return 0;
	if (t->cap > t->used) {
		blob = realloc(t->blob, t->used);
		if (!blob)
			return -ERR_NOMEM;
		t->blob = blob;
		t->cap = t->used;
	}
	return slots < t->slots ? resize(t, slots) : 0;
}

void strtab_fini(struct strtab *t)
{
	free(t->tag);
	free(t->off);
	free(t->blob);
	*t = (struct strtab){0};
}

int strtab_find(const struct strtab *t, struct span key, uint32_t hash)
{
	uint32_t slot;

	if (t->n == 0 || key.n < t->min_len || key.n > t->max_len)
		return STRTAB_NONE;
	slot = slot_find(t, key, hash);
	return t->tag[slot] ? (int)(entry_head(t, t->off[slot]) >> LEN_BITS) : STRTAB_NONE;
}

size_t strtab_memory(const struct strtab *t)
{
	return t->cap + (size_t)t->slots * (sizeof(*t->tag) + sizeof(*t->off));
}
