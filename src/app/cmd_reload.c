#include <stdio.h>

#include "app/ask.h"
#include "app/cli.h"
#include "app/infile.h"
#include "app/opts.h"

enum { TEXT_MAX = 3 << 20 };

static void print_answer(const cJSON *a)
{
	const cJSON *m, *portals = cJSON_GetObjectItemCaseSensitive(a, "portals");

	cJSON_ArrayForEach(m, cJSON_GetObjectItemCaseSensitive(a, "messages"))
		fprintf(stderr, "%s\n", cJSON_GetStringValue(m));
	printf("%s: %s, users %.0f, rules %.0f", ask_text(a, "node"),
	       ask_flag(a, "changed") ? "taken over" : "nothing had changed", ask_number(a, "users"),
	       ask_number(a, "rules"));
	cJSON_ArrayForEach(m, portals)
		printf("%s%s", m == portals->child ? ", new portals: " : ", ", cJSON_GetStringValue(m));
	printf("\n");
}

static int reload(const char *socket, const char *file)
{
	cJSON *req = cJSON_CreateObject();
	char *text = file ? infile_slurp(file, TEXT_MAX) : NULL;
	struct ask_answers got = {.n = 0};
	int code = EXIT_FAILED;

	cJSON_AddStringToObject(req, "do", "reload");
	if (text) {
		cJSON_AddStringToObject(req, "name", file);
		cJSON_AddStringToObject(req, "text", text);
	}
	if (text || !file)
		code = ask(&cmd_reload, socket, req, &got);
	for (size_t i = 0; i < got.n; i++)
		print_answer(got.v[i]);
	ask_free(&got);
	infile_wipe(text);
	cJSON_Delete(req);
	return code;
}

static int run(int argc, char **argv)
{
	const char *socket = NULL, *file = NULL;
	const struct opts table[] = {
		{.name = "socket", .text = &socket},
		{.name = "c", .text = &file},
		{.name = "config", .text = &file},
		{.name = NULL},
	};
	int code = opts_parse(&cmd_reload, table, argc, argv, NULL);

	return code ? code : reload(socket, file);
}

const struct command cmd_reload = {
	.name = "reload",
	.brief = "have a running program take over a changed configuration, without a break",
	.usage = "usage: garenne reload [-c FILE] [--socket PATH]\n\n"
		 "Has every garenne of this user that runs here (root: those of the system) read its\n"
		 "files again. Flows and carriers go on. May have changed: the routing, the names of dns\n"
		 "outbounds; new users of VLESS inbounds and short ids of REALITY. Anything else needs a\n"
		 "restart: then nothing is changed, and the answer says what it was.\n\n"
		 "  -c FILE        this one instead of its own, which a unit has a copy of\n"
		 "  --socket PATH  ask this one: \"control\": {\"socket\": ...} in its file\n\n"
		 "Flows that run are not judged anew. Who loses his account needs a restart.\n",
	.run = run,
};
