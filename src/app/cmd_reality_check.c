/* Is a site fit to be the target of a REALITY server? */
#include <signal.h>
#include <stdio.h>

#include "app/cli.h"
#include "app/knock.h"
#include "app/opts.h"
#include "app/site.h"

static int verdict(const struct grades *g)
{
	if (g->n[GRADE_FAIL]) {
		printf("Not fit to be a target.\n");
		return EXIT_FAILED;
	}
	printf(g->n[GRADE_WARN] ? "Fit to be a target, with reservations.\n"
				: "Fit to be a target.\n");
	return EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct opts_list rest = {.n = 0};
	const char *ip = NULL, *name = NULL, *why = "";
	bool mldsa = false;
	const struct opts table[] = {{.name = "ip", .text = &ip},
				     {.name = "name", .text = &name},
				     {.name = "mldsa", .flag = &mldsa},
				     {.name = NULL}};
	int code = opts_parse(&cmd_reality_check, table, argc, argv, &rest);
	char host[ADDR_TEXT_MAX], text[ADDR_TEXT_MAX];
	struct grades g = {{0}};
	struct ipport to = {.port = 0};
	struct site s;
	struct addr a;

	if (code)
		return code;
	if (rest.n != 1)
		return cli_usage(&cmd_reality_check, "expected one HOST or HOST:PORT");
	if (knock_target(&a, rest.v[0]) != 0)
		return cli_usage(&cmd_reality_check, "\"%s\" is no HOST or HOST:PORT", rest.v[0]);
	if (ip && ip_parse(&to.ip, span_str(ip)) != 0)
		return cli_usage(&cmd_reality_check, "-ip: \"%s\" is no address", ip);
	to.port = a.port;
	if (!ip && knock_resolve(&to, &a, &why) != 0) {
		fprintf(stderr, "garenne reality check: %s: %s\n", rest.v[0], why);
		return EXIT_FAILED;
	}
	signal(SIGPIPE, SIG_IGN);
	addr_host_text(&a, host, sizeof(host));
	printf("%s at %s\n", name ? name : host, ipport_text(&to, text, sizeof(text)));
	site_look(&s, &to, name ? name : a.kind == ADDR_NAME ? host : "");
	site_judge(&s, mldsa, &g);
	return verdict(&g);
}

const struct command cmd_reality_check = {
	.name = "reality check",
	.brief = "is a site fit to be the target of REALITY",
	.usage =
		"usage: garenne reality check [-ip ADDRESS] [-name NAME] [-mldsa] HOST[:PORT]\n\n"
		"Looks at HOST as clients of REALITY will: does it speak TLS 1.3 with X25519 or\n"
		"X25519MLKEM768 without asking for another key share, are its records long enough\n"
		"for our handshake and shorter than 8192 bytes, is its certificate good, does it\n"
		"speak h2, does its first page lead elsewhere. One line for each matter.\n\n"
		"  -ip ADDRESS  connect to this address\n"
		"  -name NAME   ask for this name (\"serverNames\") instead of HOST\n"
		"  -mldsa       for a server with \"mldsa65Seed\"\n\n"
		"Exit status: 0 fit (perhaps with reservations), 1 not fit.\n",
	.run = run,
};
