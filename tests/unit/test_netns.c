/*
 * net: what needs a network of its own: no routes, port 53, redirection by the
 * firewall. The process enters a fresh network namespace, as root or inside a
 * user namespace; where neither is allowed, the tests are skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/err.h"
#include "fakedns.h"
#include "net/connect.h"
#include "net/dgram_udp.h"
#include "net/listen.h"
#include "net/netmon.h"
#include "net/udp_listener.h"
#include "turn.h"

static bool inside;

static int enter(void **state)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd;

	(void)state;
	if (unshare(CLONE_NEWNET) == -1 && unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	inside = ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
	close(fd);
	return 0;
}

static void need_namespace(void)
{
	if (!inside)
		skip();
}

static struct ipport at(const char *text)
{
	struct ipport p;
	struct addr a;

	assert_int_equal(addr_parse(&a, span_str(text)), 0);
	assert_true(addr_to_ipport(&a, &p));
	return p;
}

struct client {
	struct connect_user user;
	struct connect_result res;
	char why[NET_WHY_MAX];
	int n;
};

static void on_connect(struct connect_user *u, struct connect *c, const struct connect_result *r)
{
	struct client *k = container_of(u, struct client, user);

	(void)c;
	k->res = *r;
	snprintf(k->why, sizeof(k->why), "%s", r->why ? r->why : "");
	k->n++;
}

static void dial(struct client *k, struct loop *l, const char *to, const struct conf_sockopt *o)
{
	struct ipport p = at(to);
	struct connect_req req = {.to = addr_from_ipport(&p), .opts = o};

	if (o) /* or the kernel takes the target's own address */
		ip_parse(&req.local, span_str("127.0.0.1"));
	*k = (struct client){.user.on_connect = on_connect};
	assert_non_null(connect_start(l, NULL, &req, &k->user));
	turn_until(l, k->n);
}

static void no_route_is_told(void **state)
{
	struct loop *l = loop_new(0);
	struct client k;

	(void)state;
	need_namespace();
	dial(&k, l, "192.0.2.1:80", NULL);
	assert_int_equal(k.res.err, -ERR_UNREACH);
	assert_string_equal(k.why, "dial tcp 192.0.2.1:80: connect: network is unreachable");
	assert_false(sock_has_route(4));
	loop_free(l);
}

static void sockets_are_marked(void **state)
{
	const struct conf_sockopt o = {.mark = 0x5ca1e, .interface = "lo"};
	struct sock_fail f;
	int fd, mark = 0;
	socklen_t len = sizeof(mark);

	(void)state;
	need_namespace();
	fd = sock_dial(SOCK_NET_UDP, 6, NULL, &o, &f);
	assert_true(fd >= 0);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &len), 0);
	assert_int_equal(mark, 0x5ca1e);
	close(fd);
}

struct watcher {
	struct netmon_user user;
	int n;
	bool leaves;
};

static void on_change(struct netmon_user *u, struct netmon *m)
{
	struct watcher *w = container_of(u, struct watcher, user);

	w->n++;
	if (w->leaves)
		netmon_free(m);
}

/* One more address on the loopback interface. */
static void add_address(unsigned i)
{
	struct ifreq ifr = {0};
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr = {.s_addr = htonl(0x0a630000u + i)}};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "lo:%u", i);
	memcpy(&ifr.ifr_addr, &sa, sizeof(sa));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &ifr), 0);
	close(fd);
}

enum { LOST = 9 };

/* 172.30.0.1, which can be lost again. */
static void add_lost_address(void)
{
	struct ifreq ifr = {0};
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr = {.s_addr = htonl(0xac1e0001u)}};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "lo:%u", LOST);
	memcpy(&ifr.ifr_addr, &sa, sizeof(sa));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &ifr), 0);
	close(fd);
}

static void lose_address(void)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "lo:%u", LOST);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

