/*
 * Our TLS 1.3 client against OpenSSL's server in memory, for every fingerprint,
 * suite and kind of certificate; then against a server that lies in all ways.
 */
#include "tls_kit.h"

#include <zlib.h>

#include "codec.h"
#include "crypto/mldsa65.h"
#include "net/tls13_client.h"
#include "net/tls_conn.h"
#include "net/tls_engine.h"
#include "proto/fingerprint.h"
#include "proto/reality.h"
#include "tls13_mini.h"

static struct kit_cert ca, ec, ec384, rsa, ed;
static struct conf_cert root;

static int make_certs(void **state)
{
	static const char san[] = "DNS:hub.test,IP:10.1.2.3";

	(void)state;
	ca = kit_cert_make(&(struct kit_cert_spec){.cn = "root", .ca = true});
	ec = kit_cert_make(&(struct kit_cert_spec){.cn = "a", .san = san, .issuer = &ca});
	ec384 = kit_cert_make(
		&(struct kit_cert_spec){.cn = "b", .san = san, .issuer = &ca, .key = "P-384"});
	rsa = kit_cert_make(
		&(struct kit_cert_spec){.cn = "c", .san = san, .issuer = &ca, .key = "RSA"});
	ed = kit_cert_make(
		&(struct kit_cert_spec){.cn = "d", .san = san, .issuer = &ca, .key = "ED25519"});
	root = kit_conf_cert(&ca, CONF_CERT_VERIFY);
	return 0;
}

static int free_certs(void **state)
{
	(void)state;
	kit_cert_free(&ca);
	kit_cert_free(&ec);
	kit_cert_free(&ec384);
	kit_cert_free(&rsa);
	kit_cert_free(&ed);
	return 0;
}

static struct conf_tls settings(const char *fingerprint)
{
	struct conf_tls c = kit_conf();

	c.fingerprint = fingerprint;
	c.certs = &root;
	c.n_certs = 1;
	return c;
}

/* Offers Ed25519, which no browser does. */
static void offer_ed25519(struct tls_ctx *x)
{
	static const uint8_t list[] = {0, 2, 8, 7};

	for (size_t i = 0; i < x->fp->n_extensions; i++)
		if (x->fp->extensions[i].type == TLS_EXT_SIGNATURES) {
			memcpy(x->fp->extensions[i].body, list, sizeof(list));
			x->fp->extensions[i].n = sizeof(list);
		}
}

/* ---- OpenSSL as the server ---- */

struct peer {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;
	int status; /* of the last SSL_do_handshake */
};

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *n,
		       const unsigned char *theirs, unsigned theirs_n, void *arg)
{
	const char *want = arg;

	(void)ssl;
	return SSL_select_next_proto((unsigned char **)(uintptr_t)out, n,
				     (const unsigned char *)want, (unsigned)strlen(want), theirs,
				     theirs_n) == OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_NOACK;
}

static void peer_init(struct peer *p, const struct kit_cert *c)
{
	memset(p, 0, sizeof(*p));
	p->ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(p->ctx, c->x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(p->ctx, c->key), 1);
	SSL_CTX_set_alpn_select_cb(p->ctx, choose_alpn, (void *)(uintptr_t) "\2h2");
}

static void peer_start(struct peer *p)
{
	p->ssl = SSL_new(p->ctx);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(p->in, -1);
	SSL_set_bio(p->ssl, p->in, p->out);
	SSL_set_accept_state(p->ssl);
}

static void peer_free(struct peer *p)
{
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	ERR_clear_error();
}

/* From the queue to OpenSSL. */
static void to_peer(struct peer *p, struct bufq *q)
{
	for (struct buf *b; (b = bufq_pop(q)) != NULL; buf_free(b))
		assert_int_equal(BIO_write(p->in, b->data, (int)b->len), b->len);
}

static size_t from_peer(struct peer *p, struct bufq *q)
{
	uint8_t b[65536];
	int n = BIO_read(p->out, b, sizeof(b));

	if (n > 0)
		assert_int_equal(bufq_append(q, span_of(b, (size_t)n)), 0);
	return n > 0 ? (size_t)n : 0;
}

