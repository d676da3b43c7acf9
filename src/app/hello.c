#include "app/hello.h"

#include "base/err.h"
#include "crypto/kex.h"
#include "crypto/rand.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"

enum { HEADER = 5 };

static const char plain_text[] = "suites 1301 1302 1303\n"
				 "extension 0000 sni\n"
				 "extension 000a groups 001d\n"
				 "extension 0010 alpn\n"
				 "extension 000d 000a 0403 0804 0401 0503 0805\n"
				 "extension 002d 01 01\n"
				 "extension 0033 shares 001d\n"
				 "extension 002b versions 0304\n";

static const char old_text[] = "suites c02b c02f c02c c030 cca9 cca8 009c 009d\n"
			       "extension 0000 sni\n"
			       "extension 0017\n"
			       "extension ff01 00\n"
			       "extension 000a groups 001d 0017 0018\n"
			       "extension 000b 0100\n"
			       "extension 0010 alpn\n"
			       "extension 000d 000a 0403 0804 0401 0503 0805\n"
			       "extension 0033 shares 001d\n" /* the encoder insists on it */
			       "extension 002b versions 0303\n";

/* What one hello is made of. */
struct making {
	struct fingerprint fp;
	struct kex *keys[FINGERPRINT_SHARES_MAX];
	struct fingerprint_share shares[FINGERPRINT_SHARES_MAX];
	size_t n_shares;
	uint8_t random[32], seed[FINGERPRINT_SEED_LEN], id[32];
};

static int take_profile(struct making *m, enum hello_kind kind)
{
	struct fingerprint_fault fault;

	if (kind == HELLO_BROWSER)
		return fingerprint_parse(&m->fp, fingerprint_text("chrome"), &fault);
	return fingerprint_parse(&m->fp, span_str(kind == HELLO_PLAIN ? plain_text : old_text),
				 &fault);
}

static int make_shares(struct making *m)
{
	uint16_t groups[FINGERPRINT_SHARES_MAX];
	size_t n = fingerprint_shares(&m->fp, groups);
	int err = 0;

	for (; m->n_shares < n && err == 0; m->n_shares++) {
		struct kex *k = kex_new(groups[m->n_shares], &err);

		if (!k)
			break;
		m->keys[m->n_shares] = k;
		m->shares[m->n_shares].group = kex_group(k);
		m->shares[m->n_shares].key = kex_share(k);
	}
	return err;
}

/* The key that counts for REALITY: a plain one before the half of a hybrid one. */
static const uint8_t *counting_key(const struct making *m)
{
	const uint8_t *hybrid = NULL;

	for (size_t i = 0; i < m->n_shares; i++) {
		const uint8_t *key = kex_x25519(m->keys[i]);

		if (key && m->shares[i].group == TLS_GROUP_X25519)
			return key;
		hybrid = key ? key : hybrid;
	}
	return hybrid;
}

static int seal(struct hello *out, const struct making *m, const struct hello_spec *spec)
{
	const uint8_t *mine = counting_key(m);
	uint8_t pub[X25519_LEN], shared[X25519_LEN], auth[REALITY_KEY_LEN];
	int err = mine ? x25519_public(pub, spec->server_key) : -ERR_UNSUPPORTED;

	if (err == 0)
		err = x25519_shared(shared, mine, pub);
	if (err == 0)
		err = reality_auth_key(auth, shared, m->random);
	if (err == 0)
		err = reality_id_seal(out->b + HEADER, out->n - HEADER, auth, spec->id);
	secret_wipe(shared, sizeof(shared));
	secret_wipe(auth, sizeof(auth));
	return err;
}

static int encode(struct hello *out, const struct making *m, const struct hello_spec *spec)
{
	const struct fingerprint_hello h = {
		.random = m->random,
		.seed = m->seed,
		.session_id = span_of(m->id, sizeof(m->id)),
		.sni = span_str(spec->name),
		.alpn = span_str("\x02h2\x08http/1.1"),
		.shares = m->shares,
		.n_shares = m->n_shares,
	};
	struct wr w = wr_of(out->b, sizeof(out->b));
	uint8_t *len;
	int err;

	wr_u8(&w, 22);
	wr_u16(&w, 0x0301);
	len = wr_room(&w, 2);
	err = fingerprint_encode(&w, &m->fp, &h);
	len[0] = (uint8_t)((w.n - HEADER) >> 8);
	len[1] = (uint8_t)(w.n - HEADER);
	out->n = w.n;
	return err;
}

int hello_make(struct hello *out, const struct hello_spec *spec)
{
	struct making m = {.n_shares = 0};
	int err = take_profile(&m, spec->kind);

	if (err == 0)
		err = rand_bytes(m.random, sizeof(m.random));
	if (err == 0)
		err = rand_bytes(m.seed, sizeof(m.seed));
	if (err == 0 && !spec->server_key)
		err = rand_bytes(m.id, sizeof(m.id));
	if (err == 0)
		err = make_shares(&m);
	if (err == 0)
		err = encode(out, &m, spec);
	if (err == 0 && spec->server_key)
		err = seal(out, &m, spec);
	for (size_t i = 0; i < m.n_shares; i++)
		kex_free(m.keys[i]);
	return err;
}
