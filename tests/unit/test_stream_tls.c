/* TLS streams: both engines with each other and with OpenSSL, cut, closed, moved, left. */
#include "tls_kit.h"

#include "base/buf.h"
#include "net/tls_engine.h"

static struct kit_cert cert;
static struct conf_pin pin;

/* What the two contexts of a test are made of. */
struct setup {
	struct loop *l;
	struct conf_tls cconf, sconf;
	struct conf_cert served;
	struct tls_ctx *client, *server;
};

static void setup_conf(struct setup *u)
{
	memset(u, 0, sizeof(*u));
	u->l = loop_new(0);
	u->served = kit_conf_cert(&cert, CONF_CERT_SERVE);
	u->cconf = u->sconf = kit_conf();
	u->sconf.certs = &u->served;
	u->sconf.n_certs = 1;
	u->cconf.pins = &pin;
	u->cconf.n_pins = 1;
	u->cconf.server_name = "hub.test";
}

static void setup_ctx(struct setup *u)
{
	char why[TLS_CTX_WHY_MAX];

	u->client = tls_ctx_new_client(&u->cconf, why);
	u->server = tls_ctx_new_server(&u->sconf, why);
	assert_non_null(u->client);
	assert_non_null(u->server);
}

static void setup_end(struct setup *u)
{
	kit_loop_free(u->l);
	tls_ctx_free(u->client);
	tls_ctx_free(u->server);
}

static void connect_ends(struct setup *u, struct kit_end *c, struct kit_end *s)
{
	int fds[2];

	kit_pair(fds);
	kit_end_client(c, fds[0], u->client, "ignored.test");
	kit_end_server(s, fds[1], u->server);
	kit_until(u->l, c->finished && s->finished);
	assert_string_equal(c->why, "");
	assert_string_equal(s->why, "");
}

static void finish_ends(struct kit_end *c, struct kit_end *s)
{
	assert_int_equal(c->wrong + s->wrong, 0);
	kit_end_close(c, 0);
	kit_end_close(s, 0);
}

/* ---- our two ends, all engines ---- */

struct mix {
	enum conf_tls_version max;
	bool c_resume, s_resume; /* on: the generic engine */
	bool c_fast, s_fast;
};

static const struct mix mixes[] = {
	{CONF_TLS_1_3, false, false, true, true},  {CONF_TLS_1_3, true, false, false, true},
	{CONF_TLS_1_3, false, true, true, false},  {CONF_TLS_1_3, true, true, false, false},
	{CONF_TLS_1_2, false, false, false, false},
};

static void transfer(const struct mix *m, size_t chunk, size_t read_max, uint64_t amount)
{
	struct setup u;
	struct kit_end c, s;

	setup_conf(&u);
	u.cconf.max_version = u.sconf.max_version = m->max;
	u.cconf.session_resumption = m->c_resume;
	u.sconf.session_resumption = m->s_resume;
	setup_ctx(&u);
	kit_end_init(&c, u.l, 10);
	kit_end_init(&s, u.l, 11);
	c.chunk = chunk;
	s.chunk = chunk;
	c.read_max = s.read_max = read_max;
	c.to_send = amount;
	s.to_send = amount + 1234;
	c.shut_after = s.shut_after = true;
	connect_ends(&u, &c, &s);
	assert_int_equal(c.fast, m->c_fast);
	assert_int_equal(s.fast, m->s_fast);
	assert_int_equal(c.version, m->max == CONF_TLS_1_2 ? 0x303 : 0x304);
	assert_string_equal(s.sni, "hub.test");
	assert_string_equal(s.alpn, "h2");
	kit_until(u.l, c.eof && s.eof);
	assert_int_equal(c.received, s.to_send);
	assert_int_equal(s.received, c.to_send);
	finish_ends(&c, &s);
	setup_end(&u);
}

