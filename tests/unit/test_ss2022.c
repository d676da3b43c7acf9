/* Shadowsocks 2022 streams: vectors both ways, every refusal, truncation, users. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "proto/ss2022.h"
#include "hex.h"
#include "ss_vectors.h"

enum { VECTORS = sizeof(ss_stream_vectors) / sizeof(ss_stream_vectors[0]), ROOM = 4096 };

#define PAYLOAD "GET / HTTP/1.1\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\n\r\n"

/* A vector ready for use by either side. */
struct fixture {
	const struct ss_stream_vector *v;
	const struct ss_method *m;
	struct ss_chain chain;
	struct ss2022_server server;
	struct ss_users *users;
	uint8_t salt[32], request_salt[32], wire_b[512], chunk_b[64];
	struct span wire, chunk;
};

static void setup(struct fixture *f, const struct ss_stream_vector *v)
{
	memset(f, 0, sizeof(*f));
	f->v = v;
	f->m = ss_method_find(span_str(v->method));
	assert_non_null(f->m);
	f->chain.method = f->server.method = f->m;
	hex_read(f->chain.key[f->chain.n++].b, SS_KEY_MAX, v->key);
	f->server.key = f->chain.key[0];
	if (v->user_key) {
		struct ss_key all[3] = {{{1}}, {{2}}, {{0}}};

		hex_read(f->chain.key[f->chain.n++].b, SS_KEY_MAX, v->user_key);
		all[2] = f->chain.key[1];
		assert_int_equal(ss_users_new(&f->users, f->m, all, 3, NULL), 0);
		f->server.users = f->users;
	}
	hex_read(f->salt, 32, v->salt);
	if (v->request_salt)
		hex_read(f->request_salt, 32, v->request_salt);
	f->wire = span_of(f->wire_b, hex_read(f->wire_b, sizeof(f->wire_b), v->wire));
	if (v->chunk)
		f->chunk = span_of(f->chunk_b, hex_read(f->chunk_b, sizeof(f->chunk_b), v->chunk));
}

static void teardown(struct fixture *f)
{
	ss_users_free(f->users);
}

static struct ss2022_request request_of(const struct ss_stream_vector *v)
{
	struct ss2022_request req = {0};

	if (v->padded) {
		assert_int_equal(addr_parse(&req.target, span_str("example.com:443")), 0);
		req.padding = 16;
	} else {
		assert_int_equal(addr_parse(&req.target, span_str("192.0.2.1:80")), 0);
		req.payload = span_str(PAYLOAD);
	}
	return req;
}

static void seal_chunk_of(struct fixture *f, struct ss_writer *w, const char *data)
{
	uint8_t out[64];
	struct wr chunk = wr_of(out, sizeof(out));

	if (!f->v->chunk)
		return;
	assert_int_equal(ss_writer_seal(w, &chunk, span_str(data)), 5);
	assert_int_equal(chunk.n, f->chunk.n);
	assert_memory_equal(out, f->chunk.p, chunk.n);
}

static void open_chunk_of(struct fixture *f, struct ss_reader *r, const char *data)
{
	struct span plain;

	if (!f->v->chunk)
		return;
	assert_true(ss_reader_may_end(r));
	assert_int_equal(ss_reader_need(r), SS_LENGTH);
	assert_int_equal(ss_reader_open(r, f->chunk_b, &plain), 0);
	assert_int_equal(plain.n, 0);
	assert_false(ss_reader_may_end(r));
	assert_int_equal(ss_reader_need(r), f->chunk.n - SS_LENGTH);
	assert_int_equal(ss_reader_open(r, f->chunk_b + SS_LENGTH, &plain), 0);
	assert_true(span_eq(plain, span_str(data)));
	assert_true(ss_reader_may_end(r));
}