/* Both until one has failed or both are done; each step of ours sees @bite bytes more (0: all). */
static int shake(struct tls13_client *c, struct peer *p, struct bufq *in, size_t bite)
{
	struct bufq out = {NULL, NULL, 0}, wire = {NULL, NULL, 0};
	int n = tls13_client_step(c, in, &out);

	while (n == 0) {
		to_peer(p, &out);
		p->status = SSL_do_handshake(p->ssl);
		from_peer(p, &wire);
		if (bufq_empty(&wire))
			break;
		while (n == 0 && !bufq_empty(&wire)) {
			bufq_move(in, &wire, bite ? bite : wire.len);
			n = tls13_client_step(c, in, &out);
		}
	}
	to_peer(p, &out);
	if (n == 1)
		bufq_move(in, &wire, wire.len);
	bufq_clear(&wire);
	p->status = SSL_do_handshake(p->ssl);
	return n;
}

/* Data both ways over the finished connection. */
static void talk(struct tls13_client *c, struct peer *p, struct bufq *in)
{
	int err;
	struct tls_engine *e = tls13_client_engine(c, &err);
	struct bufq out = {NULL, NULL, 0}, plain = {NULL, NULL, 0};
	char got[16] = "";

	assert_non_null(e);
	assert_int_equal(SSL_write(p->ssl, "down", 4), 4);
	from_peer(p, in);
	while (!bufq_empty(in)) /* tickets among it */
		assert_true(e->ops->open(e, in, &plain, &out) > 0);
	assert_int_equal(plain.len, 4);
	bufq_peek(&plain, got, 4);
	assert_string_equal(got, "down");
	bufq_clear(&plain);
	bufq_append(&plain, span_str("up"));
	assert_int_equal(e->ops->seal(e, &plain, &out), 2);
	to_peer(p, &out);
	assert_int_equal(SSL_read(p->ssl, got, sizeof(got)), 2);
	assert_memory_equal(got, "up", 2);
	bufq_clear(&plain);
	e->ops->free(e);
}

struct play {
	const char *fingerprint, *suite, *name;
	const struct kit_cert *cert;
	size_t bite;
};

static void play(const struct play *w)
{
	struct conf_tls conf = settings(w->fingerprint);
	char why[TLS_CTX_WHY_MAX];
	struct tls_ctx *x = tls_ctx_new_client(&conf, why);
	struct bufq in = {NULL, NULL, 0};
	struct tls13_client *c;
	struct peer p;
	int err;

	assert_non_null(x);
	if (w->cert == &ed)
		offer_ed25519(x);
	peer_init(&p, w->cert);
	SSL_CTX_set_ciphersuites(p.ctx, w->suite);
	peer_start(&p);
	c = tls13_client_new(x, w->name, &err);
	assert_non_null(c);
	err = shake(c, &p, &in, w->bite);
	if (err != 1)
		print_message("%s: %s\n", w->fingerprint, tls13_client_why(c));
	assert_int_equal(err, 1);
	assert_int_equal(p.status, 1);
	assert_string_equal(tls13_client_alpn(c), "h2");
	assert_string_equal(tls13_client_cipher(c), w->suite);
	if (strcmp(w->name, "hub.test") == 0)
		assert_string_equal(SSL_get_servername(p.ssl, TLSEXT_NAMETYPE_host_name), w->name);
	else
		assert_null(SSL_get_servername(p.ssl, TLSEXT_NAMETYPE_host_name));
	talk(c, &p, &in);
	bufq_clear(&in);
	tls13_client_free(c);
	peer_free(&p);
	tls_ctx_free(x);
}

static void all_kinds(void **state)
{
	static const char *const prints[] = {"chrome", "firefox", "safari", "ios"};
	static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
					     "TLS_CHACHA20_POLY1305_SHA256"};
	const struct kit_cert *const certs[] = {&ec, &ec384, &rsa, &ed};

	(void)state;
	for (size_t f = 0; f < 4; f++)
		for (size_t s = 0; s < 3; s++)
			for (size_t k = 0; k < 4; k++)
				play(&(struct play){prints[f], suites[s], "hub.test", certs[k], 0});
	play(&(struct play){"chrome", suites[0], "10.1.2.3", &ec, 0});
	play(&(struct play){"chrome", suites[1], "hub.test", &rsa, 1});
	play(&(struct play){"randomized", suites[1], "hub.test", &rsa, 7});
}

