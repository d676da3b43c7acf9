/* The record layer of TLS 1.3: known bytes, every way to cut a record, everything wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/tls_engine.h"
#include "net/tls_record.h"

/* RFC 8448 section 3: the server's application secret and its second record under it. */
static const uint8_t rfc_secret[] = {0xa1, 0x1a, 0xf9, 0xf0, 0x55, 0x31, 0xf8, 0x56,
				     0xad, 0x47, 0x11, 0x6b, 0x45, 0xa9, 0x50, 0x32,
				     0x82, 0x04, 0xb4, 0xf4, 0x4b, 0xfb, 0x6b, 0x3a,
				     0x4b, 0x4f, 0x1f, 0x3f, 0xcb, 0x63, 0x16, 0x43};
static const uint8_t rfc_record[] = {
	0x17, 0x03, 0x03, 0x00, 0x43, 0x2e, 0x93, 0x7e, 0x11, 0xef, 0x4a, 0xc7, 0x40, 0xe5, 0x38,
	0xad, 0x36, 0x00, 0x5f, 0xc4, 0xa4, 0x69, 0x32, 0xfc, 0x32, 0x25, 0xd0, 0x5f, 0x82, 0xaa,
	0x1b, 0x36, 0xe3, 0x0e, 0xfa, 0xf9, 0x7d, 0x90, 0xe6, 0xdf, 0xfc, 0x60, 0x2d, 0xcb, 0x50,
	0x1a, 0x59, 0xa8, 0xfc, 0xc4, 0x9c, 0x4b, 0xf2, 0xe5, 0xf0, 0xa2, 0x1c, 0x00, 0x47, 0xc2,
	0xab, 0xf3, 0x32, 0x54, 0x0d, 0xd0, 0x32, 0xe1, 0x67, 0xc2, 0x95, 0x5d};

static const struct {
	uint16_t id;
	uint8_t secret_len;
} suites[] = {{TLS_AES_128_GCM, 32}, {TLS_AES_256_GCM, 48}, {TLS_CHACHA20, 32}};

static struct tls_secret secret_of(size_t n, uint8_t fill)
{
	struct tls_secret s = {.n = (uint8_t)n};

	for (size_t i = 0; i < n; i++)
		s.b[i] = (uint8_t)(fill + i);
	return s;
}

static void dirs(struct tls_dir *wr, struct tls_dir *rd, size_t suite)
{
	struct tls_secret s = secret_of(suites[suite].secret_len, 7);

	assert_int_equal(tls_dir_init(wr, suites[suite].id, &s, true), 0);
	assert_int_equal(tls_dir_init(rd, suites[suite].id, &s, false), 0);
}

/* One contiguous buf of @n pattern bytes. */
static struct buf *payload(size_t n)
{
	struct buf *b = buf_new_big(n);

	for (size_t i = 0; i < n; i++)
		b->data[i] = (uint8_t)(i * 7 + (i >> 8));
	b->len = (uint32_t)n;
	return b;
}

static void assert_payload(struct bufq *q, size_t n)
{
	struct buf *b = payload(n ? n : 1);

	assert_int_equal(q->len, n);
	if (n) {
		assert_memory_equal(bufq_pullup(q, n).p, b->data, n);
	}
	bufq_clear(q);
	buf_free(b);
}

static void known_record(void **state)
{
	struct tls_secret s = {.n = sizeof(rfc_secret)};
	struct bufq in = {NULL, NULL, 0}, to = {NULL, NULL, 0}, out = {NULL, NULL, 0};
	struct tls_dir d;
	uint8_t type = 0;

	(void)state;
	memcpy(s.b, rfc_secret, sizeof(rfc_secret));
	assert_int_equal(tls_dir_init(&d, TLS_AES_128_GCM, &s, false), 0);
	d.seq = 1; /* the first one carries a ticket */
	bufq_append(&in, span_of(rfc_record, sizeof(rfc_record)));
	assert_int_equal(tls_record_open(&d, &in, &to, &type), sizeof(rfc_record));
	assert_int_equal(type, TLS_TYPE_DATA);
	assert_int_equal(to.len, 50);
	for (size_t i = 0; i < 50; i++)
		assert_int_equal(to.head->data[i], i);
	tls_dir_fini(&d);
	assert_int_equal(tls_dir_init(&d, TLS_AES_128_GCM, &s, true), 0);
	d.seq = 1;
	assert_int_equal(tls_record_seal(&d, TLS_TYPE_DATA, &to, &out), 50);
	assert_int_equal(out.len, sizeof(rfc_record));
	assert_memory_equal(bufq_pullup(&out, out.len).p, rfc_record, sizeof(rfc_record));
	bufq_clear(&out);
	tls_dir_fini(&d);
	assert_int_equal(buf_live(), 0);
}

