/* Certificates that are signed while the client waits. */
#include "tls_kit.h"

static struct kit_cert ca, other, served;

static struct conf_cert authority(const struct kit_cert *c, bool chain)
{
	struct conf_cert out = kit_conf_cert(c, CONF_CERT_ISSUE);

	out.key_pem = c->key_pem;
	out.build_chain = chain;
	return out;
}

/* What a client that asks for @name ("" for none) is shown, or NULL when it is refused. Gives. */
static X509 *shown(struct tls_ctx *server, const char *name, int *chain_len)
{
	struct loop *l = loop_new(0);
	struct kit_peer p;
	struct kit_end s;
	X509 *x = NULL;

	kit_visit(&s, &p, l, server);
	kit_peer_start(&p, false);
	if (*name)
		kit_peer_sni(&p, name);
	kit_until_peer(l, &p, s.finished && (p.done || p.error));
	if (p.done) {
		x = SSL_get1_peer_certificate(p.ssl);
		*chain_len = sk_X509_num(SSL_get_peer_cert_chain(p.ssl));
	}
	kit_end_close(&s, 0);
	kit_peer_free(&p);
	kit_loop_free(l);
	return x;
}

static struct tls_ctx *server_of(const struct conf_cert *certs, size_t n, struct conf_tls *c)
{
	char why[TLS_CTX_WHY_MAX] = "";
	struct tls_ctx *x;

	*c = kit_conf();
	c->certs = certs;
	c->n_certs = n;
	x = tls_ctx_new_server(c, why);
	if (!x)
		fail_msg("%s", why);
	return x;
}

static void signed_for_the_name(void **state)
{
	struct conf_cert c = authority(&ca, false);
	struct conf_tls conf;
	struct tls_ctx *server = server_of(&c, 1, &conf);
	X509 *a, *again, *b;
	int n;

	(void)state;
	a = shown(server, "a.test", &n);
	assert_non_null(a);
	assert_int_equal(n, 1);
	assert_int_equal(X509_check_host(a, "a.test", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(a, "b.test", 0, 0, NULL), 0);
	assert_int_equal(X509_verify(a, ca.key), 1);
	assert_true(EVP_PKEY_is_a(X509_get0_pubkey(a), "EC"));
	assert_true(X509_cmp_current_time(X509_get0_notBefore(a)) < 0);
	assert_true(X509_cmp_current_time(X509_get0_notAfter(a)) > 0);
	again = shown(server, "A.test", &n);
	assert_int_equal(X509_cmp(a, again), 0); /* remembered */
	b = shown(server, "b.test", &n);
	assert_int_not_equal(X509_cmp(a, b), 0);
	X509_free(a);
	X509_free(again);
	X509_free(b);
	tls_ctx_free(server);
}

static void odd_names(void **state)
{
	static const char long_name[] = "a-name-that-is-longer-than-a-common-name-may-be."
					"another-label-of-the-same-name.test";
	struct conf_cert c = authority(&ca, true);
	struct conf_tls conf;
	struct tls_ctx *server = server_of(&c, 1, &conf);
	X509 *x;
	int n;

	(void)state;
	x = shown(server, long_name, &n);
	assert_int_equal(X509_check_host(x, long_name, 0, 0, NULL), 1);
	assert_int_equal(n, 2); /* buildChain */
	X509_free(x);
	x = shown(server, "", &n);
	assert_non_null(x);
	assert_int_equal(X509_verify(x, ca.key), 1);
	X509_free(x);
	assert_null(shown(server, "not a name.test", &n));
	conf.reject_unknown_sni = true;
	assert_null(shown(server, "", &n));
	tls_ctx_free(server);
}

static void beside_a_certificate(void **state)
{
	struct conf_cert c[] = {authority(&ca, false), kit_conf_cert(&served, CONF_CERT_SERVE)};
	struct conf_tls conf;
	struct tls_ctx *server = server_of(c, 2, &conf);
	X509 *x;
	int n;

	(void)state;
	x = shown(server, "served.test", &n);
	assert_int_equal(X509_cmp(x, served.x), 0);
	X509_free(x);
	x = shown(server, "", &n);
	assert_int_equal(X509_cmp(x, served.x), 0);
	X509_free(x);
	x = shown(server, "other.test", &n); /* the certificate is of another kind: not mixed up */
	assert_int_equal(X509_check_host(x, "other.test", 0, 0, NULL), 1);
	X509_free(x);
	tls_ctx_free(server);
}

static void more_names_than_kept(void **state)
{
	struct conf_cert c = authority(&ca, false);
	struct conf_tls conf;
	struct tls_ctx *server = server_of(&c, 1, &conf);
	X509 *first, *x;
	char name[32];
	int n;

	(void)state;
	first = shown(server, "first.test", &n);
	for (int i = 0; i < 260; i++) {
		snprintf(name, sizeof(name), "n%d.test", i);
		X509_free(shown(server, name, &n));
	}
	x = shown(server, "first.test", &n);
	assert_int_not_equal(X509_cmp(first, x), 0); /* forgotten and made anew */
	X509_free(first);
	X509_free(x);
	tls_ctx_free(server);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void renewed_authority(void **state)
{
	char dir[] = "/tmp/tls-issue-XXXXXX", cert[64], key[64];
	struct conf_cert c = authority(&ca, false);
	struct conf_tls conf;
	struct tls_ctx *server;
	X509 *x;
	int n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(cert, sizeof(cert), "%s/ca.crt", dir);
	snprintf(key, sizeof(key), "%s/ca.key", dir);
	write_file(cert, ca.cert_pem);
	write_file(key, ca.key_pem);
	c.cert_file = cert;
	c.key_file = key;
	server = server_of(&c, 1, &conf);
	X509_free(shown(server, "a.test", &n));
	assert_int_equal(tls_ctx_reload(server), 0);
	write_file(cert, "-----BEGIN RUBBISH-----\n");
	assert_true(tls_ctx_reload(server) < 0);
	x = shown(server, "a.test", &n);
	assert_int_equal(X509_verify(x, ca.key), 1);
	X509_free(x);
	write_file(cert, other.cert_pem);
	write_file(key, other.key_pem);
	assert_int_equal(tls_ctx_reload(server), 1);
	x = shown(server, "a.test", &n);
	assert_int_equal(X509_verify(x, other.key), 1);
	X509_free(x);
	tls_ctx_free(server);
	unlink(cert);
	unlink(key);
	rmdir(dir);
}

static int set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	ca = kit_cert_make(&(struct kit_cert_spec){.cn = "ca", .ca = true, .key = "ED25519"});
	other = kit_cert_make(&(struct kit_cert_spec){.cn = "other", .ca = true});
	served = kit_cert_make(&(struct kit_cert_spec){
		.cn = "served.test", .san = "DNS:served.test", .key = "RSA"});
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	kit_cert_free(&ca);
	kit_cert_free(&other);
	kit_cert_free(&served);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signed_for_the_name), cmocka_unit_test(odd_names),
		cmocka_unit_test(beside_a_certificate), cmocka_unit_test(more_names_than_kept),
		cmocka_unit_test(renewed_authority),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
