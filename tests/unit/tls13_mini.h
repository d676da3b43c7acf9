/*
 * A TLS 1.3 server in pieces, for tests: it answers a ClientHello by X25519 and
 * then sends whatever it is told under the right keys, also what no server sends.
 */
#ifndef TESTS_TLS13_MINI_H
#define TESTS_TLS13_MINI_H

#include <stdlib.h>

#include <openssl/evp.h>

#include "crypto/kex.h"
#include "crypto/tls13.h"
#include "net/tls_record.h"
#include "proto/tlshello.h"

struct mini {
	struct kex *kex;
	const struct tls13_suite *suite;
	struct tls13_transcript transcript;
	struct tls13_schedule schedule;
	struct tls_secret client, server; /* handshake */
	struct tls_secret app_client, app_server;
	struct tls_dir wr;
	uint8_t client_hello[8192], server_hello[512];
	size_t client_n, server_n;
};

static inline void mini_must(bool ok)
{
	if (!ok)
		abort();
}

static inline void mini_free(struct mini *m)
{
	kex_free(m->kex);
	tls13_transcript_fini(&m->transcript);
	tls13_schedule_fini(&m->schedule);
	tls_dir_fini(&m->wr);
	memset(m, 0, sizeof(*m));
}

/* Plain handshake record of @message. */
static inline void mini_plain(struct span message, struct bufq *out)
{
	uint8_t head[5] = {22, 3, 3, (uint8_t)(message.n >> 8), (uint8_t)message.n};

	mini_must(bufq_append(out, span_of(head, 5)) == 0 && bufq_append(out, message) == 0);
}

/* A record of @type under the handshake keys. */
static inline void mini_record(struct mini *m, uint8_t type, struct span s, struct bufq *out)
{
	struct bufq q = {NULL, NULL, 0};

	mini_must(bufq_append(&q, s) == 0);
	mini_must(tls_record_seal(&m->wr, type, &q, out) >= 0);
	bufq_clear(&q);
}

/* Reads the hello in the records of @in and makes the answer; the keys are on afterwards. */
static inline void mini_hello(struct mini *m, struct bufq *in, uint16_t suite)
{
	struct wr w = wr_of(m->client_hello, sizeof(m->client_hello));
	struct tlshello_client h;
	struct span share;
	uint8_t shared[KEX_SECRET_MAX], th[SHA_LEN_MAX];
	size_t n;
	int err;

	memset(m, 0, sizeof(*m));
	n = in->len;
	mini_must(tlshello_join(&w, bufq_pullup(in, n), NULL) == (ssize_t)n);
	bufq_clear(in);
	m->client_n = w.n;
	mini_must(tlshello_client_decode(&h, span_of(m->client_hello, w.n)) > 0);
	mini_must(tlshello_share(&h, TLS_GROUP_X25519, &share));
	m->suite = tls13_suite_find(suite);
	m->kex = kex_new(TLS_GROUP_X25519, &err);
	w = wr_of(m->server_hello, sizeof(m->server_hello));
	wr_u32(&w, 2u << 24 | (2 + 32 + 1 + 32 + 2 + 1 + 2 + 40 + 6));
	wr_u16(&w, 0x0303);
	memset(wr_room(&w, 32), 0x5a, 32);
	wr_u8(&w, (unsigned)h.session_id.n);
	wr_bytes(&w, h.session_id.p, h.session_id.n);
	wr_u16(&w, suite);
	wr_u8(&w, 0);
	wr_u16(&w, 46);
	wr_u16(&w, TLS_EXT_KEY_SHARE);
	wr_u16(&w, 36);
	wr_u16(&w, TLS_GROUP_X25519);
	wr_u16(&w, 32);
	wr_bytes(&w, kex_share(m->kex).p, 32);
	wr_u16(&w, TLS_EXT_VERSIONS);
	wr_u16(&w, 2);
	wr_u16(&w, 0x0304);
	m->server_n = w.n;
	mini_must(kex_finish(m->kex, share, shared, &n) == 0);
	mini_must(tls13_transcript_init(&m->transcript, m->suite->hash) == 0);
	tls13_transcript_add(&m->transcript, span_of(m->client_hello, m->client_n));
	tls13_transcript_add(&m->transcript, span_of(m->server_hello, m->server_n));
	tls13_transcript_hash(&m->transcript, th);
	tls13_schedule_init(&m->schedule, m->suite->hash);
	tls13_schedule_handshake(&m->schedule, span_of(shared, n), th, &m->client, &m->server);
	mini_must(tls_dir_init(&m->wr, suite, &m->server, true) == 0);
}

/* A message of the flight: into the transcript and a record. */
static inline void mini_message(struct mini *m, struct span message, struct bufq *out)
{
	tls13_transcript_add(&m->transcript, message);
	mini_record(m, 22, message, out);
}

/* @type with @body. Returns its length. */
static inline size_t mini_wrap(uint8_t *to, uint8_t type, struct span body)
{
	to[0] = type;
	to[1] = (uint8_t)(body.n >> 16);
	to[2] = (uint8_t)(body.n >> 8);
	to[3] = (uint8_t)body.n;
	memcpy(to + 4, body.p, body.n);
	return body.n + 4;
}

/* A Certificate message with one certificate. */
static inline size_t mini_certificate(uint8_t *to, size_t cap, struct span der)
{
	struct wr w = wr_of(to, cap);

	wr_u32(&w, 11u << 24 | (uint32_t)(der.n + 9));
	wr_u32(&w, (uint32_t)(der.n + 5)); /* no context, length of the list */
	wr_u8(&w, (unsigned)(der.n >> 16));
	wr_u16(&w, der.n & 0xffff);
	wr_bytes(&w, der.p, der.n);
	wr_u16(&w, 0);
	mini_must(!w.bad);
	return w.n;
}

/* A CertificateVerify by @key. */
static inline size_t mini_verify(struct mini *m, uint8_t *to, EVP_PKEY *key, uint16_t scheme,
				 const char *hash)
{
	uint8_t content[TLS13_SIGNED_MAX], th[SHA_LEN_MAX];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	size_t sig = 1024, n;

	tls13_transcript_hash(&m->transcript, th);
	n = tls13_signed_content(content, true, span_of(th, sha_len(m->suite->hash)));
	mini_must(EVP_DigestSignInit_ex(md, NULL, hash, NULL, NULL, key, NULL) == 1);
	mini_must(EVP_DigestSign(md, to + 8, &sig, content, n) == 1);
	EVP_MD_CTX_free(md);
	to[0] = 15;
	to[1] = 0;
	to[2] = (uint8_t)((sig + 4) >> 8);
	to[3] = (uint8_t)(sig + 4);
	to[4] = (uint8_t)(scheme >> 8);
	to[5] = (uint8_t)scheme;
	to[6] = (uint8_t)(sig >> 8);
	to[7] = (uint8_t)sig;
	return sig + 8;
}

static inline size_t mini_finished(struct mini *m, uint8_t *to)
{
	uint8_t th[SHA_LEN_MAX];
	size_t n = sha_len(m->suite->hash);

	tls13_transcript_hash(&m->transcript, th);
	tls13_finished(m->suite->hash, to + 4, &m->server, th);
	to[0] = 20;
	to[1] = to[2] = 0;
	to[3] = (uint8_t)n;
	return n + 4;
}

/* After the Finished message has gone through mini_message. */
static inline void mini_master(struct mini *m)
{
	uint8_t th[SHA_LEN_MAX];

	tls13_transcript_hash(&m->transcript, th);
	tls13_schedule_master(&m->schedule, th, &m->app_client, &m->app_server);
}

#endif
