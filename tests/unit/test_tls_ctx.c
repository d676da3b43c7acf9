/* tlsSettings: which certificate, which protocol, whom to believe, and files that change. */
#include "tls_kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "net/tls_cert.h"

static struct kit_cert ca, other_ca, inter, leaf, expired, future, cn_only, ip_leaf, by_inter, wild,
	plain_a, plain_c;
static char dir[] = "/tmp/tls-test-XXXXXX";

static struct conf_tls server_conf(const struct conf_cert *certs, size_t n)
{
	struct conf_tls c = kit_conf();

	c.certs = certs;
	c.n_certs = n;
	return c;
}

/* One handshake between our two ends; both ends are left open in @c and @s. */
static void meet(struct loop *l, struct tls_ctx *client, struct tls_ctx *server, const char *name,
		 struct kit_end *c, struct kit_end *s)
{
	int fds[2];

	kit_pair(fds);
	kit_end_init(c, l, 10);
	kit_end_init(s, l, 11);
	kit_end_client(c, fds[0], client, name);
	kit_end_server(s, fds[1], server);
	kit_until(l, c->finished && s->finished);
}

static void part(struct kit_end *c, struct kit_end *s)
{
	kit_end_close(c, 0);
	kit_end_close(s, 0);
}

/* ---- verification ---- */

struct judge {
	const char *what;
	const struct kit_cert *served, *chain; /* @chain is sent behind it */
	const struct kit_cert *root;	       /* a "verify" entry */
	const struct kit_cert *pin;
	const char *dialled, *server_name;
	const char *verify_names[2];
	bool insecure;
	const char *why; /* NULL: accepted; else a part of the reason */
};

static const struct judge judges[] = {
	{"a known authority", &leaf, NULL, &ca, NULL, "hub.test", "", {0}, false, NULL},
	{"final dot", &leaf, NULL, &ca, NULL, "hub.test.", "", {0}, false, NULL},
	{"upper case", &leaf, NULL, &ca, NULL, "HUB.Test", "", {0}, false, NULL},
	{"serverName rules", &leaf, NULL, &ca, NULL, "10.1.1.1", "hub.test", {0}, false, NULL},
	{"wrong name", &leaf, NULL, &ca, NULL, "other.test", "", {0}, false,
	 "certificate is valid for hub.test, www.hub.test, not other.test"},
	{"no name", &leaf, NULL, &ca, NULL, "", "", {0}, false, "no serverName"},
	{"unknown authority", &leaf, NULL, &other_ca, NULL, "hub.test", "", {0}, false,
	 "unknown authority"},
	{"nobody is trusted", &leaf, NULL, NULL, NULL, "hub.test", "", {0}, false,
	 "unknown authority"},
	{"expired", &expired, NULL, &ca, NULL, "hub.test", "", {0}, false, "certificate expired on"},
	{"not yet valid", &future, NULL, &ca, NULL, "hub.test", "", {0}, false, "is not valid before"},
	{"common name only", &cn_only, NULL, &ca, NULL, "hub.test", "", {0}, false,
	 "no name at all, not hub.test"},
	{"address", &ip_leaf, NULL, &ca, NULL, "127.0.0.1", "", {0}, false, NULL},
	{"address in brackets", &ip_leaf, NULL, &ca, NULL, "[::1]", "", {0}, false, NULL},
	{"another address", &ip_leaf, NULL, &ca, NULL, "127.0.0.2", "", {0}, false,
	 "certificate is valid for 127.0.0.1, ::1, not 127.0.0.2"},
	{"address against names", &leaf, NULL, &ca, NULL, "10.0.0.1", "", {0}, false, "not 10.0.0.1"},
	{"wildcard", &wild, NULL, &ca, NULL, "x.b.test", "", {0}, false, NULL},
	{"wildcard is one label", &wild, NULL, &ca, NULL, "y.x.b.test", "", {0}, false, "*.b.test"},
	{"leaf as a root", &leaf, NULL, &leaf, NULL, "hub.test", "", {0}, false, NULL},
	{"intermediate as a root", &by_inter, NULL, &inter, NULL, "hub.test", "", {0}, false, NULL},
	{"intermediate sent", &by_inter, &inter, &ca, NULL, "hub.test", "", {0}, false, NULL},
	{"intermediate missing", &by_inter, NULL, &ca, NULL, "hub.test", "", {0}, false,
	 "unknown authority"},
	{"pinned leaf", &leaf, NULL, NULL, &leaf, "hub.test", "", {0}, false, NULL},
	{"pinned leaf, expired, wrong name", &expired, NULL, NULL, &expired, "no.test", "", {0}, false,
	 NULL},
	{"another pin", &leaf, NULL, &ca, &expired, "hub.test", "", {0}, false,
	 "none of those in pinnedPeerCertSha256"},
	{"pinned authority", &by_inter, &inter, NULL, &inter, "hub.test", "", {0}, false, NULL},
	{"pinned authority, wrong name", &by_inter, &inter, NULL, &inter, "no.test", "", {0}, false,
	 "not no.test"},
	{"pinned authority, no name", &by_inter, &inter, NULL, &inter, "", "", {0}, false,
	 "no serverName"},
	{"pinned authority that was not sent", &by_inter, NULL, &ca, &inter, "hub.test", "", {0}, false,
	 "none of those"},
	{"pinned, but no authority", &by_inter, &leaf, &ca, &leaf, "hub.test", "", {0}, false,
	 "none of those"},
	{"listed name", &leaf, NULL, &ca, NULL, "no.test", "", {"x.test", "www.hub.test"}, false, NULL},
	{"no listed name", &leaf, NULL, &ca, NULL, "hub.test", "", {"x.test", "y.test"}, false,
	 "not x.test"},
	{"insecure", &expired, NULL, NULL, NULL, "no.test", "", {0}, true, NULL},
	{"insecure, but pinned", &leaf, NULL, NULL, &expired, "hub.test", "", {0}, true, "none of those"},
};

