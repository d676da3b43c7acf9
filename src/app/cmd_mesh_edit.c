/* mesh init and add: making a mesh, and making it larger. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/cli.h"
#include "app/mesh_dir.h"
#include "app/mesh_wish.h"
#include "app/opts.h"
#include "base/err.h"
#include "crypto/rand.h"
#include "crypto/secret.h"
#include "mesh/plan.h"
#include "net/cert.h"

enum { MEMBER_MAX = 8192, CERT_VALID_S = 10 * 365 * 86400 };

/* Text that grows in a buffer of fixed size; too long is noticed when it is parsed. */
struct member {
	char text[MEMBER_MAX];
	size_t n;
};

static void __attribute__((format(printf, 2, 3))) say(struct member *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(b->text + b->n, sizeof(b->text) - b->n, fmt, ap);
	va_end(ap);
	b->n += n > 0 && (size_t)n < sizeof(b->text) - b->n ? (size_t)n : 0;
}

/* ---- what a node is made of ---- */

static int say_addresses(struct member *b, const struct mesh *m, enum mesh_kind kind)
{
	struct ip ip4, ip6;
	char text[64];

	if (mesh_next_ip(m, kind, 4, &ip4) != 0) {
		fprintf(stderr, "garenne mesh: no address is left for another %s\n",
			mesh_kind_name(kind));
		return -ERR_LIMIT;
	}
	say(b, "\"ip\": \"%s\"", ip_text(&ip4, text, sizeof(text)));
	if (mesh_next_ip(m, kind, 6, &ip6) == 0)
		say(b, ", \"ip6\": \"%s\"", ip_text(&ip6, text, sizeof(text)));
	return 0;
}

static int say_lans(struct member *b, const struct mesh *m, const struct opts_list *lans)
{
	char real_text[64], seen_text[64];

	for (size_t i = 0; i < lans->n; i++) {
		struct prefix real, seen;
		size_t same = 0;

		prefix_parse(&real, span_str(lans->v[i])); /* has been checked */
		for (size_t k = 0; k < i; k++)
			same += strchr(lans->v[k], ':') ? real.ip.family == 6 : real.ip.family == 4;
		if (mesh_next_prefix(m, &real, same, &seen) != 0) {
			const struct prefix *range = real.ip.family == 4 ? &m->mapped : &m->range6;

			fprintf(stderr, "garenne mesh: -lan: found %s, expected one that fits into what "
					"is left of \"%s\", %s\n", lans->v[i],
				real.ip.family == 4 ? "mapped" : "ipv6",
				range->ip.family ? prefix_text(range, seen_text, sizeof(seen_text))
						 : "which this mesh does not have");
			return -ERR_LIMIT;
		}
		say(b, "%s{ \"prefix\": \"%s\", \"as\": \"%s\" }", i ? ", " : ",\n  \"lans\": [",
		    prefix_text(&real, real_text, sizeof(real_text)),
		    prefix_text(&seen, seen_text, sizeof(seen_text)));
	}
	if (lans->n)
		say(b, "]");
	return 0;
}

/* A certificate of the hub's own, for those who have none that is signed. */
static int own_cert(struct mesh_keys *k, const struct addr *address, char pin[CERT_HASH_TEXT])
{
	char host[ADDR_TEXT_MAX];
	const char *names[] = {addr_host_text(address, host, sizeof(host))};
	struct cert_spec spec = {.names = names, .n_names = 1, .common_name = "",
				 .organization = "", .valid_s = CERT_VALID_S};
	struct cert c = {NULL, NULL};
	int err = cert_make(&c, &spec);

	if (!err)
		err = cert_hash(pin, c.x);
	if (!err) {
		k->cert = cert_text(&c);
		k->cert_key = cert_key_text(&c);
		err = k->cert && k->cert_key ? 0 : -ERR_NOMEM;
	}
	cert_fini(&c);
	return err;
}

