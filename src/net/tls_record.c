#include "net/tls_record.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/err.h"
#include "crypto/algo.h"
#include "crypto/secret.h"

enum {
	/* A piece below this is copied next to its neighbour: cheaper than a call of its own. */
	PIECE_MIN = 512,
};

ssize_t tls_header_decode(struct tls_header *out, struct span in)
{
	struct rd r = rd_of(in);
	struct tls_header h;

	h.type = rd_u8(&r);
	h.version = rd_u16(&r);
	h.len = rd_u16(&r);
	if (in.n > 0 && (h.type < TLS_TYPE_CCS || h.type > TLS_TYPE_DATA))
		return -ERR_MALFORMED;
	if (in.n > 1 && in.p[1] != 3)
		return -ERR_MALFORMED;
	if (r.bad)
		return 0;
	if (h.len > TLS_CIPHER_MAX_12)
		return -ERR_LIMIT;
	*out = h;
	return TLS_HEADER_LEN;
}

static ssize_t front_header(struct tls_header *h, uint8_t raw[TLS_HEADER_LEN],
			    const struct bufq *in)
{
	return tls_header_decode(h, span_of(raw, bufq_peek(in, raw, TLS_HEADER_LEN)));
}

ssize_t tls_record_ready(const struct bufq *in)
{
	uint8_t raw[TLS_HEADER_LEN];
	struct tls_header h;
	ssize_t n = front_header(&h, raw, in);

	if (n <= 0)
		return n;
	return in->len - TLS_HEADER_LEN < h.len ? 0 : TLS_HEADER_LEN + h.len;
}

/* Key and IV of d->secret; @cipher NULL: into the context that there is. */
static int dir_key(struct tls_dir *d, const struct tls13_suite *s, const EVP_CIPHER *cipher,
		   int seal)
{
	uint8_t key[AEAD_KEY_MAX];
	bool ok = tls13_traffic_keys(s, &d->secret, key, d->iv) == 0 &&
		  EVP_CipherInit_ex(d->evp, cipher, NULL, key, NULL, seal) == 1;

	secret_wipe(key, sizeof(key));
	d->seq = 0;
	return ok ? 0 : -ERR_NOMEM;
}

int tls_dir_init(struct tls_dir *d, uint16_t suite, const struct tls_secret *secret, bool seal)
{
	const struct tls13_suite *s = tls13_suite_find(suite);
	const EVP_CIPHER *cipher;
	int err = -ERR_NOMEM;

	memset(d, 0, sizeof(*d));
	if (!s || secret->n != sha_len(s->hash))
		return -ERR_UNSUPPORTED;
	d->suite = suite;
	d->plain_max = TLS_PLAIN_MAX;
	d->secret = *secret;
	d->evp = EVP_CIPHER_CTX_new();
	cipher = algo_aead(s->aead);
	if (d->evp && cipher)
		err = dir_key(d, s, cipher, seal);
	if (err)
		tls_dir_fini(d);
	return err;
}

int tls_dir_update(struct tls_dir *d)
{
	const struct tls13_suite *s = tls13_suite_find(d->suite);
	int err = tls13_secret_update(s->hash, &d->secret);

	return err ? err : dir_key(d, s, NULL, -1);
}

void tls_dir_fini(struct tls_dir *d)
{
	EVP_CIPHER_CTX_free(d->evp);
	secret_wipe(d, sizeof(*d));
}

/* Starts a record: nonce (section 5.3) and header as additional data. The number is used up
 * here, so that no path can encrypt twice under one nonce. */
static bool record_begin(struct tls_dir *d, const uint8_t header[TLS_HEADER_LEN])
{
	uint8_t nonce[TLS_IV_LEN];
	uint64_t seq = d->seq++;
	int n;

	memcpy(nonce, d->iv, sizeof(nonce));
	for (size_t i = 0; i < 8; i++)
		nonce[TLS_IV_LEN - 1 - i] ^= (uint8_t)(seq >> (8 * i));
	return EVP_CipherInit_ex(d->evp, NULL, NULL, NULL, nonce, -1) == 1 &&
	       EVP_CipherUpdate(d->evp, NULL, &n, header, TLS_HEADER_LEN) == 1;
}