static void transfers(void **state)
{
	static const size_t chunks[] = {1, 77, 1400, 16384, 65536};
	static const size_t reads[] = {1, 700, 16384, 65536};

	(void)state;
	for (size_t m = 0; m < sizeof(mixes) / sizeof(mixes[0]); m++)
		for (size_t c = 0; c < 5; c++)
			for (size_t r = 0; r < 4; r++)
				transfer(&mixes[m], chunks[c], reads[r],
					 c == 0 || r == 0 ? 3000 : 300000);
}

static void empty_transfer(void **state)
{
	(void)state;
	for (size_t m = 0; m < sizeof(mixes) / sizeof(mixes[0]); m++)
		transfer(&mixes[m], 1, 1000, 0);
}

/* ---- OpenSSL on the other side ---- */

static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
				     "TLS_CHACHA20_POLY1305_SHA256"};

/* Our end is the client or the server; the peer updates its keys as it goes. */
static void with_peer(bool our_client, const char *suite, int version, int updates)
{
	struct setup u;
	struct kit_end e;
	struct kit_peer p;
	int fds[2], update_kinds[2] = {SSL_KEY_UPDATE_REQUESTED, SSL_KEY_UPDATE_NOT_REQUESTED};
	uint64_t next = 50000;

	setup_conf(&u);
	setup_ctx(&u);
	kit_pair(fds);
	kit_peer_init(&p, fds[1], our_client, 11, our_client ? &cert : NULL);
	SSL_CTX_set_max_proto_version(p.ctx, version);
	if (suite)
		SSL_CTX_set_ciphersuites(p.ctx, suite);
	kit_peer_start(&p, our_client);
	kit_end_init(&e, u.l, 10);
	e.to_send = 700000;
	p.to_send = 600000;
	e.shut_after = p.shut_after = true;
	e.chunk = 3000;
	if (our_client)
		kit_end_client(&e, fds[0], u.client, "hub.test");
	else
		kit_end_server(&e, fds[0], u.server);
	while (updates > 0) {
		kit_until_peer(u.l, &p, p.error || e.err || p.sent >= next);
		assert_int_equal(p.error, 0);
		SSL_key_update(p.ssl, update_kinds[updates-- % 2]);
		next += 50000;
	}
	kit_until_peer(u.l, &p, p.error || e.err || (p.eof && e.eof));
	assert_int_equal(p.error, 0);
	assert_int_equal(e.err, 0);
	assert_int_equal(e.fast, version == TLS1_3_VERSION);
	assert_int_equal(e.received, p.to_send);
	assert_int_equal(p.received, e.to_send);
	assert_int_equal(e.wrong + p.wrong, 0);
	kit_end_close(&e, 0);
	kit_peer_free(&p);
	setup_end(&u);
}

static void openssl_as_server(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		with_peer(true, suites[i], TLS1_3_VERSION, 0);
	with_peer(true, NULL, TLS1_2_VERSION, 0);
}

static void openssl_as_client(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		with_peer(false, suites[i], TLS1_3_VERSION, 0);
	with_peer(false, NULL, TLS1_2_VERSION, 0);
}

static void key_updates_from_openssl(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		with_peer(true, suites[i], TLS1_3_VERSION, 8);
		with_peer(false, suites[i], TLS1_3_VERSION, 8);
	}
}

/* ---- the way between cut to pieces ---- */

/* Passes bytes on between two sockets, at most @n at a time. */
static void forward(int from, int to, size_t n, bool *ended)
{
	uint8_t b[8192];
	ssize_t got, put;

	if (*ended)
		return;
	got = recv(from, b, n < sizeof(b) ? n : sizeof(b), MSG_PEEK);
	if (got == 0) {
		shutdown(to, SHUT_WR);
		*ended = true;
	}
	if (got <= 0)
		return;
	put = send(to, b, (size_t)got, MSG_NOSIGNAL);
	if (put > 0)
		assert_int_equal(recv(from, b, (size_t)put, 0), put);
}

