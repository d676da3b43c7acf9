#include <stdio.h>
#include <stdlib.h>

#include "app/ask.h"
#include "app/cli.h"
#include "app/opts.h"

static int print_trace(const cJSON *a)
{
	const char *error = ask_text(a, "error");
	const cJSON *line;
	size_t n = 0;

	printf("tcp:%s\n", ask_text(a, "to"));
	cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(a, "lines"))
		printf("%3zu  %s\n", ++n, cJSON_GetStringValue(line));
	if (*error)
		printf("     %s after %.0f ms\n", error, ask_number(a, "ms"));
	else
		printf("     it works: %.0f ms\n", ask_number(a, "ms"));
	return *error ? EXIT_FAILED : EXIT_OK;
}

static int run(int argc, char **argv)
{
	const char *socket = NULL, *in = NULL, *from = NULL;
	bool json = false;
	const struct opts table[] = {
		{.name = "socket", .text = &socket}, {.name = "in", .text = &in},
		{.name = "from", .text = &from},     {.name = "json", .flag = &json},
		{.name = NULL},
	};
	struct opts_list rest = {.n = 0};
	int code = opts_parse(&cmd_trace, table, argc, argv, &rest);
	struct ask_answers got;
	cJSON *req;

	if (code)
		return code;
	if (rest.n != 1)
		return cli_usage(&cmd_trace, "expected one target");
	req = cJSON_CreateObject();
	cJSON_AddStringToObject(req, "do", "trace");
	cJSON_AddStringToObject(req, "to", rest.v[0]);
	if (in)
		cJSON_AddStringToObject(req, "in", in);
	if (from)
		cJSON_AddStringToObject(req, "from", from);
	code = ask(&cmd_trace, socket, req, &got);
	for (size_t i = 0; i < got.n; i++) {
		char *text = json ? cJSON_Print(got.v[i]) : NULL;

		if (text)
			printf("%s\n", text);
		else if (print_trace(got.v[i]) != EXIT_OK)
			code = EXIT_FAILED;
		free(text);
	}
	ask_free(&got);
	cJSON_Delete(req);
	return code;
}

const struct command cmd_trace = {
	.name = "trace",
	.brief = "send a connection on its way and tell each step: why can A not reach B?",
	.usage = "usage: garenne trace [--in TAG] [--from ADDRESS] [--json] [--socket PATH]\n"
		 "                     ADDRESS:PORT | NAME[:PORT]\n\n"
		 "Opens a real connection from the running program to the target, by its rules and\n"
		 "outbounds, and closes it at once. Each node of ours on the way tells what it\n"
		 "decided, with rule, file and line, what it tried, and what came of it; the last\n"
		 "one says which address the server saw. A stock node in between cannot tell.\n"
		 "Without a port 443 is taken.\n\n"
		 "  --in TAG       as if it had come in there, for the rules; without, by the TUN if\n"
		 "                 there is one\n"
		 "  --from ADDRESS as if it had come from there; by the TUN, else, from its own address\n"
		 "  --json         the whole answer, for programs\n"
		 "  --socket PATH  ask this program (see \"garenne help status\")\n\n"
		 "Exit status: 0 when the target answered, 1 when not.\n",
	.run = run,
};
