#include "proto/reversectl.h"

#include <string.h>

#include "base/err.h"
#include "proto/muxcool.h"
#include "proto/protobuf.h"

enum { FIELD_STATE = 1, FIELD_RANDOM = 99 };

static const char *const names[REVERSECTL_NAMES] = {
	[REVERSECTL_XRAY] = "reverse",
	[REVERSECTL_V2FLY] = "reverse.internal.v2fly.org",
	[REVERSECTL_V2RAY] = "reverse.internal.v2ray.com",
	[REVERSECTL_EXAMPLE] = "reverse.internal.example.com",
};

int reversectl_decode(struct reversectl *out, struct span in)
{
	struct reversectl ctl = {0};
	struct rd r = rd_of(in);
	struct protobuf_field f;
	int got;

	while ((got = protobuf_read_field(&r, &f)) == 1) {
		if (f.number == FIELD_STATE && f.type == PROTOBUF_VARINT)
			ctl.state = (uint32_t)f.value; /* an enum has 32 bits */
		else if (f.number == FIELD_RANDOM && f.type == PROTOBUF_BYTES)
			ctl.filler = f.bytes;
	}
	if (got == 0)
		*out = ctl;
	return got;
}

int reversectl_encode(struct wr *out, const struct reversectl *in)
{
	if (in->filler.n > REVERSECTL_FILLER_MAX)
		return -ERR_LIMIT;
	if (in->state != REVERSECTL_ACTIVE)
		protobuf_write_varint(out, FIELD_STATE, in->state);
	if (in->filler.n)
		protobuf_write_bytes(out, FIELD_RANDOM, in->filler);
	return out->bad ? -ERR_LIMIT : 0;
}

const char *reversectl_name(enum reversectl_name which)
{
	return which < REVERSECTL_NAMES ? names[which] : NULL;
}

bool reversectl_is_internal(const char *host)
{
	for (size_t i = 0; i < REVERSECTL_NAMES; i++)
		if (strcmp(host, names[i]) == 0)
			return true;
	return false;
}

/* v2ray has buffers of 2 KiB and gives up the carrier over a datagram that is longer; Xray's older
 * names are the same as v2ray's. */
size_t reversectl_dgram_max(const char *host)
{
	return strcmp(host, names[REVERSECTL_XRAY]) == 0 ? MUXCOOL_SEND_MAX : REVERSECTL_DGRAM_MAX;
}