static bool crypt(struct tls_dir *d, uint8_t *to, const uint8_t *from, size_t len)
{
	int n;

	return len == 0 || EVP_CipherUpdate(d->evp, to, &n, from, (int)len) == 1;
}

static bool decrypt_body(struct tls_dir *d, const uint8_t header[TLS_HEADER_LEN],
			 struct bufq *body, uint8_t tag[TLS_TAG_LEN])
{
	uint8_t none;
	int n;

	if (!record_begin(d, header))
		return false;
	for (struct buf *b = body->head; b; b = b->next)
		if (!crypt(d, b->data, b->data, b->len))
			return false;
	return EVP_CIPHER_CTX_ctrl(d->evp, EVP_CTRL_AEAD_SET_TAG, TLS_TAG_LEN, tag) == 1 &&
	       EVP_CipherFinal_ex(d->evp, &none, &n) == 1;
}

/* Position of the last byte that is not zero, plus one; 0 when there is none. */
static size_t without_zeros(const struct bufq *q)
{
	const struct buf *t = q->tail;
	size_t at = 0, last = 0;

	for (size_t i = t ? t->len : 0; i > 0; i--)
		if (t->data[i - 1])
			return q->len - t->len + i;
	for (const struct buf *b = q->head; b; b = b->next)
		for (size_t i = 0; i < b->len; i++, at++)
			if (b->data[i])
				last = at + 1;
	return last;
}

/* Splits the inner plaintext: content to @to, its type to *@type. Clears @body. */
static int take_content(struct bufq *body, struct bufq *to, uint8_t *type)
{
	size_t n = without_zeros(body);
	struct bufq content = {NULL, NULL, 0};
	uint8_t last;

	if (n == 0 || n > TLS_PLAIN_MAX + 1) {
		bufq_clear(body);
		return n ? -ERR_LIMIT : -ERR_MALFORMED;
	}
	if (n == body->len && body->tail->len > 1) { /* no padding: just shorten the last buf */
		last = body->tail->data[--body->tail->len];
		body->len--;
		content = *body;
		bufq_init(body);
	} else if (bufq_move(&content, body, n - 1) != n - 1 || bufq_peek(body, &last, 1) != 1) {
		bufq_clear(&content);
		bufq_clear(body);
		return -ERR_NOMEM;
	}
	bufq_clear(body);
	*type = last;
	bufq_move(to, &content, content.len);
	return 0;
}

ssize_t tls_record_open(struct tls_dir *d, struct bufq *in, struct bufq *to, uint8_t *type)
{
	uint8_t raw[TLS_HEADER_LEN], tag[TLS_TAG_LEN];
	struct bufq body = {NULL, NULL, 0};
	struct tls_header h;
	ssize_t n = front_header(&h, raw, in);
	size_t len;
	int err;

	if (n <= 0)
		return n;
	if (h.type != TLS_TYPE_DATA)
		return -ERR_MALFORMED;
	if (h.len > TLS_CIPHER_MAX)
		return -ERR_LIMIT;
	if (h.len < TLS_TAG_LEN + 1)
		return -ERR_AUTH;
	if (in->len - TLS_HEADER_LEN < h.len)
		return 0;
	len = h.len - (size_t)TLS_TAG_LEN;
	bufq_drop(in, TLS_HEADER_LEN);
	if (bufq_move(&body, in, len) != len) {
		bufq_clear(&body);
		return -ERR_NOMEM;
	}
	bufq_peek(in, tag, TLS_TAG_LEN);
	bufq_drop(in, TLS_TAG_LEN);
	if (!decrypt_body(d, raw, &body, tag)) {
		bufq_clear(&body);
		return -ERR_AUTH;
	}
	err = take_content(&body, to, type);
	return err ? err : TLS_HEADER_LEN + h.len;
}

static void put_header(uint8_t at[TLS_HEADER_LEN], size_t payload)
{
	struct wr w = wr_of(at, TLS_HEADER_LEN);

	wr_u8(&w, TLS_TYPE_DATA);
	wr_u16(&w, 0x0303);
	wr_u16(&w, (unsigned)(payload + 1 + TLS_TAG_LEN));
}

