/*
 * A table of byte strings, each with a small number: what every exact look-up
 * in this folder is made of (tags, emails, names, suffixes of names).
 *
 * Filled once, then sealed, then only read, by any number of threads. A string
 * costs its length and about 11 bytes. A miss usually touches one cache line: a
 * byte of the hash per slot is kept apart from the slots.
 *
 * The hash runs from the last byte to the first, so that one pass over a name
 * yields the hashes of all its suffixes (domkey.h). It is not keyed: strangers
 * choose what is looked up, never what is in the table, and a probe sequence is
 * no longer than the longest run of full slots.
 */
#ifndef GARENNE_ROUTE_STRTAB_H
#define GARENNE_ROUTE_STRTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
	STRTAB_KEY_MAX = 1023, /* bytes of a string */
	STRTAB_VALUE_MAX = (1 << 22) - 1,
	STRTAB_NONE = -1,
};

/* Zero-initialise. Members are private. */
struct strtab {
	uint8_t *tag;  /* per slot: 0 empty, else a byte of the hash */
	uint32_t *off; /* per slot: its entry in @blob */
	uint8_t *blob; /* entries: value << 10 | length in four bytes, then the string */
	size_t used, cap;
	uint32_t slots, n;
	uint16_t min_len, max_len;
};

/* The hash in two halves: steps from right to left, then a last mix. */
#define STRTAB_HASH_START 0x9ae16a3b2f90404fu

static inline uint64_t strtab_hash_step(uint64_t h, uint8_t c)
{
	return (h ^ c) * 0x9fb21c651e98df25u;
}

static inline uint32_t strtab_hash_end(uint64_t h)
{
	h ^= h >> 29;
	h *= 0xd6e8feb86659fd93u;
	return (uint32_t)(h >> 32);
}

uint32_t strtab_hash(struct span key);

/**
 * Puts @key with @value, or lowers the value it has. The value it has then, or
 * -ERR_LIMIT when key or value are too large or the table is full, -ERR_NOMEM.
 */
int strtab_put(struct strtab *t, struct span key, uint32_t value);
/** Ends the filling: gives back spare memory. 0 or -ERR_NOMEM (the table works even then). */
int strtab_seal(struct strtab *t);
void strtab_fini(struct strtab *t);

/** The value, or STRTAB_NONE; @hash is strtab_hash(@key). */
int strtab_find(const struct strtab *t, struct span key, uint32_t hash);
size_t strtab_memory(const struct strtab *t);

#endif
