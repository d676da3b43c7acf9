/* The hellos of a handshake: what is asked, and whether the answer fits. */
#include <time.h>

#include "base/err.h"
#include "crypto/rand.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"
#include "net/tls13_int.h"
#include "net/tls_keylog.h"

/* The key that REALITY's proof is made with: the plain share, else the hybrid one's half. */
static const uint8_t *reality_private(const struct tls13_client *c)
{
	const uint8_t *key = NULL;

	for (size_t i = 0; i < c->n_kex; i++) {
		if (kex_group(c->kex[i]) == TLS_GROUP_X25519)
			return kex_x25519(c->kex[i]);
		if (kex_x25519(c->kex[i]))
			key = kex_x25519(c->kex[i]);
	}
	return key;
}

static int seal_id(struct tls13_client *c)
{
	const struct conf_reality_client *conf = c->ctx->reality;
	const uint8_t *priv = reality_private(c);
	uint8_t shared[X25519_LEN];
	struct reality_id id = {.time_s = (uint32_t)time(NULL)};
	int err;

	if (!priv)
		return tls13_fail(c, 0, "REALITY: the fingerprint has no X25519 key");
	memcpy(id.version, conf->version, sizeof(id.version));
	memcpy(id.short_id, conf->short_id, sizeof(id.short_id));
	err = x25519_shared(shared, priv, conf->key);
	if (err)
		return tls13_fail(c, 0, "REALITY: the server's public key is none");
	err = reality_auth_key(c->auth_key, shared, c->random);
	if (err == 0)
		err = reality_id_seal(c->hello, c->hello_n, c->auth_key, &id);
	secret_wipe(shared, sizeof(shared));
	return err ? tls13_no_memory(c) : 0;
}

static int encode(struct tls13_client *c, struct span session_id, struct span cookie)
{
	struct fingerprint_share shares[FINGERPRINT_SHARES_MAX];
	struct tls_ctx *x = c->ctx;
	struct fingerprint_hello h = {
		.random = c->random,
		.session_id = session_id,
		.seed = c->seed,
		.sni = c->named ? span_str(c->name) : span_of(NULL, 0),
		.alpn = x->hello_alpn ? span_of(x->alpn, x->alpn_len) : span_of(NULL, 0),
		.shares = shares,
		.n_shares = c->n_kex,
		.retried = c->retried,
		.cookie = cookie,
	};
	struct wr w = wr_of(c->hello, sizeof(c->hello));
	int err;

	for (size_t i = 0; i < c->n_kex; i++)
		shares[i] = (struct fingerprint_share){kex_group(c->kex[i]), kex_share(c->kex[i])};
	err = fingerprint_encode(&w, x->fp, &h);
	if (err)
		return tls13_fail(c, 0, "the client hello is too long: alpn or a server's cookie");
	c->hello_n = w.n;
	return 0;
}

static int add_kex(struct tls13_client *c, uint16_t group)
{
	int err;
	struct kex *k = kex_new(group, &err);

	if (!k)
		return err;
	c->kex[c->n_kex++] = k;
	return 0;
}

int tls13_hello_first(struct tls13_client *c)
{
	uint16_t groups[FINGERPRINT_SHARES_MAX];
	uint8_t id[TLS_SESSION_ID_MAX];
	size_t n = fingerprint_shares(c->ctx->fp, groups);
	int err;

	for (size_t i = 0; i < n; i++)
		if (add_kex(c, groups[i]) != 0)
			return tls13_fail(c, 0, "a key for the client hello cannot be made");
	if (rand_bytes(c->random, sizeof(c->random)) != 0 ||
	    rand_bytes(c->seed, sizeof(c->seed)) != 0 || rand_bytes(id, sizeof(id)) != 0)
		return tls13_fail(c, 0, "no random numbers");
	err = encode(c, span_of(id, sizeof(id)), span_of(NULL, 0));
	if (err == 0 && c->ctx->reality)
		err = seal_id(c);
	return err;
}

static bool hello_of(const struct tls13_client *c, struct tlshello_client *h)
{
	return tlshello_client_decode(h, span_of(c->hello, c->hello_n)) > 0;
}

bool tls13_hello_offers(const struct tls13_client *c, uint16_t type, size_t prefix, uint16_t value)
{
	struct tlshello_client h;
	struct span body;
	struct rd r;

	if (!hello_of(c, &h) || !tlshello_extension(h.extensions, type, &body))
		return false;
	r = rd_of(body);
	rd_take(&r, prefix);
	while (r.n >= 2 && !r.bad)
		if (rd_u16(&r) == value)
			return true;
	return false;
}

/* What both kinds of answer have in common, sections 4.1.3 and 4.1.4. */
static int check_answer(struct tls13_client *c, const struct tlshello_server *s)
{
	const struct tls13_suite *suite = tls13_suite_find(s->suite);
	struct tlshello_client h;

	if (s->version != TLS_VERSION_1_3)
		return tls13_fail(c, TLS_ALERT_PROTOCOL_VERSION,
				  "the server wants TLS 1.2 or older%s",
				  c->ctx->reality ? ": it is none of ours"
						  : ", which a browser's hello allows and we do "
						    "not: set \"fingerprint\" to \"unsafe\" for it");
	if (!hello_of(c, &h) || !span_eq(h.session_id, s->session_id) ||
	    s->legacy_version != TLS_VERSION_1_2 || s->compression != 0)
		return tls13_fail(c, TLS_ALERT_ILLEGAL_PARAMETER,
				  "the server hello does not answer ours");
	if (!suite || !fingerprint_has_suite(c->ctx->fp, s->suite) ||
	    (c->suite && c->suite != suite))
		return tls13_fail(c, TLS_ALERT_ILLEGAL_PARAMETER,
				  "the server chose a cipher suite that was not offered");
	c->suite = suite;
	return 0;
}