static void seal_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct fixture f;
		struct ss_writer w;
		uint8_t out[ROOM];
		struct wr wr = wr_of(out, sizeof(out));

		setup(&f, &ss_stream_vectors[i]);
		if (f.v->request_salt) {
			struct ss2022_head head = {.key = ss_chain_user(&f.chain)};

			memcpy(head.salt, f.request_salt, 32);
			assert_int_equal(ss2022_response_seal(&wr, &w, f.m, &head, f.salt,
							      span_str(ANSWER), SS_TIME),
					 0);
			assert_int_equal(wr.n, ss2022_response_sealed_len(f.m, strlen(ANSWER)));
			seal_chunk_of(&f, &w, "world");
		} else {
			struct ss2022_request req = request_of(f.v);

			assert_int_equal(
				ss2022_request_seal(&wr, &w, &f.chain, f.salt, &req, SS_TIME), 0);
			assert_int_equal(wr.n, ss2022_request_len(&f.chain, &req));
			seal_chunk_of(&f, &w, "hello");
		}
		ss_writer_fini(&w);
		ss_writer_fini(&w);
		assert_int_equal(wr.n, f.wire.n);
		assert_memory_equal(out, f.wire.p, wr.n);
		teardown(&f);
	}
}

/* The whole of a server's work on f->wire; the first error. */
static int serve(struct fixture *f, struct ss_reader *r, struct ss2022_head *head,
		 struct ss2022_request *req, const struct ss2022_time *now,
		 struct ss_replay *replay, int64_t *skew)
{
	size_t n = ss2022_head_len(&f->server);
	int err;

	assert_true(f->wire.n > n);
	err = ss2022_head_open(head, r, &f->server, span_of(f->wire_b, n), now, replay, skew);
	if (err != 0)
		return err;
	if (head->rest != f->wire.n - n)
		return -ERR_LIMIT; /* of this test: a forged length would wait for more */
	return ss2022_request_open(req, r, f->wire_b + n, head->rest);
}

static void open_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		const struct ss2022_time now = {SS_TIME + 7, 1};
		struct ss2022_request req, want;
		struct ss2022_head head;
		struct ss_reader r;
		struct fixture f;
		int64_t skew = 0;

		if (ss_stream_vectors[i].request_salt)
			continue;
		setup(&f, &ss_stream_vectors[i]);
		assert_int_equal(serve(&f, &r, &head, &req, &now, NULL, &skew), 0);
		want = request_of(f.v);
		assert_true(addr_eq(&req.target, &want.target));
		assert_int_equal(req.padding, want.padding);
		assert_true(span_eq(req.payload, want.payload));
		assert_int_equal(skew, -7);
		assert_int_equal(head.user, f.users ? 2 : 0);
		assert_memory_equal(head.key->b, ss_chain_user(&f.chain)->b, f.m->key_len);
		assert_memory_equal(head.salt, f.salt, f.m->key_len);
		open_chunk_of(&f, &r, "hello");
		ss_reader_fini(&r);
		ss_reader_fini(&r);
		teardown(&f);
	}
}

static void open_responses(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct ss_reader r;
		struct fixture f;
		struct span plain;
		int64_t skew = 99;
		size_t n;

		if (!ss_stream_vectors[i].request_salt)
			continue;
		setup(&f, &ss_stream_vectors[i]);
		n = ss2022_response_len(f.m);
		for (size_t cut = 0; cut < n; cut++) {
			assert_int_equal(ss2022_response_open(&r, &f.chain, f.request_salt,
							      span_of(f.wire_b, cut), SS_TIME,
							      NULL),
					 -ERR_MALFORMED);
			ss_reader_fini(&r);
		}
		assert_int_equal(ss2022_response_open(&r, &f.chain, f.request_salt,
						      span_of(f.wire_b, n), SS_TIME, &skew),
				 0);
		assert_int_equal(skew, 0);
		assert_int_equal(ss_reader_need(&r), strlen(ANSWER) + AEAD_TAG);
		assert_false(ss_reader_may_end(&r));
		assert_int_equal(ss_reader_open(&r, f.wire_b + n, &plain), 0);
		assert_true(span_eq(plain, span_str(ANSWER)));
		open_chunk_of(&f, &r, "world");
		ss_reader_fini(&r);
		for (size_t bad = 0; bad < f.m->key_len; bad++) { /* any byte of the echo */
			f.request_salt[bad] ^= 0x80;
			assert_int_equal(ss2022_response_open(&r, &f.chain, f.request_salt,
							      span_of(f.wire_b, n), SS_TIME, NULL),
					 -ERR_AUTH);
			f.request_salt[bad] ^= 0x80;
			ss_reader_fini(&r);
		}
		teardown(&f);
	}
}

