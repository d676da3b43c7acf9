/*
 * Vision between two real TLS streams: the switch in both directions and in one,
 * what a client says that has nothing to say, blocks and records, pressure, ends.
 */
#include "tls_kit.h"

#include "base/buf.h"
#include "crypto/rand.h"
#include "proto/vision.h"
#include "proto/vless.h"
#include "proxy/vision_stream.h"
#include "proxy/vless_stream.h"

#define HEAD "REQUEST!"

static struct kit_cert cert;
static struct conf_pin pin;
static const uint32_t seed[4] = {900, 500, 900, 256};
static const struct uuid id = {"0123456789abcde"};

/* Two ends. Each is a TLS stream, or the layers of VLESS and Vision on it. */
struct pair {
	struct loop *l;
	struct conf_tls cconf, sconf;
	struct conf_cert served;
	struct tls_ctx *client, *server;
	struct kit_end c, s;
	int fds[2];
};

static void pair_open(struct pair *p, bool generic)
{
	char why[TLS_CTX_WHY_MAX];

	memset(p, 0, sizeof(*p));
	p->l = loop_new(0);
	p->served = kit_conf_cert(&cert, CONF_CERT_SERVE);
	p->cconf = p->sconf = kit_conf();
	p->sconf.certs = &p->served;
	p->sconf.n_certs = 1;
	p->cconf.pins = &pin;
	p->cconf.n_pins = 1;
	p->cconf.server_name = "hub.test";
	p->cconf.session_resumption = p->sconf.session_resumption = generic;
	p->client = tls_ctx_new_client(&p->cconf, why);
	p->server = tls_ctx_new_server(&p->sconf, why);
	assert_non_null(p->client);
	assert_non_null(p->server);
	kit_pair(p->fds);
	kit_end_init(&p->c, p->l, 10);
	kit_end_init(&p->s, p->l, 11);
	p->c.paused = p->s.paused = true;
	kit_end_client(&p->c, p->fds[0], p->client, "ignored.test");
	kit_end_server(&p->s, p->fds[1], p->server);
	kit_until(p->l, p->c.finished && p->s.finished);
	stream_want(p->c.s, 0);
	stream_want(p->s.s, 0);
}

static void end_vision(struct kit_end *e, bool client, uint32_t lonely_ms)
{
	static const uint8_t response[] = {0, 0};
	struct vless_side side = {.head = client ? span_str(HEAD) :
						   span_of(response, sizeof(response)),
				  .client = client};
	struct vision_side vision = {.id = &id, .seed = seed, .lonely_ms = client ? lonely_ms : 0};
	struct stream *tls = e->s, *vless = vless_stream_new(tls, NULL, &side);
	char room[VISION_WHY_MAX];

	assert_null(vision_stream_refusal(tls, room));
	assert_string_equal(vision_stream_refusal(vless, room),
			    "XTLS only supports TLS and REALITY directly for now.");
	e->s = vision_stream_new(vless, tls, &vision);
	assert_true(vision_stream_is(e->s));
	stream_attach(e->s, &e->user);
	stream_want(e->s, 0);
}

/* Bytes to the other end, which gets exactly them. */
static void say(struct pair *p, struct kit_end *from, struct kit_end *to, struct span s)
{
	struct bufq out = {NULL, NULL, 0}, in = {NULL, NULL, 0};
	uint8_t *got = malloc(s.n + 1);

	assert_int_equal(bufq_append(&out, s), 0);
	while (in.len < s.n) {
		if (!bufq_empty(&out))
			assert_true(stream_write(from->s, &out) >= 0);
		assert_true(stream_read(to->s, &in, STREAM_READ_MAX) >= 0);
		kit_turn(p->l);
	}
	assert_true(bufq_empty(&out));
	assert_int_equal(bufq_peek(&in, got, s.n + 1), s.n);
	assert_memory_equal(got, s.p, s.n);
	bufq_clear(&in);
	free(got);
}

/* The server takes the request's header off, as its inbound would. */
static void take_head(struct pair *p)
{
	struct stream *tls = p->s.s;
	struct bufq in = {NULL, NULL, 0};
	struct vless_side side = {.head = span_of("\0\0", 2)};
	struct vision_side vision = {.id = &id, .seed = seed};
	uint8_t head[sizeof(HEAD) - 1];

	stream_tls_single(tls, true);
	kit_until(p->l, stream_read(tls, &in, STREAM_READ_MAX) != 0);
	assert_int_equal(bufq_peek(&in, head, sizeof(head)), sizeof(head));
	assert_memory_equal(head, HEAD, sizeof(head));
	bufq_drop(&in, sizeof(head));
	p->s.s = vision_stream_new(vless_stream_new(tls, &in, &side), tls, &vision);
	stream_attach(p->s.s, &p->s.user);
	stream_want(p->s.s, 0);
}

