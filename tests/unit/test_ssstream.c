/* Shadowsocks chunks: queues in and out in all shapes, limits, damage; classic streams, packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "proto/netaddr.h"
#include "proto/ssaead.h"
#include "hex.h"
#include "ss_vectors.h"

enum { CLASSICS = sizeof(ss_classic_vectors) / sizeof(ss_classic_vectors[0]) };

static const struct ss_key key = {{1, 2, 3}};
static const uint8_t salt[32] = {9, 8, 7};

/* Reproducible numbers. */
static uint32_t lot(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (uint32_t)(*x >> 16);
}

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 31 + i / 251);
}

/* @n bytes of the test pattern from @at on, as one buf with the usual room round it. */
static struct buf *pattern(size_t at, size_t n)
{
	struct buf *b = buf_new_big(n);

	assert_non_null(b);
	for (size_t i = 0; i < n; i++)
		b->data[i] = byte_at(at + i);
	b->len = (uint32_t)n;
	return b;
}

static void assert_pattern(struct bufq *q, size_t *at)
{
	struct buf *b;

	while ((b = bufq_pop(q)) != NULL) {
		for (size_t i = 0; i < b->len; i++)
			assert_int_equal(b->data[i], byte_at(*at + i));
		*at += b->len;
		buf_free(b);
	}
}

/* Moves @from to @to, cut into new bufs of up to @max bytes. */
static void recut(struct bufq *to, struct bufq *from, size_t max, uint64_t *x)
{
	while (from->len > 0) {
		size_t n = 1 + lot(x) % max;

		if (n > from->len)
			n = from->len;
		struct buf *b = buf_new_big(n);

		bufq_peek(from, b->data, n);
		b->len = (uint32_t)n;
		bufq_drop(from, n);
		bufq_push(to, b);
	}
}

static void pipe_of(const struct ss_method *m, size_t in_max, size_t cut_max, size_t total)
{
	struct ss_writer w;
	struct ss_reader r;
	struct bufq in, mid, wire, out;
	uint64_t x = 42 + in_max + cut_max;
	size_t sent = 0, got = 0;

	bufq_init(&in);
	bufq_init(&mid);
	bufq_init(&wire);
	bufq_init(&out);
	assert_int_equal(ss_writer_init(&w, m, &key, salt), 0);
	assert_int_equal(ss_reader_init(&r, m, &key, salt), 0);
	while (sent < total) {
		for (int i = 0; i < 5 && sent < total; i++) {
			size_t n = 1 + lot(&x) % in_max;

			bufq_push(&in, pattern(sent, n));
			sent += n;
		}
		while (in.len > 0) {
			size_t before = in.len;
			ssize_t n = ss_writer_push(&w, &in, &mid, 20000);

			assert_true(n > 0);
			assert_int_equal(before - in.len, n);
		}
		recut(&wire, &mid, cut_max, &x);
		for (;;) {
			size_t before = out.len;
			ssize_t n = ss_reader_pull(&r, &wire, &out, 30000);

			assert_true(n >= 0);
			assert_int_equal(out.len - before, n);
			if (n == 0)
				break;
		}
		assert_pattern(&out, &got);
	}
	assert_int_equal(got, sent);
	assert_int_equal(wire.len, 0);
	assert_true(ss_reader_may_end(&r));
	ss_writer_fini(&w);
	ss_reader_fini(&r);
	assert_int_equal(buf_live(), 0);
}

static void queues_of_all_shapes(void **state)
{
	static const size_t sizes[] = {1, 50, 3000, 16384, 65536};

	(void)state;
	for (size_t i = 0; ss_method_at(i); i++)
		for (size_t a = 0; a < 5; a++)
			for (size_t b = 0; b < 5; b++)
				pipe_of(ss_method_at(i), sizes[a], sizes[b],
					300 + 4 * (sizes[a] + sizes[b]));
}

