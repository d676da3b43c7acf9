/*
 * The answer of a target, read for its shape, and ours in that shape: what a
 * client makes of it is worked out here from the other end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "crypto/ed25519.h"
#include "crypto/mldsa65.h"
#include "crypto/mlkem768.h"
#include "crypto/x25519.h"
#include "hex.h"
#include "proto/reality_answer.h"
#include "reality_kit.h"

static const struct kit_server plain = {0x0304, 0x1301, TLS_GROUP_X25519, 32, false};

static int decode(struct span in, struct reality_flight *f, enum reality_flight_fault *fault)
{
	struct span whole = exact(in, in.n);
	int n = reality_flight_decode(f, whole, fault);

	free_hex(whole);
	return n;
}

static void flight_merged(void **state)
{
	static uint8_t b[KIT_FLIGHT_MAX];
	struct wr w = wr_of(b, sizeof(b));
	enum reality_flight_fault fault;
	struct reality_flight f = {.merged = false};
	size_t head;

	(void)state;
	kit_server_hello(&w, &plain);
	kit_record(&w, 20, 6);
	head = w.n + 5; /* the header of the next one is enough */
	kit_record(&w, 23, 513);
	for (size_t n = 0; n < head; n++)
		assert_int_equal(decode(span_of(b, n), &f, &fault), 0);
	assert_false(f.merged);
	for (size_t n = head; n <= w.n; n++) {
		assert_int_equal(decode(span_of(b, n), &f, &fault), 1);
		assert_true(f.merged);
		assert_int_equal(f.slot[REALITY_SLOT_HELLO], 5 + f.hello.message.n);
		assert_int_equal(f.slot[REALITY_SLOT_CCS], 6);
		assert_int_equal(f.slot[REALITY_SLOT_FIRST], 513);
		assert_int_equal(f.slot[REALITY_SLOT_CERT], 0);
	}
}

static void flight_separate(void **state)
{
	static uint8_t b[KIT_FLIGHT_MAX];
	struct wr w = wr_of(b, sizeof(b));
	enum reality_flight_fault fault;
	struct reality_flight f;
	size_t end;

	(void)state;
	kit_server_hello(&w, &plain);
	kit_record(&w, 20, 6);
	kit_record(&w, 23, 512);
	kit_record(&w, 23, 700);
	kit_record(&w, 23, 101);
	kit_record(&w, 23, 58);
	end = w.n;
	for (size_t n = 0; n < end; n++)
		assert_int_equal(decode(span_of(b, n), &f, &fault), 0);
	kit_record(&w, 23, 300);
	for (size_t n = end; n <= w.n; n++) {
		assert_int_equal(decode(span_of(b, n), &f, &fault), 1);
		assert_false(f.merged);
		assert_int_equal(f.slot[REALITY_SLOT_FIRST], 512);
		assert_int_equal(f.slot[REALITY_SLOT_CERT], 700);
		assert_int_equal(f.slot[REALITY_SLOT_VERIFY], 101);
		assert_int_equal(f.slot[REALITY_SLOT_FINISHED], 58);
		assert_int_equal(f.slot[REALITY_SLOT_EXTRA], n >= end + 5 ? 300 : 0);
	}
}

static enum reality_flight_fault fault_of(const struct kit_server *s, unsigned second,
					  unsigned third, size_t third_len)
{
	static uint8_t b[KIT_FLIGHT_MAX];
	struct wr w = wr_of(b, sizeof(b));
	enum reality_flight_fault fault = REALITY_FLIGHT_OK;
	struct reality_flight f;

	kit_server_hello(&w, s);
	kit_record(&w, second, 6);
	kit_record(&w, third, third_len);
	assert_int_equal(decode(span_of(b, w.n), &f, &fault), -ERR_MALFORMED);
	assert_true(strlen(reality_flight_text(fault)) > 10);
	return fault;
}