static void clocks(void **state)
{
	static const struct {
		uint64_t now;
		int err;
		int64_t skew;
	} v[] = {{SS_TIME + 30, 0, -30},	  {SS_TIME - 30, 0, 30},
		 {SS_TIME + 31, -ERR_CLOCK, -31}, {SS_TIME - 31, -ERR_CLOCK, 31},
		 {0, -ERR_CLOCK, SS_TIME},	  {UINT64_MAX, -ERR_CLOCK, -INT64_MAX}};

	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		for (size_t t = 0; t < sizeof(v) / sizeof(v[0]); t++) {
			const struct ss2022_time now = {v[t].now, 0};
			struct ss2022_request req;
			struct ss2022_head head;
			struct ss_reader r;
			struct fixture f;
			int64_t skew = 0;

			setup(&f, &ss_stream_vectors[i]);
			if (f.v->request_salt)
				assert_int_equal(
					ss2022_response_open(
						&r, &f.chain, f.request_salt,
						span_of(f.wire_b, ss2022_response_len(f.m)),
						now.unix_s, &skew),
					v[t].err);
			else
				assert_int_equal(serve(&f, &r, &head, &req, &now, NULL, &skew),
						 v[t].err);
			assert_true(skew == v[t].skew);
			ss_reader_fini(&r);
			teardown(&f);
		}
	}
}

static void replays(void **state)
{
	static const uint8_t seed[SS_REPLAY_SEED];

	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		static const struct {
			uint64_t unix_s, mono_ms;
			int err;
		} v[] = {{SS_TIME - 30, 1000, 0},
			 {SS_TIME - 30, 1000, -ERR_REPLAY},
			 {SS_TIME + 30, 61999, -ERR_REPLAY},
			 {SS_TIME, 62000, 0}};
		struct ss_replay *replay;

		if (ss_stream_vectors[i].request_salt)
			continue;
		replay = ss_replay_new(10, SS_REPLAY_LIFETIME_MS, seed);
		for (size_t t = 0; t < 4; t++) {
			const struct ss2022_time now = {v[t].unix_s, v[t].mono_ms};
			struct ss2022_request req;
			struct ss2022_head head;
			struct ss_reader r;
			struct fixture f;

			setup(&f, &ss_stream_vectors[i]);
			f.wire_b[ss2022_head_len(&f.server) - 1] ^= 1;
			/* what does not authenticate is not remembered */
			assert_int_equal(serve(&f, &r, &head, &req, &now, replay, NULL), -ERR_AUTH);
			ss_reader_fini(&r);
			f.wire_b[ss2022_head_len(&f.server) - 1] ^= 1;
			assert_int_equal(serve(&f, &r, &head, &req, &now, replay, NULL), v[t].err);
			ss_reader_fini(&r);
			teardown(&f);
		}
		ss_replay_free(replay);
	}
}

static void every_bit_counts(void **state)
{
	const struct ss2022_time now = {SS_TIME, 0};

	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct fixture f;

		if (ss_stream_vectors[i].request_salt)
			continue;
		setup(&f, &ss_stream_vectors[i]);
		for (size_t bit = 0; bit < f.wire.n * 8; bit++) {
			struct ss2022_request req;
			struct ss2022_head head;
			struct ss_reader r;
			uint8_t keep[sizeof(f.wire_b)];

			memcpy(keep, f.wire_b, sizeof(keep));
			f.wire_b[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(serve(&f, &r, &head, &req, &now, NULL, NULL), -ERR_AUTH);
			ss_reader_fini(&r);
			memcpy(f.wire_b, keep, sizeof(keep));
		}
		teardown(&f);
	}
}

static void short_heads(void **state)
{
	const struct ss2022_time now = {SS_TIME, 0};

	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct fixture f;

		if (ss_stream_vectors[i].request_salt)
			continue;
		setup(&f, &ss_stream_vectors[i]);
		for (size_t n = 0; n < ss2022_head_len(&f.server); n++) {
			struct span in = exact(f.wire, n);
			struct ss2022_head head;
			struct ss_reader r;

			assert_int_equal(
				ss2022_head_open(&head, &r, &f.server, in, &now, NULL, NULL),
				-ERR_MALFORMED);
			ss_reader_fini(&r);
			free_hex(in);
		}
		teardown(&f);
	}
}

