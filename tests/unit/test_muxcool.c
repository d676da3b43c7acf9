/*
 * Mux.Cool frames. Vectors: v2ray 4.34's frames as seen on the wire, and metadata
 * as Xray's encoder writes it for XUDP and for its reverse proxy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/muxcool.h"

struct vector {
	const char *wire;
	enum muxcool_kind kind;
	uint16_t id;
	uint8_t status, option;
	uint16_t data_len;
	uint8_t network;
	const char *target, *source, *local;
	const char *global_id;
	size_t rest;
};

#define NEW MUXCOOL_NEW
#define KEEP MUXCOOL_KEEP
#define END MUXCOOL_END
#define KEEPALIVE MUXCOOL_KEEPALIVE
#define PLAIN MUXCOOL_PLAIN
#define REVERSE MUXCOOL_REVERSE
#define TCP MUXCOOL_TCP
#define UDP MUXCOOL_UDP

static const struct vector vectors[] = {
	{"000c 0001 01 01 01 526b 01 7f000001 0005", PLAIN, 1, NEW, 1, 5, TCP, "127.0.0.1:21099",
	 "-", "-", NULL, 0},
	{"0012 0002 01 01 01 526b 02 09 6c6f63616c686f7374 0005", PLAIN, 2, NEW, 1, 5, TCP,
	 "localhost:21099", "-", "-", NULL, 0},
	{"000c 0003 01 00 01 526b 01 7f000001", PLAIN, 3, NEW, 0, 0, TCP, "127.0.0.1:21099", "-",
	 "-", NULL, 0},
	{"0004 0001 02 01 0007", PLAIN, 1, KEEP, 1, 7, 0, "-", "-", "-", NULL, 0},
	{"0004 0001 02 01 0000", PLAIN, 1, KEEP, 1, 0, 0, "-", "-", "-", NULL, 0},
	{"0004 0001 02 01 ffff", PLAIN, 1, KEEP, 1, 65535, 0, "-", "-", "-", NULL, 0},
	{"0004 0001 02 00", PLAIN, 1, KEEP, 0, 0, 0, "-", "-", "-", NULL, 0},
	{"0004 0009 03 00", PLAIN, 9, END, 0, 0, 0, "-", "-", "-", NULL, 0},
	{"0004 0005 03 02", PLAIN, 5, END, 2, 0, 0, "-", "-", "-", NULL, 0},
	{"0004 0005 03 03 0001", PLAIN, 5, END, 3, 1, 0, "-", "-", "-", NULL, 0},
	{"0004 0000 04 00", PLAIN, 0, KEEPALIVE, 0, 0, 0, "-", "-", "-", NULL, 0},
	{"0004 0000 04 01 0003", PLAIN, 0, KEEPALIVE, 1, 3, 0, "-", "-", "-", NULL, 0},
	/* XUDP: Global ID in New, an address in Keep */
	{"0014 0000 01 01 02 0035 01 08080808 0102030405060708 0003", PLAIN, 0, NEW, 1, 3, UDP,
	 "8.8.8.8:53", "-", "-", "0102030405060708", 0},
	{"000c 0000 02 01 02 0035 01 08080404 0003", PLAIN, 0, KEEP, 1, 3, UDP, "8.8.4.4:53", "-",
	 "-", NULL, 0},
	/* no Global ID: too few bytes, no data, TCP, or a reverse carrier's padding */
	{"0013 0000 01 01 02 0035 01 08080808 01020304050607 0003", PLAIN, 0, NEW, 1, 3, UDP,
	 "8.8.8.8:53", "-", "-", NULL, 7},
	{"0014 0000 01 00 02 0035 01 08080808 0102030405060708", PLAIN, 0, NEW, 0, 0, UDP,
	 "8.8.8.8:53", "-", "-", NULL, 8},
	{"0014 0007 01 01 01 0035 01 08080808 0102030405060708 0003", PLAIN, 7, NEW, 1, 3, TCP,
	 "8.8.8.8:53", "-", "-", NULL, 8},
	{"0014 0007 01 01 02 0035 01 08080808 0002030405060708 0003", REVERSE, 7, NEW, 1, 3, UDP,
	 "8.8.8.8:53", "-", "-", NULL, 8},
	/* VLESS reverse: source and local address; both, one, none */
	{"0024 0002 01 01 01 01bb 02 0b 6578616d706c652e636f6d 01 c822 01 cb007107"
	 "01 01bb 01 c6336401 0003",
	 REVERSE, 2, NEW, 1, 3, TCP, "example.com:443", "203.0.113.7:51234", "198.51.100.1:443",
	 NULL, 0},
	{"0034 0003 01 00 01 0016 01 0a000005 01 c822 03 20010db8000000000000000000000007"
	 "01 01bb 03 20010db8000000000000000000000001",
	 REVERSE, 3, NEW, 0, 0, TCP, "10.0.0.5:22", "[2001:db8::7]:51234", "[2001:db8::1]:443",
	 NULL, 0},
	{"0014 0003 01 00 02 0016 01 0a000005 01 c822 01 0a000006", REVERSE, 3, NEW, 0, 0, UDP,
	 "10.0.0.5:22", "10.0.0.6:51234", "-", NULL, 0},
	{"0016 0003 01 00 02 0016 01 0a000005 01 c822 01 0a000006 0077", REVERSE, 3, NEW, 0, 0, UDP,
	 "10.0.0.5:22", "10.0.0.6:51234", "-", NULL, 2},
	{"0010 0001 01 01 02 0000 02 07 72657665727365 0005", REVERSE, 1, NEW, 1, 5, UDP,
	 "reverse:0", "-", "-", NULL, 0},
	/* a plain peer reads over them, and Keep ignores what is not an address */
	{"0014 0003 01 00 01 0016 01 0a000005 01 c822 01 0a000006", PLAIN, 3, NEW, 0, 0, TCP,
	 "10.0.0.5:22", "-", "-", NULL, 8},
	{"0008 0003 02 01 47 010203 0001", PLAIN, 3, KEEP, 1, 1, 0, "-", "-", "-", NULL, 4},
	{"0008 0003 03 00 02 010203", PLAIN, 3, END, 0, 0, 0, "-", "-", "-", NULL, 4},
};