static void cut_to_pieces(size_t n, uint64_t amount, enum conf_tls_version max)
{
	struct setup u;
	struct kit_end c, s;
	int a[2], b[2];
	bool end_ab = false, end_ba = false;

	setup_conf(&u);
	u.cconf.max_version = max;
	setup_ctx(&u);
	kit_pair(a);
	kit_pair(b);
	kit_end_init(&c, u.l, 10);
	kit_end_init(&s, u.l, 11);
	c.to_send = s.to_send = amount;
	c.shut_after = s.shut_after = true;
	kit_end_client(&c, a[0], u.client, "hub.test");
	kit_end_server(&s, b[0], u.server);
	alarm(120);
	while (!c.eof || !s.eof) {
		kit_turn(u.l);
		forward(a[1], b[1], n, &end_ab);
		forward(b[1], a[1], n, &end_ba);
		assert_true(buf_live() < 100); /* also when every byte comes alone */
		assert_int_equal(c.err + s.err, 0);
	}
	alarm(0);
	assert_int_equal(c.received, amount);
	assert_int_equal(s.received, amount);
	finish_ends(&c, &s);
	close(a[1]);
	close(b[1]);
	setup_end(&u);
}

static void pieces(void **state)
{
	static const size_t sizes[] = {1, 2, 3, 4, 5, 6, 7, 21, 22, 23, 1000, 4097};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		cut_to_pieces(sizes[i], sizes[i] < 100 ? 3000 : 200000, CONF_TLS_1_3);
		cut_to_pieces(sizes[i], sizes[i] < 100 ? 3000 : 200000, CONF_TLS_1_2);
	}
}

/* ---- ends of streams ---- */

static void half_close(void **state)
{
	(void)state;
	for (size_t m = 0; m < sizeof(mixes) / sizeof(mixes[0]); m++) {
		for (int first = 0; first < 2; first++) {
			struct setup u;
			struct kit_end c, s, *early = first ? &c : &s, *late = first ? &s : &c;

			setup_conf(&u);
			u.cconf.max_version = mixes[m].max;
			u.cconf.session_resumption = mixes[m].c_resume;
			u.sconf.session_resumption = mixes[m].s_resume;
			setup_ctx(&u);
			kit_end_init(&c, u.l, 10);
			kit_end_init(&s, u.l, 11);
			early->to_send = 10;
			early->shut_after = true;
			connect_ends(&u, &c, &s);
			kit_until(u.l, late->eof);
			assert_false(early->eof);
			/* the other direction has only begun */
			late->to_send = 200000;
			late->shut_after = true;
			kit_end_wants(late);
			kit_until(u.l, early->eof);
			assert_int_equal(early->received, 200000);
			assert_int_equal(late->received, 10);
			finish_ends(&c, &s);
			setup_end(&u);
		}
	}
}

/* A peer that closes its socket without close_notify: an end at a record's border, else broken. */
static void truncated(void **state)
{
	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		for (int inside = 0; inside < 2; inside++) {
			struct setup u;
			struct kit_end e;
			struct kit_peer p;
			int fds[2];

			setup_conf(&u);
			setup_ctx(&u);
			kit_pair(fds);
			kit_peer_init(&p, fds[1], false, 11, NULL);
			SSL_CTX_set_max_proto_version(p.ctx, version);
			kit_peer_start(&p, false);
			kit_end_init(&e, u.l, 10);
			p.to_send = 5000;
			kit_end_server(&e, fds[0], u.server);
			kit_until_peer(u.l, &p, e.received == 5000);
			if (inside)
				assert_int_equal(write(p.fd, "\x17\3\3\0\x40", 5 + 0), 5);
			close(p.fd);
			p.fd = -1;
			kit_until(u.l, e.eof || e.read_err);
			assert_int_equal(e.eof, !inside);
			assert_int_equal(e.read_err, inside ? -ERR_RESET : 0);
			if (inside)
				assert_non_null(strstr(e.why, "inside a TLS record"));
			kit_end_close(&e, 0);
			kit_peer_free(&p);
			setup_end(&u);
		}
	}
}

