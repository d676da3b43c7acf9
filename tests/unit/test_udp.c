/* net: UDP associations and listeners on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "net/dgram_udp.h"
#include "net/udp_listener.h"
#include "net/udp_sock.h"
#include "turn.h"

enum { KEEP = 700 };

/* Keeps what arrives; may answer. */
struct ear {
	struct udp_listener_user server;
	struct dgram_user client;
	struct udp_listener *l;
	struct dgram *d;
	struct ipport from, to;
	struct addr who, back; /* where a packet came back from */
	unsigned n_back;
	int back_err;
	size_t len[KEEP];
	uint8_t first[KEEP];
	unsigned n;
	bool echo, hang_up;
};

static void keep(struct ear *e, struct buf *pkt)
{
	assert_true(e->n < KEEP);
	e->len[e->n] = pkt->len;
	e->first[e->n++] = pkt->len ? pkt->data[0] : 0;
}

static void on_server_packet(struct udp_listener_user *u, struct udp_listener *l,
			     const struct ipport *from, const struct ipport *to, struct buf *pkt)
{
	struct ear *e = container_of(u, struct ear, server);

	keep(e, pkt);
	e->from = *from;
	e->to = *to;
	if (e->echo)
		udp_listener_send(l, to, from, pkt);
	else
		buf_free(pkt);
	if (e->hang_up) {
		udp_listener_close(l);
		e->l = NULL;
	}
}

static void on_client_packet(struct dgram_user *u, struct dgram *d, const struct addr *from,
			     struct buf *pkt)
{
	struct ear *e = container_of(u, struct ear, client);

	keep(e, pkt);
	e->who = *from;
	buf_free(pkt);
	if (e->hang_up) {
		dgram_close(d, 0);
		e->d = NULL;
	}
}

static void on_client_bounce(struct dgram_user *u, struct dgram *d, const struct addr *to, int err)
{
	struct ear *e = container_of(u, struct ear, client);

	(void)d;
	e->back = *to;
	e->back_err = err;
	e->n_back++;
	if (e->hang_up) {
		dgram_close(d, 0);
		e->d = NULL;
	}
}

static void on_client_end(struct dgram_user *u, struct dgram *d, int err)
{
	(void)u;
	(void)d;
	fail_msg("ended with %d", err);
}

static struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, span_str(text)), 0);
	return a;
}

static void serve(struct ear *e, struct loop *l, const char *text, const struct conf_sockopt *o)
{
	struct udp_listener_spec spec = {.opts = o};
	char why[NET_WHY_MAX] = "";
	struct addr a = at(text);

	memset(e, 0, sizeof(*e));
	e->server.on_packet = on_server_packet;
	addr_to_ipport(&a, &spec.at);
	e->l = udp_listener_new(l, &spec, &e->server, why);
	if (!e->l)
		fail_msg("%s", why);
}

static void associate(struct ear *e, struct loop *l, struct resolver *r,
		      const struct dgram_udp_spec *spec)
{
	static const struct dgram_udp_spec plain = {.strategy = CONF_FORCE_IP};
	char why[NET_WHY_MAX] = "";

	memset(e, 0, sizeof(*e));
	e->client.on_packet = on_client_packet;
	e->client.on_end = on_client_end;
	e->client.on_bounce = on_client_bounce;
	e->d = dgram_udp_new(l, r, spec ? spec : &plain, why);
	if (!e->d)
		fail_msg("%s", why);
	dgram_attach(e->d, &e->client);
}

/* @n bytes, the first of which is @mark. */
static struct buf *packet(size_t n, uint8_t mark)
{
	struct buf *b = buf_new_big(n);

	memset(b->data, mark, n);
	b->len = (uint32_t)n;
	return b;
}

static struct addr server_addr(const struct ear *e, const char *host)
{
	struct addr a;
	struct ipport p = udp_listener_at(e->l);

	assert_int_equal(addr_set_host(&a, span_str(host), p.port), 0);
	return a;
}

