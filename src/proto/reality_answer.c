/*
 * Order of things: the shared secret (and with it our ServerHello), the
 * handshake keys, the four messages with the transcript between them, the
 * application keys, and last the records.
 */
#include "proto/reality_answer.h"

#include <stdio.h>

#include "base/err.h"
#include "crypto/ed25519.h"
#include "crypto/mldsa65.h"
#include "crypto/mlkem768.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"

enum {
	HEADER_LEN = 5,
	TAG_LEN = AEAD_TAG,
	TYPE_CCS = 20,
	TYPE_HANDSHAKE = 22,
	TYPE_DATA = 23,
	SIG_ED25519 = 0x0807,
	MESSAGES = 4, /* EncryptedExtensions, Certificate, CertificateVerify, Finished */
	SHARED_MAX = MLKEM768_SHARED + X25519_LEN,
	/* the four messages with the larger certificate: 6 + 13 + 3509 + 72 + 52 */
	MESSAGES_MAX = 3700,
};

struct answer {
	const struct reality_flight *flight;
	const struct tlshello_client *hello;
	const uint8_t *auth_key;
	const struct reality_signer *signer;
	const struct tls13_suite *suite;
	struct reality_session *session;
	struct tls13_transcript transcript;
	struct tls13_schedule schedule;
	uint8_t shared[SHARED_MAX];
	size_t shared_len;
	uint8_t server_hello[REALITY_RECORD_MAX];
	size_t server_hello_len;
	uint8_t messages[MESSAGES_MAX];
	struct span part[MESSAGES];
	char *why;
};

static int refuse(struct answer *a, const char *why)
{
	snprintf(a->why, REALITY_WHY_MAX, "%s", why);
	return -ERR_UNSUPPORTED;
}

/* ---- the shared secret ---- */

static int share_x25519(struct answer *a, const uint8_t *theirs, uint8_t *ours)
{
	uint8_t priv[X25519_LEN];
	int err = x25519_keypair(priv, ours);

	if (err == 0 && x25519_shared(a->shared + a->shared_len, priv, theirs) != 0)
		err = refuse(a, "the client's X25519 share is no key");
	a->shared_len += X25519_LEN;
	secret_wipe(priv, sizeof(priv));
	return err;
}

/* draft-ietf-tls-ecdhe-mlkem: ML-KEM first, in the shares and in the secret. */
static int share_hybrid(struct answer *a, struct span theirs, uint8_t *ours)
{
	struct mlkem768_pub pub;
	int err;

	if (mlkem768_pub_set(&pub, span_of(theirs.p, MLKEM768_EK)) != 0)
		return refuse(a, "the client's ML-KEM-768 share is no key");
	err = mlkem768_encaps(a->shared, ours, &pub);
	a->shared_len = MLKEM768_SHARED;
	return err ? err : share_x25519(a, theirs.p + MLKEM768_EK, ours + MLKEM768_CT);
}

/* The target's ServerHello with our share in the place of its own. */
static int make_server_hello(struct answer *a)
{
	const struct tlshello_server *s = &a->flight->hello;
	uint8_t *ours = a->server_hello + (s->share.p - s->message.p);
	struct span theirs;

	if (s->message.n > sizeof(a->server_hello))
		return -ERR_LIMIT;
	memcpy(a->server_hello, s->message.p, s->message.n);
	a->server_hello_len = s->message.n;
	if (!tlshello_share(a->hello, s->group, &theirs))
		return refuse(a, "the target chose a key share that the client did not offer");
	if (s->group == TLS_GROUP_X25519 && theirs.n == X25519_LEN)
		return share_x25519(a, theirs.p, ours);
	if (s->group == TLS_GROUP_X25519MLKEM768 && theirs.n == MLKEM768_EK + X25519_LEN)
		return share_hybrid(a, theirs, ours);
	return refuse(a, "the client's key share has a wrong length");
}

/* ---- the messages ---- */

static int start_transcript(struct answer *a)
{
	struct span server_hello = span_of(a->server_hello, a->server_hello_len);
	uint8_t th[SHA_LEN_MAX];
	int err = tls13_transcript_init(&a->transcript, a->suite->hash);

	if (err == 0)
		err = tls13_transcript_add(&a->transcript, a->hello->message);
	if (err == 0)
		err = tls13_transcript_add(&a->transcript, server_hello);
	if (err == 0)
		err = tls13_transcript_hash(&a->transcript, th);
	if (err == 0)
		err = tls13_schedule_init(&a->schedule, a->suite->hash);
	if (err == 0)
		err = tls13_schedule_handshake(&a->schedule, span_of(a->shared, a->shared_len), th,
					       &a->session->client_handshake,
					       &a->session->server_handshake);
	return err;
}