static void judge(const struct judge *j)
{
	struct conf_cert served = kit_conf_cert(j->served, CONF_CERT_SERVE), root;
	struct conf_tls cc = kit_conf(), sc = server_conf(&served, 1);
	char why[TLS_CTX_WHY_MAX], *both = NULL;
	struct loop *l = loop_new(0);
	struct tls_ctx *client, *server;
	struct kit_end c, s;
	struct conf_pin pin;

	if (j->chain) {
		assert_true(asprintf(&both, "%s%s", j->served->cert_pem, j->chain->cert_pem) > 0);
		served.cert_pem = both;
	}
	if (j->root) {
		root = kit_conf_cert(j->root, CONF_CERT_VERIFY);
		cc.certs = &root;
		cc.n_certs = 1;
	}
	if (j->pin) {
		pin = kit_pin(j->pin);
		cc.pins = &pin;
		cc.n_pins = 1;
	}
	cc.server_name = j->server_name;
	cc.verify_names = (struct conf_strs){j->verify_names, j->verify_names[0] ? 2 : 0};
	cc.allow_insecure = j->insecure;
	client = tls_ctx_new_client(&cc, why);
	server = tls_ctx_new_server(&sc, why);
	assert_non_null(client);
	assert_non_null(server);
	meet(l, client, server, j->dialled, &c, &s);
	if (!j->why && c.err)
		fail_msg("%s: %s", j->what, c.why);
	if (j->why && !strstr(c.why, j->why))
		fail_msg("%s: '%s' instead of '%s'", j->what, c.why, j->why);
	if (j->why) {
		assert_int_equal(c.err, -ERR_TLS);
		/* the server is told, or has finished and hears it when it reads */
		kit_until(l, s.err || s.read_err);
	}
	part(&c, &s);
	kit_loop_free(l);
	tls_ctx_free(client);
	tls_ctx_free(server);
	free(both);
}

static void verification(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(judges) / sizeof(judges[0]); i++)
		judge(&judges[i]);
}

/* ---- ALPN ---- */

static void alpn_one(const char *const *ours, size_t n, const char *theirs, const char *want)
{
	struct conf_cert served = kit_conf_cert(&leaf, CONF_CERT_SERVE);
	struct conf_tls sc = server_conf(&served, 1);
	struct loop *l = loop_new(0);
	char why[TLS_CTX_WHY_MAX];
	struct tls_ctx *server;
	struct kit_end s;
	struct kit_peer p;

	sc.alpn = (struct conf_strs){ours, n};
	server = tls_ctx_new_server(&sc, why);
	assert_non_null(server);
	kit_visit(&s, &p, l, server);
	if (*theirs)
		SSL_CTX_set_alpn_protos(p.ctx, (const unsigned char *)theirs,
					(unsigned)strlen(theirs));
	kit_peer_start(&p, false);
	kit_until_peer(l, &p, s.finished && (p.done || p.error));
	if (want) {
		assert_int_equal(s.err, 0);
		assert_string_equal(s.alpn, want);
	} else {
		assert_int_equal(s.err, -ERR_TLS);
		assert_non_null(strstr(s.why, "ALPN"));
		assert_int_equal(ERR_GET_REASON(p.reason), 1000 + 120);
	}
	kit_end_close(&s, 0);
	kit_peer_free(&p);
	kit_loop_free(l);
	tls_ctx_free(server);
}

