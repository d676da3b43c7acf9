#include "proxy/vless_cap.h"

#include "proto/protobuf.h"

enum { CAP_FIELD = 1000, CAP_HALF_CLOSE = 1 };

struct span vless_cap_addons(void)
{
	/* field 1000, type varint: key 8000 = c0 3e */
	static const uint8_t bytes[] = {0xc0, 0x3e, CAP_HALF_CLOSE};

	return span_of(bytes, sizeof(bytes));
}

bool vless_cap_has(struct span addons)
{
	struct rd r = rd_of(addons);
	struct protobuf_field f;

	while (protobuf_read_field(&r, &f) == 1)
		if (f.number == CAP_FIELD && f.type == PROTOBUF_VARINT)
			return f.value & CAP_HALF_CLOSE;
	return false;
}
