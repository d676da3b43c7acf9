#include "proto/ssstream.h"

#include "base/err.h"
#include "crypto/secret.h"

enum {
	SCATTER = 4,	   /* bufs from which an item is opened without being joined first */
	SMALL = BUF_SMALL, /* a buf up to this is worth joining with the next */
};

static void nonce_of(uint8_t nonce[AEAD_NONCE_MAX], uint64_t count)
{
	memset(nonce, 0, AEAD_NONCE_MAX);
	for (unsigned i = 0; i < 8; i++)
		nonce[i] = (uint8_t)(count >> (8 * i));
}

static struct aead *keyed(const struct ss_method *m, const struct ss_key *k, const uint8_t *salt)
{
	uint8_t sub[SS_KEY_MAX];
	struct aead *a = NULL;

	if (ss_subkey(sub, m, k, span_of(salt, m->key_len)) == 0)
		a = aead_new(m->aead, sub);
	secret_wipe(sub, sizeof(sub));
	return a;
}

int ss_writer_init(struct ss_writer *w, const struct ss_method *m, const struct ss_key *k,
		   const uint8_t *salt)
{
	memset(w, 0, sizeof(*w));
	w->max = m->kind == SS_2022 ? SS_CHUNK_SEND : SS_CHUNK_CLASSIC;
	w->aead = keyed(m, k, salt);
	return w->aead ? 0 : -ERR_NOMEM;
}

void ss_writer_fini(struct ss_writer *w)
{
	aead_free(w->aead);
	memset(w, 0, sizeof(*w));
}

static int seal(struct ss_writer *w, uint8_t *out, const struct span *in, size_t n)
{
	uint8_t nonce[AEAD_NONCE_MAX];

	if (w->err == 0) {
		nonce_of(nonce, w->count++);
		w->err = aead_seal_parts(w->aead, nonce, span_of(NULL, 0), out, in, n);
	}
	return w->err;
}

static size_t spans_len(const struct span *in, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += in[i].n;
	return sum;
}

int ss_writer_item(struct ss_writer *w, struct wr *out, const struct span *in, size_t n)
{
	uint8_t *at = wr_room(out, spans_len(in, n) + AEAD_TAG);

	return at ? seal(w, at, in, n) : -ERR_LIMIT;
}

/* A chunk to @at, which has room for it. */
static int seal_chunk(struct ss_writer *w, uint8_t *at, struct span data)
{
	uint8_t be[2] = {(uint8_t)(data.n >> 8), (uint8_t)data.n};
	struct span length = span_of(be, 2);
	int err = seal(w, at, &length, 1);

	return err ? err : seal(w, at + SS_LENGTH, &data, 1);
}

ssize_t ss_writer_seal(struct ss_writer *w, struct wr *out, struct span data)
{
	size_t taken = 0;

	while (taken < data.n && out->cap - out->n > SS_CHUNK_OVERHEAD) {
		size_t n = out->cap - out->n - SS_CHUNK_OVERHEAD;
		struct span part;
		int err;

		if (n > w->max)
			n = w->max;
		if (n > data.n - taken)
			n = data.n - taken;
		part = span_of(data.p + taken, n);
		err = seal_chunk(w, wr_room(out, n + SS_CHUNK_OVERHEAD), part);
		if (err != 0)
			return err;
		taken += n;
	}
	return (ssize_t)taken;
}

int ss_writer_seal_buf(struct ss_writer *w, struct buf *b)
{
	struct span data = buf_span(b);
	uint8_t *at;

	if (b->len == 0 || b->len > w->max || buf_tailroom(b) < AEAD_TAG)
		return -ERR_LIMIT;
	at = buf_push(b, SS_LENGTH);
	if (!at)
		return -ERR_LIMIT;
	b->len += AEAD_TAG;
	return seal_chunk(w, at, data);
}

static bool fits_in_place(const struct ss_writer *w, const struct buf *b)
{
	return b->len <= w->max && buf_tailroom(b) >= AEAD_TAG && buf_headroom(b) >= SS_LENGTH;
}

/* A small buf joins its successor, unless that one is better sealed where it is. */
static bool worth_joining(const struct ss_writer *w, const struct buf *b)
{
	return b->len <= SMALL && b->next && (b->next->len <= SMALL || !fits_in_place(w, b->next));
}

/* How much of @q shall become one chunk by way of a copy: whole bufs, or a part of the first. */
static size_t joined_len(const struct ss_writer *w, const struct bufq *q)
{
	const struct buf *b = q->head;
	size_t sum = 0;

	/* two halves rather than a rest of one byte: classic chunks are one byte
	 * shorter than a large buf. The second half is then sealed in place */
	if (b->len > w->max)
		return b->len <= 2 * w->max ? b->len / 2 : w->max;
	for (; b && b->len <= w->max - sum; b = b->next) {
		if (sum > 0 && b->len > SMALL && fits_in_place(w, b))
			break; /* a large one costs nothing by itself */
		sum += b->len;
	}
	return sum;
}

/* From one buf the cipher is the copy; several are joined first, as ciphers are slow on crumbs. */
static ssize_t push_copy(struct ss_writer *w, struct bufq *in, struct bufq *out)
{
	size_t len = joined_len(w, in);
	struct buf *b = buf_new_big(len + SS_CHUNK_OVERHEAD);
	struct span data = span_of(in->head->data, len);
	int err;

	if (!b)
		return -ERR_NOMEM;
	if (in->head->len < len) {
		data = span_of(b->data + SS_LENGTH, len);
		bufq_peek(in, b->data + SS_LENGTH, len);
	}
	err = seal_chunk(w, b->data, data);
	if (err != 0) {
		buf_free(b);
		return err;
	}
	b->len = (uint32_t)(len + SS_CHUNK_OVERHEAD);
	bufq_push(out, b);
	bufq_drop(in, len);
	return (ssize_t)len;
}

