/* Packets that come before anybody listens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "net/dgram.h"
#include "turn.h"

static void nothing_send(struct dgram *d, const struct addr *to, struct buf *pkt)
{
	(void)d;
	(void)to;
	buf_free(pkt);
}

static void nothing_close(struct dgram *d, int err)
{
	(void)d;
	(void)err;
}

static const struct dgram_ops ops = {.name = "test", .send = nothing_send, .close = nothing_close};

struct listener_of {
	struct dgram_user user;
	unsigned n;
	uint16_t last_port;
	unsigned close_at; /* closes the carrier at this packet */
	unsigned leave_at;
};

static void on_packet(struct dgram_user *u, struct dgram *d, const struct addr *from,
		      struct buf *pkt)
{
	struct listener_of *l = container_of(u, struct listener_of, user);

	assert_int_equal(pkt->data[0], from->port);
	assert_true(from->port > l->last_port);
	l->last_port = from->port;
	buf_free(pkt);
	if (++l->n == l->close_at)
		dgram_close(d, 0);
	if (l->n == l->leave_at)
		dgram_attach(d, NULL);
}

static void deliver(struct dgram *d, uint8_t number, size_t len)
{
	struct buf *b = buf_new_big(len);
	struct addr from;

	assert_int_equal(addr_set_host(&from, span_str("192.0.2.1"), number), 0);
	memset(b->data, number, len);
	b->len = (uint32_t)len;
	dgram_deliver(d, &from, b);
}

static void test_first_packets_wait_in_order(void **state)
{
	struct loop *l = loop_new(0);
	struct listener_of u = {.user = {.on_packet = on_packet}};
	struct dgram d;

	(void)state;
	dgram_init(&d, &ops, l);
	deliver(&d, 1, 10);
	deliver(&d, 2, 10);
	dgram_attach(&d, &u.user);
	assert_int_equal(u.n, 0); /* never from inside */
	deliver(&d, 3, 10);
	turn_idle(l);
	assert_int_equal(u.n, 3);
	deliver(&d, 4, 10);
	assert_int_equal(u.n, 4);
	assert_null(d.wait);
	dgram_close(&d, 0);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

static void test_bounds(void **state)
{
	struct loop *l = loop_new(0);
	struct listener_of u = {.user = {.on_packet = on_packet}};
	struct dgram d;

	(void)state;
	dgram_init(&d, &ops, l);
	for (uint8_t i = 1; i < 100; i++)
		deliver(&d, i, 1);
	dgram_attach(&d, &u.user);
	turn_idle(l);
	assert_int_equal(u.n, DGRAM_WAIT_MAX);
	dgram_attach(&d, NULL);
	u.n = 0;
	deliver(&d, 100, 20000);
	deliver(&d, 101, 20000);
	dgram_attach(&d, &u.user);
	turn_idle(l);
	assert_int_equal(u.n, 1);
	deliver(&d, 102, 1);
	dgram_attach(&d, NULL);
	deliver(&d, 103, 1);
	dgram_close(&d, 0);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

static void test_close_and_leave_in_the_middle(void **state)
{
	struct loop *l = loop_new(0);
	struct listener_of u = {.user = {.on_packet = on_packet}, .leave_at = 2};
	struct dgram d;

	(void)state;
	dgram_init(&d, &ops, l);
	for (uint8_t i = 1; i <= 5; i++)
		deliver(&d, i, 1);
	dgram_attach(&d, &u.user);
	turn_idle(l);
	assert_int_equal(u.n, 2);
	u.close_at = 4;
	dgram_attach(&d, &u.user);
	turn_idle(l);
	assert_int_equal(u.n, 4);
	assert_null(d.wait);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_packets_wait_in_order),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_close_and_leave_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
