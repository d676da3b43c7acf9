#include "crypto/tls13.h"

#include <openssl/evp.h>

#include "base/err.h"
#include "crypto/algo.h"
#include "crypto/kdf.h"
#include "crypto/secret.h"

enum { MESSAGE_HASH = 254 }; /* section 4.4.1 */

static const struct tls13_suite suites[] = {
	{TLS_AES_128_GCM, SHA_ALG_256, AEAD_AES_128_GCM},
	{TLS_AES_256_GCM, SHA_ALG_384, AEAD_AES_256_GCM},
	{TLS_CHACHA20, SHA_ALG_256, AEAD_CHACHA20_POLY1305},
};

const struct tls13_suite *tls13_suite_find(uint16_t id)
{
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		if (suites[i].id == id)
			return &suites[i];
	return NULL;
}

static struct span secret_span(const struct tls_secret *s)
{
	return span_of(s->b, s->n);
}

int tls13_traffic_keys(const struct tls13_suite *s, const struct tls_secret *secret,
		       uint8_t key[AEAD_KEY_MAX], uint8_t iv[TLS_IV_LEN])
{
	int err = kdf_expand_label(s->hash, key, aead_key_len(s->aead), secret_span(secret), "key",
				   span_of(NULL, 0));

	if (err == 0)
		err = kdf_expand_label(s->hash, iv, TLS_IV_LEN, secret_span(secret), "iv",
				       span_of(NULL, 0));
	return err;
}

int tls13_secret_update(enum sha_alg hash, struct tls_secret *secret)
{
	struct tls_secret next = {.n = secret->n};
	int err = kdf_expand_label(hash, next.b, next.n, secret_span(secret), "traffic upd",
				   span_of(NULL, 0));

	if (err == 0)
		*secret = next;
	secret_wipe(&next, sizeof(next));
	return err;
}

int tls13_finished(enum sha_alg hash, uint8_t *out, const struct tls_secret *base,
		   const uint8_t *th)
{
	uint8_t key[SHA_LEN_MAX];
	size_t n = sha_len(hash);
	struct span in = span_of(th, n);
	int err = kdf_expand_label(hash, key, n, secret_span(base), "finished", span_of(NULL, 0));

	if (err == 0)
		err = sha_hmac(hash, out, span_of(key, n), &in, 1);
	secret_wipe(key, sizeof(key));
	return err;
}

size_t tls13_signed_content(uint8_t out[TLS13_SIGNED_MAX], bool server, struct span th)
{
	static const char labels[2][34] = {"TLS 1.3, client CertificateVerify",
					   "TLS 1.3, server CertificateVerify"};
	struct wr w = wr_of(out, TLS13_SIGNED_MAX);
	uint8_t *blanks = wr_room(&w, 64);

	memset(blanks, ' ', 64);
	wr_bytes(&w, labels[server], sizeof(labels[0])); /* its final zero is the separator */
	wr_bytes(&w, th.p, th.n);
	return w.n;
}

int tls13_transcript_init(struct tls13_transcript *t, enum sha_alg hash)
{
	t->hash = hash;
	t->ctx = EVP_MD_CTX_new();
	if (t->ctx && EVP_DigestInit_ex(t->ctx, algo_hash(hash), NULL) == 1)
		return 0;
	tls13_transcript_fini(t);
	return -ERR_NOMEM;
}

void tls13_transcript_fini(struct tls13_transcript *t)
{
	EVP_MD_CTX_free(t->ctx);
	t->ctx = NULL;
}

int tls13_transcript_add(struct tls13_transcript *t, struct span message)
{
	if (message.n == 0)
		return 0;
	return EVP_DigestUpdate(t->ctx, message.p, message.n) == 1 ? 0 : -ERR_NOMEM;
}

int tls13_transcript_hash(const struct tls13_transcript *t, uint8_t *out)
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	int ok = copy && EVP_MD_CTX_copy_ex(copy, t->ctx) == 1 &&
		 EVP_DigestFinal_ex(copy, out, NULL) == 1;

	EVP_MD_CTX_free(copy);
	return ok ? 0 : -ERR_NOMEM;
}

int tls13_transcript_restart(struct tls13_transcript *t)
{
	uint8_t message[4 + SHA_LEN_MAX] = {MESSAGE_HASH, 0, 0, (uint8_t)sha_len(t->hash)};
	int err = tls13_transcript_hash(t, message + 4);

	if (err == 0 && EVP_DigestInit_ex(t->ctx, algo_hash(t->hash), NULL) != 1)
		err = -ERR_NOMEM;
	return err ? err : tls13_transcript_add(t, span_of(message, 4 + sha_len(t->hash)));
}

/* Derive-Secret of section 7.1. */
static int derive(const struct tls13_schedule *s, const char *label, const uint8_t *th,
		  struct tls_secret *out)
{
	out->n = (uint8_t)sha_len(s->hash);
	return kdf_expand_label(s->hash, out->b, out->n, secret_span(&s->now), label,
				span_of(th, out->n));
}

/* From one secret of the schedule to the next, which takes in @ikm. */
static int advance(struct tls13_schedule *s, struct span ikm)
{
	struct tls_secret salt;
	uint8_t empty[SHA_LEN_MAX];
	int err = sha_digest(s->hash, empty, NULL, 0);

	if (err == 0)
		err = derive(s, "derived", empty, &salt);
	if (err == 0)
		err = kdf_extract(s->hash, s->now.b, secret_span(&salt), ikm);
	secret_wipe(&salt, sizeof(salt));
	return err;
}

int tls13_schedule_init(struct tls13_schedule *s, enum sha_alg hash)
{
	static const uint8_t zeros[SHA_LEN_MAX];

	s->hash = hash;
	s->now.n = (uint8_t)sha_len(hash);
	return kdf_extract(hash, s->now.b, span_of(NULL, 0), span_of(zeros, s->now.n));
}

int tls13_schedule_handshake(struct tls13_schedule *s, struct span shared, const uint8_t *th,
			     struct tls_secret *client, struct tls_secret *server)
{
	int err = advance(s, shared);

	if (err == 0)
		err = derive(s, "c hs traffic", th, client);
	return err ? err : derive(s, "s hs traffic", th, server);
}

int tls13_schedule_master(struct tls13_schedule *s, const uint8_t *th, struct tls_secret *client,
			  struct tls_secret *server)
{
	static const uint8_t zeros[SHA_LEN_MAX];
	int err = advance(s, span_of(zeros, s->now.n));

	if (err == 0)
		err = derive(s, "c ap traffic", th, client);
	return err ? err : derive(s, "s ap traffic", th, server);
}

void tls13_schedule_fini(struct tls13_schedule *s)
{
	secret_wipe(s, sizeof(*s));
}
