#include "proto/protobuf.h"

#include "base/err.h"

enum {
	NUMBER_MAX = (1 << 29) - 1,
	GROUP_END = 4,
	VARINT_MAX = 10, /* bytes of a 64-bit value */
};

static uint64_t read_varint(struct rd *r)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < VARINT_MAX; i++) {
		uint8_t b = rd_u8(r);

		if (i == VARINT_MAX - 1 && b > 1)
			break; /* does not fit 64 bits */
		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (b < 0x80)
			return v;
	}
	r->bad = true;
	return 0;
}

/* Tag of the next field; false when there is none that is valid. */
static bool read_tag(struct rd *r, uint32_t *number, uint8_t *type)
{
	uint64_t tag = read_varint(r);

	if (r->bad || tag >> 3 < 1 || tag >> 3 > NUMBER_MAX)
		return false;
	*number = (uint32_t)(tag >> 3);
	*type = tag & 7;
	return true;
}

/* Value of a field that is not a group; false for an unknown type or a short message. */
static bool read_value(struct rd *r, struct protobuf_field *f)
{
	switch (f->type) {
	case PROTOBUF_VARINT:
		f->value = read_varint(r);
		break;
	case PROTOBUF_FIXED64:
		f->bytes = rd_take(r, 8);
		break;
	case PROTOBUF_FIXED32:
		f->bytes = rd_take(r, 4);
		break;
	case PROTOBUF_BYTES: {
		uint64_t n = read_varint(r);

		if (r->bad || n > r->n)
			return false;
		f->bytes = rd_take(r, (size_t)n);
		break;
	}
	default:
		return false;
	}
	return !r->bad;
}

/* What a group holds, the group's start tag having been read. */
static bool read_group(struct rd *r, struct protobuf_field *f)
{
	uint32_t open[PROTOBUF_DEPTH] = {f->number};
	const uint8_t *start = r->p;
	size_t depth = 1;

	for (;;) {
		const uint8_t *end = r->p;
		struct protobuf_field in = {0};

		if (!read_tag(r, &in.number, &in.type))
			return false;
		if (in.type == GROUP_END) {
			if (in.number != open[--depth])
				return false;
			if (depth == 0) {
				f->bytes = span_of(start, (size_t)(end - start));
				return true;
			}
		} else if (in.type == PROTOBUF_GROUP) {
			if (depth == PROTOBUF_DEPTH)
				return false;
			open[depth++] = in.number;
		} else if (!read_value(r, &in)) {
			return false;
		}
	}
}

int protobuf_read_field(struct rd *r, struct protobuf_field *out)
{
	struct protobuf_field f = {0};

	if (r->bad)
		return -ERR_MALFORMED;
	if (r->n == 0)
		return 0;
	if (!read_tag(r, &f.number, &f.type) ||
	    !(f.type == PROTOBUF_GROUP ? read_group(r, &f) : read_value(r, &f))) {
		r->bad = true;
		return -ERR_MALFORMED;
	}
	*out = f;
	return 1;
}

static void write_varint(struct wr *w, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		wr_u8(w, (unsigned)(v & 0x7f) | 0x80);
	wr_u8(w, (unsigned)v);
}

void protobuf_write_varint(struct wr *w, uint32_t number, uint64_t value)
{
	write_varint(w, (uint64_t)number << 3 | PROTOBUF_VARINT);
	write_varint(w, value);
}

void protobuf_write_bytes(struct wr *w, uint32_t number, struct span value)
{
	write_varint(w, (uint64_t)number << 3 | PROTOBUF_BYTES);
	write_varint(w, value.n);
	wr_bytes(w, value.p, value.n);
}

/* Bytes of the character that begins with @lead, and what its second byte may be. */
static size_t utf8_len(uint8_t lead, uint8_t *lo, uint8_t *hi)
{
	*lo = 0x80;
	*hi = 0xbf;
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef) {
		*lo = lead == 0xe0 ? 0xa0 : 0x80; /* overlong */
		*hi = lead == 0xed ? 0x9f : 0xbf; /* surrogates */
		return 3;
	}
	if (lead >= 0xf0 && lead <= 0xf4) {
		*lo = lead == 0xf0 ? 0x90 : 0x80;
		*hi = lead == 0xf4 ? 0x8f : 0xbf; /* beyond U+10FFFF */
		return 4;
	}
	return 0;
}

bool protobuf_is_utf8(struct span s)
{
	for (size_t i = 0; i < s.n;) {
		uint8_t lo, hi;
		size_t n = utf8_len(s.p[i], &lo, &hi);

		if (n == 0 || n > s.n - i)
			return false;
		if (n > 1 && (s.p[i + 1] < lo || s.p[i + 1] > hi))
			return false;
		for (size_t k = 2; k < n; k++)
			if ((s.p[i + k] & 0xc0) != 0x80)
				return false;
		i += n;
	}
	return true;
}
