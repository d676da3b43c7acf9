/* Datagrams into the device, in trains and fragments; fragments out of it put together again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "proto/ippkt.h"
#include "vpn/tun_frag.h"
#include "vpn/udp_train.h"

enum { PACKETS_MAX = 128 };

/* A link that keeps what it is given. */
struct shelf {
	struct pktlink link;
	struct buf *packet[PACKETS_MAX];
	uint16_t gso[PACKETS_MAX];
	unsigned n;
};

static int keep(struct pktlink *l, const struct pktout *p)
{
	struct shelf *s = container_of(l, struct shelf, link);
	struct buf *b = buf_new_big(p->len);

	assert_true(s->n < PACKETS_MAX);
	for (int i = 0; i < p->n_iov; i++) {
		memcpy(b->data + b->len, p->iov[i].iov_base, p->iov[i].iov_len);
		b->len += (uint32_t)p->iov[i].iov_len;
	}
	assert_int_equal(b->len, p->len);
	s->gso[s->n] = p->gso_size;
	s->packet[s->n++] = b;
	return 0;
}

static void clear(struct shelf *s)
{
	while (s->n)
		buf_free(s->packet[--s->n]);
}

static struct ipport at(uint8_t family, uint8_t host)
{
	struct ipport a = {.port = (uint16_t)(1000 + host)};

	a.ip = family == 4 ? ip_v4((uint8_t[]){10, 0, 0, host}) :
			     ip_v6((uint8_t[]){0xfd, [15] = host});
	return a;
}

static struct buf *payload(size_t n, uint8_t seed)
{
	struct buf *b = buf_new_big(n);

	for (size_t i = 0; i < n; i++)
		b->data[i] = (uint8_t)(i * 13 + seed);
	b->len = (uint32_t)n;
	return b;
}

/* Ends the turn: what waits leaves. */
static void turn(struct loop *l)
{
	loop_stop(l);
	loop_run(l);
}

static void say(struct udp_train *t, uint8_t family, size_t n, uint8_t to)
{
	struct ipport a = at(family, 1), b = at(family, to);

	udp_train_send(t, &a, &b, 0, payload(n, 0));
}

static void trains(void **state)
{
	struct loop *l = loop_new(0);

	(void)state;
	for (int uso = 0; uso < 2; uso++) {
		struct shelf s = {.link = {.mtu = 1500, .csum = true, .uso = uso, .send = keep}};
		struct udp_train *t = udp_train_new(l, &s.link);

		for (int i = 0; i < 10; i++)
			say(t, 4, 1200, 2);
		say(t, 4, 500, 2); /* a shorter one is the last */
		say(t, 4, 1200, 2);
		say(t, 4, 1200, 3); /* somebody else */
		say(t, 4, 0, 3);
		turn(l);
		assert_int_equal(s.n, uso ? 4 : 14);
		assert_int_equal(s.gso[0], uso ? 1200 : 0);
		assert_int_equal(s.packet[0]->len, uso ? 28 + 10 * 1200 + 500 : 1228);
		clear(&s);
		udp_train_free(t);
	}
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

static void without_offloads_the_sum_is_right(void **state)
{
	struct loop *l = loop_new(0);
	struct shelf s = {.link = {.mtu = 1500, .send = keep}};
	struct udp_train *t = udp_train_new(l, &s.link);
	struct ippkt ip;

	(void)state;
	say(t, 6, 1001, 2);
	turn(l);
	assert_int_equal(s.n, 1);
	assert_int_equal(ippkt_decode(&ip, buf_span(s.packet[0])), 40 + 8 + 1001);
	assert_true(udp_sum_ok(&ip, span_of(s.packet[0]->data + ip.off, ip.total - ip.off)));
	clear(&s);
	udp_train_free(t);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

static struct buf *feed(struct tun_frag *g, const struct buf *pkt)
{
	struct ippkt ip;

	assert_true(ippkt_decode(&ip, buf_span(pkt)) > 0);
	assert_true(ip.fragment);
	return tun_frag_input(g, &ip, buf_copy(buf_span(pkt)));
}

static void check_whole(struct buf *whole, size_t n)
{
	struct buf *want = payload(n, 0);
	struct ippkt ip;

	assert_non_null(whole);
	assert_int_equal(ippkt_decode(&ip, buf_span(whole)), whole->len);
	assert_false(ip.fragment);
	assert_int_equal(ip.total - ip.off, 8 + n);
	assert_true(udp_sum_ok(&ip, span_of(whole->data + ip.off, ip.total - ip.off)));
	assert_memory_equal(whole->data + ip.off + 8, want->data, n);
	buf_free(want);
	buf_free(whole);
}

static void fragments(void **state)
{
	struct loop *l = loop_new(0);
	struct shelf s = {.link = {.mtu = 1280, .csum = true, .send = keep}};
	struct udp_train *t = udp_train_new(l, &s.link);
	struct tun_frag *g = tun_frag_new(l);

	(void)state;
	for (uint8_t family = 4; family <= 6; family += 2)
		for (size_t n = 1300; n <= 60000; n += 9783) {
			struct buf *whole = NULL;

			say(t, family, n, 2);
			turn(l);
			assert_true(s.n > 1);
			for (unsigned i = 0; i < s.n; i++) /* every order will do: odd, then even */
				assert_true(s.packet[i]->len <= 1280);
			for (unsigned i = 1; i < s.n; i += 2)
				assert_null(feed(g, s.packet[i]));
			for (unsigned i = 0; i < s.n; i += 2) {
				assert_null(whole);
				whole = feed(g, s.packet[i]);
			}
			check_whole(whole, n);
			clear(&s);
		}
	tun_frag_free(g);
	udp_train_free(t);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

static void overlaps_and_bounds(void **state)
{
	struct loop *l = loop_new(0);
	struct shelf s = {.link = {.mtu = 1280, .csum = true, .send = keep}};
	struct udp_train *t = udp_train_new(l, &s.link);
	struct tun_frag *g = tun_frag_new(l);

	(void)state;
	say(t, 4, 3000, 2);
	turn(l);
	assert_null(feed(g, s.packet[0]));
	assert_null(feed(g, s.packet[0])); /* the same again: the packet is given up */
	for (unsigned i = 1; i < s.n; i++)
		assert_null(feed(g, s.packet[i]));
	clear(&s);
	/* first fragments only: the oldest go, and memory is bounded */
	for (unsigned i = 0; i < 3 * TUN_FRAG_PACKETS; i++) {
		say(t, 4, 3000, 2);
		turn(l);
		assert_null(feed(g, s.packet[0]));
		clear(&s);
	}
	assert_true(buf_live() <= TUN_FRAG_PACKETS);
	tun_frag_free(g);
	udp_train_free(t);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trains),
		cmocka_unit_test(without_offloads_the_sum_is_right),
		cmocka_unit_test(fragments),
		cmocka_unit_test(overlaps_and_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
