#include "app/site.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "app/knock.h"
#include "base/err.h"
#include "crypto/tls13.h"

enum { DIAL_MS = 5000, ANSWER_MS = 5000, PAGE_MAX = 8192, SECONDS_A_DAY = 86400 };

/* ---- the answer to a bare hello ---- */

static void read_shape(struct site_shape *s, int fd)
{
	uint8_t in[REALITY_FLIGHT_MAX];
	uint64_t until = knock_now_ms() + ANSWER_MS;
	struct reality_flight f;
	size_t n = 0;

	while (n < sizeof(in)) {
		enum knock_end end;
		size_t part = knock_read(fd, in + n, sizeof(in) - n, until, &end);
		int done;

		if (part == 0)
			return;
		n += part;
		s->answered = true;
		done = reality_flight_decode(&f, span_of(in, n), &s->fault);
		if (done == 0)
			continue;
		s->complete = done > 0;
		if (done > 0) {
			s->group = f.hello.group;
			s->suite = f.hello.suite;
			s->merged = f.merged;
			memcpy(s->slot, f.slot, sizeof(s->slot));
		}
		return;
	}
}

static void ask_shape(struct site *s, struct site_shape *shape, enum hello_kind kind)
{
	const struct hello_spec spec = {.kind = kind, .name = s->name};
	struct hello h;
	int fd;

	if (hello_make(&h, &spec) != 0)
		return;
	fd = knock_dial(&s->to, DIAL_MS);
	if (fd == -1) {
		s->dial_errno = errno;
		return;
	}
	if (knock_send(fd, span_of(h.b, h.n)))
		read_shape(shape, fd);
	close(fd);
}

/* ---- a whole handshake ---- */

static void read_certificate(struct site *s, SSL *ssl, X509 *leaf)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
	int days = 0, seconds = 0;

	for (int i = 0; i < sk_X509_num(chain); i++)
		s->chain_len += (size_t)i2d_X509(sk_X509_value(chain, i), NULL);
	s->chain_n = (unsigned)sk_X509_num(chain);
	s->named = s->name[0] && X509_check_host(leaf, s->name, 0, 0, NULL) == 1;
	s->self_signed = X509_check_issued(leaf, leaf) == X509_V_OK;
	s->verify = SSL_get_verify_result(ssl);
	if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(leaf)) == 1)
		s->days_left = seconds < 0 ? days - 1 : days;
}

static void read_session(struct site *s, SSL *ssl)
{
	X509 *leaf = SSL_get1_peer_certificate(ssl);
	const uint8_t *alpn;
	unsigned n;

	s->tls = true;
	SSL_get0_alpn_selected(ssl, &alpn, &n);
	s->h2 = n == 2 && memcmp(alpn, "h2", 2) == 0;
	snprintf(s->version, sizeof(s->version), "%s", SSL_get_version(ssl));
	if (leaf)
		read_certificate(s, ssl, leaf);
	X509_free(leaf);
}

/* What the first page says, without following it. */
static void read_page(struct site *s, SSL *ssl)
{
	char page[PAGE_MAX], *line;
	int n = 0, part;

	n = snprintf(page, sizeof(page),
		     "GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n"
		     "Connection: close\r\n\r\n",
		     s->name);
	if (SSL_write(ssl, page, n) != n)
		return;
	for (n = 0; n < PAGE_MAX - 1; n += part) {
		part = SSL_read(ssl, page + n, PAGE_MAX - 1 - n);
		page[n + (part > 0 ? part : 0)] = 0;
		if (part <= 0 || strstr(page, "\r\n\r\n"))
			break;
	}
	if (strncmp(page, "HTTP/1.", 7) != 0 || strlen(page) < 12)
		return;
	s->status = (int)strtol(page + 9, NULL, 10);
	line = strcasestr(page, "\r\nlocation:");
	if (!line)
		return;
	line += strlen("\r\nlocation:");
	line += strspn(line, " ");
	snprintf(s->location, sizeof(s->location), "%.*s", (int)strcspn(line, "\r\n"), line);
}

static int go_on(int ok, X509_STORE_CTX *sc)
{
	(void)ok;
	(void)sc;
	return 1;
}

static void say_failure(struct site *s)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	snprintf(s->failure, sizeof(s->failure), "%s",
		 why ? why : "the server closed the connection or is silent");
}

