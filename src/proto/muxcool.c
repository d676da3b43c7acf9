#include "proto/muxcool.h"

#include "base/err.h"

/* One "network, address" of the metadata; false when it does not fit or cannot be. */
static bool read_endpoint(struct rd *r, uint8_t *network, struct addr *addr)
{
	*network = rd_u8(r);
	if (*network != MUXCOOL_TCP && *network != MUXCOOL_UDP)
		return false;
	return netaddr_read_port_first(r, addr) == 1;
}

static bool read_visitor(struct rd *r, struct muxcool_frame *f)
{
	if (r->n == 0 || r->p[0] == 0)
		return true;
	if (!read_endpoint(r, &f->source_network, &f->source))
		return false;
	if (r->n == 0 || r->p[0] == 0)
		return true;
	return read_endpoint(r, &f->local_network, &f->local);
}

static bool read_new(struct rd *r, struct muxcool_frame *f, enum muxcool_kind kind)
{
	if (!read_endpoint(r, &f->network, &f->target))
		return false;
	if (kind == MUXCOOL_REVERSE)
		return read_visitor(r, f);
	if (f->network == MUXCOOL_UDP && f->option & MUXCOOL_DATA && r->n >= sizeof(f->global_id)) {
		f->has_global_id = true;
		rd_copy(r, f->global_id, sizeof(f->global_id));
	}
	return true;
}

/* Addresses are large and most frames have none: only the head of those is written. */
static void copy_addr(struct addr *out, const struct addr *in, uint8_t network)
{
	if (network) {
		*out = *in;
	} else {
		out->kind = ADDR_NONE;
		out->port = 0;
	}
}

static void copy_out(struct muxcool_frame *out, const struct muxcool_frame *f)
{
	memcpy(out, f, offsetof(struct muxcool_frame, target));
	copy_addr(&out->target, &f->target, f->network);
	copy_addr(&out->source, &f->source, f->source_network);
	copy_addr(&out->local, &f->local, f->local_network);
}

/* Of @f, addresses that are absent stay uninitialised. */
static ssize_t parse(struct muxcool_frame *f, struct span in, enum muxcool_kind kind)
{
	struct rd r = rd_of(in);
	size_t len = rd_u16(&r);
	struct span meta;
	bool ok = true;

	if (r.bad)
		return 0;
	if (len < MUXCOOL_META_MIN || len > MUXCOOL_META_MAX)
		return -ERR_MALFORMED;
	meta = rd_take(&r, len);
	if (r.bad)
		return 0;
	memset(f, 0, offsetof(struct muxcool_frame, target));
	r = rd_of(meta);
	f->id = rd_u16(&r);
	f->status = rd_u8(&r);
	f->option = rd_u8(&r);
	if (f->status < MUXCOOL_NEW || f->status > MUXCOOL_KEEPALIVE)
		return -ERR_MALFORMED;
	if (f->status == MUXCOOL_NEW)
		ok = read_new(&r, f, kind);
	else if (f->status == MUXCOOL_KEEP && r.n > 0 && r.p[0] == MUXCOOL_UDP)
		ok = read_endpoint(&r, &f->network, &f->target);
	f->rest = rd_take(&r, r.n);
	return ok ? (ssize_t)(2 + len) : -ERR_MALFORMED;
}

ssize_t muxcool_meta_decode(struct muxcool_frame *out, struct span in, enum muxcool_kind kind)
{
	struct muxcool_frame f;
	ssize_t n = parse(&f, in, kind);

	if (n > 0)
		copy_out(out, &f);
	return n;
}

ssize_t muxcool_frame_decode(struct muxcool_frame *out, struct span in, enum muxcool_kind kind)
{
	struct muxcool_frame f;
	ssize_t n = parse(&f, in, kind);

	if (n <= 0)
		return n;
	if (f.option & MUXCOOL_DATA) {
		struct rd r = rd_of(span_of(in.p + n, in.n - (size_t)n));

		f.data_len = rd_u16(&r);
		if (r.bad)
			return 0;
		n += 2;
	}
	copy_out(out, &f);
	return n;
}

/* Can these fields stand in one frame? What cannot be read back is not written. */
static bool consistent(const struct muxcool_frame *f, enum muxcool_kind kind)
{
	bool is_new = f->status == MUXCOOL_NEW;

	if (f->status < MUXCOOL_NEW || f->status > MUXCOOL_KEEPALIVE)
		return false;
	if (f->data_len && !(f->option & MUXCOOL_DATA))
		return false;
	if (is_new && f->network != MUXCOOL_TCP && f->network != MUXCOOL_UDP)
		return false;
	if (!is_new && f->network && (f->status != MUXCOOL_KEEP || f->network != MUXCOOL_UDP))
		return false;
	if (f->has_global_id && !(is_new && kind == MUXCOOL_PLAIN && f->network == MUXCOOL_UDP &&
				  f->option & MUXCOOL_DATA))
		return false;
	if (f->source_network > MUXCOOL_UDP || f->local_network > MUXCOOL_UDP)
		return false;
	if (f->source_network && !(is_new && kind == MUXCOOL_REVERSE))
		return false;
	return f->source_network || !f->local_network;
}

static int write_endpoint(struct wr *w, uint8_t network, const struct addr *addr)
{
	if (!network)
		return 0;
	wr_u8(w, network);
	return netaddr_write_port_first(w, addr);
}

int muxcool_frame_encode(struct wr *out, const struct muxcool_frame *in, enum muxcool_kind kind)
{
	uint8_t *len_at;
	size_t start, len;
	int ret;

	if (!consistent(in, kind))
		return -ERR_MALFORMED;
	len_at = wr_room(out, 2);
	start = out->n;
	wr_u16(out, in->id);
	wr_u8(out, in->status);
	wr_u8(out, in->option);
	if ((ret = write_endpoint(out, in->network, &in->target)) != 0 ||
	    (ret = write_endpoint(out, in->source_network, &in->source)) != 0 ||
	    (ret = write_endpoint(out, in->local_network, &in->local)) != 0)
		return ret;
	if (in->has_global_id)
		wr_bytes(out, in->global_id, sizeof(in->global_id));
	wr_bytes(out, in->rest.p, in->rest.n);
	len = out->n - start;
	if (in->option & MUXCOOL_DATA)
		wr_u16(out, in->data_len);
	if (out->bad || len > MUXCOOL_META_MAX) {
		out->bad = true;
		return -ERR_LIMIT;
	}
	len_at[0] = (uint8_t)(len >> 8);
	len_at[1] = (uint8_t)len;
	return 0;
}

bool muxcool_is_carrier(const struct addr *target)
{
	return target->kind == ADDR_NAME && strcmp(target->name, MUXCOOL_NAME) == 0;
}

bool muxcool_is_xudp(struct span first)
{
	enum { ID = 2, NETWORK = 6 };

	return first.n > NETWORK && first.p[ID] == 0 && first.p[ID + 1] == 0 &&
	       first.p[NETWORK] == MUXCOOL_UDP;
}