static void end(struct loop *l, struct ear *server, struct ear *client)
{
	udp_listener_close(server->l);
	dgram_close(client->d, 0);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

static void all_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 1200, 1472, 2048, 5000, 16384, 40000, DGRAM_MAX};
	struct loop *l = loop_new(0);
	struct ear s, c;
	struct addr to;

	(void)state;
	serve(&s, l, "127.0.0.1:0", NULL);
	s.echo = true;
	associate(&c, l, NULL, NULL);
	to = server_addr(&s, "127.0.0.1");
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		dgram_send(c.d, &to, packet(sizes[i], (uint8_t)(i + 1)));
		turn_until(l, c.n > i);
		assert_int_equal(s.len[i], sizes[i]);
		assert_int_equal(c.len[i], sizes[i]);
		if (sizes[i])
			assert_int_equal(c.first[i], i + 1);
	}
	assert_true(addr_eq(&c.who, &to));
	assert_int_equal(s.from.port, dgram_udp_local(c.d).port);
	end(l, &s, &c);
}

/* Runs of equal packets may travel as one message; nobody must notice. */
static void bursts_keep_their_shape(void **state)
{
	static const size_t lens[] = {1000, 1000, 1000, 700, 1000, 1000, 0,	3,    3,   3,
				      3,    9,	  1400, 1400, 1400, 1433, 1433, 1400, 200, 0};
	enum { N = sizeof(lens) / sizeof(lens[0]), ROUNDS = 3 };
	struct loop *l = loop_new(0);
	struct ear s, c, other;
	struct addr to, to_other;

	(void)state;
	serve(&s, l, "127.0.0.1:0", NULL);
	serve(&other, l, "127.0.0.1:0", NULL);
	associate(&c, l, NULL, NULL);
	to = server_addr(&s, "127.0.0.1");
	to_other = server_addr(&other, "127.0.0.1");
	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < N; i++) {
			dgram_send(c.d, &to, packet(lens[i], (uint8_t)i));
			if (i % 7 == 3)
				dgram_send(c.d, &to_other, packet(lens[i], (uint8_t)i));
		}
		turn_until(l, s.n == (r + 1) * N && other.n == (r + 1) * 3);
	}
	for (unsigned i = 0; i < ROUNDS * N; i++) {
		assert_int_equal(s.len[i], lens[i % N]);
		if (lens[i % N])
			assert_int_equal(s.first[i], i % N);
	}
	udp_listener_close(other.l);
	end(l, &s, &c);
}

static void queue_is_bounded(void **state)
{
	struct loop *l = loop_new(0);
	struct ear s, c;
	struct addr to;

	(void)state;
	serve(&s, l, "127.0.0.1:0", NULL);
	associate(&c, l, NULL, NULL);
	to = server_addr(&s, "127.0.0.1");
	for (unsigned i = 0; i < UDP_QUEUE_MAX + 50; i++)
		dgram_send(c.d, &to, packet(10, 1));
	assert_int_equal(buf_live(), UDP_QUEUE_MAX);
	turn_until(l, s.n);
	turn_idle(l);
	assert_true(s.n <= UDP_QUEUE_MAX);
	assert_int_equal(buf_live(), 0);
	for (unsigned i = 0; i < 40; i++)
		dgram_send(c.d, &to, packet(DGRAM_MAX, 1));
	assert_true(buf_live() * DGRAM_MAX <= UDP_QUEUE_BYTES);
	end(l, &s, &c);
}