/* A large buf of its own becomes a chunk where it lies; a shared one is never written to. */
static void in_place_or_not(void **state)
{
	const struct ss_method *m = ss_method_find(span_str("2022-blake3-aes-256-gcm"));
	struct buf *b = pattern(0, BUF_DATA), *shared = pattern(0, 5000);
	struct buf *slice = buf_slice(shared, 100, 4900);
	const uint8_t *memory = b->data;
	struct bufq in, out;
	struct ss_writer w;

	(void)state;
	bufq_init(&in);
	bufq_init(&out);
	assert_int_equal(ss_writer_init(&w, m, &key, salt), 0);
	bufq_push(&in, b);
	assert_int_equal(ss_writer_push(&w, &in, &out, SIZE_MAX), BUF_DATA);
	assert_ptr_equal(out.head->data, memory - SS_LENGTH);
	assert_int_equal(out.head->len, BUF_DATA + SS_CHUNK_OVERHEAD);
	bufq_clear(&out);
	assert_int_equal(ss_writer_seal_buf(&w, shared), -ERR_LIMIT);
	bufq_push(&in, shared);
	assert_int_equal(ss_writer_push(&w, &in, &out, SIZE_MAX), 5000);
	for (size_t i = 0; i < slice->len; i++)
		assert_int_equal(slice->data[i], byte_at(100 + i));
	buf_free(slice);
	bufq_clear(&out);
	ss_writer_fini(&w);
	assert_int_equal(buf_live(), 0);
}

/* A large buf is one byte longer than a classic chunk may be: two halves, not a crumb. */
static void classic_limit(void **state)
{
	const struct ss_method *m = ss_method_find(span_str("aes-128-gcm"));
	struct bufq in, out;
	struct ss_writer w;

	(void)state;
	bufq_init(&in);
	bufq_init(&out);
	assert_int_equal(ss_writer_init(&w, m, &key, salt), 0);
	bufq_push(&in, pattern(0, BUF_DATA));
	assert_int_equal(ss_writer_push(&w, &in, &out, SIZE_MAX), BUF_DATA);
	assert_int_equal(out.len, BUF_DATA + 2 * SS_CHUNK_OVERHEAD);
	assert_int_equal(out.head->len, BUF_DATA / 2 + SS_CHUNK_OVERHEAD);
	bufq_clear(&out);
	for (int i = 0; i < 20; i++)
		bufq_push(&in, pattern(0, 10));
	assert_int_equal(ss_writer_push(&w, &in, &out, SIZE_MAX), 200);
	assert_int_equal(out.len, 200 + SS_CHUNK_OVERHEAD); /* small ones were joined */
	bufq_clear(&out);
	ss_writer_fini(&w);
}

/* The length item of a peer that says @n. */
static int read_length(const struct ss_method *m, unsigned n)
{
	uint8_t be[2] = {(uint8_t)(n >> 8), (uint8_t)n}, item[SS_LENGTH];
	struct span in = span_of(be, 2), plain;
	struct wr wr = wr_of(item, sizeof(item));
	struct ss_writer w;
	struct ss_reader r;
	int err;

	assert_int_equal(ss_writer_init(&w, m, &key, salt), 0);
	assert_int_equal(ss_reader_init(&r, m, &key, salt), 0);
	assert_int_equal(ss_writer_item(&w, &wr, &in, 1), 0);
	err = ss_reader_open(&r, item, &plain);
	if (err == 0)
		assert_int_equal(ss_reader_need(&r), n + AEAD_TAG);
	else
		assert_int_equal(ss_reader_open(&r, item, &plain), err); /* it stays so */
	ss_writer_fini(&w);
	ss_reader_fini(&r);
	return err;
}

static void lengths(void **state)
{
	(void)state;
	for (size_t i = 0; ss_method_at(i); i++) {
		const struct ss_method *m = ss_method_at(i);
		int over = m->kind == SS_CLASSIC ? -ERR_MALFORMED : 0;

		assert_int_equal(read_length(m, 0), 0);
		assert_int_equal(read_length(m, 0x3fff), 0);
		assert_int_equal(read_length(m, 0x4000), over);
		assert_int_equal(read_length(m, 0xffff), over);
	}
}

