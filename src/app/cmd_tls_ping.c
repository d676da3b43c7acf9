/*
 * Two TLS handshakes with a server, without and with its name, and what it
 * showed. Nothing is configured and nothing refused here: a certificate that
 * would not be accepted is shown like any other, with the reason.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "app/cli.h"
#include "app/knock.h"
#include "app/opts.h"
#include "base/addr.h"
#include "base/err.h"
#include "net/cert.h"

enum { TIMEOUT_MS = 10000 };

struct ping {
	char host[ADDR_NAME_MAX + 1]; /* as typed, without the port */
	bool host_is_ip;
	struct addr addr;
	struct ipport to;
};

/* ---- where ---- */

static int parse_target(struct ping *p, const char *text)
{
	if (knock_target(&p->addr, text) != 0)
		return -ERR_MALFORMED;
	addr_host_text(&p->addr, p->host, sizeof(p->host));
	p->host_is_ip = p->addr.kind == ADDR_IP;
	p->to.port = p->addr.port;
	return 0;
}

static int resolve(struct ping *p)
{
	const char *why = "";
	int err = knock_resolve(&p->to, &p->addr, &why);

	if (err)
		fprintf(stderr, "Failed to resolve IP: %s: %s\n", p->host, why);
	return err;
}

/* ---- what ---- */

static void print_names(const X509 *x)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	const char *gap = "";

	printf("Cert's allowed domains:            [");
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		int type;
		const ASN1_STRING *s = GENERAL_NAME_get0_value(g, &type);
		const uint8_t *b = ASN1_STRING_get0_data(s);
		int n = ASN1_STRING_length(s);

		if (type == GEN_DNS) {
			printf("%s%.*s", gap, n, (const char *)b);
		} else if (type == GEN_IPADD && (n == 4 || n == 16)) {
			struct ip ip = n == 4 ? ip_v4(b) : ip_v6(b);
			char text[ADDR_TEXT_MAX];

			printf("%s%s", gap, ip_text(&ip, text, sizeof(text)));
		} else {
			continue;
		}
		gap = " ";
	}
	printf("]\n");
	GENERAL_NAMES_free(names);
}

static void print_time(const char *what, const ASN1_TIME *t)
{
	struct tm tm;
	char text[64] = "?";

	if (ASN1_TIME_to_tm(t, &tm) == 1)
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
	printf("%-35s%s\n", what, text);
}

static void print_chain(SSL *ssl, const X509 *leaf)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
	EVP_PKEY *key = X509_get0_pubkey(leaf);
	char hash[CERT_HASH_TEXT];
	size_t total = 0;

	for (int i = 0; i < sk_X509_num(chain); i++)
		total += (size_t)i2d_X509(sk_X509_value(chain, i), NULL);
	printf("Certificate chain's total length:  %zu (certs count: %d)\n", total,
	       sk_X509_num(chain));
	printf("Cert's signature algorithm:        %s\n", OBJ_nid2sn(X509_get_signature_nid(leaf)));
	printf("Cert's publicKey algorithm:        %s\n",
	       key ? OBJ_nid2sn(EVP_PKEY_get_base_id(key)) : "?");
	if (cert_hash(hash, leaf) == 0)
		printf("Cert's leaf SHA256:                %s\n", hash);
	print_names(leaf);
	print_time("Cert's validity starts:", X509_get0_notBefore(leaf));
	print_time("Cert's validity ends:", X509_get0_notAfter(leaf));
}

static void print_session(SSL *ssl, bool named)
{
	const char *group = SSL_group_to_name(ssl, (int)SSL_get_negotiated_group(ssl));
	long verdict = SSL_get_verify_result(ssl);
	X509 *leaf = SSL_get1_peer_certificate(ssl);
	const uint8_t *alpn;
	unsigned n;

	printf("Handshake succeeded\n");
	printf("TLS Version:                       %s\n", SSL_get_version(ssl));
	printf("TLS Post-Quantum key exchange:     %s (%s)\n",
	       group && strcasestr(group, "mlkem") ? "true" : "false", group ? group : "none");
	printf("Cipher suite:                      %s\n", SSL_get_cipher_name(ssl));
	SSL_get0_alpn_selected(ssl, &alpn, &n);
	printf("ALPN:                              %.*s\n", n ? (int)n : 4,
	       n ? (const char *)alpn : "none");
	if (leaf)
		print_chain(ssl, leaf);
	if (named)
		printf("Cert's verification:               %s\n",
		       verdict == X509_V_OK ? "accepted" : X509_verify_cert_error_string(verdict));
	X509_free(leaf);
}