static void alpn_like_go(void **state)
{
	static const char *const both[] = {"h2", "http/1.1"}, *const h2[] = {"h2"};
	static const char *const h1[] = {"http/1.1"}, *const foo[] = {"foo", "bar"};

	(void)state;
	alpn_one(both, 2, "", "");
	alpn_one(both, 2, "\2h2\10http/1.1", "h2");
	alpn_one(both, 2, "\10http/1.1\2h2", "h2"); /* our order */
	alpn_one(both, 2, "\10http/1.1", "http/1.1");
	alpn_one(both, 2, "\3foo", NULL);
	alpn_one(h2, 1, "\10http/1.1", ""); /* forgiven */
	alpn_one(h2, 1, "\3foo", NULL);
	alpn_one(h1, 1, "\2h2", NULL);
	alpn_one(foo, 2, "\3bar\3foo", "foo");
	alpn_one(foo, 2, "\10http/1.1", NULL);
	alpn_one(both, 0, "\3foo", ""); /* we have no list */
}

/* ---- choosing a certificate ---- */

static struct tls_pairs *load_pairs(const struct kit_cert *const *certs, size_t n)
{
	struct tls_pairs *s = tls_pairs_new(n);
	char why[TLS_WHY_MAX];

	for (size_t i = 0; i < n; i++) {
		struct conf_cert c = kit_conf_cert(certs[i], CONF_CERT_SERVE);

		s->v[s->n] = tls_pair_load(SSL_CTX_new(TLS_server_method()), &c, why);
		assert_non_null(s->v[s->n]);
		s->n++;
	}
	return s;
}

static void choosing(void **state)
{
	const struct kit_cert *certs[] = {&plain_a, &wild, &plain_c};
	static const struct {
		const char *sni;
		int loose, strict; /* index, or -1 */
	} t[] = {
		{"a.test", 0, 0},   {"A.Test", 0, 0},	{"x.b.test", 1, 1}, {"X.B.TEST", 1, 1},
		{"b.test", 0, -1},  {"y.x.b.test", 0, -1}, {"c.test", 2, 2}, {"nobody.test", 0, -1},
		{"", 0, -1},	    {NULL, 0, -1},	{"test", 0, -1},
	};
	struct tls_pairs *s = load_pairs(certs, 3);

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_ptr_equal(tls_pairs_choose(s, t[i].sni, false), s->v[t[i].loose]);
		assert_ptr_equal(tls_pairs_choose(s, t[i].sni, true),
				 t[i].strict < 0 ? NULL : s->v[t[i].strict]);
	}
	tls_pairs_unref(s);
	s = load_pairs(certs, 1);
	assert_ptr_equal(tls_pairs_choose(s, "nobody.test", false), s->v[0]);
	assert_null(tls_pairs_choose(s, "nobody.test", true));
	tls_pairs_unref(s);
}

/* The leaf that the server shows for @sni, as its common name; "" when it refuses. */
static void shown_for(struct tls_ctx *server, const char *sni, char *cn, size_t cap, int *alert)
{
	struct loop *l = loop_new(0);
	struct kit_end s;
	struct kit_peer p;
	X509 *x;

	kit_visit(&s, &p, l, server);
	kit_peer_start(&p, false);
	if (sni)
		kit_peer_sni(&p, sni);
	kit_until_peer(l, &p, s.finished && (p.done || p.error));
	*cn = 0;
	x = SSL_get1_peer_certificate(p.ssl);
	if (x && !p.error)
		X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, (int)cap);
	X509_free(x);
	*alert = p.error ? ERR_GET_REASON(p.reason) - 1000 : 0;
	kit_end_close(&s, 0);
	kit_peer_free(&p);
	kit_loop_free(l);
}

static void shown_certificates(void **state)
{
	struct conf_cert certs[] = {kit_conf_cert(&plain_a, CONF_CERT_SERVE),
				    kit_conf_cert(&ca, CONF_CERT_VERIFY),
				    kit_conf_cert(&wild, CONF_CERT_SERVE),
				    kit_conf_cert(&plain_c, CONF_CERT_SERVE)};
	struct conf_tls sc = server_conf(certs, 4);
	char why[TLS_CTX_WHY_MAX], cn[64];
	struct tls_ctx *server;
	int alert;

	(void)state;
	server = tls_ctx_new_server(&sc, why);
	assert_non_null(server);
	shown_for(server, "x.b.test", cn, sizeof(cn), &alert);
	assert_string_equal(cn, "wild");
	shown_for(server, "C.TEST", cn, sizeof(cn), &alert);
	assert_string_equal(cn, "c.test");
	shown_for(server, "what.ever", cn, sizeof(cn), &alert);
	assert_string_equal(cn, "a.test");
	shown_for(server, NULL, cn, sizeof(cn), &alert);
	assert_string_equal(cn, "a.test");
	tls_ctx_free(server);
	sc.reject_unknown_sni = true;
	server = tls_ctx_new_server(&sc, why);
	shown_for(server, "x.b.test", cn, sizeof(cn), &alert);
	assert_string_equal(cn, "wild");
	shown_for(server, "what.ever", cn, sizeof(cn), &alert);
	assert_string_equal(cn, "");
	assert_int_equal(alert, 112);
	shown_for(server, NULL, cn, sizeof(cn), &alert);
	assert_int_equal(alert, 112);
	tls_ctx_free(server);
}