ssize_t ss_writer_push(struct ss_writer *w, struct bufq *in, struct bufq *out, size_t max)
{
	size_t taken = 0;

	while (in->head && taken < max) {
		const struct buf *b = in->head;

		if (!worth_joining(w, b) && fits_in_place(w, b)) {
			struct buf *own = bufq_pop(in);
			size_t len = own->len;
			int err = ss_writer_seal_buf(w, own);

			if (err != 0) {
				buf_free(own);
				return err;
			}
			taken += len;
			bufq_push(out, own);
		} else {
			ssize_t n = push_copy(w, in, out);

			if (n < 0)
				return n;
			taken += (size_t)n;
		}
	}
	return (ssize_t)taken;
}

static void expect_length(struct ss_reader *r)
{
	r->state = SS_READER_LENGTH;
	r->need = SS_LENGTH;
}

int ss_reader_init(struct ss_reader *r, const struct ss_method *m, const struct ss_key *k,
		   const uint8_t *salt)
{
	memset(r, 0, sizeof(*r));
	r->max = m->kind == SS_2022 ? SS_CHUNK_2022 : SS_CHUNK_CLASSIC;
	expect_length(r);
	r->aead = keyed(m, k, salt);
	return r->aead ? 0 : -ERR_NOMEM;
}

void ss_reader_fini(struct ss_reader *r)
{
	aead_free(r->aead);
	memset(r, 0, sizeof(*r));
}

void ss_reader_expect(struct ss_reader *r, size_t n)
{
	if (r->state == SS_READER_FAILED)
		return;
	r->state = SS_READER_DATA;
	r->need = n + AEAD_TAG;
}

static int fail(struct ss_reader *r, int err)
{
	r->state = SS_READER_FAILED;
	r->err = err;
	return err;
}

static int open_item(struct ss_reader *r, uint8_t *out, const struct span *in, size_t n)
{
	uint8_t nonce[AEAD_NONCE_MAX];

	if (r->state == SS_READER_FAILED)
		return r->err;
	nonce_of(nonce, r->count++);
	if (aead_open_parts(r->aead, nonce, span_of(NULL, 0), out, in, n) != 0)
		return fail(r, -ERR_AUTH);
	return 0;
}

int ss_reader_item(struct ss_reader *r, uint8_t *out, struct span in)
{
	return open_item(r, out, &in, 1);
}

/* @be is an opened length. */
static int take_length(struct ss_reader *r, const uint8_t be[2])
{
	size_t n = (size_t)be[0] << 8 | be[1];

	if (n > r->max)
		return fail(r, -ERR_MALFORMED);
	ss_reader_expect(r, n);
	return 0;
}

int ss_reader_open(struct ss_reader *r, uint8_t *item, struct span *plain)
{
	enum ss_reader_state was = r->state;
	size_t n = r->need - AEAD_TAG;
	int err = ss_reader_item(r, item, span_of(item, r->need));

	if (err != 0)
		return err;
	if (was == SS_READER_LENGTH) {
		*plain = span_of(item, 0);
		return take_length(r, item);
	}
	expect_length(r);
	*plain = span_of(item, n);
	return 0;
}

static int pull_length(struct ss_reader *r, struct bufq *in)
{
	uint8_t item[SS_LENGTH];
	struct span plain;

	bufq_peek(in, item, sizeof(item));
	bufq_drop(in, sizeof(item));
	return ss_reader_open(r, item, &plain);
}

/* The spans of the first @need bytes of @q, or 0 when they lie in too many bufs. */
static size_t item_spans(const struct bufq *q, size_t need, struct span *parts)
{
	size_t n = 0;

	for (const struct buf *b = q->head; need > 0; b = b->next) {
		size_t part = b->len < need ? b->len : need;

		if (n == SCATTER)
			return 0;
		parts[n++] = span_of(b->data, part);
		need -= part;
	}
	return n;
}

static int pull_data(struct ss_reader *r, struct bufq *in, struct bufq *out)
{
	size_t need = r->need;
	struct buf *b = buf_new_big(need);
	struct span parts[SCATTER];
	size_t n;
	int err;

	if (!b)
		return -ERR_NOMEM;
	n = item_spans(in, need, parts);
	if (n == 0) { /* a stream of crumbs: collect them first */
		bufq_peek(in, b->data, need);
		parts[n++] = span_of(b->data, need);
	}
	err = open_item(r, b->data, parts, n);
	if (err != 0) {
		buf_free(b);
		return err;
	}
	bufq_drop(in, need);
	b->len = (uint32_t)(need - AEAD_TAG);
	bufq_push(out, b); /* an empty one, of a chunk of length zero, vanishes here */
	expect_length(r);
	return 0;
}

ssize_t ss_reader_pull(struct ss_reader *r, struct bufq *in, struct bufq *out, size_t max)
{
	size_t before = out->len;

	while (r->state != SS_READER_FAILED && in->len >= r->need && out->len - before < max) {
		int err = r->state == SS_READER_LENGTH ? pull_length(r, in) : pull_data(r, in, out);

		if (err == -ERR_NOMEM)
			return err;
	}
	if (out->len > before)
		return (ssize_t)(out->len - before);
	return r->state == SS_READER_FAILED ? r->err : 0;
}
