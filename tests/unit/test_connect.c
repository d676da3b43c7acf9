/* net: sockets by their options, listeners, unix sockets, connecting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/err.h"
#include "net/connect.h"
#include "net/listen.h"
#include "net/sock_unix.h"
#include "turn.h"

static int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static struct ipport at(const char *text)
{
	struct ipport p;
	struct addr a;

	assert_int_equal(addr_parse(&a, span_str(text)), 0);
	assert_true(addr_to_ipport(&a, &p));
	return p;
}

static int opt(int fd, int level, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	assert_int_equal(getsockopt(fd, level, name, &v, &len), 0);
	return v;
}

/* Takes what a listener accepts. */
struct server {
	struct listener_user user;
	struct listener *l;
	struct accepted last;
	int n, allowed, asked;
};

static void on_accept(struct listener_user *u, struct listener *l, const struct accepted *a)
{
	struct server *s = container_of(u, struct server, user);

	(void)l;
	if (s->n)
		close(s->last.fd);
	s->last = *a;
	s->n++;
}

static bool may_accept(struct listener_user *u, struct listener *l)
{
	struct server *s = container_of(u, struct server, user);

	(void)l;
	s->asked++;
	return s->n < s->allowed;
}

static void serve(struct server *s, struct loop *l, const struct listen_spec *spec)
{
	char why[NET_WHY_MAX] = "";

	*s = (struct server){.user.on_accept = on_accept};
	s->l = listener_new(l, spec, &s->user, why);
	if (!s->l)
		fail_msg("%s", why);
}

