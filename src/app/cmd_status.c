#include <stdio.h>
#include <stdlib.h>

#include "app/ask.h"
#include "app/cli.h"
#include "app/metrics.h"
#include "app/opts.h"

enum { SHORT = 32 };

static void print_inbounds(const cJSON *list)
{
	const cJSON *in, *at;

	if (cJSON_GetArraySize(list))
		printf("\ninbounds\n");
	cJSON_ArrayForEach(in, list) {
		printf("  %-18s %-12s", ask_text(in, "tag"), ask_text(in, "protocol"));
		cJSON_ArrayForEach(at, cJSON_GetObjectItemCaseSensitive(in, "listen"))
			printf(" %s", cJSON_GetStringValue(at));
		printf("\n");
	}
}

static void print_carriers(const cJSON *o)
{
	const cJSON *c;
	char since[SHORT], heard[SHORT], queued[SHORT];

	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(o, "carriers")) {
		printf("    %-9s", *ask_text(c, "state") ? ask_text(c, "state") : "up");
		if (*ask_text(c, "peer"))
			printf(" %s", ask_text(c, "peer"));
		if (ask_number(c, "since_ms") > 0)
			printf(" for %s", ask_span(ask_number(c, "since_ms"), since, sizeof(since)));
		printf(", %.0f sessions (%.0f in its life)", ask_number(c, "sessions"),
		       ask_number(c, "opened"));
		if (ask_number(c, "rtt_ms") > 0)
			printf(", rtt %.0f ms", ask_number(c, "rtt_ms"));
		printf(", heard %s ago",
		       ask_span(ask_number(c, "heard_ms_ago"), heard, sizeof(heard)));
		if (ask_number(c, "queued_bytes") > 0)
			printf(", %s waiting",
			       ask_bytes(ask_number(c, "queued_bytes"), queued, sizeof(queued)));
		printf("%s\n", ask_flag(c, "garenne") ? "" : ", stock");
	}
}

/* State with since and last error, as portals and bridges have it. */
static void print_state(const cJSON *o)
{
	char since[SHORT];

	printf("%s for %s", ask_text(o, "state"),
	       ask_span(ask_number(o, "since_ms"), since, sizeof(since)));
	if (*ask_text(o, "domain"))
		printf(", domain %s", ask_text(o, "domain"));
	if (ask_number(o, "attempts") > 0)
		printf(", %.0f attempts under way", ask_number(o, "attempts"));
}

static void print_served(const cJSON *o)
{
	char up[SHORT], down[SHORT];

	printf("%.0f served, %.0f failed, up %s, down %s", ask_number(o, "served"),
	       ask_number(o, "failed"), ask_bytes(ask_number(o, "up"), up, sizeof(up)),
	       ask_bytes(ask_number(o, "down"), down, sizeof(down)));
	if (ask_number(o, "probes") > 0)
		printf(", probe %.1f ms (%.0f of %.0f failed)", ask_number(o, "probe_ms"),
		       ask_number(o, "probe_failures"), ask_number(o, "probes"));
}

static void print_last_error(const cJSON *o)
{
	bool flow = cJSON_HasObjectItem(o, "failed_ms_ago");
	char ago[SHORT];

	if (!*ask_text(o, "last_error"))
		return;
	printf("    last error");
	if (flow)
		printf(" %s ago", ask_span(ask_number(o, "failed_ms_ago"), ago, sizeof(ago)));
	printf(": %s", ask_text(o, "last_error"));
	if (*ask_text(o, "last_reason"))
		printf(" (%s)", ask_text(o, "last_reason"));
	if (*ask_text(o, "last_target"))
		printf(", for %s", ask_text(o, "last_target"));
	if (*ask_text(o, "last_peer"))
		printf(", peer %s", ask_text(o, "last_peer"));
	printf("\n");
}

static void print_outbounds(const cJSON *list)
{
	const cJSON *o;

	if (cJSON_GetArraySize(list))
		printf("\noutbounds\n");
	cJSON_ArrayForEach(o, list) {
		printf("  %-18s %-12s ", ask_text(o, "tag"), ask_text(o, "protocol"));
		if (*ask_text(o, "state")) {
			print_state(o);
			printf(", ");
		}
		print_served(o);
		printf("\n");
		print_carriers(o);
		print_last_error(o);
	}
}

static void print_bridges(const cJSON *list)
{
	const cJSON *b;

	if (cJSON_GetArraySize(list))
		printf("\nbridges\n");
	cJSON_ArrayForEach(b, list) {
		printf("  %-18s ", ask_text(b, "tag"));
		print_state(b);
		printf("\n");
		print_carriers(b);
		print_last_error(b);
	}
}

static double flows_of(const cJSON *answer)
{
	const cJSON *w;
	double n = 0;

	cJSON_ArrayForEach(w, cJSON_GetObjectItemCaseSensitive(answer, "workers"))
		n += ask_number(w, "flows");
	return n;
}

static void print_status(const cJSON *a)
{
	char up[SHORT];

	printf("%s: garenne %s, pid %.0f, up %s, %.0f flows on %d workers\n", ask_text(a, "node"),
	       ask_text(a, "version"), ask_number(a, "pid"),
	       ask_span(ask_number(a, "up_ms"), up, sizeof(up)), flows_of(a),
	       cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(a, "workers")));
	print_inbounds(cJSON_GetObjectItemCaseSensitive(a, "inbounds"));
	print_outbounds(cJSON_GetObjectItemCaseSensitive(a, "outbounds"));
	print_bridges(cJSON_GetObjectItemCaseSensitive(a, "bridges"));
}

static int run(int argc, char **argv)
{
	const char *socket = NULL;
	bool json = false, metrics = false;
	const struct opts table[] = {
		{.name = "socket", .text = &socket},
		{.name = "json", .flag = &json},
		{.name = "metrics", .flag = &metrics},
		{.name = NULL},
	};
	int code = opts_parse(&cmd_status, table, argc, argv, NULL);
	struct ask_answers got;
	cJSON *req;

	if (code)
		return code;
	req = cJSON_CreateObject();
	cJSON_AddStringToObject(req, "do", "status");
	code = ask(&cmd_status, socket, req, &got);
	if (metrics)
		metrics_print(stdout, &got);
	for (size_t i = 0; i < got.n && !metrics; i++) {
		char *text = json ? cJSON_Print(got.v[i]) : NULL;

		if (text)
			printf("%s\n", text);
		else
			print_status(got.v[i]);
		free(text);
		if (!json && i + 1 < got.n)
			printf("\n");
	}
	ask_free(&got);
	cJSON_Delete(req);
	return code;
}

const struct command cmd_status = {
	.name = "status",
	.brief = "what a running program does: portals, bridges, outbounds, last errors",
	.usage = "usage: garenne status [--json | --metrics] [--socket PATH]\n\n"
		 "Asks every garenne of this user that runs here (root: those of the system).\n\n"
		 "  --json         the whole answer, for programs\n"
		 "  --metrics      a page for Prometheus\n"
		 "  --socket PATH  ask this one: \"control\": {\"socket\": ...} in its file\n",
	.run = run,
};
