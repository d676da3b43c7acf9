#include "proto/ssusers.h"

#include <stdlib.h>

#include "base/err.h"
#include "crypto/secret.h"

struct user {
	uint8_t hash[SS_IDENTITY];
	struct ss_key key;
};

struct ss_users {
	size_t n, slots; /* slots: a power of two, at least twice as many as users */
	uint32_t *slot;	 /* index + 1, 0 free; linear probing */
	struct user user[];
};

/* The hash is as good as random, and strangers add nothing: no seed is needed. */
static size_t first_slot(const struct ss_users *u, const uint8_t *hash)
{
	uint32_t v;

	memcpy(&v, hash, sizeof(v));
	return v & (u->slots - 1);
}

int ss_users_find(const struct ss_users *u, const uint8_t hash[SS_IDENTITY])
{
	size_t s = first_slot(u, hash);

	for (; u->slot[s]; s = (s + 1) & (u->slots - 1))
		if (secret_eq(u->user[u->slot[s] - 1].hash, hash, SS_IDENTITY))
			return (int)u->slot[s] - 1;
	return -1;
}

static void insert(struct ss_users *u, size_t i)
{
	size_t s = first_slot(u, u->user[i].hash);

	while (u->slot[s])
		s = (s + 1) & (u->slots - 1);
	u->slot[s] = (uint32_t)i + 1;
}

int ss_users_new(struct ss_users **out, const struct ss_method *m, const struct ss_key *keys,
		 size_t n, size_t *dup)
{
	struct ss_users *u;

	if (n == 0 || n > 65535)
		return -ERR_LIMIT;
	u = calloc(1, sizeof(*u) + n * sizeof(u->user[0]));
	if (!u)
		return -ERR_NOMEM;
	u->n = n;
	for (u->slots = 4; u->slots < 2 * n;)
		u->slots *= 2;
	u->slot = calloc(u->slots, sizeof(*u->slot));
	if (!u->slot) {
		ss_users_free(u);
		return -ERR_NOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		u->user[i].key = keys[i];
		ss_identity_hash(u->user[i].hash, m, &keys[i]);
		if (ss_users_find(u, u->user[i].hash) >= 0) {
			if (dup)
				*dup = i;
			ss_users_free(u);
			return -ERR_MALFORMED;
		}
		insert(u, i);
	}
	*out = u;
	return 0;
}

void ss_users_free(struct ss_users *u)
{
	if (!u)
		return;
	secret_wipe(u->user, u->n * sizeof(u->user[0]));
	free(u->slot);
	free(u);
}

const struct ss_key *ss_users_key(const struct ss_users *u, int i)
{
	return &u->user[i].key;
}
