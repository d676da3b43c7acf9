#include "proto/ssaead.h"

#include <stdlib.h>

#include "base/err.h"
#include "crypto/secret.h"
#include "proto/netaddr.h"

size_t ssaead_head_len(const struct ssaead_user *users, size_t n)
{
	size_t max = 0;

	for (size_t i = 0; i < n; i++)
		if (users[i].method->key_len > max)
			max = users[i].method->key_len;
	return max + SS_LENGTH;
}

/* 0 when the first item opens under this user's key, -ERR_AUTH when it does not. */
static int try_user(struct ss_reader *r, const struct ssaead_user *u, struct span in)
{
	uint8_t item[SS_LENGTH];
	size_t salt = u->method->key_len;
	struct span plain;
	int err;

	if (in.n < salt + SS_LENGTH)
		return -ERR_AUTH;
	err = ss_reader_init(r, u->method, &u->key, in.p);
	if (err != 0)
		return err;
	memcpy(item, in.p + salt, sizeof(item));
	return ss_reader_open(r, item, &plain);
}

ssize_t ssaead_head_open(struct ss_reader *r, size_t *user, const struct ssaead_user *users,
			 size_t n, struct span in, struct ss_replay *replay, uint64_t mono_ms)
{
	memset(r, 0, sizeof(*r));
	for (size_t i = 0; i < n; i++) {
		size_t salt = users[i].method->key_len;
		int err = try_user(r, &users[i], in);

		if (err == -ERR_AUTH) {
			ss_reader_fini(r);
			continue;
		}
		if (err == 0 && replay)
			err = ss_replay_add(replay, span_of(in.p, salt), mono_ms);
		if (err != 0)
			return err;
		*user = i;
		return (ssize_t)(salt + SS_LENGTH);
	}
	return -ERR_AUTH;
}

ssize_t ssaead_start(struct wr *out, struct ss_writer *w, const struct ssaead_user *user,
		     const uint8_t *salt, const struct addr *target, struct span payload)
{
	uint8_t address[NETADDR_MAX], be[2];
	struct wr a = wr_of(address, sizeof(address));
	struct span parts[2], length = span_of(be, 2);
	size_t room, len;
	int err = 0;

	memset(w, 0, sizeof(*w));
	if (target->kind != ADDR_NONE)
		err = netaddr_write_socks(&a, target);
	wr_bytes(out, salt, user->method->key_len);
	if (err == 0)
		err = ss_writer_init(w, user->method, &user->key, salt);
	room = out->bad ? 0 : out->cap - out->n;
	if (err == 0 && (out->bad || (a.n > 0 && room < SS_CHUNK_OVERHEAD + a.n)))
		err = -ERR_LIMIT;
	if (err != 0)
		return err;
	room = room > SS_CHUNK_OVERHEAD + a.n ? room - SS_CHUNK_OVERHEAD - a.n : 0;
	len = payload.n < room ? payload.n : room;
	if (len > w->max - a.n)
		len = w->max - a.n;
	if (a.n + len == 0)
		return 0; /* a chunk of length zero means different things to different peers */
	be[0] = (uint8_t)((a.n + len) >> 8);
	be[1] = (uint8_t)(a.n + len);
	parts[0] = span_of(address, a.n);
	parts[1] = span_of(payload.p, len);
	err = ss_writer_item(w, out, &length, 1);
	if (err == 0)
		err = ss_writer_item(w, out, parts, 2);
	return err ? err : (ssize_t)len;
}

struct ssaead_packets {
	struct aead *aead[AEAD_MAX_]; /* made when first needed */
	size_t n;
	struct ssaead_user user[];
};

static const uint8_t zero_nonce[AEAD_NONCE_MAX];

struct ssaead_packets *ssaead_packets_new(const struct ssaead_user *users, size_t n)
{
	struct ssaead_packets *p = calloc(1, sizeof(*p) + n * sizeof(p->user[0]));

	if (!p)
		return NULL;
	p->n = n;
	memcpy(p->user, users, n * sizeof(p->user[0]));
	return p;
}

void ssaead_packets_free(struct ssaead_packets *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < AEAD_MAX_; i++)
		aead_free(p->aead[i]);
	secret_wipe(p->user, p->n * sizeof(p->user[0]));
	free(p);
}

/* The cipher keyed for one packet of @u. */
static int keyed(struct ssaead_packets *p, const struct ssaead_user *u, const uint8_t *salt,
		 struct aead **out)
{
	struct aead **slot = &p->aead[u->method->aead];
	uint8_t sub[SS_KEY_MAX];
	int err = ss_subkey(sub, u->method, &u->key, span_of(salt, u->method->key_len));

	if (err == 0 && *slot)
		err = aead_set_key(*slot, sub);
	else if (err == 0 && !(*slot = aead_new(u->method->aead, sub)))
		err = -ERR_NOMEM;
	secret_wipe(sub, sizeof(sub));
	*out = *slot;
	return err;
}

size_t ssaead_packet_overhead(const struct ssaead_packets *p, size_t user, const struct addr *addr)
{
	return p->user[user].method->key_len + netaddr_size(addr) + AEAD_TAG;
}

int ssaead_packet_seal(struct ssaead_packets *p, struct wr *out, size_t user, const uint8_t *salt,
		       const struct addr *addr, struct span payload)
{
	const struct ssaead_user *u = &p->user[user];
	uint8_t address[NETADDR_MAX];
	struct wr a = wr_of(address, sizeof(address));
	struct span parts[2];
	struct aead *aead;
	uint8_t *at;
	int err = netaddr_write_socks(&a, addr);

	if (err != 0)
		return err;
	if (payload.n > SIZE_MAX / 2)
		return -ERR_LIMIT;
	wr_bytes(out, salt, u->method->key_len);
	at = wr_room(out, a.n + payload.n + AEAD_TAG);
	if (!at)
		return -ERR_LIMIT;
	err = keyed(p, u, salt, &aead);
	if (err != 0)
		return err;
	parts[0] = span_of(address, a.n);
	parts[1] = payload;
	return aead_seal_parts(aead, zero_nonce, span_of(NULL, 0), at, parts, 2);
}

int ssaead_packet_open(struct ssaead_packets *p, struct ssaead_packet *out, struct span in,
		       uint8_t *room)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct ssaead_user *u = &p->user[i];
		size_t salt = u->method->key_len;
		struct ssaead_packet pkt = {.user = i};
		struct aead *aead;
		struct rd rd;
		int err;

		if (in.n < salt + AEAD_TAG)
			continue;
		err = keyed(p, u, in.p, &aead);
		if (err != 0)
			return err;
		if (aead_open(aead, zero_nonce, span_of(NULL, 0), room,
			      span_of(in.p + salt, in.n - salt)) != 0)
			continue;
		rd = rd_of(span_of(room, in.n - salt - AEAD_TAG));
		if (netaddr_read_socks(&rd, &pkt.addr) != 1)
			return -ERR_MALFORMED;
		pkt.payload = rd_take(&rd, rd.n);
		*out = pkt;
		return 0;
	}
	return -ERR_AUTH;
}
