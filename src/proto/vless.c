#include "proto/vless.h"

#include "base/err.h"
#include "crypto/secret.h"
#include "proto/protobuf.h"

enum { ADDON_FLOW = 1, ADDON_SEED = 2 };

static ssize_t refuse(enum vless_fault *to, enum vless_fault fault)
{
	if (to)
		*to = fault;
	return -ERR_MALFORMED;
}

ssize_t vless_id_decode(struct uuid *out, struct span in, enum vless_fault *fault)
{
	struct rd r = rd_of(in);
	uint8_t version = rd_u8(&r);
	struct span id;

	if (!r.bad && version != VLESS_VERSION)
		return refuse(fault, VLESS_FAULT_VERSION);
	id = rd_take(&r, UUID_LEN);
	if (r.bad)
		return 0;
	memcpy(out->b, id.p, UUID_LEN);
	return (ssize_t)(in.n - r.n);
}

ssize_t vless_request_decode(struct vless_request *out, struct span in, enum vless_fault *fault)
{
	struct vless_request q = {0};
	ssize_t n = vless_id_decode(&q.id, in, fault);
	struct vless_addons known;
	struct rd r;

	if (n <= 0)
		return n;
	r = rd_of(span_of(in.p + n, in.n - (size_t)n));
	q.addons = rd_take(&r, rd_u8(&r));
	if (r.bad)
		return 0;
	if (vless_addons_decode(&known, q.addons) != 0)
		return refuse(fault, VLESS_FAULT_ADDONS);
	q.command = rd_u8(&r);
	if (r.bad)
		return 0;
	if (q.command < VLESS_TCP || q.command > VLESS_REVERSE)
		return refuse(fault, VLESS_FAULT_COMMAND);
	if (q.command == VLESS_TCP || q.command == VLESS_UDP) {
		int got = netaddr_read_port_first(&r, &q.target);

		if (got < 0)
			return refuse(fault, VLESS_FAULT_ADDRESS);
		if (got == 0)
			return 0;
	}
	*out = q;
	return (ssize_t)(in.n - r.n);
}

int vless_request_encode(struct wr *out, const struct vless_request *in)
{
	if (in->command < VLESS_TCP || in->command > VLESS_REVERSE)
		return -ERR_MALFORMED;
	if (in->addons.n > VLESS_ADDONS_MAX)
		return -ERR_LIMIT;
	wr_u8(out, VLESS_VERSION);
	wr_bytes(out, in->id.b, UUID_LEN);
	wr_u8(out, (unsigned)in->addons.n);
	wr_bytes(out, in->addons.p, in->addons.n);
	wr_u8(out, in->command);
	if (in->command == VLESS_TCP || in->command == VLESS_UDP)
		return netaddr_write_port_first(out, &in->target);
	return out->bad ? -ERR_LIMIT : 0;
}

int vless_addons_decode(struct vless_addons *out, struct span in)
{
	struct vless_addons a = {0};
	struct rd r = rd_of(in);
	struct protobuf_field f;
	int got;

	while ((got = protobuf_read_field(&r, &f)) == 1) {
		if (f.type != PROTOBUF_BYTES)
			continue;
		if (f.number == ADDON_FLOW) {
			if (!protobuf_is_utf8(f.bytes))
				return -ERR_MALFORMED;
			a.flow = f.bytes;
		} else if (f.number == ADDON_SEED) {
			a.seed = f.bytes;
		}
	}
	if (got == 0)
		*out = a;
	return got;
}

int vless_addons_encode(struct wr *out, const struct vless_addons *in)
{
	if (in->flow.n)
		protobuf_write_bytes(out, ADDON_FLOW, in->flow);
	if (in->seed.n)
		protobuf_write_bytes(out, ADDON_SEED, in->seed);
	return out->bad ? -ERR_LIMIT : 0;
}

struct span vless_addons_vision(void)
{
	static const char message[] = "\x0a\x10" VLESS_FLOW_VISION;

	return span_of(message, sizeof(message) - 1);
}

ssize_t vless_response_decode(struct vless_response *out, struct span in)
{
	struct rd r = rd_of(in);
	uint8_t version = rd_u8(&r);
	struct span addons;

	if (!r.bad && version != VLESS_VERSION)
		return -ERR_MALFORMED;
	addons = rd_take(&r, rd_u8(&r));
	if (r.bad)
		return 0;
	out->addons = addons;
	return (ssize_t)(in.n - r.n);
}

int vless_response_encode(struct wr *out, const struct vless_response *in)
{
	if (in->addons.n > VLESS_ADDONS_MAX)
		return -ERR_LIMIT;
	wr_u8(out, VLESS_VERSION);
	wr_u8(out, (unsigned)in->addons.n);
	wr_bytes(out, in->addons.p, in->addons.n);
	return out->bad ? -ERR_LIMIT : 0;
}

ssize_t vless_packet_decode(struct span *payload, struct span in)
{
	struct rd r = rd_of(in);
	struct span data = rd_take(&r, rd_u16(&r));

	if (r.bad)
		return 0;
	*payload = data;
	return (ssize_t)(in.n - r.n);
}

int vless_packet_prefix(uint8_t at[VLESS_PACKET_PREFIX], size_t n)
{
	if (n > VLESS_PACKET_MAX)
		return -ERR_LIMIT;
	at[0] = (uint8_t)(n >> 8);
	at[1] = (uint8_t)n;
	return 0;
}

int vless_packet_encode(struct wr *out, struct span payload)
{
	if (payload.n > VLESS_PACKET_MAX)
		return -ERR_LIMIT;
	wr_u16(out, (unsigned)payload.n);
	wr_bytes(out, payload.p, payload.n);
	return out->bad ? -ERR_LIMIT : 0;
}

struct uuid vless_id_key(const struct uuid *id)
{
	struct uuid key = *id;

	key.b[6] = key.b[7] = 0;
	return key;
}

bool vless_id_match(const struct uuid *a, const struct uuid *b)
{
	struct uuid x = vless_id_key(a), y = vless_id_key(b);

	return secret_eq(x.b, y.b, UUID_LEN);
}

uint16_t vless_route(const struct uuid *received)
{
	return (uint16_t)(received->b[6] << 8 | received->b[7]);
}

struct span vless_fallback_path(struct span first)
{
	enum { FROM = 4, TO = 8, LOOK = 64 };
	const struct span none = {NULL, 0};
	size_t end = first.n < LOOK ? first.n : LOOK, at = FROM;

	/* '*' at 4 is the target of HTTP/2's preface, which has no path */
	if (first.n < VLESS_FALLBACK_MIN || first.p[FROM] == '*')
		return none;
	while (at <= TO && !(first.p[at] == '/' && first.p[at - 1] == ' '))
		at++;
	if (at > TO)
		return none;
	for (size_t i = at + 1; i < end; i++) {
		if (first.p[i] == '\r' || first.p[i] == '\n')
			return none;
		if (first.p[i] == '?' || first.p[i] == ' ')
			return span_of(first.p + at, i - at);
	}
	return none;
}

const char *vless_fault_text(enum vless_fault fault)
{
	switch (fault) {
	case VLESS_FAULT_VERSION:
		return "invalid request version";
	case VLESS_FAULT_ADDONS:
		return "failed to decode request header addons";
	case VLESS_FAULT_COMMAND:
		return "invalid request address (unknown command)";
	case VLESS_FAULT_ADDRESS:
		return "invalid request address";
	case VLESS_FAULT_NONE:
		break;
	}
	return "valid";
}