static void empty_chunks_bring_nothing(void **state)
{
	const struct ss_method *m = ss_method_find(span_str("aes-256-gcm"));
	uint8_t zero[2] = {0}, room[256];
	struct wr wr = wr_of(room, sizeof(room));
	struct span length = span_of(zero, 2), none = span_of(zero, 0);
	struct bufq in, out;
	struct ss_writer w;
	struct ss_reader r;

	(void)state;
	bufq_init(&in);
	bufq_init(&out);
	assert_int_equal(ss_writer_init(&w, m, &key, salt), 0);
	assert_int_equal(ss_reader_init(&r, m, &key, salt), 0);
	assert_int_equal(ss_writer_item(&w, &wr, &length, 1), 0);
	assert_int_equal(ss_writer_item(&w, &wr, &none, 1), 0);
	assert_int_equal(bufq_append(&in, span_of(room, wr.n)), 0);
	assert_int_equal(ss_reader_pull(&r, &in, &out, 100), 0);
	assert_int_equal(in.len, 0);
	assert_true(ss_reader_may_end(&r));
	wr = wr_of(room, sizeof(room));
	assert_int_equal(ss_writer_seal(&w, &wr, span_str("after")), 5);
	assert_int_equal(bufq_append(&in, span_of(room, wr.n)), 0);
	assert_int_equal(ss_reader_pull(&r, &in, &out, 100), 5);
	bufq_clear(&out);
	ss_writer_fini(&w);
	ss_reader_fini(&r);
}

static void damage_ends_a_stream(void **state)
{
	const struct ss_method *m = ss_method_find(span_str("chacha20-ietf-poly1305"));
	uint8_t sealed[200];
	struct wr wr = wr_of(sealed, sizeof(sealed));
	struct ss_writer w;

	(void)state;
	assert_int_equal(ss_writer_init(&w, m, &key, salt), 0);
	assert_int_equal(ss_writer_seal(&w, &wr, span_str("first")), 5);
	assert_int_equal(ss_writer_seal(&w, &wr, span_str("second")), 6);
	for (size_t at = 0; at < wr.n; at++) {
		bool second = at >= 5 + SS_CHUNK_OVERHEAD;
		struct bufq in, out;
		struct ss_reader r;

		bufq_init(&in);
		bufq_init(&out);
		assert_int_equal(ss_reader_init(&r, m, &key, salt), 0);
		sealed[at] ^= 1;
		assert_int_equal(bufq_append(&in, span_of(sealed, wr.n)), 0);
		sealed[at] ^= 1;
		if (second) /* what was good comes out first */
			assert_int_equal(ss_reader_pull(&r, &in, &out, 100), 5);
		assert_int_equal(ss_reader_pull(&r, &in, &out, 100), -ERR_AUTH);
		assert_int_equal(ss_reader_pull(&r, &in, &out, 100), -ERR_AUTH);
		assert_false(ss_reader_may_end(&r));
		bufq_clear(&in);
		bufq_clear(&out);
		ss_reader_fini(&r);
	}
	ss_writer_fini(&w);
	assert_int_equal(buf_live(), 0);
}

static void seal_into_little_room(void **state)
{
	const struct ss_method *m = ss_method_find(span_str("2022-blake3-aes-128-gcm"));
	static uint8_t data[40000], room[50000];
	struct ss_writer w;

	(void)state;
	assert_int_equal(ss_writer_init(&w, m, &key, salt), 0);
	for (size_t cap = 0; cap < 60; cap++) {
		struct wr wr = wr_of(room, cap);
		size_t want = cap <= SS_CHUNK_OVERHEAD ? 0 : cap - SS_CHUNK_OVERHEAD;

		assert_int_equal(ss_writer_seal(&w, &wr, span_of(data, 100)), want);
		assert_int_equal(wr.n, want ? cap : 0);
	}
	struct wr wr = wr_of(room, sizeof(room));

	assert_int_equal(ss_writer_seal(&w, &wr, span_of(data, sizeof(data))), sizeof(data));
	assert_int_equal(wr.n, sizeof(data) + 3 * SS_CHUNK_OVERHEAD);
	ss_writer_fini(&w);
}

static struct ssaead_user classic_user(const struct ss_classic_vector *v)
{
	struct ssaead_user u = {.method = ss_method_find(span_str(v->method))};

	assert_int_equal(ss_key_from_password(&u.key, u.method, span_str("barfoo!"), NULL), 0);
	assert_hex(u.key.b, v->key);
	return u;
}

static struct addr classic_target(void)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, span_str("127.0.0.1:18099")), 0);
	return a;
}

/* Users of different methods; the last one is the vector's, the others have a wrong key. */
static void three_users(struct ssaead_user users[3], size_t vector)
{
	for (size_t u = 0; u < 3; u++) {
		users[u] = classic_user(&ss_classic_vectors[(vector + u + 1) % CLASSICS]);
		if (u < 2)
			users[u].key.b[0] ^= 1;
	}
}

