#include <stdio.h>

#include "app/app.h"
#include "app/cli.h"
#include "app/files.h"
#include "app/opts.h"
#include "app/routes.h"

static int run(int argc, char **argv)
{
	struct files f = {0};
	struct conf *c;
	struct opts_list rest = {0};
	bool routes = false;
	const struct opts table[] = {{.name = "routes", .flag = &routes}, {.name = NULL}};
	size_t warnings;
	int code = opts_parse(&cmd_check, table, argc, argv, &rest);

	if (code)
		return code;
	for (size_t i = 0; i < rest.n; i++)
		if (!files_add(&f, rest.v[i]))
			return cli_usage(&cmd_check, "more than %d files", FILES_MAX);
	if (f.n == 0)
		return cli_usage(&cmd_check, "no file given");
	c = files_load(&f, &warnings);
	if (!c)
		return EXIT_CONFIG;
	code = routes ? routes_check(c) : app_test(c);
	if (code == EXIT_OK && !routes)
		printf("%zu warnings\nConfiguration OK.\n", warnings);
	conf_free(c);
	return code;
}

const struct command cmd_check = {
	.name = "check",
	.brief = "read configuration files and say what is wrong with them",
	.usage = "usage: garenne check [--routes] FILE...\n\n"
		 "Reads the files as \"run\" would, in this order, and builds everything but opens\n"
		 "no socket. Each message names file, line and path. Besides errors it warns of\n"
		 "what is valid but surely not meant: rules that can never be reached, a bridge\n"
		 "whose default route leads back to the portal, one key for bridge and users.\n\n"
		 "  --routes  print instead what a tun inbound would change in this machine's\n"
		 "            routing: routes, rules, which way our own connections go. A plan\n"
		 "            that would loop or cut the machine off is refused with the reason.\n\n"
		 "Exit status: 0 usable, 23 not.\n",
	.run = run,
};
