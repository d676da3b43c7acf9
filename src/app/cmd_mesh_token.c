/* mesh token: one line for a new node's owner, a ticket for the hubs; and what tickets there are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "app/cli.h"
#include "app/mesh_dir.h"
#include "app/opts.h"
#include "app/outfile.h"
#include "app/qr.h"
#include "app/stamp.h"
#include "app/tickets.h"
#include "base/err.h"
#include "crypto/secret.h"
#include "mesh/token.h"
#include "proto/jointicket.h"

enum { LONGEST_S = 30 * 86400, SHORTEST_S = 60 };

struct token_job {
	const char *file, *dir; /* dir NULL: "nodes" beside the file */
	struct mesh_dir d;
	struct mesh_output out;
	int node, hubs[JOINTOKEN_HUBS_MAX];
	size_t n_hubs;
	uint64_t expires_s;
	struct jointoken token;
	char id[JOINTICKET_ID_TEXT];
};

/* ---- arguments ---- */

/* "90m": a number and one of s, m, h, d. */
static bool span_parse(const char *text, uint64_t *s)
{
	static const char units[] = "smhd";
	static const unsigned seconds[] = {1, 60, 3600, 86400};
	size_t digits = strspn(text, "0123456789");
	const char *u = digits && digits < 8 && text[digits] ? strchr(units, text[digits]) : NULL;

	if (!u || text[digits + 1])
		return false;
	*s = strtoull(text, NULL, 10) * seconds[u - units];
	return *s >= SHORTEST_S && *s <= LONGEST_S;
}

/* ---- who can join, and through whom ---- */

