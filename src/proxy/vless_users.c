#include "proxy/vless_users.h"

#include <stdlib.h>

#include "crypto/rand.h"
#include "proto/vless.h"

struct vless_users {
	uint64_t seed; /* so that nobody can choose ids that collide */
	size_t mask;
	const struct conf_vless_user *slot[]; /* open addressing, at most half full */
};

static size_t place(const struct vless_users *t, const struct uuid *id)
{
	struct uuid key = vless_id_key(id);
	uint64_t lo, hi;

	memcpy(&lo, key.b, 8);
	memcpy(&hi, key.b + 8, 8);
	lo = (lo ^ t->seed) * 0x9e3779b97f4a7c15u;
	hi = (hi ^ (lo >> 29)) * 0xbf58476d1ce4e5b9u;
	return (size_t)(hi >> 20) & t->mask;
}

struct vless_users *vless_users_new(const struct conf_vless_user *users, size_t n)
{
	size_t size = 8;
	struct vless_users *t;

	while (size < n * 2)
		size *= 2;
	t = calloc(1, sizeof(*t) + size * sizeof(t->slot[0]));
	if (!t)
		return NULL;
	t->mask = size - 1;
	if (rand_bytes(&t->seed, sizeof(t->seed)) != 0) {
		free(t);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		size_t at = place(t, &users[i].id);

		/* Of two users with one id the later counts. */
		while (t->slot[at] && !vless_id_match(&t->slot[at]->id, &users[i].id))
			at = (at + 1) & t->mask;
		t->slot[at] = &users[i];
	}
	return t;
}

void vless_users_free(struct vless_users *t)
{
	free(t);
}

const struct conf_vless_user *vless_users_find(const struct vless_users *t,
					       const struct uuid *received)
{
	for (size_t at = place(t, received); t->slot[at]; at = (at + 1) & t->mask)
		if (vless_id_match(&t->slot[at]->id, received))
			return t->slot[at];
	return NULL;
}