static void headers(void **state)
{
	static const struct {
		uint8_t b[5];
		size_t n;
		ssize_t want;
	} t[] = {
		{{23, 3, 3, 0, 17}, 5, 5},
		{{22, 3, 1, 2, 0}, 5, 5},
		{{23, 3, 3, 0, 17}, 4, 0},
		{{23}, 1, 0},
		{{0}, 0, 0},
		{{'G', 'E', 'T', ' ', '/'}, 5, -ERR_MALFORMED},
		{{'G'}, 1, -ERR_MALFORMED},
		{{23, 2, 3, 0, 17}, 2, -ERR_MALFORMED},
		{{23, 3, 3, 0x48, 1}, 5, -ERR_LIMIT},
		{{23, 3, 3, 0x48, 0}, 5, 5},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct tls_header h = {0};

		assert_int_equal(tls_header_decode(&h, span_of(t[i].b, t[i].n)), t[i].want);
		if (t[i].want <= 0)
			assert_int_equal(h.type, 0);
	}
}

/* Sizes round every border, each sealed in place and from shared memory, all suites. */
static void round_trips(void **state)
{
	static const size_t sizes[] = {1, 2, 15, 16, 17, 511, 512, 513, 2048, 2049, 16383, 16384};

	(void)state;
	for (size_t s = 0; s < 3; s++) {
		struct tls_dir wr, rd;

		dirs(&wr, &rd, s);
		for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct bufq from = {NULL, NULL, 0}, rec = from, to = from;
			size_t n = sizes[i / 2];
			struct buf *b = payload(n), *hold = i % 2 ? buf_slice(b, 0, 1) : NULL;
			uint8_t *where = b->data, type = 0;

			bufq_push(&from, b);
			assert_int_equal(tls_record_seal(&wr, TLS_TYPE_DATA, &from, &rec), n);
			assert_true(bufq_empty(&from));
			assert_int_equal(rec.len, n + 22);
			/* in place unless somebody else holds the bytes */
			assert_true((rec.head->data + TLS_HEADER_LEN == where) == !hold);
			buf_free(hold);
			where = rec.head->data + TLS_HEADER_LEN;
			assert_int_equal(tls_record_open(&rd, &rec, &to, &type), n + 22);
			assert_int_equal(type, TLS_TYPE_DATA);
			assert_ptr_equal(to.head->data, where); /* opened in place */
			assert_payload(&to, n);
			assert_true(bufq_empty(&rec));
		}
		tls_dir_fini(&wr);
		tls_dir_fini(&rd);
	}
	assert_int_equal(buf_live(), 0);
}

