#include "proto/reality.h"

#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "crypto/secret.h"
#include "crypto/sha.h"
#include "crypto/x25519.h"

enum {
	SALT_LEN = 20, /* the first bytes of random; the other 12 are the nonce */
	ID_LEN = 16,   /* a sealed id without its tag */
	HELLO_CLIENT = 1,
};

/* ---- the session id ---- */

int reality_auth_key(uint8_t out[REALITY_KEY_LEN], const uint8_t shared[REALITY_KEY_LEN],
		     const uint8_t random[REALITY_RANDOM_LEN])
{
	return kdf_hkdf(SHA_ALG_256, out, REALITY_KEY_LEN, span_of(shared, REALITY_KEY_LEN),
			span_of(random, SALT_LEN), span_str("REALITY"));
}

static bool has_place(const uint8_t *hello, size_t n)
{
	return n >= REALITY_SID_AT + REALITY_SID_LEN && hello[0] == HELLO_CLIENT &&
	       hello[REALITY_SID_AT - 1] == REALITY_SID_LEN;
}

/* What is authenticated has zeros where the id stands, and the hello is not ours to change: a copy.
 * Nobody's hello comes near this size. */
enum { HELLO_MAX = 16384 };

static int blank_copy(uint8_t *to, struct span hello)
{
	if (hello.n > HELLO_MAX || !has_place(hello.p, hello.n))
		return -ERR_MALFORMED;
	memcpy(to, hello.p, hello.n);
	memset(to + REALITY_SID_AT, 0, REALITY_SID_LEN);
	return 0;
}

int reality_id_seal(uint8_t *hello, size_t n, const uint8_t auth_key[REALITY_KEY_LEN],
		    const struct reality_id *id)
{
	uint8_t plain[ID_LEN], sealed[REALITY_SID_LEN];
	struct wr w = wr_of(plain, sizeof(plain));
	struct aead *a;
	int err;

	if (n > HELLO_MAX || !has_place(hello, n))
		return -ERR_MALFORMED;
	a = aead_new(AEAD_AES_256_GCM, auth_key);
	if (!a)
		return -ERR_NOMEM;
	wr_bytes(&w, id->version, sizeof(id->version));
	wr_u8(&w, 0);
	wr_u32(&w, id->time_s);
	wr_bytes(&w, id->short_id, sizeof(id->short_id));
	memset(hello + REALITY_SID_AT, 0, REALITY_SID_LEN);
	err = aead_seal(a, hello + REALITY_RANDOM_AT + SALT_LEN, span_of(hello, n), sealed,
			span_of(plain, sizeof(plain)));
	if (err == 0)
		memcpy(hello + REALITY_SID_AT, sealed, sizeof(sealed));
	secret_wipe(plain, sizeof(plain));
	aead_free(a);
	return err;
}

int reality_id_open(struct reality_id *out, struct span hello,
		    const uint8_t auth_key[REALITY_KEY_LEN])
{
	uint8_t blank[HELLO_MAX], plain[ID_LEN];
	struct rd r = rd_of(span_of(plain, sizeof(plain)));
	int err = blank_copy(blank, hello);
	struct aead *a;

	if (err)
		return err;
	a = aead_new(AEAD_AES_256_GCM, auth_key);
	if (!a)
		return -ERR_NOMEM;
	err = aead_open(a, hello.p + REALITY_RANDOM_AT + SALT_LEN, span_of(blank, hello.n), plain,
			span_of(hello.p + REALITY_SID_AT, REALITY_SID_LEN));
	aead_free(a);
	if (err)
		return err;
	rd_copy(&r, out->version, sizeof(out->version));
	rd_u8(&r);
	out->time_s = rd_u32(&r);
	rd_copy(&r, out->short_id, sizeof(out->short_id));
	secret_wipe(plain, sizeof(plain));
	return 0;
}

/* ---- the decision ---- */

static bool name_listed(const struct reality_rules *r, struct span name)
{
	for (size_t i = 0; i < r->n_names; i++)
		if (span_eq(span_str(r->names[i]), name))
			return true;
	return false;
}

