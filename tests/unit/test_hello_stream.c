/*
 * A browser's hello through the whole of tls_client_start: streams that carry
 * data both ways, servers that close or lie, and the visit to a real site.
 */
#include "tls_kit.h"

#include <openssl/x509_vfy.h>

#include "net/spider.h"
#include "net/tls_conn.h"
#include "proto/h2.h"

static struct kit_cert ca, cert;
static struct conf_cert root, served;

static int make_certs(void **state)
{
	(void)state;
	ca = kit_cert_make(&(struct kit_cert_spec){.cn = "root", .ca = true});
	cert = kit_cert_make(
		&(struct kit_cert_spec){.cn = "a", .san = "DNS:hub.test", .issuer = &ca});
	root = kit_conf_cert(&ca, CONF_CERT_VERIFY);
	served = kit_conf_cert(&cert, CONF_CERT_SERVE);
	return 0;
}

static int free_certs(void **state)
{
	(void)state;
	kit_cert_free(&ca);
	kit_cert_free(&cert);
	return 0;
}

struct two {
	struct loop *loop;
	struct conf_tls client_conf, server_conf;
	struct tls_ctx *client, *server;
	struct kit_end near, far;
	int fds[2];
};

static void two_init(struct two *t, const char *fingerprint)
{
	char why[TLS_CTX_WHY_MAX];

	memset(t, 0, sizeof(*t));
	t->loop = loop_new(0);
	t->client_conf = kit_conf();
	t->client_conf.fingerprint = fingerprint;
	t->client_conf.certs = &root;
	t->client_conf.n_certs = 1;
	t->server_conf = kit_conf();
	t->server_conf.certs = &served;
	t->server_conf.n_certs = 1;
	t->client = tls_ctx_new_client(&t->client_conf, why);
	t->server = tls_ctx_new_server(&t->server_conf, why);
	assert_non_null(t->client);
	assert_non_null(t->server);
	kit_pair(t->fds);
	kit_end_init(&t->near, t->loop, 4);
	kit_end_init(&t->far, t->loop, 5);
}

static void two_free(struct two *t)
{
	kit_end_close(&t->near, 0);
	kit_end_close(&t->far, 0);
	kit_turn(t->loop);
	kit_loop_free(t->loop);
	tls_ctx_free(t->client);
	tls_ctx_free(t->server);
	assert_int_equal(buf_live(), 0);
}

static void transfers(void **state)
{
	static const char *const prints[] = {"chrome", "firefox", "safari", "ios"};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct two t;

		two_init(&t, prints[i]);
		t.near.to_send = 3000000;
		t.far.to_send = 1000000;
		t.near.shut_after = t.far.shut_after = true;
		kit_end_client(&t.near, t.fds[0], t.client, "hub.test");
		kit_end_server(&t.far, t.fds[1], t.server);
		kit_until(t.loop, (t.near.eof && t.far.eof) || t.near.err || t.far.err);
		assert_int_equal(t.near.err, 0);
		assert_true(t.near.fast);
		assert_int_equal(t.near.version, 0x0304);
		assert_string_equal(t.near.alpn, "h2");
		assert_string_equal(t.far.sni, "hub.test");
		assert_int_equal(t.far.received, 3000000);
		assert_int_equal(t.near.received, 1000000);
		assert_int_equal(t.near.wrong + t.far.wrong, 0);
		two_free(&t);
	}
}

static void not_the_name(void **state)
{
	struct two t;

	(void)state;
	two_init(&t, "chrome");
	kit_end_client(&t.near, t.fds[0], t.client, "other.test");
	kit_end_server(&t.far, t.fds[1], t.server);
	kit_until(t.loop, t.near.finished && (t.far.finished || t.far.read_err));
	assert_int_equal(t.near.err, -ERR_TLS);
	assert_non_null(strstr(t.near.why, "not other.test"));
	two_free(&t);
}

static void closed_at_once(void **state)
{
	struct two t;

	(void)state;
	two_init(&t, "chrome");
	kit_end_client(&t.near, t.fds[0], t.client, "hub.test");
	close(t.fds[1]);
	kit_until(t.loop, t.near.finished);
	assert_int_equal(t.near.err, -ERR_RESET);
	two_free(&t);
}

static void cancelled(void **state)
{
	struct two t;

	(void)state;
	two_init(&t, "chrome");
	kit_end_client(&t.near, t.fds[0], t.client, "hub.test");
	for (int i = 0; i < 3; i++)
		kit_turn(t.loop);
	two_free(&t); /* cancels what is under way */
	close(t.fds[1]);
}

