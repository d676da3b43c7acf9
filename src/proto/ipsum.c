#include "proto/ipsum.h"

static uint64_t add_carry(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

/* Words are added in the order of the host: the sum of swapped words is the swapped sum. */
static uint64_t sum_even(uint64_t acc, struct span b)
{
	uint64_t w;
	uint16_t h;

	for (; b.n >= 32; b.p += 32, b.n -= 32) {
		uint64_t v[4];

		memcpy(v, b.p, sizeof(v));
		for (int i = 0; i < 4; i++)
			acc = add_carry(acc, v[i]);
	}
	for (; b.n >= sizeof(w); b.p += sizeof(w), b.n -= sizeof(w)) {
		memcpy(&w, b.p, sizeof(w));
		acc = add_carry(acc, w);
	}
	for (; b.n >= sizeof(h); b.p += sizeof(h), b.n -= sizeof(h)) {
		memcpy(&h, b.p, sizeof(h));
		acc = add_carry(acc, h);
	}
	if (b.n) {
		uint8_t last[2] = {b.p[0], 0};

		memcpy(&h, last, sizeof(h));
		acc = add_carry(acc, h);
	}
	return acc;
}

static uint16_t fold(uint64_t a)
{
	a = (a & 0xffffffff) + (a >> 32);
	a = (a & 0xffffffff) + (a >> 32);
	a = (a & 0xffff) + (a >> 16);
	a = (a & 0xffff) + (a >> 16);
	return (uint16_t)a;
}

static uint16_t swap(uint16_t v)
{
	return (uint16_t)(v << 8 | v >> 8);
}

void ipsum_add(struct ipsum *s, struct span b)
{
	if (b.n == 0)
		return;
	if (s->odd)
		s->acc = add_carry(s->acc, swap(fold(sum_even(0, b))));
	else
		s->acc = sum_even(s->acc, b);
	s->odd ^= b.n & 1;
}

void ipsum_add_pseudo(struct ipsum *s, const struct ip *src, const struct ip *dst, uint8_t proto,
		      uint32_t len)
{
	size_t n = src->family == 4 ? 4 : 16;
	uint8_t tail[8];
	struct wr w = wr_of(tail, sizeof(tail));

	wr_u32(&w, len);
	wr_u32(&w, proto);
	ipsum_add(s, span_of(src->b, n));
	ipsum_add(s, span_of(dst->b, n));
	ipsum_add(s, span_of(tail, sizeof(tail)));
}

uint16_t ipsum_fold(const struct ipsum *s)
{
	uint16_t h = fold(s->acc);
	uint8_t b[2];

	memcpy(b, &h, sizeof(b));
	return (uint16_t)(b[0] << 8 | b[1]);
}