/* ---- one handshake ---- */

static bool prepare(SSL *ssl, struct ping *p, bool named)
{
	static const uint8_t protocols[] = "\x02h2\x08http/1.1";
	X509_VERIFY_PARAM *v = SSL_get0_param(ssl);

	if (SSL_set_alpn_protos(ssl, protocols, sizeof(protocols) - 1) != 0)
		return false;
	if (!named)
		return true;
	if (p->host_is_ip)
		return X509_VERIFY_PARAM_set1_ip_asc(v, p->host) == 1;
	return SSL_set_tlsext_host_name(ssl, p->host) == 1 &&
	       X509_VERIFY_PARAM_set1_host(v, p->host, 0) == 1;
}

/* The chain is judged, and whatever the judgement, the handshake goes on. */
static int go_on(int ok, X509_STORE_CTX *sc)
{
	(void)ok;
	(void)sc;
	return 1;
}

static int shake(SSL_CTX *ctx, struct ping *p, bool named)
{
	int fd = knock_dial(&p->to, TIMEOUT_MS), code = EXIT_FAILED;
	SSL *ssl;

	if (fd == -1) {
		printf("Failed to dial tcp: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	ssl = SSL_new(ctx);
	errno = 0;
	if (ssl && prepare(ssl, p, named) && SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1) {
		print_session(ssl, named);
		code = EXIT_OK;
	} else {
		const char *why = ERR_reason_error_string(ERR_peek_last_error());
		int saved = errno == EAGAIN ? ETIMEDOUT : errno;

		printf("Handshake failure:  %s\n", why	   ? why
						   : saved ? strerror(saved)
							   : "the server closed the connection");
	}
	ERR_clear_error();
	SSL_free(ssl);
	close(fd);
	return code;
}

static int ping(struct ping *p)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char text[ADDR_TEXT_MAX];
	int code;

	if (!ctx)
		return EXIT_FAILED;
	SSL_CTX_set_default_verify_paths(ctx);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, go_on);
	signal(SIGPIPE, SIG_IGN);
	printf("Using IP:  %s\n", ipport_text(&p->to, text, sizeof(text)));
	printf("-------------------\nPinging without SNI\n");
	shake(ctx, p, false);
	printf("-------------------\nPinging with SNI\n");
	code = shake(ctx, p, true);
	printf("-------------------\nTLS ping finished\n");
	SSL_CTX_free(ctx);
	return code;
}

static int run(int argc, char **argv)
{
	struct opts_list rest = {.n = 0};
	const char *ip = NULL;
	const struct opts table[] = {{.name = "ip", .text = &ip}, {.name = NULL}};
	int code = opts_parse(&cmd_tls_ping, table, argc, argv, &rest);
	struct ping p = {.host = ""};

	if (code)
		return code;
	if (rest.n != 1)
		return cli_usage(&cmd_tls_ping, "expected one HOST or HOST:PORT");
	if (parse_target(&p, rest.v[0]) != 0)
		return cli_usage(&cmd_tls_ping, "\"%s\" is no HOST or HOST:PORT", rest.v[0]);
	printf("TLS ping:  %s\n", rest.v[0]);
	if (ip && ip_parse(&p.to.ip, span_str(ip)) != 0)
		return cli_usage(&cmd_tls_ping, "-ip: \"%s\" is no address", ip);
	if (!ip && resolve(&p) != 0)
		return EXIT_FAILED;
	return ping(&p);
}

const struct command cmd_tls_ping = {
	.name = "tls ping",
	.brief = "show what a TLS server shows",
	.usage =
		"usage: garenne tls ping [-ip ADDRESS] HOST[:PORT]\n\n"
		"Makes two TLS handshakes with HOST, without and with its name (SNI), and prints\n"
		"version, cipher, ALPN and the certificate: names, validity, what verification\n"
		"says, and its SHA-256 as \"pinnedPeerCertSha256\" of tlsSettings takes it.\n\n"
		"  -ip ADDRESS  connect to this address\n\n"
		"Exit status: 0 when the handshake with the name succeeded, else 1. A certificate\n"
		"that would not be accepted does not count as a failure.\n",
	.run = run,
};
