#include "crypto/md5.h"

#include "crypto/secret.h"
#include "crypto/words.h"

struct md5_state {
	uint32_t h[4];
	uint8_t block[64];
	uint64_t len; /* bytes so far */
};

/* floor(2^32 * |sin(i + 1)|) */
static const uint32_t sines[64] = {
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613,
	0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193,
	0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d,
	0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed,
	0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122,
	0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
	0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244,
	0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
	0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb,
	0xeb86d391,
};

static void compress(uint32_t h[4], const uint8_t block[64])
{
	static const uint8_t turns[4][4] = {
		{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
	uint32_t a = h[0], b = h[1], c = h[2], d = h[3];

	for (unsigned i = 0; i < 64; i++) {
		uint32_t f, next;
		unsigned word;

		switch (i / 16) {
		case 0:
			f = (b & c) | (~b & d);
			word = i;
			break;
		case 1:
			f = (d & b) | (~d & c);
			word = (5 * i + 1) % 16;
			break;
		case 2:
			f = b ^ c ^ d;
			word = (3 * i + 5) % 16;
			break;
		default:
			f = c ^ (b | ~d);
			word = (7 * i) % 16;
			break;
		}
		next = b + word_rotl(a + f + sines[i] + word_le32(block + word * 4),
				     turns[i / 16][i % 4]);
		a = d;
		d = c;
		c = b;
		b = next;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
}

static void update(struct md5_state *s, struct span in)
{
	while (in.n > 0) {
		size_t have = s->len % 64;
		size_t part = in.n < 64 - have ? in.n : 64 - have;

		memcpy(s->block + have, in.p, part);
		s->len += part;
		in = span_of(in.p + part, in.n - part);
		if (s->len % 64 == 0)
			compress(s->h, s->block);
	}
}

void md5(uint8_t out[MD5_LEN], const struct span *parts, size_t n)
{
	static const uint8_t pad[64] = {0x80};
	struct md5_state s = {.h = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
	uint8_t bits[8];
	size_t have;

	for (size_t i = 0; i < n; i++)
		update(&s, parts[i]);
	for (unsigned i = 0; i < 8; i++)
		bits[i] = (uint8_t)(s.len * 8 >> (8 * i));
	have = s.len % 64;
	update(&s, span_of(pad, have < 56 ? 56 - have : 120 - have));
	update(&s, span_of(bits, sizeof(bits)));
	for (unsigned i = 0; i < MD5_LEN; i++)
		out[i] = (uint8_t)(s.h[i / 4] >> (8 * (i % 4)));
	secret_wipe(&s, sizeof(s));
}
