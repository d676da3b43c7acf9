/*
 * VLESS headers, packets and ids. The vectors are what v2ray 4.34 put on the wire
 * for the user id below, and Xray's header for the flow xtls-rprx-vision.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/protobuf.h"
#include "proto/vless.h"
#include "proxy/vless_cap.h"

#define ID "66ad4540b58c4ad29926ea63445a9b57"
#define VISION "12 0a10 78746c732d727072782d766973696f6e"

struct vector {
	const char *wire, *target;
	uint8_t command;
	const char *flow;
};

static const struct vector vectors[] = {
	{"00" ID "00 01 526b 01 7f000001", "127.0.0.1:21099", VLESS_TCP, ""},
	{"00" ID "00 01 526b 02 09 6c6f63616c686f7374", "localhost:21099", VLESS_TCP, ""},
	{"00" ID "00 02 526b 01 7f000001", "127.0.0.1:21099", VLESS_UDP, ""},
	{"00" ID "00 02 0035 03 20010db8000000000000000000000001", "[2001:db8::1]:53", VLESS_UDP,
	 ""},
	{"00" ID "00 03", "-", VLESS_MUX, ""},
	{"00" ID "00 04", "-", VLESS_REVERSE, ""},
	{"00" ID "00 01 0000 02 11 7265762e746573742e696e7465726e616c", "rev.test.internal:0",
	 VLESS_TCP, ""},
	{"00" ID VISION "01 01bb 02 0b 6578616d706c652e636f6d", "example.com:443", VLESS_TCP,
	 VLESS_FLOW_VISION},
	{"00" ID VISION "04", "-", VLESS_REVERSE, VLESS_FLOW_VISION},
};

static void every_truncation_asks_for_more(struct span in)
{
	enum vless_fault fault = VLESS_FAULT_NONE;
	struct vless_request q, before;

	memset(&before, 0x5a, sizeof(before));
	for (size_t n = 0; n < in.n; n++) {
		struct span part = exact(in, n);

		memset(&q, 0x5a, sizeof(q));
		assert_int_equal(vless_request_decode(&q, part, &fault), 0);
		assert_int_equal(fault, VLESS_FAULT_NONE);
		assert_memory_equal(&q, &before, sizeof(q));
		free_hex(part);
	}
}

static void requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		struct span in = hex(v->wire);
		struct vless_request q;
		struct vless_addons a;
		char text[ADDR_TEXT_MAX];
		char id[UUID_TEXT];
		uint8_t b[VLESS_REQUEST_MAX];
		struct wr w = wr_of(b, sizeof(b));

		assert_int_equal(vless_request_decode(&q, in, NULL), in.n);
		assert_int_equal(q.command, v->command);
		assert_string_equal(addr_text(&q.target, text, sizeof(text)), v->target);
		assert_string_equal(uuid_text(&q.id, id), "66ad4540-b58c-4ad2-9926-ea63445a9b57");
		assert_int_equal(vless_addons_decode(&a, q.addons), 0);
		assert_true(span_eq(a.flow, span_str(v->flow)));
		assert_int_equal(vless_request_encode(&w, &q), 0);
		assert_bytes(w, v->wire);
		every_truncation_asks_for_more(in);
		for (size_t n = 0; n < in.n; n++) {
			w = wr_of(b, n);
			assert_int_equal(vless_request_encode(&w, &q), -ERR_LIMIT);
		}
		free_hex(in);
	}
}

/* The refusal comes with the last byte of @wire, not earlier and not later. */
static void refused_at_end(const char *wire, enum vless_fault want)
{
	enum vless_fault fault = VLESS_FAULT_NONE;
	struct span in = hex(wire);
	struct vless_request q;

	every_truncation_asks_for_more(in);
	assert_int_equal(vless_request_decode(&q, in, &fault), -ERR_MALFORMED);
	assert_int_equal(fault, want);
	assert_int_equal(vless_request_decode(&q, in, NULL), -ERR_MALFORMED);
	free_hex(in);
}

static void refusals_name_their_fault(void **state)
{
	(void)state;
	refused_at_end("01", VLESS_FAULT_VERSION);
	refused_at_end("47", VLESS_FAULT_VERSION);
	refused_at_end("00" ID "03 ffffff", VLESS_FAULT_ADDONS);
	refused_at_end("00" ID "03 0a01ff", VLESS_FAULT_ADDONS); /* flow is not UTF-8 */
	refused_at_end("00" ID "02 0a01", VLESS_FAULT_ADDONS);
	refused_at_end("00" ID "00 00", VLESS_FAULT_COMMAND);
	refused_at_end("00" ID "00 05", VLESS_FAULT_COMMAND);
	refused_at_end("00" ID "00 01 526b 04", VLESS_FAULT_ADDRESS);
	refused_at_end("00" ID "00 01 526b 02 00", VLESS_FAULT_ADDRESS);
	refused_at_end("00" ID "00 02 526b 02 01 2a", VLESS_FAULT_ADDRESS);
	assert_string_equal(vless_fault_text(VLESS_FAULT_VERSION), "invalid request version");
	assert_string_equal(vless_fault_text(VLESS_FAULT_NONE), "valid");
	for (int f = VLESS_FAULT_VERSION; f <= VLESS_FAULT_ADDRESS; f++)
		assert_string_not_equal(vless_fault_text(f), "valid");
}