/* ---- files ---- */

static char *path_of(const char *name)
{
	char *p;

	assert_true(asprintf(&p, "%s/%s", dir, name) > 0);
	return p;
}

static void write_file(const char *path, const char *text)
{
	char *tmp;
	FILE *f;

	assert_true(asprintf(&tmp, "%s.tmp", path) > 0);
	f = fopen(tmp, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(rename(tmp, path), 0); /* a new inode each time */
	free(tmp);
}

static size_t count_lines(const char *path, const char *part_of_line)
{
	char line[1024];
	size_t n = 0;
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, part_of_line) != NULL;
	fclose(f);
	return n;
}

static void hot_reload(void **state)
{
	char *cert_path = path_of("cert.pem"), *key_path = path_of("key.pem");
	char *log_path = path_of("log");
	struct conf_cert certs[] = {kit_conf_cert(&wild, CONF_CERT_SERVE),
				    {.usage = CONF_CERT_SERVE,
				     .cert_file = cert_path,
				     .key_file = key_path,
				     .cert_pem = "",
				     .key_pem = ""}};
	struct conf_tls sc = server_conf(certs, 2), cc = kit_conf();
	struct log_setup to_file = {.level = LOG_INFO, .error_path = log_path, .access_off = true};
	struct log_setup off = {.level = LOG_NONE, .access_off = true};
	char why[TLS_CTX_WHY_MAX], cn[64];
	struct loop *l = loop_new(0);
	struct tls_ctx *server, *client;
	struct kit_end c, s;
	int alert;

	(void)state;
	cc.allow_insecure = true;
	assert_int_equal(log_open(&to_file), 0);
	write_file(cert_path, plain_a.cert_pem);
	write_file(key_path, plain_a.key_pem);
	server = tls_ctx_new_server(&sc, why);
	client = tls_ctx_new_client(&cc, why);
	assert_int_equal(tls_ctx_reload(server), 0);
	meet(l, client, server, "a.test", &c, &s); /* stays open through all of it */
	shown_for(server, "a.test", cn, sizeof(cn), &alert);
	assert_string_equal(cn, "a.test");

	/* half a renewal: the key does not fit yet */
	write_file(cert_path, plain_c.cert_pem);
	assert_int_equal(tls_ctx_reload(server), -ERR_TLS);
	assert_int_equal(tls_ctx_reload(server), -ERR_TLS);
	assert_int_equal(count_lines(log_path, "does not belong to the certificate"), 1);
	shown_for(server, "a.test", cn, sizeof(cn), &alert);
	assert_string_equal(cn, "a.test");
	write_file(key_path, plain_c.key_pem);
	assert_int_equal(tls_ctx_reload(server), 1);
	assert_int_equal(tls_ctx_reload(server), 0);
	shown_for(server, "c.test", cn, sizeof(cn), &alert);
	assert_string_equal(cn, "c.test");
	shown_for(server, "a.test", cn, sizeof(cn), &alert);
	assert_string_equal(cn, "wild"); /* nothing is left of the old one */

	/* damaged, then gone: the last good one stays */
	write_file(cert_path, "-----BEGIN CERTIFICATE-----\nAAAA\n");
	assert_int_equal(tls_ctx_reload(server), -ERR_TLS);
	unlink(cert_path);
	assert_int_equal(tls_ctx_reload(server), -ERR_TLS);
	assert_int_equal(tls_ctx_reload(server), -ERR_TLS);
	assert_int_equal(count_lines(log_path, "No such file"), 1);
	shown_for(server, "c.test", cn, sizeof(cn), &alert);
	assert_string_equal(cn, "c.test");
	write_file(cert_path, plain_c.cert_pem);
	assert_int_equal(tls_ctx_reload(server), 1);

	/* the old connection has not noticed */
	c.to_send = s.to_send = 100000;
	kit_end_wants(&c);
	kit_end_wants(&s);
	kit_until(l, c.received == 100000 && s.received == 100000);
	assert_int_equal(c.wrong + s.wrong, 0);
	part(&c, &s);
	kit_loop_free(l);
	tls_ctx_free(server);
	tls_ctx_free(client);
	assert_int_equal(log_open(&off), 0);
	free(cert_path);
	free(key_path);
	free(log_path);
}