static void shake(struct site *s, SSL_CTX *ctx, const char *alpn,
		  void (*then)(struct site *, SSL *))
{
	int fd = knock_dial(&s->to, DIAL_MS);
	SSL *ssl = fd == -1 ? NULL : SSL_new(ctx);

	if (fd == -1)
		s->dial_errno = errno;
	if (ssl && SSL_set_alpn_protos(ssl, (const uint8_t *)alpn, (unsigned)strlen(alpn)) == 0 &&
	    (!s->name[0] || SSL_set_tlsext_host_name(ssl, s->name) == 1) &&
	    SSL_set_fd(ssl, fd) == 1) {
		if (SSL_connect(ssl) == 1)
			then(s, ssl);
		else
			say_failure(s);
	}
	ERR_clear_error();
	SSL_free(ssl);
	if (fd != -1)
		close(fd);
}

void site_look(struct site *s, const struct ipport *to, const char *name)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	*s = (struct site){.to = *to};
	snprintf(s->name, sizeof(s->name), "%s", name);
	ask_shape(s, &s->browser, HELLO_BROWSER);
	if (ctx && s->dial_errno == 0) {
		ask_shape(s, &s->plain, HELLO_PLAIN);
		SSL_CTX_set_default_verify_paths(ctx);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, go_on);
		shake(s, ctx, "\x02h2\x08http/1.1", read_session);
		if (s->tls)
			shake(s, ctx, "\x08http/1.1", read_page);
	}
	SSL_CTX_free(ctx);
}

/* ---- the judgement ---- */

/* Least lengths of our records, header and tag included, with the certificate of 178 bytes; see
 * reality_flight.h for the slots. */
enum {
	NEED_EXTENSIONS = 28,
	NEED_CERT = 213,
	NEED_CERT_MLDSA = 3544,
	NEED_VERIFY = 94,
	NEED_FINISHED = 58,
	NEED_FINISHED_384 = 74,
	/* in one record there is one header, one type and one tag for all four */
	MERGED_SAVES = 3 * (5 + 1 + 16),
};

static size_t need_finished(const struct site_shape *s)
{
	return s->suite == TLS_AES_256_GCM ? NEED_FINISHED_384 : NEED_FINISHED;
}

/* The slot that is too short for our flight, and how long it must be; 0 when all fits. */
static unsigned short_slot(const struct site_shape *s, bool mldsa, size_t *need)
{
	const size_t needs[] = {NEED_EXTENSIONS, mldsa ? NEED_CERT_MLDSA : NEED_CERT, NEED_VERIFY,
				need_finished(s)};
	size_t sum = 0;

	for (unsigned i = 0; i < 4; i++) {
		*need = needs[i];
		sum += needs[i];
		if (!s->merged && s->slot[REALITY_SLOT_FIRST + i] < needs[i])
			return REALITY_SLOT_FIRST + i;
	}
	*need = sum - MERGED_SAVES;
	return s->merged && s->slot[REALITY_SLOT_FIRST] < *need ? REALITY_SLOT_FIRST : 0;
}

static const char *group_name(uint16_t group)
{
	return group == TLS_GROUP_X25519MLKEM768 ? "X25519MLKEM768" : "X25519";
}

static void judge_shape(const struct site *s, struct grades *g)
{
	const struct site_shape *b = &s->browser, *p = &s->plain;

	if (!b->answered)
		grade(g, GRADE_FAIL, "TLS 1.3", "no answer to a browser's ClientHello");
	else if (b->fault == REALITY_FLIGHT_NO_TLS13 || b->fault == REALITY_FLIGHT_ALERT ||
		 b->fault == REALITY_FLIGHT_NO_TLS || b->fault == REALITY_FLIGHT_BAD_HELLO)
		grade(g, GRADE_FAIL, "TLS 1.3", "%s", reality_flight_text(b->fault));
	else
		grade(g, GRADE_OK, "TLS 1.3", "spoken with browsers");
	if (b->complete)
		grade(g, GRADE_OK, "key exchange", "%s with browsers", group_name(b->group));
	else if (b->fault == REALITY_FLIGHT_RETRY || b->fault == REALITY_FLIGHT_SHARE)
		grade(g, GRADE_FAIL, "key exchange", "%s", reality_flight_text(b->fault));
	if (b->complete && !p->complete)
		grade(g, GRADE_WARN, "key exchange",
		      "clients without X25519MLKEM768 will not get in: %s",
		      p->answered ? reality_flight_text(p->fault) : "no answer");
	else if (p->complete && b->complete)
		grade(g, GRADE_OK, "key exchange", "%s with clients that know nothing else",
		      group_name(p->group));
}

