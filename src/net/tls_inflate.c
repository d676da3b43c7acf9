#include "net/tls_inflate.h"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include "base/err.h"

static bool from_zlib(uint8_t *out, size_t n, struct span in)
{
	uLongf len = n;
	uLong used = in.n;

	return uncompress2(out, &len, in.p, &used) == Z_OK && len == n && used == in.n;
}

static bool from_brotli(uint8_t *out, size_t n, struct span in)
{
	size_t len = n;

	return BrotliDecoderDecompress(in.n, in.p, &len, out) == BROTLI_DECODER_RESULT_SUCCESS &&
	       len == n;
}

int tls_inflate(unsigned algorithm, uint8_t *out, size_t n, struct span in)
{
	bool ok;

	switch (algorithm) {
	case TLS_COMPRESSION_ZLIB:
		ok = from_zlib(out, n, in);
		break;
	case TLS_COMPRESSION_BROTLI:
		ok = from_brotli(out, n, in);
		break;
	case TLS_COMPRESSION_ZSTD:
		ok = ZSTD_decompress(out, n, in.p, in.n) == n;
		break;
	default:
		return -ERR_UNSUPPORTED;
	}
	return ok ? 0 : -ERR_MALFORMED;
}
