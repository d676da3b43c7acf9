#include "crypto/base64.h"

#include "base/err.h"

/* Arithmetic instead of a table: keys are decoded here, and a table leaks through the cache. */
static int digit_value(uint8_t c, unsigned flags)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (flags & BASE64_URL ? '-' : '+'))
		return 62;
	if (c == (flags & BASE64_URL ? '_' : '/'))
		return 63;
	return -1;
}

static char digit_char(unsigned v, unsigned flags)
{
	if (v < 26)
		return (char)('A' + v);
	if (v < 52)
		return (char)('a' + v - 26);
	if (v < 62)
		return (char)('0' + v - 52);
	if (v == 62)
		return flags & BASE64_URL ? '-' : '+';
	return flags & BASE64_URL ? '_' : '/';
}

static size_t skip(struct span text, size_t i, unsigned flags)
{
	if (flags & BASE64_SKIP_CRLF)
		while (i < text.n && (text.p[i] == '\r' || text.p[i] == '\n'))
			i++;
	return i;
}

/* Everything after the last digit, which left @digits % 4 open. Where it is wrong, or text.n + 1.
 */
static size_t check_tail(struct span text, size_t i, size_t digits, unsigned flags)
{
	size_t want = digits % 4 ? 4 - digits % 4 : 0;
	size_t have = 0;

	if (digits % 4 == 1)
		return i;
	if (!(flags & BASE64_RAW) || flags & BASE64_ANY_PAD) {
		while ((i = skip(text, i, flags)) < text.n && text.p[i] == '=' && have < want) {
			have++;
			i++;
		}
	}
	i = skip(text, i, flags);
	if (i < text.n)
		return i;
	if (have == want || (have == 0 && flags & (BASE64_RAW | BASE64_ANY_PAD)))
		return text.n + 1;
	return text.n;
}

ssize_t base64_decode(uint8_t *out, size_t cap, struct span text, unsigned flags, size_t *bad_at)
{
	size_t i, n = 0, digits = 0, last = 0, bad;
	uint32_t acc = 0;

	for (i = skip(text, 0, flags); i < text.n; i = skip(text, i + 1, flags)) {
		int v = digit_value(text.p[i], flags);

		if (v < 0)
			break;
		last = i;
		acc = acc << 6 | (uint32_t)v;
		if (++digits % 4 == 1)
			continue;
		if (n == cap)
			return -ERR_LIMIT;
		out[n++] = (uint8_t)(acc >> (digits % 4 == 2 ? 4 : digits % 4 == 3 ? 2 : 0));
	}
	bad = check_tail(text, i, digits, flags);
	if (bad > text.n && !(flags & BASE64_ANY_BITS) &&
	    ((digits % 4 == 2 && acc & 0xf) || (digits % 4 == 3 && acc & 0x3)))
		bad = last;
	if (bad <= text.n) {
		if (bad_at)
			*bad_at = bad;
		return -ERR_MALFORMED;
	}
	return (ssize_t)n;
}

ssize_t base64_encode(char *out, size_t cap, struct span in, unsigned flags)
{
	size_t len = base64_len(in.n, flags), n = 0;

	if (cap <= len)
		return -ERR_LIMIT;
	for (size_t i = 0; i < in.n; i += 3) {
		size_t part = in.n - i < 3 ? in.n - i : 3;
		uint32_t v = (uint32_t)in.p[i] << 16;

		if (part > 1)
			v |= (uint32_t)in.p[i + 1] << 8;
		if (part > 2)
			v |= in.p[i + 2];
		for (size_t d = 0; d < 4; d++) {
			if (d <= part)
				out[n++] = digit_char(v >> (18 - 6 * d) & 63, flags);
			else if (!(flags & BASE64_RAW))
				out[n++] = '=';
		}
	}
	out[n] = 0;
	return (ssize_t)n;
}