static int say_hub_security(struct member *b, const struct mesh_wish *w, struct mesh_keys *k,
			    const struct addr *address)
{
	char text[CERT_HASH_TEXT];
	int err = 0;

	say(b, ",\n  \"security\": \"%s\"", w->security);
	if (strcmp(w->security, "reality") == 0) {
		err = mesh_keys_public(k, text);
		say(b, ", \"target\": \"%s\",\n  \"publicKey\": \"%s\"", w->target, text);
	} else if (strcmp(w->security, "tls") == 0 && w->cert) {
		say(b, ",\n  \"certificate\": \"%s\", \"key\": \"%s\"", w->cert, w->key ? w->key : "");
	} else if (strcmp(w->security, "tls") == 0) {
		err = own_cert(k, address, text);
		say(b, ",\n  \"pin\": \"%s\"", text);
	}
	return err;
}

static int say_hub(struct member *b, const struct mesh_wish *w, const struct mesh *m,
		   struct mesh_keys *k)
{
	struct addr a;
	char host[ADDR_TEXT_MAX];

	mesh_wish_address(w, &a);
	say(b, "\"%s\": {\n  \"address\": \"%s\", \"port\": %u, ", w->name,
	    addr_host_text(&a, host, sizeof(host)), a.port);
	if (say_addresses(b, m, MESH_HUB) != 0)
		return -ERR_LIMIT;
	if (w->software)
		say(b, ", \"software\": \"%s\"", w->software);
	if (say_hub_security(b, w, k, &a) != 0) {
		fprintf(stderr, "garenne mesh: the hub's certificate cannot be made\n");
		return -ERR_SYS;
	}
	say(b, "\n}");
	return 0;
}

static int say_site(struct member *b, const struct mesh_wish *w, const struct mesh *m)
{
	say(b, "\"%s\": {\n  ", w->name);
	if (say_addresses(b, m, MESH_SITE) != 0)
		return -ERR_LIMIT;
	if (w->software)
		say(b, ", \"software\": \"%s\"", w->software);
	if (w->no_tun)
		say(b, ", \"tun\": false");
	if (w->socks)
		say(b, strchr(w->socks, ':') ? ", \"socks\": \"%s\"" : ", \"socks\": %s", w->socks);
	if (say_lans(b, m, &w->lans) != 0)
		return -ERR_LIMIT;
	say(b, "\n}");
	return 0;
}

static int say_phone(struct member *b, const struct mesh_wish *w, const struct mesh *m)
{
	say(b, "\"%s\": { ", w->name);
	if (say_addresses(b, m, MESH_PHONE) != 0)
		return -ERR_LIMIT;
	if (w->app)
		say(b, ", \"app\": \"%s\"", w->app);
	say(b, " }");
	return 0;
}

/* ---- writing ---- */

static int write_keys(const char *file, const char *name, const struct mesh_keys *k,
		      enum mesh_kind kind)
{
	char path[MESH_PATH_MAX], leaf[MESH_NAME_MAX + 8];
	char *text = mesh_keys_text(k, kind);
	int err = -ERR_NOMEM;

	snprintf(leaf, sizeof(leaf), "%.*s.json", MESH_NAME_MAX, name);
	mesh_dir_path(file, "keys", leaf, path);
	if (text) {
		err = mesh_dir_write(path, text, true);
		secret_wipe(text, strlen(text));
		free(text);
	}
	if (!err)
		printf("%s\n", path);
	return err;
}

/* The new file must be good before anything is written. */
static int commit(const struct mesh_wish *w, const char *text, const struct mesh_keys *k,
		  enum mesh_kind kind, bool fresh)
{
	struct conf_msgs msgs = {0};
	struct mesh *m = text ? mesh_parse(w->file, span_str(text), &msgs) : NULL;
	bool ok = m != NULL;

	mesh_dir_messages(&msgs);
	mesh_free(m);
	if (!ok) {
		fprintf(stderr, "garenne mesh: nothing was written; the lines are those that %s would "
				"have got\n", w->file);
		return EXIT_CONFIG;
	}
	if (write_keys(w->file, w->name, k, kind) != 0 || mesh_dir_write(w->file, text, fresh) != 0)
		return EXIT_FAILED;
	printf("%s\n", w->file);
	if (w->any_target)
		fprintf(stderr, "warning: without -target the hub %s looks like %s, where all would be: "
				"write a site near it into its \"target\" (\"garenne reality check\" "
				"judges one)\n", w->name, w->target);
	return EXIT_OK;
}

