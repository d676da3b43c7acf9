#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "app/cli.h"
#include "app/files.h"
#include "app/opts.h"

static int run(int argc, char **argv)
{
	struct opts_list names = {.n = 0};
	const char *format = NULL, *confdir = NULL;
	bool test = false;
	const struct opts table[] = {
		{.name = "c", .list = &names},
		{.name = "config", .list = &names},
		{.name = "confdir", .text = &confdir},
		{.name = "format", .text = &format}, /* there is one format */
		{.name = "test", .flag = &test},
		{.name = NULL},
	};
	struct files f = {0};
	struct conf *c;
	size_t warnings;
	int code = opts_parse(&cmd_run, table, argc, argv, NULL);

	if (code)
		return code;
	for (size_t i = 0; i < names.n; i++)
		if (!files_add(&f, names.v[i]))
			return cli_usage(&cmd_run, "too many files");
	f.confdir = confdir;
	files_default(&f);
	c = files_load(&f, &warnings);
	if (!c)
		return EXIT_CONFIG;
	code = test ? app_test(c) : app_run(c, &f);
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
		 "                         files are laid over earlier ones; \"-\" or \"stdin:\" "
		 "is\n"
		 "                         standard input\n"
		 "  -confdir FOLDER        all *.json of a folder, in the order of their names\n"
		 "  -test                  build everything, open no socket, say whether it is "
		 "good\n\n"
		 "Without files config.json is looked for, here and in $XRAY_LOCATION_CONFIG.\n\n"
		 "Signals: TERM and INT end the program, HUP opens the log files anew.\n"
		 "Exit status: 0 ended by a signal, 23 configuration, 255 could not start.\n",
	.run = run,
};