/* ---- one context, several threads ---- */

enum { THREADS = 3, ROUNDS = 60 };

struct worker {
	pthread_t thread;
	struct tls_ctx *client, *server;
	atomic_uint *left; /* workers that still shake hands */
	unsigned failed;
};

static void *shake_hands(void *arg)
{
	struct worker *w = arg;
	struct loop *l = loop_new(0);

	for (int i = 0; i < ROUNDS; i++) {
		struct kit_end c, s;

		meet(l, w->client, w->server, "a.test", &c, &s);
		w->failed += c.err || s.err;
		c.to_send = s.to_send = 100;
		if (c.s && s.s) {
			kit_end_wants(&c);
			kit_end_wants(&s);
			kit_until(l, c.received == 100 && s.received == 100);
		}
		w->failed += c.wrong + s.wrong;
		part(&c, &s);
	}
	loop_free(l);
	buf_thread_exit();
	atomic_fetch_sub(w->left, 1);
	return NULL;
}

/* No handshake fails while the certificate is replaced over and over. */
static void reload_under_load(void **state)
{
	char *cert_path = path_of("load.pem"), *key_path = path_of("loadkey.pem");
	struct conf_cert inl = {.usage = CONF_CERT_SERVE,
				.cert_file = cert_path,
				.key_file = key_path,
				.cert_pem = "",
				.key_pem = ""};
	struct conf_tls sc = server_conf(&inl, 1), cc = kit_conf();
	char why[TLS_CTX_WHY_MAX];
	struct worker w[THREADS];
	struct tls_ctx *server, *client;
	atomic_uint left = THREADS;
	bool odd = false;

	(void)state;
	cc.allow_insecure = true;
	write_file(cert_path, plain_a.cert_pem);
	write_file(key_path, plain_a.key_pem);
	server = tls_ctx_new_server(&sc, why);
	client = tls_ctx_new_client(&cc, why);
	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){.client = client, .server = server, .left = &left};
		assert_int_equal(pthread_create(&w[i].thread, NULL, shake_hands, &w[i]), 0);
	}
	while (atomic_load(&left) > 0) {
		odd = !odd;
		write_file(cert_path, odd ? plain_c.cert_pem : plain_a.cert_pem);
		tls_ctx_reload(server); /* does not fit the key: refused */
		write_file(key_path, odd ? plain_c.key_pem : plain_a.key_pem);
		assert_int_equal(tls_ctx_reload(server), 1);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].failed, 0);
	}
	tls_ctx_free(server);
	tls_ctx_free(client);
	free(cert_path);
	free(key_path);
}

static void reload_from_a_timer(void **state)
{
	struct conf_cert inl = kit_conf_cert(&wild, CONF_CERT_SERVE);
	struct conf_tls sc = server_conf(&inl, 1);
	char why[TLS_CTX_WHY_MAX], *cert_path = path_of("t.pem"), *key_path = path_of("tk.pem");
	struct tls_ctx *server = tls_ctx_new_server(&sc, why);
	struct loop *l = loop_new(0);

	(void)state;
	tls_ctx_watch(server, l, NULL, NULL); /* nothing to watch */
	tls_ctx_free(server);
	write_file(cert_path, plain_a.cert_pem);
	write_file(key_path, plain_a.key_pem);
	inl.cert_file = cert_path;
	inl.key_file = key_path;
	server = tls_ctx_new_server(&sc, why);
	assert_non_null(server);
	tls_ctx_watch(server, l, NULL, NULL);
	tls_ctx_watch(server, l, NULL, NULL);
	tls_ctx_free(server); /* stops it */
	inl.one_time = true;
	server = tls_ctx_new_server(&sc, why);
	write_file(cert_path, plain_c.cert_pem);
	assert_int_equal(tls_ctx_reload(server), 0);
	tls_ctx_free(server);
	kit_loop_free(l);
	free(cert_path);
	free(key_path);
}

/* ---- what is refused at load ---- */

static void refused(const struct conf_tls *c, bool server, const char *part_of_why)
{
	char why[TLS_CTX_WHY_MAX] = "";
	struct tls_ctx *x = server ? tls_ctx_new_server(c, why) : tls_ctx_new_client(c, why);

	if (x || !strstr(why, part_of_why))
		fail_msg("'%s' instead of '%s'", why, part_of_why);
}

