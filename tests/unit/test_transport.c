/* From an accepted socket to a ready stream: PROXY headers, TLS, slots, ends. */
#include "tls_kit.h"

#include "net/stream_front.h"
#include "net/transport.h"

static struct kit_cert cert;
static struct conf_cert served;
static struct conf_pin pin;
static struct conf_tls server_tls, client_tls;

struct visit {
	struct transport_user user;
	bool done;
	struct stream *s;
	int err;
	char why[300], sni[64], alpn[16], source[80], local[80];
	unsigned version;
	bool proxied;
};

static void on_ready(struct transport_user *u, struct stream *s, const struct transport_info *info,
		     int err, const char *why)
{
	struct visit *v = container_of(u, struct visit, user);

	assert_false(v->done);
	v->done = true;
	v->s = s;
	v->err = err;
	snprintf(v->why, sizeof(v->why), "%s", why ? why : "");
	if (!s)
		return;
	assert_int_equal(s->wanted, 0);
	snprintf(v->sni, sizeof(v->sni), "%s", info->sni);
	snprintf(v->alpn, sizeof(v->alpn), "%s", info->alpn);
	ipport_text(&info->source, v->source, sizeof(v->source));
	ipport_text(&info->local, v->local, sizeof(v->local));
	v->version = info->tls_version;
	v->proxied = info->proxied;
}

static struct ipport port_of(const char *text)
{
	struct addr a;
	struct ipport p;

	assert_int_equal(addr_parse(&a, span_str(text)), 0);
	assert_true(addr_to_ipport(&a, &p));
	return p;
}

static void visit_start(struct visit *v, struct transport_server *t, struct stream *lower)
{
	struct ipport source = port_of("192.0.2.1:1000"), local = port_of("192.0.2.2:443");

	memset(v, 0, sizeof(*v));
	v->user.on_ready = on_ready;
	transport_server_accept(t, lower, &source, &local, &v->user);
}

static struct transport_server *server(const struct conf_stream *c)
{
	char why[TRANSPORT_WHY_MAX];
	struct transport_server *t = transport_server_new(c, why);

	assert_non_null(t);
	return t;
}

static void assert_reads(struct loop *l, struct stream *s, const char *text)
{
	struct bufq q = {NULL, NULL, 0};
	size_t n = strlen(text);

	kit_until(l, (stream_read(s, &q, 1000), q.len >= n));
	assert_int_equal(q.len, n);
	assert_memory_equal(bufq_pullup(&q, n).p, text, n);
	bufq_clear(&q);
}

static void nothing_to_do(void **state)
{
	const struct conf_stream c = {.security = CONF_SEC_NONE};
	struct transport_server *t = server(&c);
	struct loop *l = loop_new(0);
	struct visit v;
	int fds[2];

	(void)state;
	kit_pair(fds);
	visit_start(&v, t, stream_tcp_new(l, fds[0]));
	assert_true(v.done);
	assert_true(stream_tcp_fd(v.s) >= 0);
	assert_string_equal(v.source, "192.0.2.1:1000");
	assert_string_equal(v.local, "192.0.2.2:443");
	assert_false(v.proxied);
	stream_close(v.s, 0);
	close(fds[1]);
	kit_loop_free(l);
	transport_server_free(t);
}

static const char v1[] = "PROXY TCP4 198.51.100.7 203.0.113.9 5555 443\r\n";
static const char v1_unknown[] = "PROXY UNKNOWN\r\n";
static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24"
			 "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
			 "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x15\xb3\1\xbb";

static const struct {
	const char *bytes;
	size_t n;
	const char *source, *local;
	bool proxied;
} proxy_headers[] = {
	{v1, sizeof(v1) - 1, "198.51.100.7:5555", "203.0.113.9:443", true},
	{v1_unknown, sizeof(v1_unknown) - 1, "192.0.2.1:1000", "192.0.2.2:443", false},
	{v2, sizeof(v2) - 1, "[2001:db8::1]:5555", "[2001:db8::2]:443", true},
};

