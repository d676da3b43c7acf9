/*
 * The users of a 2022 server, found by the 16 bytes that identity headers carry:
 * the hash of the user's key. Never changes after it was made; threads share it.
 */
#ifndef GARENNE_PROTO_SSUSERS_H
#define GARENNE_PROTO_SSUSERS_H

#include "proto/ss.h"

struct ss_users;

/**
 * Copies @n keys (1..65535). 0 and gives *@out; -ERR_MALFORMED when two are equal,
 * the later one's index in *@dup (may be NULL); -ERR_LIMIT; -ERR_NOMEM.
 */
int ss_users_new(struct ss_users **out, const struct ss_method *m, const struct ss_key *keys,
		 size_t n, size_t *dup);
/** Wipes the keys. Takes NULL too. */
void ss_users_free(struct ss_users *u);
/** The index of the user with @hash, as in the array given to ss_users_new, or -1. */
int ss_users_find(const struct ss_users *u, const uint8_t hash[SS_IDENTITY]);
/** Borrows; @i as found. */
const struct ss_key *ss_users_key(const struct ss_users *u, int i);

#endif
