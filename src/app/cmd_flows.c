#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/ask.h"
#include "app/cli.h"
#include "app/opts.h"

enum { SHORT = 32, RULE = 160 };

static const char *rule_of(const cJSON *f, char *out, size_t cap)
{
	const cJSON *r = cJSON_GetObjectItemCaseSensitive(f, "rule");
	const char *tag = ask_text(r, "tag");

	if (!r)
		return "default route";
	snprintf(out, cap, "rule %.0f%s%s%s (%s:%.0f)", ask_number(r, "number"), *tag ? " \"" : "",
		 tag, *tag ? "\"" : "", ask_text(r, "file"), ask_number(r, "line"));
	return out;
}

static const char *or_dash(const char *t)
{
	return *t ? t : "-";
}

static void print_line(const cJSON *f)
{
	char up[SHORT], down[SHORT], ms[SHORT];

	printf("%6.0f %-8s %s %-21s -> %-24s %s -> %s  up %s down %s  %s", ask_number(f, "id"),
	       ask_text(f, "state"), ask_text(f, "net"), ask_text(f, "from"), ask_text(f, "to"),
	       or_dash(ask_text(f, "in")), or_dash(ask_text(f, "out")),
	       ask_bytes(ask_number(f, "up"), up, sizeof(up)),
	       ask_bytes(ask_number(f, "down"), down, sizeof(down)),
	       ask_span(ask_number(f, "ms"), ms, sizeof(ms)));
	if (*ask_text(f, "error"))
		printf("  %s", ask_text(f, "error"));
	if (*ask_text(f, "reason"))
		printf(" (%s)", ask_text(f, "reason"));
	printf("\n");
}

static void print_story(const cJSON *f)
{
	char rule[RULE], up[SHORT], down[SHORT], ms[SHORT];
	const char *error = ask_text(f, "error");

	printf("flow %.0f: %s\n", ask_number(f, "id"), ask_text(f, "state"));
	printf("  from    %s%s%s, inbound [%s]\n", ask_text(f, "from"),
	       *ask_text(f, "user") ? ", user " : "", ask_text(f, "user"),
	       or_dash(ask_text(f, "in")));
	printf("  to      %s:%s%s%s\n", ask_text(f, "net"), ask_text(f, "to"),
	       *ask_text(f, "seen") ? ", its bytes name " : "", ask_text(f, "seen"));
	printf("  way     [%s] by %s\n", or_dash(ask_text(f, "out")),
	       rule_of(f, rule, sizeof(rule)));
	printf("  moved   up %s, down %s in %s\n",
	       ask_bytes(ask_number(f, "up"), up, sizeof(up)),
	       ask_bytes(ask_number(f, "down"), down, sizeof(down)),
	       ask_span(ask_number(f, "ms"), ms, sizeof(ms)));
	if (strcmp(ask_text(f, "state"), "ended") != 0)
		return;
	if (*error)
		printf("  ended   %s, on the %s side", error, ask_text(f, "side"));
	else
		printf("  ended   in order");
	printf("%s%s, %s ago\n", *ask_text(f, "reason") ? ": " : "", ask_text(f, "reason"),
	       ask_span(ask_number(f, "ago_ms"), ms, sizeof(ms)));
}

static size_t print_list(const cJSON *list, void (*print)(const cJSON *f))
{
	const cJSON *f;
	size_t n = 0;

	cJSON_ArrayForEach(f, list) {
		print(f);
		n++;
	}
	return n;
}

static void print_json(const cJSON *a)
{
	char *text = cJSON_Print(a);

	if (text)
		printf("%s\n", text);
	free(text);
}

static int run_flows(int argc, char **argv)
{
	const char *socket = NULL;
	bool json = false, all = false;
	const struct opts table[] = {
		{.name = "socket", .text = &socket},
		{.name = "json", .flag = &json},
		{.name = "all", .flag = &all},
		{.name = NULL},
	};
	int code = opts_parse(&cmd_flows, table, argc, argv, NULL);
	struct ask_answers got;
	cJSON *req;

	if (code)
		return code;
	req = cJSON_CreateObject();
	cJSON_AddStringToObject(req, "do", "flows");
	code = ask(&cmd_flows, socket, req, &got);
	for (size_t i = 0; i < got.n; i++) {
		if (json) {
			print_json(got.v[i]);
			continue;
		}
		if (all)
			print_list(cJSON_GetObjectItemCaseSensitive(got.v[i], "ended"), print_line);
		print_list(cJSON_GetObjectItemCaseSensitive(got.v[i], "live"), print_line);
	}
	ask_free(&got);
	cJSON_Delete(req);
	return code;
}

const struct command cmd_flows = {
	.name = "flows",
	.brief = "the connections that a running program carries",
	.usage = "usage: garenne flows [--all] [--json] [--socket PATH]\n\n"
		 "One line each: number, state, from, to, way, bytes, age.\n\n"
		 "  --all          those that ended lately, too, with the reason\n"
		 "  --json         the whole answer, for programs\n"
		 "  --socket PATH  ask this one (see \"garenne help status\")\n",
	.run = run_flows,
};

static int run_why(int argc, char **argv)
{
	const char *socket = NULL;
	const struct opts table[] = {{.name = "socket", .text = &socket}, {.name = NULL}};
	struct opts_list rest = {.n = 0};
	int code = opts_parse(&cmd_why, table, argc, argv, &rest);
	struct ask_answers got;
	size_t found = 0;
	char *end;
	double id;
	cJSON *req;

	if (code)
		return code;
	id = rest.n == 1 ? (double)strtoull(rest.v[0], &end, 10) : 0;
	if (id < 1 || *end)
		return cli_usage(&cmd_why, "expected the number of one flow");
	req = cJSON_CreateObject();
	cJSON_AddStringToObject(req, "do", "why");
	cJSON_AddNumberToObject(req, "id", id);
	code = ask(&cmd_why, socket, req, &got);
	for (size_t i = 0; i < got.n; i++) {
		found += print_list(cJSON_GetObjectItemCaseSensitive(got.v[i], "live"), print_story);
		found += print_list(cJSON_GetObjectItemCaseSensitive(got.v[i], "ended"),
				    print_story);
	}
	ask_free(&got);
	cJSON_Delete(req);
	if (code == EXIT_OK && found == 0) {
		fprintf(stderr, "garenne why: no flow %.0f: it is not under way, and too many have "
				"ended since\n", id);
		code = EXIT_FAILED;
	}
	return code;
}

const struct command cmd_why = {
	.name = "why",
	.brief = "what became of one connection, and why",
	.usage = "usage: garenne why NUMBER [--socket PATH]\n\n"
		 "NUMBER is in the log, in brackets before the words, and in \"garenne flows "
		 "--all\".\nThe last few hundred flows are remembered.\n\n"
		 "  --socket PATH  ask this one (see \"garenne help status\")\n",
	.run = run_why,
};