static void broken_record(void **state)
{
	struct setup u;
	struct kit_end e;
	struct kit_peer p;
	uint8_t junk[40] = {0x17, 3, 3, 0, 35};
	int fds[2];

	(void)state;
	setup_conf(&u);
	setup_ctx(&u);
	kit_pair(fds);
	kit_peer_init(&p, fds[1], false, 11, NULL);
	kit_peer_start(&p, false);
	kit_end_init(&e, u.l, 10);
	p.to_send = 5000;
	kit_end_server(&e, fds[0], u.server);
	kit_until_peer(u.l, &p, e.received == 5000);
	assert_int_equal(write(p.fd, junk, sizeof(junk)), sizeof(junk));
	kit_until(u.l, e.read_err);
	assert_int_equal(e.read_err, -ERR_TLS);
	assert_string_equal(e.why, "a record fails authentication");
	kit_until_peer(u.l, &p, p.error); /* it hears the alert */
	assert_int_equal(ERR_GET_REASON(p.reason), 1000 + SSL_AD_BAD_RECORD_MAC);
	kit_end_close(&e, -ERR_TLS);
	kit_peer_free(&p);
	setup_end(&u);
}

/* close(0) delivers what was taken, though the other end reads late. */
static void close_delivers(void **state)
{
	(void)state;
	for (size_t m = 0; m < sizeof(mixes) / sizeof(mixes[0]); m++) {
		struct setup u;
		struct kit_end c, s;
		uint64_t taken;

		setup_conf(&u);
		u.cconf.max_version = mixes[m].max;
		u.cconf.session_resumption = mixes[m].c_resume;
		u.sconf.session_resumption = mixes[m].s_resume;
		setup_ctx(&u);
		kit_end_init(&c, u.l, 10);
		kit_end_init(&s, u.l, 11);
		s.paused = true;
		connect_ends(&u, &c, &s);
		c.to_send = 10000000;
		kit_end_wants(&c);
		for (int i = 0; i < 200; i++)
			kit_turn(u.l);
		taken = c.sent - c.tx.len; /* the stream stopped taking */
		assert_true(taken > 0 && taken < 2000000);
		kit_end_close(&c, 0);
		assert_int_equal(s.received, 0);
		s.paused = false;
		kit_end_wants(&s);
		kit_until(u.l, s.eof);
		assert_int_equal(s.received, taken);
		finish_ends(&c, &s);
		setup_end(&u);
	}
}

/* The other end never reads: after a while the closed stream lets go. The loop ends it early. */
static void closing_is_bounded(void **state)
{
	struct setup u;
	struct kit_end c, s;

	(void)state;
	setup_conf(&u);
	setup_ctx(&u);
	kit_end_init(&c, u.l, 10);
	kit_end_init(&s, u.l, 11);
	s.paused = true;
	connect_ends(&u, &c, &s);
	c.to_send = 10000000;
	kit_end_wants(&c);
	for (int i = 0; i < 200; i++)
		kit_turn(u.l);
	kit_end_close(&c, 0);
	kit_end_close(&s, 0);
	setup_end(&u); /* nothing is left */
}

static void close_with_error(void **state)
{
	struct setup u;
	struct kit_end c, s;

	(void)state;
	setup_conf(&u);
	setup_ctx(&u);
	kit_end_init(&c, u.l, 10);
	kit_end_init(&s, u.l, 11);
	connect_ends(&u, &c, &s);
	kit_end_close(&c, -ERR_RESET);
	kit_until(u.l, s.eof || s.read_err);
	finish_ends(&c, &s);
	setup_end(&u);
}

/* ---- the contract of streams ---- */

static void idle_streams_hold_nothing(void **state)
{
	(void)state;
	for (size_t m = 0; m < sizeof(mixes) / sizeof(mixes[0]); m++) {
		struct setup u;
		struct kit_end c, s;

		setup_conf(&u);
		u.cconf.max_version = mixes[m].max;
		u.cconf.session_resumption = mixes[m].c_resume;
		u.sconf.session_resumption = mixes[m].s_resume;
		setup_ctx(&u);
		kit_end_init(&c, u.l, 10);
		kit_end_init(&s, u.l, 11);
		c.to_send = s.to_send = 100000;
		connect_ends(&u, &c, &s);
		kit_until(u.l, c.received == 100000 && s.received == 100000);
		for (int i = 0; i < 10; i++)
			kit_turn(u.l);
		assert_int_equal(buf_live(), 0);
		finish_ends(&c, &s);
		setup_end(&u);
	}
}

