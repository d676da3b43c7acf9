#include <stdio.h>

#include "app/app.h"
#include "app/cli.h"
#include "app/files.h"

static int run(int argc, char **argv)
{
	struct files f = {0};
	struct conf *c;
	size_t warnings;
	int code;

	for (int i = 1; i < argc; i++)
		if (!files_add(&f, argv[i]))
			return cli_usage(&cmd_check, "more than %d files", FILES_MAX);
	if (f.n == 0)
		return cli_usage(&cmd_check, "no file given");
	c = files_load(&f, &warnings);
	if (!c)
		return EXIT_CONFIG;
	code = app_test(c);
	if (code == EXIT_OK)
		printf("%zu warnings\nConfiguration OK.\n", warnings);
	conf_free(c);
	return code;
}

const struct command cmd_check = {
	.name = "check",
	.brief = "read configuration files and say what is wrong with them",
	.usage = "usage: garenne check FILE...\n\n"
		 "Reads the files as \"run\" would, in this order, and builds everything but opens\n"
		 "no socket. Each message names file, line and path. Besides errors it warns of\n"
		 "what is valid but surely not meant: rules that can never be reached, a bridge\n"
		 "whose default route leads back to the portal, one key for bridge and users.\n\n"
		 "Exit status: 0 usable, 23 not.\n",
	.run = run,
};
