/* mesh check, compile and show: from the file to what each node gets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/cli.h"
#include "app/mesh_dir.h"
#include "app/opts.h"
#include "app/qr.h"

static const char default_file[] = "mesh.json";

/* ---- compiling ---- */

static void print_notes(const struct mesh_dir *d, const struct mesh_output *out, int node)
{
	for (size_t i = 0; i < out->n_notes; i++)
		if (out->notes[i].node == node)
			printf("  %s: %s\n", d->m->nodes[node].name, out->notes[i].text);
}

static int write_all(const struct mesh_dir *d, const struct mesh_output *out, const char *dir)
{
	char path[MESH_PATH_MAX];
	int err = 0;

	for (size_t i = 0; i < out->n_files && !err; i++) {
		if (dir)
			snprintf(path, sizeof(path), "%s/%s", dir, out->files[i].name);
		else
			mesh_dir_path(d->file, "nodes", out->files[i].name, path);
		err = mesh_dir_write(path, out->files[i].text, false);
		if (!err)
			printf("%s\n", path);
		if (!err && (i + 1 == out->n_files || out->files[i + 1].node != out->files[i].node))
			print_notes(d, out, out->files[i].node);
	}
	return err ? EXIT_FAILED : EXIT_OK;
}

static int run_compile(int argc, char **argv)
{
	const char *file = default_file, *dir = NULL;
	const struct opts table[] = {
		{.name = "file", .text = &file}, {.name = "out", .text = &dir}, {.name = NULL}};
	struct mesh_output out = {0};
	struct mesh_dir d = {0};
	int code = opts_parse(&cmd_mesh_compile, table, argc, argv, NULL);

	if (code)
		return code;
	code = mesh_dir_compile(&d, file, &out);
	if (!code)
		code = write_all(&d, &out, dir);
	mesh_output_free(&out);
	mesh_dir_free(&d);
	return code;
}

const struct command cmd_mesh_compile = {
	.name = "mesh compile",
	.brief = "write the configuration of every node of a mesh",
	.usage = "usage: garenne mesh compile [-file mesh.json] [-out DIR]\n\n"
		 "Reads the mesh and the keys beside it, tests all \"expect\" lines and writes one\n"
		 "file for each hub and site, links and profiles for each phone. Says for each node\n"
		 "what its program cannot do. The files hold secrets: give each node its own, no other.\n\n"
		 "  -file FILE  the mesh (mesh.json)\n"
		 "  -out DIR    where to write (\"nodes\" beside the mesh)\n\n"
		 "Exit status: 0 written, 23 the mesh is not good.\n",
	.run = run_compile,
};

/* ---- checking ---- */

static int run_check(int argc, char **argv)
{
	const char *file = default_file;
	struct opts_list rest = {.n = 0};
	const struct opts table[] = {{.name = "file", .text = &file}, {.name = NULL}};
	struct mesh_dir d = {0};
	int code = opts_parse(&cmd_mesh_check, table, argc, argv, &rest);

	if (code)
		return code;
	if (rest.n > 1)
		return cli_usage(&cmd_mesh_check, "more than one file");
	code = mesh_dir_open(&d, rest.n ? rest.v[0] : file);
	if (!code)
		printf("%zu nodes, %zu rules, %zu expectations hold\nMesh OK.\n", d.m->n_nodes,
		       d.m->n_rules, d.m->n_expects);
	mesh_dir_free(&d);
	return code;
}

const struct command cmd_mesh_check = {
	.name = "mesh check",
	.brief = "read a mesh file and say what is wrong with it",
	.usage = "usage: garenne mesh check [mesh.json]\n\n"
		 "Each message names file, line and path, what was found and what was expected. The\n"
		 "\"expect\" lines are tested against the policy. No keys are needed.\n\n"
		 "Exit status: 0 good, 23 not.\n",
	.run = run_check,
};

/* ---- showing ---- */