/* A request whose headers are built by hand, so that they can be wrong. */
static int serve_crafted(struct fixture *f, const char *fixed_hex, const char *var_hex)
{
	const struct ss2022_time now = {SS_TIME, 0};
	uint8_t fixed[64], var[1024];
	struct span parts[2];
	struct wr wr = wr_of(f->wire_b, sizeof(f->wire_b));
	struct ss2022_request req;
	struct ss2022_head head;
	struct ss_reader r;
	struct ss_writer w;
	int err;

	parts[0] = span_of(fixed, hex_read(fixed, sizeof(fixed), fixed_hex));
	parts[1] = span_of(var, hex_read(var, sizeof(var), var_hex));
	wr_bytes(&wr, f->salt, f->m->key_len);
	assert_int_equal(ss_writer_init(&w, f->m, &f->server.key, f->salt), 0);
	assert_int_equal(ss_writer_item(&w, &wr, &parts[0], 1), 0);
	assert_int_equal(ss_writer_item(&w, &wr, &parts[1], 1), 0);
	ss_writer_fini(&w);
	f->wire = span_of(f->wire_b, wr.n);
	err = serve(f, &r, &head, &req, &now, NULL, NULL);
	ss_reader_fini(&r);
	return err;
}

static void crafted_requests(void **state)
{
	static const struct {
		const char *fixed, *var;
		int err;
	} v[] = {
		{"00000000006553f100000a", "01c00002010050000200", -ERR_MALFORMED /* P is 2 */},
		{"00000000006553f100000a", "01c0000201005001ffff", -ERR_MALFORMED},
		{"00000000006553f1000009", "01c000020100500000",
		 -ERR_MALFORMED /* nothing at all */},
		{"00000000006553f100000a", "01c000020100500000aa", 0},
		{"00000000006553f100000a", "01c00002010050000100", 0},
		{"01000000006553f100000a", "01c00002010050000100", -ERR_MALFORMED /* a response */},
		{"02000000006553f100000a", "01c00002010050000100", -ERR_MALFORMED},
		{"00000000006553f1000006", "01c000020100", -ERR_MALFORMED /* half an address */},
		{"00000000006553f1000008", "01c0000201005000", -ERR_MALFORMED /* half a P */},
		{"00000000006553f1000000", "", -ERR_MALFORMED},
		{"00000000006553f1000007", "0300005000aabb", -ERR_MALFORMED /* empty name */},
		{"00000000006553f100000a", "02c00002010050000100", -ERR_MALFORMED /* type 2 */},
	};
	struct fixture f;

	(void)state;
	setup(&f, &ss_stream_vectors[0]);
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		assert_int_equal(serve_crafted(&f, v[i].fixed, v[i].var), v[i].err);
	teardown(&f);
}

static void single_and_multi_do_not_mix(void **state)
{
	const struct ss2022_time now = {SS_TIME, 0};

	(void)state;
	for (size_t i = 0; i < VECTORS; i++) {
		struct ss_key other = {{7}};
		struct ss_users *users = NULL;
		struct ss2022_request req;
		struct ss2022_head head;
		struct ss_reader r;
		struct fixture f;

		if (ss_stream_vectors[i].request_salt ||
		    !strstr(ss_stream_vectors[i].method, "aes"))
			continue;
		setup(&f, &ss_stream_vectors[i]);
		assert_int_equal(ss_users_new(&users, f.m, &other, 1, NULL), 0);
		f.server.users = f.users ? NULL : users;
		assert_int_equal(serve(&f, &r, &head, &req, &now, NULL, NULL), -ERR_AUTH);
		ss_reader_fini(&r);
		if (f.users) { /* multi, but another user */
			f.server.users = users;
			assert_int_equal(serve(&f, &r, &head, &req, &now, NULL, NULL), -ERR_AUTH);
			ss_reader_fini(&r);
		}
		ss_users_free(users);
		teardown(&f);
	}
}

