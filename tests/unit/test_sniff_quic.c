/* Recognising QUIC: the RFCs' packets, hellos over many packets, damage, what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/sniff.h"
#include "hello.h"
#include "hex.h"
#include "quic_build.h"

#define RFC_FRAME                                                                                  \
	"060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868"                         \
	"04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578"                         \
	"616d706c652e636f6dff01000100000a00080006001d00170018001000070005"                         \
	"04616c706e000500050100000000003300260024001d00209370b2c9caa47fba"                         \
	"baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400"                         \
	"0d0010000e0403050306030203080408050806002d00020101001c0002400100"                         \
	"3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000"                         \
	"75300901100f088394c8f03e51570806048000ffff"

enum { ROOM = 4096 };

static const uint8_t dcid[8] = {0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08};

static struct quic_build plain_build(int version)
{
	return (struct quic_build){.version = version, .dcid = span_of(dcid, 8), .number_len = 1};
}

/* RFC 9001 A.2 and RFC 9369 A.2: 1200 bytes each, of which start and tag stand here. */
static void packets_of_the_rfcs(void **state)
{
	static const struct {
		int version;
		const char *start, *end;
	} v[] = {
		{1, "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11",
		 "e221af44860018ab0856972e194cd934"},
		{2, "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485",
		 "a18b2faa745b6fe189cf772a9f84cbfc"},
	};
	uint8_t frames[1162] = {0}, out[ROOM];

	(void)state;
	hex_read(frames, sizeof(frames), RFC_FRAME);
	for (size_t i = 0; i < 2; i++) {
		struct quic_build q = plain_build(v[i].version);
		struct wr w = wr_of(out, sizeof(out));
		struct sniff_state st = {0};
		struct sniff_result r;

		q.number = 2;
		q.number_len = 4;
		quic_seal(&w, &q, span_of(frames, sizeof(frames)));
		assert_int_equal(w.n, 1200);
		assert_hex(out, v[i].start);
		assert_hex(out + w.n - 16, v[i].end);
		assert_int_equal(sniff_datagram(&st, &r, span_of(out, w.n)), SNIFF_FOUND);
		assert_int_equal(r.proto, SNIFF_QUIC);
		assert_string_equal(r.domain, "example.com");
		for (size_t n = 0; n < w.n; n++) {
			struct span cut = exact(span_of(out, w.n), n);

			memset(&st, 0, sizeof(st));
			assert_int_equal(sniff_datagram(&st, &r, cut), SNIFF_NONE);
			assert_int_equal(r.proto, SNIFF_UNKNOWN);
			free_hex(cut);
		}
		for (size_t at = 0; at < w.n; at += 7) {
			out[at] ^= 0x40;
			memset(&st, 0, sizeof(st));
			assert_int_equal(sniff_datagram(&st, &r, span_of(out, w.n)), SNIFF_NONE);
			out[at] ^= 0x40;
		}
	}
}

static void packet_numbers_and_tokens(void **state)
{
	static const uint8_t token[100] = {1}, scid[20] = {2};
	static const int versions[] = {1, 2, 29};
	uint8_t frames[1162] = {0}, out[ROOM];

	(void)state;
	hex_read(frames, sizeof(frames), RFC_FRAME);
	for (size_t i = 0; i < 3; i++) {
		for (unsigned len = 1; len <= 4; len++) {
			struct quic_build q = plain_build(versions[i]);
			struct wr w = wr_of(out, sizeof(out));
			struct sniff_state st = {0};
			struct sniff_result r;

			q.number_len = len;
			q.number = 0x01020304 >> 8 * (4 - len);
			q.token = span_of(token, len * 25);
			q.scid = span_of(scid, len * 5);
			quic_seal(&w, &q, span_of(frames, sizeof(frames)));
			assert_int_equal(sniff_datagram(&st, &r, span_of(out, w.n)), SNIFF_FOUND);
			assert_string_equal(r.domain, "example.com");
		}
	}
}

/* Pieces of a hello of 3000 bytes, in an order given by @order, @per_packet to each packet. */
static void in_pieces(const unsigned *order, unsigned pieces, unsigned per_packet,
		      bool one_datagram)
{
	static uint8_t hello[3200], out[30000];
	struct wr h = wr_of(hello, sizeof(hello)), w = wr_of(out, sizeof(out));
	struct quic_build q = plain_build(1);
	struct sniff_state st = {0};
	struct sniff_result r;
	enum sniff_verdict v = SNIFF_MORE;
	size_t each;

	hello_build(&h, "pieces.example", 2900);
	each = h.n / pieces + 1;
	for (unsigned i = 0; i < pieces; i += per_packet) {
		uint8_t frames[1800] = {0};
		struct wr f = wr_of(frames, sizeof(frames));

		for (unsigned k = i; k < i + per_packet && k < pieces; k++) {
			size_t at = order[k] * each;

			wr_u8(&f, 1); /* PING, PADDING and an ACK between them */
			wr_u16(&f, 0);
			wr_bytes(&f, "\3\5\0\1\0\2\3\1\1\1", 10);
			quic_crypto(&f, at, span_of(hello + at, h.n - at < each ? h.n - at : each));
		}
		q.number = i;
		if (!one_datagram) {
			assert_int_equal(v, SNIFF_MORE);
			w.n = 0;
		}
		quic_seal(&w, &q, span_of(frames, f.n < 100 ? 100 : f.n));
		if (!one_datagram || i + per_packet >= pieces)
			v = sniff_datagram(&st, &r, span_of(out, w.n));
		if (v == SNIFF_MORE && !one_datagram)
			assert_int_equal(r.proto, SNIFF_QUIC);
	}
	assert_int_equal(v, SNIFF_FOUND);
	assert_string_equal(r.domain, "pieces.example");
}