/* What a refused handshake says: to us, and the alert in the peer's error. */
static void refused(struct conf_tls *conf, const char *name, struct peer *p, const char *says,
		    int alert)
{
	char why[TLS_CTX_WHY_MAX];
	struct tls_ctx *x = tls_ctx_new_client(conf, why);
	struct bufq in = {NULL, NULL, 0};
	struct tls13_client *c;
	int err;

	assert_non_null(x);
	c = tls13_client_new(x, name, &err);
	peer_start(p);
	assert_true(shake(c, p, &in, 0) < 0);
	if (!strstr(tls13_client_why(c), says))
		print_message("%s\n", tls13_client_why(c));
	assert_non_null(strstr(tls13_client_why(c), says));
	if (alert)
		assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()),
				 SSL_AD_REASON_OFFSET + alert);
	bufq_clear(&in);
	tls13_client_free(c);
	peer_free(p);
	tls_ctx_free(x);
}

static void verification(void **state)
{
	struct conf_tls conf = settings("chrome");
	struct conf_pin pin = kit_pin(&ec);
	struct peer p;

	(void)state;
	peer_init(&p, &ec);
	refused(&conf, "other.test", &p,
		"certificate is valid for hub.test, 10.1.2.3, not other.test", 42);
	conf.n_certs = 0;
	peer_init(&p, &ec);
	refused(&conf, "hub.test", &p, "unknown authority", 48);
	conf.pins = &pin;
	conf.n_pins = 1;
	peer_init(&p, &rsa);
	refused(&conf, "hub.test", &p, "none of those in pinnedPeerCertSha256", 42);
}

static void old_server(void **state)
{
	struct conf_tls conf = settings("firefox");
	struct peer p;

	(void)state;
	peer_init(&p, &ec);
	SSL_CTX_set_max_proto_version(p.ctx, TLS1_2_VERSION);
	refused(&conf, "hub.test", &p, "the server wants TLS 1.2 or older", 70);
}

/* An alert of the server's has its words. */
static void nothing_in_common(void **state)
{
	struct conf_tls conf = settings("chrome");
	struct peer p;

	(void)state;
	peer_init(&p, &ed);
	refused(&conf, "hub.test", &p, "handshake failure", 0);
}

static void retried(void **state)
{
	static int groups[] = {NID_secp384r1, NID_secp521r1, NID_X9_62_prime256v1};
	static const char *const prints[] = {"chrome", "firefox", "ios"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct conf_tls conf = settings(prints[i]);
		char why[TLS_CTX_WHY_MAX];
		struct tls_ctx *x = tls_ctx_new_client(&conf, why);
		struct bufq in = {NULL, NULL, 0};
		struct tls13_client *c;
		struct peer p;
		int err;

		peer_init(&p, &ec);
		assert_int_equal(SSL_CTX_set1_groups(p.ctx, &groups[i], 1), 1);
		peer_start(&p);
		c = tls13_client_new(x, "hub.test", &err);
		assert_int_equal(shake(c, &p, &in, 3), 1);
		assert_int_equal(p.status, 1);
		talk(c, &p, &in);
		bufq_clear(&in);
		tls13_client_free(c);
		peer_free(&p);
		tls_ctx_free(x);
	}
}

/* We have no certificate to show, and say so. */
static void asked_for_certificate(void **state)
{
	struct conf_tls conf = settings("safari");
	char why[TLS_CTX_WHY_MAX];
	struct tls_ctx *x = tls_ctx_new_client(&conf, why);
	struct bufq in = {NULL, NULL, 0};
	struct tls13_client *c;
	struct peer p;
	int err;

	(void)state;
	peer_init(&p, &ec);
	SSL_CTX_set_verify(p.ctx, SSL_VERIFY_PEER, NULL);
	peer_start(&p);
	c = tls13_client_new(x, "hub.test", &err);
	assert_int_equal(shake(c, &p, &in, 0), 1);
	assert_int_equal(p.status, 1);
	talk(c, &p, &in);
	bufq_clear(&in);
	tls13_client_free(c);
	peer_free(&p);
	tls_ctx_free(x);
}

static void key_log(void **state)
{
	struct conf_tls conf = settings("chrome");
	char path[] = "/tmp/keylogXXXXXX", why[TLS_CTX_WHY_MAX], text[4096] = "";
	struct tls_ctx *x;
	struct bufq in = {NULL, NULL, 0};
	struct tls13_client *c;
	struct peer p;
	int err, fd = mkstemp(path);

	(void)state;
	conf.master_key_log = path;
	x = tls_ctx_new_client(&conf, why);
	peer_init(&p, &ec);
	peer_start(&p);
	c = tls13_client_new(x, "hub.test", &err);
	assert_int_equal(shake(c, &p, &in, 0), 1);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "CLIENT_HANDSHAKE_TRAFFIC_SECRET "));
	assert_non_null(strstr(text, "\nSERVER_TRAFFIC_SECRET_0 "));
	close(fd);
	unlink(path);
	bufq_clear(&in);
	tls13_client_free(c);
	peer_free(&p);
	tls_ctx_free(x);
}

