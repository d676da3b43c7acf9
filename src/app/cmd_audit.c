/* Is a hub of ours to be found? Every VLESS inbound of a file that strangers can reach is looked
 * at. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/audit.h"
#include "app/cli.h"
#include "app/files.h"
#include "app/opts.h"
#include "base/err.h"

enum { WAIT_MS = 1500, WAIT_MAX_MS = 60000 };

struct wish {
	struct addr to; /* ADDR_NONE: where the inbound listens */
	const char *name;
	unsigned wait_ms;
	bool offline;
	size_t probes;
	struct reply *room; /* for two */
};

/* The first name of the certificate that is no pattern. */
static void certificate_name(const struct conf_tls *t, char out[ADDR_NAME_MAX + 1])
{
	const struct conf_cert *c = t->n_certs ? &t->certs[0] : NULL;
	BIO *b = !c		 ? NULL
		 : *c->cert_file ? BIO_new_file(c->cert_file, "r")
				 : BIO_new_mem_buf(c->cert_pem, -1);
	X509 *x = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
	GENERAL_NAMES *names = x ? X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL) : NULL;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && !*out; i++) {
		int type;
		const ASN1_STRING *s =
			GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);

		if (type == GEN_DNS && ASN1_STRING_get0_data(s)[0] != '*')
			snprintf(out, ADDR_NAME_MAX + 1, "%.*s", ASN1_STRING_length(s),
				 (const char *)ASN1_STRING_get0_data(s));
	}
	GENERAL_NAMES_free(names);
	X509_free(x);
	BIO_free(b);
}

static void choose_name(const struct conf_inbound *in, char out[ADDR_NAME_MAX + 1])
{
	const struct conf_strs *names;

	out[0] = 0;
	if (in->stream.tls) {
		certificate_name(in->stream.tls, out);
		return;
	}
	names = &in->stream.reality->names;
	for (size_t i = 0; i < names->n && !*out; i++)
		snprintf(out, ADDR_NAME_MAX + 1, "%s", names->v[i]);
}

/* Where the inbound is to be found from here; port 0: nowhere. */
static void choose_hub(const struct conf_inbound *in, const struct wish *w, struct ipport *hub)
{
	static const uint8_t here[4] = {127, 0, 0, 1};
	const struct conf_listen *l = &in->listen;
	const char *why;

	if (w->to.kind != ADDR_NONE) {
		if (knock_resolve(hub, &w->to, &why) != 0)
			hub->port = 0;
		return;
	}
	if (l->kind == CONF_LISTEN_UNIX || l->ports.n == 0)
		return;
	hub->ip = l->kind == CONF_LISTEN_IP && !ip_is_any(&l->ip) ? l->ip : ip_v4(here);
	hub->port = l->ports.v[0].from;
}

static void audit_inbound(const struct conf_inbound *in, struct wish *w, struct grades *sum)
{
	char name[ADDR_NAME_MAX + 1], text[ADDR_TEXT_MAX];
	struct audit a = {.in = in,
			  .name = name,
			  .ours = &w->room[0],
			  .theirs = &w->room[1],
			  .patience = {.first = w->wait_ms, .quiet = w->wait_ms / 4}};

	choose_name(in, name);
	if (w->name)
		snprintf(name, sizeof(name), "%s", w->name);
	printf("Inbound \"%s\", %s, as %s:\n", in->tag, in->stream.reality ? "REALITY" : "TLS",
	       *name ? name : "a site without a name");
	audit_file(&a);
	if (!w->offline) {
		audit_target(&a);
		choose_hub(in, w, &a.hub);
		if (a.hub.port) {
			printf("Probes of %s:\n", ipport_text(&a.hub, text, sizeof(text)));
			w->probes += audit_probe(&a);
		}
	}
	for (int i = 0; i < GRADE_MAX_; i++)
		sum->n[i] += a.g.n[i];
}

