/* Decoding is total; what decodes strictly encodes to the same text. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "crypto/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text;
	uint8_t *out;
	char *again;
	unsigned flags;
	size_t bad = SIZE_MAX;
	ssize_t n;

	if (size == 0)
		return 0;
	flags = data[0] & 31;
	text = span_of(data + 1, size - 1);
	out = malloc(size);
	again = malloc(2 * size + 8);
	if (!out || !again)
		abort();
	n = base64_decode(out, size, text, flags, &bad);
	if (n == -ERR_LIMIT || (n < 0 && bad > text.n) || (n >= 0 && bad != SIZE_MAX))
		abort();
	if (n >= 0 && (flags & (BASE64_SKIP_CRLF | BASE64_ANY_BITS | BASE64_ANY_PAD)) == 0) {
		ssize_t len = base64_encode(again, 2 * size + 8, span_of(out, (size_t)n), flags);

		if (len < 0 || (size_t)len != text.n || memcmp(again, text.p, text.n) != 0)
			abort();
	}
	free(out);
	free(again);
	return 0;
}
