#include "net/spider_page.h"

#include <brotli/decode.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

static size_t from_gzip(uint8_t *out, size_t cap, struct span in)
{
	enum { GZIP = 15 + 16 };
	z_stream z = {.next_in = (uint8_t *)(uintptr_t)in.p, /* which is only read */
		      .avail_in = (uInt)in.n,
		      .next_out = out,
		      .avail_out = (uInt)cap};

	if (inflateInit2(&z, GZIP) != Z_OK)
		return 0;
	inflate(&z, Z_SYNC_FLUSH);
	inflateEnd(&z);
	return cap - z.avail_out;
}

static size_t from_zstd(uint8_t *out, size_t cap, struct span in)
{
	ZSTD_DCtx *d = ZSTD_createDCtx();
	ZSTD_inBuffer from = {in.p, in.n, 0};
	ZSTD_outBuffer to = {out, cap, 0};

	/* A page needs no window of more than 8 MiB, RFC 9659. */
	if (d && !ZSTD_isError(ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, 23)))
		while (to.pos < to.size && from.pos < from.size)
			if (ZSTD_isError(ZSTD_decompressStream(d, &to, &from)))
				break;
	ZSTD_freeDCtx(d);
	return to.pos;
}

static size_t from_brotli(uint8_t *out, size_t cap, struct span in)
{
	BrotliDecoderState *d = BrotliDecoderCreateInstance(NULL, NULL, NULL);
	size_t left = cap, n = in.n;
	const uint8_t *from = in.p;

	if (d && BrotliDecoderDecompressStream(d, &n, &from, &left, &out, NULL) ==
			 BROTLI_DECODER_RESULT_ERROR)
		left = cap;
	BrotliDecoderDestroyInstance(d);
	return cap - left;
}

static bool is_text(struct span in)
{
	size_t n = in.n < 64 ? in.n : 64;

	for (size_t i = 0; i < n; i++)
		if (in.p[i] < ' ' && !strchr("\t\r\n", in.p[i]))
			return false;
	return true;
}

size_t spider_page_unpack(uint8_t *out, size_t cap, struct span in)
{
	if (in.n >= 2 && memcmp(in.p, "\x1f\x8b", 2) == 0)
		return from_gzip(out, cap, in);
	if (in.n >= 4 && memcmp(in.p, "\x28\xb5\x2f\xfd", 4) == 0)
		return from_zstd(out, cap, in);
	if (in.n > 0 && !is_text(in))
		return from_brotli(out, cap, in);
	cap = in.n < cap ? in.n : cap;
	if (cap)
		memcpy(out, in.p, cap);
	return cap;
}