static void pair_close(struct pair *p)
{
	stream_close(p->c.s, 0);
	stream_close(p->s.s, 0);
	kit_loop_free(p->l);
	tls_ctx_free(p->client);
	tls_ctx_free(p->server);
}

static size_t put_record(uint8_t *at, unsigned type, size_t len)
{
	memset(at, 0xa5, len + 5);
	at[0] = (uint8_t)type;
	at[1] = at[2] = 3;
	at[3] = (uint8_t)(len >> 8);
	at[4] = (uint8_t)len;
	return len + 5;
}

static size_t put_hello(uint8_t *at, bool server)
{
	static const uint8_t versions[] = {0, 0x2b, 0, 2, 3, 4};
	size_t n = put_record(at, 22, 122);

	at[5] = server ? 2 : 1;
	at[43] = 32;
	at[76] = 0x13;
	at[77] = 1;
	memcpy(at + 84, versions, sizeof(versions));
	return n;
}

/* Both hellos and the client's answer: what is left is for application data to do. */
static void greet(struct pair *p)
{
	struct bufq q = {NULL, NULL, 0};
	uint8_t b[256];
	size_t n = put_hello(b, false);

	bufq_append(&q, span_of(b, n));
	kit_until(p->l, stream_write(p->c.s, &q) > 0);
	assert_true(bufq_empty(&q));
	take_head(p);
	kit_until(p->l, stream_read(p->s.s, &q, STREAM_READ_MAX) > 0);
	assert_int_equal(q.len, n);
	bufq_clear(&q);
	say(p, &p->s, &p->c, span_of(b, put_hello(b, true)));
	say(p, &p->c, &p->s, span_of(b, put_record(b, 20, 1)));
}

static void bulk(struct pair *p, struct kit_end *from, struct kit_end *to)
{
	enum { LEN = 300000 };
	uint8_t *b = malloc(LEN);

	rand_fill(b, LEN);
	say(p, from, to, span_of(b, LEN));
	free(b);
}

/* One end's layers are gone and the socket is left. */
static void assert_bare(struct kit_end *e)
{
	e->s = stream_unwrap(e->s);
	assert_true(stream_tcp_fd(e->s) >= 0);
	stream_attach(e->s, &e->user);
}

static void both_directions_leave_tls(void **state)
{
	(void)state;
	for (int generic = 0; generic < 2; generic++) {
		struct pair p;
		uint8_t b[128];

		pair_open(&p, generic);
		end_vision(&p.c, true, 0);
		greet(&p);
		assert_ptr_equal(stream_unwrap(p.c.s), p.c.s);
		say(&p, &p.c, &p.s, span_of(b, put_record(b, 23, 40)));
		assert_int_equal(stream_fd(p.c.s, STREAM_WRITE), p.fds[0]);
		assert_int_equal(stream_fd(p.c.s, STREAM_READ), -1);
		bulk(&p, &p.c, &p.s);
		assert_int_equal(stream_fd(p.s.s, STREAM_READ), p.fds[1]);
		assert_int_equal(stream_fd(p.s.s, STREAM_WRITE), -1);
		say(&p, &p.s, &p.c, span_str("not TLS")); /* padded still, also while half raw */
		say(&p, &p.s, &p.c, span_of(b, put_record(b, 23, 40)));
		bulk(&p, &p.s, &p.c);
		assert_bare(&p.c);
		assert_bare(&p.s);
		bulk(&p, &p.c, &p.s);
		bulk(&p, &p.s, &p.c);
		/* The end of a raw direction is the end of the socket's. */
		stream_shutdown(p.c.s);
		{
			struct bufq q = {NULL, NULL, 0};
			ssize_t n = 0;

			kit_until(p.l, (n = stream_read(p.s.s, &q, 100)) != 0);
			assert_int_equal(n, -ERR_EOF);
		}
		pair_close(&p);
	}
}