static int put_extensions(struct answer *a, struct wr *w)
{
	static const uint8_t none[] = {TLS_MSG_ENCRYPTED_EXTENSIONS, 0, 0, 2, 0, 0};

	(void)a;
	wr_bytes(w, none, sizeof(none));
	return 0;
}

static void put_u24(struct wr *w, size_t v)
{
	wr_u8(w, (unsigned)(v >> 16));
	wr_u16(w, (unsigned)(v & 0xffff));
}

_Static_assert((int)REALITY_MLDSA_LEN == (int)MLDSA65_SIG, "one signature");

static int put_certificate(struct answer *a, struct wr *w)
{
	uint8_t digest[REALITY_MAC_LEN], sig[REALITY_MLDSA_LEN];
	bool mldsa = a->signer->mldsa != NULL;
	size_t len = mldsa ? REALITY_CERT_MLDSA_LEN : REALITY_CERT_LEN;
	int err = 0;

	if (mldsa)
		err = reality_cert_digest(digest, a->auth_key, a->signer->pub, a->hello->message,
					  span_of(a->server_hello, a->server_hello_len));
	if (mldsa && err == 0)
		err = mldsa65_sign(sig, a->signer->mldsa, span_of(digest, sizeof(digest)),
				   span_of(NULL, 0));
	if (err)
		return err;
	wr_u8(w, TLS_MSG_CERTIFICATE);
	put_u24(w, 1 + 3 + 3 + len + 2);
	wr_u8(w, 0);		/* no request context */
	put_u24(w, 3 + len + 2); /* one entry */
	put_u24(w, len);
	err = reality_cert_encode(w, a->signer->pub, a->auth_key, mldsa ? sig : NULL);
	wr_u16(w, 0); /* without extensions */
	return err;
}

static int put_verify(struct answer *a, struct wr *w)
{
	uint8_t th[SHA_LEN_MAX], content[TLS13_SIGNED_MAX], sig[ED25519_SIG];
	int err = tls13_transcript_hash(&a->transcript, th);
	size_t n;

	if (err)
		return err;
	n = tls13_signed_content(content, true, span_of(th, sha_len(a->suite->hash)));
	err = ed25519_sign(sig, a->signer->seed, a->signer->pub, span_of(content, n));
	wr_u8(w, TLS_MSG_CERTIFICATE_VERIFY);
	put_u24(w, 2 + 2 + sizeof(sig));
	wr_u16(w, SIG_ED25519);
	wr_u16(w, sizeof(sig));
	wr_bytes(w, sig, sizeof(sig));
	return err;
}

static int put_finished(struct answer *a, struct wr *w)
{
	uint8_t th[SHA_LEN_MAX], mac[SHA_LEN_MAX];
	size_t n = sha_len(a->suite->hash);
	int err = tls13_transcript_hash(&a->transcript, th);

	if (err == 0)
		err = tls13_finished(a->suite->hash, mac, &a->session->server_handshake, th);
	wr_u8(w, TLS_MSG_FINISHED);
	put_u24(w, n);
	wr_bytes(w, mac, n);
	return err;
}

static int make_messages(struct answer *a)
{
	static int (*const put[MESSAGES])(struct answer *a, struct wr *w) = {
		put_extensions, put_certificate, put_verify, put_finished};
	struct wr w = wr_of(a->messages, sizeof(a->messages));

	for (int i = 0; i < MESSAGES; i++) {
		size_t from = w.n;
		int err = put[i](a, &w);

		if (err == 0 && w.bad)
			err = -ERR_LIMIT;
		if (err)
			return err;
		a->part[i] = span_of(a->messages + from, w.n - from);
		err = tls13_transcript_add(&a->transcript, a->part[i]);
		if (err)
			return err;
	}
	return 0;
}

static int finish_schedule(struct answer *a)
{
	struct reality_session *s = a->session;
	int err = tls13_transcript_hash(&a->transcript, s->th);

	if (err)
		return err;
	s->suite = a->suite->id;
	s->hash = a->suite->hash;
	return tls13_schedule_master(&a->schedule, s->th, &s->client_app, &s->server_app);
}

/* ---- the records ---- */

/* Fits @n bytes, with their type and tag, into a record of @total? */
static int check_room(struct answer *a, const char *what, size_t n, size_t total)
{
	size_t least = HEADER_LEN + n + 1 + TAG_LEN;

	if (least <= total)
		return 0;
	snprintf(a->why, REALITY_WHY_MAX, "the target's record for %s has %zu bytes, ours needs %zu",
		 what, total, least);
	return -ERR_UNSUPPORTED;
}

static size_t all_messages(const struct answer *a)
{
	size_t n = 0;

	for (int i = 0; i < MESSAGES; i++)
		n += a->part[i].n;
	return n;
}