static void truncations(const struct vector *v, struct span in)
{
	struct muxcool_frame f, before;

	memset(&before, 0x5a, sizeof(before));
	for (size_t n = 0; n < in.n; n++) {
		struct span part = exact(in, n);

		memset(&f, 0x5a, sizeof(f));
		assert_int_equal(muxcool_frame_decode(&f, part, v->kind), 0);
		assert_memory_equal(&f, &before, sizeof(f));
		free_hex(part);
	}
}

static void check_fields(const struct vector *v, const struct muxcool_frame *f)
{
	char text[ADDR_TEXT_MAX];

	assert_int_equal(f->id, v->id);
	assert_int_equal(f->status, v->status);
	assert_int_equal(f->option, v->option);
	assert_int_equal(f->network, v->network);
	assert_string_equal(addr_text(&f->target, text, sizeof(text)), v->target);
	assert_string_equal(addr_text(&f->source, text, sizeof(text)), v->source);
	assert_string_equal(addr_text(&f->local, text, sizeof(text)), v->local);
	assert_int_equal(f->has_global_id, v->global_id != NULL);
	if (v->global_id) {
		struct span id = hex(v->global_id);

		assert_memory_equal(f->global_id, id.p, 8);
		free_hex(id);
	}
	assert_int_equal(f->rest.n, v->rest);
}

static void frames(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		struct span in = hex(v->wire);
		struct muxcool_frame f;
		uint8_t b[MUXCOOL_HEAD_MAX];
		struct wr w = wr_of(b, sizeof(b));
		size_t tail = v->option & MUXCOOL_DATA ? 2 : 0;

		assert_int_equal(muxcool_meta_decode(&f, in, v->kind), in.n - tail);
		assert_int_equal(f.data_len, 0);
		check_fields(v, &f);
		assert_int_equal(muxcool_frame_decode(&f, in, v->kind), in.n);
		assert_int_equal(f.data_len, v->data_len);
		check_fields(v, &f);
		assert_int_equal(muxcool_frame_encode(&w, &f, v->kind), 0);
		assert_bytes(w, v->wire);
		for (size_t n = 0; n < in.n; n++) {
			w = wr_of(b, n);
			assert_int_equal(muxcool_frame_encode(&w, &f, v->kind), -ERR_LIMIT);
		}
		truncations(v, in);
		free_hex(in);
	}
}

static ssize_t decode(const char *wire, enum muxcool_kind kind)
{
	struct span in = hex(wire);
	struct muxcool_frame f;
	ssize_t n = muxcool_frame_decode(&f, in, kind);

	free_hex(in);
	return n;
}