/* Raw bytes that come in one piece with the last block. */
static void bytes_right_behind_the_switch(void **state)
{
	struct bufq q = {NULL, NULL, 0};
	struct pair p;
	uint8_t b[128];
	size_t n, sent;

	(void)state;
	pair_open(&p, false);
	end_vision(&p.c, true, 0);
	greet(&p);
	n = put_record(b, 23, 40);
	bufq_append(&q, span_of(b, n));
	assert_int_equal(stream_write(p.c.s, &q), n);
	for (sent = n; sent < n + 20000; sent += 100) { /* all of it before the reader looks */
		bufq_append(&q, span_of(b, 100));
		assert_int_equal(stream_write(p.c.s, &q), 100);
	}
	while (q.len < sent)
		assert_true(stream_read(p.s.s, &q, 777) >= 0);
	for (size_t i = 0; i < sent; i += i < n ? n : 100) {
		uint8_t got[128];
		size_t len = i < n ? n : 100;

		bufq_peek(&q, got, len);
		assert_memory_equal(got, b, len);
		bufq_drop(&q, len);
	}
	pair_close(&p);
}

static void plain_bytes_stay_inside(void **state)
{
	struct pair p;
	struct bufq q = {NULL, NULL, 0};

	(void)state;
	pair_open(&p, false);
	end_vision(&p.c, true, 0);
	bufq_append(&q, span_str("GET / HTTP/1.1"));
	kit_until(p.l, stream_write(p.c.s, &q) > 0);
	take_head(&p);
	kit_until(p.l, stream_read(p.s.s, &q, 100) > 0);
	bufq_clear(&q);
	for (int i = 0; i < 5; i++) {
		say(&p, &p.s, &p.c, span_str("answer"));
		say(&p, &p.c, &p.s, span_str("more"));
	}
	bulk(&p, &p.s, &p.c);
	bulk(&p, &p.c, &p.s);
	p.c.s = stream_unwrap(p.c.s);
	p.s.s = stream_unwrap(p.s.s);
	assert_true(stream_is_tls(p.c.s) && stream_is_tls(p.s.s));
	bulk(&p, &p.s, &p.c);
	pair_close(&p);
}

static void a_silent_client_sends_padding(void **state)
{
	struct pair p;
	struct bufq q = {NULL, NULL, 0};
	uint8_t b[sizeof(HEAD) - 1 + VISION_FIRST_LEN];

	(void)state;
	pair_open(&p, false);
	end_vision(&p.c, true, 1);
	kit_until(p.l, stream_read(p.s.s, &q, STREAM_READ_MAX) != 0);
	assert_in_range(q.len, sizeof(b) + 900, sizeof(b) + 1399);
	bufq_peek(&q, b, sizeof(b));
	assert_memory_equal(b, HEAD, sizeof(HEAD) - 1);
	assert_memory_equal(b + sizeof(HEAD) - 1, id.b, UUID_LEN);
	assert_memory_equal(b + sizeof(HEAD) - 1 + UUID_LEN, "\0\0\0", 3);
	bufq_clear(&q);
	pair_close(&p);
}

/* The reader is a bare TLS stream: every record begins with a block. */
static void each_block_is_a_record(void **state)
{
	enum { LEN = 200000 };
	static uint8_t zeros[LEN];
	struct bufq out = {NULL, NULL, 0}, in = {NULL, NULL, 0};
	struct vision_rx rx;
	size_t got = 0;
	bool first = true;
	struct pair p;

	(void)state;
	zeros[0] = 22; /* a ClientHello, so that padding goes on */
	memcpy(zeros, "\x16\3\1\2\0\1", 6);
	pair_open(&p, false);
	end_vision(&p.c, true, 0);
	stream_tls_single(p.s.s, true);
	vision_rx_init(&rx, &id);
	bufq_append(&out, span_of(zeros, LEN));
	while (!vision_rx_done(&rx)) {
		ssize_t n;

		assert_true(stream_write(p.c.s, &out) >= 0);
		n = stream_read(p.s.s, &in, STREAM_READ_MAX);
		assert_true(n >= 0);
		if (n > 0) {
			if (first)
				bufq_drop(&in, sizeof(HEAD) - 1);
			assert_int_equal(rx.state, first ? VISION_RX_START : VISION_RX_HEADER);
			first = false;
		}
		while (!bufq_empty(&in) && !vision_rx_done(&rx)) {
			bool content;

			n = vision_rx_step(&rx, bufq_pullup(&in, in.len), &content);
			assert_true(n > 0);
			got += content ? (size_t)n : 0;
			bufq_drop(&in, (size_t)n);
		}
		kit_turn(p.l);
	}
	assert_true(bufq_empty(&in));
	assert_int_equal(rx.state, VISION_RX_PLAIN);
	assert_in_range(got, 1, LEN);
	bufq_clear(&out);
	pair_close(&p);
}