/* Three keys: the first server is a relay that removes its header and forwards the rest. */
static void a_chain_of_three(void **state)
{
	const struct ss2022_time now = {SS_TIME, 0};
	const struct ss_method *m = ss_method_find(span_str("2022-blake3-aes-256-gcm"));
	struct ss_chain chain = {.method = m, .key = {{{1}}, {{2}}, {{3}}}, .n = 3};
	struct ss_chain inner = {.method = m, .key = {{{2}}, {{3}}}, .n = 2};
	uint8_t salt[32] = {9}, a[ROOM], b[ROOM];
	struct wr wa = wr_of(a, ROOM), wb = wr_of(b, ROOM);
	struct ss2022_request req = request_of(&ss_stream_vectors[0]);
	struct ss2022_server s = {.method = m, .key = {{2}}};
	struct ss_users *users = NULL;
	struct ss2022_head head;
	struct ss_writer w;
	struct ss_reader r;

	(void)state;
	assert_int_equal(ss2022_request_seal(&wa, &w, &chain, salt, &req, SS_TIME), 0);
	ss_writer_fini(&w);
	assert_int_equal(ss2022_request_seal(&wb, &w, &inner, salt, &req, SS_TIME), 0);
	ss_writer_fini(&w);
	assert_int_equal(wa.n, wb.n + 16);
	assert_memory_equal(a, b, 32);
	assert_memory_equal(a + 48, b + 32, wb.n - 32);
	assert_int_equal(ss_users_new(&users, m, &chain.key[2], 1, NULL), 0);
	s.users = users;
	assert_int_equal(
		ss2022_head_open(&head, &r, &s, span_of(b, ss2022_head_len(&s)), &now, NULL, NULL),
		0);
	ss_reader_fini(&r);
	ss_users_free(users);
}

static void refusals_of_the_encoder(void **state)
{
	struct ss2022_request req = request_of(&ss_stream_vectors[1]);
	struct ss2022_head head = {0};
	static uint8_t big[70000], out[80000];
	struct ss_writer w;
	struct fixture f;

	(void)state;
	setup(&f, &ss_stream_vectors[1]);
	for (size_t room = 0; room < f.wire.n; room++) {
		struct wr wr = wr_of(out, room);

		assert_int_equal(ss2022_request_seal(&wr, &w, &f.chain, f.salt, &req, SS_TIME),
				 -ERR_LIMIT);
		ss_writer_fini(&w);
	}
	struct wr wr = wr_of(out, sizeof(out));

	req.payload.n = 0;
	assert_int_equal(ss2022_request_seal(&wr, &w, &f.chain, f.salt, &req, SS_TIME),
			 -ERR_MALFORMED);
	req.payload = span_of(big, 0xffff - 9);
	assert_int_equal(ss2022_request_seal(&wr, &w, &f.chain, f.salt, &req, SS_TIME), 0);
	ss_writer_fini(&w);
	req.payload.n++;
	assert_int_equal(ss2022_request_seal(&wr, &w, &f.chain, f.salt, &req, SS_TIME), -ERR_LIMIT);
	req.payload.n = 1;
	req.padding = SS2022_PADDING_MAX + 1;
	assert_int_equal(ss2022_request_seal(&wr, &w, &f.chain, f.salt, &req, SS_TIME), -ERR_LIMIT);
	req.target.kind = ADDR_NONE;
	assert_int_equal(ss2022_request_seal(&wr, &w, &f.chain, f.salt, &req, SS_TIME),
			 -ERR_MALFORMED);
	head.key = &f.server.key;
	assert_int_equal(ss2022_response_seal(&wr, &w, f.m, &head, f.salt, span_of(big, 0), 0),
			 -ERR_MALFORMED);
	assert_int_equal(ss2022_response_seal(&wr, &w, f.m, &head, f.salt, span_of(big, 65536), 0),
			 -ERR_LIMIT);
	teardown(&f);
}

static void padding_lengths(void **state)
{
	(void)state;
	assert_int_equal(ss2022_padding(0, 0), 1);
	assert_int_equal(ss2022_padding(0, 899), 900);
	assert_int_equal(ss2022_padding(0, 900), 1);
	assert_int_equal(ss2022_padding(899, UINT32_MAX), 1 + UINT32_MAX % 900);
	assert_int_equal(ss2022_padding(900, 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seal_vectors),
		cmocka_unit_test(open_requests),
		cmocka_unit_test(open_responses),
		cmocka_unit_test(clocks),
		cmocka_unit_test(replays),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(short_heads),
		cmocka_unit_test(crafted_requests),
		cmocka_unit_test(single_and_multi_do_not_mix),
		cmocka_unit_test(a_chain_of_three),
		cmocka_unit_test(refusals_of_the_encoder),
		cmocka_unit_test(padding_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