static void id_before_the_rest(void **state)
{
	enum vless_fault fault = VLESS_FAULT_NONE;
	struct span in = hex("00" ID "00");
	struct uuid id;

	(void)state;
	for (size_t n = 0; n < 17; n++)
		assert_int_equal(vless_id_decode(&id, span_of(in.p, n), &fault), 0);
	assert_int_equal(vless_id_decode(&id, in, &fault), 17);
	assert_memory_equal(id.b, in.p + 1, UUID_LEN);
	assert_int_equal(vless_id_decode(&id, span_str("G"), &fault), -ERR_MALFORMED);
	assert_int_equal(fault, VLESS_FAULT_VERSION);
	free_hex(in);
}

static void addons_take_what_they_know(void **state)
{
	/* flow twice, unknown varint 3, unknown bytes 15, seed, flow's number as varint */
	struct span in = hex("0a0161 1801 7a03010203 12020102 0a0162 0805");
	struct vless_addons a = {0};
	uint8_t b[64];
	struct wr w = wr_of(b, sizeof(b));
	struct vless_addons vision = {.flow = span_str(VLESS_FLOW_VISION)};

	(void)state;
	assert_int_equal(vless_addons_decode(&a, in), 0);
	assert_true(span_eq(a.flow, span_str("b")));
	assert_int_equal(a.seed.n, 2);
	assert_int_equal(vless_addons_encode(&w, &a), 0);
	assert_bytes(w, "0a0162 12020102");
	free_hex(in);

	w = wr_of(b, sizeof(b));
	assert_int_equal(vless_addons_encode(&w, &vision), 0);
	assert_true(span_eq(span_of(b, w.n), vless_addons_vision()));
	w = wr_of(b, 4);
	assert_int_equal(vless_addons_encode(&w, &vision), -ERR_LIMIT);
}

static void unencodable_requests(void **state)
{
	static const uint8_t many[VLESS_ADDONS_MAX + 1];
	struct vless_request q = {.command = 5};
	uint8_t b[1024];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	assert_int_equal(vless_request_encode(&w, &q), -ERR_MALFORMED);
	q.command = VLESS_TCP;
	assert_int_equal(vless_request_encode(&w, &q), -ERR_MALFORMED); /* no target */
	q.command = VLESS_MUX;
	q.addons = span_of(many, sizeof(many));
	w = wr_of(b, sizeof(b));
	assert_int_equal(vless_request_encode(&w, &q), -ERR_LIMIT);
}

static void responses(void **state)
{
	struct span in = hex("00 03 500101 ff");
	struct vless_response p, q = {.addons = {NULL, 0}};
	uint8_t b[VLESS_RESPONSE_MAX];
	struct wr w = wr_of(b, sizeof(b));
	static const uint8_t many[VLESS_ADDONS_MAX + 1];

	(void)state;
	assert_int_equal(vless_response_encode(&w, &q), 0);
	assert_bytes(w, "0000");
	assert_int_equal(vless_response_decode(&p, in), 5);
	assert_int_equal(p.addons.n, 3);
	for (size_t n = 0; n < 5; n++) {
		struct span part = exact(in, n);

		assert_int_equal(vless_response_decode(&q, part), 0);
		free_hex(part);
	}
	w = wr_of(b, sizeof(b));
	assert_int_equal(vless_response_encode(&w, &p), 0);
	assert_bytes(w, "00 03 500101");
	assert_int_equal(vless_response_decode(&p, span_str("HTTP/1.1 400")), -ERR_MALFORMED);
	p.addons = span_of(many, sizeof(many));
	assert_int_equal(vless_response_encode(&w, &p), -ERR_LIMIT);
	p.addons.n = VLESS_ADDONS_MAX;
	w = wr_of(b, sizeof(b));
	assert_int_equal(vless_response_encode(&w, &p), 0);
	free_hex(in);
}

static void packets(void **state)
{
	struct span in = hex("0005 70696e6731 0000 0001");
	struct span data;
	uint8_t b[8], prefix[2];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	assert_int_equal(vless_packet_decode(&data, in), 7);
	assert_true(span_eq(data, span_str("ping1")));
	assert_int_equal(vless_packet_decode(&data, span_of(in.p + 7, 4)), 2);
	assert_int_equal(data.n, 0);
	assert_int_equal(vless_packet_decode(&data, span_of(in.p + 9, 2)), 0);
	for (size_t n = 0; n < 7; n++) {
		struct span part = exact(in, n);

		assert_int_equal(vless_packet_decode(&data, part), 0);
		free_hex(part);
	}
	free_hex(in);
	assert_int_equal(vless_packet_encode(&w, span_str("ping1")), 0);
	assert_bytes(w, "0005 70696e6731");
	assert_int_equal(vless_packet_encode(&w, span_str("ping1")), -ERR_LIMIT);
	assert_int_equal(vless_packet_prefix(prefix, 8190), 0);
	assert_int_equal(prefix[0] << 8 | prefix[1], 8190);
	assert_int_equal(vless_packet_prefix(prefix, 65536), -ERR_LIMIT);
	assert_int_equal(vless_packet_encode(&w, span_of(b, 65536)), -ERR_LIMIT);
}

