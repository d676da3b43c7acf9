/*
 * One connection at a port with REALITY, from accept to its three ends. The target
 * is a unix socket of the test, the client its other hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/tls13.h"
#include "crypto/x25519.h"
#include "net/reality_probe.h"
#include "net/reality_server.h"
#include "net/stream_rate.h"
#include "net/stream_tls.h"
#include "net/sock_unix.h"
#include "net/transport.h"
#include "proto/reality.h"
#include "reality_kit.h"
#include "turn.h"

static const uint8_t server_keys[2][32] = {{1, 2, 3}, {8, 9, 10}};
static const uint8_t short_ids[1][8] = {{0xab}};
static const char *const names[] = {""};
static const struct kit_server plain = {0x0304, 0x1301, TLS_GROUP_X25519, 32, false};

enum { MERGED_LEN = 700 };

struct scene {
	struct loop *l;
	struct conf_reality_server conf;
	struct reality_server *rs;
	struct reality_accept *a;
	struct reality_user user;
	int listener, target, client;
	/* what came out */
	bool done;
	struct stream *ours, *to_client, *to_target;
	size_t early;
	int err;
	/* the client's half */
	uint8_t priv[32], hello[KIT_HELLO_MAX], record[KIT_HELLO_MAX];
	size_t hello_len, record_len;
	uint8_t finished[5 + 36 + 1 + 16];
};

static void on_done(struct reality_user *u, const struct reality_result *res)
{
	struct scene *s = container_of(u, struct scene, user);

	assert_false(s->done);
	s->done = true;
	s->ours = res->ours;
	s->to_client = res->client;
	s->to_target = res->target;
	s->err = res->err;
	if (res->ours) {
		assert_int_equal(res->info->version, 0x0304);
		assert_string_equal(res->info->cipher, "TLS_AES_128_GCM_SHA256");
		assert_string_equal(res->info->sni, "");
	}
	if (res->early)
		s->early = res->early->len;
}

/* @early: bytes that somebody has read of the client before; may be NULL. */
static void scene_open_with(struct scene *s, bool with_target, struct bufq *early)
{
	static char name[64];
	static int n;
	struct sock_unix at;
	char why[TRANSPORT_WHY_MAX];
	struct reality_peer peer = {.resolver = NULL};
	struct stream *client;

	*s = (struct scene){.l = loop_new(0)};
	snprintf(name, sizeof(name), "@garenne-reality-%d-%d", (int)getpid(), n++);
	s->conf = (struct conf_reality_server){.target_unix = name,
					       .names = {names, 1},
					       .keys = server_keys,
					       .n_keys = 2,
					       .short_ids = short_ids,
					       .n_short_ids = 1};
	s->listener = s->target = -1;
	if (with_target) {
		assert_int_equal(sock_unix_parse(&at, name), 0);
		s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(s->listener, (struct sockaddr *)&at.sa, at.len), 0);
		assert_int_equal(listen(s->listener, 1), 0);
	}
	s->rs = reality_server_new(&s->conf, why);
	assert_non_null(s->rs);
	s->user.on_done = on_done;
	client = turn_pair(s->l, &s->client);
	s->a = reality_accept_start(s->rs, client, early, &peer, &s->user);
	assert_non_null(s->a);
	if (!with_target)
		return;
	turn_until(s->l, (s->target = accept4(s->listener, NULL, NULL,
					      SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
	turn_idle(s->l);
}

static void scene_open(struct scene *s, bool with_target)
{
	scene_open_with(s, with_target, NULL);
}

static void scene_close(struct scene *s)
{
	stream_close(s->ours, 0);
	stream_close(s->to_client, 0);
	stream_close(s->to_target, 0);
	loop_stop(s->l);
	loop_run(s->l);
	loop_free(s->l);
	reality_server_free(s->rs);
	close(s->client);
	if (s->listener >= 0)
		close(s->listener);
	if (s->target >= 0)
		close(s->target);
	assert_int_equal(buf_live(), 0);
}

static void say(int fd, const void *p, size_t n)
{
	assert_int_equal(write(fd, p, n), n);
}

static void assert_heard(struct scene *s, int fd, const void *p, size_t n)
{
	uint8_t got[KIT_FLIGHT_MAX];

	assert_int_equal(turn_read(s->l, fd, got, n), n);
	assert_memory_equal(got, p, n);
}

static void assert_stranger(struct scene *s)
{
	turn_until(s->l, s->done);
	assert_int_equal(s->err, 0);
	assert_null(s->ours);
	assert_non_null(s->to_client);
	assert_non_null(s->to_target);
}

/* ---- strangers ---- */

static void stranger_by_bytes(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, true);
	say(s.client, "GET / HTTP/1.0\r\n\r\n", 18);
	assert_stranger(&s);
	assert_heard(&s, s.target, "GET / HTTP/1.0\r\n\r\n", 18);
	assert_int_equal(s.early, 0);
	scene_close(&s);
}

static void stranger_by_early_bytes(void **state)
{
	struct bufq early = {NULL, NULL, 0};
	struct scene s;

	(void)state;
	assert_int_equal(bufq_append(&early, span_str("GET /")), 0);
	scene_open_with(&s, true, &early);
	say(s.client, " HTTP/1.0", 9);
	assert_stranger(&s);
	assert_heard(&s, s.target, "GET /", 5);
	scene_close(&s);
}

static void stranger_by_silence(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, true);
	assert_false(s.done);
	reality_accept_yield(s.a, -ERR_TIMEOUT);
	assert_stranger(&s);
	scene_close(&s);
	/* while the target is not there yet, there is nothing to join */
	scene_open(&s, false);
	reality_accept_yield(s.a, -ERR_TIMEOUT);
	assert_true(s.done);
	assert_int_equal(s.err, -ERR_TIMEOUT);
	scene_close(&s);
}