static void flight_faults(void **state)
{
	struct kit_server s = plain;
	enum reality_flight_fault fault;
	struct reality_flight f;

	(void)state;
	s.version = 0x0303;
	assert_int_equal(fault_of(&s, 20, 23, 600), REALITY_FLIGHT_NO_TLS13);
	s = plain;
	s.suite = 0x1304;
	assert_int_equal(fault_of(&s, 20, 23, 600), REALITY_FLIGHT_SUITE);
	s = plain;
	s.group = TLS_GROUP_P256;
	s.share_len = 65;
	assert_int_equal(fault_of(&s, 20, 23, 600), REALITY_FLIGHT_SHARE);
	s = plain;
	s.share_len = 31;
	assert_int_equal(fault_of(&s, 20, 23, 600), REALITY_FLIGHT_SHARE);
	s = plain;
	s.retry = true;
	assert_int_equal(fault_of(&s, 20, 23, 600), REALITY_FLIGHT_RETRY);
	assert_int_equal(fault_of(&plain, 23, 23, 600), REALITY_FLIGHT_SEQUENCE);
	assert_int_equal(fault_of(&plain, 20, 21, 600), REALITY_FLIGHT_SEQUENCE);
	assert_int_equal(fault_of(&plain, 20, 23, 8193), REALITY_FLIGHT_LONG);
	assert_int_equal(decode(span_of("\x15\x03\x03\x00\x02\x02\x28", 7), &f, &fault),
			 -ERR_MALFORMED);
	assert_int_equal(fault, REALITY_FLIGHT_ALERT);
	assert_int_equal(decode(span_str("HTTP/1.1 400"), &f, &fault), -ERR_MALFORMED);
	assert_int_equal(fault, REALITY_FLIGHT_NO_TLS);
	assert_int_equal(decode(span_of("\x16\x03\x03\x00\x04\x02\x00\x00\x01", 9), &f, &fault),
			 -ERR_MALFORMED);
	assert_int_equal(fault, REALITY_FLIGHT_BAD_HELLO);
}

/* ---- our answer ---- */

struct scene {
	uint8_t hello_bytes[KIT_HELLO_MAX], flight_bytes[KIT_FLIGHT_MAX];
	uint8_t out[REALITY_ANSWER_MAX];
	uint8_t priv[32], pub[32], auth_key[32];
	struct mlkem768_key kem;
	struct tlshello_client hello;
	struct reality_flight flight;
	struct reality_signer signer;
	struct reality_session session;
	size_t out_len;
	char why[REALITY_WHY_MAX];
};

static void scene_set(struct scene *s, const struct kit_server *server, const uint16_t slots[4])
{
	struct wr h = wr_of(s->hello_bytes, sizeof(s->hello_bytes));
	struct wr w = wr_of(s->flight_bytes, sizeof(s->flight_bytes));
	uint8_t share[MLKEM768_EK + 32];
	enum reality_flight_fault fault;
	bool hybrid = server->group == TLS_GROUP_X25519MLKEM768;

	memset(s, 0, sizeof(*s));
	memset(s->auth_key, 0xa5, sizeof(s->auth_key));
	assert_int_equal(x25519_keypair(s->priv, s->pub), 0);
	assert_int_equal(mlkem768_keygen(&s->kem), 0);
	assert_int_equal(ed25519_keypair(s->signer.seed, s->signer.pub), 0);
	memcpy(share, s->kem.ek, MLKEM768_EK);
	memcpy(share + (hybrid ? MLKEM768_EK : 0), s->pub, 32);
	kit_client_hello(&h, server->group, span_of(share, hybrid ? sizeof(share) : 32));
	assert_int_equal(tlshello_client_decode(&s->hello, span_of(h.p, h.n)), h.n);
	kit_server_hello(&w, server);
	kit_record(&w, 20, 6);
	for (int i = 0; i < 4 && slots[i]; i++)
		kit_record(&w, 23, slots[i]);
	assert_int_equal(reality_flight_decode(&s->flight, span_of(w.p, w.n), &fault), 1);
}