static bool seal_end(struct tls_dir *d, uint8_t *tag)
{
	int n;

	return EVP_CipherFinal_ex(d->evp, tag, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(d->evp, EVP_CTRL_AEAD_GET_TAG, TLS_TAG_LEN, tag) == 1;
}

/* @b becomes the record; it has the room. */
static bool seal_in_place(struct tls_dir *d, uint8_t type, struct buf *b)
{
	uint8_t *end = b->data + b->len, *header = b->data - TLS_HEADER_LEN;

	put_header(header, b->len);
	*end = type;
	if (!record_begin(d, header) || !crypt(d, b->data, b->data, b->len + (size_t)1) ||
	    !seal_end(d, end + 1))
		return false;
	b->len += 1 + TLS_TAG_LEN;
	buf_push(b, TLS_HEADER_LEN);
	return true;
}

/* The first @n bytes of @from become a record in @dst, which is empty and has the room. */
static bool seal_into(struct tls_dir *d, uint8_t type, const struct bufq *from, size_t n,
		      struct buf *dst)
{
	uint8_t *fill = dst->data, *done = dst->data, *header = dst->data - TLS_HEADER_LEN;

	put_header(header, n);
	if (!record_begin(d, header))
		return false;
	for (const struct buf *b = from->head; n > 0; b = b->next) {
		size_t part = b->len < n ? b->len : n;

		if (part < PIECE_MIN) {
			memcpy(fill, b->data, part);
		} else {
			if (!crypt(d, done, done, (size_t)(fill - done)) ||
			    !crypt(d, fill, b->data, part))
				return false;
			done = fill + part;
		}
		fill += part;
		n -= part;
	}
	*fill++ = type;
	if (!crypt(d, done, done, (size_t)(fill - done)) || !seal_end(d, fill))
		return false;
	dst->len = (uint32_t)(fill - dst->data) + TLS_TAG_LEN;
	buf_push(dst, TLS_HEADER_LEN);
	return true;
}

/* What one record takes of @from: whole bufs, unless the first alone is too long. */
static size_t record_share(const struct bufq *from, size_t max)
{
	size_t n = 0;

	for (const struct buf *b = from->head; b && b->len <= max - n; b = b->next)
		n += b->len;
	return n || bufq_empty(from) ? n : max;
}

ssize_t tls_record_seal(struct tls_dir *d, uint8_t type, struct bufq *from, struct bufq *out)
{
	size_t n = record_share(from, d->plain_max);
	struct buf *b = from->head;

	if (b && b->len == n && buf_headroom(b) >= TLS_HEADER_LEN &&
	    buf_tailroom(b) >= 1 + TLS_TAG_LEN) {
		bufq_pop(from);
		if (!seal_in_place(d, type, b))
			goto fail;
		bufq_push(out, b);
		return (ssize_t)n;
	}
	b = buf_new(n);
	if (!b)
		return -ERR_NOMEM;
	if (!seal_into(d, type, from, n, b))
		goto fail;
	bufq_drop(from, n);
	bufq_push(out, b);
	return (ssize_t)n;
fail:
	buf_free(b);
	return -ERR_NOMEM;
}

int tls_record_seal_empty(struct tls_dir *d, uint8_t type, size_t total, struct bufq *out)
{
	enum { LEAST = TLS_HEADER_LEN + 1 + TLS_TAG_LEN, MOST = TLS_PLAIN_MAX + LEAST };
	size_t inner;
	struct buf *b;

	total = total < LEAST ? LEAST : total > MOST ? MOST : total;
	inner = total - TLS_HEADER_LEN - TLS_TAG_LEN; /* the type and zeros */
	b = buf_new(inner - 1);
	if (!b)
		return -ERR_NOMEM;
	b->len = (uint32_t)(inner - 1);
	memset(b->data, 0, inner);
	b->data[0] = type;
	/* One byte of the padding stands where the type would. */
	if (!seal_in_place(d, inner > 1 ? 0 : type, b)) {
		buf_free(b);
		return -ERR_NOMEM;
	}
	bufq_push(out, b);
	return 0;
}