static void stranger_by_target(void **state)
{
	struct bufq q = {NULL, NULL, 0};
	struct scene s;

	(void)state;
	scene_open(&s, true);
	say(s.target, "220 hello\r\n", 11);
	assert_stranger(&s);
	turn_until(s.l, stream_read(s.to_target, &q, 100) == 11);
	bufq_clear(&q);
	scene_close(&s);
}

static void stranger_by_end(void **state)
{
	struct bufq q = {NULL, NULL, 0};
	struct scene s;

	(void)state;
	scene_open(&s, true);
	shutdown(s.client, SHUT_WR);
	assert_stranger(&s);
	/* the end is still there for whoever joins the two */
	assert_int_equal(stream_read(s.to_client, &q, 100), -ERR_EOF);
	scene_close(&s);
}

static void no_target(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, false);
	turn_until(s.l, s.done);
	assert_true(s.err != 0);
	assert_null(s.to_client);
	assert_true(turn_ends(s.l, s.client));
	scene_close(&s);
}

/* ---- ours ---- */

static void make_hello(struct scene *s, size_t key)
{
	struct wr h = wr_of(s->hello, sizeof(s->hello)), r = wr_of(s->record, sizeof(s->record));
	struct reality_id id = {{26, 3, 27}, (uint32_t)time(NULL), {0xab}};
	uint8_t pub[32], server[32], shared[32], auth[32];

	assert_int_equal(x25519_keypair(s->priv, pub), 0);
	kit_client_hello(&h, TLS_GROUP_X25519, span_of(pub, 32));
	assert_int_equal(x25519_public(server, server_keys[key]), 0);
	assert_int_equal(x25519_shared(shared, s->priv, server), 0);
	assert_int_equal(reality_auth_key(auth, shared, s->hello + REALITY_RANDOM_AT), 0);
	assert_int_equal(reality_id_seal(s->hello, h.n, auth, &id), 0);
	s->hello_len = h.n;
	wr_u8(&r, 22);
	wr_u16(&r, 0x0301);
	wr_u16(&r, (unsigned)h.n);
	wr_bytes(&r, s->hello, h.n);
	s->record_len = r.n;
}

/* The target's answer, and ours in its shape. Fills @got; returns its length. */
static size_t answered(struct scene *s, uint8_t *got)
{
	static uint8_t b[KIT_FLIGHT_MAX];
	struct wr w = wr_of(b, sizeof(b));

	kit_server_hello(&w, &plain);
	kit_record(&w, 20, 6);
	kit_record(&w, 23, MERGED_LEN);
	say(s->target, w.p, w.n);
	assert_int_equal(turn_read(s->l, s->client, got, w.n), w.n);
	assert_memory_equal(got, w.p, 40);
	return w.n;
}