/* ---- a server that lies ---- */

struct scene {
	struct conf_tls conf;
	struct tls_ctx *x;
	struct tls13_client *c;
	struct mini m;
	struct bufq in, out;
	uint8_t msg[8192];
};

static void scene_start(struct scene *s, const char *fingerprint,
			const struct conf_reality_client *reality)
{
	char why[TLS_CTX_WHY_MAX];
	int err;

	memset(s, 0, sizeof(*s));
	s->conf = settings(fingerprint);
	s->x = reality ? tls_ctx_new_reality(reality, why) : tls_ctx_new_client(&s->conf, why);
	assert_non_null(s->x);
	s->c = tls13_client_new(s->x, "hub.test", &err);
	assert_int_equal(tls13_client_step(s->c, &s->in, &s->out), 0);
	mini_hello(&s->m, &s->out, TLS_AES_128_GCM);
}

static void scene_end(struct scene *s)
{
	mini_free(&s->m);
	bufq_clear(&s->in);
	bufq_clear(&s->out);
	tls13_client_free(s->c);
	tls_ctx_free(s->x);
}

static int step(struct scene *s)
{
	bufq_clear(&s->out);
	return tls13_client_step(s->c, &s->in, &s->out);
}

static void send_hello(struct scene *s)
{
	mini_plain(span_of(s->m.server_hello, s->m.server_n), &s->in);
}

static void send_msg(struct scene *s, size_t n)
{
	mini_message(&s->m, span_of(s->msg, n), &s->in);
}

static void send_extensions(struct scene *s, const char *body)
{
	struct span b = hex(body);

	send_msg(s, mini_wrap(s->msg, 8, b));
	free_hex(b);
}

static struct span der_of(const struct kit_cert *c)
{
	uint8_t *p = NULL;
	int n = i2d_X509(c->x, &p);

	assert_true(n > 0);
	return span_of(p, (size_t)n);
}

static void send_certificate(struct scene *s, const struct kit_cert *c)
{
	struct span der = der_of(c);

	send_msg(s, mini_certificate(s->msg, sizeof(s->msg), der));
	OPENSSL_free((void *)(uintptr_t)der.p);
}

static void expect(struct scene *s, const char *why, int alert)
{
	int err = step(s);

	if (err >= 0 || !strstr(tls13_client_why(s->c), why))
		print_message("%d: %s, expected %s\n", err, tls13_client_why(s->c), why);
	assert_true(err < 0);
	assert_non_null(strstr(tls13_client_why(s->c), why));
	assert_true(alert ? s->out.len > 0 : s->out.len == 0);
	scene_end(s);
}

static void whole_flight(void **state)
{
	struct scene s;

	(void)state;
	scene_start(&s, "chrome", NULL);
	send_hello(&s);
	bufq_append(&s.in, span_of("\x14\3\3\0\1\1", 6));
	send_extensions(&s, "0000");
	send_certificate(&s, &ec);
	send_msg(&s, mini_verify(&s.m, s.msg, ec.key, 0x0403, "SHA256"));
	send_msg(&s, mini_finished(&s.m, s.msg));
	assert_int_equal(step(&s), 1);
	assert_true(tls13_client_trusted(s.c));
	scene_end(&s);
}

