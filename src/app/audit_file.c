/* What a configuration gives away before anybody connects. */
#include <errno.h>
#include <ifaddrs.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "app/audit.h"
#include "app/site.h"

enum { PORT_HTTPS = 443, SOON_DAYS = 7 };

static void judge_port(struct audit *a)
{
	const struct conf_listen *l = &a->in->listen;

	if (l->kind == CONF_LISTEN_UNIX)
		return;
	if (l->ports.n == 1 && l->ports.v[0].from == PORT_HTTPS && l->ports.v[0].to == PORT_HTTPS)
		grade(&a->g, GRADE_OK, "port", "443, as web sites have it");
	else
		grade(&a->g, GRADE_WARN, "port", "not 443: a web site elsewhere is worth a look");
}

static void judge_flows(struct audit *a)
{
	const struct conf_in_vless *v = &a->in->vless;
	size_t without = 0;

	for (size_t i = 0; i < v->n_users; i++)
		without += v->users[i].flow == CONF_FLOW_NONE &&
			   (!*v->users[i].reverse_tag || v->users[i].reverse_forward);
	if (without)
		grade(&a->g, GRADE_WARN, "flow",
		      "%zu of %zu users without \"flow\": \"xtls-rprx-vision\": TLS inside of TLS "
		      "shows by its lengths",
		      without, v->n_users);
	else
		grade(&a->g, GRADE_OK, "flow", "xtls-rprx-vision for every user");
}

/* ---- REALITY ---- */

static void judge_short_ids(struct audit *a)
{
	static const uint8_t zero[CONF_REALITY_SHORT_ID_LEN];
	const struct conf_reality_server *r = a->in->stream.reality;
	size_t empty = 0;

	for (size_t i = 0; i < r->n_short_ids; i++)
		empty += memcmp(r->short_ids[i], zero, sizeof(zero)) == 0;
	if (empty == r->n_short_ids)
		grade(&a->g, GRADE_WARN, "shortIds",
		      "only empty ones: whoever learns the public key is a client");
	else if (empty)
		grade(&a->g, GRADE_NOTE, "shortIds", "the empty one is among them");
	else
		grade(&a->g, GRADE_OK, "shortIds", "%zu, none empty", r->n_short_ids);
}

static void judge_versions(struct audit *a)
{
	const struct conf_reality_server *r = a->in->stream.reality;

	if (r->min_version == 0)
		grade(&a->g, GRADE_NOTE, "minClientVer", "not set: clients however old are let in");
	if (r->max_diff_ms == 0)
		grade(&a->g, GRADE_NOTE, "maxTimeDiff",
		      "not set: a ClientHello that was recorded is taken for one of ours for ever");
	if (r->up.bytes_per_s || r->down.bytes_per_s)
		grade(&a->g, GRADE_NOTE, "limitFallback",
		      "strangers are slower than at the target, which can be measured");
}

static bool is_own_address(const struct ip *ip)
{
	struct ifaddrs *list;
	bool own = ip_is_loopback(ip);

	if (getifaddrs(&list) != 0)
		return own;
	for (const struct ifaddrs *i = list; i && !own; i = i->ifa_next) {
		struct ipport p;

		own = i->ifa_addr && ipport_from_sockaddr(&p, i->ifa_addr) == 0 && ip_eq(&p.ip, ip);
	}
	freeifaddrs(list);
	return own;
}

static void judge_address(struct audit *a)
{
	if (is_own_address(&a->target.ip))
		grade(&a->g, GRADE_WARN, "target",
		      "it is this machine: right only if its names lead here");
	else if (ip_is_private(&a->target.ip))
		grade(&a->g, GRADE_WARN, "target",
		      "it has a private address: right only if its names lead here");
	if (!conf_ports_has(&a->in->listen.ports, a->target.port))
		grade(&a->g, GRADE_WARN, "target", "its port is %u, ours is another",
		      a->target.port);
}