/* ---- the real site ---- */

struct site {
	struct tls_user done;
	struct stream_user user;
	struct stream *s;
	struct bufq got;
	bool eof;
};

static void site_event(struct stream_user *u, struct stream *s, unsigned events)
{
	struct site *w = container_of(u, struct site, user);

	(void)events;
	if (stream_read(s, &w->got, 65536) < 0)
		w->eof = true;
	stream_want(s, w->eof ? 0 : STREAM_READ);
}

static void site_done(struct tls_user *u, struct stream *s, const struct tls_info *info, int err,
		      const char *why)
{
	struct site *w = container_of(u, struct site, done);

	(void)info;
	(void)err;
	(void)why;
	assert_non_null(s);
	w->s = s;
	w->user.on_event = site_event;
	stream_attach(s, &w->user);
	stream_want(s, STREAM_READ);
}

/* A client of REALITY with a key that the site does not know; @alpn: what the site speaks. */
static void visit_with(const struct conf_spider *spider, const char *fingerprint, const char *alpn,
		       struct site *w, struct two *t)
{
	static const char *names[1];
	static struct conf_reality_client conf;
	char why[TLS_CTX_WHY_MAX];

	conf = (struct conf_reality_client){.server_name = "hub.test",
					    .fingerprint = fingerprint,
					    .key = {9},
					    .spider = *spider,
					    .master_key_log = ""};
	memset(w, 0, sizeof(*w));
	two_init(t, "chrome");
	tls_ctx_free(t->client);
	t->client = tls_ctx_new_reality(&conf, why);
	assert_non_null(t->client);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(t->client->client), ca.x);
	tls_ctx_free(t->server);
	names[0] = alpn;
	t->server_conf.alpn = (struct conf_strs){names, 1};
	t->server = tls_ctx_new_server(&t->server_conf, why);
	w->done.on_done = site_done;
	kit_end_client(&t->near, t->fds[0], t->client, "hub.test");
	assert_non_null(
		tls_server_start(stream_tcp_new(t->loop, t->fds[1]), NULL, t->server, &w->done));
	kit_until(t->loop, t->near.finished && w->got.len > 0);
	assert_int_equal(t->near.err, -ERR_AUTH);
	assert_non_null(strstr(t->near.why, "REALITY: received real certificate"));
	assert_null(t->near.s);
}

static void visit(const char *fingerprint, const char *alpn, struct site *w, struct two *t)
{
	const struct conf_spider spider = {.path = "/x", .padding = {30, 30}};

	visit_with(&spider, fingerprint, alpn, w, t);
}

static void visit_end(struct site *w, struct two *t)
{
	stream_close(w->s, 0);
	bufq_clear(&w->got);
	for (int i = 0; i < 5; i++)
		kit_turn(t->loop);
	two_free(t);
}

static void visited_by_http1(void **state)
{
	struct site w;
	struct two t;
	struct span s;

	(void)state;
	visit("firefox", "http/1.1", &w, &t);
	s = bufq_pullup(&w.got, w.got.len);
	assert_memory_equal(s.p, "GET /x HTTP/1.1\r\nHost: hub.test\r\n", 33);
	assert_non_null(memmem(s.p, s.n, "Firefox/", 8));
	assert_non_null(memmem(s.p, s.n, "padding=000000000000000000000000000000\r\n", 40));
	visit_end(&w, &t);
}

/* The next request on a new stream: its path, Referer and cookie are literals in the frame. */
static struct span next_request(struct site *w, struct two *t, struct h2_frame *f)
{
	for (;;) {
		ssize_t n = h2_frame_decode(f, bufq_pullup(&w->got, w->got.len));

		if (n > 0 && f->type == H2_HEADERS)
			return f->payload;
		if (n > 0)
			bufq_drop(&w->got, (size_t)n);
		else
			kit_turn(t->loop);
	}
}

static void send_page(struct site *w, uint32_t stream, const char *text)
{
	uint8_t b[256];
	struct wr o = wr_of(b, sizeof(b));
	struct bufq q = {NULL, NULL, 0};

	wr_bytes(&o, "\0\0\1\1\4", 5); /* HEADERS: ":status: 200" */
	wr_u32(&o, stream);
	wr_u8(&o, 0x88);
	wr_u8(&o, 0);
	wr_u16(&o, (unsigned)strlen(text));
	wr_u16(&o, H2_DATA << 8 | H2_END_STREAM);
	wr_u32(&o, stream);
	wr_bytes(&o, text, strlen(text));
	bufq_append(&q, span_of(b, o.n));
	assert_int_equal(stream_write(w->s, &q), o.n);
}