/* Nobody reads; what was taken is delivered although the writer has closed. */
static void closing_delivers_what_was_taken(void **state)
{
	enum { LEN = 60000 };
	static uint8_t b[LEN];
	struct bufq out = {NULL, NULL, 0}, in = {NULL, NULL, 0};
	struct vision_rx rx;
	size_t got = 0;
	struct pair p;
	int small = 1;
	ssize_t n;

	(void)state;
	memcpy(b, "\x16\3\1\2\0\1", 6);
	pair_open(&p, false);
	assert_int_equal(setsockopt(p.fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	end_vision(&p.c, true, 0);
	bufq_append(&out, span_of(b, LEN));
	n = stream_write(p.c.s, &out);
	assert_true(n > 20000);
	bufq_clear(&out);
	stream_close(p.c.s, 0);
	p.c.s = NULL;
	vision_rx_init(&rx, &id);
	for (bool first = true;;) {
		ssize_t m = stream_read(p.s.s, &in, STREAM_READ_MAX);

		if (m == -ERR_EOF)
			break;
		assert_true(m >= 0);
		if (m > 0 && first)
			bufq_drop(&in, sizeof(HEAD) - 1);
		first = first && m == 0;
		while (!bufq_empty(&in)) {
			bool content;
			ssize_t k = vision_rx_step(&rx, bufq_pullup(&in, in.len), &content);

			assert_true(k >= 0);
			if (k == 0)
				break;
			got += content ? (size_t)k : 0;
			bufq_drop(&in, (size_t)k);
		}
		kit_turn(p.l);
	}
	assert_int_equal(got, n);
	pair_close(&p);
}

/* A peer's first words after its response, and how they are taken. */
static void odd_peers(void **state)
{
	static const struct {
		const char *wire;
		size_t n;
		int err; /* after the content */
		const char *content;
		bool ends;
	} t[] = {
		{"hello", 5, -ERR_EOF, "hello", true},
		{"0123456789abcde\0\7\0\0\0\0", 21, -ERR_MALFORMED, "", false},
		{"0123456789abcde\0\0\0\5\0\0abc", 24, -ERR_RESET, "abc", true},
		{"0123456789abcde\0\0\0", 18, -ERR_RESET, "", true},
		{"0123456789abcde\0\0\0\3\0\2abc\0", 25, -ERR_EOF, "abc", true},
		{"0123456789abcde\0\1\0\3\0\0abcdef", 27, -ERR_EOF, "abcdef", true},
		{"0123", 4, -ERR_EOF, "0123", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct bufq q = {NULL, NULL, 0};
		uint8_t got[64];
		struct pair p;
		ssize_t n;

		pair_open(&p, false);
		end_vision(&p.c, true, 0);
		bufq_append(&q, span_of("\0\0", 2));
		bufq_append(&q, span_of(t[i].wire, t[i].n));
		kit_until(p.l, (stream_write(p.s.s, &q), bufq_empty(&q)));
		if (t[i].ends)
			stream_shutdown(p.s.s);
		do {
			n = stream_read(p.c.s, &q, 64);
			kit_turn(p.l);
		} while (n >= 0);
		assert_int_equal(n, t[i].err);
		assert_int_equal(bufq_peek(&q, got, sizeof(got)), strlen(t[i].content));
		assert_memory_equal(got, t[i].content, strlen(t[i].content));
		if (n != -ERR_EOF)
			assert_non_null(stream_why(p.c.s));
		bufq_clear(&q);
		pair_close(&p);
	}
}

static int setup(void **state)
{
	struct kit_cert_spec spec = {.cn = "hub.test", .san = "DNS:hub.test"};

	(void)state;
	cert = kit_cert_make(&spec);
	pin = kit_pin(&cert);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kit_cert_free(&cert);
	buf_thread_exit();
	return buf_live() != 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_directions_leave_tls),
		cmocka_unit_test(bytes_right_behind_the_switch),
		cmocka_unit_test(plain_bytes_stay_inside),
		cmocka_unit_test(a_silent_client_sends_padding),
		cmocka_unit_test(each_block_is_a_record),
		cmocka_unit_test(closing_delivers_what_was_taken),
		cmocka_unit_test(odd_peers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