static struct kex *kex_for(const struct tls13_client *c, uint16_t group)
{
	for (size_t i = 0; i < c->n_kex; i++)
		if (kex_group(c->kex[i]) == group)
			return c->kex[i];
	return NULL;
}

static void drop_kex(struct tls13_client *c)
{
	while (c->n_kex > 0)
		kex_free(c->kex[--c->n_kex]);
}

static int start_transcript(struct tls13_client *c)
{
	if (tls13_transcript_init(&c->transcript, c->suite->hash) != 0 ||
	    tls13_transcript_add(&c->transcript, span_of(c->hello, c->hello_n)) != 0)
		return tls13_no_memory(c);
	return 0;
}

/* The second hello: the group that was asked for, the cookie, and nothing else is new. */
static int answer_retry(struct tls13_client *c, const struct tlshello_server *s)
{
	struct span cookie = span_of(NULL, 0), body;
	uint8_t id[TLS_SESSION_ID_MAX];
	struct tlshello_client h;

	if (c->ctx->reality)
		return tls13_fail(c, TLS_ALERT_ILLEGAL_PARAMETER,
				  "REALITY: the target does not like the key shares of this "
				  "fingerprint (HelloRetryRequest)");
	if (c->retried)
		return tls13_fail(c, TLS_ALERT_UNEXPECTED_MESSAGE, "a second HelloRetryRequest");
	if (tlshello_extension(s->extensions, TLS_EXT_COOKIE, &body)) {
		struct rd r = rd_of(body);

		cookie = rd_take(&r, rd_u16(&r));
		if (r.bad || r.n || cookie.n == 0)
			return tls13_fail(c, TLS_ALERT_DECODE_ERROR, "a malformed cookie");
	}
	if (s->group == 0 || kex_for(c, s->group) || !fingerprint_has_group(c->ctx->fp, s->group))
		return tls13_fail(c, TLS_ALERT_ILLEGAL_PARAMETER,
				  "the server asks for a key that was not offered, or was sent");
	drop_kex(c);
	if (add_kex(c, s->group) != 0)
		return tls13_fail(c, TLS_ALERT_ILLEGAL_PARAMETER,
				  "the server insists on key exchange group 0x%04x", s->group);
	if (start_transcript(c) != 0 || tls13_transcript_restart(&c->transcript) != 0 ||
	    tls13_transcript_add(&c->transcript, s->message) != 0)
		return tls13_no_memory(c);
	if (!hello_of(c, &h)) /* decoding it has succeeded before */
		return tls13_no_memory(c);
	memcpy(id, h.session_id.p, h.session_id.n);
	c->retried = true;
	if (encode(c, span_of(id, h.session_id.n), cookie) != 0)
		return -ERR_TLS;
	if (tls13_transcript_add(&c->transcript, span_of(c->hello, c->hello_n)) != 0)
		return tls13_no_memory(c);
	return 0;
}

/* Handshake keys from the shares. */
static int start_keys(struct tls13_client *c, struct span shared)
{
	uint8_t th[SHA_LEN_MAX];

	if (tls13_transcript_hash(&c->transcript, th) != 0 ||
	    tls13_schedule_init(&c->schedule, c->suite->hash) != 0 ||
	    tls13_schedule_handshake(&c->schedule, shared, th, &c->client, &c->server) != 0 ||
	    tls_dir_init(&c->rd, c->suite->id, &c->server, false) != 0 ||
	    tls_dir_init(&c->wr, c->suite->id, &c->client, true) != 0)
		return tls13_no_memory(c);
	tls_keylog_put(c->ctx->keylog_fd, "CLIENT_HANDSHAKE_TRAFFIC_SECRET", c->random, &c->client);
	tls_keylog_put(c->ctx->keylog_fd, "SERVER_HANDSHAKE_TRAFFIC_SECRET", c->random, &c->server);
	c->protected = true;
	return 1;
}

int tls13_hello_answer(struct tls13_client *c, struct span message)
{
	uint8_t shared[KEX_SECRET_MAX];
	struct tlshello_server s;
	struct kex *k;
	size_t n;
	int err;

	if (tlshello_server_decode(&s, message) <= 0)
		return tls13_fail(c, TLS_ALERT_DECODE_ERROR, "a malformed server hello");
	err = check_answer(c, &s);
	if (err == 0 && s.retry)
		return answer_retry(c, &s);
	if (err)
		return err;
	k = kex_for(c, s.group);
	if (!k)
		return tls13_fail(
			c, s.group ? TLS_ALERT_ILLEGAL_PARAMETER : TLS_ALERT_MISSING_EXTENSION,
			"the server chose a key that was not sent");
	if (kex_finish(k, s.share, shared, &n) != 0)
		return tls13_fail(c, TLS_ALERT_ILLEGAL_PARAMETER, "the server's key is none");
	drop_kex(c);
	if (!c->retried)
		err = start_transcript(c);
	if (err == 0 && tls13_transcript_add(&c->transcript, message) != 0)
		err = tls13_no_memory(c);
	if (err == 0 && c->ctx->mldsa) {
		c->server_hello = buf_copy(message);
		if (!c->server_hello)
			err = tls13_no_memory(c);
	}
	if (err == 0)
		err = start_keys(c, span_of(shared, n));
	secret_wipe(shared, sizeof(shared));
	return err;
}