static int check_rooms(struct answer *a)
{
	static const char *const names[MESSAGES] = {"EncryptedExtensions", "Certificate",
						    "CertificateVerify", "Finished"};
	const uint16_t *slot = a->flight->slot + REALITY_SLOT_FIRST;
	int err = 0;

	if (a->flight->merged)
		return check_room(a, "the whole flight", all_messages(a), slot[0]);
	for (int i = 0; i < MESSAGES && err == 0; i++)
		err = check_room(a, names[i], a->part[i].n, slot[i]);
	return err;
}

/* One record of @total bytes: @content, its type, zeros. */
static int seal(struct aead *aead, const uint8_t iv[TLS_IV_LEN], uint64_t seq, struct span content,
		size_t total, struct wr *out)
{
	size_t inner = total - HEADER_LEN - TAG_LEN;
	uint8_t nonce[TLS_IV_LEN], *header = wr_room(out, total), *body;

	if (!header)
		return -ERR_LIMIT;
	memcpy(nonce, iv, sizeof(nonce));
	for (int i = 0; i < 8; i++)
		nonce[TLS_IV_LEN - 1 - i] ^= (uint8_t)(seq >> 8 * i);
	header[0] = TYPE_DATA;
	header[1] = header[2] = 3;
	header[3] = (uint8_t)((total - HEADER_LEN) >> 8);
	header[4] = (uint8_t)(total - HEADER_LEN);
	body = header + HEADER_LEN;
	memcpy(body, content.p, content.n);
	body[content.n] = TYPE_HANDSHAKE;
	memset(body + content.n + 1, 0, inner - content.n - 1);
	return aead_seal(aead, nonce, span_of(header, HEADER_LEN), body, span_of(body, inner));
}

static int seal_messages(struct answer *a, struct wr *out)
{
	const uint16_t *slot = a->flight->slot + REALITY_SLOT_FIRST;
	uint8_t key[AEAD_KEY_MAX], iv[TLS_IV_LEN];
	struct aead *aead = NULL;
	int err = tls13_traffic_keys(a->suite, &a->session->server_handshake, key, iv);

	if (err == 0) {
		aead = aead_new(a->suite->aead, key);
		err = aead ? 0 : -ERR_NOMEM;
	}
	if (err == 0 && a->flight->merged)
		err = seal(aead, iv, 0, span_of(a->messages, all_messages(a)), slot[0], out);
	for (unsigned i = 0; i < MESSAGES && err == 0 && !a->flight->merged; i++)
		err = seal(aead, iv, i, a->part[i], slot[i], out);
	aead_free(aead);
	secret_wipe(key, sizeof(key));
	secret_wipe(iv, sizeof(iv));
	return err;
}

static int put_records(struct answer *a, struct wr *out)
{
	static const uint8_t ccs[] = {TYPE_CCS, 3, 3, 0, 1, 1};
	int err = check_rooms(a);

	if (err)
		return err;
	wr_u8(out, TYPE_HANDSHAKE);
	wr_u16(out, TLS_VERSION_1_2);
	wr_u16(out, (unsigned)a->server_hello_len);
	wr_bytes(out, a->server_hello, a->server_hello_len);
	wr_bytes(out, ccs, sizeof(ccs));
	return out->bad ? -ERR_LIMIT : seal_messages(a, out);
}

int reality_answer_encode(struct wr *out, struct reality_session *session,
			  const struct reality_flight *flight, const struct tlshello_client *hello,
			  const uint8_t auth_key[REALITY_KEY_LEN],
			  const struct reality_signer *signer, char why[REALITY_WHY_MAX])
{
	struct answer a = {.flight = flight,
			   .hello = hello,
			   .auth_key = auth_key,
			   .signer = signer,
			   .suite = tls13_suite_find(flight->hello.suite),
			   .session = session,
			   .why = why};
	int err;

	*why = 0;
	if (!a.suite)
		return refuse(&a, "the target chose an unknown cipher suite");
	err = make_server_hello(&a);
	if (err == 0)
		err = start_transcript(&a);
	if (err == 0)
		err = make_messages(&a);
	if (err == 0)
		err = finish_schedule(&a);
	if (err == 0)
		err = put_records(&a, out);
	tls13_transcript_fini(&a.transcript);
	tls13_schedule_fini(&a.schedule);
	secret_wipe(a.shared, sizeof(a.shared));
	if (err)
		secret_wipe(session, sizeof(*session));
	return err;
}

bool reality_answer_finished(const struct reality_session *session, struct span message)
{
	size_t n = sha_len(session->hash);
	uint8_t mac[SHA_LEN_MAX];
	struct rd r = rd_of(message);
	bool form = rd_u8(&r) == TLS_MSG_FINISHED && rd_u24(&r) == n && r.n == n && !r.bad;

	return form &&
	       tls13_finished(session->hash, mac, &session->client_handshake, session->th) == 0 &&
	       secret_eq(mac, r.p, n);
}
