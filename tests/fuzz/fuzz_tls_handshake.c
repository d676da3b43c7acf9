/*
 * Strangers' bytes into a handshake of ours. First byte: bit 0 our role (server
 * when clear), the others how the bytes are cut. Whatever comes, the handshake
 * ends once, without a stream, and leaves nothing behind.
 */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "net/stream_tls.h"
#include "net/tls_ctx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	struct loop *loop;
	struct tls_ctx *client, *server;
	struct conf_cert cert;
	struct conf_tls client_conf, server_conf;
} g;

static void need(bool ok)
{
	if (!ok)
		abort();
}

static char *text_of(BIO *b)
{
	char *at, *out;
	long n = BIO_get_mem_data(b, &at);

	out = calloc(1, (size_t)n + 1);
	memcpy(out, at, (size_t)n);
	BIO_free(b);
	return out;
}

static void setup(void)
{
	static const char *const alpn[] = {"h2", "http/1.1"};
	struct log_setup off = {.level = LOG_NONE, .access_off = true};
	BIO *a = BIO_new(BIO_s_mem()), *b = BIO_new(BIO_s_mem());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	char why[TLS_CTX_WHY_MAX];
	X509 *x = X509_new();

	log_open(&off);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 1 << 30);
	X509_set_pubkey(x, key);
	X509_sign(x, key, EVP_sha256());
	PEM_write_bio_X509(a, x);
	PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
	X509_free(x);
	EVP_PKEY_free(key);
	g.cert = (struct conf_cert){
		.cert_file = "", .key_file = "", .cert_pem = text_of(a), .key_pem = text_of(b)};
	g.client_conf = (struct conf_tls){.server_name = "x.test",
					  .alpn = {alpn, 2},
					  .disable_system_root = true,
					  .session_resumption = true,
					  .master_key_log = ""};
	g.server_conf = g.client_conf;
	g.server_conf.certs = &g.cert;
	g.server_conf.n_certs = 1;
	g.server_conf.reject_unknown_sni = false;
	g.loop = loop_new(0);
	g.client = tls_ctx_new_client(&g.client_conf, why);
	g.server = tls_ctx_new_server(&g.server_conf, why);
	need(g.loop && g.client && g.server);
}

/* A stream that plays the input and swallows what is written. */
struct script {
	struct stream s;
	struct span left;
	size_t piece;
	bool closed;
};

static ssize_t script_read(struct stream *s, struct bufq *into, size_t max)
{
	struct script *c = container_of(s, struct script, s);
	size_t n = c->piece < max ? c->piece : max;

	if (c->left.n == 0)
		return -ERR_EOF;
	n = n < c->left.n ? n : c->left.n;
	need(bufq_append(into, span_of(c->left.p, n)) == 0);
	c->left = span_of(c->left.p + n, c->left.n - n);
	stream_notify(s, STREAM_READ);
	return (ssize_t)n;
}

static ssize_t script_write(struct stream *s, struct bufq *from)
{
	size_t n = from->len;

	(void)s;
	bufq_clear(from);
	return (ssize_t)n;
}

static void script_want(struct stream *s, unsigned events)
{
	s->wanted = events;
	stream_notify(s, events);
}

static void script_shutdown(struct stream *s)
{
	(void)s;
}

static void script_gone(struct garbage *garbage)
{
	container_of(container_of(garbage, struct stream, garbage), struct script, s)->closed = true;
}

static void script_close(struct stream *s, int err)
{
	(void)err;
	stream_dispose(s, script_gone);
}

static const struct stream_ops script_ops = {.name = "script",
					     .read = script_read,
					     .write = script_write,
					     .want = script_want,
					     .shutdown = script_shutdown,
					     .close = script_close};

static int calls;

static void on_done(struct tls_user *u, struct stream *s, const struct tls_info *info, int err,
		    const char *why)
{
	(void)u;
	need(!s && !info && err < 0 && why && *why);
	calls++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_user user = {on_done};
	struct script c = {.closed = false};

	if (size < 1)
		return 0;
	if (!g.loop)
		setup();
	c.left = span_of(data + 1, size - 1);
	c.piece = 1 + (size_t)(data[0] >> 1) * (data[0] >> 1);
	calls = 0;
	stream_init(&c.s, &script_ops, g.loop);
	if (data[0] & 1)
		need(tls_client_start(&c.s, g.client, "x.test", &user) != NULL);
	else
		need(tls_server_start(&c.s, NULL, g.server, &user) != NULL);
	for (int i = 0; i < 100000 && !c.closed; i++)
		ev_run(loop_ev(g.loop), EVRUN_NOWAIT);
	need(c.closed && calls == 1);
	need(buf_live() == 0);
	return 0;
}