static int counted;

static void count_event(struct stream_user *u, struct stream *s, unsigned events)
{
	(void)u;
	(void)s;
	counted += (events & STREAM_READ) != 0;
}

/* While something is there and wanted, the event comes again; not wanting it silences. */
static void level_triggered(void **state)
{
	struct setup u;
	struct kit_end c, s;
	struct stream_user counter = {count_event};
	struct bufq q = {NULL, NULL, 0};

	(void)state;
	setup_conf(&u);
	setup_ctx(&u);
	kit_end_init(&c, u.l, 10);
	kit_end_init(&s, u.l, 11);
	s.paused = true;
	c.to_send = 3000;
	connect_ends(&u, &c, &s);
	stream_attach(s.s, &counter);
	stream_want(s.s, STREAM_READ);
	counted = 0;
	kit_until(u.l, counted >= 3);
	assert_int_equal(stream_read(s.s, &q, 1), 1); /* the rest lies decrypted inside */
	counted = 0;
	kit_until(u.l, counted >= 3);
	stream_want(s.s, 0);
	counted = 0;
	for (int i = 0; i < 10; i++)
		kit_turn(u.l);
	assert_int_equal(counted, 0);
	assert_int_equal(stream_read(s.s, &q, 10000), 2999);
	assert_int_equal(stream_read(s.s, &q, 10000), 0);
	bufq_clear(&q);
	stream_attach(s.s, &s.user);
	finish_ends(&c, &s);
	setup_end(&u);
}

static void moves_to_another_loop(void **state)
{
	(void)state;
	for (size_t m = 0; m < sizeof(mixes) / sizeof(mixes[0]); m++) {
		struct setup u;
		struct kit_end c, s;
		struct loop *other = loop_new(1);

		setup_conf(&u);
		u.cconf.max_version = mixes[m].max;
		u.cconf.session_resumption = mixes[m].c_resume;
		u.sconf.session_resumption = mixes[m].s_resume;
		setup_ctx(&u);
		kit_end_init(&c, u.l, 10);
		kit_end_init(&s, u.l, 11);
		c.to_send = s.to_send = 1000000;
		c.shut_after = s.shut_after = true;
		connect_ends(&u, &c, &s);
		kit_until(u.l, s.received > 100000);
		stream_want(s.s, 0);
		assert_int_equal(stream_move(s.s, other), 0);
		s.loop = other;
		kit_end_wants(&s);
		alarm(60);
		while (!c.eof || !s.eof) {
			kit_turn(u.l);
			kit_turn(other);
		}
		alarm(0);
		assert_int_equal(s.received, 1000000);
		assert_int_equal(c.received, 1000000);
		finish_ends(&c, &s);
		kit_turn(other);
		loop_free(other);
		setup_end(&u);
	}
}

/* ---- leaving TLS ---- */

/* Everything that can be read now. */
static size_t drain(struct stream *s, struct bufq *q)
{
	size_t sum = 0;
	ssize_t n;

	while ((n = stream_read(s, q, 65536)) > 0)
		sum += (size_t)n;
	return sum;
}

static void write_all(struct loop *l, struct stream *s, const char *text)
{
	struct bufq q = {NULL, NULL, 0};

	bufq_append(&q, span_str(text));
	kit_until(l, (stream_write(s, &q), bufq_empty(&q)));
}