static void wrong_proofs(void **state)
{
	struct scene s;

	(void)state;
	scene_start(&s, "chrome", NULL); /* the key of another certificate */
	send_hello(&s);
	send_extensions(&s, "0000");
	send_certificate(&s, &ec);
	send_msg(&s, mini_verify(&s.m, s.msg, ca.key, 0x0403, "SHA256"));
	expect(&s, "has not the key of its certificate", 51);

	scene_start(&s, "chrome", NULL); /* a scheme for another curve */
	send_hello(&s);
	send_extensions(&s, "0000");
	send_certificate(&s, &ec);
	send_msg(&s, mini_verify(&s.m, s.msg, ec.key, 0x0503, "SHA384"));
	expect(&s, "has not the key of its certificate", 51);

	scene_start(&s, "chrome", NULL); /* not offered */
	send_hello(&s);
	send_extensions(&s, "0000");
	send_certificate(&s, &ed);
	send_msg(&s, mini_verify(&s.m, s.msg, ed.key, 0x0807, NULL));
	expect(&s, "by a scheme that was not offered", 47);

	for (size_t bit = 0; bit < 32 * 8; bit += 37) {
		scene_start(&s, "chrome", NULL);
		send_hello(&s);
		send_extensions(&s, "0000");
		send_certificate(&s, &ec);
		send_msg(&s, mini_verify(&s.m, s.msg, ec.key, 0x0403, "SHA256"));
		size_t n = mini_finished(&s.m, s.msg);
		s.msg[4 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		send_msg(&s, n);
		expect(&s, "Finished is wrong", 51);
	}
}

/* Firefox offers them. What one would allow is not looked at: it is no proof to us. */
static void delegated_credential(void **state)
{
	static const uint8_t credential[] = {0, 8, 0, 34, 0, 4, 0, 0, 1, 0};
	struct span der = der_of(&ec);
	struct scene s;
	size_t n;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		scene_start(&s, i ? "chrome" : "firefox", NULL);
		send_hello(&s);
		send_extensions(&s, "0000");
		n = mini_certificate(s.msg, sizeof(s.msg), der) - 2;
		memcpy(s.msg + n, credential, sizeof(credential));
		s.msg[2] = (uint8_t)((n + 6) >> 8);
		s.msg[3] = (uint8_t)(n + 6);
		s.msg[6] = (uint8_t)((n + 2) >> 8);
		s.msg[7] = (uint8_t)(n + 2);
		send_msg(&s, n + sizeof(credential));
		expect(&s, "delegated credential, which is not supported", 47);
	}
	OPENSSL_free((void *)(uintptr_t)der.p);
}

/* Every message in every place where it does not belong. */
static void wrong_order(void **state)
{
	struct scene s;

	(void)state;
	for (unsigned type = 0; type < 30; type++) {
		uint8_t m[4] = {(uint8_t)type};

		if (type != 2) {
			scene_start(&s, "chrome", NULL);
			mini_plain(span_of(m, 4), &s.in);
			expect(&s, "unexpected handshake message", 10);
		}
		if (type != 8) {
			scene_start(&s, "chrome", NULL);
			send_hello(&s);
			mini_message(&s.m, span_of(m, 4), &s.in);
			expect(&s, "unexpected handshake message", 10);
		}
		if (type != 11 && type != 13 && type != 25) {
			scene_start(&s, "chrome", NULL);
			send_hello(&s);
			send_extensions(&s, "0000");
			mini_message(&s.m, span_of(m, 4), &s.in);
			expect(&s, "unexpected handshake message", 10);
		}
	}
}

static void bad_hellos(void **state)
{
	struct scene s;

	(void)state;
	scene_start(&s, "chrome", NULL);
	s.m.server_hello[39] ^= 1; /* session id */
	send_hello(&s);
	expect(&s, "does not answer ours", 47);
	scene_start(&s, "chrome", NULL);
	s.m.server_hello[72] = 4; /* suite 0x1304 */
	send_hello(&s);
	expect(&s, "cipher suite that was not offered", 47);
	scene_start(&s, "chrome", NULL);
	s.m.server_hello[73] = 1; /* compression */
	send_hello(&s);
	expect(&s, "does not answer ours", 47);
	scene_start(&s, "chrome", NULL);
	s.m.server_hello[81] = 0x17; /* group */
	send_hello(&s);
	expect(&s, "chose a key that was not sent", 47);
	scene_start(&s, "chrome", NULL);
	memset(s.m.server_hello + 84, 0, 32);
	send_hello(&s);
	expect(&s, "the server's key is none", 47);
	scene_start(&s, "chrome", NULL);
	s.m.server_hello[s.m.server_n - 1] = 3; /* version */
	send_hello(&s);
	expect(&s, "TLS 1.2 or older", 70);
	scene_start(&s, "chrome", NULL);
	bufq_append(&s.in, span_str("HTTP/1.1 400 Bad Request\r\n"));
	expect(&s, "does not speak TLS", 0);
	scene_start(&s, "chrome", NULL);
	bufq_append(&s.in, span_of("\x15\3\3\0\2\2\x28", 7));
	expect(&s, "handshake failure", 0);
}

