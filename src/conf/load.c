/* From files to the finished result: read, merge, parse, check. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "conf/check.h"
#include "conf/merge.h"
#include "conf/msg.h"
#include "conf/sections.h"
#include "conf/shape.h"

enum { WORKERS_MAX = 1024 };

/* ---- parsing the merged files ---- */

static void parse_inbounds(struct load *ld, const struct merged_list *list)
{
	struct conf_inbound *v = conf_arena_array(ld->arena, list->n, sizeof(*v));

	ld->conf->own.interface = ld->conf->own.congestion = ld->conf->own.dialer_proxy = "";
	if (!v)
		return;
	for (size_t i = 0; i < list->n; i++) {
		struct jnode n = merged_node(&list->v[i]);

		conf_parse_inbound(&n, &v[i]);
		if (v[i].proto == CONF_IN_TUN)
			conf_tun_own(&v[i].tun, &ld->conf->own);
	}
	for (size_t i = 0; i < list->n; i++)
		conf_own_socket(&v[i].stream.sockopt, &ld->conf->own);
	ld->conf->inbounds = v;
	ld->conf->n_inbounds = list->n;
}

static void parse_outbounds(struct load *ld, const struct merged_list *list)
{
	struct conf_outbound *v = conf_arena_array(ld->arena, list->n, sizeof(*v));

	if (!v)
		return;
	for (size_t i = 0; i < list->n; i++) {
		struct jnode n = merged_node(&list->v[i]);

		conf_parse_outbound(&n, &v[i]);
		conf_own_socket(&v[i].stream.sockopt, &ld->conf->own);
	}
	ld->conf->outbounds = v;
	ld->conf->n_outbounds = list->n;
}

static void parse_sections(struct load *ld, const struct merged *m)
{
	static const struct key no_keys[] = {KEYS_END};
	struct conf *c = ld->conf;

	section_log(&m->section[SEC_LOG], &c->log);
	section_policy(&m->section[SEC_POLICY], &c->policy);
	section_routing(&m->section[SEC_ROUTING], &c->routing);
	section_observatory(&m->section[SEC_OBSERVATORY], &m->section[SEC_BURST], &c->observatory);
	section_dns(&m->section[SEC_DNS], &c->dns);
	section_reverse(&m->section[SEC_REVERSE], &c->reverse);
	section_api(&m->section[SEC_API], &c->api);
	section_metrics(&m->section[SEC_METRICS], &c->metrics);
	section_version(&m->section[SEC_VERSION]);
	section_control(&m->section[SEC_CONTROL], &c->control);
	c->stats = jnode_object(&m->section[SEC_STATS], no_keys);
	c->workers = (unsigned)jnode_integer(&m->section[SEC_WORKERS], 0, WORKERS_MAX, 0);
	parse_inbounds(ld, &m->inbounds);
	parse_outbounds(ld, &m->outbounds);
}

static struct conf *conf_new(void)
{
	struct conf *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->arena = conf_arena_new();
	if (!c->arena) {
		free(c);
		return NULL;
	}
	return c;
}

void conf_free(struct conf *c)
{
	if (!c)
		return;
	conf_arena_free(c->arena);
	free(c);
}

/* File names outlive the documents: messages and positions point to them. */
static void keep_names(struct conf_arena *a, struct json_doc *docs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		docs[i].file = conf_arena_text(a, span_str(docs[i].file));
}

/* Borrows the documents. */
static struct conf *build(struct json_doc *docs, size_t n, struct conf_msgs *msgs)
{
	struct conf_at nowhere = {.file = "", .path = ""};
	struct conf *c = conf_new();
	struct load ld = {.conf = c, .arena = c ? c->arena : NULL, .msgs = msgs};
	struct merged merged;

	if (!c) {
		conf_msg_add(msgs, CONF_MSG_ERROR, &nowhere, 0, "out of memory");
		return NULL;
	}
	keep_names(c->arena, docs, n);
	merge_docs(&ld, docs, n, &merged);
	if (!conf_arena_failed(c->arena)) {
		conf_shape_take(&ld, &merged);
		parse_sections(&ld, &merged);
		check_names(&ld);
	}
	if (!conf_arena_failed(c->arena) && msgs->errors == 0) {
		check_sense(&ld);
		check_traps(&ld);
	}
	if (conf_arena_failed(c->arena))
		conf_msg_add(msgs, CONF_MSG_ERROR, &nowhere, 0, "out of memory");
	if (msgs->errors == 0)
		return c;
	conf_free(c);
	return NULL;
}