/* A name that the file has is not given twice; said of the file as it is. */
static bool is_new(const struct mesh_wish *w, const struct mesh *m)
{
	int twin = mesh_find(m, span_str(w->name));

	if (twin == MESH_NOBODY)
		return true;
	fprintf(stderr, "error: %s:%d: there is a %s \"%s\" already, expected another name\n", w->file,
		m->nodes[twin].at.line, mesh_kind_name(m->nodes[twin].kind), w->name);
	return false;
}

static int add(const struct mesh_wish *w, enum mesh_kind kind)
{
	static const char *const sections[] = {"hubs", "sites", "phones"};
	struct member *b = calloc(1, sizeof(*b));
	struct mesh_keys k = {0};
	struct mesh_dir d = {0};
	char *text = NULL;
	int code = mesh_dir_open(&d, w->file), err;

	if (!code && !is_new(w, d.m))
		code = EXIT_FAILED;
	if (!code && (!b || mesh_keys_make(&k, kind) != 0))
		code = EXIT_FAILED;
	if (!code) {
		err = kind == MESH_HUB	? say_hub(b, w, d.m, &k)
		      : kind == MESH_SITE ? say_site(b, w, d.m)
					  : say_phone(b, w, d.m);
		code = err ? EXIT_USAGE : EXIT_OK;
	}
	if (!code) {
		text = mesh_insert(span_str(d.text), sections[kind], b->text);
		code = text ? commit(w, text, &k, kind, false) : EXIT_FAILED;
	}
	mesh_keys_wipe(&k);
	mesh_dir_free(&d);
	free(text);
	free(b);
	return code;
}

static int run_add(int argc, char **argv)
{
	struct mesh_wish w = {.file = NULL};
	struct opts_list rest = {.n = 0};
	struct opts table[MESH_WISH_OPTS];
	int code;

	mesh_wish_opts(&w, table);
	code = opts_parse(&cmd_mesh_add, table, argc, argv, &rest);
	if (code)
		return code;
	if (rest.n != 2)
		return cli_usage(&cmd_mesh_add, "found %zu words, expected hub, site or phone, and a name",
				 rest.n);
	w.name = rest.v[1];
	for (int k = 0; k < MESH_KINDS; k++)
		if (strcmp(rest.v[0], mesh_kind_name((enum mesh_kind)k)) == 0) {
			code = mesh_wish_check(&cmd_mesh_add, &w, (enum mesh_kind)k);
			return code ? code : add(&w, (enum mesh_kind)k);
		}
	return cli_usage(&cmd_mesh_add, "found \"%s\", expected hub, site or phone", rest.v[0]);
}

const struct command cmd_mesh_add = {
	.name = "mesh add",
	.brief = "add a hub, a site or a phone to a mesh",
	.usage = "usage: garenne mesh add site NAME [-lan PREFIX]... [-software garenne|xray|v2ray]\n"
		 "                                  [-socks PORT] [-no-tun]\n"
		 "       garenne mesh add phone NAME [-app v2rayng|sing-box|other]\n"
		 "       garenne mesh add hub NAME -address HOST[:PORT] [-software garenne|xray|v2ray]\n"
		 "                                 [-security reality|tls|none] [-target HOST:PORT]\n"
		 "                                 [-certificate FILE -key FILE]\n\n"
		 "Makes the node's keys (keys/NAME.json), chooses its address and what its LANs are seen\n"
		 "as, and adds a few lines to the mesh file. Nothing that is there is changed.\n\n"
		 "  -file FILE  the mesh (mesh.json)\n",
	.run = run_add,
};

/* ---- init ---- */

/* A prefix of RFC 4193, written as every other message of ours writes it. */
static int ula(char out[64])
{
	struct prefix p = {.ip = {.family = 6, .b = {0xfd}}, .len = 48};

	if (rand_bytes(p.ip.b + 1, 5) != 0)
		return -ERR_SYS;
	prefix_text(&p, out, 64);
	return 0;
}