static void bad_extensions(void **state)
{
	static const char *const bad[][2] = {
		{"0003", "malformed"},
		{"0004 0010 0000", "not offered"},
		{"0009 0010 0005 0003 02 6833", "not offered"},
		{"0006 0029 0002 0000", "was not sent"},
		{"0001 00", "malformed"},
		{"0000 00", "malformed"},
	};
	struct scene s;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		scene_start(&s, "chrome", NULL);
		send_hello(&s);
		send_extensions(&s, bad[i][0]);
		expect(&s, bad[i][1], 50);
	}
	scene_start(&s, "firefox", NULL);
	send_hello(&s);
	send_extensions(&s, "0006 001c 0002 003f");
	expect(&s, "bad record size limit", 47);
}

static void record_rules(void **state)
{
	struct scene s;

	(void)state;
	scene_start(&s, "chrome", NULL); /* the hello and more in one record */
	uint8_t both[256];
	memcpy(both, s.m.server_hello, s.m.server_n);
	memcpy(both + s.m.server_n, "\x08\0\0\2\0\0", 6);
	mini_plain(span_of(both, s.m.server_n + 6), &s.in);
	expect(&s, "data behind the end", 10);
	scene_start(&s, "chrome", NULL);
	send_hello(&s);
	mini_plain(span_of("\x08\0\0\2\0\0", 6), &s.in);
	expect(&s, "not protected", 10);
	scene_start(&s, "chrome", NULL);
	send_hello(&s);
	mini_record(&s.m, 23, span_str("data"), &s.in);
	expect(&s, "no place in a handshake", 10);
	scene_start(&s, "chrome", NULL);
	bufq_append(&s.in, span_of("\x14\3\3\0\1\2", 6));
	expect(&s, "malformed record", 10);
	scene_start(&s, "chrome", NULL);
	for (int i = 0; i < 100; i++)
		bufq_append(&s.in, span_of("\x14\3\3\0\1\1", 6));
	expect(&s, "too many records", 10);
	scene_start(&s, "chrome", NULL);
	send_hello(&s);
	mini_record(&s.m, 22, span_of("\x08\xff\xff\xff", 4), &s.in);
	expect(&s, "too long", 47);
	scene_start(&s, "chrome", NULL);
	send_hello(&s);
	mini_record(&s.m, 21, span_of("\2\x50", 2), &s.in);
	expect(&s, "internal error", 0);
}

/* No bit of the server's flight can be turned unnoticed. */
static void flipped_bits(void **state)
{
	bool more = true;

	(void)state;
	for (size_t at = 0; more; at += 3) { /* signatures vary in length */
		struct scene s;
		struct bufq rest = {NULL, NULL, 0};
		uint8_t one;

		scene_start(&s, "chrome", NULL);
		send_hello(&s);
		send_extensions(&s, "0000");
		send_certificate(&s, &ec);
		send_msg(&s, mini_verify(&s.m, s.msg, ec.key, 0x0403, "SHA256"));
		send_msg(&s, mini_finished(&s.m, s.msg));
		more = at + 80 < s.in.len;
		bufq_move(&rest, &s.in, at);
		bufq_peek(&s.in, &one, 1);
		bufq_drop(&s.in, 1);
		one ^= 0x10;
		bufq_append(&rest, span_of(&one, 1));
		bufq_move(&rest, &s.in, s.in.len);
		bufq_move(&s.in, &rest, rest.len);
		assert_int_not_equal(step(&s), 1);
		scene_end(&s);
	}
}

/* ---- compressed certificates ---- */

static size_t packed_certificate(struct scene *s, const struct kit_cert *c, unsigned claimed)
{
	static uint8_t plain[8192];
	struct span der = der_of(c);
	size_t n = mini_certificate(plain, sizeof(plain), der) - 4;
	uLongf len = sizeof(s->msg) - 12;

	OPENSSL_free((void *)(uintptr_t)der.p);
	assert_int_equal(compress(s->msg + 12, &len, plain + 4, n), Z_OK);
	struct wr w = wr_of(s->msg, 12);
	wr_u32(&w, 25u << 24 | (uint32_t)(len + 8));
	wr_u16(&w, 1);
	wr_u8(&w, 0);
	wr_u16(&w, (unsigned)n + claimed);
	wr_u8(&w, 0);
	wr_u16(&w, (unsigned)len);
	return len + 12;
}