/* How flows get to a place of a node, and by which rules otherwise. */
static void show_delivery(const struct mesh *m, const struct mesh_node *n,
			  const struct prefix *place)
{
	int node = (int)(n - m->nodes);
	enum mesh_delivery usual = mesh_delivery(m, NULL, node, place);

	printf(", delivery %s", mesh_delivery_name(usual));
	for (size_t i = 0; i < m->n_rules; i++) {
		const struct mesh_rule *r = &m->rules[i];
		enum mesh_delivery d = mesh_delivery(m, r, node, place);
		bool here = false;

		for (size_t k = 0; k < r->n_to; k++)
			here |= r->to[k].node == node && prefix_overlaps(place, &r->to[k].prefix);
		if (here && r->allow && d != usual)
			printf(", %s by policy[%zu]%s%s", mesh_delivery_name(d), i,
			       *r->name ? " " : "", r->name);
	}
}

static void show_node(const struct mesh *m, const struct mesh_node *n)
{
	struct prefix own = {n->ip4, 32};
	char ip[64], real[64], seen[64];

	printf("%-16s %-6s %-8s %s", n->name, mesh_kind_name(n->kind),
	       n->kind == MESH_PHONE ? "" : mesh_software_name(n->software),
	       ip_text(&n->ip4, ip, sizeof(ip)));
	if (n->ip6.family)
		printf(" %s", ip_text(&n->ip6, ip, sizeof(ip)));
	printf("  %s.%s", n->name, m->domain);
	if (n->kind != MESH_PHONE)
		show_delivery(m, n, &own);
	printf("\n");
	for (size_t i = 0; i < n->n_lans; i++) {
		printf("  %s is seen as %s", prefix_text(&n->lans[i].real, real, sizeof(real)),
		       prefix_text(&n->lans[i].seen, seen, sizeof(seen)));
		show_delivery(m, n, &n->lans[i].seen);
		printf("\n");
	}
	for (size_t i = 0; i < n->n_hosts; i++)
		printf("  %s is seen as %s  %s.%s.%s\n",
		       ip_text(&n->hosts[i].real, real, sizeof(real)),
		       ip_text(&n->hosts[i].seen, seen, sizeof(seen)), n->hosts[i].name, n->name,
		       m->domain);
}

static int show_all(const char *file)
{
	struct mesh_dir d = {0};
	int code = mesh_dir_open(&d, file);

	for (size_t i = 0; !code && i < d.m->n_nodes; i++)
		show_node(d.m, &d.m->nodes[i]);
	mesh_dir_free(&d);
	return code;
}

/* Each line of a link file, with its code. */
static void show_links(char *text, bool qr)
{
	char *save = NULL;

	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		printf("%s\n", l);
		if (qr && qr_print(stdout, l) != 0)
			fprintf(stderr, "garenne mesh show: no QR code: the link is too long\n");
	}
}

static int show_one(const char *file, const char *name, bool qr)
{
	struct mesh_output out = {0};
	struct mesh_dir d = {0};
	int code = mesh_dir_compile(&d, file, &out);
	int node = code ? MESH_NOBODY : mesh_dir_node(&d, name);

	if (!code && node == MESH_NOBODY)
		code = EXIT_FAILED;
	if (!code) {
		show_node(d.m, &d.m->nodes[node]);
		for (size_t i = 0; i < out.n_files; i++)
			if (out.files[i].node == node && out.files[i].kind == MESH_FILE_LINK)
				show_links(out.files[i].text, qr);
		print_notes(&d, &out, node);
	}
	mesh_output_free(&out);
	mesh_dir_free(&d);
	return code;
}

static int run_show(int argc, char **argv)
{
	const char *file = default_file;
	struct opts_list rest = {.n = 0};
	bool no_qr = false;
	const struct opts table[] = {
		{.name = "file", .text = &file}, {.name = "no-qr", .flag = &no_qr}, {.name = NULL}};
	int code = opts_parse(&cmd_mesh_show, table, argc, argv, &rest);

	if (code)
		return code;
	if (rest.n > 1)
		return cli_usage(&cmd_mesh_show, "more than one node");
	return rest.n ? show_one(file, rest.v[0], !no_qr) : show_all(file);
}

const struct command cmd_mesh_show = {
	.name = "mesh show",
	.brief = "list the nodes of a mesh, or show one with its links",
	.usage = "usage: garenne mesh show [-file mesh.json] [-no-qr] [NODE]\n\n"
		 "Without NODE: every node with its addresses, and what LANs and hosts are seen as.\n"
		 "With a phone: its share links, each as text and as QR code, and what its app needs.\n\n"
		 "  -file FILE  the mesh (mesh.json)\n"
		 "  -no-qr      links as text only\n",
	.run = run_show,
};
