#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cli.h"
#include "app/convert.h"
#include "app/files.h"
#include "app/opts.h"
#include "base/err.h"
#include "conf/json.h"
#include "crypto/secret.h"

enum { CERT_VALID_S = 10 * 365 * 86400, PATH_TEXT = 4096 };

struct request {
	const char *portal, *bridge, *out, *id, *pin;
	struct opts_list rest;
};

struct work {
	struct convert c;
	struct conf *portal_conf, *bridge_conf;
	struct json_doc portal_doc, bridge_doc;
	char *cert, *key;
};

/* ---- reading ---- */

static int load(const char *name, struct conf **conf, struct json_doc *doc)
{
	struct files f = {0};
	struct conf_msgs msgs = {0};
	size_t warnings;
	int err;

	files_add(&f, name);
	*conf = files_load(&f, &warnings);
	if (!*conf)
		return EXIT_CONFIG;
	err = json_read(doc, name, &msgs);
	conf_msgs_free(&msgs);
	return err ? EXIT_CONFIG : EXIT_OK;
}

/* A file says by itself which end it is. */
static int load_any(struct work *w, const char *name)
{
	struct json_doc doc = {0};
	struct conf *conf = NULL;
	int code = load(name, &conf, &doc);
	const struct conf_reverse *r = conf ? &conf->reverse : NULL;
	bool portal = r && r->n_portals, bridge = r && r->n_bridges;

	if (code == EXIT_OK && portal && !bridge && !w->portal_conf) {
		w->portal_conf = conf;
		w->portal_doc = doc;
		return EXIT_OK;
	}
	if (code == EXIT_OK && bridge && !portal && !w->bridge_conf) {
		w->bridge_conf = conf;
		w->bridge_doc = doc;
		return EXIT_OK;
	}
	if (code == EXIT_OK)
		fprintf(stderr, "garenne convert: %s: %s\n", name,
			portal && bridge   ? "has portals and bridges; split it into two files"
			: portal || bridge ? "the second file of this kind"
					   : "has no classic \"reverse\" object");
	conf_free(conf);
	json_free(&doc);
	return code ? code : EXIT_CONFIG;
}

static int load_all(struct work *w, const struct request *r)
{
	int code = r->portal ? load_any(w, r->portal) : EXIT_OK;

	if (!code && r->portal && !w->portal_conf)
		return cli_usage(&cmd_convert, "%s has no portals", r->portal);
	if (!code && r->bridge)
		code = load_any(w, r->bridge);
	for (size_t i = 0; i < r->rest.n && !code; i++)
		code = load_any(w, r->rest.v[i]);
	if (!code && r->bridge && !w->bridge_conf)
		return cli_usage(&cmd_convert, "%s has no bridges", r->bridge);
	return code;
}

/* ---- converting ---- */

/* For the address by which the bridge knows the portal; any name does where it
 * is pinned. */
static int make_cert(struct work *w)
{
	char host[ADDR_TEXT_MAX] = "localhost";
	const char *names[] = {host};
	struct cert_spec spec = {.names = names,
				 .n_names = 1,
				 .common_name = "",
				 .organization = "",
				 .valid_s = CERT_VALID_S};
	struct cert c = {NULL, NULL};
	int err;

	for (size_t i = 0; w->bridge_conf && i < w->bridge_conf->n_outbounds; i++) {
		const struct conf_outbound *o = &w->bridge_conf->outbounds[i];

		if (o->proto == CONF_OUT_SHADOWSOCKS)
			addr_host_text(&o->ss.server, host, sizeof(host));
	}
	err = cert_make(&c, &spec);
	if (!err)
		err = cert_hash(w->c.pin, c.x);
	if (!err) {
		w->c.cert = w->cert = cert_text(&c);
		w->c.key = w->key = cert_key_text(&c);
		err = w->cert && w->key ? 0 : -ERR_NOMEM;
	}
	cert_fini(&c);
	return err;
}

static int convert(struct work *w, const struct request *r)
{
	struct convert *c = &w->c;
	int err = 0;

	c->portal_conf = w->portal_conf;
	c->bridge_conf = w->bridge_conf;
	c->portal = w->portal_doc.root;
	c->bridge = w->bridge_doc.root;
	if (w->portal_conf)
		err = make_cert(w);
	else if (r->pin)
		snprintf(c->pin, sizeof(c->pin), "%s", r->pin);
	if (!err)
		err = convert_link_all(c, r->id);
	if (!err && c->portal_conf)
		err = convert_portal_file(c);
	if (!err && c->bridge_conf)
		err = convert_bridge_file(c);
	return err;
}

/* A visitor's side of the first new id: a local proxy that leads home. */
static cJSON *make_client(const struct work *w)
{
	const struct convert *c = &w->c;
	cJSON *root, *outs = convert_get(c->bridge, "outbounds"), *out, *settings, *in;

	for (int i = 0; i < cJSON_GetArraySize(outs); i++) {
		out = cJSON_GetArrayItem(outs, i);
		settings = convert_get(out, "settings");
		if (!convert_get(settings, "reverse"))
			continue;
		out = cJSON_Duplicate(out, 1);
		settings = convert_get(out, "settings");
		convert_drop(settings, "reverse");
		cJSON_ReplaceItemInObject(settings, "id", cJSON_CreateString(c->visitors[0].id));
		root = cJSON_CreateObject();
		in = cJSON_CreateObject();
		cJSON_AddStringToObject(in, "tag", "socks");
		cJSON_AddStringToObject(in, "listen", "127.0.0.1");
		cJSON_AddNumberToObject(in, "port", 1080);
		cJSON_AddStringToObject(in, "protocol", "socks");
		cJSON_AddBoolToObject(cJSON_AddObjectToObject(in, "settings"), "udp", 1);
		cJSON_AddItemToArray(cJSON_AddArrayToObject(root, "inbounds"), in);
		cJSON_AddItemToArray(cJSON_AddArrayToObject(root, "outbounds"), out);
		return root;
	}
	return NULL;
}

