#include "proto/muxext.h"

#include "base/err.h"
#include "proto/muxcool.h"
#include "proto/netaddr.h"

enum record {
	RECORD_HELLO = 1,
	RECORD_WINDOW = 2,
	RECORD_FIN = 3,
	RECORD_OPENED = 4,
	RECORD_REFUSED = 5,
	RECORD_TRACE = 6,
	RECORD_LINE = 7,
	RECORD_BOUNCED = 8,
};

static bool read_bounced(struct muxext *e, struct span value)
{
	struct rd r = rd_of(value);
	uint8_t why = rd_u8(&r);
	struct addr to;

	if (r.bad || netaddr_read_port_first(&r, &to) != 1)
		return false;
	if (addr_to_ipport(&to, &e->bounced)) {
		e->has |= MUXEXT_BOUNCED;
		e->bounce = why;
	}
	return true;
}

/* One record's value; false when it is too short for its type. */
static bool read_record(struct muxext *e, uint8_t type, struct span value)
{
	struct rd r = rd_of(value);

	switch (type) {
	case RECORD_HELLO:
		e->has |= MUXEXT_HELLO;
		e->capabilities = rd_u32(&r);
		e->window = rd_u32(&r);
		break;
	case RECORD_WINDOW:
		e->has |= MUXEXT_WINDOW;
		e->credit = rd_u32(&r);
		break;
	case RECORD_FIN:
		e->has |= MUXEXT_FIN;
		break;
	case RECORD_OPENED:
		e->has |= MUXEXT_OPENED;
		break;
	case RECORD_REFUSED:
		e->has |= MUXEXT_REFUSED;
		e->refusal = rd_u8(&r);
		break;
	case RECORD_TRACE:
		e->has |= MUXEXT_TRACE;
		break;
	case RECORD_LINE:
		e->has |= MUXEXT_LINE;
		e->line = span_of(value.p, value.n < MUXEXT_LINE_MAX ? value.n : MUXEXT_LINE_MAX);
		break;
	case RECORD_BOUNCED:
		return read_bounced(e, value);
	default:
		break;
	}
	return !r.bad;
}

int muxext_decode(struct muxext *out, const struct muxcool_frame *frame)
{
	struct rd r = rd_of(frame->rest);
	struct muxext e = {0};
	uint8_t mark, version;

	if (frame->status != MUXCOOL_KEEP || frame->option & MUXCOOL_DATA || frame->network)
		return -ERR_UNSUPPORTED;
	mark = rd_u8(&r);
	version = rd_u8(&r);
	if (r.bad || mark != MUXEXT_MARK || version != MUXEXT_VERSION)
		return -ERR_UNSUPPORTED;
	while (r.n > 0) {
		uint8_t type = rd_u8(&r);
		struct span value = rd_take(&r, rd_u8(&r));

		if (r.bad || !read_record(&e, type, value))
			return -ERR_MALFORMED;
	}
	*out = e;
	return 0;
}

static void write_record(struct wr *w, enum record type, unsigned len)
{
	wr_u8(w, type);
	wr_u8(w, len);
}

static void write_bounced(struct wr *w, const struct muxext *in)
{
	struct addr to = addr_from_ipport(&in->bounced);

	write_record(w, RECORD_BOUNCED, (unsigned)(1 + netaddr_size(&to)));
	wr_u8(w, in->bounce);
	netaddr_write_port_first(w, &to);
}

int muxext_encode(struct wr *out, uint16_t id, const struct muxext *in)
{
	uint8_t *len_at = wr_room(out, 2);
	size_t start = out->n;

	wr_u16(out, id);
	wr_u8(out, MUXCOOL_KEEP);
	wr_u8(out, 0);
	wr_u8(out, MUXEXT_MARK);
	wr_u8(out, MUXEXT_VERSION);
	if (in->has & MUXEXT_HELLO) {
		write_record(out, RECORD_HELLO, 8);
		wr_u32(out, in->capabilities);
		wr_u32(out, in->window);
	}
	if (in->has & MUXEXT_WINDOW) {
		write_record(out, RECORD_WINDOW, 4);
		wr_u32(out, in->credit);
	}
	if (in->has & MUXEXT_FIN)
		write_record(out, RECORD_FIN, 0);
	if (in->has & MUXEXT_OPENED)
		write_record(out, RECORD_OPENED, 0);
	if (in->has & MUXEXT_REFUSED) {
		write_record(out, RECORD_REFUSED, 1);
		wr_u8(out, in->refusal);
	}
	if (in->has & MUXEXT_TRACE)
		write_record(out, RECORD_TRACE, 0);
	if (in->has & MUXEXT_LINE) {
		if (in->line.n > MUXEXT_LINE_MAX)
			return -ERR_LIMIT;
		write_record(out, RECORD_LINE, (unsigned)in->line.n);
		wr_bytes(out, in->line.p, in->line.n);
	}
	if (in->has & MUXEXT_BOUNCED)
		write_bounced(out, in);
	if (out->bad)
		return -ERR_LIMIT;
	len_at[0] = (uint8_t)((out->n - start) >> 8);
	len_at[1] = (uint8_t)(out->n - start);
	return 0;
}

enum muxext_refusal muxext_refusal_from_err(int code)
{
	switch (code < 0 ? -code : code) {
	case ERR_REFUSED:
		return MUXEXT_BY_TARGET;
	case ERR_UNREACH:
		return MUXEXT_UNREACHABLE;
	case ERR_TIMEOUT:
		return MUXEXT_TIMEOUT;
	case ERR_BLOCKED:
		return MUXEXT_BLOCKED;
	case ERR_RESOLVE:
		return MUXEXT_NO_NAME;
	default:
		return MUXEXT_OTHER;
	}
}

int muxext_refusal_to_err(uint8_t refusal)
{
	switch (refusal) {
	case MUXEXT_BY_TARGET:
		return ERR_REFUSED;
	case MUXEXT_UNREACHABLE:
		return ERR_UNREACH;
	case MUXEXT_TIMEOUT:
		return ERR_TIMEOUT;
	case MUXEXT_BLOCKED:
		return ERR_BLOCKED;
	case MUXEXT_NO_NAME:
		return ERR_RESOLVE;
	default:
		return ERR_SYS;
	}
}
