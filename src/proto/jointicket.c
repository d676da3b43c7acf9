#include "proto/jointicket.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "crypto/secret.h"
#include "proto/joinwire.h"

static const char ticket_head[] = "GJT", mark_head[] = "GJM";
static const char id_info[] = "garenne join 1 ticket", key_info[] = "garenne join 1 seal";

/* ---- tickets ---- */

static bool name_ok(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == '/')
			return false;
	return s.n > 0 && s.n <= JOINTOKEN_NODE_MAX;
}

/* 1, 0 when more bytes are needed, or -ERR_MALFORMED. */
static int name_read(struct rd *r, char out[JOINTOKEN_NODE_MAX + 1])
{
	struct span name = rd_take(r, rd_u8(r));

	if (r->bad)
		return 0;
	if (!name_ok(name))
		return -ERR_MALFORMED;
	memcpy(out, name.p, name.n);
	out[name.n] = 0;
	return 1;
}

static void name_write(struct wr *w, struct span name)
{
	wr_u8(w, (unsigned)name.n);
	wr_bytes(w, name.p, name.n);
}

ssize_t jointicket_decode(struct jointicket *out, struct span in)
{
	struct rd r = rd_of(in);
	int head = joinwire_head_read(&r, ticket_head);
	struct jointicket t = {.expires_s = rd_u64(&r)};
	uint32_t n;
	int name;

	if (head <= 0)
		return head;
	name = name_read(&r, t.node);
	if (name <= 0)
		return name;
	n = rd_u32(&r);
	if (r.bad)
		return 0;
	if (n < JOINTICKET_TAG || n > JOINTICKET_SEALED_MAX)
		return -ERR_MALFORMED;
	t.sealed = rd_take(&r, n);
	if (r.bad)
		return 0;
	*out = t;
	return (ssize_t)(in.n - r.n);
}

int jointicket_encode(struct wr *out, const struct jointicket *in)
{
	struct span name = span_str(in->node);

	if (!name_ok(name) || in->sealed.n < JOINTICKET_TAG ||
	    in->sealed.n > JOINTICKET_SEALED_MAX)
		return -ERR_MALFORMED;
	joinwire_head_write(out, ticket_head);
	wr_u64(out, in->expires_s);
	name_write(out, name);
	wr_u32(out, (uint32_t)in->sealed.n);
	wr_bytes(out, in->sealed.p, in->sealed.n);
	return out->bad ? -ERR_LIMIT : 0;
}

/* ---- marks ---- */

ssize_t joinmark_decode(struct joinmark *out, struct span in)
{
	struct rd r = rd_of(in);
	int head = joinwire_head_read(&r, mark_head);
	struct joinmark m = {.when_s = rd_u64(&r)};
	int name;

	if (head <= 0)
		return head;
	m.expires_s = rd_u64(&r);
	if (!joinwire_ip_read(&r, &m.from))
		return r.bad ? 0 : -ERR_MALFORMED;
	rd_copy(&r, m.claim, sizeof(m.claim));
	name = name_read(&r, m.node);
	if (name <= 0)
		return name;
	*out = m;
	return (ssize_t)(in.n - r.n);
}

int joinmark_encode(struct wr *out, const struct joinmark *in)
{
	struct span name = span_str(in->node);

	if (!name_ok(name))
		return -ERR_MALFORMED;
	joinwire_head_write(out, mark_head);
	wr_u64(out, in->when_s);
	wr_u64(out, in->expires_s);
	joinwire_ip_write(out, &in->from);
	wr_bytes(out, in->claim, sizeof(in->claim));
	name_write(out, name);
	return out->bad ? -ERR_LIMIT : 0;
}

/* ---- from the secret ---- */

static int derive(uint8_t *out, size_t n, const uint8_t *secret, const char *info)
{
	return kdf_hkdf(SHA_ALG_256, out, n, span_of(secret, JOINTOKEN_SECRET), span_of(NULL, 0),
			span_str(info)) == 0 ? 0 : -ERR_NOMEM;
}

int jointicket_id(uint8_t out[JOINTICKET_ID], const uint8_t secret[JOINTOKEN_SECRET])
{
	return derive(out, JOINTICKET_ID, secret, id_info);
}

char *jointicket_id_text(const uint8_t id[JOINTICKET_ID], char out[JOINTICKET_ID_TEXT])
{
	for (size_t i = 0; i < JOINTICKET_ID; i++)
		snprintf(out + 2 * i, 3, "%02x", id[i]);
	return out;
}

static struct aead *cipher(const uint8_t *secret)
{
	uint8_t key[AEAD_KEY_MAX];
	struct aead *a = NULL;

	if (derive(key, sizeof(key), secret, key_info) == 0)
		a = aead_new(AEAD_CHACHA20_POLY1305, key);
	secret_wipe(key, sizeof(key));
	return a;
}

static const uint8_t zero_nonce[AEAD_NONCE_MAX];

int jointicket_seal(uint8_t *out, const uint8_t secret[JOINTOKEN_SECRET], const char *node,
		    struct span text)
{
	struct aead *a = cipher(secret);
	int err = a ? aead_seal(a, zero_nonce, span_str(node), out, text) : -ERR_NOMEM;

	aead_free(a);
	return err;
}

int jointicket_open(uint8_t *out, const uint8_t secret[JOINTOKEN_SECRET], const char *node,
		    struct span sealed)
{
	struct aead *a = cipher(secret);
	int err = a ? aead_open(a, zero_nonce, span_str(node), out, sealed) : -ERR_NOMEM;

	aead_free(a);
	return err;
}