static int init(const struct mesh_wish *w, const char *mesh, bool no_ipv6)
{
	struct member *b = calloc(1, sizeof(*b)), *hub = calloc(1, sizeof(*hub));
	struct mesh empty = {0};
	struct mesh_keys k = {0};
	char v6[64] = "", *text = NULL;
	int code = EXIT_FAILED;

	prefix_parse(&empty.range4, span_str("100.64.0.0/10"));
	if (!b || !hub || (!no_ipv6 && ula(v6) != 0) || mesh_keys_make(&k, MESH_HUB) != 0)
		goto out;
	if (*v6)
		prefix_parse(&empty.range6, span_str(v6));
	code = EXIT_USAGE;
	if (say_hub(hub, w, &empty, &k) != 0)
		goto out;
	say(b, "{\n  \"mesh\": \"%s\",\n", mesh);
	if (*v6)
		say(b, "  \"ipv6\": \"%s\",\n", v6);
	/* TLS inside TLS is what a watcher would notice; Vision is against that. */
	if (strcmp(w->security, "none") != 0 && (!w->software || strcmp(w->software, "v2ray") != 0))
		say(b, "  \"flow\": \"xtls-rprx-vision\",\n");
	say(b, "  \"hubs\": {\n  },\n  \"sites\": {\n  },\n  \"phones\": {\n  },\n"
	       "  // The first rule that fits decides; what no rule allows is denied.\n"
	       "  \"policy\": [\n"
	       "    { \"name\": \"everybody\", \"from\": \"any\", \"to\": \"sites\" }\n  ],\n"
	       "  \"exits\": [\n  ],\n  \"forwards\": [\n  ],\n  \"expect\": [\n  ]\n}\n");
	text = mesh_insert(span_str(b->text), "hubs", hub->text);
	code = text ? commit(w, text, &k, MESH_HUB, true) : EXIT_FAILED;
out:
	mesh_keys_wipe(&k);
	free(text);
	free(hub);
	free(b);
	return code;
}

static int run_init(int argc, char **argv)
{
	struct mesh_wish w = {.name = "hub"};
	struct opts_list rest = {.n = 0};
	struct opts table[MESH_WISH_OPTS];
	bool no_ipv6 = false;
	size_t n = mesh_wish_opts(&w, table);
	int code;

	table[n++] = (struct opts){.name = "no-ipv6", .flag = &no_ipv6};
	table[n++] = (struct opts){.name = "hub", .text = &w.name};
	table[n] = (struct opts){.name = NULL};
	code = opts_parse(&cmd_mesh_init, table, argc, argv, &rest);
	if (code)
		return code;
	if (rest.n != 1)
		return cli_usage(&cmd_mesh_init, "found %zu words, expected one: a name for the mesh",
				 rest.n);
	if (!mesh_name_ok(rest.v[0]))
		return cli_usage(&cmd_mesh_init, "found \"%s\", expected a name for the mesh: a-z, 0-9 "
						 "and \"-\", at most %d bytes", rest.v[0],
				 MESH_NAME_MAX);
	code = mesh_wish_check(&cmd_mesh_init, &w, MESH_HUB);
	return code ? code : init(&w, rest.v[0], no_ipv6);
}

const struct command cmd_mesh_init = {
	.name = "mesh init",
	.brief = "begin a mesh with its first hub",
	.usage = "usage: garenne mesh init NAME -address HOST[:PORT] [-hub HUBNAME]\n"
		 "                        [-security reality|tls|none] [-target HOST:PORT]\n"
		 "                        [-certificate FILE -key FILE] [-software garenne|xray|v2ray]\n"
		 "                        [-no-ipv6] [-file mesh.json]\n\n"
		 "Writes mesh.json and keys/HUBNAME.json, which must not exist.\n\n"
		 "  -address     how every node dials the hub (port 443 unless given)\n"
		 "  -hub         its name in the mesh (hub)\n"
		 "  -security    what it looks like from outside: REALITY in front of -target, TLS with\n"
		 "               the certificate of -certificate and -key (files on the hub) or one of\n"
		 "               its own that is pinned, or nothing at all, for networks of your own\n"
		 "  -no-ipv6     no IPv6 addresses in the mesh\n",
	.run = run_init,
};
