/* base: spans, addresses, prefixes, queues of bufs, uuids, the log's rate gate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/uuid.h"

static void reader_stops_at_the_end(void **state)
{
	const uint8_t b[] = {1, 2, 3, 4, 5};
	struct rd r = rd_of(span_of(b, sizeof(b)));

	(void)state;
	assert_int_equal(rd_u16(&r), 0x0102);
	assert_int_equal(rd_u24(&r), 0x030405);
	assert_false(r.bad);
	assert_int_equal(rd_u8(&r), 0);
	assert_true(r.bad);
}

static void writer_never_overflows(void **state)
{
	uint8_t b[4] = {0};
	struct wr w = wr_of(b, 3);

	(void)state;
	wr_u16(&w, 0x1234);
	wr_u16(&w, 0x5678);
	assert_true(w.bad);
	assert_int_equal(w.n, 2);
	assert_int_equal(b[2], 0);
}

static void hosts(void **state)
{
	struct addr a;
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(addr_parse(&a, span_str("10.1.2.3:80")), 0);
	assert_string_equal(addr_text(&a, text, sizeof(text)), "10.1.2.3:80");
	assert_int_equal(addr_parse(&a, span_str("[2001:db8::1]:443")), 0);
	assert_string_equal(addr_text(&a, text, sizeof(text)), "[2001:db8::1]:443");
	assert_int_equal(addr_parse(&a, span_str("[::ffff:1.2.3.4]:1")), 0);
	assert_string_equal(addr_text(&a, text, sizeof(text)), "1.2.3.4:1");
	assert_int_equal(addr_parse(&a, span_str("nas.home:65535")), 0);
	assert_int_equal(a.kind, ADDR_NAME);
	assert_int_equal(addr_parse(&a, span_str("nas.home:65536")), -ERR_MALFORMED);
	assert_int_equal(addr_parse(&a, span_str(":80")), -ERR_MALFORMED);
	assert_int_equal(addr_parse(&a, span_str("::1:80")), -ERR_MALFORMED);
	assert_int_equal(addr_parse(&a, span_str("a b:80")), -ERR_MALFORMED);
	assert_int_equal(addr_set_host(&a, span_str(""), 1), -ERR_MALFORMED);
}

static void prefixes(void **state)
{
	struct prefix p;
	struct ip ip;

	(void)state;
	assert_int_equal(prefix_parse(&p, span_str("10.1.2.3/12")), 0);
	assert_int_equal(p.ip.b[1], 0);
	assert_int_equal(ip_parse(&ip, span_str("10.15.255.255")), 0);
	assert_true(prefix_has(&p, &ip));
	assert_int_equal(ip_parse(&ip, span_str("10.16.0.0")), 0);
	assert_false(prefix_has(&p, &ip));
	assert_int_equal(prefix_parse(&p, span_str("1.2.3.4/33")), -ERR_MALFORMED);
	assert_int_equal(prefix_parse(&p, span_str("::/0")), 0);
	assert_int_equal(ip_parse(&ip, span_str("fc00::7")), 0);
	assert_true(ip_is_private(&ip));
	assert_int_equal(ip_parse(&ip, span_str("8.8.8.8")), 0);
	assert_false(ip_is_private(&ip));
}

static void queue_moves_and_slices(void **state)
{
	struct bufq a, b;
	char out[16] = {0};

	(void)state;
	bufq_init(&a);
	bufq_init(&b);
	bufq_push(&a, buf_copy(span_str("hello ")));
	bufq_push(&a, buf_copy(span_str("world")));
	assert_int_equal(bufq_move(&b, &a, 8), 8);
	assert_int_equal(a.len, 3);
	bufq_peek(&b, out, 8);
	assert_string_equal(out, "hello wo");
	struct span s = bufq_pullup(&b, 8);

	assert_int_equal(s.n, 8);
	assert_memory_equal(s.p, "hello wo", 8);
	bufq_drop(&b, 6);
	assert_int_equal(bufq_append(&b, span_str("w")), 0);
	memset(out, 0, sizeof(out));
	bufq_peek(&b, out, sizeof(out));
	assert_string_equal(out, "wow");
	bufq_clear(&a);
	bufq_clear(&b);
	assert_int_equal(buf_live(), 0);
}

static void headroom_only_when_exclusive(void **state)
{
	struct buf *b = buf_copy(span_str("payload"));
	struct buf *s = buf_slice(b, 3, 2);

	(void)state;
	assert_int_equal(s->len, 2);
	assert_null(buf_push(b, 4));
	assert_int_equal(buf_tailroom(b), 0);
	buf_free(s);
	assert_non_null(buf_push(b, 4));
	assert_int_equal(b->len, 11);
	buf_free(b);
	assert_int_equal(buf_live(), 0);
}

static void append_crosses_sizes(void **state)
{
	struct bufq q;
	uint8_t big[40000];

	(void)state;
	memset(big, 7, sizeof(big));
	bufq_init(&q);
	assert_int_equal(bufq_append(&q, span_of(big, sizeof(big))), 0);
	assert_int_equal(q.len, sizeof(big));
	assert_int_equal(bufq_pullup(&q, 40000).n, 40000);
	bufq_clear(&q);
	assert_int_equal(buf_live(), 0);
}

static void uuids(void **state)
{
	struct uuid u, v;
	char text[UUID_TEXT];

	(void)state;
	assert_int_equal(uuid_parse(&u, span_str("66ad4540-b58c-4ad2-9926-ea63445a9b57")), 0);
	assert_string_equal(uuid_text(&u, text), "66ad4540-b58c-4ad2-9926-ea63445a9b57");
	assert_int_equal(uuid_parse(&v, span_str("66AD4540B58C4AD29926EA63445A9B57")), 0);
	assert_memory_equal(u.b, v.b, UUID_LEN);
	assert_int_equal(uuid_parse(&u, span_str("66ad4540-b58c-4ad2-9926-ea63445a9b5")),
			 -ERR_MALFORMED);
	assert_int_equal(uuid_parse(&u, span_str("x6ad4540-b58c-4ad2-9926-ea63445a9b57")),
			 -ERR_MALFORMED);
}

static void rate_gate(void **state)
{
	struct log_rate r = {0};
	uint32_t muted = 0;

	(void)state;
	assert_true(log_rate_pass(&r, 1000, 1, 10, &muted));
	assert_false(log_rate_pass(&r, 1001, 1, 10, &muted));
	assert_false(log_rate_pass(&r, 5000, 1, 10, &muted));
	assert_true(log_rate_pass(&r, 11000, 1, 10, &muted));
	assert_int_equal(muted, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reader_stops_at_the_end), cmocka_unit_test(writer_never_overflows),
		cmocka_unit_test(hosts), cmocka_unit_test(prefixes),
		cmocka_unit_test(queue_moves_and_slices),
		cmocka_unit_test(headroom_only_when_exclusive),
		cmocka_unit_test(append_crosses_sizes), cmocka_unit_test(uuids),
		cmocka_unit_test(rate_gate),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