/* The header alone, with what follows, and cut in two at every byte. */
static void proxy_header_without_tls(void **state)
{
	const struct conf_stream c = {.security = CONF_SEC_NONE, .accept_proxy = true};
	struct transport_server *t = server(&c);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (size_t cut = 1; cut <= proxy_headers[i].n + 5; cut++) {
			struct loop *l = loop_new(0);
			char bytes[200];
			struct visit v;
			int fds[2];

			memcpy(bytes, proxy_headers[i].bytes, proxy_headers[i].n);
			memcpy(bytes + proxy_headers[i].n, "hello", 5);
			kit_pair(fds);
			assert_int_equal(write(fds[1], bytes, cut), cut);
			visit_start(&v, t, stream_tcp_new(l, fds[0]));
			assert_false(v.done);
			for (int k = 0; k < 3; k++)
				kit_turn(l);
			assert_int_equal(v.done, cut >= proxy_headers[i].n);
			if (cut < proxy_headers[i].n + 5)
				assert_true(write(fds[1], bytes + cut,
						  proxy_headers[i].n + 5 - cut) > 0);
			kit_until(l, v.done);
			assert_int_equal(v.err, 0);
			assert_string_equal(v.source, proxy_headers[i].source);
			assert_string_equal(v.local, proxy_headers[i].local);
			assert_int_equal(v.proxied, proxy_headers[i].proxied);
			assert_reads(l, v.s, "hello");
			v.s = stream_unwrap(v.s);
			assert_true(stream_tcp_fd(v.s) >= 0);
			assert_int_equal(write(fds[1], "more", 4), 4);
			assert_reads(l, v.s, "more");
			stream_close(v.s, 0);
			close(fds[1]);
			kit_loop_free(l);
		}
	}
	transport_server_free(t);
}

static void proxy_header_missing(void **state)
{
	const struct conf_stream c = {.security = CONF_SEC_NONE, .accept_proxy = true};
	static const struct {
		const char *bytes;
		int err;
	} t[] = {{"GET / HTTP/1.1\r\n", -ERR_MALFORMED}, {"PROXY TCP4 1.2", -ERR_RESET},
		 {"", -ERR_RESET}};
	struct transport_server *ts = server(&c);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct loop *l = loop_new(0);
		struct visit v;
		int fds[2];

		kit_pair(fds);
		if (*t[i].bytes)
			assert_true(write(fds[1], t[i].bytes, strlen(t[i].bytes)) > 0);
		shutdown(fds[1], SHUT_WR);
		visit_start(&v, ts, stream_tcp_new(l, fds[0]));
		kit_until(l, v.done);
		assert_null(v.s);
		assert_int_equal(v.err, t[i].err);
		assert_true(*v.why);
		assert_int_equal(transport_server_busy(ts, 0), 0);
		close(fds[1]);
		kit_loop_free(l);
	}
	transport_server_free(ts);
}

/* A PROXY header in one segment with the client hello, then TLS. */
static void proxy_header_then_tls(void **state)
{
	const struct conf_stream c = {
		.security = CONF_SEC_TLS, .tls = &server_tls, .accept_proxy = true};
	struct transport_server *t = server(&c);
	struct loop *l = loop_new(0);
	struct kit_peer p;
	struct visit v;
	int fds[2];

	(void)state;
	kit_pair(fds);
	assert_int_equal(write(fds[1], v1, sizeof(v1) - 1), sizeof(v1) - 1);
	kit_peer_init(&p, fds[1], false, 11, NULL);
	SSL_CTX_set_alpn_protos(p.ctx, (const unsigned char *)"\2h2", 3);
	kit_peer_start(&p, false);
	kit_peer_sni(&p, "Some.Test");
	kit_peer_step(&p);
	visit_start(&v, t, stream_tcp_new(l, fds[0]));
	assert_int_equal(transport_server_busy(t, 0), 1);
	kit_until_peer(l, &p, v.done);
	assert_int_equal(v.err, 0);
	assert_int_equal(transport_server_busy(t, 0), 0);
	assert_string_equal(v.source, "198.51.100.7:5555");
	assert_string_equal(v.sni, "some.test");
	assert_string_equal(v.alpn, "h2");
	assert_int_equal(v.version, 0x304);
	stream_close(v.s, 0);
	kit_peer_free(&p);
	kit_loop_free(l);
	transport_server_free(t);
}