/* Address and payload, then "hello", from the wire bytes at @at. */
static void read_classic(struct ss_reader *r, uint8_t *at, const struct addr *target)
{
	size_t n = ss_reader_need(r);
	struct span plain;
	struct addr got;
	struct rd rd;

	assert_int_equal(ss_reader_open(r, at, &plain), 0);
	rd = rd_of(plain);
	assert_int_equal(netaddr_read_socks(&rd, &got), 1);
	assert_true(addr_eq(&got, target));
	assert_int_equal(rd.n, 18);
	assert_int_equal(ss_reader_open(r, at + n, &plain), 0);
	assert_int_equal(ss_reader_open(r, at + n + SS_LENGTH, &plain), 0);
	assert_true(span_eq(plain, span_str("hello")));
}

static void classic_streams(void **state)
{
	struct addr target = classic_target();

	(void)state;
	for (size_t i = 0; i < CLASSICS; i++) {
		const struct ss_classic_vector *v = &ss_classic_vectors[i];
		struct ssaead_user users[3];
		uint8_t s[32] = {0}, out[512];
		struct wr wr = wr_of(out, sizeof(out));
		struct span want = hex(v->stream);
		struct ss_replay *replay = ss_replay_new(9, 0, s);
		struct ss_writer w;
		struct ss_reader r;
		size_t user = 99, head;

		hex_read(s, sizeof(s), v->stream_salt);
		three_users(users, i);
		head = users[2].method->key_len + (size_t)SS_LENGTH;
		assert_int_equal(ssaead_start(&wr, &w, &users[2], s, &target,
					      span_str("GET / HTTP/1.1\r\n\r\n")),
				 18);
		assert_int_equal(wr.n, want.n);
		assert_memory_equal(out, want.p, wr.n);
		assert_int_equal(ss_writer_seal(&w, &wr, span_str("hello")), 5);
		assert_hex(out + want.n, v->chunk);
		ss_writer_fini(&w);

		assert_int_equal(ssaead_head_len(users, 3), 32 + SS_LENGTH);
		for (size_t cut = 0; cut <= head; cut++) {
			struct span in = exact(span_of(out, wr.n), cut);

			assert_int_equal(ssaead_head_open(&r, &user, users, 3, in, replay, 0),
					 cut < head ? -ERR_AUTH : (ssize_t)head);
			if (cut == head)
				read_classic(&r, out + head, &target);
			ss_reader_fini(&r);
			free_hex(in);
		}
		assert_int_equal(user, 2);
		assert_int_equal(ssaead_head_open(&r, &user, users, 3, want, replay, 0),
				 -ERR_REPLAY);
		ss_reader_fini(&r);
		assert_int_equal(ssaead_head_open(&r, &user, users, 2, want, NULL, 0), -ERR_AUTH);
		ss_reader_fini(&r);
		ss_replay_free(replay);
		free_hex(want);
	}
}

static void classic_starts(void **state)
{
	struct ssaead_user u = classic_user(&ss_classic_vectors[0]);
	struct addr target = classic_target(), none = {0};
	static uint8_t out[20000], data[20000];
	struct ss_writer w;

	(void)state;
	for (size_t cap = 0; cap < 120; cap++) {
		struct wr wr = wr_of(out, cap);
		size_t least = 16 + SS_CHUNK_OVERHEAD + 7;
		size_t want = cap < least ? 0 : cap - least < 18 ? cap - least : 18;

		assert_int_equal(ssaead_start(&wr, &w, &u, salt, &target, span_of(data, 18)),
				 cap < least ? -ERR_LIMIT : (ssize_t)want);
		ss_writer_fini(&w);
	}
	/* a response: the salt alone, or with a first chunk of full length */
	struct wr wr = wr_of(out, sizeof(out));

	assert_int_equal(ssaead_start(&wr, &w, &u, salt, &none, span_of(data, 0)), 0);
	assert_int_equal(wr.n, 16);
	ss_writer_fini(&w);
	wr = wr_of(out, sizeof(out));
	assert_int_equal(ssaead_start(&wr, &w, &u, salt, &none, span_of(data, sizeof(data))),
			 0x3fff);
	assert_int_equal(wr.n, 16 + 0x3fff + SS_CHUNK_OVERHEAD);
	ss_writer_fini(&w);
	wr = wr_of(out, sizeof(out));
	assert_int_equal(ssaead_start(&wr, &w, &u, salt, &target, span_of(data, sizeof(data))),
			 0x3fff - 7);
	ss_writer_fini(&w);
}

