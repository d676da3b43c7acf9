#include "app/cli.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct command *const commands[] = {
	&cmd_run,
	&cmd_check,
	&cmd_reload,
	&cmd_status,
	&cmd_flows,
	&cmd_why,
	&cmd_trace,
	&cmd_ping,
	&cmd_convert,
	&cmd_mesh_init,
	&cmd_mesh_add,
	&cmd_mesh_check,
	&cmd_mesh_compile,
	&cmd_mesh_show,
	&cmd_mesh_token,
	&cmd_mesh_join,
	&cmd_uuid,
	&cmd_x25519,
	&cmd_mldsa65,
	&cmd_mlkem768,
	&cmd_tls_cert,
	&cmd_tls_hash,
	&cmd_tls_ping,
	&cmd_reality_check,
	&cmd_audit,
	&cmd_version,
};

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void print_list(FILE *to)
{
	fprintf(to, "garenne %s: reverse proxy, port forwarding and mesh over VLESS and "
		    "Shadowsocks\n\nusage: garenne COMMAND [ARGUMENTS]\n\n",
		cli_version());
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(to, "  %-13s %s\n", commands[i]->name, commands[i]->brief);
	fprintf(to, "\n\"garenne help COMMAND\" says more about one.\n");
}

/* How many words of @argv the name of @c takes, 0 when it is another command. */
static int match(const struct command *c, int argc, char **argv)
{
	const char *name = c->name;
	int words = 0;

	while (*name) {
		size_t n = strcspn(name, " ");

		if (words >= argc || strlen(argv[words]) != n || strncmp(argv[words], name, n) != 0)
			return 0;
		words++;
		name += n;
		name += strspn(name, " ");
	}
	return words;
}

static const struct command *find(int argc, char **argv, int *words)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		*words = match(commands[i], argc, argv);
		if (*words)
			return commands[i];
	}
	return NULL;
}

/* The commands whose first word is @word; false when there are none. */
static bool print_family(FILE *to, const char *word)
{
	size_t n = strlen(word);
	bool any = false;

	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = commands[i];

		if (strncmp(c->name, word, n) != 0 || c->name[n] != ' ')
			continue;
		if (!any)
			fprintf(to, "usage: garenne %s COMMAND [ARGUMENTS]\n\n", word);
		fprintf(to, "  %-13s %s\n", c->name, c->brief);
		any = true;
	}
	if (any)
		fprintf(to, "\n\"garenne help %s COMMAND\" says more about one.\n", word);
	return any;
}

/* What was asked for is no command: the nearest list of those that are. */
static int unknown(int argc, char **argv)
{
	bool more = argc > 1 && argv[1][0] != '-';

	fprintf(stderr, "garenne: no command \"%s%s%s\"\n\n", argv[0], more ? " " : "",
		more ? argv[1] : "");
	if (!print_family(stderr, argv[0]))
		print_list(stderr);
	return EXIT_USAGE;
}

static int help(int argc, char **argv)
{
	const struct command *c;
	int words;

	if (argc == 0) {
		print_list(stdout);
		return EXIT_OK;
	}
	c = find(argc, argv, &words);
	if (!c)
		return argc == 1 && print_family(stdout, argv[0]) ? EXIT_OK : unknown(argc, argv);
	fputs(c->usage, stdout);
	return EXIT_OK;
}

static int is_help(const char *arg)
{
	return strcmp(arg, "help") == 0 || strcmp(arg, "--help") == 0 ||
	       strcmp(arg, "-help") == 0 || strcmp(arg, "-h") == 0;
}

int cli_main(int argc, char **argv)
{
	const struct command *c = &cmd_run;
	int words = 0;

	if (argc > 1 && is_help(argv[1]))
		return help(argc - 2, argv + 2);
	if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-version") == 0))
		return cmd_version.run(1, argv + 1);
	if (argc > 1 && argv[1][0] != '-') {
		c = find(argc - 1, argv + 1, &words);
		if (!c)
			return argc > 2 && is_help(argv[2]) ? help(1, argv + 1) : unknown(argc - 1, argv + 1);
	}
	if (argc > words + 1 && is_help(argv[words + 1])) {
		fputs(c->usage, stdout);
		return EXIT_OK;
	}
	return c->run(argc - words, argv + words);
}

int cli_usage(const struct command *c, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "garenne %s: ", c->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry: garenne help %s\n", c->name);
	return EXIT_USAGE;
}