static char *key_with_pass_phrase(const struct kit_cert *c)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *at, *out, phrase[] = "secret";
	long n;

	PEM_write_bio_PrivateKey(b, c->key, EVP_aes_128_cbc(), NULL, 0, NULL, phrase);
	n = BIO_get_mem_data(b, &at);
	out = calloc(1, (size_t)n + 1);
	memcpy(out, at, (size_t)n);
	BIO_free(b);
	return out;
}

static void load_errors(void **state)
{
	static const char *const bad_alpn[] = {"h2", ""}, *const bad_curves[] = {"x25519mlkem768"};
	static const char *const bad_ciphers[] = {"NO_SUCH_CIPHER"};
	struct conf_cert c = kit_conf_cert(&leaf, CONF_CERT_SERVE);
	struct conf_tls sc = server_conf(&c, 1), cc = kit_conf();
	char *phrase = key_with_pass_phrase(&leaf);

	(void)state;
	c.cert_file = "/no/such/cert.pem";
	refused(&sc, true, "/no/such/cert.pem: No such file");
	c.cert_file = "/dev/null";
	refused(&sc, true, "/dev/null: no certificate in it");
	c.cert_file = "";
	c.key_file = "/no/such/key.pem";
	refused(&sc, true, "/no/such/key.pem: No such file");
	c.key_file = "";
	c.key_pem = wild.key_pem;
	refused(&sc, true, "certificates[0]: the private key does not belong");
	c.key_pem = "junk";
	refused(&sc, true, "no usable private key");
	c.key_pem = phrase;
	refused(&sc, true, "pass phrase");
	c.key_pem = leaf.key_pem;
	c.cert_pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
	refused(&sc, true, "certificates[0]");
	c.cert_pem = leaf.cert_pem;
	c.usage = CONF_CERT_VERIFY;
	refused(&sc, true, "at least one");
	cc.certs = &c;
	cc.n_certs = 1;
	c.cert_pem = "";
	refused(&cc, false, "no certificate in it");
	cc.n_certs = 0;
	cc.min_version = CONF_TLS_1_3;
	cc.max_version = CONF_TLS_1_2;
	refused(&cc, false, "minVersion is above maxVersion");
	cc = kit_conf();
	cc.alpn = (struct conf_strs){bad_alpn, 2};
	refused(&cc, false, "alpn");
	cc = kit_conf();
	cc.curves = (struct conf_strs){bad_curves, 1};
	refused(&cc, false, "curvePreferences");
	cc = kit_conf();
	cc.cipher_suites = (struct conf_strs){bad_ciphers, 1};
	refused(&cc, false, "cipherSuites");
	cc = kit_conf();
	cc.master_key_log = "/no/such/dir/log";
	refused(&cc, false, "masterKeyLog");
	free(phrase);
}

/* A key after its parameters, and both in one file, as some tools write them. */
static void odd_files(void **state)
{
	struct conf_cert c = kit_conf_cert(&leaf, CONF_CERT_SERVE);
	struct conf_tls sc = server_conf(&c, 1);
	char why[TLS_CTX_WHY_MAX], *both;
	struct tls_ctx *x;

	(void)state;
	assert_true(asprintf(&both,
			     "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
			     "-----END EC PARAMETERS-----\n%s%s",
			     leaf.key_pem, leaf.cert_pem) > 0);
	c.cert_pem = both;
	c.key_pem = "";
	x = tls_ctx_new_server(&sc, why);
	if (!x)
		fail_msg("%s", why);
	tls_ctx_free(x);
	free(both);
}

/* ---- versions, resumption, key log ---- */

static void versions(void **state)
{
	static const struct {
		enum conf_tls_version min, max;
		int peer;
		bool works;
	} t[] = {
		{CONF_TLS_DEFAULT, CONF_TLS_DEFAULT, TLS1_1_VERSION, false},
		{CONF_TLS_DEFAULT, CONF_TLS_DEFAULT, TLS1_2_VERSION, true},
		{CONF_TLS_DEFAULT, CONF_TLS_DEFAULT, TLS1_3_VERSION, true},
		{CONF_TLS_1_3, CONF_TLS_DEFAULT, TLS1_2_VERSION, false},
		{CONF_TLS_DEFAULT, CONF_TLS_1_2, TLS1_3_VERSION, false},
		{CONF_TLS_1_0, CONF_TLS_DEFAULT, TLS1_VERSION, true},
		{CONF_TLS_1_0, CONF_TLS_1_1, TLS1_1_VERSION, true},
		{CONF_TLS_DEFAULT, CONF_TLS_1_1, TLS1_1_VERSION, true},
	};
	struct conf_cert c = kit_conf_cert(&leaf, CONF_CERT_SERVE);

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct conf_tls sc = server_conf(&c, 1);
		char why[TLS_CTX_WHY_MAX];
		struct loop *l = loop_new(0);
		struct tls_ctx *server;
		struct kit_end s;
		struct kit_peer p;

		sc.min_version = t[i].min;
		sc.max_version = t[i].max;
		server = tls_ctx_new_server(&sc, why);
		kit_visit(&s, &p, l, server);
		SSL_CTX_set_security_level(p.ctx, 0);
		SSL_CTX_set_min_proto_version(p.ctx, t[i].peer);
		SSL_CTX_set_max_proto_version(p.ctx, t[i].peer);
		kit_peer_start(&p, false);
		kit_until_peer(l, &p, s.finished && (p.done || p.error));
		assert_int_equal(s.err, t[i].works ? 0 : -ERR_TLS);
		if (t[i].works)
			assert_int_equal(s.version, t[i].peer);
		kit_end_close(&s, 0);
		kit_peer_free(&p);
		kit_loop_free(l);
		tls_ctx_free(server);
	}
}

