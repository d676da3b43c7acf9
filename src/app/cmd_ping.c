#include <stdio.h>
#include <stdlib.h>

#include "app/ask.h"
#include "app/cli.h"
#include "app/opts.h"

/* EXIT_OK when something answered. */
static int print_pings(const cJSON *a)
{
	const cJSON *e;
	unsigned replies = 0;

	cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(a, "answers")) {
		if (*ask_text(e, "error")) {
			printf("from %s: seq %.0f %s after %.0f ms\n", ask_text(e, "from"),
			       ask_number(e, "seq"), ask_text(e, "error"), ask_number(e, "ms"));
			continue;
		}
		printf("from %s: seq %.0f time %.0f ms\n", ask_text(a, "to"), ask_number(e, "seq"),
		       ask_number(e, "ms"));
		replies++;
	}
	printf("%s: %.0f sent, %u answered%s%s\n", ask_text(a, "to"), ask_number(a, "sent"), replies,
	       *ask_text(a, "error") ? ": " : "", ask_text(a, "error"));
	return replies ? EXIT_OK : EXIT_FAILED;
}

static int run(int argc, char **argv)
{
	const char *socket = NULL, *in = NULL, *count = NULL;
	const struct opts table[] = {
		{.name = "socket", .text = &socket},
		{.name = "in", .text = &in},
		{.name = "c", .text = &count},
		{.name = NULL},
	};
	struct opts_list rest = {.n = 0};
	int code = opts_parse(&cmd_ping, table, argc, argv, &rest);
	struct ask_answers got;
	cJSON *req;

	if (code)
		return code;
	if (rest.n != 1)
		return cli_usage(&cmd_ping, "expected one host");
	req = cJSON_CreateObject();
	cJSON_AddStringToObject(req, "do", "ping");
	cJSON_AddStringToObject(req, "to", rest.v[0]);
	if (in)
		cJSON_AddStringToObject(req, "in", in);
	if (count)
		cJSON_AddNumberToObject(req, "count", strtod(count, NULL));
	code = ask(&cmd_ping, socket, req, &got);
	for (size_t i = 0; i < got.n; i++)
		if (print_pings(got.v[i]) != EXIT_OK)
			code = EXIT_FAILED;
	ask_free(&got);
	cJSON_Delete(req);
	return code;
}

const struct command cmd_ping = {
	.name = "ping",
	.brief = "ping a host by the rules and outbounds of a running program",
	.usage = "usage: garenne ping [-c COUNT] [--in TAG] [--socket PATH] ADDRESS | NAME\n\n"
		 "The node at the end of the way asks the host and returns what it really answers; for\n"
		 "a silent host there is silence. Nodes that are not garenne cannot do it.\n\n"
		 "  -c COUNT       1 to 10, 4 unless given\n"
		 "  --in TAG       as if it had come in there, for the rules; without, by the TUN if\n"
		 "                 there is one\n"
		 "  --socket PATH  ask this program (see \"garenne help status\")\n\n"
		 "Exit status: 0 when there was an answer, 1 when not.\n",
	.run = run,
};