static void client_meets_server(void **state)
{
	const struct conf_stream sc = {.security = CONF_SEC_TLS, .tls = &server_tls};
	const struct conf_stream cc = {.security = CONF_SEC_TLS, .tls = &client_tls};
	struct transport_server *t = server(&sc);
	char why[TRANSPORT_WHY_MAX];
	struct transport_client *k = transport_client_new(&cc, why);
	struct loop *l = loop_new(0);
	struct visit v, w = {.user = {on_ready}};
	struct bufq q = {NULL, NULL, 0};
	int fds[2];

	(void)state;
	transport_server_watch(t, l, NULL, NULL);
	kit_pair(fds);
	visit_start(&v, t, stream_tcp_new(l, fds[0]));
	assert_non_null(transport_client_start(k, stream_tcp_new(l, fds[1]), "x.test", &w.user));
	kit_until(l, v.done && w.done);
	assert_int_equal(v.err + w.err, 0);
	assert_string_equal(v.sni, "x.test");
	assert_string_equal(w.alpn, "h2");
	bufq_append(&q, span_str("hi"));
	assert_int_equal(stream_write(w.s, &q), 2);
	assert_reads(l, v.s, "hi");
	stream_close(v.s, 0);
	stream_close(w.s, 0);
	transport_server_unwatch(t);
	kit_loop_free(l);
	transport_client_free(k);
	transport_server_free(t);
}

static void client_without_security(void **state)
{
	const struct conf_stream c = {.security = CONF_SEC_NONE};
	char why[TRANSPORT_WHY_MAX];
	struct transport_client *k = transport_client_new(&c, why);
	struct loop *l = loop_new(0);
	struct visit w = {.user = {on_ready}};
	struct transport_dial *d;
	int fds[2];

	(void)state;
	kit_pair(fds);
	d = transport_client_start(k, stream_tcp_new(l, fds[0]), "x", &w.user);
	assert_false(w.done); /* never from inside */
	kit_until(l, w.done);
	assert_true(stream_tcp_fd(w.s) >= 0);
	stream_close(w.s, 0);
	close(fds[1]);
	w.done = false;
	kit_pair(fds);
	d = transport_client_start(k, stream_tcp_new(l, fds[0]), "x", &w.user);
	transport_cancel(d);
	for (int i = 0; i < 3; i++)
		kit_turn(l);
	assert_false(w.done);
	close(fds[1]);
	kit_loop_free(l);
	transport_client_free(k);
}

static void client_is_cancelled(void **state)
{
	const struct conf_stream c = {.security = CONF_SEC_TLS, .tls = &client_tls};
	char why[TRANSPORT_WHY_MAX];
	struct transport_client *k = transport_client_new(&c, why);
	struct visit w = {.user = {on_ready}};

	(void)state;
	for (int turns = 0; turns < 3; turns++) {
		struct loop *l = loop_new(0);
		struct transport_dial *d;
		int fds[2];

		kit_pair(fds);
		d = transport_client_start(k, stream_tcp_new(l, fds[0]), "x", &w.user);
		for (int i = 0; i < turns; i++)
			kit_turn(l);
		transport_cancel(d);
		close(fds[1]);
		kit_loop_free(l);
		assert_false(w.done);
	}
	transport_client_free(k);
}

static void bad_settings(void **state)
{
	const struct conf_tls none = kit_conf();
	const struct conf_stream c = {.security = CONF_SEC_TLS, .tls = &none};
	char why[TRANSPORT_WHY_MAX];

	(void)state;
	assert_null(transport_server_new(&c, why));
	assert_non_null(strstr(why, "at least one"));
}

