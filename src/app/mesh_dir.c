#include "app/mesh_dir.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/cli.h"
#include "app/infile.h"
#include "app/outfile.h"
#include "base/err.h"
#include "conf/jnode.h"
#include "crypto/secret.h"
#include "mesh/eval.h"

enum { MESSAGE_MAX = 1024, FILE_MAX = 16 << 20 };

size_t mesh_dir_messages(struct conf_msgs *msgs)
{
	size_t errors = msgs->errors;
	char text[MESSAGE_MAX];

	for (size_t i = 0; i < msgs->n; i++)
		fprintf(stderr, "%s\n", conf_msg_text(&msgs->v[i], text, sizeof(text)));
	conf_msgs_free(msgs);
	return errors;
}

void mesh_dir_path(const char *file, const char *sub, const char *name, char out[MESH_PATH_MAX])
{
	char copy[MESH_PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", file);
	if (snprintf(out, MESH_PATH_MAX, "%s/%s%s%s", dirname(copy), sub, *sub ? "/" : "", name) >=
	    MESH_PATH_MAX)
		out[0] = 0; /* opens nowhere */
}

/* ---- reading ---- */

bool mesh_dir_same(const char *path, const char *text)
{
	char *there = infile_load(path, FILE_MAX);
	bool same = there && strcmp(there, text) == 0;

	infile_wipe(there);
	return same;
}

int mesh_dir_open(struct mesh_dir *d, const char *file)
{
	struct conf_msgs msgs = {0};

	memset(d, 0, sizeof(*d));
	d->file = file;
	d->text = infile_slurp(file, FILE_MAX);
	if (!d->text && errno == ENOENT)
		fprintf(stderr, "\"garenne mesh init\" begins a mesh; -file names another one's file\n");
	if (!d->text)
		return EXIT_CONFIG;
	d->m = mesh_parse(file, span_str(d->text), &msgs);
	if (d->m)
		mesh_expect(d->m, &msgs);
	return mesh_dir_messages(&msgs) ? EXIT_CONFIG : EXIT_OK;
}

/* A key file that was copied to another's name opens a door for both. */
static int check_twins(const struct mesh_dir *d)
{
	const struct mesh_keys *k = d->keys;
	int err = 0;

	for (size_t i = 0; i < d->m->n_nodes; i++)
		for (size_t o = 0; o < i; o++)
			if (secret_eq(&k[i].id, &k[o].id, sizeof(k[i].id))) {
				fprintf(stderr, "error: keys/%s.json: \"id\" is that of keys/%s.json; "
						"expected one of its own\n",
					d->m->nodes[i].name, d->m->nodes[o].name);
				err = -ERR_MALFORMED;
			}
	return err;
}

/* @path lacks something, or has what belongs to another. */
static int unfit(const struct mesh_dir *d, const struct mesh_node *n, const char *path,
		 const char *found, const char *expected)
{
	fprintf(stderr, "error: %s: found %s, expected %s (%s:%d)\n", path, found, expected, d->file,
		n->at.line);
	return -ERR_MALFORMED;
}

/* Is this the key file of such a node? The public half of a hub's key stands in the mesh file, for
 * everybody to see; the two must belong together. */
static int check_fit(const struct mesh_dir *d, const struct mesh_node *n, const struct mesh_keys *k,
		     const char *path)
{
	static const struct uuid none;
	char pub[MESH_KEY_TEXT];

	if (n->kind == MESH_SITE && memcmp(&k->portal, &none, sizeof(none)) == 0)
		return unfit(d, n, path, "no \"portalId\"", "the keys of a site");
	if (n->kind != MESH_HUB)
		return 0;
	if (n->hub.security == MESH_TLS && *n->hub.cert == 0 && (!k->cert || !k->cert_key))
		return unfit(d, n, path, "no \"certificate\" and \"certificateKey\"",
			     "them for a hub whose certificate is in no files of its own");
	if (n->hub.security != MESH_REALITY)
		return 0;
	if (!k->has_reality)
		return unfit(d, n, path, "no \"privateKey\"", "the keys of a hub with REALITY");
	if (mesh_keys_public(k, pub) == 0 && strcmp(pub, n->hub.public_key) == 0)
		return 0;
	return unfit(d, n, path, "another \"privateKey\"", "the one that belongs to the hub's "
							   "\"publicKey\"");
}

static int read_keys(const struct mesh_dir *d, size_t i)
{
	const struct mesh_node *n = &d->m->nodes[i];
	char path[MESH_PATH_MAX], name[MESH_NAME_MAX + 8];
	struct conf_msgs msgs = {0};
	struct stat st;
	char *text;
	int err;

	snprintf(name, sizeof(name), "%s.json", n->name);
	mesh_dir_path(d->file, "keys", name, path);
	text = infile_load(path, FILE_MAX);
	if (!text) {
		fprintf(stderr, "error: %s: cannot be read: %s; expected the keys of %s (%s:%d), which "
				"\"garenne mesh add\" made\n", path, strerror(errno), n->name, d->file,
			n->at.line);
		return -ERR_SYS;
	}
	if (stat(path, &st) == 0 && (st.st_mode & 077))
		fprintf(stderr, "warning: %s: others may read it; expected mode 0600\n", path);
	err = mesh_keys_parse(&d->keys[i], path, span_str(text), &msgs);
	infile_wipe(text);
	mesh_dir_messages(&msgs);
	return err ? err : check_fit(d, n, &d->keys[i], path);
}

int mesh_dir_keys(struct mesh_dir *d)
{
	int err = 0;

	d->keys = calloc(d->m->n_nodes, sizeof(*d->keys));
	if (!d->keys)
		return EXIT_FAILED;
	for (size_t i = 0; i < d->m->n_nodes; i++)
		err |= read_keys(d, i);
	if (!err)
		err = check_twins(d);
	return err ? EXIT_CONFIG : EXIT_OK;
}

int mesh_dir_node(const struct mesh_dir *d, const char *name)
{
	int node = mesh_find(d->m, span_str(name));
	const char *names[MESH_NODES_MAX], *near;

	if (node != MESH_NOBODY)
		return node;
	for (size_t i = 0; i < d->m->n_nodes; i++)
		names[i] = d->m->nodes[i].name;
	near = word_nearest(name, names, d->m->n_nodes);
	fprintf(stderr, "error: %s: found no node \"%s\"", d->file, name);
	fprintf(stderr, near ? "; did you mean \"%s\"?\n" : "%s; \"garenne mesh show\" lists them\n",
		near ? near : "");
	return MESH_NOBODY;
}

void mesh_dir_free(struct mesh_dir *d)
{
	for (size_t i = 0; d->keys && i < d->m->n_nodes; i++)
		mesh_keys_wipe(&d->keys[i]);
	free(d->keys);
	mesh_free(d->m);
	free(d->text);
}

/* ---- compiling ---- */

/* What we make for ourselves must be something that we take, without a remark. */
static bool accepted(const struct mesh_file *f)
{
	struct conf_msgs msgs = {0};
	struct conf *c;

	if (f->kind != MESH_FILE_GARENNE)
		return true;
	c = conf_load_text(f->name, span_str(f->text), &msgs);
	mesh_dir_messages(&msgs);
	conf_free(c);
	return c != NULL;
}

/* No node could dial such a hub; said here in the words of the mesh, not of each node's file. */
static bool check_clear(const struct mesh_dir *d)
{
	bool ok = true;

	for (size_t i = 0; i < d->m->n_hubs; i++) {
		const struct mesh_node *v = &d->m->nodes[i];
		char text[ADDR_TEXT_MAX];

		if (v->hub.security != MESH_CLEAR || conf_server_is_private(&v->hub.address))
			continue;
		fprintf(stderr, "error: %s:%d: hubs.%s: found \"security\": \"none\" for %s, which is on "
				"the internet; expected reality or tls\n", d->file, v->at.line, v->name,
			addr_host_text(&v->hub.address, text, sizeof(text)));
		ok = false;
	}
	return ok;
}

int mesh_dir_compile(struct mesh_dir *d, const char *file, struct mesh_output *out)
{
	int code = mesh_dir_open(d, file);

	if (!code)
		code = mesh_dir_keys(d);
	if (!code && !check_clear(d))
		code = EXIT_CONFIG;
	if (code)
		return code;
	if (mesh_compile(d->m, d->keys, out) != 0) {
		fprintf(stderr, "garenne mesh: out of memory\n");
		return EXIT_FAILED;
	}
	for (size_t i = 0; i < out->n_files; i++)
		if (!accepted(&out->files[i]))
			code = EXIT_CONFIG;
	return code;
}

/* ---- writing ---- */

int mesh_dir_write(const char *path, const char *text, bool fresh)
{
	return outfile_write(path, span_str(text), !fresh);
}