static int find_node(struct token_job *j, const char *name)
{
	const struct mesh_node *n;

	j->node = mesh_dir_node(&j->d, name);
	if (j->node == MESH_NOBODY)
		return EXIT_FAILED;
	n = &j->d.m->nodes[j->node];
	if (n->kind == MESH_PHONE) {
		fprintf(stderr, "garenne mesh token: %s is a phone (%s:%d), whose app does not join: "
				"\"garenne mesh show %s\" prints the link for it\n",
			name, j->file, n->at.line, name);
		return EXIT_FAILED;
	}
	if (n->software != MESH_GARENNE) {
		fprintf(stderr, "garenne mesh token: %s runs %s (%s:%d), which does not join: copy "
				"nodes/%s.json to it\n",
			name, mesh_software_name(n->software), j->file, n->at.line, name);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

/* Says which hubs are left out, and why. */
static int find_hubs(struct token_job *j)
{
	const struct mesh *m = j->d.m;

	j->n_hubs = mesh_token_hubs(m, j->node, j->hubs);
	for (size_t i = 0; i < m->n_hubs; i++) {
		const struct mesh_node *h = &m->nodes[i];

		if ((int)i == j->node)
			continue;
		if (h->software != MESH_GARENNE)
			fprintf(stderr, "garenne mesh token: hub %s is left out: it runs %s (%s:%d), "
					"which has no join\n",
				h->name, mesh_software_name(h->software), j->file, h->at.line);
		else if (!mesh_serves_tickets(h))
			fprintf(stderr, "garenne mesh token: hub %s is left out: its \"tickets\" is "
					"empty (%s:%d)\n", h->name, j->file, h->at.line);
	}
	if (j->n_hubs)
		return EXIT_OK;
	fprintf(stderr, "garenne mesh token: no hub is left through which %s could join: copy "
			"nodes/%s.json to it\n",
		m->nodes[j->node].name, m->nodes[j->node].name);
	return EXIT_FAILED;
}

/* ---- the ticket ---- */

static void path_in(const struct token_job *j, const char *name, char path[MESH_PATH_MAX])
{
	if (j->dir)
		snprintf(path, MESH_PATH_MAX, "%s/%s", j->dir, name);
	else
		mesh_dir_path(j->file, "nodes", name, path);
}

static void ticket_path(const struct token_job *j, int hub, char path[MESH_PATH_MAX])
{
	char name[MESH_NAME_MAX + JOINTICKET_ID_TEXT + 24];

	snprintf(name, sizeof(name), "%.*s.tickets/%s.ticket", MESH_NAME_MAX,
		 j->d.m->nodes[hub].name, j->id);
	path_in(j, name, path);
}

static const char *text_of(const struct token_job *j, int node)
{
	for (size_t i = 0; i < j->out.n_files; i++)
		if (j->out.files[i].node == node)
			return j->out.files[i].text;
	return "";
}

static uint8_t *seal(const struct token_job *j, size_t *len)
{
	struct span text = span_str(text_of(j, j->node));
	struct jointicket t = {.expires_s = j->expires_s};
	uint8_t *sealed = malloc(text.n + JOINTICKET_TAG), *b = malloc(JOINTICKET_MAX);
	struct wr w = wr_of(b, JOINTICKET_MAX);
	bool ok = sealed && b &&
		  jointicket_seal(sealed, j->token.secret, j->token.node, text) == 0;

	t.sealed = span_of(sealed, text.n + JOINTICKET_TAG);
	memcpy(t.node, j->token.node, sizeof(t.node));
	if (!ok || jointicket_encode(&w, &t) != 0) {
		fprintf(stderr, ok ? "garenne mesh token: the file of %s is too long for a ticket\n"
				   : "garenne mesh token: out of memory for %s\n", j->token.node);
		free(b);
		b = NULL;
	}
	free(sealed);
	*len = w.n;
	return b;
}

static int write_tickets(const struct token_job *j)
{
	char path[MESH_PATH_MAX];
	int err = 0;
	size_t n;
	uint8_t *b = seal(j, &n);

	if (!b)
		return EXIT_FAILED;
	path_in(j, ".", path);
	mkdir(path, 0700); /* what is wrong with it is said below */
	for (size_t i = 0; i < j->n_hubs && !err; i++) {
		ticket_path(j, j->hubs[i], path);
		err = outfile_write(path, span_of(b, n), false);
	}
	free(b);
	return err ? EXIT_FAILED : EXIT_OK;
}

/* ---- what is to be done ---- */

/* A hub that does not have this node's accounts yet lets it join, and then refuses it. */
static void say_stale(const struct token_job *j)
{
	const struct mesh *m = j->d.m;
	char path[MESH_PATH_MAX], name[MESH_NAME_MAX + 8];

	for (size_t i = 0; i < m->n_hubs; i++) {
		snprintf(name, sizeof(name), "%.*s.json", MESH_NAME_MAX, m->nodes[i].name);
		path_in(j, name, path);
		if (!mesh_dir_same(path, text_of(j, (int)i)))
			fprintf(stderr, "warning: %s is not what \"garenne mesh compile\" would write "
					"now: do that, copy it to %s and reload it there, or it will "
					"not know %s\n", path, m->nodes[i].name, j->token.node);
	}
}

static void say_steps(const struct token_job *j)
{
	char path[MESH_PATH_MAX], host[ADDR_TEXT_MAX], when[STAMP_TEXT];

	fprintf(stderr, "\nWith this line %s can join once, until %s.\n", j->token.node,
		stamp_text(j->expires_s, when));
	fprintf(stderr, "First put its ticket, which only the line opens, on %s:\n",
		j->n_hubs > 1 ? "the hubs" : "the hub");
	for (size_t i = 0; i < j->n_hubs; i++) {
		const struct mesh_hub *h = &j->d.m->nodes[j->hubs[i]].hub;

		ticket_path(j, j->hubs[i], path);
		fprintf(stderr, "  ssh root@%s 'install -D -m 0644 /dev/stdin %s/%s.ticket' < %s\n",
			addr_host_text(&h->address, host, sizeof(host)), h->tickets, j->id, path);
	}
	fprintf(stderr, "Then on %s, as root, where it asks for the line:\n"
			"  garenne mesh join -o /etc/garenne/mesh.json\n", j->token.node);
}

static int print_token(struct token_job *j, bool qr)
{
	char text[JOINTOKEN_TEXT_MAX];
	int code = EXIT_OK;

	if (jointoken_text(text, &j->token) < 0) {
		fprintf(stderr, "garenne mesh token: no token can be made of %s\n", j->file);
		return EXIT_FAILED;
	}
	printf("%s\n", text);
	if (qr && qr_print(stdout, text) != 0) {
		fprintf(stderr, "garenne mesh token: no QR code: the line is too long\n");
		code = EXIT_FAILED;
	}
	fflush(stdout);
	secret_wipe(text, sizeof(text));
	return code;
}

static int make(struct token_job *j, const char *name, bool qr)
{
	uint8_t id[JOINTICKET_ID];
	int code = mesh_dir_compile(&j->d, j->file, &j->out);

	if (!code)
		code = find_node(j, name);
	if (!code)
		code = find_hubs(j);
	if (!code && (mesh_token_make(j->d.m, j->d.keys, j->node, &j->token) != 0 ||
		      jointicket_id(id, j->token.secret) != 0)) {
		fprintf(stderr, "garenne mesh token: no random numbers, or no memory\n");
		code = EXIT_FAILED;
	}
	if (code)
		return code;
	jointicket_id_text(id, j->id);
	code = write_tickets(j);
	if (!code)
		code = print_token(j, qr);
	if (!code) {
		say_steps(j);
		say_stale(j);
	}
	return code;
}

/* ---- listing ---- */

static int list_all(const char *file, const struct opts_list *folders)
{
	struct mesh_dir d = {0};
	char path[MESH_PATH_MAX], name[MESH_NAME_MAX + 16];
	size_t n = 0;
	int code = EXIT_OK;

	for (size_t i = 0; i < folders->n && !code; i++)
		code = tickets_print(folders->v[i], true, &n);
	if (folders->n == 0)
		code = mesh_dir_open(&d, file);
	for (size_t i = 0; folders->n == 0 && !code && i < d.m->n_hubs; i++) {
		snprintf(name, sizeof(name), "%.*s.tickets", MESH_NAME_MAX, d.m->nodes[i].name);
		mesh_dir_path(file, "nodes", name, path);
		code = tickets_print(path, false, &n);
	}
	mesh_dir_free(&d);
	if (!code && n == 0)
		printf("no tickets\n");
	return code;
}

static int run_token(int argc, char **argv)
{
	const char *expires = "1h";
	bool qr = false, list = false;
	struct opts_list rest = {.n = 0};
	struct token_job j = {.file = "mesh.json"};
	const struct opts table[] = {{.name = "file", .text = &j.file}, {.name = "out", .text = &j.dir},
				     {.name = "expires", .text = &expires}, {.name = "qr", .flag = &qr},
				     {.name = "list", .flag = &list}, {.name = NULL}};
	uint64_t span;
	int code = opts_parse(&cmd_mesh_token, table, argc, argv, &rest);

	if (code)
		return code;
	if (list)
		return list_all(j.file, &rest);
	if (rest.n != 1)
		return cli_usage(&cmd_mesh_token, "expected the name of one node");
	if (!span_parse(expires, &span))
		return cli_usage(&cmd_mesh_token, "-expires: found \"%s\", expected a time from 1m to "
						  "30d, like 90s, 30m, 12h or 7d", expires);
	j.expires_s = (uint64_t)time(NULL) + span;
	code = make(&j, rest.v[0], qr);
	secret_wipe(&j.token, sizeof(j.token));
	mesh_output_free(&j.out);
	mesh_dir_free(&j.d);
	return code;
}

const struct command cmd_mesh_token = {
	.name = "mesh token",
	.brief = "make a line by which one node can fetch its file, once",
	.usage = "usage: garenne mesh token [-expires 1h] [-qr] [-file mesh.json] [-out DIR] NODE\n"
		 "       garenne mesh token -list [-file mesh.json] [DIR]...\n\n"
		 "Prints the line, to be handed to the node's owner, who gives it to \"garenne mesh\n"
		 "join\". For each hub of ours it writes a ticket, the node's file sealed with the line,\n"
		 "and says how to put it on the hub; no hub needs a restart for it. The line is as good\n"
		 "as the file until it is used or its time is over, which is judged by the hub's clock.\n"
		 "Who removes the ticket from the hubs takes the line back.\n\n"
		 "  -expires TIME  90s, 30m, 12h, 7d: from 1m to 30d (1h)\n"
		 "  -qr            the line as QR code, too\n"
		 "  -file FILE     the mesh (mesh.json)\n"
		 "  -out DIR       where compile writes (\"nodes\" beside the mesh): tickets are written to\n"
		 "                 HUB.tickets there\n"
		 "  -list          the tickets that were made, or those in DIR; on a hub also when and\n"
		 "                 from where they were used\n",
	.run = run_token,
};