static void compressed(void **state)
{
	struct scene s;

	(void)state;
	scene_start(&s, "firefox", NULL);
	send_hello(&s);
	send_extensions(&s, "0006 001c 0002 0100");
	send_msg(&s, packed_certificate(&s, &ec, 0));
	send_msg(&s, mini_verify(&s.m, s.msg, ec.key, 0x0403, "SHA256"));
	send_msg(&s, mini_finished(&s.m, s.msg));
	assert_int_equal(step(&s), 1);
	int err;
	struct tls_engine *e = tls13_client_engine(s.c, &err);
	struct bufq plain = {NULL, NULL, 0};
	bufq_clear(&s.out);
	memset(s.msg, 7, sizeof(s.msg));
	bufq_append(&plain, span_of(s.msg, 1000));
	while (!bufq_empty(&plain)) /* the limit of 256 counts the type */
		assert_true(e->ops->seal(e, &plain, &s.out) <= 255);
	assert_int_equal(s.out.len, 1000 + 4 * (5 + 1 + 16));
	e->ops->free(e);
	scene_end(&s);

	scene_start(&s, "firefox", NULL); /* longer than it says */
	send_hello(&s);
	send_extensions(&s, "0000");
	send_msg(&s, packed_certificate(&s, &ec, 1));
	expect(&s, "cannot be unpacked", 42);
	scene_start(&s, "chrome", NULL); /* zlib is none of Chrome's */
	send_hello(&s);
	send_extensions(&s, "0000");
	send_msg(&s, packed_certificate(&s, &ec, 0));
	expect(&s, "cannot be unpacked", 42);
}

/* ---- REALITY ---- */

static const char reality_priv[] =
	"0002030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f60";
static const char reality_pub[] =
	"07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c";

static struct conf_reality_client reality_conf(const char *fingerprint)
{
	struct conf_reality_client c = {.server_name = "hub.test",
					.fingerprint = fingerprint,
					.version = {26, 7, 28},
					.short_id = {1, 2, 3},
					.spider = {.path = "/"},
					.master_key_log = ""};
	struct span key = hex(reality_pub);

	memcpy(c.key, key.p, sizeof(c.key));
	free_hex(key);
	return c;
}

/* What a server finds in the hello; its AuthKey. */
static void judge(struct scene *s, uint8_t auth_key[REALITY_KEY_LEN])
{
	static const uint8_t short_id[1][8] = {{1, 2, 3}};
	const char *const names[] = {"hub.test"};
	struct span priv = hex(reality_priv), share;
	struct tlshello_client h;
	struct reality_finding f;
	struct reality_rules rules = {.n_keys = 1,
				      .names = names,
				      .n_names = 1,
				      .short_ids = short_id,
				      .n_short_ids = 1,
				      .min_version = 26 << 16 | 3 << 8 | 27,
				      .max_diff_ms = 5000};
	struct reality_offer offer = {.hello = span_of(s->m.client_hello, s->m.client_n)};

	rules.keys = (const void *)priv.p;
	assert_true(tlshello_client_decode(&h, offer.hello) > 0);
	assert_int_equal(tlshello_sni(&h, &offer.name), 0);
	offer.tls13 = tlshello_offers_13(&h);
	assert_true(tlshello_share(&h, TLS_GROUP_X25519, &share));
	offer.key = share.p;
	assert_int_equal(reality_judge(&rules, &offer, (uint64_t)time(NULL) * 1000, &f),
			 REALITY_OURS);
	memcpy(auth_key, f.auth_key, REALITY_KEY_LEN);
	free_hex(priv);
}

/* @seed: of an ML-DSA-65 key that signs too, or NULL. */
static void reality_flight(struct scene *s, const uint8_t auth_key[REALITY_KEY_LEN],
			   const uint8_t *seed)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	static struct mldsa65_key signer;
	uint8_t pub[32], der[REALITY_CERT_MLDSA_LEN], sig[MLDSA65_SIG], digest[REALITY_MAC_LEN];
	struct wr w = wr_of(der, sizeof(der));
	size_t n = sizeof(pub);

	EVP_PKEY_get_raw_public_key(key, pub, &n);
	if (seed) {
		assert_int_equal(reality_cert_digest(digest, auth_key, pub,
						     span_of(s->m.client_hello, s->m.client_n),
						     span_of(s->m.server_hello, s->m.server_n)),
				 0);
		mldsa65_key_set(&signer, seed);
		assert_int_equal(mldsa65_sign(sig, &signer, span_of(digest, sizeof(digest)),
					      span_of(NULL, 0)),
				 0);
	}
	assert_int_equal(reality_cert_encode(&w, pub, auth_key, seed ? sig : NULL), 0);
	send_hello(s);
	send_extensions(s, "0000");
	send_msg(s, mini_certificate(s->msg, sizeof(s->msg), span_of(der, w.n)));
	send_msg(s, mini_verify(&s->m, s->msg, key, 0x0807, NULL));
	send_msg(s, mini_finished(&s->m, s->msg));
	EVP_PKEY_free(key);
}