/* A connection to itself at @host, as a stream; its other end in @fd. */
static struct stream *connected(struct loop *l, const char *host, int *fd)
{
	struct ipport here = at(host);
	struct sockaddr_storage sa;
	socklen_t len = ipport_to_sockaddr(&here, &sa);
	int lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(lfd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(lfd, 1), 0);
	assert_int_equal(getsockname(lfd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(connect(c, (struct sockaddr *)&sa, len), 0);
	*fd = accept(lfd, NULL, NULL);
	close(lfd);
	fcntl(c, F_SETFL, O_NONBLOCK);
	return stream_tcp_new(l, c);
}

struct reader {
	struct stream_user user;
	int err;
};

static void on_readable(struct stream_user *u, struct stream *s, unsigned events)
{
	struct reader *r = container_of(u, struct reader, user);
	struct bufq q;
	ssize_t n;

	(void)events;
	bufq_init(&q);
	n = stream_read(s, &q, 100);
	bufq_clear(&q);
	if (n < 0)
		r->err = (int)n;
	stream_want(s, n < 0 ? 0 : STREAM_READ);
}

static void connections_of_lost_addresses(void **state)
{
	struct reader r[2] = {{.user.on_event = on_readable}, {.user.on_event = on_readable}};
	struct loop *l = loop_new(0);
	struct stream *s[2];
	int fd[2];

	(void)state;
	need_namespace();
	add_lost_address();
	s[0] = connected(l, "172.30.0.1:0", &fd[0]);
	s[1] = connected(l, "127.0.0.1:0", &fd[1]);
	for (int i = 0; i < 2; i++) {
		stream_attach(s[i], &r[i].user);
		stream_want(s[i], STREAM_READ);
	}
	stream_tcp_check_addresses(l);
	turn_idle(l);
	assert_int_equal(r[0].err, 0);
	lose_address();
	stream_tcp_check_addresses(l);
	turn_until(l, r[0].err);
	assert_int_equal(r[0].err, -ERR_RESET);
	assert_int_equal(r[1].err, 0);
	for (int i = 0; i < 2; i++) {
		stream_close(s[i], 0);
		close(fd[i]);
	}
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

static void changes_are_noticed(void **state)
{
	struct loop *l = loop_new(0);
	struct watcher w = {.user.on_change = on_change};
	struct netmon *m;

	(void)state;
	need_namespace();
	m = netmon_new(l, &w.user);
	assert_non_null(m);
	turn_idle(l);
	assert_int_equal(w.n, 0);
	for (unsigned i = 1; i <= 10; i++) /* a flock, one word */
		add_address(i);
	turn_until(l, w.n > 0);
	turn_idle(l);
	assert_int_equal(w.n, 1);
	w.leaves = true;
	add_address(11);
	turn_until(l, w.n == 2);
	loop_free(l);
}

/* resolv.conf of the test's own. */
static char conf_path[] = "/tmp/garenne-resolv-XXXXXX";

static void write_conf(const char *server)
{
	char fresh[sizeof(conf_path) + 4];
	FILE *f;

	/* Renamed into place, as network managers do. */
	snprintf(fresh, sizeof(fresh), "%s.new", conf_path);
	f = fopen(fresh, "w");
	fprintf(f, "nameserver %s\n", server);
	fclose(f);
	assert_int_equal(rename(fresh, conf_path), 0);
}

static int make_conf(void **state)
{
	int fd = mkstemp(conf_path);

	(void)state;
	if (fd == -1)
		return -1;
	close(fd);
	return 0;
}

static int remove_conf(void **state)
{
	(void)state;
	return unlink(conf_path);
}

struct asker {
	struct resolve_req req;
	struct resolve_result res;
	int n;
};

static void on_done(struct resolve_req *q, const struct resolve_result *res)
{
	struct asker *a = container_of(q, struct asker, req);

	a->res = *res;
	a->n++;
}

static int last_byte(struct loop *l, struct resolver *r, const char *name)
{
	struct asker a = {.req.on_done = on_done};

	resolve_start(r, &a.req, name, CONF_AS_IS, 0);
	turn_until(l, a.n);
	return a.res.err ? a.res.err : a.res.ip[0].b[3];
}

static void servers_of_another_network(void **state)
{
	struct loop *l = loop_new(0);
	struct fakedns here, there;
	struct asker a = {.req.on_done = on_done};
	struct resolver *r;

	(void)state;
	need_namespace();
	assert_true(fakedns_start(&here, l, "127.0.0.1", 53));
	assert_true(fakedns_start(&there, l, "127.0.0.2", 53));
	there.v4[3] = 2;
	write_conf("127.0.0.1");
	r = resolver_new(l, &(struct resolve_setup){.resolv_conf = conf_path});
	assert_non_null(r);
	assert_int_equal(last_byte(l, r, "four.test"), 1);
	write_conf("127.0.0.2");
	/* Noticed within a second; until then the kept answer is given. */
	turn_until(l, last_byte(l, r, "four.test") == 2);
	/* Noticed also while a question waits for a server that is no longer there. */
	there.mute = true;
	resolve_start(r, &a.req, "both.test", CONF_AS_IS, 0);
	turn_until(l, there.queries > 1);
	write_conf("127.0.0.1");
	turn_until(l, a.n);
	assert_int_equal(a.res.err, 0);
	resolver_free(r);
	fakedns_stop(&here);
	fakedns_stop(&there);
	loop_free(l);
}

/* Runs a tool of the system on this namespace; false when it is missing or refuses. */
static bool tool(const char *command)
{
	char line[700];

	snprintf(line, sizeof(line), "PATH=$PATH:/usr/sbin:/sbin; { %s; } >/dev/null 2>&1", command);
	return system(line) == 0; /* NOLINT: fixed text */
}

struct server {
	struct listener_user user;
	struct accepted last;
	int n;
};

static void on_accept(struct listener_user *u, struct listener *l, const struct accepted *a)
{
	struct server *s = container_of(u, struct server, user);

	(void)l;
	s->last = *a;
	s->n++;
}

static void redirected_connection(void **state)
{
	struct loop *l = loop_new(0);
	struct listen_spec spec = {.at = at("0.0.0.0:0")};
	struct server s = {.user.on_accept = on_accept};
	struct ipport original, wanted = at("198.51.100.7:443");
	char command[300], why[NET_WHY_MAX];
	struct listener *li;
	struct client k;

	(void)state;
	need_namespace();
	li = listener_new(l, &spec, &s.user, why);
	assert_non_null(li);
	snprintf(command, sizeof(command),
		 "ip route replace default dev lo && nft add table ip t1 && "
		 "nft add chain ip t1 out '{ type nat hook output priority -100; }' && "
		 "nft add rule ip t1 out ip daddr 198.51.100.7 tcp dport 443 redirect to :%u",
		 listener_at(li).port);
	if (!tool(command)) {
		listener_close(li);
		loop_free(l);
		skip();
	}
	dial(&k, l, "198.51.100.7:443", NULL);
	assert_int_equal(k.res.err, 0);
	turn_until(l, s.n);
	assert_int_equal(sock_original_dst(s.last.fd, CONF_TPROXY_REDIRECT, &original), 0);
	assert_true(ipport_eq(&original, &wanted));
	close(s.last.fd);
	stream_close(k.res.stream, 0);
	/* One that was not redirected says so. */
	char plain[64];

	snprintf(plain, sizeof(plain), "127.0.0.1:%u", listener_at(li).port);
	dial(&k, l, plain, NULL);
	turn_until(l, s.n == 2);
	if (sock_original_dst(s.last.fd, CONF_TPROXY_REDIRECT, &original) == 0)
		assert_true(ipport_eq(&original, &s.last.local)); /* conntrack saw it, unchanged */
	close(s.last.fd);
	stream_close(k.res.stream, 0);
	tool("nft delete table ip t1");
	listener_close(li);
	loop_free(l);
}

struct ear {
	struct udp_listener_user server;
	struct dgram_user client;
	struct ipport from, to;
	struct addr who;
	int heard, answered;
};

static void on_server_packet(struct udp_listener_user *u, struct udp_listener *l,
			     const struct ipport *from, const struct ipport *to, struct buf *pkt)
{
	struct ear *e = container_of(u, struct ear, server);

	e->from = *from;
	e->to = *to;
	e->heard++;
	udp_listener_send(l, to, from, pkt);
}

static void on_client_packet(struct dgram_user *u, struct dgram *d, const struct addr *from,
			     struct buf *pkt)
{
	struct ear *e = container_of(u, struct ear, client);

	(void)d;
	e->who = *from;
	e->answered++;
	buf_free(pkt);
}

static void say(struct dgram *d, const char *to)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, span_str(to)), 0);
	dgram_send(d, &a, buf_copy(span_str("hello")));
}