static void serve_end(struct server *s)
{
	if (s->n)
		close(s->last.fd);
	listener_close(s->l);
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

static void dial(struct client *k, struct loop *l, struct resolver *r, struct connect_req *req)
{
	*k = (struct client){.user.on_connect = on_connect};
	assert_non_null(connect_start(l, r, req, &k->user));
	assert_int_equal(k->n, 0);
	turn_until(l, k->n);
	assert_int_equal(k->n, 1);
}

static struct connect_req to(struct ipport p)
{
	return (struct connect_req){.to = addr_from_ipport(&p)};
}

static void ends_are_told(void **state)
{
	struct loop *l = loop_new(0);
	struct listen_spec spec = {.at = at("127.0.0.1:0")};
	struct connect_req req;
	struct server s;
	struct client k;
	int fd;

	(void)state;
	serve(&s, l, &spec);
	req = to(listener_at(s.l));
	assert_true(req.to.port != 0);
	dial(&k, l, NULL, &req);
	assert_int_equal(k.res.err, 0);
	turn_until(l, s.n);
	assert_true(ipport_eq(&s.last.peer, &k.res.local));
	assert_true(ipport_eq(&s.last.local, &k.res.remote));
	fd = stream_tcp_fd(k.res.stream);
	assert_int_equal(opt(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(opt(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(opt(fd, IPPROTO_TCP, TCP_KEEPIDLE), 45);
	assert_int_equal(opt(fd, IPPROTO_TCP, TCP_KEEPINTVL), 45);
	assert_int_equal(opt(s.last.fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(opt(s.last.fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	assert_true(fcntl(s.last.fd, F_GETFL) & O_NONBLOCK);
	stream_close(k.res.stream, 0);
	serve_end(&s);
	loop_free(l);
}

static void options_are_set(void **state)
{
	struct loop *l = loop_new(0);
	const struct conf_custom_opt custom[] = {
		{.networks = CONF_TCP, .level = 6, .opt = TCP_QUICKACK, .num = 0},
		{.networks = CONF_UDP, .level = SOL_IP, .opt = IP_TTL, .num = 7},
		{.networks = CONF_TCP,
		 .level = 6,
		 .opt = TCP_CONGESTION,
		 .is_str = true,
		 .str = "reno"},
	};
	const struct conf_sockopt o = {.keepalive_idle_s = 33,
				       .keepalive_interval_s = 11,
				       .user_timeout_ms = 4321,
				       .max_seg = 900,
				       .interface = "",
				       .congestion = "",
				       .mptcp = true,
				       .custom = custom,
				       .n_custom = 3};
	const struct conf_sockopt off = {.keepalive_idle_s = -1};
	struct listen_spec spec = {.at = at("127.0.0.1:0"), .opts = &o};
	struct connect_req req;
	struct server s;
	struct client k;
	char text[16] = "";
	socklen_t len = sizeof(text);

	(void)state;
	serve(&s, l, &spec);
	req = to(listener_at(s.l));
	req.opts = &o;
	dial(&k, l, NULL, &req);
	turn_until(l, s.n);
	int fds[2] = {stream_tcp_fd(k.res.stream), s.last.fd};

	for (int i = 0; i < 2; i++) {
		assert_int_equal(opt(fds[i], SOL_SOCKET, SO_KEEPALIVE), 1);
		assert_int_equal(opt(fds[i], IPPROTO_TCP, TCP_KEEPIDLE), 33);
		assert_int_equal(opt(fds[i], IPPROTO_TCP, TCP_KEEPINTVL), 11);
	}
	assert_int_equal(getsockopt(fds[0], IPPROTO_TCP, TCP_CONGESTION, text, &len), 0);
	assert_string_equal(text, "reno");
	stream_close(k.res.stream, 0);
	req.opts = &off;
	dial(&k, l, NULL, &req);
	assert_int_equal(opt(stream_tcp_fd(k.res.stream), SOL_SOCKET, SO_KEEPALIVE), 0);
	stream_close(k.res.stream, 0);
	serve_end(&s);
	loop_free(l);
}

/* With fast open the connection may come about only with the first bytes. */
static void fast_open_carries_bytes(void **state)
{
	struct loop *l = loop_new(0);
	const struct conf_sockopt o = {.fast_open_given = true, .fast_open = 256};
	struct listen_spec spec = {.at = at("127.0.0.1:0"), .opts = &o};
	struct connect_req req;
	struct server s;
	struct client k;
	struct bufq q;
	char got[8] = "";

	(void)state;
	serve(&s, l, &spec);
	req = to(listener_at(s.l));
	req.opts = &o;
	bufq_init(&q);
	for (int i = 1; i <= 3; i++) {
		dial(&k, l, NULL, &req);
		assert_int_equal(k.res.err, 0);
		bufq_append(&q, span_str("early"));
		assert_int_equal(stream_write(k.res.stream, &q), 5);
		turn_until(l, s.n == i);
		assert_int_equal(turn_read(l, s.last.fd, got, 5), 5);
		assert_string_equal(got, "early");
		stream_close(k.res.stream, 0);
	}
	serve_end(&s);
	loop_free(l);
}

static void contradicting_keepalive(void **state)
{
	const struct conf_sockopt o = {.keepalive_idle_s = 5, .keepalive_interval_s = -5};
	struct ipport p = at("127.0.0.1:0");
	char why[NET_WHY_MAX];

	(void)state;
	assert_int_equal(sock_listen(SOCK_NET_TCP, &p, &o, why), -ERR_UNSUPPORTED);
	assert_string_equal(why, "invalid TcpKeepAliveIdle or TcpKeepAliveInterval value: 5 -5");
}

/* A device that does not exist is an error: without it traffic would go another way. */
static void interface_must_exist(void **state)
{
	struct loop *l = loop_new(0);
	const struct conf_sockopt o = {.interface = "nosuchdev0"};
	struct connect_req req = to(at("127.0.0.1:9"));
	struct client k;

	(void)state;
	req.opts = &o;
	dial(&k, l, NULL, &req);
	assert_true(k.res.err < 0);
	assert_string_equal(k.why,
			    "dial tcp 127.0.0.1:9: setsockopt SO_BINDTODEVICE: no such device");
	loop_free(l);
}

static void port_is_exclusive(void **state)
{
	struct loop *l = loop_new(0);
	struct listen_spec spec = {.at = at("127.0.0.1:0")};
	char why[NET_WHY_MAX], expected[NET_WHY_MAX];
	struct server s;

	(void)state;
	serve(&s, l, &spec);
	spec.at = listener_at(s.l);
	assert_null(listener_new(l, &spec, &s.user, why));
	snprintf(expected, sizeof(expected),
		 "listen tcp 127.0.0.1:%u: bind: address already in use", spec.at.port);
	assert_string_equal(why, expected);
	/* The wildcard is taken as well, whatever its form. */
	spec.at.ip.family = 0;
	assert_null(listener_new(l, &spec, &s.user, why));
	snprintf(expected, sizeof(expected), "listen tcp :%u: bind: address already in use",
		 spec.at.port);
	assert_string_equal(why, expected);
	serve_end(&s);
	loop_free(l);
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

static void wildcard_has_both_families(void **state)
{
	struct loop *l = loop_new(0);
	const struct conf_sockopt only6 = {.v6only = true};
	struct listen_spec spec = {.at = at("0.0.0.0:0")};
	struct ipport v4 = at("127.0.0.1:1"), v6 = at("[::1]:1");
	struct connect_req req;
	struct server s;
	struct client k;

	(void)state;
	if (!have_ipv6()) {
		loop_free(l);
		skip();
	}
	serve(&s, l, &spec);
	v4.port = v6.port = listener_at(s.l).port;
	req = to(v4);
	dial(&k, l, NULL, &req);
	assert_int_equal(k.res.err, 0);
	turn_until(l, s.n == 1);
	assert_true(ipport_eq(&s.last.local, &v4)); /* not the mapped form */
	stream_close(k.res.stream, 0);
	req = to(v6);
	dial(&k, l, NULL, &req);
	assert_int_equal(k.res.err, 0);
	turn_until(l, s.n == 2);
	assert_true(ipport_eq(&s.last.local, &v6));
	stream_close(k.res.stream, 0);
	serve_end(&s);

	spec.opts = &only6;
	serve(&s, l, &spec);
	v4.port = listener_at(s.l).port;
	req = to(v4);
	dial(&k, l, NULL, &req);
	assert_int_equal(k.res.err, -ERR_REFUSED);
	serve_end(&s);
	loop_free(l);
}

/* A port that is ours but on which nobody listens. */
static int deaf_port(struct ipport *p)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*p = at("127.0.0.1:0");
	len = ipport_to_sockaddr(p, &sa);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(sock_local(fd, p), 0);
	return fd;
}

static void refusal_is_told_at_once(void **state)
{
	struct loop *l = loop_new(0);
	char expected[NET_WHY_MAX];
	struct connect_req req;
	struct ipport p;
	struct client k;
	int fd = deaf_port(&p), before = open_fds();

	(void)state;
	req = to(p);
	dial(&k, l, NULL, &req);
	assert_int_equal(k.res.err, -ERR_REFUSED);
	assert_null(k.res.stream);
	snprintf(expected, sizeof(expected), "dial tcp 127.0.0.1:%u: connect: connection refused",
		 p.port);
	assert_string_equal(k.why, expected);
	req.tries = 3;
	dial(&k, l, NULL, &req);
	assert_int_equal(k.res.err, -ERR_REFUSED);
	assert_int_equal(open_fds(), before);
	close(fd);
	loop_free(l);
}

/* The listener appears after the first try was refused. */
struct late {
	struct timer t;
	struct server s;
	struct listen_spec spec;
	int deaf;
};

static void on_late(struct timer *t)
{
	struct late *late = container_of(t, struct late, t);

	close(late->deaf);
	serve(&late->s, t->loop, &late->spec);
}

static void second_try_succeeds(void **state)
{
	struct loop *l = loop_new(0);
	struct late late = {0};
	struct connect_req req;
	struct client k;

	(void)state;
	late.deaf = deaf_port(&late.spec.at);
	timer_init(&late.t, l, on_late);
	timer_start(&late.t, 20);
	req = to(late.spec.at);
	req.tries = CONNECT_TRIES_XRAY;
	dial(&k, l, NULL, &req);
	assert_int_equal(k.res.err, 0);
	stream_close(k.res.stream, 0);
	turn_until(l, late.s.n);
	serve_end(&late.s);
	loop_free(l);
}

/* A listener whose queue is full drops every SYN: nobody answers. */
struct hole {
	struct ipport at;
	int fd, held[3];
};

static void hole_make(struct hole *h, const char *text)
{
	struct sockaddr_storage sa;
	socklen_t len;

	h->at = at(text);
	h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	len = ipport_to_sockaddr(&h->at, &sa);
	assert_int_equal(bind(h->fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(h->fd, 0), 0);
	sock_local(h->fd, &h->at);
	len = ipport_to_sockaddr(&h->at, &sa);
	for (int i = 0; i < 3; i++) {
		h->held[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(h->held[i], (struct sockaddr *)&sa, len);
	}
}

static void hole_close(struct hole *h)
{
	for (int i = 0; i < 3; i++)
		close(h->held[i]);
	close(h->fd);
}

static void silence_times_out(void **state)
{
	struct loop *l = loop_new(0);
	char expected[NET_WHY_MAX];
	struct connect_req req;
	struct client k;
	struct hole h;
	int before;

	(void)state;
	hole_make(&h, "127.0.0.1:0");
	before = open_fds();
	req = to(h.at);
	req.timeout_ms = 30;
	dial(&k, l, NULL, &req);
	assert_int_equal(k.res.err, -ERR_TIMEOUT);
	snprintf(expected, sizeof(expected), "dial tcp 127.0.0.1:%u: i/o timeout", h.at.port);
	assert_string_equal(k.why, expected);
	assert_int_equal(open_fds(), before);

	/* And so does giving up. */
	req.timeout_ms = 0;
	k = (struct client){.user.on_connect = on_connect};
	struct connect *c = connect_start(l, NULL, &req, &k.user);

	turn_idle(l);
	connect_cancel(c);
	turn_idle(l);
	assert_int_equal(k.n, 0);
	assert_int_equal(open_fds(), before);
	c = connect_start(l, NULL, &req, &k.user);
	connect_cancel(c); /* before it began */
	turn_idle(l);
	assert_int_equal(k.n, 0);
	hole_close(&h);
	loop_free(l);
}

/* A host table for names. */
static size_t hosts(const struct resolve_rules *r, const char *name, struct ip *ip, size_t max,
		    const char **alias)
{
	static const char *const table[][3] = {
		{"two", "127.0.0.2", "127.0.0.1"},
		{"six-four", "::1", "127.0.0.1"},
	};

	(void)r;
	(void)alias;
	for (size_t i = 0; i < 2; i++) {
		if (strcmp(name, table[i][0]) != 0)
			continue;
		assert_true(max >= 2);
		ip_parse(&ip[0], span_str(table[i][1]));
		ip_parse(&ip[1], span_str(table[i][2]));
		return 2;
	}
	return 0;
}

static const struct resolve_rules rules = {.hosts = hosts};

static struct connect_req to_name(const char *name, uint16_t port)
{
	struct connect_req req = {.strategy = CONF_FORCE_IP};

	assert_int_equal(addr_set_host(&req.to, span_str(name), port), 0);
	return req;
}

static void silent_address_is_overtaken(void **state)
{
	struct loop *l = loop_new(0);
	struct resolver *r = resolver_new(l, &(struct resolve_setup){.rules = &rules});
	const struct conf_sockopt eager = {.happy.delay_ms = 10};
	struct listen_spec spec = {.at = at("127.0.0.1:0")};
	struct connect_req req;
	char text[ADDR_TEXT_MAX], hole_at[ADDR_TEXT_MAX];
	struct server s;
	struct client k;
	struct hole h;
	int before;

	(void)state;
	serve(&s, l, &spec);
	snprintf(hole_at, sizeof(hole_at), "127.0.0.2:%u", listener_at(s.l).port);
	hole_make(&h, hole_at);
	before = open_fds();
	req = to_name("Two", listener_at(s.l).port);
	req.opts = &eager;
	dial(&k, l, r, &req);
	assert_int_equal(k.res.err, 0);
	snprintf(hole_at, sizeof(hole_at), "127.0.0.1:%u", listener_at(s.l).port);
	assert_string_equal(ipport_text(&k.res.remote, text, sizeof(text)), hole_at);
	turn_until(l, s.n);
	assert_int_equal(open_fds(), before + 2);
	stream_close(k.res.stream, 0);

	/* One at a time, with the first one silent: the whole is silent. */
	const struct conf_sockopt one = {.happy = {.delay_ms = 10, .max_concurrent = 1}};

	req.opts = &one;
	req.timeout_ms = 60;
	dial(&k, l, r, &req);
	assert_int_equal(k.res.err, -ERR_TIMEOUT);
	snprintf(hole_at, sizeof(hole_at), "dial tcp Two:%u: i/o timeout", listener_at(s.l).port);
	assert_string_equal(k.why, hole_at);
	hole_close(&h);
	serve_end(&s);
	resolver_free(r);
	loop_free(l);
}

static void refused_address_gives_way(void **state)
{
	struct loop *l = loop_new(0);
	struct resolver *r = resolver_new(l, &(struct resolve_setup){.rules = &rules});
	struct listen_spec spec = {.at = at("127.0.0.1:0")};
	struct connect_req req;
	struct server s;
	struct client k;
	struct ipport p;
	int deaf;

	(void)state;
	serve(&s, l, &spec);
	req = to_name("six-four", listener_at(s.l).port);
	dial(&k, l, r, &req); /* no stagger has to pass */
	assert_int_equal(k.res.err, 0);
	stream_close(k.res.stream, 0);
	turn_until(l, s.n);
	/* sendThrough of one family leaves the other's addresses out. */
	ip_parse(&req.local, span_str("127.0.0.5"));
	dial(&k, l, r, &req);
	assert_int_equal(k.res.err, 0);
	assert_true(ip_eq(&k.res.local.ip, &req.local));
	stream_close(k.res.stream, 0);
	/* All refuse: that is the verdict. */
	deaf = deaf_port(&p);
	req = to_name("two", p.port);
	dial(&k, l, r, &req);
	assert_int_equal(k.res.err, -ERR_REFUSED);
	close(deaf);
	req = to_name("nowhere.invalid", 1);
	dial(&k, l, NULL, &req);
	assert_int_equal(k.res.err, -ERR_RESOLVE);
	serve_end(&s);
	resolver_free(r);
	loop_free(l);
}

struct not_one {
	struct connect_gate gate;
	struct ip ip;
	int asked;
};

static bool not_one_may(struct connect_gate *g, const struct ipport *to)
{
	struct not_one *n = container_of(g, struct not_one, gate);

	n->asked++;
	return !ip_eq(&n->ip, &to->ip);
}

/* What a rule forbids is not dialled, whatever the name says; the rest is. */
static void gate_keeps_addresses_out(void **state)
{
	struct loop *l = loop_new(0);
	struct resolver *r = resolver_new(l, &(struct resolve_setup){.rules = &rules});
	struct listen_spec spec = {.at = at("127.0.0.1:0")};
	struct not_one g = {.gate.may = not_one_may};
	struct connect_req req;
	struct server s;
	struct client k;

	(void)state;
	serve(&s, l, &spec);
	req = to_name("two", listener_at(s.l).port);
	req.gate = &g.gate;
	req.tries = 5;
	ip_parse(&g.ip, span_str("127.0.0.2"));
	dial(&k, l, r, &req);
	assert_int_equal(k.res.err, 0);
	assert_int_equal(g.asked, 2);
	stream_close(k.res.stream, 0);
	turn_until(l, s.n);
	req = to(listener_at(s.l));
	req.gate = &g.gate;
	req.tries = 5;
	g.ip = req.to.ip;
	g.asked = 0;
	dial(&k, l, r, &req);
	assert_int_equal(k.res.err, -ERR_BLOCKED);
	assert_int_equal(g.asked, 1);
	serve_end(&s);
	resolver_free(r);
	loop_free(l);
}

static char dir[] = "/tmp/garenne-unit-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void unix_names(void **state)
{
	struct sock_unix u;

	(void)state;
	assert_int_equal(sock_unix_parse(&u, "/run/x.sock,0640"), 0);
	assert_string_equal(u.sa.sun_path, "/run/x.sock");
	assert_int_equal(u.mode, 0640);
	assert_int_equal(sock_unix_parse(&u, "/run/x.sock"), 0);
	assert_int_equal(u.mode, -1);
	assert_int_equal(sock_unix_parse(&u, "@ab"), 0);
	assert_memory_equal(u.sa.sun_path, "\0ab", 3);
	assert_int_equal(u.len, offsetof(struct sockaddr_un, sun_path) + 3);
	assert_int_equal(sock_unix_parse(&u, "@@ab"), 0);
	assert_memory_equal(u.sa.sun_path, "\0ab\0", 4);
	assert_int_equal(u.len, sizeof(u.sa));
	assert_int_equal(sock_unix_parse(&u, "/x,0999"), -ERR_MALFORMED);
	assert_int_equal(sock_unix_parse(&u, "/x,7777"), -ERR_MALFORMED);
	assert_int_equal(sock_unix_parse(&u, "/x,"), -ERR_MALFORMED);
	assert_int_equal(sock_unix_parse(&u, "@"), -ERR_MALFORMED);
	assert_int_equal(sock_unix_parse(&u, ""), -ERR_MALFORMED);
}

static void unix_dial(struct loop *l, struct server *s, const char *path)
{
	struct connect_req req = {.path = path};
	struct client k;
	int before = s->n;

	dial(&k, l, NULL, &req);
	assert_int_equal(k.res.err, 0);
	turn_until(l, s->n > before); /* a newcomer's look at the file counts, too */
	assert_int_equal(s->last.peer.ip.family, 0);
	stream_close(k.res.stream, 0);
}

static void unix_files(void **state)
{
	struct loop *l = loop_new(0);
	char path[64], with_mode[80], why[NET_WHY_MAX], expected[NET_WHY_MAX];
	struct listen_spec spec = {.path = with_mode};
	struct connect_req req = {.path = path};
	struct server s;
	struct client k;
	struct sock_unix u;
	struct sock_fail f;
	struct stat st;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(with_mode, sizeof(with_mode), "%s,0612", path);
	dial(&k, l, NULL, &req);
	assert_int_equal(k.res.err, -ERR_REFUSED);
	snprintf(expected, sizeof(expected), "dial unix %s: connect: no such file or directory",
		 path);
	assert_string_equal(k.why, expected);

	/* What a dead process left behind. */
	assert_int_equal(sock_unix_parse(&u, path), 0);
	fd = sock_unix_dial(&f);
	assert_int_equal(bind(fd, (struct sockaddr *)&u.sa, u.len), 0);
	close(fd);
	serve(&s, l, &spec);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0612);
	unix_dial(l, &s, path);

	/* One that is alive stays. */
	assert_null(listener_new(l, &spec, &s.user, why));
	snprintf(expected, sizeof(expected), "listen unix %s: bind: address already in use",
		 with_mode);
	assert_string_equal(why, expected);
	unix_dial(l, &s, path);
	serve_end(&s);
	assert_int_equal(stat(path, &st), -1);

	/* A file that is no socket is nobody's to remove. */
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_null(listener_new(l, &spec, &s.user, why));
	assert_int_equal(unlink(path), 0);
	loop_free(l);
}

static void unix_abstract(void **state)
{
	struct loop *l = loop_new(0);
	char name[64];
	struct listen_spec spec = {.path = name};
	struct server s;

	(void)state;
	snprintf(name, sizeof(name), "@@garenne-unit-%ld", (long)getpid());
	serve(&s, l, &spec);
	unix_dial(l, &s, name);
	serve_end(&s);
	loop_free(l);
}

/* connect(2) on a unix socket whose listener is busy says EAGAIN and leaves nothing to wait for. */
static void unix_queue_full(void **state)
{
	struct loop *l = loop_new(0);
	struct client k = {.user.on_connect = on_connect};
	struct connect_req req;
	struct sock_unix u;
	struct sock_fail f;
	char name[64];
	int fd, busy[2], got;

	(void)state;
	snprintf(name, sizeof(name), "@garenne-busy-%ld", (long)getpid());
	assert_int_equal(sock_unix_parse(&u, name), 0);
	fd = sock_unix_dial(&f);
	assert_int_equal(bind(fd, (struct sockaddr *)&u.sa, u.len), 0);
	assert_int_equal(listen(fd, 0), 0);
	busy[0] = sock_unix_dial(&f);
	busy[1] = -1;
	assert_int_equal(connect(busy[0], (struct sockaddr *)&u.sa, u.len), 0);
	req = (struct connect_req){.path = name, .timeout_ms = 50};
	dial(&k, l, NULL, &req);
	assert_int_equal(k.res.err, -ERR_TIMEOUT);
	req.timeout_ms = 0;
	k.n = 0;
	assert_non_null(connect_start(l, NULL, &req, &k.user));
	turn_idle(l);
	got = accept(fd, NULL, NULL);
	turn_until(l, k.n);
	assert_int_equal(k.res.err, 0);
	stream_close(k.res.stream, 0);
	close(got);
	close(busy[0]);
	close(fd);
	loop_free(l);
}

static void listener_sleeps_when_told(void **state)
{
	struct loop *l = loop_new(0);
	struct listen_spec spec = {.at = at("127.0.0.1:0")};
	struct connect_req req;
	struct client a, b;
	struct server s;

	(void)state;
	serve(&s, l, &spec);
	s.user.may_accept = may_accept;
	s.allowed = 1;
	req = to(listener_at(s.l));
	dial(&a, l, NULL, &req);
	dial(&b, l, NULL, &req); /* the kernel answers */
	turn_idle(l);
	assert_int_equal(s.n, 1);
	s.asked = 0;
	turn_idle(l);
	assert_int_equal(s.asked, 0); /* asleep, not spinning */
	s.allowed = 2;
	listener_wake(s.l);
	turn_until(l, s.n == 2);
	stream_close(a.res.stream, 0);
	stream_close(b.res.stream, 0);
	serve_end(&s);
	loop_free(l);
}

static void no_descriptors_left(void **state)
{
	struct loop *l = loop_new(0);
	struct listen_spec spec = {.at = at("127.0.0.1:0")};
	struct rlimit old, tight;
	struct connect_req req;
	struct server s;
	struct client k;
	char c;
	int top;

	(void)state;
	serve(&s, l, &spec);
	req = to(listener_at(s.l));
	dial(&k, l, NULL, &req);
	turn_until(l, s.n == 1);
	stream_close(k.res.stream, 0);
	k.n = 0;
	assert_non_null(connect_start(l, NULL, &req, &k.user));
	top = dup(0);
	close(top);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	tight = old;
	tight.rlim_cur = (rlim_t)top + 1; /* one more: the client's own socket */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	turn_until(l, k.n);
	assert_int_equal(k.res.err, 0);
	/* The newcomer sees an end, it does not hang; and the listener works again afterwards. */
	turn_until(l, recv(stream_tcp_fd(k.res.stream), &c, 1, 0) != -1 || errno != EAGAIN);
	assert_int_equal(s.n, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	stream_close(k.res.stream, 0);
	dial(&k, l, NULL, &req);
	turn_until(l, s.n == 2);
	stream_close(k.res.stream, 0);
	serve_end(&s);
	loop_free(l);
}

static void listener_closed_in_callback(struct listener_user *u, struct listener *l,
					const struct accepted *a)
{
	struct server *s = container_of(u, struct server, user);

	close(a->fd);
	s->n++;
	listener_close(l);
}

static void closing_from_inside(void **state)
{
	struct loop *l = loop_new(0);
	struct listen_spec spec = {.at = at("127.0.0.1:0")};
	struct connect_req req;
	struct client a, b;
	struct server s;

	(void)state;
	serve(&s, l, &spec);
	s.user.on_accept = listener_closed_in_callback;
	req = to(listener_at(s.l));
	a = b = (struct client){.user.on_connect = on_connect};
	connect_start(l, NULL, &req, &a.user);
	connect_start(l, NULL, &req, &b.user);
	turn_until(l, a.n && b.n && s.n);
	turn_idle(l);
	assert_int_equal(s.n, 1);
	stream_close(a.res.stream, 0);
	stream_close(b.res.stream, 0);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_are_told),
		cmocka_unit_test(options_are_set),
		cmocka_unit_test(fast_open_carries_bytes),
		cmocka_unit_test(contradicting_keepalive),
		cmocka_unit_test(interface_must_exist),
		cmocka_unit_test(port_is_exclusive),
		cmocka_unit_test(wildcard_has_both_families),
		cmocka_unit_test(refusal_is_told_at_once),
		cmocka_unit_test(second_try_succeeds),
		cmocka_unit_test(silence_times_out),
		cmocka_unit_test(silent_address_is_overtaken),
		cmocka_unit_test(refused_address_gives_way),
		cmocka_unit_test(gate_keeps_addresses_out),
		cmocka_unit_test(unix_names),
		cmocka_unit_test_setup_teardown(unix_files, make_dir, remove_dir),
		cmocka_unit_test(unix_abstract),
		cmocka_unit_test(unix_queue_full),
		cmocka_unit_test(listener_sleeps_when_told),
		cmocka_unit_test(no_descriptors_left),
		cmocka_unit_test(closing_from_inside),
	};

	return cmocka_run_group_tests_name("connect", tests, NULL, NULL);
}