static void judge_records(const struct site *s, bool mldsa, struct grades *g)
{
	const struct site_shape *b = &s->browser;
	size_t need;
	unsigned slot;

	if (b->fault == REALITY_FLIGHT_LONG || b->fault == REALITY_FLIGHT_SEQUENCE)
		grade(g, GRADE_FAIL, "records", "%s", reality_flight_text(b->fault));
	if (!b->complete)
		return;
	slot = short_slot(b, false, &need);
	if (slot)
		grade(g, GRADE_FAIL, "records", "the %s has %u bytes, %zu are needed",
		      b->merged ? "record of the flight" : "record of a message", b->slot[slot],
		      need);
	else if (b->merged)
		grade(g, GRADE_OK, "records", "the flight is one record of %u bytes",
		      b->slot[REALITY_SLOT_FIRST]);
	else
		grade(g, GRADE_OK, "records", "the flight is four records of %u, %u, %u, %u bytes",
		      b->slot[2], b->slot[3], b->slot[4], b->slot[5]);
	slot = short_slot(b, true, &need);
	if (slot)
		grade(g, mldsa ? GRADE_FAIL : GRADE_NOTE, "ML-DSA-65",
		      "no room for \"mldsa65Seed\": the record of the certificate has %u bytes, "
		      "%zu "
		      "are needed",
		      b->slot[slot], need);
	else
		grade(g, GRADE_OK, "ML-DSA-65", "there is room for \"mldsa65Seed\"");
}

static void judge_certificate(const struct site *s, struct grades *g)
{
	if (!s->named)
		grade(g, GRADE_FAIL, "certificate", "it is not for %s",
		      s->name[0] ? s->name : "the name that was asked for");
	else if (s->self_signed)
		grade(g, GRADE_FAIL, "certificate", "it is signed by itself: nobody trusts it");
	else if (s->days_left < 0)
		grade(g, GRADE_FAIL, "certificate", "it ended %d days ago", -s->days_left);
	else if (s->verify != X509_V_OK)
		grade(g, GRADE_WARN, "certificate", "it is not accepted here: %s",
		      X509_verify_cert_error_string(s->verify));
	else
		grade(g, GRADE_OK, "certificate", "for %s, accepted, %d days left", s->name,
		      s->days_left);
	grade(g, GRADE_NOTE, "certificate", "%zu bytes in a chain of %u", s->chain_len, s->chain_n);
}

bool site_location_elsewhere(const char *location, const char *name)
{
	const char *host = strstr(location, "://");
	size_t n;

	if (!host)
		return false;
	host += 3;
	n = strcspn(host, "/:?#");
	return n != strlen(name) || strncasecmp(host, name, n) != 0;
}

static void judge_page(const struct site *s, struct grades *g)
{
	if (s->h2)
		grade(g, GRADE_OK, "h2", "spoken");
	else
		grade(g, GRADE_WARN, "h2", "not spoken: clients of REALITY offer it first");
	if (s->status == 0)
		grade(g, GRADE_WARN, "first page", "no answer to GET / over HTTP/1.1");
	else if (s->status >= 300 && s->status < 400 &&
		 site_location_elsewhere(s->location, s->name))
		grade(g, GRADE_FAIL, "redirect", "its first page leads elsewhere: %d to %s",
		      s->status, s->location);
	else if (s->status >= 300 && s->status < 400)
		grade(g, GRADE_OK, "redirect", "only within the site: %d to %s", s->status,
		      s->location);
	else
		grade(g, GRADE_OK, "redirect", "none, its first page answers %d", s->status);
}

void site_judge(const struct site *s, bool mldsa, struct grades *g)
{
	if (s->dial_errno) {
		grade(g, GRADE_FAIL, "connection", "%s", strerror(s->dial_errno));
		return;
	}
	if (ip_is_private(&s->to.ip))
		grade(g, GRADE_WARN, "address",
		      "it is private: to a stranger the target is elsewhere");
	judge_shape(s, g);
	judge_records(s, mldsa, g);
	if (!s->tls) {
		grade(g, GRADE_FAIL, "handshake", "%s", s->failure);
		return;
	}
	judge_certificate(s, g);
	judge_page(s, g);
}
