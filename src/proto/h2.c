#include "proto/h2.h"

#include "base/err.h"

/* Settings and window of a browser; what they are matters little, that they are there does. */
static const uint8_t opening[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				 "\0\0\x18\4\0\0\0\0\0" /* SETTINGS */
				 "\0\1\0\1\0\0"		/* header table: 65536 */
				 "\0\2\0\0\0\0"		/* no push */
				 "\0\4\0\x60\0\0"	/* initial window: 6 MiB */
				 "\0\6\0\4\0\0"		/* header list: 262144 */
				 "\0\0\4\x8\0\0\0\0\0"	/* WINDOW_UPDATE of the connection */
				 "\0\xef\0\1";

/* Entries of the static table, RFC 7541 appendix A. */
enum {
	STATIC_AUTHORITY = 1,
	STATIC_METHOD_GET = 2,
	STATIC_PATH = 4,
	STATIC_SCHEME_HTTPS = 7,
	STATIC_STATUS_200 = 8,
	STATIC_STATUS_500 = 14,
	INDEXED = 0x80,
};

/* Section 5.1, with a prefix of @bits under the flags in @first. */
static void put_int(struct wr *w, unsigned first, unsigned bits, size_t v)
{
	size_t max = ((size_t)1 << bits) - 1;

	if (v < max) {
		wr_u8(w, first | (unsigned)v);
		return;
	}
	wr_u8(w, first | (unsigned)max);
	for (v -= max; v >= 128; v >>= 7)
		wr_u8(w, (unsigned)(v & 127) | 128);
	wr_u8(w, (unsigned)v);
}

static void put_text(struct wr *w, const char *text)
{
	size_t n = strlen(text);

	put_int(w, 0, 7, n);
	wr_bytes(w, text, n);
}

int h2_opening_encode(struct wr *out)
{
	wr_bytes(out, opening, sizeof(opening) - 1);
	return out->bad ? -ERR_LIMIT : 0;
}

int h2_get_encode(struct wr *out, uint32_t stream, const char *host, const char *path,
		  const struct h2_field *fields, size_t n)
{
	size_t start = out->n, len;

	wr_bytes(out, "\0\0\0\1", 4);
	wr_u8(out, H2_END_STREAM | H2_END_HEADERS);
	wr_u32(out, stream);
	wr_u8(out, INDEXED | STATIC_METHOD_GET);
	put_int(out, 0, 4, STATIC_AUTHORITY); /* literal without indexing */
	put_text(out, host);
	wr_u8(out, INDEXED | STATIC_SCHEME_HTTPS);
	put_int(out, 0, 4, STATIC_PATH);
	put_text(out, path);
	for (size_t i = 0; i < n; i++) {
		wr_u8(out, 0);
		put_text(out, fields[i].name);
		put_text(out, fields[i].value);
	}
	if (out->bad || out->n - start - H2_HEADER_LEN > H2_FRAME_MAX)
		return -ERR_LIMIT;
	len = out->n - start - H2_HEADER_LEN;
	out->p[start] = (uint8_t)(len >> 16);
	out->p[start + 1] = (uint8_t)(len >> 8);
	out->p[start + 2] = (uint8_t)len;
	return 0;
}

ssize_t h2_frame_decode(struct h2_frame *out, struct span in)
{
	struct rd r = rd_of(in);
	size_t len = rd_u24(&r);
	struct h2_frame f;

	f.type = rd_u8(&r);
	f.flags = rd_u8(&r);
	f.stream = rd_u32(&r) & 0x7fffffff;
	if (in.n >= 3 && len > H2_FRAME_MAX)
		return -ERR_LIMIT;
	f.payload = rd_take(&r, len);
	if (r.bad)
		return 0;
	*out = f;
	return H2_HEADER_LEN + (ssize_t)len;
}

int h2_data_decode(struct span *out, const struct h2_frame *f)
{
	struct rd r = rd_of(f->payload);
	size_t pad = f->flags & H2_PADDED ? rd_u8(&r) : 0;

	if (r.bad || pad > r.n)
		return -ERR_MALFORMED;
	*out = span_of(r.p, r.n - pad);
	return 0;
}

unsigned h2_status_decode(const struct h2_frame *f)
{
	static const uint16_t table[] = {200, 204, 206, 304, 400, 404, 500};
	struct span block;
	struct rd r;
	uint8_t b;

	if (h2_data_decode(&block, f) != 0) /* padding is the same */
		return 0;
	r = rd_of(block);
	if (f->flags & H2_PRIORITY)
		rd_take(&r, 5);
	b = rd_u8(&r);
	/* A change of the table's size comes first: 001xxxxx, of more than one byte if all are set. */
	while (!r.bad && (b & 0xe0) == 0x20) {
		if ((b & 0x1f) == 0x1f)
			while (rd_u8(&r) & 0x80 && !r.bad)
				;
		b = rd_u8(&r);
	}
	if (r.bad || b < (INDEXED | STATIC_STATUS_200) || b > (INDEXED | STATIC_STATUS_500))
		return 0;
	return table[b - (INDEXED | STATIC_STATUS_200)];
}

int h2_answer_encode(struct wr *out, const struct h2_frame *f)
{
	if (f->flags & H2_ACK)
		return 0;
	if (f->type == H2_SETTINGS)
		wr_bytes(out, "\0\0\0\4\1\0\0\0\0", H2_HEADER_LEN);
	if (f->type == H2_PING && f->payload.n == 8) {
		wr_bytes(out, "\0\0\10\6\1\0\0\0\0", H2_HEADER_LEN);
		wr_bytes(out, f->payload.p, 8);
	}
	return out->bad ? -ERR_LIMIT : 0;
}