/* A port that nobody listens on says so, and what goes to others does not suffer. */
static void what_comes_back_is_told(void **state)
{
	static const char *const hosts[] = {"127.0.0.1", "::1"};
	struct loop *l = loop_new(0);
	struct ear s, c;

	(void)state;
	serve(&s, l, "[::]:0", NULL);
	associate(&c, l, NULL, NULL);
	for (unsigned i = 0; i < 2; i++) {
		struct addr to = server_addr(&s, hosts[i]), nobody = to;

		nobody.port = 1;
		c.n_back = s.n = 0;
		for (unsigned k = 0; k < 3; k++) {
			dgram_send(c.d, &nobody, packet(10, 1));
			turn_until(l, c.n_back > k);
			assert_int_equal(c.back_err, -ERR_REFUSED);
			assert_true(addr_eq(&c.back, &nobody));
		}
		for (unsigned k = 0; k < 40; k++) {
			dgram_send(c.d, &nobody, packet(10, 1));
			dgram_send(c.d, &to, packet(20, 2));
			turn_until(l, s.n == k + 1);
		}
	}
	turn_idle(l);
	c.hang_up = true;
	c.n_back = 0;
	dgram_send(c.d, &c.back, packet(10, 1));
	turn_until(l, c.n_back);
	assert_null(c.d);
	c.d = NULL;
	udp_listener_close(s.l);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

/* The client wrote to 127.0.0.3: an answer from 127.0.0.1 would be a stranger's. */
static void answers_leave_from_where_they_were_asked(void **state)
{
	struct loop *l = loop_new(0);
	struct ear s, c;
	struct addr to;

	(void)state;
	for (int family = 0; family < 2; family++) {
		serve(&s, l, family ? "127.0.0.3:0" : "0.0.0.0:0", NULL);
		s.echo = true;
		associate(&c, l, NULL, NULL);
		to = server_addr(&s, "127.0.0.3");
		dgram_send(c.d, &to, packet(5, 7));
		turn_until(l, c.n);
		assert_true(addr_eq(&c.who, &to));
		assert_int_equal(s.to.ip.family, 4);
		assert_int_equal(s.to.port, to.port);
		/* Anybody who knows the port is heard. */
		struct ipport from = {s.to.ip, to.port}, client = s.from;

		ip_parse(&from.ip, span_str("127.0.0.9"));
		udp_listener_send(s.l, family ? NULL : &from, &client, packet(1, 1));
		turn_until(l, c.n == 2);
		assert_int_equal(c.who.ip.b[3], family ? 3 : 9);
		udp_listener_close(s.l);
		dgram_close(c.d, 0);
	}
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

static bool have_ipv6(void)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	bool ok = fd != -1 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	if (fd != -1)
		close(fd);
	return ok;
}

static void both_families_from_one_port(void **state)
{
	struct loop *l = loop_new(0);
	struct ear s, c;
	struct addr to;
	uint16_t port;

	(void)state;
	if (!have_ipv6()) {
		loop_free(l);
		skip();
	}
	serve(&s, l, "0.0.0.0:0", NULL);
	s.echo = true;
	associate(&c, l, NULL, NULL);
	to = server_addr(&s, "127.0.0.1");
	dgram_send(c.d, &to, packet(5, 7));
	turn_until(l, c.n == 1);
	port = s.from.port;
	to = server_addr(&s, "::1");
	dgram_send(c.d, &to, packet(5, 7));
	turn_until(l, c.n == 2);
	assert_true(addr_eq(&c.who, &to));
	assert_int_equal(s.from.port, port);
	assert_int_equal(s.from.ip.family, 6);
	end(l, &s, &c);
}

/* Nobody there, no route, not allowed: the packet is lost, the association is not. */
static void bad_targets_do_no_harm(void **state)
{
	struct loop *l = loop_new(0);
	struct ear s, gone, c;
	struct addr to, nobody, none = {0};

	(void)state;
	serve(&s, l, "127.0.0.1:0", NULL);
	s.echo = true;
	serve(&gone, l, "127.0.0.1:0", NULL);
	nobody = server_addr(&gone, "127.0.0.1");
	udp_listener_close(gone.l);
	associate(&c, l, NULL, NULL);
	to = server_addr(&s, "127.0.0.1");
	for (unsigned i = 0; i < 3; i++) {
		struct addr broadcast = at("255.255.255.255:9"), zero = at("127.0.0.1:0");
		struct addr name = at("name.invalid:9");

		dgram_send(c.d, &nobody, packet(100, 1));
		dgram_send(c.d, &nobody, packet(100, 1));
		dgram_send(c.d, &broadcast, packet(100, 1));
		dgram_send(c.d, &zero, packet(100, 1));
		dgram_send(c.d, &name, packet(100, 1)); /* no resolver */
		dgram_send(c.d, &none, packet(100, 1)); /* no default target */
		dgram_send(c.d, &to, packet(100, 2));
		turn_until(l, c.n > i);
	}
	assert_int_equal(s.n, 3);
	end(l, &s, &c);
}

static void own_address_and_default_target(void **state)
{
	struct loop *l = loop_new(0);
	struct dgram_udp_spec spec = {0};
	struct addr none = {0}, six = at("[::1]:9");
	struct ipport local;
	struct ear s, c;
	char why[NET_WHY_MAX];

	(void)state;
	serve(&s, l, "127.0.0.1:0", NULL);
	ip_parse(&spec.local, span_str("127.0.0.77"));
	spec.target = server_addr(&s, "127.0.0.1");
	associate(&c, l, NULL, &spec);
	local = dgram_udp_local(c.d);
	assert_true(ip_eq(&local.ip, &spec.local));
	dgram_send(c.d, &six, packet(3, 3));
	dgram_send(c.d, &none, packet(3, 3));
	turn_until(l, s.n);
	assert_true(ip_eq(&s.from.ip, &spec.local));
	ip_parse(&spec.local, span_str("192.0.2.200"));
	assert_null(dgram_udp_new(l, NULL, &spec, why));
	assert_string_equal(why, "listen udp: bind: cannot assign requested address");
	end(l, &s, &c);
}

static size_t hosts(const struct resolve_rules *r, const char *name, struct ip *ip, size_t max,
		    const char **alias)
{
	(void)r;
	(void)max;
	(void)alias;
	if (strncmp(name, "six-four", 8) == 0) {
		ip_parse(&ip[0], span_str("::1"));
		ip_parse(&ip[1], span_str("127.0.0.1"));
		return 2;
	}
	if (strncmp(name, "nowhere", 7) == 0) {
		ip_parse(&ip[0], span_str("::1"));
		return 1;
	}
	return 0;
}

static void names_are_resolved(void **state)
{
	static const struct resolve_rules rules = {.hosts = hosts};
	struct loop *l = loop_new(0);
	struct resolver *r = resolver_new(l, &(struct resolve_setup){.rules = &rules});
	struct dgram_udp_spec spec = {.strategy = CONF_FORCE_IP};
	struct addr to, nowhere = at("nowhere:9");
	struct ear s, c;
	char name[40];

	(void)state;
	serve(&s, l, "127.0.0.1:0", NULL);
	ip_parse(&spec.local, span_str("127.0.0.1")); /* so only the second address will do */
	associate(&c, l, r, &spec);
	to = server_addr(&s, "six-four");
	for (unsigned i = 0; i < DGRAM_UDP_WAIT + 4; i++)
		dgram_send(c.d, &to, packet(i, (uint8_t)i));
	dgram_send(c.d, &nowhere, packet(1, 1));
	turn_until(l, s.n == DGRAM_UDP_WAIT);
	for (unsigned i = 0; i < DGRAM_UDP_WAIT; i++)
		assert_int_equal(s.len[i], i);
	dgram_send(c.d, &to, packet(9, 9));
	turn_until(l, s.n == DGRAM_UDP_WAIT + 1);
	/* Many names: old ones go, also while they are asked. */
	for (unsigned i = 0; i < 3 * DGRAM_UDP_NAMES; i++) {
		snprintf(name, sizeof(name), "six-four-%u", i);
		to = server_addr(&s, name);
		dgram_send(c.d, &to, packet(1, 1));
	}
	turn_until(l, s.n == DGRAM_UDP_WAIT + 1 + DGRAM_UDP_NAMES);
	turn_idle(l);
	assert_int_equal(s.n, DGRAM_UDP_WAIT + 1 + DGRAM_UDP_NAMES);
	/* Closed while a name is asked. */
	snprintf(name, sizeof(name), "six-four-last");
	to = server_addr(&s, name);
	dgram_send(c.d, &to, packet(1, 1));
	dgram_close(c.d, 0);
	c.d = NULL;
	turn_idle(l);
	resolver_free(r);
	end(l, &s, &c);
}

struct gate {
	struct connect_gate gate;
	int asked;
};

static bool may(struct connect_gate *g, const struct ipport *to)
{
	container_of(g, struct gate, gate)->asked++;
	return to->ip.b[3] == 1;
}

static void gate_keeps_packets_back(void **state)
{
	static const struct resolve_rules rules = {.hosts = hosts};
	struct loop *l = loop_new(0);
	struct resolver *r = resolver_new(l, &(struct resolve_setup){.rules = &rules});
	struct gate g = {.gate.may = may};
	struct dgram_udp_spec spec = {.strategy = CONF_FORCE_IP4, .gate = &g.gate};
	struct addr good, bad, name;
	struct ear s, c;

	(void)state;
	serve(&s, l, "0.0.0.0:0", NULL);
	associate(&c, l, r, &spec);
	good = server_addr(&s, "127.0.0.1");
	bad = server_addr(&s, "127.0.0.2");
	name = server_addr(&s, "six-four");
	for (int i = 0; i < 3; i++)
		dgram_send(c.d, &bad, packet(1, 1));
	for (int i = 0; i < 3; i++)
		dgram_send(c.d, &good, packet(2, 1));
	assert_int_equal(g.asked, 2);
	dgram_send(c.d, &name, packet(3, 1));
	turn_until(l, s.n == 4);
	assert_int_equal(s.len[0], 2);
	assert_int_equal(s.len[3], 3);
	resolver_free(r);
	end(l, &s, &c);
}

static void closing_from_inside(void **state)
{
	struct loop *l = loop_new(0);
	struct ear s, c;
	struct addr to;

	(void)state;
	serve(&s, l, "127.0.0.1:0", NULL);
	s.echo = true;
	associate(&c, l, NULL, NULL);
	c.hang_up = true;
	to = server_addr(&s, "127.0.0.1");
	for (int i = 0; i < 5; i++)
		dgram_send(c.d, &to, packet(50, 1));
	turn_until(l, c.n);
	turn_idle(l);
	assert_int_equal(c.n, 1);
	/* What was sent before the end of the association still leaves. */
	associate(&c, l, NULL, NULL);
	s.hang_up = true;
	s.n = 0;
	for (int i = 0; i < 5; i++)
		dgram_send(c.d, &to, packet(50, 1));
	dgram_close(c.d, 0);
	c.d = NULL;
	turn_until(l, s.n);
	turn_idle(l);
	assert_int_equal(s.n, 1);
	end(l, &s, &c);
}

static void port_is_exclusive(void **state)
{
	struct loop *l = loop_new(0);
	struct udp_listener_spec spec = {0};
	char why[NET_WHY_MAX], expected[NET_WHY_MAX];
	struct ear s;

	(void)state;
	serve(&s, l, "127.0.0.1:0", NULL);
	spec.at = udp_listener_at(s.l);
	assert_null(udp_listener_new(l, &spec, &s.server, why));
	snprintf(expected, sizeof(expected),
		 "listen udp 127.0.0.1:%u: bind: address already in use", spec.at.port);
	assert_string_equal(why, expected);
	udp_listener_close(s.l);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_sizes),
		cmocka_unit_test(bursts_keep_their_shape),
		cmocka_unit_test(queue_is_bounded),
		cmocka_unit_test(what_comes_back_is_told),
		cmocka_unit_test(answers_leave_from_where_they_were_asked),
		cmocka_unit_test(both_families_from_one_port),
		cmocka_unit_test(bad_targets_do_no_harm),
		cmocka_unit_test(own_address_and_default_target),
		cmocka_unit_test(names_are_resolved),
		cmocka_unit_test(gate_keeps_packets_back),
		cmocka_unit_test(closing_from_inside),
		cmocka_unit_test(port_is_exclusive),
	};

	return cmocka_run_group_tests_name("udp", tests, NULL, NULL);
}