/* ---- strangers that say nothing, on streams without a socket ---- */

struct silent {
	struct stream s;
	int *closed;
};

static ssize_t silent_read(struct stream *s, struct bufq *into, size_t max)
{
	(void)s;
	(void)into;
	(void)max;
	return 0;
}

static ssize_t silent_write(struct stream *s, struct bufq *from)
{
	(void)s;
	(void)from;
	return 0;
}

static void silent_want(struct stream *s, unsigned events)
{
	s->wanted = events;
}

static void silent_shutdown(struct stream *s)
{
	(void)s;
}

static void silent_destroy(struct garbage *g)
{
	free(container_of(container_of(g, struct stream, garbage), struct silent, s));
}

static void silent_close(struct stream *s, int err)
{
	(void)err;
	++*container_of(s, struct silent, s)->closed;
	stream_dispose(s, silent_destroy);
}

static const struct stream_ops silent_ops = {.name = "silent",
					     .read = silent_read,
					     .write = silent_write,
					     .want = silent_want,
					     .shutdown = silent_shutdown,
					     .close = silent_close};

static struct stream *silent_new(struct loop *l, int *closed)
{
	struct silent *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->closed = closed;
	stream_init(&s->s, &silent_ops, l);
	return &s->s;
}

static void oldest_makes_room(void **state)
{
	enum { EXTRA = 10, ALL = TRANSPORT_SLOTS + EXTRA };
	struct conf_stream c = {.security = CONF_SEC_TLS, .tls = &server_tls};
	struct visit *v = calloc(ALL, sizeof(*v));

	(void)state;
	for (int proxy = 0; proxy < 2; proxy++) {
		struct loop *l = loop_new(3);
		struct transport_server *t;
		int closed = 0;

		c.accept_proxy = proxy;
		t = server(&c);
		for (int i = 0; i < ALL; i++)
			visit_start(&v[i], t, silent_new(l, &closed));
		assert_int_equal(transport_server_busy(t, 3), TRANSPORT_SLOTS);
		assert_int_equal(transport_server_busy(t, 0), 0);
		for (int i = 0; i < ALL; i++)
			assert_false(v[i].done); /* not from inside */
		kit_turn(l);
		for (int i = 0; i < ALL; i++) {
			assert_int_equal(v[i].done, i < EXTRA);
			assert_int_equal(v[i].err, i < EXTRA ? -ERR_LIMIT : 0);
		}
		assert_int_equal(closed, EXTRA);
		/* the loop goes: so do they */
		loop_free(l);
		for (int i = EXTRA; i < ALL; i++)
			assert_int_equal(v[i].err, -ERR_CLOSED);
		assert_int_equal(closed, ALL);
		transport_server_free(t);
	}
	free(v);
	assert_int_equal(buf_live(), 0);
}

static int group_setup(void **state)
{
	struct kit_cert_spec spec = {.cn = "x.test", .san = "DNS:x.test"};
	struct log_setup off = {.level = LOG_NONE, .access_off = true};

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_open(&off);
	cert = kit_cert_make(&spec);
	served = kit_conf_cert(&cert, CONF_CERT_SERVE);
	pin = kit_pin(&cert);
	server_tls = client_tls = kit_conf();
	server_tls.certs = &served;
	server_tls.n_certs = 1;
	client_tls.pins = &pin;
	client_tls.n_pins = 1;
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	kit_cert_free(&cert);
	buf_thread_exit();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_to_do),
		cmocka_unit_test(proxy_header_without_tls),
		cmocka_unit_test(proxy_header_missing),
		cmocka_unit_test(proxy_header_then_tls),
		cmocka_unit_test(client_meets_server),
		cmocka_unit_test(client_without_security),
		cmocka_unit_test(client_is_cancelled),
		cmocka_unit_test(bad_settings),
		cmocka_unit_test(oldest_makes_room),
	};

	return cmocka_run_group_tests_name("transport", tests, group_setup, group_teardown);
}