/* The last record and raw bytes arrive together; none is lost, and both ends step out of TLS. */
static void leaves_for_raw_bytes(void **state)
{
	(void)state;
	for (size_t m = 0; m < sizeof(mixes) / sizeof(mixes[0]); m++) {
		struct setup u;
		struct kit_end c, s;
		struct bufq q = {NULL, NULL, 0};
		struct stream *bare;

		setup_conf(&u);
		u.cconf.max_version = mixes[m].max;
		u.cconf.session_resumption = mixes[m].c_resume;
		setup_ctx(&u);
		kit_end_init(&c, u.l, 10);
		kit_end_init(&s, u.l, 11);
		c.paused = s.paused = true;
		connect_ends(&u, &c, &s);
		write_all(u.l, c.s, "one");
		write_all(u.l, c.s, "last");
		stream_tls_raw_write(c.s);
		write_all(u.l, c.s, "raw bytes");
		stream_tls_single(s.s, true);
		kit_until(u.l, stream_read(s.s, &q, 100) > 0);
		assert_int_equal(q.len, 3);
		kit_until(u.l, stream_read(s.s, &q, 2) > 0); /* part of the last record */
		stream_tls_raw_read(s.s);
		kit_until(u.l, (drain(s.s, &q), q.len == 3 + 4 + 9));
		assert_memory_equal(bufq_pullup(&q, 16).p, "onelastraw bytes", 16);
		bufq_clear(&q);
		/* one direction is raw, the other still TLS */
		assert_ptr_equal(stream_unwrap(s.s), s.s);
		write_all(u.l, s.s, "answer");
		stream_tls_raw_write(s.s);
		write_all(u.l, s.s, "raw answer");
		stream_tls_single(c.s, true);
		kit_until(u.l, stream_read(c.s, &q, 100) > 0);
		assert_int_equal(q.len, 6);
		stream_tls_raw_read(c.s);
		kit_until(u.l, (drain(c.s, &q), q.len == 16));
		assert_memory_equal(bufq_pullup(&q, 16).p, "answerraw answer", 16);
		bufq_clear(&q);
		bare = stream_unwrap(s.s);
		assert_true(stream_tcp_fd(bare) >= 0);
		s.s = bare;
		c.s = stream_unwrap(c.s);
		assert_true(stream_tcp_fd(c.s) >= 0);
		write_all(u.l, c.s, "bare");
		kit_until(u.l, (drain(s.s, &q), q.len == 4));
		bufq_clear(&q);
		finish_ends(&c, &s);
		setup_end(&u);
	}
}

/* A peer that still reads TLS asks for new keys; nothing of ours may get among the raw bytes. */
static void raw_bytes_are_not_answered_into(void **state)
{
	(void)state;
	for (int generic = 0; generic < 2; generic++) {
		struct setup u;
		struct kit_end e;
		struct kit_peer p;
		struct bufq q = {NULL, NULL, 0};
		char got[64];
		int fds[2];

		setup_conf(&u);
		u.cconf.session_resumption = generic;
		setup_ctx(&u);
		kit_pair(fds);
		kit_peer_init(&p, fds[1], true, 11, &cert);
		kit_peer_start(&p, true);
		kit_end_init(&e, u.l, 10);
		e.paused = true;
		kit_end_client(&e, fds[0], u.client, "hub.test");
		kit_until_peer(u.l, &p, p.done && e.finished);
		assert_int_equal(e.fast, !generic);
		stream_tls_raw_write(e.s);
		write_all(u.l, e.s, "raw");
		SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED);
		assert_int_equal(SSL_write(p.ssl, "data", 4), 4);
		kit_until(u.l, (drain(e.s, &q), q.len == 4));
		bufq_clear(&q);
		write_all(u.l, e.s, "more");
		stream_shutdown(e.s);
		assert_int_equal(recv(fds[1], got, sizeof(got), 0), 7);
		assert_memory_equal(got, "rawmore", 7);
		assert_int_equal(recv(fds[1], got, sizeof(got), 0), 0);
		kit_end_close(&e, 0);
		kit_peer_free(&p);
		setup_end(&u);
	}
}

/* ---- handshakes that fail ---- */