static void hellos_over_packets(void **state)
{
	static const unsigned forward[] = {0, 1, 2, 3, 4, 5}, backward[] = {5, 4, 3, 2, 1, 0},
			      mixed[] = {4, 0, 5, 2, 1, 3};

	(void)state;
	for (unsigned per = 1; per <= 3; per++) {
		for (int one = 0; one < 2; one++) {
			in_pieces(forward, 6, per, one);
			in_pieces(backward, 6, per, one);
			in_pieces(mixed, 6, per, one);
		}
	}
}

/* A client changes the connection id once the server has answered; its keys stay. */
static void a_new_connection_id(void **state)
{
	static uint8_t hello[600], out[ROOM];
	struct wr h = wr_of(hello, sizeof(hello)), w = wr_of(out, sizeof(out)), f;
	struct quic_build q = plain_build(1);
	struct sniff_state st = {0};
	struct sniff_result r;
	uint8_t frames[400] = {0};

	(void)state;
	hello_build(&h, "cid.example", 300);
	f = wr_of(frames, sizeof(frames));
	quic_crypto(&f, 0, span_of(hello, 200));
	quic_seal(&w, &q, span_of(frames, sizeof(frames)));
	assert_int_equal(sniff_datagram(&st, &r, span_of(out, w.n)), SNIFF_MORE);
	/* another client's packet between them is passed over */
	w = wr_of(out, sizeof(out));
	q.dcid = span_of("another one", 11);
	quic_seal(&w, &q, span_of(frames, sizeof(frames)));
	assert_int_equal(sniff_datagram(&st, &r, span_of(out, w.n)), SNIFF_MORE);
	w = wr_of(out, sizeof(out));
	q.dcid = span_of(dcid, 8);
	f = wr_of(frames, sizeof(frames));
	memset(frames, 0, sizeof(frames));
	quic_crypto(&f, 200, span_of(hello + 200, h.n - 200));
	quic_seal(&w, &q, span_of(frames, sizeof(frames)));
	assert_int_equal(sniff_datagram(&st, &r, span_of(out, w.n)), SNIFF_FOUND);
	assert_string_equal(r.domain, "cid.example");
}

/* After enough authentic packets, or one that is broken inside, it is QUIC without a name. */
static void no_name_to_be_had(void **state)
{
	static const char *const v[] = {
		"08000000000000000000",	    /* a STREAM frame may not be here */
		"060004020000000000000000", /* a ServerHello */
		"0680002000040102030400",   /* beyond what we keep */
		"06000800",
		"1c0000ff",
		"02",
	};
	uint8_t frames[200] = {0}, out[ROOM];
	struct quic_build q = plain_build(1);
	struct sniff_state st = {0};
	struct sniff_result r;
	struct wr w;

	(void)state;
	for (int i = 1; i <= SNIFF_QUIC_DATAGRAMS; i++) {
		w = wr_of(out, sizeof(out));
		quic_seal(&w, &q, span_of(frames, 100)); /* nothing but padding */
		assert_int_equal(sniff_datagram(&st, &r, span_of(out, w.n)),
				 i < SNIFF_QUIC_DATAGRAMS ? SNIFF_MORE : SNIFF_FOUND);
		assert_int_equal(r.proto, SNIFF_QUIC);
		assert_string_equal(r.domain, "");
	}
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		size_t n = hex_read(frames, sizeof(frames), v[i]);

		memset(&st, 0, sizeof(st));
		if (n < 4) /* at the very end, so that it is cut off there */
			n = 4, memmove(frames + 3, frames, 1), memset(frames, 0, 3);
		w = wr_of(out, sizeof(out));
		quic_seal(&w, &q, span_of(frames, n));
		assert_int_equal(sniff_datagram(&st, &r, span_of(out, w.n)), SNIFF_FOUND);
		assert_int_equal(r.proto, SNIFF_QUIC);
		assert_string_equal(r.domain, "");
	}
}

static void other_packets(void **state)
{
	uint8_t frames[1162] = {0}, out[ROOM];
	struct quic_build q = plain_build(1);
	struct sniff_state st = {0};
	struct sniff_result r;
	struct wr w = wr_of(out, sizeof(out));

	(void)state;
	hex_read(frames, sizeof(frames), RFC_FRAME);
	/* a 0-RTT packet in front of the Initial is passed over */
	wr_bytes(&w, "\xd0\0\0\0\1\1\7\0\x05zzzzz", 14);
	quic_seal(&w, &q, span_of(frames, sizeof(frames)));
	assert_int_equal(sniff_datagram(&st, &r, span_of(out, w.n)), SNIFF_FOUND);
	/* versions, retry, short headers, DNS: none, and none it stays */
	static const char *const v[] = {"c0000000020800112233445566770000",
					"f00000000101aa00",
					"40112233445566778899aabb",
					"",
					"c0",
					"00000001",
					"12340100000100000000000007657861"};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct span in = hex(v[i]);

		memset(&st, 0, sizeof(st));
		assert_int_equal(sniff_datagram(&st, &r, in), SNIFF_NONE);
		assert_int_equal(sniff_datagram(&st, &r, span_of(out, w.n)), SNIFF_NONE);
		free_hex(in);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_of_the_rfcs), cmocka_unit_test(packet_numbers_and_tokens),
		cmocka_unit_test(hellos_over_packets), cmocka_unit_test(a_new_connection_id),
		cmocka_unit_test(no_name_to_be_had),   cmocka_unit_test(other_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
