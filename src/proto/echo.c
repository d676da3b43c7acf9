#include "proto/echo.h"

#include "base/err.h"

static void read_error(struct rd *r, struct echo *e)
{
	uint8_t b[16];
	unsigned family;

	e->type = rd_u8(r);
	e->code = rd_u8(r);
	e->info = rd_u32(r);
	family = rd_u8(r);
	if (family != 4 && family != 6) {
		r->bad = true;
		return;
	}
	rd_copy(r, b, family == 4 ? 4 : 16);
	e->offender = family == 4 ? ip_v4(b) : ip_v6(b);
	if (e->offender.family != family) /* an IPv4 address in disguise */
		r->bad = true;
}

int echo_decode(struct echo *out, struct span in)
{
	struct rd r = rd_of(in);
	struct echo e = {.kind = (enum echo_kind)rd_u8(&r)};

	e.ttl = rd_u8(&r);
	e.id = rd_u16(&r);
	e.seq = rd_u16(&r);
	if (r.bad)
		return -ERR_MALFORMED;
	switch (e.kind) {
	case ECHO_REQUEST:
	case ECHO_REPLY:
		if (r.n > ECHO_PAYLOAD_MAX)
			return -ERR_MALFORMED;
		e.payload = span_of(r.p, r.n);
		break;
	case ECHO_ERROR:
		read_error(&r, &e);
		break;
	default:
		return -ERR_UNSUPPORTED;
	}
	if (r.bad)
		return -ERR_MALFORMED;
	*out = e;
	return 0;
}

int echo_encode(struct wr *out, const struct echo *in)
{
	wr_u8(out, in->kind);
	wr_u8(out, in->ttl);
	wr_u16(out, in->id);
	wr_u16(out, in->seq);
	if (in->kind == ECHO_ERROR) {
		wr_u8(out, in->type);
		wr_u8(out, in->code);
		wr_u32(out, in->info);
		wr_u8(out, in->offender.family);
		wr_bytes(out, in->offender.b, in->offender.family == 4 ? 4 : 16);
	} else if (in->payload.n <= ECHO_PAYLOAD_MAX) {
		wr_bytes(out, in->payload.p, in->payload.n);
	} else {
		out->bad = true;
	}
	return out->bad ? -ERR_LIMIT : 0;
}
