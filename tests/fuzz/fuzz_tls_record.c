/*
 * The record layer of TLS 1.3 and what the engine makes of contents.
 *
 * First byte: how. Bit 0: the rest is raw bytes for an engine. Else the rest is
 * a script of records that a peer with the right keys sends, each
 *   u8 type | u16 length (bounded) | content | u8 padding
 * and the engine must give up exactly the data, in order, until it refuses.
 * Bits 1-2 choose the suite, bit 3 the role, the others how the bytes are cut.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/tls_engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	uint16_t id;
	uint8_t secret_len;
} suites[] = {{TLS_AES_128_GCM, 32}, {TLS_AES_256_GCM, 48}, {TLS_CHACHA20, 32},
	      {TLS_AES_128_GCM, 32}};

static void need(bool ok)
{
	if (!ok)
		abort();
}

static struct tls_secret secret(size_t n, uint8_t fill)
{
	struct tls_secret s = {.n = (uint8_t)n};

	memset(s.b, fill, n);
	return s;
}

/* Copies @s to the end of @q in pieces of their own memory. */
static void feed(struct bufq *q, struct span s, size_t piece)
{
	while (s.n > 0) {
		size_t n = s.n < piece ? s.n : piece;

		bufq_push(q, buf_copy(span_of(s.p, n)));
		s = span_of(s.p + n, s.n - n);
	}
}

/* What the engine answers must be records that the peer can open. */
static void hear_answers(struct tls_dir *rd, struct bufq *reply)
{
	struct bufq to = {NULL, NULL, 0};
	uint8_t type, msg[8];

	while (!bufq_empty(reply)) {
		need(tls_record_open(rd, reply, &to, &type) > 0);
		need(type == TLS_TYPE_ALERT || type == TLS_TYPE_HANDSHAKE);
		need(to.len == (type == TLS_TYPE_ALERT ? 2 : 5));
		bufq_peek(&to, msg, sizeof(msg));
		if (type == TLS_TYPE_HANDSHAKE)
			need(msg[0] == 24 && msg[4] == 0 && tls_dir_update(rd) == 0);
		bufq_clear(&to);
	}
}

static void raw(struct tls_engine *e, struct span in, size_t piece, struct tls_dir *rd)
{
	struct bufq q = {NULL, NULL, 0}, to = q, reply = q;
	ssize_t n;

	feed(&q, in, piece);
	do {
		size_t before = q.len;

		n = e->ops->open(e, &q, &to, &reply);
		need(n <= 0 || before - q.len == (size_t)n);
		need(n != 0 || before == q.len);
	} while (n > 0);
	need(bufq_empty(&to)); /* nobody guesses a key */
	hear_answers(rd, &reply);
	bufq_clear(&q);
}

/* One record of the script onto @q. Returns its data, or an empty span. False at the end. */
static bool next_record(struct rd *r, struct tls_dir *wr, struct bufq *q, size_t piece,
			struct span *content, uint8_t *type)
{
	struct bufq from = {NULL, NULL, 0}, rec = from;
	uint8_t inner[2048];
	struct span joined;
	size_t n, pad;

	*type = rd_u8(r);
	n = rd_u16(r) % 1500;
	*content = rd_take(r, n);
	pad = rd_u8(r);
	if (r->bad)
		return false;
	/* the record's own type byte is the last of the padding: content, type, zeros */
	if (n)
		memcpy(inner, content->p, n);
	inner[n] = *type;
	memset(inner + n + 1, 0, pad);
	need(bufq_append(&from, span_of(inner, n + pad)) == 0);
	need(tls_record_seal(wr, pad ? 0 : *type, &from, &rec) == (ssize_t)(n + pad));
	need(rec.len == n + 1 + pad + TLS_HEADER_LEN + TLS_TAG_LEN);
	joined = bufq_pullup(&rec, rec.len);
	feed(q, joined, piece);
	bufq_clear(&rec);
	return true;
}

static void script(struct tls_engine *e, struct rd r, size_t piece, struct tls_dir *wr,
		   struct tls_dir *rd)
{
	struct bufq q = {NULL, NULL, 0}, to = q, reply = q;
	struct span content;
	uint8_t type;

	while (next_record(&r, wr, &q, piece, &content, &type)) {
		ssize_t n = e->ops->open(e, &q, &to, &reply);

		hear_answers(rd, &reply);
		if (n < 0) {
			need(n == -ERR_EOF || e->why);
			break;
		}
		need(n > 0 && bufq_empty(&q));
		if (type == 0) /* then a byte of the content was the type */
			break;
		if (type == TLS_TYPE_DATA)
			need(span_eq(bufq_pullup(&to, to.len), content));
		else
			need(bufq_empty(&to));
		bufq_clear(&to);
		if (type == TLS_TYPE_HANDSHAKE && content.n >= 5 &&
		    memcmp(content.p + content.n - 5, "\x18\0\0\1", 4) == 0)
			break; /* perhaps a key update: the script does not follow */
	}
	bufq_clear(&q);
	bufq_clear(&to);
	bufq_clear(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_secret ours, theirs;
	struct tls_dir wr, rd;
	struct tls_engine *e;
	size_t suite, piece;
	int err;

	if (size < 1)
		return 0;
	suite = data[0] >> 1 & 3;
	piece = (size_t)1 << (data[0] >> 4);
	ours = secret(suites[suite].secret_len, 1);
	theirs = secret(suites[suite].secret_len, 2);
	e = tls_fast_new(suites[suite].id, data[0] & 8, &theirs, &ours, &err);
	need(e != NULL);
	need(tls_dir_init(&wr, suites[suite].id, &theirs, true) == 0);
	need(tls_dir_init(&rd, suites[suite].id, &ours, false) == 0);
	if (data[0] & 1)
		raw(e, span_of(data + 1, size - 1), piece, &rd);
	else
		script(e, rd_of(span_of(data + 1, size - 1)), piece, &wr, &rd);
	e->ops->free(e);
	tls_dir_fini(&wr);
	tls_dir_fini(&rd);
	need(buf_live() == 0);
	return 0;
}