/* The client's Finished, from what it has seen. */
static void make_finished(struct scene *s, const uint8_t *got, size_t n)
{
	size_t hello_len = n - 5 - 6 - MERGED_LEN, inner;
	struct span sh = span_of(got + 5, hello_len);
	const struct tls13_suite *suite = tls13_suite_find(0x1301);
	struct tls_secret client, server;
	uint8_t shared[32], th[SHA_LEN_MAX], key[AEAD_KEY_MAX], iv[TLS_IV_LEN], text[MERGED_LEN];
	uint8_t plain_text[37] = {TLS_MSG_FINISHED, 0, 0, 32};
	const uint8_t *rec = got + n - MERGED_LEN;
	struct tls13_transcript t;
	struct tls13_schedule k;
	struct aead *a;

	assert_int_equal(x25519_shared(shared, s->priv, sh.p + sh.n - 32), 0);
	tls13_transcript_init(&t, suite->hash);
	tls13_transcript_add(&t, span_of(s->hello, s->hello_len));
	tls13_transcript_add(&t, sh);
	tls13_transcript_hash(&t, th);
	tls13_schedule_init(&k, suite->hash);
	tls13_schedule_handshake(&k, span_of(shared, 32), th, &client, &server);
	tls13_traffic_keys(suite, &server, key, iv);
	a = aead_new(suite->aead, key);
	assert_int_equal(aead_open(a, iv, span_of(rec, 5), text, span_of(rec + 5, MERGED_LEN - 5)),
			 0);
	aead_free(a);
	for (inner = MERGED_LEN - 5 - 16; text[inner - 1] == 0;)
		inner--;
	tls13_transcript_add(&t, span_of(text, inner - 1));
	tls13_transcript_hash(&t, th);
	tls13_finished(suite->hash, plain_text + 4, &client, th);
	plain_text[36] = 22;
	tls13_traffic_keys(suite, &client, key, iv);
	a = aead_new(suite->aead, key);
	memcpy(s->finished, "\x17\x03\x03\x00\x35", 5);
	assert_int_equal(aead_seal(a, iv, span_of(s->finished, 5), s->finished + 5,
				   span_of(plain_text, sizeof(plain_text))),
			 0);
	aead_free(a);
	tls13_transcript_fini(&t);
	tls13_schedule_fini(&k);
}

static const uint8_t ccs[6] = {20, 3, 3, 0, 1, 1};

/* Up to the moment in which the client would send its Finished. */
static void to_finished(struct scene *s, size_t key)
{
	uint8_t got[KIT_FLIGHT_MAX];

	scene_open(s, true);
	make_hello(s, key);
	say(s->client, s->record, s->record_len);
	assert_heard(s, s->target, s->record, s->record_len);
	make_finished(s, got, answered(s, got));
	assert_false(s->done);
}

static void ours_with_either_key(void **state)
{
	struct scene s;

	(void)state;
	for (size_t key = 0; key < 2; key++) {
		to_finished(&s, key);
		/* the target has done its part */
		assert_true(turn_ends(s.l, s.target));
		say(s.client, ccs, sizeof(ccs));
		say(s.client, s.finished, sizeof(s.finished));
		turn_until(s.l, s.done);
		assert_non_null(s.ours);
		assert_true(stream_is_tls(s.ours));
		scene_close(&s);
	}
}

/* Both halves cut everywhere, and what comes behind the hello in one segment is not lost. */
static void ours_in_pieces(void **state)
{
	uint8_t got[KIT_FLIGHT_MAX];
	struct scene s;

	(void)state;
	for (size_t cut = 1; cut < 130; cut += 9) {
		scene_open(&s, true);
		make_hello(&s, 0);
		assert_true(cut < s.record_len);
		say(s.client, s.record, cut);
		turn_idle(s.l);
		assert_false(s.done);
		memcpy(s.record + s.record_len, ccs, sizeof(ccs));
		say(s.client, s.record + cut, s.record_len + sizeof(ccs) - cut);
		assert_heard(&s, s.target, s.record, s.record_len + sizeof(ccs));
		make_finished(&s, got, answered(&s, got));
		for (size_t i = 0; i < sizeof(s.finished); i++) {
			say(s.client, s.finished + i, 1);
			turn_idle(s.l);
		}
		turn_until(s.l, s.done);
		assert_non_null(s.ours);
		scene_close(&s);
	}
}

static void assert_refused(struct scene *s)
{
	uint8_t alert[24];

	turn_until(s->l, s->done);
	assert_int_equal(s->err, -ERR_TLS);
	assert_null(s->ours);
	/* an alert under the application key: 24 bytes, as any server's */
	assert_int_equal(turn_read(s->l, s->client, alert, sizeof(alert)), sizeof(alert));
	assert_memory_equal(alert, "\x17\x03\x03\x00\x13", 5);
}