static void tls12_ciphers(void **state)
{
	static const char *const names[] = {"TLS_NO_SUCH",
					    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"};
	static const char *const curves[] = {"x25519mlkem768", "curvep384"};
	struct conf_cert c = kit_conf_cert(&leaf, CONF_CERT_SERVE);
	struct conf_tls sc = server_conf(&c, 1);
	char why[TLS_CTX_WHY_MAX];
	struct loop *l = loop_new(0);
	struct tls_ctx *server;
	struct kit_end s;
	struct kit_peer p;

	(void)state;
	sc.max_version = CONF_TLS_1_2;
	sc.cipher_suites = (struct conf_strs){names, 2};
	sc.curves = (struct conf_strs){curves, 2};
	server = tls_ctx_new_server(&sc, why);
	assert_non_null(server);
	kit_visit(&s, &p, l, server);
	kit_peer_start(&p, false);
	kit_until_peer(l, &p, s.finished && (p.done || p.error));
	assert_int_equal(s.err, 0);
	assert_string_equal(SSL_get_cipher_name(p.ssl), "ECDHE-ECDSA-AES256-GCM-SHA384");
	kit_end_close(&s, 0);
	kit_peer_free(&p);
	kit_loop_free(l);
	tls_ctx_free(server);
}

static void resumption(void **state)
{
	static const enum conf_tls_version versions_of[] = {CONF_TLS_1_2, CONF_TLS_1_3};
	struct conf_cert c = kit_conf_cert(&leaf, CONF_CERT_SERVE);
	struct conf_pin pin = kit_pin(&leaf);

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct conf_tls sc = server_conf(&c, 1), cc = kit_conf();
		char why[TLS_CTX_WHY_MAX];
		struct loop *l = loop_new(0);
		struct tls_ctx *server, *client;
		bool both = (i & 3) == 3;

		cc.pins = &pin;
		cc.n_pins = 1;
		cc.max_version = versions_of[i >> 2];
		cc.session_resumption = i & 1;
		sc.session_resumption = (i & 2) != 0;
		server = tls_ctx_new_server(&sc, why);
		client = tls_ctx_new_client(&cc, why);
		for (int n = 0; n < 4; n++) {
			struct kit_end ce, se;

			meet(l, client, server, "hub.test", &ce, &se);
			assert_int_equal(ce.err + se.err, 0);
			assert_int_equal(ce.resumed, both && n > 0);
			assert_int_equal(se.resumed, both && n > 0);
			se.to_send = 10; /* tickets of 1.3 come with the first data */
			kit_end_wants(&se);
			kit_until(l, ce.received == 10);
			part(&ce, &se);
		}
		tls_ctx_free(client);
		tls_ctx_free(server);
		kit_loop_free(l);
	}
}

static int tickets_seen;

static int on_ticket(SSL *ssl, SSL_SESSION *s)
{
	(void)ssl;
	(void)s;
	tickets_seen++;
	return 0;
}

static void no_tickets_by_default(void **state)
{
	(void)state;
	for (int on = 0; on < 2; on++) {
		struct conf_cert c = kit_conf_cert(&leaf, CONF_CERT_SERVE);
		struct conf_tls sc = server_conf(&c, 1);
		char why[TLS_CTX_WHY_MAX];
		struct loop *l = loop_new(0);
		struct tls_ctx *server;
		struct kit_end s;
		struct kit_peer p;
		int fds[2];

		sc.session_resumption = on;
		server = tls_ctx_new_server(&sc, why);
		kit_pair(fds);
		kit_end_init(&s, l, 10);
		s.to_send = 100;
		kit_end_server(&s, fds[0], server);
		kit_peer_init(&p, fds[1], false, 11, NULL);
		SSL_CTX_set_session_cache_mode(p.ctx, SSL_SESS_CACHE_CLIENT);
		SSL_CTX_sess_set_new_cb(p.ctx, on_ticket);
		kit_peer_start(&p, false);
		tickets_seen = 0;
		kit_until_peer(l, &p, p.received == 100);
		assert_int_equal(tickets_seen > 0, on);
		kit_end_close(&s, 0);
		kit_peer_free(&p);
		kit_loop_free(l);
		tls_ctx_free(server);
	}
}