static void garbage_to_server(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *why;
	} t[] = {
		{"GET / HTTP/1.1\r\n\r\n", 18, "plain HTTP"},
		{"\x16\3\1\0\4abcd", 9, ""},
		{"\x16\3\1\xff\xff", 5, "does not speak TLS"},
		{"\x80\x0e\1\3\1zzzzzzzzzzzzzzzz", 21, ""},
		{"\0\0\0\0\0\0\0\0", 8, "does not speak TLS"},
		{"\x15\3\1\0\2\2\x28", 7, ""},
		{"\x17\3\3\0\2xx", 7, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct setup u;
		struct kit_end s;
		int fds[2];

		setup_conf(&u);
		setup_ctx(&u);
		kit_pair(fds);
		kit_end_init(&s, u.l, 11);
		kit_end_server(&s, fds[0], u.server);
		assert_int_equal(write(fds[1], t[i].bytes, t[i].n), t[i].n);
		kit_until(u.l, s.finished);
		assert_null(s.s);
		assert_int_equal(s.err, -ERR_TLS);
		assert_true(*s.why);
		if (!strstr(s.why, t[i].why))
			fail_msg("%zu: %s", i, s.why);
		close(fds[1]);
		setup_end(&u);
	}
}

static void peer_goes_away(void **state)
{
	(void)state;
	for (int n = 0; n < 3; n++) {
		struct setup u;
		struct kit_end e;
		int fds[2];

		setup_conf(&u);
		setup_ctx(&u);
		kit_pair(fds);
		kit_end_init(&e, u.l, 11);
		if (n == 0)
			kit_end_client(&e, fds[0], u.client, "x");
		else
			kit_end_server(&e, fds[0], u.server);
		if (n == 2)
			assert_int_equal(write(fds[1], "\x16\3\1\2\0\1", 6), 6);
		shutdown(fds[1], SHUT_WR);
		kit_until(u.l, e.finished);
		assert_int_equal(e.err, -ERR_RESET);
		assert_non_null(strstr(e.why, "during the TLS handshake"));
		close(fds[1]);
		setup_end(&u);
	}
}

static void cancelled(void **state)
{
	(void)state;
	for (int turns = 0; turns < 4; turns++) {
		struct setup u;
		struct kit_end c, s;
		int fds[2];

		setup_conf(&u);
		setup_ctx(&u);
		kit_pair(fds);
		kit_end_init(&c, u.l, 10);
		kit_end_init(&s, u.l, 11);
		kit_end_client(&c, fds[0], u.client, "x");
		kit_end_server(&s, fds[1], u.server);
		for (int i = 0; i < turns; i++)
			kit_turn(u.l);
		kit_end_close(&c, -ERR_CLOSED);
		kit_end_close(&s, -ERR_CLOSED);
		setup_end(&u);
	}
}

static int group_setup(void **state)
{
	struct kit_cert_spec spec = {.cn = "hub.test", .san = "DNS:hub.test"};

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	cert = kit_cert_make(&spec);
	pin = kit_pin(&cert);
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
		cmocka_unit_test(transfers),
		cmocka_unit_test(empty_transfer),
		cmocka_unit_test(openssl_as_server),
		cmocka_unit_test(openssl_as_client),
		cmocka_unit_test(key_updates_from_openssl),
		cmocka_unit_test(pieces),
		cmocka_unit_test(half_close),
		cmocka_unit_test(truncated),
		cmocka_unit_test(broken_record),
		cmocka_unit_test(close_delivers),
		cmocka_unit_test(closing_is_bounded),
		cmocka_unit_test(close_with_error),
		cmocka_unit_test(idle_streams_hold_nothing),
		cmocka_unit_test(level_triggered),
		cmocka_unit_test(moves_to_another_loop),
		cmocka_unit_test(leaves_for_raw_bytes),
		cmocka_unit_test(raw_bytes_are_not_answered_into),
		cmocka_unit_test(garbage_to_server),
		cmocka_unit_test(peer_goes_away),
		cmocka_unit_test(cancelled),
	};

	return cmocka_run_group_tests_name("tls streams", tests, group_setup, group_teardown);
}