/* Writes are joined into records, and too long ones cut. */
static void joins_and_cuts(void **state)
{
	static const struct {
		size_t part[5];
		size_t record[4];
	} t[] = {
		{{10, 20, 30}, {60}},
		{{100, 16284}, {16384}},
		{{100, 16285}, {100, 16285}},
		{{16385}, {16384, 1}},
		{{16384, 1}, {16384, 1}},
		{{40000}, {16384, 16384, 7232}},
		{{5, 511, 512, 513, 6}, {1547}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct bufq from = {NULL, NULL, 0}, rec = from, to = from;
		struct tls_dir wr, rd;
		size_t sum = 0, at = 0;
		struct buf *all;
		uint8_t type;

		dirs(&wr, &rd, i % 3);
		for (size_t k = 0; k < 5; k++)
			sum += t[i].part[k];
		all = payload(sum);
		for (size_t k = 0; k < 5 && t[i].part[k]; k++) {
			bufq_push(&from, buf_slice(all, at, t[i].part[k]));
			at += t[i].part[k];
		}
		buf_free(all);
		for (size_t k = 0; k < 4 && t[i].record[k]; k++)
			assert_int_equal(tls_record_seal(&wr, TLS_TYPE_DATA, &from, &rec),
					 t[i].record[k]);
		assert_true(bufq_empty(&from));
		while (!bufq_empty(&rec))
			assert_true(tls_record_open(&rd, &rec, &to, &type) > 0);
		assert_payload(&to, sum);
		tls_dir_fini(&wr);
		tls_dir_fini(&rd);
	}
	assert_int_equal(buf_live(), 0);
}

/* A record cut in two at every byte opens, and a part of it does not. */
static void split_everywhere(void **state)
{
	(void)state;
	for (size_t cut = 1; cut < 200 + 22; cut++) {
		struct bufq from = {NULL, NULL, 0}, rec = from, in = from, to = from;
		struct tls_dir wr, rd;
		struct buf *b;
		uint8_t type;

		dirs(&wr, &rd, cut % 3);
		bufq_push(&from, payload(200));
		tls_record_seal(&wr, TLS_TYPE_DATA, &from, &rec);
		b = bufq_pop(&rec);
		bufq_push(&in, buf_copy(span_of(b->data, cut)));
		assert_int_equal(tls_record_open(&rd, &in, &to, &type), 0);
		assert_int_equal(in.len, cut);
		assert_int_equal(tls_record_ready(&in), 0);
		bufq_push(&in, buf_copy(span_of(b->data + cut, b->len - cut)));
		assert_int_equal(tls_record_ready(&in), 222);
		assert_int_equal(tls_record_open(&rd, &in, &to, &type), 222);
		assert_payload(&to, 200);
		buf_free(b);
		tls_dir_fini(&wr);
		tls_dir_fini(&rd);
	}
	assert_int_equal(buf_live(), 0);
}

/* Every single flipped bit is noticed. */
static void tampering(void **state)
{
	(void)state;
	for (size_t at = 0; at < 37; at++) {
		struct bufq from = {NULL, NULL, 0}, rec = from, to = from;
		struct tls_dir wr, rd;
		uint8_t type = 99;
		ssize_t n;

		dirs(&wr, &rd, at % 3);
		bufq_push(&from, payload(15));
		tls_record_seal(&wr, TLS_TYPE_DATA, &from, &rec);
		assert_int_equal(rec.len, 37);
		rec.head->data[at] ^= 1u << at % 8;
		n = tls_record_open(&rd, &rec, &to, &type);
		/* in the header it may also look like another kind or a longer record */
		assert_true(n == -ERR_AUTH || (at < 5 && n <= 0));
		assert_true(bufq_empty(&to));
		assert_int_equal(type, 99);
		bufq_clear(&rec);
		tls_dir_fini(&wr);
		tls_dir_fini(&rd);
	}
	assert_int_equal(buf_live(), 0);
}

/* Seals @n bytes that already are an inner plaintext. */
static void seal_inner(struct tls_dir *wr, const uint8_t *inner, size_t n, struct bufq *out)
{
	struct bufq from = {NULL, NULL, 0};

	bufq_append(&from, span_of(inner, n - 1));
	tls_record_seal(wr, inner[n - 1], &from, out);
	bufq_clear(&from);
}

static void padding(void **state)
{
	uint8_t inner[400] = {0};

	(void)state;
	for (size_t zeros = 0; zeros < 300; zeros += 1 + zeros / 5) {
		for (size_t cut = 6; cut < 40; cut += 7) {
			struct bufq rec = {NULL, NULL, 0}, in = rec, to = rec;
			struct tls_dir wr, rd;
			uint8_t type = 0;

			dirs(&wr, &rd, zeros % 3);
			memset(inner, 0, sizeof(inner));
			memcpy(inner, "hello", 5);
			inner[5] = TLS_TYPE_DATA;
			seal_inner(&wr, inner, 6 + zeros, &rec);
			bufq_move(&in, &rec, cut);
			bufq_move(&in, &rec, rec.len);
			assert_int_equal(tls_record_open(&rd, &in, &to, &type), 5 + 6 + zeros + 16);
			assert_int_equal(type, TLS_TYPE_DATA);
			assert_int_equal(to.len, 5);
			assert_memory_equal(bufq_pullup(&to, 5).p, "hello", 5);
			bufq_clear(&to);
			tls_dir_fini(&wr);
			tls_dir_fini(&rd);
		}
	}
	assert_int_equal(buf_live(), 0);
}

static void nothing_but_zeros(void **state)
{
	struct bufq rec = {NULL, NULL, 0}, to = rec;
	static const uint8_t inner[64];
	struct tls_dir wr, rd;
	uint8_t type;

	(void)state;
	dirs(&wr, &rd, 0);
	seal_inner(&wr, inner, sizeof(inner), &rec);
	assert_int_equal(tls_record_open(&rd, &rec, &to, &type), -ERR_MALFORMED);
	bufq_clear(&rec);
	tls_dir_fini(&wr);
	tls_dir_fini(&rd);
	assert_int_equal(buf_live(), 0);
}

static void bounds(void **state)
{
	static const struct {
		uint8_t b[5];
		ssize_t want;
	} t[] = {
		{{23, 3, 3, 0x41, 0x01}, -ERR_LIMIT}, /* 16384 + 257 */
		{{23, 3, 3, 0x41, 0x00}, 0},
		{{23, 3, 3, 0, 16}, -ERR_AUTH},
		{{23, 3, 3, 0, 0}, -ERR_AUTH},
		{{20, 3, 3, 0, 1}, -ERR_MALFORMED}, /* change_cipher_spec: not after Finished */
		{{21, 3, 3, 0, 2}, -ERR_MALFORMED}, /* an alert in the clear */
		{{22, 3, 3, 0, 40}, -ERR_MALFORMED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct bufq in = {NULL, NULL, 0}, to = in;
		struct tls_dir wr, rd;
		uint8_t type;

		dirs(&wr, &rd, 0);
		bufq_append(&in, span_of(t[i].b, 5));
		assert_int_equal(tls_record_open(&rd, &in, &to, &type), t[i].want);
		bufq_clear(&in);
		tls_dir_fini(&wr);
		tls_dir_fini(&rd);
	}
	assert_int_equal(buf_live(), 0);
}

/* An inner plaintext of 2^14 + 1 bytes is the largest; more would need padding to fit. */
static void largest_inner(void **state)
{
	uint8_t *inner = calloc(1, 16384 + 1);
	struct bufq rec = {NULL, NULL, 0}, to = rec;
	struct tls_dir wr, rd;
	uint8_t type = 0;

	(void)state;
	dirs(&wr, &rd, 0);
	memset(inner, 'x', 16384);
	inner[16384] = TLS_TYPE_DATA;
	seal_inner(&wr, inner, 16385, &rec);
	assert_int_equal(tls_record_open(&rd, &rec, &to, &type), 16384 + 22);
	assert_int_equal(to.len, 16384);
	bufq_clear(&to);
	bufq_clear(&rec);
	free(inner);
	tls_dir_fini(&wr);
	tls_dir_fini(&rd);
	assert_int_equal(buf_live(), 0);
}

static void key_generations(void **state)
{
	struct bufq from = {NULL, NULL, 0}, rec = from, to = from;
	struct tls_dir wr, rd;
	uint8_t type;

	(void)state;
	for (size_t s = 0; s < 3; s++) {
		dirs(&wr, &rd, s);
		for (int i = 0; i < 5; i++) {
			bufq_push(&from, payload(1000));
			tls_record_seal(&wr, TLS_TYPE_DATA, &from, &rec);
			assert_true(tls_record_open(&rd, &rec, &to, &type) > 0);
			assert_payload(&to, 1000);
			assert_int_equal(tls_dir_update(&wr), 0);
			assert_int_equal(tls_dir_update(&rd), 0);
			assert_int_equal(wr.seq, 0);
		}
		tls_dir_update(&wr); /* one ahead */
		bufq_push(&from, payload(1000));
		tls_record_seal(&wr, TLS_TYPE_DATA, &from, &rec);
		assert_int_equal(tls_record_open(&rd, &rec, &to, &type), -ERR_AUTH);
		bufq_clear(&rec);
		tls_dir_fini(&wr);
		tls_dir_fini(&rd);
	}
	assert_int_equal(buf_live(), 0);
}

static void wrong_secrets(void **state)
{
	struct tls_secret s = secret_of(32, 1);
	struct tls_dir d;

	(void)state;
	assert_int_equal(tls_dir_init(&d, TLS_AES_256_GCM, &s, true), -ERR_UNSUPPORTED);
	assert_int_equal(tls_dir_init(&d, 0x1304, &s, true), -ERR_UNSUPPORTED);
	s.n = 0;
	assert_int_equal(tls_dir_init(&d, TLS_AES_128_GCM, &s, true), -ERR_UNSUPPORTED);
}

/* ---- what the contents mean: the fast engine, spoken to by a bare record layer ---- */

struct talk {
	struct tls_engine *e;
	struct tls_dir wr, rd; /* the peer's */
	struct bufq in, to, reply;
};

static void talk_start(struct talk *t, bool server)
{
	struct tls_secret ours = secret_of(32, 1), theirs = secret_of(32, 2);
	int err;

	memset(t, 0, sizeof(*t));
	t->e = tls_fast_new(TLS_AES_128_GCM, server, &theirs, &ours, &err);
	assert_non_null(t->e);
	assert_int_equal(tls_dir_init(&t->wr, TLS_AES_128_GCM, &theirs, true), 0);
	assert_int_equal(tls_dir_init(&t->rd, TLS_AES_128_GCM, &ours, false), 0);
}

static void talk_end(struct talk *t)
{
	t->e->ops->free(t->e);
	tls_dir_fini(&t->wr);
	tls_dir_fini(&t->rd);
	bufq_clear(&t->in);
	bufq_clear(&t->to);
	bufq_clear(&t->reply);
	assert_int_equal(buf_live(), 0);
}

/* The peer sends one record; what the engine makes of it. */
static ssize_t hear(struct talk *t, uint8_t type, const void *p, size_t n)
{
	struct bufq from = {NULL, NULL, 0};

	bufq_append(&from, span_of(p, n));
	tls_record_seal(&t->wr, type, &from, &t->in);
	return t->e->ops->open(t->e, &t->in, &t->to, &t->reply);
}

/* The peer opens what the engine has answered; the content in @out. */
static size_t answer(struct talk *t, uint8_t *type, uint8_t *out, size_t cap)
{
	struct bufq to = {NULL, NULL, 0};
	size_t n;

	*type = 0;
	if (bufq_empty(&t->reply))
		return 0;
	assert_true(tls_record_open(&t->rd, &t->reply, &to, type) > 0);
	n = bufq_peek(&to, out, cap);
	bufq_clear(&to);
	return n;
}

static void assert_alert(struct talk *t, uint8_t alert)
{
	uint8_t type, b[8];

	assert_int_equal(answer(t, &type, b, sizeof(b)), 2);
	assert_int_equal(type, TLS_TYPE_ALERT);
	assert_int_equal(b[0], 2);
	assert_int_equal(b[1], alert);
	assert_true(bufq_empty(&t->reply));
	assert_non_null(t->e->why);
}

static void engine_data_and_end(void **state)
{
	struct talk t;

	(void)state;
	talk_start(&t, true);
	assert_true(hear(&t, TLS_TYPE_DATA, "abc", 3) > 0);
	assert_int_equal(t.to.len, 3);
	assert_true(hear(&t, TLS_TYPE_DATA, "", 0) > 0);
	assert_int_equal(t.to.len, 3);
	assert_true(hear(&t, TLS_TYPE_ALERT, "\1\x5a", 2) > 0); /* user_canceled */
	assert_int_equal(hear(&t, TLS_TYPE_ALERT, "\1\0", 2), -ERR_EOF);
	assert_int_equal(hear(&t, TLS_TYPE_DATA, "more", 4), -ERR_EOF);
	assert_int_equal(t.to.len, 3);
	assert_true(bufq_empty(&t.reply));
	talk_end(&t);
}

static void engine_alerts(void **state)
{
	struct talk t;

	(void)state;
	talk_start(&t, true);
	assert_int_equal(hear(&t, TLS_TYPE_ALERT, "\2\x14", 2), -ERR_TLS);
	assert_non_null(strstr(t.e->why, "bad record MAC"));
	assert_true(bufq_empty(&t.reply)); /* an alert is not answered */
	talk_end(&t);
	talk_start(&t, true);
	assert_int_equal(hear(&t, TLS_TYPE_ALERT, "\2", 1), -ERR_TLS);
	assert_alert(&t, 50);
	talk_end(&t);
}

static void engine_key_updates(void **state)
{
	static const uint8_t quiet[] = {24, 0, 0, 1, 0}, asking[] = {24, 0, 0, 1, 1};
	uint8_t type, b[8];
	struct talk t;

	(void)state;
	talk_start(&t, true);
	assert_true(hear(&t, TLS_TYPE_HANDSHAKE, quiet, 5) > 0);
	assert_true(bufq_empty(&t.reply));
	tls_dir_update(&t.wr);
	assert_true(hear(&t, TLS_TYPE_DATA, "one", 3) > 0);
	/* in two records: the header, then the body */
	assert_true(hear(&t, TLS_TYPE_HANDSHAKE, asking, 4) > 0);
	assert_true(hear(&t, TLS_TYPE_HANDSHAKE, asking + 4, 1) > 0);
	tls_dir_update(&t.wr);
	assert_int_equal(answer(&t, &type, b, sizeof(b)), 5);
	assert_int_equal(type, TLS_TYPE_HANDSHAKE);
	assert_memory_equal(b, quiet, 5);
	tls_dir_update(&t.rd);
	assert_true(hear(&t, TLS_TYPE_DATA, "two", 3) > 0);
	assert_int_equal(t.to.len, 6);
	/* and our side goes on under the new key */
	bufq_clear(&t.to);
	bufq_append(&t.to, span_str("reply"));
	assert_int_equal(t.e->ops->seal(t.e, &t.to, &t.reply), 5);
	assert_int_equal(answer(&t, &type, b, sizeof(b)), 5);
	assert_memory_equal(b, "reply", 5);
	talk_end(&t);
}

static void engine_bad_messages(void **state)
{
	static const struct {
		uint8_t b[6], n, alert;
	} t[] = {
		{{24, 0, 0, 1, 2}, 5, 47},    /* neither 0 nor 1 */
		{{24, 0, 0, 2, 0, 0}, 6, 50}, /* wrong length */
		{{24, 0, 0, 1, 0, 0}, 6, 10}, /* something behind it */
		{{4, 0, 0, 1, 0}, 5, 10},     /* a ticket from a client */
		{{1, 0, 0, 1, 0}, 5, 10},     /* renegotiation */
		{{13, 0, 0, 1, 0}, 5, 10},    /* a certificate request */
	};
	struct talk k;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		talk_start(&k, true);
		assert_int_equal(hear(&k, TLS_TYPE_HANDSHAKE, t[i].b, t[i].n), -ERR_TLS);
		assert_alert(&k, t[i].alert);
		talk_end(&k);
	}
	talk_start(&k, true); /* data inside a message */
	assert_true(hear(&k, TLS_TYPE_HANDSHAKE, "\x18\0", 2) > 0);
	assert_int_equal(hear(&k, TLS_TYPE_DATA, "x", 1), -ERR_TLS);
	assert_alert(&k, 10);
	talk_end(&k);
	talk_start(&k, true); /* empty handshake record, unknown type */
	assert_int_equal(hear(&k, TLS_TYPE_HANDSHAKE, "", 0), -ERR_TLS);
	assert_alert(&k, 10);
	talk_end(&k);
	talk_start(&k, true);
	assert_int_equal(hear(&k, 24, "x", 1), -ERR_TLS);
	assert_alert(&k, 10);
	talk_end(&k);
}

static void engine_tickets(void **state)
{
	uint8_t big[20000] = {4, 0, 0x4e, 0x1c}; /* 19996 bytes of body */
	struct talk t;

	(void)state;
	talk_start(&t, false);
	assert_true(hear(&t, TLS_TYPE_HANDSHAKE, big, 16000) > 0);
	assert_true(hear(&t, TLS_TYPE_HANDSHAKE, big + 16000, 4000) > 0);
	assert_true(hear(&t, TLS_TYPE_DATA, "abc", 3) > 0);
	assert_int_equal(t.to.len, 3);
	assert_true(bufq_empty(&t.reply));
	talk_end(&t);
	big[1] = 0xff;
	talk_start(&t, false);
	assert_int_equal(hear(&t, TLS_TYPE_HANDSHAKE, big, 16000), -ERR_TLS);
	assert_alert(&t, 50);
	talk_end(&t);
}

static void engine_idle_records(void **state)
{
	struct talk t;
	int n = 0;

	(void)state;
	talk_start(&t, true);
	for (int i = 0; i < 30; i++)
		assert_true(hear(&t, TLS_TYPE_DATA, "", 0) > 0);
	assert_true(hear(&t, TLS_TYPE_DATA, "x", 1) > 0); /* resets the count */
	while (hear(&t, TLS_TYPE_DATA, "", 0) > 0)
		assert_true(++n < 100);
	assert_int_equal(n, 32);
	assert_alert(&t, 10);
	talk_end(&t);
}

static void engine_renews_its_key(void **state)
{
	struct talk t;
	uint8_t type, b[8];

	(void)state;
	talk_start(&t, true);
	tls_fast_limit_key(t.e, 3);
	for (int i = 0; i < 10; i++) {
		bufq_append(&t.to, span_str("x"));
		assert_int_equal(t.e->ops->seal(t.e, &t.to, &t.reply), 1);
		if (i > 0 && i % 3 == 0) {
			assert_int_equal(answer(&t, &type, b, sizeof(b)), 5);
			assert_int_equal(type, TLS_TYPE_HANDSHAKE);
			assert_memory_equal(b, "\x18\0\0\1\0", 5);
			tls_dir_update(&t.rd);
		}
		assert_int_equal(answer(&t, &type, b, sizeof(b)), 1);
		assert_int_equal(type, TLS_TYPE_DATA);
	}
	talk_end(&t);
}

static void engine_end_of_writing(void **state)
{
	struct talk t;
	uint8_t type, b[8];

	(void)state;
	talk_start(&t, true);
	t.e->ops->finish(t.e, &t.reply);
	t.e->ops->finish(t.e, &t.reply);
	assert_int_equal(answer(&t, &type, b, sizeof(b)), 2);
	assert_int_equal(type, TLS_TYPE_ALERT);
	assert_int_equal(b[1], 0);
	assert_true(bufq_empty(&t.reply));
	bufq_append(&t.to, span_str("late"));
	assert_int_equal(t.e->ops->seal(t.e, &t.to, &t.reply), -ERR_CLOSED);
	/* reading goes on */
	bufq_clear(&t.to);
	assert_true(hear(&t, TLS_TYPE_DATA, "abc", 3) > 0);
	assert_int_equal(t.to.len, 3);
	talk_end(&t);
}

/* Records without content, in every length that there can be at the ends, and cut to them. */
static void empty_records(void **state)
{
	static const size_t asked[] = {0, 22, 23, 24, 287, 16405, 16406, 16407, 70000};

	(void)state;
	for (size_t suite = 0; suite < 3; suite++)
		for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
			size_t want = asked[i] < 22 ? 22 : asked[i] > 16406 ? 16406 : asked[i];
			struct bufq q = {NULL, NULL, 0}, to = {NULL, NULL, 0};
			struct tls_dir wr, rd;
			uint8_t type = 0;

			dirs(&wr, &rd, suite);
			assert_int_equal(tls_record_seal_empty(&wr, TLS_TYPE_DATA, asked[i], &q), 0);
			assert_int_equal(q.len, want);
			assert_int_equal(tls_record_open(&rd, &q, &to, &type), want);
			assert_int_equal(type, TLS_TYPE_DATA);
			assert_int_equal(to.len, 0);
			assert_int_equal(q.len, 0);
			tls_dir_fini(&wr);
			tls_dir_fini(&rd);
		}
	assert_int_equal(buf_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_record),
		cmocka_unit_test(headers),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(joins_and_cuts),
		cmocka_unit_test(split_everywhere),
		cmocka_unit_test(tampering),
		cmocka_unit_test(padding),
		cmocka_unit_test(nothing_but_zeros),
		cmocka_unit_test(bounds),
		cmocka_unit_test(largest_inner),
		cmocka_unit_test(key_generations),
		cmocka_unit_test(wrong_secrets),
		cmocka_unit_test(engine_data_and_end),
		cmocka_unit_test(engine_alerts),
		cmocka_unit_test(engine_key_updates),
		cmocka_unit_test(engine_bad_messages),
		cmocka_unit_test(engine_tickets),
		cmocka_unit_test(empty_records),
		cmocka_unit_test(engine_idle_records),
		cmocka_unit_test(engine_renews_its_key),
		cmocka_unit_test(engine_end_of_writing),
	};

	return cmocka_run_group_tests_name("tls record", tests, NULL, NULL);
}