static void bad_finished(void **state)
{
	struct scene s;

	(void)state;
	for (size_t i = 5; i < sizeof(s.finished); i += 10) {
		to_finished(&s, 0);
		s.finished[i] ^= 1;
		say(s.client, s.finished, sizeof(s.finished));
		assert_refused(&s);
		scene_close(&s);
	}
	to_finished(&s, 0);
	say(s.client, "GET / HTTP/1.0\r\n\r\n", 18);
	assert_refused(&s);
	scene_close(&s);
}

static void many_ccs(void **state)
{
	struct scene s;

	(void)state;
	to_finished(&s, 0);
	for (int i = 0; i < REALITY_CCS_MAX; i++)
		say(s.client, ccs, sizeof(ccs));
	say(s.client, s.finished, sizeof(s.finished));
	turn_until(s.l, s.done);
	assert_non_null(s.ours);
	scene_close(&s);
	to_finished(&s, 0);
	for (int i = 0; i <= REALITY_CCS_MAX; i++)
		say(s.client, ccs, sizeof(ccs));
	assert_refused(&s);
	scene_close(&s);
}

/* What the target said while we looked at it comes first for the client. */
static void target_that_will_not_do(void **state)
{
	struct bufq q = {NULL, NULL, 0};
	struct scene s;

	(void)state;
	scene_open(&s, true);
	make_hello(&s, 0);
	say(s.client, s.record, s.record_len);
	assert_heard(&s, s.target, s.record, s.record_len);
	say(s.target, "\x15\x03\x03\x00\x02\x02\x28", 7);
	assert_stranger(&s);
	assert_int_equal(stream_read(s.to_target, &q, 100), 7);
	assert_memory_equal(bufq_pullup(&q, 7).p, "\x15\x03\x03\x00\x02\x02\x28", 7);
	bufq_clear(&q);
	scene_close(&s);
}

static void clients_that_leave(void **state)
{
	struct scene s;

	(void)state;
	to_finished(&s, 0);
	say(s.client, s.finished, 20);
	shutdown(s.client, SHUT_WR);
	turn_until(s.l, s.done);
	assert_int_equal(s.err, -ERR_RESET);
	assert_true(turn_ends(s.l, s.client)); /* no reset: no server does that here */
	scene_close(&s);
	/* what was said before counts */
	to_finished(&s, 0);
	say(s.client, s.finished, sizeof(s.finished));
	shutdown(s.client, SHUT_WR);
	turn_until(s.l, s.done);
	assert_non_null(s.ours);
	scene_close(&s);
	/* cancelled: nobody is called */
	to_finished(&s, 0);
	reality_accept_cancel(s.a, -ERR_CLOSED);
	turn_idle(s.l);
	assert_false(s.done);
	scene_close(&s);
}

/* ---- rates ---- */

static void rate_passes_all(void **state)
{
	const struct conf_fallback_rate limit = {100, 2000, 2000}, none = {5, 0, 0};
	struct loop *l = loop_new(0);
	struct bufq q = {NULL, NULL, 0};
	struct stream *below, *s;
	uint8_t data[2600];
	int peer;

	(void)state;
	memset(data, 7, sizeof(data));
	below = turn_pair(l, &peer);
	assert_ptr_equal(stream_rate_new(below, &none), below);
	s = stream_rate_new(below, &limit);
	say(peer, data, sizeof(data));
	/* what is free and the bucket at once, then nothing, then the rest */
	assert_int_equal(stream_read(s, &q, sizeof(data)), 2100);
	assert_int_equal(stream_read(s, &q, sizeof(data)), 0);
	turn_until(l, (stream_read(s, &q, sizeof(data)), q.len == sizeof(data)));
	shutdown(peer, SHUT_WR);
	turn_until(l, stream_read(s, &q, 1) == -ERR_EOF);
	/* the other direction is as it was */
	assert_int_equal(stream_write(s, &q), sizeof(data));
	stream_close(s, 0);
	loop_stop(l);
	loop_run(l);
	loop_free(l);
	close(peer);
	assert_int_equal(buf_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stranger_by_bytes),	cmocka_unit_test(stranger_by_silence),
		cmocka_unit_test(stranger_by_early_bytes),
		cmocka_unit_test(stranger_by_target),	cmocka_unit_test(stranger_by_end),
		cmocka_unit_test(no_target),		cmocka_unit_test(ours_with_either_key),
		cmocka_unit_test(ours_in_pieces),	cmocka_unit_test(bad_finished),
		cmocka_unit_test(many_ccs),		cmocka_unit_test(target_that_will_not_do),
		cmocka_unit_test(clients_that_leave),	cmocka_unit_test(rate_passes_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