static int encode(struct scene *s)
{
	struct wr w = wr_of(s->out, sizeof(s->out));
	int err = reality_answer_encode(&w, &s->session, &s->flight, &s->hello, s->auth_key,
					&s->signer, s->why);

	s->out_len = w.n;
	return err;
}

/* The client's half of the key exchange. */
static size_t client_shared(struct scene *s, const struct tlshello_server *sh, uint8_t out[64])
{
	if (sh->group == TLS_GROUP_X25519) {
		assert_int_equal(x25519_shared(out, s->priv, sh->share.p), 0);
		return 32;
	}
	assert_int_equal(mlkem768_decaps(out, &s->kem, span_of(sh->share.p, MLKEM768_CT)), 0);
	assert_int_equal(x25519_shared(out + 32, s->priv, sh->share.p + MLKEM768_CT), 0);
	return 64;
}

/* Opens the record at @r and appends its content, which must be of the handshake. */
static void open_record(struct rd *r, const struct tls_secret *secret, uint64_t seq, struct wr *to,
			size_t total)
{
	const struct tls13_suite *suite = tls13_suite_find(0x1301);
	uint8_t key[AEAD_KEY_MAX], iv[TLS_IV_LEN], plain_text[REALITY_RECORD_MAX];
	struct span header = rd_take(r, 5), body = rd_take(r, total - 5);
	struct aead *a;
	size_t n;

	assert_false(r->bad);
	assert_int_equal(header.p[0], 23);
	assert_int_equal(header.p[3] << 8 | header.p[4], total - 5);
	assert_int_equal(tls13_traffic_keys(suite, secret, key, iv), 0);
	iv[11] ^= (uint8_t)seq;
	a = aead_new(suite->aead, key);
	assert_int_equal(aead_open(a, iv, header, plain_text, body), 0);
	aead_free(a);
	for (n = body.n - 16; n > 0 && plain_text[n - 1] == 0;)
		n--;
	assert_int_equal(plain_text[n - 1], 22);
	wr_bytes(to, plain_text, n - 1);
}

static struct span take_message(struct rd *r, uint8_t type)
{
	const uint8_t *at = r->p;
	size_t n;

	assert_int_equal(rd_u8(r), type);
	n = rd_u24(r);
	rd_take(r, n);
	assert_false(r->bad);
	return span_of(at, n + 4);
}

static void check_mldsa(struct scene *s, const struct reality_cert *cert)
{
	uint8_t digest[REALITY_MAC_LEN];
	size_t n = s->flight.hello.message.n;

	if (!s->signer.mldsa) {
		assert_int_equal(cert->extension.n, 0);
		return;
	}
	assert_int_equal(reality_cert_digest(digest, s->auth_key, cert->key.p, s->hello.message,
					     span_of(s->out + 5, n)),
			 0);
	assert_int_equal(mldsa65_verify(&s->signer.mldsa->pub, span_of(digest, sizeof(digest)),
					span_of(NULL, 0), cert->extension),
			 0);
}

static void check_messages(struct scene *s, struct span all, struct tls13_transcript *t,
			   const struct tls_secret *server_hs)
{
	struct rd r = rd_of(all);
	struct span m = take_message(&r, TLS_MSG_ENCRYPTED_EXTENSIONS);
	uint8_t th[SHA_LEN_MAX], content[TLS13_SIGNED_MAX], mac[SHA_LEN_MAX];
	struct reality_cert cert;
	size_t n;

	tls13_transcript_add(t, m);
	m = take_message(&r, TLS_MSG_CERTIFICATE);
	assert_int_equal(reality_cert_decode(&cert, span_of(m.p + 11, m.n - 13)), 0);
	assert_true(reality_cert_proves(&cert, s->auth_key));
	check_mldsa(s, &cert);
	tls13_transcript_add(t, m);
	tls13_transcript_hash(t, th);
	m = take_message(&r, TLS_MSG_CERTIFICATE_VERIFY);
	n = tls13_signed_content(content, true, span_of(th, 32));
	assert_int_equal(m.n, 8 + 64);
	assert_int_equal(ed25519_verify(cert.key.p, span_of(content, n), m.p + 8), 0);
	tls13_transcript_add(t, m);
	tls13_transcript_hash(t, th);
	m = take_message(&r, TLS_MSG_FINISHED);
	tls13_finished(SHA_ALG_256, mac, server_hs, th);
	assert_int_equal(m.n, 4 + 32);
	assert_memory_equal(m.p + 4, mac, 32);
	tls13_transcript_add(t, m);
	assert_int_equal(r.n, 0);
}

