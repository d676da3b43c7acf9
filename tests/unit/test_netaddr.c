/* Addresses on the wire: both orders, all types, every truncation, every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec.h"
#include "proto/netaddr.h"

typedef int (*read_fn)(struct rd *r, struct addr *out);
typedef int (*write_fn)(struct wr *w, const struct addr *a);

struct vector {
	read_fn read;
	write_fn write;
	const char *wire, *text;
};

static const struct vector vectors[] = {
	{netaddr_read_port_first, netaddr_write_port_first, "526b 01 7f000001", "127.0.0.1:21099"},
	{netaddr_read_port_first, netaddr_write_port_first, "526b 02 09 6c6f63616c686f7374",
	 "localhost:21099"},
	{netaddr_read_port_first, netaddr_write_port_first,
	 "01bb 03 20010db8000000000000000000000001", "[2001:db8::1]:443"},
	{netaddr_read_socks, netaddr_write_socks, "01 7f000001 526b", "127.0.0.1:21099"},
	{netaddr_read_socks, netaddr_write_socks, "03 09 6c6f63616c686f7374 526b",
	 "localhost:21099"},
	{netaddr_read_socks, netaddr_write_socks, "04 20010db8000000000000000000000001 01bb",
	 "[2001:db8::1]:443"},
};

static void vectors_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		struct span in = hex(v->wire);
		struct rd r = rd_of(in);
		uint8_t b[NETADDR_MAX];
		struct wr w = wr_of(b, sizeof(b));
		char text[ADDR_TEXT_MAX];
		struct addr a;

		assert_int_equal(v->read(&r, &a), 1);
		assert_int_equal(r.n, 0);
		assert_string_equal(addr_text(&a, text, sizeof(text)), v->text);
		assert_int_equal(netaddr_size(&a), in.n);
		assert_int_equal(v->write(&w, &a), 0);
		assert_bytes(w, v->wire);
		for (size_t n = 0; n < in.n; n++) {
			struct span part = exact(in, n);
			struct addr before, untouched;

			memset(&before, 0x5a, sizeof(before));
			memset(&untouched, 0x5a, sizeof(untouched));
			r = rd_of(part);
			assert_int_equal(v->read(&r, &untouched), 0);
			assert_true(r.bad);
			assert_memory_equal(&untouched, &before, sizeof(before));
			w = wr_of(b, n);
			assert_int_equal(v->write(&w, &a), -ERR_LIMIT);
			free_hex(part);
		}
		free_hex(in);
	}
}

static int read_hex(read_fn read, const char *wire, struct addr *out)
{
	struct span in = hex(wire);
	struct rd r = rd_of(in);
	int ret = read(&r, out);

	free_hex(in);
	return ret;
}

static void literals_and_mapped_become_ips(void **state)
{
	struct addr a;
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(read_hex(netaddr_read_port_first, "0050 02 09 3132372e302e302e31", &a), 1);
	assert_int_equal(a.kind, ADDR_IP);
	assert_string_equal(addr_text(&a, text, sizeof(text)), "127.0.0.1:80");
	assert_int_equal(read_hex(netaddr_read_port_first, "0050 02 05 5b3a3a315d", &a), 1);
	assert_string_equal(addr_text(&a, text, sizeof(text)), "[::1]:80");
	assert_int_equal(
		read_hex(netaddr_read_port_first, "0050 03 00000000000000000000ffff0a000001", &a),
		1);
	assert_string_equal(addr_text(&a, text, sizeof(text)), "10.0.0.1:80");
	assert_int_equal(
		read_hex(netaddr_read_socks, "04 00000000000000000000ffff0a000001 0050", &a), 1);
	assert_string_equal(addr_text(&a, text, sizeof(text)), "10.0.0.1:80");
}

static void refused_as_soon_as_seen(void **state)
{
	struct addr a;

	(void)state;
	assert_int_equal(read_hex(netaddr_read_port_first, "0050 00", &a), -ERR_MALFORMED);
	assert_int_equal(read_hex(netaddr_read_port_first, "0050 04", &a), -ERR_MALFORMED);
	assert_int_equal(read_hex(netaddr_read_port_first, "0050 02 00", &a), -ERR_MALFORMED);
	assert_int_equal(read_hex(netaddr_read_port_first, "0050 02 01 2f", &a), -ERR_MALFORMED);
	assert_int_equal(read_hex(netaddr_read_port_first, "0050 02 03 610062", &a),
			 -ERR_MALFORMED);
	assert_int_equal(read_hex(netaddr_read_socks, "02", &a), -ERR_MALFORMED);
	assert_int_equal(read_hex(netaddr_read_socks, "05", &a), -ERR_MALFORMED);
	assert_int_equal(read_hex(netaddr_read_socks, "03 00", &a), -ERR_MALFORMED);
	assert_int_equal(read_hex(netaddr_read_socks, "03 02 c3a4", &a), -ERR_MALFORMED);
}

static void longest_name_and_no_address(void **state)
{
	struct addr a = {.kind = ADDR_NAME, .port = 1}, b;
	struct addr none = {.kind = ADDR_NONE};
	uint8_t mem[NETADDR_MAX];
	struct wr w = wr_of(mem, sizeof(mem));
	struct rd r;

	(void)state;
	memset(a.name, 'x', ADDR_NAME_MAX);
	assert_int_equal(netaddr_size(&a), NETADDR_MAX);
	assert_int_equal(netaddr_write_port_first(&w, &a), 0);
	assert_int_equal(w.n, NETADDR_MAX);
	r = rd_of(span_of(mem, w.n));
	assert_int_equal(netaddr_read_port_first(&r, &b), 1);
	assert_true(addr_eq(&a, &b));
	w = wr_of(mem, sizeof(mem));
	assert_int_equal(netaddr_write_socks(&w, &none), -ERR_MALFORMED);
	assert_true(w.bad);
	assert_int_equal(w.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_both_ways),
		cmocka_unit_test(literals_and_mapped_become_ips),
		cmocka_unit_test(refused_as_soon_as_seen),
		cmocka_unit_test(longest_name_and_no_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
