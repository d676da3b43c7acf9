#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "app/cli.h"
#include "app/files.h"

/* "-c", "--c" and "-config=..." alike, as Go programs take them. */
static bool option(const char *arg, const char *name, const char **value)
{
	size_t n = strlen(name);

	if (*arg++ != '-')
		return false;
	if (*arg == '-')
		arg++;
	if (strncmp(arg, name, n) != 0)
		return false;
	*value = arg[n] == '=' ? arg + n + 1 : NULL;
	return arg[n] == 0 || arg[n] == '=';
}

static int parse(int argc, char **argv, struct files *f, bool *test)
{
	for (int i = 1; i < argc; i++) {
		const char *v = NULL;

		if (option(argv[i], "test", &v)) {
			*test = true;
		} else if (option(argv[i], "format", &v)) {
			if (!v)
				i++; /* there is one format */
		} else if (option(argv[i], "c", &v) || option(argv[i], "config", &v)) {
			if (!v && ++i < argc)
				v = argv[i];
			if (!v || !files_add(f, v))
				return cli_usage(&cmd_run, v ? "too many files" : "-c needs a file");
		} else if (option(argv[i], "confdir", &v)) {
			if (!v && ++i < argc)
				v = argv[i];
			if (!v)
				return cli_usage(&cmd_run, "-confdir needs a folder");
			f->confdir = v;
		} else {
			return cli_usage(&cmd_run, "what is \"%s\"?", argv[i]);
		}
	}
	return EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct files f = {0};
	bool test = false;
	struct conf *c;
	size_t warnings;
	int code = parse(argc, argv, &f, &test);

	if (code)
		return code;
	files_default(&f);
	c = files_load(&f, &warnings);
	if (!c)
		return EXIT_CONFIG;
	code = test ? app_test(c) : app_run(c);
	if (test && code == EXIT_OK)
		printf("Configuration OK.\n");
	conf_free(c);
	return code;
}

const struct command cmd_run = {
	.name = "run",
	.brief = "run with the given configuration (the default command)",
	.usage = "usage: garenne run [-c FILE]... [-confdir FOLDER] [-test]\n\n"
		 "  -c FILE, -config FILE  a configuration in Xray's JSON; may be repeated, later\n"
		 "                         files are laid over earlier ones; \"-\" or \"stdin:\" is\n"
		 "                         standard input\n"
		 "  -confdir FOLDER        all *.json of a folder, in the order of their names\n"
		 "  -test                  build everything, open no socket, say whether it is good\n\n"
		 "Without files config.json is looked for, here and in $XRAY_LOCATION_CONFIG.\n\n"
		 "Signals: TERM and INT end the program, HUP opens the log files anew.\n"
		 "Exit status: 0 ended by a signal, 23 configuration, 255 could not start.\n",
	.run = run,
};
