/*
 * Salts already seen. A server that meets one again is looking at a recording.
 *
 * Exact: no false alarms, no misses while an entry lives. Callers add a salt only
 * after the bytes that came with it have been authenticated, so strangers cannot
 * fill the memory. Two ways of forgetting:
 *
 *   with a lifetime     entries live that long. When the bound is reached by live
 *                       ones, new salts are refused with -ERR_LIMIT: accepting
 *                       them unseen would let a flood open the door to replays
 *   without (0)         the oldest goes when the bound is reached; for classic
 *                       streams, which carry no time that would limit a recording
 *
 * Memory follows the number of entries (about 56 bytes each) up to the bound. The
 * clock is the caller's and must not go back. Not locked: who shares a filter
 * among threads puts a mutex around it.
 */
#ifndef GARENNE_PROTO_SSREPLAY_H
#define GARENNE_PROTO_SSREPLAY_H

#include "base/span.h"

enum {
	/* Timestamps are whole seconds and may differ by 30 either way: a header is good for
	 * less than 61 seconds. */
	SS_REPLAY_LIFETIME_MS = 61000,
	SS_REPLAY_SEED = 16,
};

struct ss_replay;

/** @max entries at most (at least 1); @seed: random bytes. Gives, or NULL. */
struct ss_replay *ss_replay_new(size_t max, uint64_t lifetime_ms,
				const uint8_t seed[SS_REPLAY_SEED]);
/** Takes NULL too. */
void ss_replay_free(struct ss_replay *r);
/**
 * Remembers @salt (at most SS_SALT_MAX bytes) from @now_ms on. 0; -ERR_REPLAY when it is known;
 * -ERR_LIMIT or -ERR_NOMEM when it cannot be remembered, then the caller refuses too.
 */
int ss_replay_add(struct ss_replay *r, struct span salt, uint64_t now_ms);
/** Entries held now, dead ones not yet swept included. */
size_t ss_replay_count(const struct ss_replay *r);

#endif
