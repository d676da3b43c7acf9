#include "proto/ss2022.h"

#include "base/err.h"
#include "crypto/aesblock.h"
#include "crypto/secret.h"
#include "proto/netaddr.h"

enum {
	TYPE_REQUEST = 0,
	TYPE_RESPONSE = 1,
	FIXED_PLAIN = SS2022_FIXED - AEAD_TAG,
	RESPONSE_PLAIN_MAX = 1 + 8 + SS_SALT_MAX + 2,
	PADDING_TYPICAL = SS2022_PADDING_MAX, /* first payloads below this are padded up to it */
};

static const uint8_t zeros[SS2022_PADDING_MAX];

uint16_t ss2022_padding(size_t payload, uint32_t random)
{
	if (payload >= PADDING_TYPICAL)
		return 0;
	return (uint16_t)(1 + random % SS2022_PADDING_MAX);
}

int ss2022_time_check(uint64_t theirs, uint64_t ours, int64_t *skew)
{
	uint64_t apart = theirs > ours ? theirs - ours : ours - theirs;

	if (skew) {
		*skew = apart > INT64_MAX ? INT64_MAX : (int64_t)apart;
		if (theirs < ours)
			*skew = -*skew;
	}
	return apart > SS2022_SKEW_MAX ? -ERR_CLOCK : 0;
}

int ss2022_user_find(const struct ss2022_server *s, const uint8_t hash[SS_IDENTITY], int *user,
		     const struct ss_key **key)
{
	int i = ss_users_find(s->users, hash);

	if (i < 0)
		return -ERR_AUTH;
	*user = i;
	*key = ss_users_key(s->users, i);
	return 0;
}

/* Header @i leads a server that holds key i to key i + 1. */
static int write_identity(struct wr *out, const struct ss_chain *keys, const uint8_t *salt)
{
	for (size_t i = 0; i + 1 < keys->n; i++) {
		uint8_t sub[SS_KEY_MAX], hash[SS_IDENTITY];
		uint8_t *at = wr_room(out, SS_IDENTITY);
		int err;

		if (!at)
			return -ERR_LIMIT;
		ss_identity_subkey(sub, keys->method, &keys->key[i], salt);
		ss_identity_hash(hash, keys->method, &keys->key[i + 1]);
		err = aesblock_once(AESBLOCK_ENCRYPT, sub, keys->method->key_len, at, hash);
		secret_wipe(sub, sizeof(sub));
		if (err != 0)
			return err;
	}
	return 0;
}

static size_t variable_len(const struct ss2022_request *req)
{
	return netaddr_size(&req->target) + 2 + req->padding + req->payload.n;
}

size_t ss2022_request_len(const struct ss_chain *keys, const struct ss2022_request *req)
{
	return (size_t)keys->method->key_len + SS_IDENTITY * (keys->n - 1) + SS2022_FIXED +
	       variable_len(req) + AEAD_TAG;
}

static int write_headers(struct wr *out, struct ss_writer *w, const struct ss2022_request *req,
			 uint64_t unix_s)
{
	uint8_t fixed[FIXED_PLAIN], start[NETADDR_MAX + 2];
	struct wr f = wr_of(fixed, sizeof(fixed)), v = wr_of(start, sizeof(start));
	struct span item, parts[3];
	int err = netaddr_write_socks(&v, &req->target);

	if (err != 0)
		return err;
	wr_u16(&v, req->padding);
	wr_u8(&f, TYPE_REQUEST);
	wr_u64(&f, unix_s);
	wr_u16(&f, (unsigned)variable_len(req));
	item = span_of(fixed, f.n);
	err = ss_writer_item(w, out, &item, 1);
	if (err != 0)
		return err;
	parts[0] = span_of(start, v.n);
	parts[1] = span_of(zeros, req->padding);
	parts[2] = req->payload;
	return ss_writer_item(w, out, parts, 3);
}

int ss2022_request_seal(struct wr *out, struct ss_writer *w, const struct ss_chain *keys,
			const uint8_t *salt, const struct ss2022_request *req, uint64_t unix_s)
{
	int err;

	memset(w, 0, sizeof(*w));
	if (req->target.kind == ADDR_NONE || (req->padding == 0 && req->payload.n == 0))
		return -ERR_MALFORMED;
	if (req->padding > SS2022_PADDING_MAX || req->payload.n > SS_CHUNK_2022 ||
	    variable_len(req) > SS_CHUNK_2022)
		return -ERR_LIMIT;
	wr_bytes(out, salt, keys->method->key_len);
	err = write_identity(out, keys, salt);
	if (err == 0)
		err = ss_writer_init(w, keys->method, ss_chain_user(keys), salt);
	if (err == 0)
		err = write_headers(out, w, req, unix_s);
	return err;
}

size_t ss2022_response_len(const struct ss_method *m)
{
	return (size_t)m->key_len + 1 + 8 + m->key_len + 2 + AEAD_TAG;
}