static void refusals(void **state)
{
	static const char *const bad[] = {
		"0003",		   /* L too short */
		"0201",		   /* L too long */
		"0004 0001 00 00", /* unknown status */
		"0004 0001 05 00",
		"0004 0001 01 00", /* New without target */
		"0007 0001 01 00 01 0050",
		"000c 0001 01 00 00 526b 01 7f000001", /* unknown network */
		"000c 0001 01 00 03 526b 01 7f000001",
		"000c 0001 01 00 01 526b 04 7f000001", /* unknown type */
		"000b 0001 01 00 01 526b 01 7f0000",   /* address is cut by L */
		"000a 0001 01 00 01 526b 02 09 6c",
		"0009 0001 01 00 01 526b 02 00", /* empty name */
		"0005 0001 02 01 02",		 /* Keep with half an address */
		"000b 0001 02 01 02 526b 01 7f0000",
		"000c 0001 02 01 02 526b 05 7f000001",
	};
	static const char *const bad_reverse[] = {
		"0014 0000 01 01 02 0035 01 08080808 0102030405060708", /* a Global ID */
		"000d 0003 01 00 01 0016 01 0a000005 01",
		"000d 0003 01 00 01 0016 01 0a000005 03",
		"0015 0003 01 00 01 0016 01 0a000005 01 c822 01 0a000006 03",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(decode(bad[i], PLAIN), -ERR_MALFORMED);
	for (size_t i = 0; i < sizeof(bad_reverse) / sizeof(bad_reverse[0]); i++)
		assert_int_equal(decode(bad_reverse[i], REVERSE), -ERR_MALFORMED);
}

static void longest_metadata(void **state)
{
	uint8_t b[2 + MUXCOOL_META_MAX + 2] = {0x02, 0x00, 0, 7, NEW, 0, TCP, 0, 80, 1, 1, 2, 3, 4};
	struct muxcool_frame f;
	struct wr w;

	(void)state;
	assert_int_equal(muxcool_frame_decode(&f, span_of(b, sizeof(b)), PLAIN), 514);
	assert_int_equal(f.rest.n, 500);
	w = wr_of(b, sizeof(b));
	assert_int_equal(muxcool_frame_encode(&w, &f, PLAIN), 0);
	assert_int_equal(w.n, 514);
	f.target = (struct addr){.kind = ADDR_NAME, .port = 1, .name = "longer.than.an.ip"};
	w = wr_of(b, sizeof(b));
	assert_int_equal(muxcool_frame_encode(&w, &f, PLAIN), -ERR_LIMIT);
}

/* Three names of 255 bytes fit no metadata, whatever room there is. */
static void names_beyond_the_limit(void **state)
{
	struct muxcool_frame f = {.status = NEW, .network = TCP, .source_network = TCP};
	uint8_t b[2048];
	struct wr w = wr_of(b, sizeof(b));

	(void)state;
	f.target.kind = ADDR_NAME;
	memset(f.target.name, 'a', ADDR_NAME_MAX);
	f.source = f.target;
	assert_int_equal(muxcool_frame_encode(&w, &f, REVERSE), -ERR_LIMIT);
}

static void what_cannot_be_read_back_is_not_written(void **state)
{
	static const struct muxcool_frame bad[] = {
		{.status = 0},
		{.status = 5},
		{.status = NEW}, /* no network */
		{.status = NEW, .network = 3},
		{.status = NEW, .network = TCP}, /* no target */
		{.status = KEEP, .network = TCP},
		{.status = END, .network = UDP},
		{.status = KEEP, .data_len = 1}, /* without the option */
		{.status = KEEP, .option = 1, .has_global_id = true},
		{.status = KEEP, .source_network = TCP},
	};
	uint8_t b[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct wr w = wr_of(b, sizeof(b));

		assert_int_equal(muxcool_frame_encode(&w, &bad[i], PLAIN), -ERR_MALFORMED);
	}
	struct span in = hex("0024 0002 01 00 01 01bb 02 0b 6578616d706c652e636f6d"
			     "01 c822 01 cb007107 01 01bb 01 c6336401");
	struct muxcool_frame f;
	struct wr w = wr_of(b, sizeof(b));

	assert_int_equal(muxcool_frame_decode(&f, in, REVERSE), in.n);
	assert_int_equal(muxcool_frame_encode(&w, &f, PLAIN), -ERR_MALFORMED);
	f.source_network = 0;
	assert_int_equal(muxcool_frame_encode(&w, &f, REVERSE), -ERR_MALFORMED);
	free_hex(in);
}

static void carriers_and_xudp(void **state)
{
	struct addr a = {0};
	struct span in;

	(void)state;
	assert_int_equal(addr_set_host(&a, span_str("v1.mux.cool"), 9527), 0);
	assert_true(muxcool_is_carrier(&a));
	a.port = 0;
	assert_true(muxcool_is_carrier(&a));
	assert_int_equal(addr_set_host(&a, span_str("V1.mux.cool"), 9527), 0);
	assert_false(muxcool_is_carrier(&a));
	a.kind = ADDR_NONE;
	assert_false(muxcool_is_carrier(&a));

	in = hex("0014 0000 01 01 02");
	assert_true(muxcool_is_xudp(in));
	assert_false(muxcool_is_xudp(span_of(in.p, 6)));
	free_hex(in);
	in = hex("0014 0001 01 01 02");
	assert_false(muxcool_is_xudp(in));
	free_hex(in);
	in = hex("0014 0000 01 01 01");
	assert_false(muxcool_is_xudp(in));
	free_hex(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames),
		cmocka_unit_test(refusals),
		cmocka_unit_test(longest_metadata),
		cmocka_unit_test(names_beyond_the_limit),
		cmocka_unit_test(what_cannot_be_read_back_is_not_written),
		cmocka_unit_test(carriers_and_xudp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