static void classic_packets(void **state)
{
	struct addr target = classic_target();
	struct ssaead_user users[CLASSICS];

	(void)state;
	for (size_t i = 0; i < CLASSICS; i++)
		users[i] = classic_user(&ss_classic_vectors[i]);
	struct ssaead_packets *p = ssaead_packets_new(users, CLASSICS);

	for (size_t i = 0; i < CLASSICS; i++) {
		const struct ss_classic_vector *v = &ss_classic_vectors[i];
		uint8_t s[32], out[256], room[256];
		struct wr wr = wr_of(out, sizeof(out));
		struct span want = hex(v->packet);
		struct ssaead_packet pkt;

		hex_read(s, sizeof(s), v->packet_salt);
		assert_int_equal(ssaead_packet_seal(p, &wr, i, s, &target, span_str("udp-payload")),
				 0);
		assert_int_equal(wr.n, want.n);
		assert_memory_equal(out, want.p, wr.n);
		assert_int_equal(wr.n, 11 + ssaead_packet_overhead(p, i, &target));
		assert_int_equal(ssaead_packet_open(p, &pkt, want, room), 0);
		assert_true(addr_eq(&pkt.addr, &target));
		assert_true(span_eq(pkt.payload, span_str("udp-payload")));
		assert_int_equal(aead_key_len(users[pkt.user].method->aead),
				 users[i].method->key_len);
		for (size_t cut = 0; cut < want.n; cut++) {
			struct span in = exact(want, cut);

			assert_int_equal(ssaead_packet_open(p, &pkt, in, room), -ERR_AUTH);
			free_hex(in);
		}
		for (size_t at = 0; at < want.n; at++) {
			out[at] ^= 4;
			assert_int_equal(ssaead_packet_open(p, &pkt, span_of(out, wr.n), room),
					 -ERR_AUTH);
			out[at] ^= 4;
		}
		for (size_t cap = 0; cap < want.n; cap++) {
			struct wr little = wr_of(room, cap);

			assert_int_equal(ssaead_packet_seal(p, &little, i, s, &target,
							    span_str("udp-payload")),
					 -ERR_LIMIT);
		}
		free_hex(want);
	}
	ssaead_packets_free(p);
	ssaead_packets_free(NULL);
}

static void packets_without_address(void **state)
{
	struct ssaead_user u = {.method = ss_method_find(span_str("xchacha20-ietf-poly1305"))};
	struct ssaead_packets *p = ssaead_packets_new(&u, 1);
	struct addr name, none = {0};
	uint8_t out[400], room[400], sub[32];
	struct ssaead_packet pkt;
	struct wr wr = wr_of(out, sizeof(out));
	struct aead *a;

	(void)state;
	assert_int_equal(ssaead_packet_seal(p, &wr, 0, salt, &none, span_str("x")), -ERR_MALFORMED);
	assert_int_equal(addr_parse(&name, span_str("nas.home:53")), 0);
	wr = wr_of(out, sizeof(out));
	assert_int_equal(ssaead_packet_seal(p, &wr, 0, salt, &name, span_of(NULL, 0)), 0);
	assert_int_equal(ssaead_packet_open(p, &pkt, span_of(out, wr.n), room), 0);
	assert_int_equal(pkt.payload.n, 0);
	assert_true(addr_eq(&pkt.addr, &name));
	/* authentic, but half an address inside */
	assert_int_equal(ss_subkey(sub, u.method, &u.key, span_of(salt, 32)), 0);
	a = aead_new(u.method->aead, sub);
	memcpy(out, salt, 32);
	memset(room, 0, sizeof(room));
	assert_int_equal(aead_seal(a, room, span_of(NULL, 0), out + 32, span_of("\3\5ab", 4)), 0);
	aead_free(a);
	assert_int_equal(ssaead_packet_open(p, &pkt, span_of(out, 32 + 4 + 16), room),
			 -ERR_MALFORMED);
	ssaead_packets_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queues_of_all_shapes),
		cmocka_unit_test(in_place_or_not),
		cmocka_unit_test(classic_limit),
		cmocka_unit_test(lengths),
		cmocka_unit_test(empty_chunks_bring_nothing),
		cmocka_unit_test(damage_ends_a_stream),
		cmocka_unit_test(seal_into_little_room),
		cmocka_unit_test(classic_streams),
		cmocka_unit_test(classic_starts),
		cmocka_unit_test(classic_packets),
		cmocka_unit_test(packets_without_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