static void reality_known(void **state)
{
	static const char *const prints[] = {"chrome", "firefox", "safari", "ios", "random"};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct conf_reality_client conf = reality_conf(prints[i]);
		uint8_t auth_key[REALITY_KEY_LEN];
		struct scene s;

		scene_start(&s, NULL, &conf);
		judge(&s, auth_key);
		reality_flight(&s, auth_key, NULL);
		assert_int_equal(step(&s), 1);
		assert_true(tls13_client_trusted(s.c));
		scene_end(&s);
	}
}

/* A certificate with another MAC is judged as any other, and fails as such. */
static void reality_forged(void **state)
{
	struct conf_reality_client conf = reality_conf("chrome");
	uint8_t auth_key[REALITY_KEY_LEN];
	struct scene s;

	(void)state;
	scene_start(&s, NULL, &conf);
	judge(&s, auth_key);
	auth_key[5] ^= 1;
	reality_flight(&s, auth_key, NULL);
	expect(&s, "REALITY: not our server, and its ", 48);
}

/* What cannot be followed is no advice: "unsafe" is no fingerprint for REALITY. */
static void reality_old_server(void **state)
{
	struct conf_reality_client conf = reality_conf("chrome");
	struct scene s;

	(void)state;
	scene_start(&s, NULL, &conf);
	s.m.server_hello[s.m.server_n - 1] = 3;
	send_hello(&s);
	expect(&s, "the server wants TLS 1.2 or older: it is none of ours", 70);
}

/* With mldsa65Verify the MAC alone does not do. */
static void reality_mldsa(void **state)
{
	static struct mldsa65_key signer;
	static const uint8_t seed[2][MLDSA65_SEED] = {{1}, {2}};
	struct conf_reality_client conf = reality_conf("chrome");

	(void)state;
	mldsa65_key_set(&signer, seed[0]);
	conf.mldsa_key = signer.bytes;
	for (int i = 0; i < 3; i++) {
		uint8_t auth_key[REALITY_KEY_LEN];
		struct scene s;

		scene_start(&s, NULL, &conf);
		judge(&s, auth_key);
		reality_flight(&s, auth_key, i < 2 ? seed[i] : NULL);
		if (i > 0) {
			expect(&s, "REALITY: not our server, and its ", 48);
			continue;
		}
		assert_int_equal(step(&s), 1);
		assert_true(tls13_client_trusted(s.c));
		scene_end(&s);
	}
}

static void reality_real(void **state)
{
	struct conf_reality_client conf = reality_conf("chrome");
	struct scene s;

	(void)state;
	scene_start(&s, NULL, &conf);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(s.x->client), ca.x);
	send_hello(&s);
	send_extensions(&s, "0000");
	send_certificate(&s, &ec);
	send_msg(&s, mini_verify(&s.m, s.msg, ec.key, 0x0403, "SHA256"));
	send_msg(&s, mini_finished(&s.m, s.msg));
	assert_int_equal(step(&s), 1);
	assert_false(tls13_client_trusted(s.c));
	scene_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_kinds),	  cmocka_unit_test(verification),
		cmocka_unit_test(old_server),	  cmocka_unit_test(nothing_in_common),
		cmocka_unit_test(retried),	  cmocka_unit_test(asked_for_certificate),
		cmocka_unit_test(key_log),	  cmocka_unit_test(whole_flight),
		cmocka_unit_test(wrong_proofs),	  cmocka_unit_test(wrong_order),
		cmocka_unit_test(bad_hellos),	  cmocka_unit_test(bad_extensions),
		cmocka_unit_test(record_rules),	  cmocka_unit_test(flipped_bits),
		cmocka_unit_test(delegated_credential),
		cmocka_unit_test(compressed),	  cmocka_unit_test(reality_known),
		cmocka_unit_test(reality_forged), cmocka_unit_test(reality_old_server),
		cmocka_unit_test(reality_mldsa),  cmocka_unit_test(reality_real),
	};

	return cmocka_run_group_tests(tests, make_certs, free_certs);
}
