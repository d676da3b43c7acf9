#include "proxy/vless_cap.h"

#include "proto/protobuf.h"

enum { FIELD_BITS = 1000, FIELD_REFUSAL = 1001, FIELD_SOURCE = 1002 };

static void read_source(struct span in, struct ipport *out)
{
	struct rd r = rd_of(in);
	struct span ip = rd_take(&r, in.n == 6 ? 4 : 16);
	uint16_t port = rd_u16(&r);

	if (r.bad || r.n)
		return;
	out->ip = ip.n == 4 ? ip_v4(ip.p) : ip_v6(ip.p);
	out->port = port;
}

struct vless_cap vless_cap_decode(struct span addons)
{
	struct rd r = rd_of(addons);
	struct protobuf_field f;
	struct vless_cap c = {0};

	while (protobuf_read_field(&r, &f) == 1) {
		if (f.type == PROTOBUF_BYTES && f.number == FIELD_SOURCE)
			read_source(f.bytes, &c.source);
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
	if (c->source.ip.family) {
		uint8_t b[18];
		struct wr w = wr_of(b, sizeof(b));

		wr_bytes(&w, c->source.ip.b, c->source.ip.family == 4 ? 4 : 16);
		wr_u16(&w, c->source.port);
		protobuf_write_bytes(out, FIELD_SOURCE, span_of(b, w.n));
	}
}