static int audit_conf(const struct conf *c, struct wish *w)
{
	struct grades sum = {{0}};
	size_t n = 0;

	for (size_t i = 0; i < c->n_inbounds; i++) {
		const struct conf_inbound *in = &c->inbounds[i];

		if (in->proto != CONF_IN_VLESS)
			continue;
		n++;
		if (in->stream.security != CONF_SEC_NONE)
			audit_inbound(in, w, &sum);
		else if (in->listen.kind != CONF_LISTEN_UNIX &&
			 !(in->listen.kind == CONF_LISTEN_IP && ip_is_loopback(&in->listen.ip)))
			grade(&sum, GRADE_FAIL, "security",
			      "inbound \"%s\" is VLESS without TLS: everybody on the way reads it",
			      in->tag);
	}
	if (n == 0) {
		fprintf(stderr, "garenne audit: there is no VLESS inbound in the file\n");
		return EXIT_FAILED;
	}
	printf("%zu probes; %zu faults, %zu warnings, %zu notes.\n", w->probes, sum.n[GRADE_FAIL],
	       sum.n[GRADE_WARN], sum.n[GRADE_NOTE]);
	printf(sum.n[GRADE_FAIL]   ? "It can be found.\n"
	       : sum.n[GRADE_WARN] ? "It can be suspected.\n"
				   : "Nothing was found.\n");
	return sum.n[GRADE_FAIL] ? EXIT_FAILED : EXIT_OK;
}

static int read_wishes(struct wish *w, const char *to, const char *wait)
{
	char *end;
	unsigned long ms;

	if (to && knock_target(&w->to, to) != 0)
		return cli_usage(&cmd_audit, "-to: \"%s\" is no HOST or HOST:PORT", to);
	if (!wait)
		return 0;
	ms = strtoul(wait, &end, 10);
	if (*end || ms < 100 || ms > WAIT_MAX_MS)
		return cli_usage(&cmd_audit, "-wait: expected 100 to %d milliseconds", WAIT_MAX_MS);
	w->wait_ms = (unsigned)ms;
	return 0;
}

static int run(int argc, char **argv)
{
	struct opts_list rest = {.n = 0};
	struct wish w = {.wait_ms = WAIT_MS};
	const char *to = NULL, *wait = NULL;
	const struct opts table[] = {{.name = "to", .text = &to},
				     {.name = "name", .text = &w.name},
				     {.name = "wait", .text = &wait},
				     {.name = "offline", .flag = &w.offline},
				     {.name = NULL}};
	int code = opts_parse(&cmd_audit, table, argc, argv, &rest);
	struct files f = {.n = 0};
	struct conf *c;
	size_t warnings;

	if (code == 0)
		code = read_wishes(&w, to, wait);
	if (code)
		return code;
	for (size_t i = 0; i < rest.n; i++)
		if (!files_add(&f, rest.v[i]))
			return cli_usage(&cmd_audit, "more than %d files", FILES_MAX);
	if (f.n == 0)
		return cli_usage(&cmd_audit, "no file given");
	signal(SIGPIPE, SIG_IGN);
	c = files_load(&f, &warnings);
	if (!c)
		return EXIT_CONFIG;
	w.room = calloc(2, sizeof(*w.room));
	code = w.room ? audit_conf(c, &w) : EXIT_FAILED;
	free(w.room);
	conf_free(c);
	return code;
}

const struct command cmd_audit = {
	.name = "audit",
	.brief = "can a hub be found by whoever looks for one",
	.usage = "usage: garenne audit [-to HOST:PORT] [-name NAME] [-wait MS] [-offline] "
		 "FILE...\n\n"
		 "Reads a server's file and looks at its VLESS inbounds with REALITY or TLS as a\n"
		 "censor would: what the file gives away, how the target looks, and whether the\n"
		 "running hub answers some twenty kinds of probes as the site behind it does. One\n"
		 "line for each matter. Probes are ordinary connections; they need no right and\n"
		 "change nothing.\n\n"
		 "  -to HOST:PORT  where the hub is, when not where the file says\n"
		 "  -name NAME     the name that visitors ask for\n"
		 "  -wait MS       how long to wait for an answer, 1500 unless given\n"
		 "  -offline       read the file, connect to nothing\n\n"
		 "Exit status: 0 nothing but warnings, 1 faults, 23 the file cannot be used.\n",
	.run = run,
};