static void key_log(void **state)
{
	struct conf_cert c = kit_conf_cert(&leaf, CONF_CERT_SERVE);
	struct conf_pin pin = kit_pin(&leaf);
	struct conf_tls sc = server_conf(&c, 1), cc = kit_conf();
	char why[TLS_CTX_WHY_MAX], *path = path_of("keys");
	struct loop *l = loop_new(0);
	struct tls_ctx *server, *client;
	struct kit_end ce, se;
	struct stat st;

	(void)state;
	cc.pins = &pin;
	cc.n_pins = 1;
	sc.master_key_log = path;
	server = tls_ctx_new_server(&sc, why);
	client = tls_ctx_new_client(&cc, why);
	meet(l, client, server, "hub.test", &ce, &se);
	assert_int_equal(count_lines(path, "SERVER_TRAFFIC_SECRET_0 "), 1);
	assert_int_equal(count_lines(path, "CLIENT_HANDSHAKE_TRAFFIC_SECRET "), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	part(&ce, &se);
	tls_ctx_free(client);
	tls_ctx_free(server);
	kit_loop_free(l);
	free(path);
}

static int group_setup(void **state)
{
	struct log_setup off = {.level = LOG_NONE, .access_off = true};

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_open(&off);
	assert_non_null(mkdtemp(dir));
	ca = kit_cert_make(&(struct kit_cert_spec){.cn = "ca", .ca = true});
	other_ca = kit_cert_make(&(struct kit_cert_spec){.cn = "other", .ca = true});
	inter = kit_cert_make(&(struct kit_cert_spec){.cn = "inter", .ca = true, .issuer = &ca});
	leaf = kit_cert_make(&(struct kit_cert_spec){
		.cn = "leaf", .san = "DNS:hub.test,DNS:www.hub.test", .issuer = &ca});
	by_inter = kit_cert_make(
		&(struct kit_cert_spec){.cn = "by", .san = "DNS:hub.test", .issuer = &inter});
	expired = kit_cert_make(&(struct kit_cert_spec){
		.cn = "old", .san = "DNS:hub.test", .issuer = &ca, .from_s = -9000, .to_s = -90});
	future = kit_cert_make(&(struct kit_cert_spec){
		.cn = "new", .san = "DNS:hub.test", .issuer = &ca, .from_s = 9000, .to_s = 90000});
	cn_only = kit_cert_make(&(struct kit_cert_spec){.cn = "hub.test", .issuer = &ca});
	ip_leaf = kit_cert_make(&(struct kit_cert_spec){
		.cn = "ip", .san = "IP:127.0.0.1,IP:::1", .issuer = &ca});
	wild = kit_cert_make(
		&(struct kit_cert_spec){.cn = "wild", .san = "DNS:*.b.test", .issuer = &ca});
	plain_a = kit_cert_make(&(struct kit_cert_spec){.cn = "a.test", .san = "DNS:a.test"});
	plain_c = kit_cert_make(&(struct kit_cert_spec){.cn = "c.test"});
	return 0;
}

static int group_teardown(void **state)
{
	struct kit_cert *all[] = {&ca,	    &other_ca, &inter, &leaf,	 &expired, &future,
				  &cn_only, &ip_leaf,  &wild,  &by_inter, &plain_a, &plain_c};
	char *cmd;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		kit_cert_free(all[i]);
	assert_true(asprintf(&cmd, "rm -rf %s", dir) > 0);
	assert_int_equal(system(cmd), 0);
	free(cmd);
	buf_thread_exit();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verification),
		cmocka_unit_test(alpn_like_go),
		cmocka_unit_test(choosing),
		cmocka_unit_test(shown_certificates),
		cmocka_unit_test(hot_reload),
		cmocka_unit_test(reload_under_load),
		cmocka_unit_test(reload_from_a_timer),
		cmocka_unit_test(load_errors),
		cmocka_unit_test(odd_files),
		cmocka_unit_test(versions),
		cmocka_unit_test(tls12_ciphers),
		cmocka_unit_test(resumption),
		cmocka_unit_test(no_tickets_by_default),
		cmocka_unit_test(key_log),
	};

	return cmocka_run_group_tests_name("tls settings", tests, group_setup, group_teardown);
}