static bool has(struct span s, const char *text)
{
	return memmem(s.p, s.n, text, strlen(text)) != NULL;
}

/* A first page with one link, then three more pages of two workers, one request a stream. */
static void crawled_by_h2(void **state)
{
	const struct conf_spider spider = {.path = "/start",
					   .padding = {3, 3},
					   .concurrency = {2, 2},
					   .times = {2, 2},
					   .interval = {1, 1}};
	uint32_t stream = 1;
	struct h2_frame f;
	struct site w;
	struct two t;

	(void)state;
	visit_with(&spider, "chrome", "h2", &w, &t);
	bufq_drop(&w.got, 24);
	for (int i = 0; i < 5; i++) {
		struct span s = next_request(&w, &t, &f);

		assert_int_equal(f.stream, stream);
		assert_true(has(s, "/start") || has(s, "/linked"));
		assert_false(has(s, "/picture.png"));
		assert_true(has(s, "padding=000"));
		assert_int_equal(has(s, "referer"), i > 0);
		assert_int_equal(has(s, "https://hub.test/"), i > 0);
		assert_int_equal(has(s, "same-origin"), i > 0);
		bufq_drop(&w.got, f.payload.n + H2_HEADER_LEN);
		send_page(&w, stream, "<a href=\"/linked\">x</a> <img href=\"/picture.png\">");
		stream += 2;
	}
	for (int i = 0; i < 20; i++)
		kit_turn(t.loop);
	assert_false(w.eof); /* nothing more, and nobody hangs up */
	assert_int_equal(w.got.len, 0);
	visit_end(&w, &t);
}

/* The user hears of it when some time has passed, or never when he has lost interest. */
static void told_late(void **state)
{
	const struct conf_spider spider = {.path = "/", .delay = {50, 50}};
	struct site w;
	struct two t;

	(void)state;
	visit_with(&spider, "chrome", "h2", &w, &t);
	visit_end(&w, &t);
}

/* The preface, then frames; our settings are answered. */
static void visited_by_h2(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	static const uint8_t settings[] = {0, 0, 0, H2_SETTINGS, 0, 0, 0, 0, 0};
	struct h2_frame f = {.type = 99};
	struct site w;
	struct two t;
	struct bufq q = {NULL, NULL, 0};
	unsigned seen = 0, acks = 0;

	(void)state;
	visit("chrome", "h2", &w, &t);
	bufq_append(&q, span_of(settings, sizeof(settings)));
	assert_int_equal(stream_write(w.s, &q), sizeof(settings));
	assert_memory_equal(bufq_pullup(&w.got, 24).p, preface, 24);
	bufq_drop(&w.got, 24);
	while (acks == 0) {
		ssize_t n = h2_frame_decode(&f, bufq_pullup(&w.got, w.got.len));

		if (n <= 0) {
			kit_turn(t.loop);
			continue;
		}
		seen |= 1u << f.type;
		acks += f.type == H2_SETTINGS && (f.flags & H2_ACK);
		bufq_drop(&w.got, (size_t)n);
	}
	assert_int_equal(seen, 1u << H2_SETTINGS | 1u << H2_HEADERS | 1u << H2_WINDOW_UPDATE);
	visit_end(&w, &t);
}

/* A visit that is still going on when the loop ends. */
static void visited_at_the_end(void **state)
{
	struct site w;
	struct two t;

	(void)state;
	visit("safari", "h2", &w, &t);
	stream_close(w.s, 0);
	bufq_clear(&w.got);
	two_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transfers),	      cmocka_unit_test(not_the_name),
		cmocka_unit_test(closed_at_once),     cmocka_unit_test(cancelled),
		cmocka_unit_test(visited_by_http1),   cmocka_unit_test(visited_by_h2),
		cmocka_unit_test(crawled_by_h2),
		cmocka_unit_test(told_late),
		cmocka_unit_test(visited_at_the_end),
	};
	struct log_setup off = {.level = LOG_NONE, .access_off = true};

	log_open(&off);
	return cmocka_run_group_tests(tests, make_certs, free_certs);
}
