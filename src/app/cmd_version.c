#include <stdio.h>

#include "app/cli.h"

static int run(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("garenne %s\n", cli_version());
	return EXIT_OK;
}

const struct command cmd_version = {
	.name = "version",
	.brief = "print the version",
	.usage = "usage: garenne version\n\nPrints the version.\n",
	.run = run,
};