/* ---- writing ---- */

/* The result must be something that we take ourselves. */
static int verify(const char *path, const char *text)
{
	struct conf_msgs msgs = {0};
	struct conf *conf = conf_load_text(path, span_str(text), &msgs);
	char line[1024];

	for (size_t i = 0; i < msgs.n; i++)
		fprintf(stderr, "%s\n", conf_msg_text(&msgs.v[i], line, sizeof(line)));
	conf_msgs_free(&msgs);
	conf_free(conf);
	return conf ? EXIT_OK : EXIT_FAILED;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!f || fputs(text, f) == EOF || fputc('\n', f) == EOF || fclose(f) != 0) {
		fprintf(stderr, "garenne convert: %s: %s\n", path, strerror(errno));
		return EXIT_FAILED;
	}
	printf("%s\n", path);
	return EXIT_OK;
}

static int deliver(const char *dir, const char *name, const cJSON *root)
{
	char path[PATH_TEXT], *text = root ? cJSON_Print(root) : NULL;
	int code;

	if (!root)
		return EXIT_OK;
	if (!text)
		return EXIT_FAILED;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	code = verify(path, text);
	if (!code)
		code = write_file(path, text);
	secret_wipe(text, strlen(text));
	free(text);
	return code;
}

static int deliver_all(const struct work *w, const char *dir)
{
	cJSON *client = w->portal_conf && w->c.n_visitors ? make_client(w) : NULL;
	int code = EXIT_OK;

	if (mkdir(dir, 0700) == -1 && errno != EEXIST) {
		fprintf(stderr, "garenne convert: %s: %s\n", dir, strerror(errno));
		code = EXIT_FAILED;
	}
	if (!code)
		code = deliver(dir, "portal.json", w->portal_conf ? w->c.portal : NULL);
	if (!code)
		code = deliver(dir, "bridge.json", w->bridge_conf ? w->c.bridge : NULL);
	if (!code)
		code = deliver(dir, "client.json", client);
	cJSON_Delete(client);
	return code;
}

/* What the other file needs to know when it is converted elsewhere. */
static void tell_other_half(const struct work *w)
{
	if (w->bridge_conf)
		return;
	for (size_t i = 0; i < w->c.n_links; i++)
		convert_note("for the bridge of %s: garenne convert -bridge FILE -out DIR "
			     "-id %s -pin %s",
			     w->c.links[i].domain, w->c.links[i].id, w->c.pin);
}

static int run(int argc, char **argv)
{
	struct request r = {.out = NULL};
	struct work w = {.c = {.n_links = 0}};
	const struct opts table[] = {
		{.name = "portal", .text = &r.portal}, {.name = "bridge", .text = &r.bridge},
		{.name = "out", .text = &r.out},       {.name = "id", .text = &r.id},
		{.name = "pin", .text = &r.pin},       {.name = NULL},
	};
	int code = opts_parse(&cmd_convert, table, argc, argv, &r.rest);

	if (code)
		return code;
	if (!r.portal && !r.bridge && r.rest.n == 0)
		return cli_usage(&cmd_convert, "no file given");
	if (!r.out)
		return cli_usage(&cmd_convert, "-out: which folder shall get the files?");
	if (r.pin && strlen(r.pin) != CERT_HASH_TEXT - 1)
		return cli_usage(&cmd_convert, "-pin: expected 64 hexadecimal digits");
	code = load_all(&w, &r);
	if (!code && convert(&w, &r) != 0)
		code = EXIT_CONFIG;
	if (!code)
		code = deliver_all(&w, r.out);
	if (!code)
		tell_other_half(&w);
	if (w.key)
		secret_wipe(w.key, strlen(w.key));
	free(w.key);
	free(w.cert);
	json_free(&w.portal_doc);
	json_free(&w.bridge_doc);
	conf_free(w.portal_conf);
	conf_free(w.bridge_conf);
	return code;
}

const struct command cmd_convert = {
	.name = "convert",
	.brief = "turn classic portal and bridge files into VLESS reverse",
	.usage = "usage: garenne convert [-portal FILE] [-bridge FILE] -out FOLDER "
		 "[FILE]...\n\n"
		 "Reads files with a classic \"reverse\" object, which current Xray "
		 "refuses, and\n"
		 "writes portal.json and bridge.json with VLESS reverse over TLS, and "
		 "client.json\n"
		 "for a first visitor. Bridge and visitors get ids of their own; a "
		 "certificate is\n"
		 "made and pinned. Everything else stays as it is, but for comments. "
		 "What changes\n"
		 "for somebody is said in notes on standard error. Both ends run on "
		 "garenne and on\n"
		 "Xray from 26.1.31 on. Files that exist are not overwritten.\n\n"
		 "  -portal FILE, -bridge FILE  or just FILE: it says by itself which "
		 "it is\n"
		 "  -out FOLDER                 made if need be\n"
		 "  -id UUID                    the (first) bridge's id, else a new "
		 "one\n"
		 "  -pin HEX                    without a portal file: SHA-256 of its "
		 "certificate\n\n"
		 "Exit status: 0 done, 23 a file is no good or cannot be converted.\n",
	.run = run,
};
