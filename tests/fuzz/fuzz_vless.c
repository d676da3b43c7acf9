/*
 * Any bytes as a VLESS request, response, packet and first read of a stranger. A
 * decoded header encodes to the bytes it came from, apart from normalised addresses;
 * a verdict on a prefix is final.
 */
#include <stdlib.h>

#include "proto/vless.h"
#include "proxy/vless_cap.h"

/* What our own fields say stays what it is. */
static void check_caps(struct span addons)
{
	struct vless_cap c = vless_cap_decode(addons), again;
	uint8_t b[2 * VLESS_CAP_ADDONS_MAX];
	struct wr w = wr_of(b, sizeof(b));

	vless_cap_encode(&w, &c);
	again = vless_cap_decode(span_of(b, w.n));
	if (w.bad || again.bits != c.bits || again.refusal != c.refusal ||
	    !ipport_eq(&again.source, &c.source))
		abort();
}

static void check_request(struct span in)
{
	struct vless_request q, again;
	enum vless_fault fault = VLESS_FAULT_NONE;
	ssize_t n = vless_request_decode(&q, in, &fault);
	struct vless_addons addons;
	uint8_t b[VLESS_REQUEST_MAX];
	struct wr w = wr_of(b, sizeof(b));

	if ((n < 0) != (fault != VLESS_FAULT_NONE) || n > (ssize_t)in.n)
		abort();
	for (size_t i = 0; n != 0 && i < in.n && i < VLESS_REQUEST_MAX; i += 1 + i / 8) {
		enum vless_fault early_fault = VLESS_FAULT_NONE;
		ssize_t early = vless_request_decode(&again, span_of(in.p, i), &early_fault);

		if (early != 0 && (early != n || early_fault != fault))
			abort();
	}
	if (n <= 0)
		return;
	check_caps(q.addons);
	if (vless_addons_decode(&addons, q.addons) != 0 || vless_request_encode(&w, &q) != 0)
		abort();
	if (vless_request_decode(&again, span_of(b, w.n), NULL) != (ssize_t)w.n ||
	    again.command != q.command || !addr_eq(&again.target, &q.target) ||
	    !span_eq(again.addons, q.addons) || memcmp(again.id.b, q.id.b, UUID_LEN) != 0)
		abort();
}

static void check_response(struct span in)
{
	struct vless_response p;
	ssize_t n = vless_response_decode(&p, in);
	uint8_t b[VLESS_RESPONSE_MAX];
	struct wr w = wr_of(b, sizeof(b));

	if (n > 0 &&
	    (vless_response_encode(&w, &p) != 0 || w.n != (size_t)n || memcmp(b, in.p, w.n) != 0))
		abort();
}

static void check_packets(struct span in)
{
	struct span data;
	ssize_t n;

	while ((n = vless_packet_decode(&data, in)) > 0) {
		if ((size_t)n != data.n + VLESS_PACKET_PREFIX || (size_t)n > in.n)
			abort();
		in = span_of(in.p + n, in.n - (size_t)n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct span path = vless_fallback_path(in);

	if (path.n && (path.p < data + 4 || path.p + path.n > data + 63 || path.p[0] != '/'))
		abort();
	check_request(in);
	check_response(in);
	check_packets(in);
	return 0;
}
