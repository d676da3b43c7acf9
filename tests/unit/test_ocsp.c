/* OCSP: the question, which answers are believed, and what a client gets to see of them. */
#include "tls_kit.h"

#include <netinet/in.h>
#include <openssl/ocsp.h>

#include "net/http_call.h"
#include "net/ocsp.h"

static struct kit_cert ca, other, leaf, sibling;
static char url[128];

/* A leaf that names its responder. */
static struct kit_cert leaf_for(const char *cn)
{
	struct kit_cert_spec spec = {.cn = cn, .san = "DNS:hub.test", .issuer = &ca};
	struct kit_cert c = kit_cert_make(&spec);
	char value[160];

	snprintf(value, sizeof(value), "OCSP;URI:%s", url);
	kit_extension(c.x, NID_info_access, value);
	X509_sign(c.x, ca.key, EVP_sha256());
	free(c.cert_pem);
	c.cert_pem = kit_pem(c.x, NULL);
	return c;
}

/* What a responder with @by's key says about @c. Gives. */
static uint8_t *answer(const struct kit_cert *c, const struct kit_cert *by, int status, long age_s,
		       size_t *n)
{
	OCSP_BASICRESP *b = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), c->x, ca.x);
	ASN1_TIME *from = X509_gmtime_adj(NULL, -age_s), *to = X509_gmtime_adj(NULL, 3600 - age_s);
	ASN1_TIME *revoked = status == V_OCSP_CERTSTATUS_REVOKED ? X509_gmtime_adj(NULL, -60) : NULL;
	OCSP_RESPONSE *r;
	uint8_t *der = NULL;

	assert_non_null(OCSP_basic_add1_status(b, id, status, 0, revoked, from, to));
	assert_int_equal(OCSP_basic_sign(b, by->x, by->key, EVP_sha256(), NULL, 0), 1);
	r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, b);
	*n = (size_t)i2d_OCSP_RESPONSE(r, &der);
	OCSP_RESPONSE_free(r);
	OCSP_BASICRESP_free(b);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	ASN1_TIME_free(revoked);
	return der;
}