/* Everything a client does with the answer. */
static void be_client(struct scene *s)
{
	struct rd r = rd_of(span_of(s->out, s->out_len));
	struct tls_secret client_hs, server_hs, client_app, server_app;
	uint8_t shared[64], th[SHA_LEN_MAX], text[8192], finished[36] = {TLS_MSG_FINISHED, 0, 0, 32};
	struct wr messages = wr_of(text, sizeof(text));
	struct tlshello_server sh;
	struct tls13_transcript t;
	struct tls13_schedule k;
	size_t n;

	rd_take(&r, 5);
	n = (size_t)tlshello_server_decode(&sh, span_of(r.p, r.n));
	assert_int_equal(n, s->flight.hello.message.n);
	rd_take(&r, n);
	rd_take(&r, 6);
	tls13_transcript_init(&t, SHA_ALG_256);
	tls13_transcript_add(&t, s->hello.message);
	tls13_transcript_add(&t, sh.message);
	tls13_transcript_hash(&t, th);
	tls13_schedule_init(&k, SHA_ALG_256);
	n = client_shared(s, &sh, shared);
	tls13_schedule_handshake(&k, span_of(shared, n), th, &client_hs, &server_hs);
	for (unsigned i = 0; i < 4 && s->flight.slot[REALITY_SLOT_FIRST + i]; i++)
		open_record(&r, &server_hs, i, &messages, s->flight.slot[REALITY_SLOT_FIRST + i]);
	assert_int_equal(r.n, 0);
	check_messages(s, span_of(text, messages.n), &t, &server_hs);
	tls13_transcript_hash(&t, th);
	tls13_schedule_master(&k, th, &client_app, &server_app);
	assert_memory_equal(client_app.b, s->session.client_app.b, 32);
	assert_memory_equal(server_app.b, s->session.server_app.b, 32);
	tls13_finished(SHA_ALG_256, finished + 4, &client_hs, th);
	assert_true(reality_answer_finished(&s->session, span_of(finished, sizeof(finished))));
	for (size_t i = 0; i < sizeof(finished); i++) {
		finished[i] ^= 1;
		assert_false(
			reality_answer_finished(&s->session, span_of(finished, sizeof(finished))));
		finished[i] ^= 1;
		assert_false(reality_answer_finished(&s->session, span_of(finished, i)));
	}
	tls13_transcript_fini(&t);
	tls13_schedule_fini(&k);
}

static const struct kit_server hybrid = {0x0304, 0x1301, TLS_GROUP_X25519MLKEM768, 1120, false};
static const uint16_t merged_slots[4] = {327};
static const uint16_t merged_long[4] = {4321};
static const uint16_t separate_least[4] = {28, 213, 94, 58};
static const uint16_t separate_roomy[4] = {64, 3000, 280, 74};

static void answers_are_accepted(void **state)
{
	static const uint16_t *const slots[] = {merged_long, separate_least, separate_roomy};
	static const struct kit_server *const servers[] = {&plain, &hybrid};
	struct scene *s = malloc(sizeof(*s));

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < 2; k++) {
			scene_set(s, servers[k], slots[i]);
			assert_int_equal(encode(s), 0);
			be_client(s);
		}
	free(s);
}

