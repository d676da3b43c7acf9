#include "proxy/vless_cap.h"

#include "proto/protobuf.h"

enum { FIELD_BITS = 1000, FIELD_REFUSAL = 1001 };

struct vless_cap vless_cap_decode(struct span addons)
{
	struct rd r = rd_of(addons);
	struct protobuf_field f;
	struct vless_cap c = {0};

	while (protobuf_read_field(&r, &f) == 1) {
		if (f.type != PROTOBUF_VARINT)
			continue;
		if (f.number == FIELD_BITS)
			c.bits = (unsigned)f.value & VLESS_CAP_ALL;
		else if (f.number == FIELD_REFUSAL)
			c.refusal = f.value < UINT8_MAX ? (uint8_t)f.value : UINT8_MAX;
	}
	return c;
}

void vless_cap_encode(struct wr *out, const struct vless_cap *c)
{
	protobuf_write_varint(out, FIELD_BITS, c->bits);
	if (c->refusal)
		protobuf_write_varint(out, FIELD_REFUSAL, c->refusal);
}