/* Answers that claim to come from elsewhere. */
static void foreign_answers(void **state)
{
	const struct conf_sockopt o = {.tproxy = CONF_TPROXY_TPROXY};
	struct ear e = {.server.on_packet = on_server_packet, .client.on_packet = on_client_packet};
	struct loop *l = loop_new(0);
	struct udp_listener_spec spec = {.at = at("127.0.0.1:0"), .opts = &o};
	struct ipport from = at("198.51.100.7:53"), client;
	struct dgram_udp_spec plain = {.local = at("127.0.0.1:0").ip};
	char why[NET_WHY_MAX], text[ADDR_TEXT_MAX];
	struct udp_listener *s;
	struct dgram *c;

	(void)state;
	need_namespace();
	s = udp_listener_new(l, &spec, &e.server, why);
	if (!s)
		fail_msg("%s", why);
	c = dgram_udp_new(l, NULL, &plain, why);
	dgram_attach(c, &e.client);
	client = dgram_udp_local(c);
	udp_listener_send(s, &from, &client, buf_copy(span_str("a")));
	turn_until(l, e.answered == 1);
	assert_string_equal(addr_text(&e.who, text, sizeof(text)), "198.51.100.7:53");
	from.port = udp_listener_at(s).port; /* from the listener's own socket */
	udp_listener_send(s, &from, &client, buf_copy(span_str("a")));
	turn_until(l, e.answered == 2);
	assert_int_equal(e.who.ip.b[3], 7);
	/* More of them than are kept at the same time. */
	for (int i = 0; i < UDP_LISTENER_FOREIGN + 20; i++) {
		from.port = (uint16_t)(1000 + i);
		udp_listener_send(s, &from, &client, buf_copy(span_str("a")));
		turn_idle(l);
	}
	turn_until(l, e.answered == 2 + UDP_LISTENER_FOREIGN + 20);
	udp_listener_close(s);
	dgram_close(c, 0);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

/* The whole way: packets and connections to foreign addresses are taken in by TPROXY rules. */
static void tproxy_takes_everything(void **state)
{
	const struct conf_sockopt o = {.tproxy = CONF_TPROXY_TPROXY};
	const struct conf_sockopt marked = {.mark = 1};
	struct ear e = {.server.on_packet = on_server_packet, .client.on_packet = on_client_packet};
	struct loop *l = loop_new(0);
	struct udp_listener_spec uspec = {.at = at("0.0.0.0:0"), .opts = &o};
	struct dgram_udp_spec cspec = {.opts = &marked};
	struct listen_spec tspec = {.opts = &o};
	struct server srv = {.user.on_accept = on_accept};
	struct ipport original, wanted = at("203.0.113.9:8443");
	char why[NET_WHY_MAX], text[ADDR_TEXT_MAX], command[600];
	struct udp_listener *s;
	struct listener *li;
	struct dgram *c;
	struct client k;

	(void)state;
	need_namespace();
	s = udp_listener_new(l, &uspec, &e.server, why);
	assert_non_null(s);
	tspec.at.port = udp_listener_at(s).port;
	li = listener_new(l, &tspec, &srv.user, why);
	assert_non_null(li);
	c = dgram_udp_new(l, NULL, &cspec, why);
	assert_non_null(c);
	dgram_attach(c, &e.client);
	snprintf(command, sizeof(command),
		 "ip rule add fwmark 1 lookup 100 && ip route add local default dev lo table 100 && "
		 "nft add table ip t2 && "
		 "nft add chain ip t2 pre '{ type filter hook prerouting priority -150; }' && "
		 "nft add rule ip t2 pre meta mark 1 meta l4proto '{ tcp, udp }' "
		 "tproxy to 127.0.0.1:%u accept",
		 tspec.at.port);
	if (tool(command)) {
		for (int i = 1; i <= 3; i++) {
			say(c, "203.0.113.5:53");
			turn_until(l, e.answered == i);
			assert_string_equal(ipport_text(&e.to, text, sizeof(text)),
					    "203.0.113.5:53");
			assert_string_equal(addr_text(&e.who, text, sizeof(text)),
					    "203.0.113.5:53");
		}
		dial(&k, l, "203.0.113.9:8443", &marked);
		assert_string_equal(k.why, "");
		turn_until(l, srv.n);
		assert_int_equal(sock_original_dst(srv.last.fd, CONF_TPROXY_TPROXY, &original), 0);
		assert_true(ipport_eq(&original, &wanted));
		assert_true(ipport_eq(&srv.last.local, &wanted));
		close(srv.last.fd);
		stream_close(k.res.stream, 0);
		tool("nft delete table ip t2");
	}
	udp_listener_close(s);
	listener_close(li);
	dgram_close(c, 0);
	loop_free(l);
	assert_int_equal(buf_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_route_is_told),
		cmocka_unit_test(sockets_are_marked),
		cmocka_unit_test(changes_are_noticed),
		cmocka_unit_test(connections_of_lost_addresses),
		cmocka_unit_test_setup_teardown(servers_of_another_network, make_conf, remove_conf),
		cmocka_unit_test(foreign_answers),
		cmocka_unit_test(redirected_connection),
		cmocka_unit_test(tproxy_takes_everything),
	};

	return cmocka_run_group_tests_name("netns", tests, enter, NULL);
}