/* The signature in the extension is the key's, over both hellos. */
static void answers_with_mldsa(void **state)
{
	static const uint16_t long_slots[4] = {28, 3544, 94, 58};
	static const uint16_t *const slots[] = {merged_long, long_slots};
	struct mldsa65_key *key = malloc(sizeof(*key));
	struct scene *s = malloc(sizeof(*s));

	(void)state;
	assert_non_null(key);
	mldsa65_key_set(key, (const uint8_t[32]){7});
	for (size_t i = 0; i < 2; i++) {
		scene_set(s, &plain, slots[i]);
		s->signer.mldsa = key;
		assert_int_equal(encode(s), 0);
		be_client(s);
	}
	s->flight.slot[REALITY_SLOT_CERT]--;
	assert_int_equal(encode(s), -ERR_UNSUPPORTED);
	free(key);
	free(s);
}

/* All but the share is the target's, byte for byte. */
static void server_hello_is_the_targets(void **state)
{
	struct scene *s = malloc(sizeof(*s));
	struct span m;

	(void)state;
	scene_set(s, &plain, separate_least);
	assert_int_equal(encode(s), 0);
	m = s->flight.hello.message;
	assert_memory_equal(s->out, s->flight_bytes, 5 + m.n - 32);
	assert_memory_not_equal(s->out + 5 + m.n - 32, s->flight_bytes + 5 + m.n - 32, 32);
	assert_memory_equal(s->out + 5 + m.n, "\x14\x03\x03\x00\x01\x01", 6);
	free(s);
}

static void short_records_are_refused(void **state)
{
	struct scene *s = malloc(sizeof(*s));
	struct wr small;

	(void)state;
	for (int i = 0; i < 4; i++) {
		uint16_t slots[4];

		memcpy(slots, separate_least, sizeof(slots));
		slots[i]--;
		scene_set(s, &plain, slots);
		assert_int_equal(encode(s), -ERR_UNSUPPORTED);
		assert_non_null(strstr(s->why, "target's record for"));
	}
	/* 327 is not above 512: said by the numbers alone */
	scene_set(s, &plain, merged_long);
	s->flight.slot[REALITY_SLOT_FIRST] = merged_slots[0];
	assert_int_equal(encode(s), 0);
	s->flight.slot[REALITY_SLOT_FIRST]--;
	assert_int_equal(encode(s), -ERR_UNSUPPORTED);
	scene_set(s, &plain, separate_least);
	small = wr_of(s->out, 500);
	assert_int_equal(reality_answer_encode(&small, &s->session, &s->flight, &s->hello,
					       s->auth_key, &s->signer, s->why),
			 -ERR_LIMIT);
	free(s);
}

static void foreign_shares_are_refused(void **state)
{
	struct scene *s = malloc(sizeof(*s));

	(void)state;
	scene_set(s, &plain, merged_long);
	s->flight.hello.group = TLS_GROUP_X25519MLKEM768;
	assert_int_equal(encode(s), -ERR_UNSUPPORTED);
	assert_non_null(strstr(s->why, "did not offer"));
	scene_set(s, &hybrid, merged_long);
	memset(s->hello_bytes + s->hello.message.n - 1216, 0xff, 384);
	assert_int_equal(encode(s), -ERR_UNSUPPORTED);
	assert_non_null(strstr(s->why, "ML-KEM"));
	scene_set(s, &hybrid, merged_long);
	memset(s->hello_bytes + s->hello.message.n - 32, 0, 32);
	assert_int_equal(encode(s), -ERR_UNSUPPORTED);
	assert_non_null(strstr(s->why, "X25519"));
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flight_merged),
		cmocka_unit_test(flight_separate),
		cmocka_unit_test(flight_faults),
		cmocka_unit_test(answers_are_accepted),
		cmocka_unit_test(answers_with_mldsa),
		cmocka_unit_test(server_hello_is_the_targets),
		cmocka_unit_test(short_records_are_refused),
		cmocka_unit_test(foreign_shares_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
