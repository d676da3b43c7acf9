#include "base/uuid.h"

#include <stdio.h>

#include "base/err.h"

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int uuid_parse(struct uuid *out, struct span t)
{
	static const uint8_t group[] = {4, 2, 2, 2, 6}; /* bytes of each dashed part */
	struct uuid u;
	size_t at = 0, n = 0;

	if (t.n < 32 || t.n > 36)
		return -ERR_MALFORMED;
	for (size_t g = 0; g < sizeof(group); g++) {
		if (at < t.n && t.p[at] == '-')
			at++;
		for (size_t i = 0; i < group[g]; i++, at += 2) {
			int hi, lo;

			if (t.n - at < 2 || at > t.n)
				return -ERR_MALFORMED;
			hi = hex_digit(t.p[at]);
			lo = hex_digit(t.p[at + 1]);
			if (hi < 0 || lo < 0)
				return -ERR_MALFORMED;
			u.b[n++] = (uint8_t)(hi << 4 | lo);
		}
	}
	*out = u;
	return 0;
}

char *uuid_text(const struct uuid *u, char out[UUID_TEXT])
{
	const uint8_t *b = u->b;

	snprintf(out, UUID_TEXT,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
	return out;
}