int ss2022_response_open(struct ss_reader *r, const struct ss_chain *keys,
			 const uint8_t *request_salt, struct span in, uint64_t unix_s,
			 int64_t *skew)
{
	const struct ss_method *m = keys->method;
	uint8_t plain[RESPONSE_PLAIN_MAX];
	struct rd rd = rd_of(in);
	struct span salt = rd_take(&rd, m->key_len);
	struct span sealed = rd_take(&rd, 1 + 8 + (size_t)m->key_len + 2 + AEAD_TAG);
	uint8_t type;
	uint64_t when;
	int err;

	memset(r, 0, sizeof(*r));
	if (rd.bad || rd.n != 0)
		return -ERR_MALFORMED;
	err = ss_reader_init(r, m, ss_chain_user(keys), salt.p);
	if (err == 0)
		err = ss_reader_item(r, plain, sealed);
	if (err != 0)
		return err;
	rd = rd_of(span_of(plain, sealed.n - AEAD_TAG));
	type = rd_u8(&rd);
	when = rd_u64(&rd);
	salt = rd_take(&rd, m->key_len);
	if (type != TYPE_RESPONSE)
		return -ERR_MALFORMED;
	if (!secret_eq(salt.p, request_salt, salt.n))
		return -ERR_AUTH;
	ss_reader_expect(r, rd_u16(&rd));
	return ss2022_time_check(when, unix_s, skew);
}

size_t ss2022_head_len(const struct ss2022_server *s)
{
	return (size_t)s->method->key_len + (s->users ? SS_IDENTITY : 0) + SS2022_FIXED;
}

static int find_user(struct ss2022_head *out, const struct ss2022_server *s, const uint8_t *salt,
		     struct span identity)
{
	uint8_t sub[SS_KEY_MAX], hash[SS_IDENTITY];
	int err;

	out->user = 0;
	out->key = &s->key;
	if (!s->users)
		return 0;
	ss_identity_subkey(sub, s->method, &s->key, salt);
	err = aesblock_once(AESBLOCK_DECRYPT, sub, s->method->key_len, hash, identity.p);
	secret_wipe(sub, sizeof(sub));
	return err ? err : ss2022_user_find(s, hash, &out->user, &out->key);
}

/* Type, time and salt of an authentic fixed header. */
static int judge(struct ss2022_head *out, struct span plain, struct span salt,
		 const struct ss2022_time *now, struct ss_replay *replay, int64_t *skew)
{
	struct rd rd = rd_of(plain);
	uint8_t type = rd_u8(&rd);
	uint64_t when = rd_u64(&rd);
	int err;

	out->rest = (size_t)rd_u16(&rd) + AEAD_TAG;
	if (type != TYPE_REQUEST)
		return -ERR_MALFORMED;
	err = ss2022_time_check(when, now->unix_s, skew);
	if (err == 0 && replay)
		err = ss_replay_add(replay, salt, now->mono_ms);
	return err;
}

int ss2022_head_open(struct ss2022_head *out, struct ss_reader *r, const struct ss2022_server *s,
		     struct span in, const struct ss2022_time *now, struct ss_replay *replay,
		     int64_t *skew)
{
	uint8_t plain[FIXED_PLAIN];
	struct ss2022_head h = {0};
	struct rd rd = rd_of(in);
	struct span salt = rd_take(&rd, s->method->key_len);
	struct span identity = rd_take(&rd, s->users ? SS_IDENTITY : 0);
	struct span sealed = rd_take(&rd, SS2022_FIXED);
	int err;

	memset(r, 0, sizeof(*r));
	if (rd.bad || rd.n != 0)
		return -ERR_MALFORMED;
	memcpy(h.salt, salt.p, salt.n);
	err = find_user(&h, s, salt.p, identity);
	if (err == 0)
		err = ss_reader_init(r, s->method, h.key, salt.p);
	if (err == 0)
		err = ss_reader_item(r, plain, sealed);
	if (err == 0)
		err = judge(&h, span_of(plain, sizeof(plain)), salt, now, replay, skew);
	if (err != 0)
		return err;
	ss_reader_expect(r, h.rest - AEAD_TAG);
	*out = h;
	return 0;
}

int ss2022_request_open(struct ss2022_request *out, struct ss_reader *r, uint8_t *item, size_t n)
{
	struct ss2022_request req = {0};
	struct span plain;
	struct rd rd;
	int err;

	if (n != ss_reader_need(r))
		return -ERR_MALFORMED;
	err = ss_reader_open(r, item, &plain);
	if (err != 0)
		return err;
	rd = rd_of(plain);
	if (netaddr_read_socks(&rd, &req.target) != 1)
		return -ERR_MALFORMED;
	req.padding = rd_u16(&rd);
	rd_take(&rd, req.padding);
	req.payload = rd_take(&rd, rd.n);
	if (rd.bad || (req.padding == 0 && req.payload.n == 0))
		return -ERR_MALFORMED;
	*out = req;
	return 0;
}

int ss2022_response_seal(struct wr *out, struct ss_writer *w, const struct ss_method *m,
			 const struct ss2022_head *head, const uint8_t *salt, struct span payload,
			 uint64_t unix_s)
{
	uint8_t plain[RESPONSE_PLAIN_MAX];
	struct wr p = wr_of(plain, sizeof(plain));
	struct span item;
	int err;

	memset(w, 0, sizeof(*w));
	if (payload.n == 0)
		return -ERR_MALFORMED;
	if (payload.n > SS_CHUNK_2022)
		return -ERR_LIMIT;
	wr_bytes(out, salt, m->key_len);
	wr_u8(&p, TYPE_RESPONSE);
	wr_u64(&p, unix_s);
	wr_bytes(&p, head->salt, m->key_len);
	wr_u16(&p, (unsigned)payload.n);
	item = span_of(plain, p.n);
	err = ss_writer_init(w, m, head->key, salt);
	if (err == 0)
		err = ss_writer_item(w, out, &item, 1);
	if (err == 0)
		err = ss_writer_item(w, out, &payload, 1);
	return err;
}