/* ---- files ---- */

struct names {
	char **v;
	size_t n;
};

static void names_free(struct names *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i]);
	free(list->v);
}

/* Takes @name; false when memory is out. */
static bool names_add(struct names *list, char *name)
{
	char **v = name ? realloc(list->v, (list->n + 1) * sizeof(*v)) : NULL;

	if (!v) {
		free(name);
		return false;
	}
	list->v = v;
	list->v[list->n++] = name;
	return true;
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), s = strlen(suffix);

	return n > s && strcasecmp(name + n - s, suffix) == 0;
}

static bool is_foreign_format(const char *name)
{
	return has_suffix(name, ".toml") || has_suffix(name, ".yaml") || has_suffix(name, ".yml");
}

static void refuse(const char *file, const char *why, struct conf_msgs *msgs)
{
	struct conf_at at = {.file = file, .path = ""};

	conf_msg_add(msgs, CONF_MSG_ERROR, &at, 0, "%s", why);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_from_dir(struct names *list, const char *dir, const char *name)
{
	char *path;

	if (!has_suffix(name, ".json") && !has_suffix(name, ".jsonc") && !is_foreign_format(name))
		return true;
	if (asprintf(&path, "%s%s%s", dir, has_suffix(dir, "/") ? "" : "/", name) == -1)
		return false;
	return names_add(list, path);
}

static int list_dir(struct names *list, const char *dir, struct conf_msgs *msgs)
{
	size_t first = list->n;
	DIR *d = opendir(dir);
	struct dirent *e;
	bool ok = true;

	if (!d) {
		refuse(dir, strerror(errno), msgs);
		return -ERR_SYS;
	}
	while (ok && (e = readdir(d)) != NULL)
		ok = add_from_dir(list, dir, e->d_name);
	closedir(d);
	if (!ok) {
		refuse(dir, "out of memory", msgs);
		return -ERR_NOMEM;
	}
	if (list->n > first)
		qsort(list->v + first, list->n - first, sizeof(*list->v), by_name);
	return 0;
}

static int read_file(const char *name, struct json_doc *doc, struct conf_msgs *msgs)
{
	if (strncmp(name, "http://", 7) == 0 || strncmp(name, "https://", 8) == 0 ||
	    strncmp(name, "http+unix://", 12) == 0) {
		refuse(name, "a configuration is not fetched from the network, name a file", msgs);
		return -ERR_UNSUPPORTED;
	}
	if (is_foreign_format(name)) {
		refuse(name, "only JSON is supported, not TOML or YAML", msgs);
		return -ERR_UNSUPPORTED;
	}
	return json_read(doc, name, msgs);
}

static struct conf *load_names(const struct names *list, struct conf_msgs *msgs)
{
	struct json_doc *docs = calloc(list->n ? list->n : 1, sizeof(*docs));
	struct conf *c = NULL;

	if (!docs) {
		refuse("", "out of memory", msgs);
		return NULL;
	}
	if (list->n == 0)
		refuse("", "there is no configuration file", msgs);
	for (size_t i = 0; i < list->n; i++)
		read_file(list->v[i], &docs[i], msgs);
	if (msgs->errors == 0)
		c = build(docs, list->n, msgs);
	for (size_t i = 0; i < list->n; i++)
		json_free(&docs[i]);
	free(docs);
	return c;
}

struct conf *conf_load(const char *const *files, size_t n, const char *confdir,
		       struct conf_msgs *msgs)
{
	struct names list = {NULL, 0};
	struct conf *c = NULL;
	bool ok = true;

	for (size_t i = 0; ok && i < n; i++)
		ok = names_add(&list, strdup(files[i]));
	if (!ok)
		refuse("", "out of memory", msgs);
	else if (!confdir || list_dir(&list, confdir, msgs) == 0)
		c = load_names(&list, msgs);
	names_free(&list);
	return c;
}

struct conf *conf_load_text(const char *name, struct span text, struct conf_msgs *msgs)
{
	struct json_doc doc;
	struct conf *c = NULL;

	if (json_parse(&doc, name, text, msgs) == 0)
		c = build(&doc, 1, msgs);
	json_free(&doc);
	return c;
}
