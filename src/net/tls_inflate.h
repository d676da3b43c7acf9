/* Certificates that come compressed (RFC 8879). */
#ifndef GARENNE_NET_TLS_INFLATE_H
#define GARENNE_NET_TLS_INFLATE_H

#include "base/span.h"

enum tls_compression {
	TLS_COMPRESSION_ZLIB = 1,
	TLS_COMPRESSION_BROTLI = 2,
	TLS_COMPRESSION_ZSTD = 3,
};

/** Decompresses @in, which must give exactly the @n bytes of @out. 0, -ERR_UNSUPPORTED for another
 * @algorithm, -ERR_MALFORMED. */
int tls_inflate(unsigned algorithm, uint8_t *out, size_t n, struct span in);

#endif