static bool short_id_listed(const struct reality_rules *r, const uint8_t *id)
{
	bool found = false;

	for (size_t i = 0; i < r->n_short_ids; i++)
		found |= secret_eq(r->short_ids[i], id, REALITY_SHORT_ID_LEN);
	return found;
}

/* 0 with @out filled, -ERR_AUTH when no key opens the id, another -ERR_* when that is unknown. */
static int open_with_any(const struct reality_rules *rules, const struct reality_offer *offer,
			 struct reality_finding *out)
{
	uint8_t shared[REALITY_KEY_LEN];
	int err = -ERR_AUTH;

	for (size_t i = 0; i < rules->n_keys && err == -ERR_AUTH; i++) {
		err = x25519_shared(shared, rules->keys[i], offer->key);
		if (err == 0)
			err = reality_auth_key(out->auth_key, shared,
					       offer->hello.p + REALITY_RANDOM_AT);
		if (err == 0)
			err = reality_id_open(&out->id, offer->hello, out->auth_key);
		out->key_index = i;
		if (err == -ERR_MALFORMED) /* a point of small order: nobody's key */
			err = -ERR_AUTH;
	}
	secret_wipe(shared, sizeof(shared));
	out->known = err == 0;
	return err;
}

static bool clock_far(const struct reality_rules *r, uint32_t time_s, uint64_t now_ms)
{
	uint64_t then = (uint64_t)time_s * 1000;
	uint64_t diff = then > now_ms ? then - now_ms : now_ms - then;

	return r->max_diff_ms && diff > r->max_diff_ms;
}

static enum reality_verdict judge_id(const struct reality_rules *r, const struct reality_id *id,
				     uint64_t now_ms)
{
	uint32_t v = (uint32_t)id->version[0] << 16 | (uint32_t)id->version[1] << 8 |
		     id->version[2];

	if (v < r->min_version)
		return REALITY_OLD_CLIENT;
	if (r->max_version && v > r->max_version)
		return REALITY_NEW_CLIENT;
	if (clock_far(r, id->time_s, now_ms))
		return REALITY_BAD_CLOCK;
	return short_id_listed(r, id->short_id) ? REALITY_OURS : REALITY_BAD_SHORT_ID;
}

enum reality_verdict reality_judge(const struct reality_rules *rules,
				   const struct reality_offer *offer, uint64_t now_ms,
				   struct reality_finding *out)
{
	int err;

	memset(out, 0, sizeof(*out));
	if (offer->hello.n < REALITY_SID_AT || offer->hello.p[0] != HELLO_CLIENT)
		return REALITY_NO_HELLO;
	if (!offer->tls13)
		return REALITY_NO_TLS13;
	if (!has_place(offer->hello.p, offer->hello.n))
		return REALITY_NO_ID;
	if (!offer->key)
		return REALITY_NO_SHARE;
	err = open_with_any(rules, offer, out);
	if (err && err != -ERR_AUTH)
		return REALITY_FAILED;
	if (!name_listed(rules, offer->name))
		return REALITY_BAD_NAME;
	return err ? REALITY_BAD_KEY : judge_id(rules, &out->id, now_ms);
}

const char *reality_verdict_text(enum reality_verdict v)
{
	static const char *const texts[REALITY_VERDICT_MAX_] = {
		[REALITY_OURS] = "authenticated",
		[REALITY_NO_HELLO] = "not a TLS ClientHello",
		[REALITY_NO_TLS13] = "TLS 1.3 is not offered",
		[REALITY_NO_ID] = "no session id of 32 bytes",
		[REALITY_NO_SHARE] = "no X25519 key share",
		[REALITY_BAD_NAME] = "the server name is not in \"serverNames\"",
		[REALITY_BAD_KEY] = "a visitor, or a client with another \"password\"",
		[REALITY_OLD_CLIENT] = "the client's version is below \"minClientVer\"",
		[REALITY_NEW_CLIENT] = "the client's version is above \"maxClientVer\"",
		[REALITY_BAD_CLOCK] = "the client's clock differs by more than \"maxTimeDiff\"",
		[REALITY_BAD_SHORT_ID] = "the client's short id is not in \"shortIds\"",
		[REALITY_FAILED] = "out of memory",
	};

	return v < REALITY_VERDICT_MAX_ ? texts[v] : "unknown";
}