void audit_target(struct audit *a)
{
	const struct conf_reality_server *r = a->in->stream.reality;
	const char *why = "";
	struct site s;

	if (!r)
		return;
	if (r->target.kind == ADDR_NONE) {
		grade(&a->g, GRADE_NOTE, "target", "a unix socket: it is not looked at");
		return;
	}
	if (knock_resolve(&a->target, &r->target, &why) != 0) {
		grade(&a->g, GRADE_FAIL, "target", "%s: %s", r->target.name, why);
		a->target.port = 0;
		return;
	}
	judge_address(a);
	for (size_t i = 0; i < r->names.n; i++) {
		if (!*r->names.v[i])
			continue;
		printf("The target, asked for %s:\n", r->names.v[i]);
		site_look(&s, &a->target, r->names.v[i]);
		site_judge(&s, r->mldsa_seed != NULL, &a->g);
		if (s.dial_errno)
			a->target.port = 0;
	}
}

/* ---- TLS ---- */

static bool offers(const struct conf_tls *t, const char *alpn)
{
	for (size_t i = 0; i < t->alpn.n; i++)
		if (strcmp(t->alpn.v[i], alpn) == 0)
			return true;
	return false;
}

static void judge_fallbacks(struct audit *a)
{
	const struct conf_in_vless *v = &a->in->vless;
	const struct conf_tls *t = a->in->stream.tls;
	bool h2 = false;

	if (v->n_fallbacks == 0) {
		grade(&a->g, GRADE_FAIL, "fallbacks",
		      "none: a visitor who asks for a page is hung up on, as by no web server");
		return;
	}
	grade(&a->g, GRADE_OK, "fallbacks", "%zu", v->n_fallbacks);
	for (size_t i = 0; i < v->n_fallbacks; i++) {
		const char *alpn = v->fallbacks[i].alpn;

		h2 = h2 || strcmp(alpn, "h2") == 0;
		if (*alpn && !offers(t, alpn))
			grade(&a->g, GRADE_FAIL, "ALPN",
			      "the fallback for \"%s\" is never used: \"alpn\" of tlsSettings does "
			      "not offer it",
			      alpn);
	}
	if (offers(t, "h2") && !h2)
		grade(&a->g, GRADE_WARN, "ALPN",
		      "h2 is offered, but no fallback is for it: the web server must take both "
		      "HTTP/1.1 and HTTP/2 without TLS on one port");
}

static X509 *read_certificate(const struct conf_cert *c)
{
	BIO *b = *c->cert_file ? BIO_new_file(c->cert_file, "r") : BIO_new_mem_buf(c->cert_pem, -1);
	X509 *x = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;

	BIO_free(b);
	return x;
}

static void judge_certificate(struct audit *a, X509 *x)
{
	int days = 0, seconds = 0;

	if (X509_check_issued(x, x) == X509_V_OK)
		grade(&a->g, GRADE_FAIL, "certificate",
		      "it is signed by itself: no browser would stay");
	else
		grade(&a->g, GRADE_OK, "certificate", "signed by somebody else");
	if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)) != 1)
		return;
	if (days < 0 || seconds < 0)
		grade(&a->g, GRADE_FAIL, "certificate", "it has ended");
	else if (days < SOON_DAYS)
		grade(&a->g, GRADE_WARN, "certificate", "it ends in %d days", days);
}

static void judge_tls(struct audit *a)
{
	const struct conf_tls *t = a->in->stream.tls;

	for (size_t i = 0; i < t->n_certs; i++) {
		X509 *x = t->certs[i].usage == CONF_CERT_SERVE ? read_certificate(&t->certs[i])
							       : NULL;

		if (x)
			judge_certificate(a, x);
		X509_free(x);
	}
	if (t->min_version != CONF_TLS_DEFAULT && t->min_version < CONF_TLS_1_2)
		grade(&a->g, GRADE_WARN, "minVersion", "below 1.2: browsers gave that up in 2020");
	if (t->max_version != CONF_TLS_DEFAULT && t->max_version < CONF_TLS_1_3)
		grade(&a->g, GRADE_WARN, "maxVersion",
		      "below 1.3: every current web server has it");
}

void audit_file(struct audit *a)
{
	judge_port(a);
	judge_flows(a);
	if (a->in->stream.reality) {
		judge_short_ids(a);
		judge_versions(a);
	} else {
		judge_fallbacks(a);
		judge_tls(a);
	}
}