static void ids_ignore_the_route(void **state)
{
	struct uuid a, b, key;

	(void)state;
	assert_int_equal(uuid_parse(&a, span_str("66ad4540-b58c-4ad2-9926-ea63445a9b57")), 0);
	b = a;
	b.b[6] = 0x01;
	b.b[7] = 0xbb;
	assert_true(vless_id_match(&a, &b));
	assert_int_equal(vless_route(&b), 443);
	assert_int_equal(vless_route(&a), 0x4ad2);
	key = vless_id_key(&b);
	a.b[6] = a.b[7] = 0;
	assert_memory_equal(key.b, a.b, UUID_LEN);
	for (size_t i = 0; i < UUID_LEN; i++) {
		b = a;
		b.b[i] ^= 0x80;
		assert_int_equal(vless_id_match(&a, &b), i == 6 || i == 7);
	}
}

static void fallback_path(const char *first, const char *want)
{
	struct span in = exact(span_str(first), strlen(first));
	struct span got = vless_fallback_path(in);

	assert_true(span_eq(got, span_str(want)));
	free_hex(in);
}

static void fallback_paths(void **state)
{
	(void)state;
	fallback_path("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "/ws");
	fallback_path("GET / HTTP/1.1\r\n\r\n", "/");
	fallback_path("GET /v2?x=1 HTTP/1.1\r\n\r\n", "/v2");
	fallback_path("POST /a/b HTTP/1.1\r\n\r\n", "/a/b");
	fallback_path("DELETE /x HTTP/1.1\r\n\r\n", "/x");	/* slash at 7 */
	fallback_path("OPTIONS /x HTTP/1.1\r\n\r\n", "/x");	/* slash at 8, the last looked at */
	fallback_path("PROPFIND /x HTTP/1.1\r\n\r\n", "");	/* slash at 9 */
	fallback_path("GET /ws HTTP/1.1", "");			/* 16 bytes: too short */
	fallback_path("GET /ws HTTP/1.1\r\n", "/ws");		/* exactly 18 */
	fallback_path("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "");	/* HTTP/2 preface */
	fallback_path("GET /path\r\nHost: something", "");	/* HTTP/0.9: the line ends first */
	fallback_path("GET http://host/path HTTP/1.1\r\n", ""); /* slash not behind a blank */
	/* the end at offset 63 is seen, at 64 it is not */
	fallback_path("GET /345678901234567890123456789012345678901234567890123456789012 HTTP", "");
	fallback_path("GET /34567890123456789012345678901234567890123456789012345678901 HTTP", "");
	fallback_path("GET /3456789012345678901234567890123456789012345678901234567890 HTTP",
		      "/3456789012345678901234567890123456789012345678901234567890");
	fallback_path("", "");
}

/* Field 1000 bits, 1001 refusal, 1002 whose flow it is; cut short or too long, it is nobody's. */
static void our_own_fields(void **state)
{
	static const char *const wire[] = {"c03e1f d23e06 c6120214 ffff",
					   "c03e1f d23e12 fd000000000000000000000000000001 0016"};
	static const char *const who[] = {"198.18.2.20:65535", "[fd00::1]:22"};
	uint8_t b[VLESS_CAP_ADDONS_MAX];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct span in = hex(wire[i]);
		struct vless_cap c = vless_cap_decode(in);
		struct wr w = wr_of(b, sizeof(b));
		char text[64];

		assert_int_equal(c.bits, VLESS_CAP_ALL);
		assert_string_equal(ipport_text(&c.source, text, sizeof(text)), who[i]);
		vless_cap_encode(&w, &c);
		assert_bytes(w, wire[i]);
		for (size_t n = 0; n < in.n; n++) {
			struct span part = exact(in, n);

			assert_int_equal(vless_cap_decode(part).source.ip.family, 0);
			free_hex(part);
		}
		free_hex(in);
	}
	struct span odd = hex("d23e07 c6120214 ffff00");

	assert_int_equal(vless_cap_decode(odd).source.ip.family, 0);
	free_hex(odd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(refusals_name_their_fault),
		cmocka_unit_test(id_before_the_rest),
		cmocka_unit_test(addons_take_what_they_know),
		cmocka_unit_test(unencodable_requests),
		cmocka_unit_test(responses),
		cmocka_unit_test(packets),
		cmocka_unit_test(ids_ignore_the_route),
		cmocka_unit_test(fallback_paths),
		cmocka_unit_test(our_own_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