static void which_answers_are_believed(void **state)
{
	static const struct {
		const struct kit_cert *about, *by;
		int status;
		long age_s;
		const char *why; /* NULL: believed */
	} t[] = {
		{&leaf, &ca, V_OCSP_CERTSTATUS_GOOD, 60, NULL},
		{&leaf, &ca, V_OCSP_CERTSTATUS_REVOKED, 60, "revoked"},
		{&leaf, &ca, V_OCSP_CERTSTATUS_UNKNOWN, 60, "does not know"},
		{&leaf, &other, V_OCSP_CERTSTATUS_GOOD, 60, "not signed"},
		{&sibling, &ca, V_OCSP_CERTSTATUS_GOOD, 60, "another certificate"},
		{&leaf, &ca, V_OCSP_CERTSTATUS_GOOD, 7200, "not of now"},
		{&leaf, &ca, V_OCSP_CERTSTATUS_GOOD, -7200, "not of now"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		size_t n;
		uint8_t *der = answer(t[i].about, t[i].by, t[i].status, t[i].age_s, &n);
		const char *why;
		time_t until = 0;
		int err = ocsp_answer_check(span_of(der, n), leaf.x, ca.x, &until, &why);

		if (t[i].why && (!err || !strstr(why, t[i].why)))
			fail_msg("%s instead of %s", why ? why : "believed", t[i].why);
		if (!t[i].why) {
			assert_int_equal(err, 0);
			assert_in_range(until, time(NULL) + 3000, time(NULL) + 3600);
			for (size_t cut = 0; cut < n; cut++)
				assert_int_not_equal(ocsp_answer_check(span_of(der, cut), leaf.x, ca.x,
								       &until, &why),
						     0);
		}
		OPENSSL_free(der);
	}
}

static void where_to_ask(void **state)
{
	static const struct {
		const char *value, *place, *path;
	} t[] = {
		{"OCSP;URI:http://ocsp.test/a/b", "ocsp.test:80", "/a/b"},
		{"OCSP;URI:http://127.0.0.1:8080", "127.0.0.1:8080", "/"},
		{"OCSP;URI:https://x.test/,OCSP;URI:http://y.test:81/", "y.test:81", "/"},
		{"OCSP;URI:https://x.test/", NULL, NULL},
		{"caIssuers;URI:http://x.test/", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct kit_cert c = kit_cert_make(&(struct kit_cert_spec){.cn = "x"});
		struct ocsp_place p;
		char text[ADDR_TEXT_MAX];
		int err;

		kit_extension(c.x, NID_info_access, t[i].value);
		err = ocsp_place(&p, c.x);
		assert_int_equal(err == 0, t[i].place != NULL);
		if (!err) {
			assert_string_equal(addr_text(&p.at, text, sizeof(text)), t[i].place);
			assert_string_equal(p.path, t[i].path);
		}
		kit_cert_free(&c);
	}
}

/* ---- the whole way ---- */

static int listen_local(uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof(a);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(fd, 4), 0);
	getsockname(fd, (struct sockaddr *)&a, &n);
	*port = ntohs(a.sin_port);
	return fd;
}

/* Accepts one question, checks that it is one, and answers. */
static void respond(struct loop *l, int lfd, const char *head, const uint8_t *der, size_t n)
{
	char in[4096] = "";
	size_t got = 0;
	ssize_t k;
	int fd;

	kit_until(l, (fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1);
	while (!strstr(in, "\r\n\r\n")) {
		kit_turn(l);
		k = recv(fd, in + got, sizeof(in) - 1 - got, 0);
		got += k > 0 ? (size_t)k : 0;
		in[got] = 0;
	}
	assert_int_equal(strncmp(in, "POST /status HTTP/1.1\r\n", 23), 0);
	assert_non_null(strstr(in, "Content-Type: application/ocsp-request\r\n"));
	assert_true(dprintf(fd, "%s", head) > 0);
	if (n)
		assert_int_equal(write(fd, der, n), n);
	close(fd);
}

/* How long the answer is that a client is shown; 0 for none. */
static size_t stapled(struct loop *l, struct tls_ctx *server)
{
	const unsigned char *resp = NULL;
	struct kit_peer p;
	struct kit_end s;
	long n;

	kit_visit(&s, &p, l, server);
	kit_peer_start(&p, false);
	SSL_set_tlsext_status_type(p.ssl, TLSEXT_STATUSTYPE_ocsp);
	kit_until_peer(l, &p, s.finished && (p.done || p.error));
	assert_true(p.done);
	n = SSL_get_tlsext_status_ocsp_resp(p.ssl, &resp);
	kit_end_close(&s, 0);
	kit_peer_free(&p);
	return n > 0 ? (size_t)n : 0;
}

static void shown_to_clients(void **state)
{
	struct conf_cert c = kit_conf_cert(&leaf, CONF_CERT_SERVE);
	struct conf_tls conf = kit_conf();
	struct loop *l = loop_new(0);
	char why[TLS_CTX_WHY_MAX], head[256], *both;
	struct tls_ctx *server;
	int lfd = *(int *)*state;
	size_t n;
	uint8_t *der = answer(&leaf, &ca, V_OCSP_CERTSTATUS_GOOD, 60, &n);

	assert_true(asprintf(&both, "%s%s", leaf.cert_pem, ca.cert_pem) > 0);
	c.cert_pem = both;
	c.ocsp_s = 1;
	conf.certs = &c;
	conf.n_certs = 1;
	server = tls_ctx_new_server(&conf, why);
	assert_non_null(server);
	tls_ctx_watch(server, l, NULL, NULL);
	assert_int_equal(stapled(l, server), 0); /* nothing yet: nobody waits for it */
	snprintf(head, sizeof(head), "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
	respond(l, lfd, head, der, n);
	kit_until(l, stapled(l, server) == n);
	/* a second later it is asked again; what is not believed changes nothing */
	respond(l, lfd, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", NULL, 0);
	assert_int_equal(stapled(l, server), n);
	tls_ctx_free(server);
	kit_loop_free(l);
	OPENSSL_free(der);
	free(both);
}

/* ---- the exchange below it ---- */

struct caller {
	struct http_call_user u;
	int done, err;
	unsigned status;
	char body[64];
	struct stream *back;
};

static void on_done(struct http_call_user *u, struct stream *s, const struct http_answer *a)
{
	struct caller *c = container_of(u, struct caller, u);

	c->done++;
	c->err = a->err;
	c->status = a->status;
	c->back = s;
	snprintf(c->body, sizeof(c->body), "%.*s", (int)a->body.n, (const char *)a->body.p);
}

static void http_answers(void **state)
{
	static const struct {
		const char *text;
		int err;
		unsigned status;
		const char *body;
		bool back, ends;
	} t[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 0, 200, "abc", true, false},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 0, 404,
		 "", true, false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 0, 200, "x", false, false},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 0, 200, "x",
		 false, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "3;x=1\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
		 0, 200, "abc0123456789", true, false},
		{"HTTP/1.1 200 OK\r\n\r\nall of it", 0, 200, "all of it", false, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", -ERR_RESET, 0, "", false, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", -ERR_LIMIT, 0, "", false, false},
		{"SSH-2.0-OpenSSH\r\n", -ERR_MALFORMED, 0, "", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (size_t step = 1; step < 64; step += 31) {
			struct caller c = {.u = {on_done}};
			struct loop *l = loop_new(0);
			size_t n = strlen(t[i].text), at = 0;
			int fds[2];

			kit_pair(fds);
			assert_non_null(http_call_start(stream_tcp_new(l, fds[0]), span_str("GET"), 32,
							10000, &c.u));
			while (!c.done) {
				size_t k = n - at < step ? n - at : step;

				if (k && send(fds[1], t[i].text + at, k, MSG_NOSIGNAL) > 0)
					at += k;
				else if (t[i].ends)
					shutdown(fds[1], SHUT_WR);
				kit_turn(l);
			}
			assert_int_equal(c.err, t[i].err);
			assert_int_equal(c.status, t[i].status);
			assert_string_equal(c.body, t[i].body);
			assert_int_equal(c.back != NULL, t[i].back);
			stream_close(c.back, 0);
			close(fds[1]);
			kit_loop_free(l);
		}
}

int main(void)
{
	uint16_t port;
	int lfd = listen_local(&port), rc;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_answers_are_believed),
		cmocka_unit_test(where_to_ask),
		cmocka_unit_test_prestate(shown_to_clients, &lfd),
		cmocka_unit_test(http_answers),
	};

	signal(SIGPIPE, SIG_IGN);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/status", port);
	ca = kit_cert_make(&(struct kit_cert_spec){.cn = "ca", .ca = true});
	other = kit_cert_make(&(struct kit_cert_spec){.cn = "other", .ca = true});
	leaf = leaf_for("leaf");
	sibling = leaf_for("sibling");
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	kit_cert_free(&ca);
	kit_cert_free(&other);
	kit_cert_free(&leaf);
	kit_cert_free(&sibling);
	close(lfd);
	return rc;
}
